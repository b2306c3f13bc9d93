/*
 * What races.cc asks of the emulation: who is running, and what memory an address is of.
 */
#ifndef CUDA_EMULATION_RACES_H
#define CUDA_EMULATION_RACES_H

#include <stddef.h>
#include <stdint.h>

typedef struct EmulatedNow
{
	uint64_t	launch;
	uint64_t	block;			/* of all blocks so far */
	uint32_t	thread;			/* of the block */
	uint32_t	barriers;		/* that the block has passed */
	uint32_t	warp_barriers;	/* that the thread's warp has passed: __syncwarp() alone */
} EmulatedNow;

typedef enum EmulatedMemory
{
	EMULATED_GLOBAL,
	EMULATED_SHARED,			/* of the block that runs */
	EMULATED_STACK				/* a thread's own */
} EmulatedMemory;

/* False when no kernel runs. */
extern bool emulate_now(EmulatedNow *now);
extern EmulatedMemory emulate_memory_of(const void *p);
extern void emulate_stop(const char *what);

#endif
