/*
 * The bootstrap: how much a figure over users would vary had other users been sampled.
 */
#ifndef TR_BOOTSTRAP_H
#define TR_BOOTSTRAP_H

#include <stdint.h>

/*
 * times (n) = how often each of n users is in a sample of n users drawn with replacement; a pure function of its arguments.
 */
extern void tr_resample(int32_t *times, int32_t n, uint64_t seed, uint64_t sample);

/* Sum of value * weight over sum of weight, each user counted so many times; times NULL = once. */
extern double tr_resampled_mean(const double *value, const double *weight, const int32_t *times, int32_t n);

/* The p-quantile, 0 <= p <= 1, of n > 0 sorted numbers, interpolated linearly between neighbours. */
extern double tr_quantile(const double *sorted, int32_t n, double p);

#endif
