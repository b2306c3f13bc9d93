/*
 * TR_CLONES in front of a function compiles it once per instruction set; the loader picks one. The levels are features
 * (x86-64-v3: AVX2 and FMA, v4: AVX-512), because a clone for a processor's name ("arch=haswell") is used only on exactly
 * that processor: a Cascade Lake would get the default one.
 */
#ifndef TR_CORE_SIMD_H
#define TR_CORE_SIMD_H

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12 && !defined(TR_NO_CLONES)
#define TR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TR_CLONES
#endif

#endif
