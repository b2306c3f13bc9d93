/*
 * The sources of gpu on the processor: cuda_runtime.h and cublas_v2.h in this directory stand in for CUDA's, and the
 * sources, unchanged, compile as C++. It is there to find errors, not to be fast.
 *
 * A block's threads are fibers. A fiber runs until it has to wait, at a barrier of its block or an exchange of its warp; then
 * another takes its turn. Which one, and which block comes next, is drawn from a seed: a kernel whose result hangs on the
 * order (a barrier left out, blocks that share what they write) gives other bits under another seed. Device memory and
 * shared memory start as garbage (NaN), each piece is an allocation of its own, so that an address sanitizer sees every
 * access beyond it. These stop the test: a barrier that some threads of the block have left without reaching; a shuffle
 * that not all 32 lanes take part in. These are errors, as on a device: a grid or a block beyond the limits; an unaligned
 * address in a vector access stops the test under the undefined-behaviour sanitizer.
 *
 * Built otherwise, it watches every access to memory for races (races.cc), which the order of the fibers alone does not show: lanes
 * of a warp take turns at each shuffle, so that a __syncwarp() left out there changes nothing. Or it computes as badly as
 * a device may: fused multiply-add, and functions off by units in the last place (cuda_runtime.h).
 *
 * What it cannot show: the speed, the compiler's and the hardware's own errors, more than one stream, cuBLAS's own behaviour.
 */
#ifndef CUDA_EMULATION_H
#define CUDA_EMULATION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

/* The order of threads and blocks from now on; 0 = as they are numbered. */
extern void emulate_order(uint64_t seed);

/* The call of this name fails with `status`, the `after`th time from now (0 = the next); NULL = none does. */
extern void emulate_failure(const char *call, int status, int after);

/* Devices of the machine; bytes of the device. */
extern void emulate_devices(int count);
extern void emulate_memory(size_t bytes);

/* Bytes that are allocated on the device; launches so far. */
extern size_t emulated_memory_in_use(void);
extern long emulated_launches(void);

#ifdef __cplusplus
}
#endif

#endif
