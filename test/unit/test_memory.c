#include "check.h"
#include "core/memory.h"

#include <stdint.h>
#include <string.h>

static bool
aligned(const void *p)
{
	return p && (uintptr_t) p % 64 == 0;
}

static void
test_blocks(void)
{
	TrMemory	memory;
	char	   *a;
	char	   *b;
	char	   *c;

	tr_memory_init(&memory, 0);
	a = tr_alloc(&memory, 100);
	b = tr_calloc(&memory, 1000, 7);
	c = tr_alloc(&memory, 0);
	CHECK(aligned(a) && aligned(b) && aligned(c), "blocks are aligned");
	CHECK_EQUAL(memory.used, 7100, "bytes in use");
	CHECK(b[0] == 0 && memcmp(b, b + 1, 6999) == 0, "calloc zeroes");
	tr_free(&memory, b);
	CHECK_EQUAL(memory.used, 100, "bytes in use after a free");
	CHECK_EQUAL(memory.peak, 7100, "peak");
	tr_free(&memory, NULL);
	tr_free(&memory, a);
	tr_free(&memory, c);
	CHECK(memory.used == 0 && memory.blocks == NULL, "nothing left");
}

static void
test_realloc(void)
{
	TrMemory	memory;
	char	   *p;

	tr_memory_init(&memory, 1000);
	p = tr_realloc(&memory, NULL, 10);
	memcpy(p, "012345678", 10);
	p = tr_realloc(&memory, p, 900);
	CHECK(aligned(p) && strcmp(p, "012345678") == 0, "realloc keeps the content");
	CHECK_EQUAL(memory.used, 900, "realloc counts the new size alone");
	CHECK(tr_realloc(&memory, p, 1001) == NULL && strcmp(p, "012345678") == 0, "a failed realloc keeps the block");
	p = tr_realloc(&memory, p, 4);
	CHECK(p && memcmp(p, "0123", 4) == 0 && memory.used == 4, "realloc shrinks");
	tr_memory_release(&memory);
	CHECK_EQUAL(memory.used, 0, "release frees all");
}

static void
test_limit(void)
{
	TrMemory	memory;

	tr_memory_init(&memory, 1000);
	CHECK(tr_alloc(&memory, 600) != NULL, "below the limit");
	CHECK(tr_alloc(&memory, 401) == NULL, "beyond the limit");
	CHECK(tr_alloc(&memory, 400) != NULL, "at the limit");
	CHECK(tr_calloc(&memory, SIZE_MAX / 2, 3) == NULL, "a product that overflows");
	tr_memory_release(&memory);
	CHECK(tr_alloc(&memory, 1000) != NULL, "usable after release");
	tr_memory_release(&memory);
	tr_memory_init(&memory, 0);
	CHECK(tr_alloc(&memory, SIZE_MAX) == NULL && tr_alloc(&memory, SIZE_MAX - 64) == NULL, "a size that overflows");
	CHECK(tr_alloc(&memory, SIZE_MAX / 4) == NULL, "more than the system has");
	CHECK_EQUAL(memory.used, 0, "failures are not counted");
}

static void
test_large(void)
{
	TrMemory	memory;
	size_t		bytes = (size_t) 9 << 20;
	char	   *p;

	tr_memory_init(&memory, 0);
	p = tr_calloc(&memory, 9, 1 << 20);
	p[bytes - 1] = 1;
	CHECK(aligned(p) && p[0] == 0 && p[bytes / 2] == 0, "a block of huge pages");
	tr_memory_release(&memory);
}

int
main(void)
{
	test_blocks();
	test_realloc();
	test_limit();
	test_large();
	return check_done();
}
