/*
 * The sources of gpu on the processor: cuda_runtime.h and cublas_v2.h in this directory stand in for CUDA's, and the
 * sources, unchanged, compile as C++. It is there to find errors, not to be fast.
 *
 * A block's threads are fibers. A fiber runs until it has to wait, at a barrier of its block or an exchange of its warp;
 * then another takes its turn. Which one, and which block comes next, is drawn from a seed: a kernel whose result hangs on
 * the order (a barrier left out, blocks that share what they write) gives other bits under another seed. Device memory and
 * shared memory start as garbage (NaN), each piece is an allocation of its own, so that an address sanitizer sees every
 * access beyond it. These stop the test: a barrier that some threads of the block have left without reaching; a shuffle
 * that not all 32 lanes take part in. These are errors, as on a device: a grid or a block beyond the limits; an unaligned
 * address in a vector access stops the test under the undefined-behaviour sanitizer.
 *
 * Built otherwise, it watches every access to memory for races (races.cc), which the order of the fibers alone does not
 * show: lanes of a warp take turns at each shuffle, so that a __syncwarp() left out there changes nothing. Or it computes
 * as badly as a device may: fused multiply-add, and functions off by units in the last place (cuda_runtime.h).
 *
 * A stream runs what is queued at once, or as late as a device may (emulate_late). What is queued, recorded and launched as
 * a graph holds its arguments by value. Memory, events and waits are refused while a stream records, as a device does or
 * where it would do what nobody here wants, and spoil the record; so does a copy from memory that is not pinned. An exec
 * takes a record of the same kinds of operations.
 *
 * What it cannot show: the speed, the compiler's and the hardware's own errors, streams side by side, cuBLAS's own
 * behaviour: its kernels, and with them the nodes of a graph, are one to a product here.
 */
#ifndef CUDA_EMULATION_H
#define CUDA_EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

/* The order of threads and blocks from now on; 0 = as they are numbered. */
extern void emulate_order(uint64_t seed);

/*
 * The call of this name fails with `status`, the `after`th time from now (0 = the next); NULL = none does. "launch" is that
 * of a kernel; "a graph's work" is left out from there on, and nobody is told.
 */
extern void emulate_failure(const char *call, int status, int after);

/* From now on streams run what is queued when somebody waits for it, and no sooner. */
extern void emulate_late(bool late);

/* Devices of the machine; bytes of the device. */
extern void emulate_devices(int count);
extern void emulate_memory(size_t bytes);

/* Bytes that are allocated on the device; launches so far. */
extern size_t emulated_memory_in_use(void);
extern long emulated_launches(void);

typedef struct EmulatedGraphs
{
	long		launches;		/* so far */
	long		instantiations; /* so far */
	int			live;			/* graphs and execs */
} EmulatedGraphs;

extern EmulatedGraphs emulated_graphs(void);

/* The most operations that waited in a stream since the last call. */
extern int	emulated_most_waiting(void);

#ifdef __cplusplus
}
#endif

#endif
