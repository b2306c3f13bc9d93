/*
 * Dropout from counted random numbers, a block at a time: first the block's random bits, then its elements.
 */
#include "core/rng.h"
#include "cpu/cpu.h"
#include "cpu/simd.h"

#define BLOCK 1024				/* elements, a multiple of 4 */
#define TASK_BLOCKS 16

/* Where a random number's 16 bits for element i % 4 == l lie in memory. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LANE(i) (i)
#else
#define LANE(i) ((i) ^ 3)
#endif

typedef struct Dropout
{
	float	   *out;
	const float *x;
	int64_t		n;
	uint32_t	threshold;		/* what stays draws at least this, of 65536 */
	float		scale;
	uint64_t	key;			/* tr_random() with all but its last argument mixed in */
} Dropout;

TR_SIMD static void
one_block(const Dropout *d, int64_t first, int n)
{
	uint64_t	bits[BLOCK / 4];
	uint16_t	draw[BLOCK];
	const float *x = d->x + first;
	float	   *out = d->out + first;
	uint64_t	key = d->key;
	uint32_t	threshold = d->threshold;
	float		scale = d->scale;

	for (int i = 0; i < BLOCK / 4; i++)
		bits[i] = tr_mix64(key ^ ((uint64_t) first / 4 + (uint64_t) i));
	memcpy(draw, bits, sizeof(draw));
	TR_INDEPENDENT
	for (int i = 0; i < n; i++)
		out[i] = draw[LANE(i)] >= threshold ? x[i] * scale : 0.0f;
}

static void
blocks(void *argument, int task)
{
	const Dropout *d = argument;
	int64_t		end = tr_block_end(d->n, (int64_t) BLOCK * TASK_BLOCKS, task);

	for (int64_t first = (int64_t) task * BLOCK * TASK_BLOCKS; first < end; first += BLOCK)
		one_block(d, first, (int) (end - first < BLOCK ? end - first : BLOCK));
}

void
tr_cpu_dropout(TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step)
{
	Dropout		d = {
		.out = out, .x = x, .n = n, .threshold = (uint32_t) (p * 65536), .scale = 1 / (1 - p),
		.key = tr_mix64(tr_mix64(tr_mix64(seed) ^ TR_STREAM_DROPOUT) ^ step)
	};

	tr_cpu_run(b, blocks, &d, tr_blocks(n, (int64_t) BLOCK * TASK_BLOCKS));
}
