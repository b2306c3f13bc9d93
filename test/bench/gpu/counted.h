/*
 * What a training cannot do without: the operations of a backend, counted by their shapes while they run. The
 * floating-point operations of matrix products; the bytes of every operation when each input is read and each output
 * written once. Over a device's ceilings, the larger of the two times is the floor. Entries of sparse rows are counted as
 * room for them.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include "core/backend.h"

typedef struct Counted
{
	double		flops;
	double		bytes;
	double		operations;		/* calls; a zeroing is one, a copy from or to the host is not */
	double		copies,
				copied;			/* bytes */
	double		steps;			/* of an optimizer */
} Counted;

extern Counted counted;

/* From now on the backend counts. */
extern void count_operations(TrBackend *b);

/* FLOP/s of one large product, bytes/s of a step over many parameters; takes memory for a moment. */
extern void measure_ceilings(TrBackend *b, double *flops, double *bytes);

#endif
