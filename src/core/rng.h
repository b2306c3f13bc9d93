/*
 * Counter-based random numbers: a pure function of (seed, stream, a, b), so that every backend, whatever its number of
 * threads, draws the same ones. The mixer is splitmix64's finaliser (Steele, Lea, Flood 2014), applied once per word.
 * TR_RNG_DEVICE lets a CUDA file include this header.
 */
#ifndef TR_RNG_H
#define TR_RNG_H

#include <math.h>
#include <stdint.h>

#ifndef TR_RNG_DEVICE
#define TR_RNG_DEVICE static inline
#endif

/* The use of a number: two uses of one seed never share a stream. */
typedef enum TrStream
{
	TR_STREAM_INIT = 1,			/* a = tensor, b = element */
	TR_STREAM_SHUFFLE,			/* a = epoch, b = element */
	TR_STREAM_KEEP,				/* a = step, b = post: is the post part of its user's profile? */
	TR_STREAM_TARGET,			/* a = step, b = post: which posts are the targets when there are too many */
	TR_STREAM_TAG_DROPOUT,		/* a = step, b = (row << 32 | tag); a = epoch, b = assignment */
	TR_STREAM_NEGATIVE,			/* a = step, b = draw */
	TR_STREAM_BOOTSTRAP = 8,	/* a = sample, b = draw */
	TR_STREAM_DROPOUT,			/* a = step, b = element / 4 */
	TR_STREAM_CORRUPTION,		/* a = epoch, b = post: how many of its tags are dropped */
	TR_STREAM_ID_DROPOUT,		/* a = epoch, b = 2 post, its user, or 2 post + 1, its item */
	TR_STREAM_HISTORY,			/* a = epoch, b = post << 32 | draw */
	TR_STREAM_CHOICE,			/* a = 0, b = user; a = 1, b = post: is it held out to choose options by?
								 * a = 2, b = range of items: which of them is in a sample? */
	TR_STREAM_LATENT,			/* a = step, b = element */
	TR_STREAM_DISLIKED,			/* a = epoch, b = 2 post: is the negative a dislike? 2 post + 1: which? */
	TR_STREAM_SEARCH = 16		/* a = trial and attempt, b = name of the option */
} TrStream;

TR_RNG_DEVICE uint64_t
tr_mix64(uint64_t x)
{
	x += UINT64_C(0x9E3779B97F4A7C15);
	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

/* Random numbers that differ in b alone share a key: tr_random(seed, stream, a, b) = tr_random_of(key, b) */
TR_RNG_DEVICE uint64_t
tr_random_key(uint64_t seed, uint64_t stream, uint64_t a)
{
	return tr_mix64(tr_mix64(tr_mix64(seed) ^ stream) ^ a);
}

TR_RNG_DEVICE uint64_t
tr_random_of(uint64_t key, uint64_t b)
{
	return tr_mix64(key ^ b);
}

TR_RNG_DEVICE uint64_t
tr_random(uint64_t seed, uint64_t stream, uint64_t a, uint64_t b)
{
	return tr_random_of(tr_random_key(seed, stream, a), b);
}

/* Uniform in [0, 1): the first 24 bits of a random number. */
TR_RNG_DEVICE float
tr_uniform_of(uint64_t key, uint64_t b)
{
	return (float) (tr_random_of(key, b) >> 40) * (1.0f / 16777216.0f);
}

TR_RNG_DEVICE float
tr_uniform(uint64_t seed, uint64_t stream, uint64_t a, uint64_t b)
{
	return tr_uniform_of(tr_random_key(seed, stream, a), b);
}

/* Standard normal, from the two uniforms of b = 2 element and 2 element + 1 (Box & Muller 1958). */
TR_RNG_DEVICE double
tr_normal(uint64_t seed, uint64_t stream, uint64_t a, uint64_t element)
{
	double		u = tr_uniform(seed, stream, a, 2 * element) + 0.5 / 16777216.0;
	double		v = tr_uniform(seed, stream, a, 2 * element + 1);

	return sqrt(-2 * log(u)) * cos(6.283185307179586476925 * v);
}

/* Does element i outlive a dropout with probability p? 16 bits decide: four elements share a random number. */
TR_RNG_DEVICE int
tr_stays(uint64_t seed, uint64_t step, int64_t i, float p)
{
	return (tr_random(seed, TR_STREAM_DROPOUT, step, (uint64_t) i / 4) >> (i % 4 * 16) & 0xffff) >= (uint64_t) (p * 65536);
}

/* Uniform in 0..n-1, n > 0; the bias is below n / 2^64. */
TR_RNG_DEVICE uint64_t
tr_below(uint64_t seed, uint64_t stream, uint64_t a, uint64_t b, uint64_t n)
{
	return tr_random(seed, stream, a, b) % n;
}

#endif
