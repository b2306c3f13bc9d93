/*
 * Races between threads of a kernel. The compiler's -fsanitize=thread calls a function at every access to memory; here these
 * functions stand in for its library, which knows nothing of fibers. Two accesses to a word by two threads, one of them a
 * write, stop the test unless something has ordered them:
 *
 *   __syncthreads() between them   threads of one block
 *   __syncwarp() between them      lanes of one warp; a shuffle, a ballot or a match waits for the lanes and orders nothing
 *   both are atomic
 *
 * What nothing orders comes in any order on a device, though here the fibers have taken turns. Of a word's readers the last two
 * are known, so that one race in a row of many readers may be missed in one order of threads and seen in another.
 */
#include "cuda_runtime.h"
#include "races.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Access
{
	uint64_t	block;			/* 0 = there was none */
	uint32_t	thread;
	uint32_t	barriers;
	uint32_t	warp_barriers;
	bool		atomic;
} Access;

/* One word of 4 bytes; what is of another launch, or of another block's shared memory, has been forgotten. */
typedef struct Word
{
	uintptr_t	address;
	uint64_t	era;
	Access		write;
	Access		read[2];		/* the last, and the last by another thread */
} Word;

static Word *words;
static size_t n_words;			/* a power of 2 */
static size_t used;

static Word *
place_of(uintptr_t address)
{
	size_t		at = (size_t) ((address >> 2) * UINT64_C(0x9E3779B97F4A7C15) >> 20);

	for (;; at++)
	{
		Word	   *word = &words[at & (n_words - 1)];

		if (word->address == address || word->address == 0)
			return word;
	}
}

static void
grow(void)
{
	Word	   *old = words;
	size_t		n = n_words;

	n_words = n ? 2 * n : 1 << 16;
	words = (Word *) calloc(n_words, sizeof(Word));
	for (size_t i = 0; i < n; i++)
		if (old[i].address)
			*place_of(old[i].address) = old[i];
	free(old);
}

/* All that was known is of launches before: their words are let go. */
static void
forget_others(uint64_t launch)
{
	static uint64_t last;

	if (launch != last && words)
	{
		if (used > n_words / 16)
			memset(words, 0, sizeof(Word) * n_words);
		used = used > n_words / 16 ? 0 : used;
	}
	last = launch;
}

static Word *
word_at(uintptr_t address, uint64_t era)
{
	Word	   *word;

	if (2 * used >= n_words)
		grow();
	word = place_of(address);
	if (word->address == 0)
		used++;
	if (word->era != era)
		memset(word, 0, sizeof(*word));
	word->address = address;
	word->era = era;
	return word;
}

static bool
races(const Access *before, const Access *now)
{
	if (before->block == 0 || (before->atomic && now->atomic))
		return false;
	if (before->block != now->block)
		return true;
	if (before->thread == now->thread || before->barriers != now->barriers)
		return false;
	return before->thread / 32 != now->thread / 32 || before->warp_barriers == now->warp_barriers;
}

static void
tell(const Access *before, const Access *now, const char *what, EmulatedMemory memory, const void *caller)
{
	char		text[256];
	Dl_info		info = {};

	dladdr(caller, &info);
	snprintf(text, sizeof(text), "a race in %s memory: %s, by threads %u and %u of %s (addr2line -fe PROGRAM %#zx)",
			 memory == EMULATED_SHARED ? "shared" : "global", what, before->thread, now->thread,
			 before->block == now->block ? "a block" : "two blocks", (size_t) caller - (size_t) info.dli_fbase - 1);
	emulate_stop(text);
}

static void
note(uintptr_t address, const EmulatedNow *now, EmulatedMemory memory, bool write, bool atomic, const void *caller)
{
	Access		access = {now->block, now->thread, now->barriers, now->warp_barriers, atomic};
	Word	   *word = word_at(address, memory == EMULATED_SHARED ? now->block << 1 | 1 : now->launch << 1);

	if (races(&word->write, &access))
		tell(&word->write, &access, write ? "two writes" : "a read after a write", memory, caller);
	for (int i = 0; i < 2 && write; i++)
		if (races(&word->read[i], &access))
			tell(&word->read[i], &access, "a write after a read", memory, caller);
	if (write)
		word->write = access;
	else
	{
		if (word->read[0].thread != access.thread || word->read[0].block != access.block)
			word->read[1] = word->read[0];
		word->read[0] = access;
	}
}

static void
note_all(const void *p, size_t bytes, bool write, bool atomic, const void *caller)
{
	EmulatedMemory memory;
	EmulatedNow now;

	if (!emulate_now(&now) || (memory = emulate_memory_of(p)) == EMULATED_STACK)
		return;
	forget_others(now.launch);
	for (uintptr_t at = (uintptr_t) p & ~(uintptr_t) 3; at < (uintptr_t) p + bytes; at += 4)
		note(at, &now, memory, write, atomic, caller);
}

/* Only what is compiled with -fsanitize=thread tells of its accesses. */
static bool watching;

unsigned
emulate_atomic(unsigned *p, unsigned add, unsigned set)
{
	unsigned	old = *p;

	if (watching)
		note_all(p, sizeof(*p), true, true, __builtin_return_address(0));
	*p = (old + add) | set;
	return old;
}

unsigned long long
emulate_atomic_min(unsigned long long *p, unsigned long long x)
{
	unsigned long long old = *p;

	if (watching)
		note_all(p, sizeof(*p), true, true, __builtin_return_address(0));
	*p = x < old ? x : old;
	return old;
}

extern "C"
{
#define HOOKS(n) \
	void __tsan_read##n(void *p) { note_all(p, n, false, false, __builtin_return_address(0)); } \
	void __tsan_write##n(void *p) { note_all(p, n, true, false, __builtin_return_address(0)); } \
	void __tsan_unaligned_read##n(void *p) { note_all(p, n, false, false, __builtin_return_address(0)); } \
	void __tsan_unaligned_write##n(void *p) { note_all(p, n, true, false, __builtin_return_address(0)); }
	HOOKS(1)
	HOOKS(2)
	HOOKS(4)
	HOOKS(8)
	HOOKS(16)
	void __tsan_read_range(void *p, size_t n) { note_all(p, n, false, false, __builtin_return_address(0)); }
	void __tsan_write_range(void *p, size_t n) { note_all(p, n, true, false, __builtin_return_address(0)); }
	void __tsan_func_entry(void *) {}
	void __tsan_func_exit(void) {}
	void __tsan_init(void) { watching = true; }
}
