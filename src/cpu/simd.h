/*
 * SIMD without naming a processor: a function marked TR_SIMD is compiled several times and the loader picks the widest that
 * the machine runs. What it calls in an inner loop is TR_INLINE, or it would be called in its narrowest form.
 */
#ifndef TR_SIMD_H
#define TR_SIMD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12 && !defined(TR_NO_CLONES)
#define TR_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TR_SIMD
#endif

/* In front of a loop: its rounds write nothing that another round reads. */
#ifdef __clang__
#define TR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define TR_INDEPENDENT _Pragma("GCC ivdep")
#endif

#define TR_INLINE static inline __attribute__((always_inline))

/* Sixteen floats at any address; the compiler splits them where registers are narrower. */
#define TR_LANES 16
typedef float TrLanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t TrBits __attribute__((vector_size(64), aligned(4), may_alias));

#endif
