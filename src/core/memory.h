/*
 * A tracked heap: everything a job allocates on the host comes from one TrMemory, is counted against one limit, and goes
 * with one tr_memory_release(), also after an error that unwound past the owner. Not thread-safe: the main thread
 * allocates.
 */
#ifndef TR_MEMORY_H
#define TR_MEMORY_H

#include <stddef.h>
#include <stdint.h>

typedef struct TrMemory
{
	size_t		limit;			/* bytes, 0 = none */
	size_t		used;
	size_t		peak;
	struct TrBlock *blocks;		/* doubly linked list of live blocks */
	struct TrMemory *parent;	/* what is taken here counts there, too; NULL = none */
	struct TrMemory *children;
	struct TrMemory *next;		/* of the parent's children */
	void		(*pause) (void);	/* asked for by long work on what is here; it may not return */
} TrMemory;

/* To be called for each of many steps of such work: every millionth pauses. */
static inline void
tr_pause(const TrMemory *memory, int64_t step)
{
	if (memory->pause && step % (1 << 20) == 0)
		memory->pause();
}

extern void tr_memory_init(TrMemory *memory, size_t limit);

/* 64-byte aligned; NULL when out of memory, by the limit or on the system. tr_calloc zeroes. Sizes above 1 GB are fine. */
extern void *tr_alloc(TrMemory *memory, size_t bytes);
extern void *tr_calloc(TrMemory *memory, size_t count, size_t size);

/* Like realloc: pointer may be NULL; on failure the old block stays valid. */
extern void *tr_realloc(TrMemory *memory, void *pointer, size_t bytes);
extern void tr_free(TrMemory *memory, void *pointer);

/* Frees every live block and ends every child; the TrMemory can be used again. */
extern void tr_memory_release(TrMemory *memory);

/* A heap within this one, whose blocks go together; NULL when there is no memory. */
extern TrMemory *tr_memory_child(TrMemory *parent);
extern void tr_memory_end_child(TrMemory *child);

#endif
