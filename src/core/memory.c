/*
 * The tracked heap: every block carries a header of one cache line in front of what the caller sees, which links it into
 * the list of live blocks.
 */
#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

/* Lets the address sanitizer detect reads beyond a block's own bytes, too. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void) 0)
#endif

#define ALIGNMENT ((size_t) 64)

/* Blocks from this size on ask for huge pages: a gather over a weight matrix otherwise misses the TLB at every row. */
#define HUGE_BLOCK ((size_t) 4 << 20)
#define HUGE_PAGE ((size_t) 2 << 20)

typedef struct TrBlock
{
	struct TrBlock *previous;
	struct TrBlock *next;
	size_t		bytes;			/* as asked for */
} TrBlock;

_Static_assert(sizeof(TrBlock) <= ALIGNMENT, "a block's header must fit in front of an aligned block");

void
tr_memory_init(TrMemory *memory, size_t limit)
{
	*memory = (TrMemory) {.limit = limit};
}

static TrBlock *
block_of(void *pointer)
{
	return (TrBlock *) ((char *) pointer - ALIGNMENT);
}

/* May `bytes` be asked for while `spare` bytes in use are about to go? */
static int
within_limit(const TrMemory *memory, size_t bytes, size_t spare)
{
	for (; memory; memory = memory->parent)
	{
		size_t		kept = memory->used - spare;

		if (bytes > SIZE_MAX - HUGE_PAGE - 2 * ALIGNMENT || bytes > SIZE_MAX - kept)
			return 0;
		if (memory->limit != 0 && (kept > memory->limit || bytes > memory->limit - kept))
			return 0;
	}
	return 1;
}

static void
advise_huge(void *start, size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
	uintptr_t	first = ((uintptr_t) start + HUGE_PAGE - 1) & ~(uintptr_t) (HUGE_PAGE - 1);
	uintptr_t	last = ((uintptr_t) start + bytes) & ~(uintptr_t) (HUGE_PAGE - 1);

	if (first < last)
		(void) madvise((void *) first, last - first, MADV_HUGEPAGE);
#else
	(void) start;
	(void) bytes;
#endif
}

static void
link_block(TrMemory *memory, TrBlock *block)
{
	block->previous = NULL;
	block->next = memory->blocks;
	if (block->next)
		block->next->previous = block;
	memory->blocks = block;
	for (; memory; memory = memory->parent)
	{
		memory->used += block->bytes;
		if (memory->used > memory->peak)
			memory->peak = memory->used;
	}
}

static void
unlink_block(TrMemory *memory, TrBlock *block)
{
	if (block->previous)
		block->previous->next = block->next;
	else
		memory->blocks = block->next;
	if (block->next)
		block->next->previous = block->previous;
	for (; memory; memory = memory->parent)
		memory->used -= block->bytes;
}

/* A block outside any list. */
static TrBlock *
new_block(size_t bytes)
{
	size_t		total = (bytes + 2 * ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	TrBlock    *block = aligned_alloc(ALIGNMENT, total);

	if (!block)
		return NULL;
	if (total >= HUGE_BLOCK)
		advise_huge(block, total);
	block->bytes = bytes;
	ASAN_POISON_MEMORY_REGION((char *) block + ALIGNMENT + bytes, total - ALIGNMENT - bytes);
	return block;
}

void *
tr_alloc(TrMemory *memory, size_t bytes)
{
	TrBlock    *block;

	if (!within_limit(memory, bytes, 0))
		return NULL;
	block = new_block(bytes);
	if (!block)
		return NULL;
	link_block(memory, block);
	return (char *) block + ALIGNMENT;
}

void *
tr_calloc(TrMemory *memory, size_t count, size_t size)
{
	void	   *pointer;

	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	pointer = tr_alloc(memory, count * size);
	if (pointer)
		memset(pointer, 0, count * size);
	return pointer;
}

void *
tr_realloc(TrMemory *memory, void *pointer, size_t bytes)
{
	TrBlock    *old;
	TrBlock    *block;

	if (!pointer)
		return tr_alloc(memory, bytes);
	old = block_of(pointer);
	if (!within_limit(memory, bytes, old->bytes))
		return NULL;
	block = new_block(bytes);
	if (!block)
		return NULL;
	memcpy((char *) block + ALIGNMENT, pointer, old->bytes < bytes ? old->bytes : bytes);
	unlink_block(memory, old);
	free(old);
	link_block(memory, block);
	return (char *) block + ALIGNMENT;
}

void
tr_free(TrMemory *memory, void *pointer)
{
	if (!pointer)
		return;
	unlink_block(memory, block_of(pointer));
	free(block_of(pointer));
}

void
tr_memory_release(TrMemory *memory)
{
	while (memory->children)
		tr_memory_end_child(memory->children);
	while (memory->blocks)
		tr_free(memory, (char *) memory->blocks + ALIGNMENT);
}

TrMemory *
tr_memory_child(TrMemory *parent)
{
	TrMemory   *child = tr_calloc(parent, 1, sizeof(TrMemory));

	if (!child)
		return NULL;
	child->parent = parent;
	child->next = parent->children;
	parent->children = child;
	return child;
}

void
tr_memory_end_child(TrMemory *child)
{
	TrMemory   *parent = child->parent;
	TrMemory  **link = &parent->children;

	tr_memory_release(child);
	while (*link != child)
		link = &(*link)->next;
	*link = child->next;
	tr_free(parent, child);
}
