/*
 * What the tests of the operations share: the backends under test, random inputs in backend memory, collected outputs.
 */
#ifndef BACKENDS_H
#define BACKENDS_H

#include "check.h"
#include "core/backend.h"
#include "core/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const TrBackendOps *tagrec_backend_ops(void);	/* of src/cpu, linked in, or no_blas.c */
extern const TrBackendOps *tr_cuda_test_ops(void);	/* of gpu, emulated or on a device: cuda_emulation/cuda_ops.c */

/* A backend to hold against plain: one line each. Entries with one ops table must agree to the bit. */
typedef struct Candidate
{
	const TrBackendOps *(*ops) (void);
	int			threads;
} Candidate;

static const Candidate candidates[] = {
#ifndef TR_NO_BLAS
	{tagrec_backend_ops, 1},
	{tagrec_backend_ops, 2},
	{tagrec_backend_ops, 3},
#endif
	{tr_cuda_test_ops, 1},
};

#define N_CANDIDATES ((int) (sizeof(candidates) / sizeof(candidates[0])))

static inline TrBackend *
open_backend(const TrBackendOps *ops, int threads)
{
	TrBackendConfig config = {.threads = threads};
	TrBackend  *b = NULL;
	TrError		error = {0};

	if (ops->open(&b, &config, &error) != TR_OK)
	{
		printf("Bail out! cannot open backend %s: %s\n", ops->name, error.message);
		exit(1);
	}
	return b;
}

/* Random numbers of one case: the same in every backend. */
typedef struct Draw
{
	uint64_t	seed;
	uint64_t	count;
} Draw;

static inline float
draw_in(Draw *draw, float low, float high)
{
	return low + (high - low) * tr_uniform(draw->seed, TR_STREAM_INIT, 0, draw->count++);
}

static inline int
draw_below(Draw *draw, int n)
{
	return (int) tr_below(draw->seed, TR_STREAM_INIT, 1, draw->count++, n);
}

/* Host memory to backend memory; the backend's close() frees it. */
static inline void *
to_backend(TrBackend *b, const void *host, size_t bytes)
{
	void	   *memory = b->ops->alloc(b, bytes);

	if (!memory)
	{
		printf("Bail out! backend %s is out of memory\n", b->ops->name);
		exit(1);
	}
	b->ops->upload(b, memory, host, bytes);
	return memory;
}

static inline float *
random_floats(TrBackend *b, Draw *draw, size_t n, float low, float high)
{
	float	   *host = malloc(sizeof(float) * n + 1);
	float	   *memory;

	for (size_t i = 0; i < n; i++)
		host[i] = draw_in(draw, low, high);
	memory = to_backend(b, host, sizeof(float) * n);
	free(host);
	return memory;
}

/* Sparse rows: about one column in `sparsity`, every fifth row empty; values in low..high, now and then 0. */
static inline TrCsr
random_csr(TrBackend *b, Draw *draw, int rows, int cols, int sparsity, float low, float high)
{
	TrCsr		x = {.rows = rows, .cols = cols, .capacity = (int64_t) rows * cols};
	int64_t    *ptr = malloc(sizeof(int64_t) * (rows + 1));
	int32_t    *col = malloc(sizeof(int32_t) * x.capacity + 1);
	float	   *val = malloc(sizeof(float) * x.capacity + 1);
	int64_t		n = 0;

	ptr[0] = 0;
	for (int r = 0; r < rows; r++)
	{
		for (int c = 0; c < cols && r % 5 != 3; c++)
			if (draw_below(draw, sparsity) == 0)
			{
				col[n] = c;
				val[n++] = draw_below(draw, 20) == 0 ? 0 : draw_in(draw, low, high);
			}
		ptr[r + 1] = n;
	}
	x.ptr = to_backend(b, ptr, sizeof(int64_t) * (rows + 1));
	x.col = to_backend(b, col, sizeof(int32_t) * n);
	x.val = to_backend(b, val, sizeof(float) * n);
	free(ptr);
	free(col);
	free(val);
	return x;
}

/* What a case put out, tensor by tensor. */
#define MOST_TENSORS 8

typedef struct Output
{
	double	   *data;
	size_t		count;
	int			tensors;
	size_t		end[MOST_TENSORS];
} Output;

static inline double *
add_tensor(Output *out, size_t n)
{
	double	   *data;

	out->data = realloc(out->data, sizeof(double) * (out->count + n + 1));
	data = out->data + out->count;
	out->count += n;
	out->end[out->tensors++] = out->count;
	return data;
}

static inline void
collect_floats(Output *out, TrBackend *b, const float *memory, size_t n)
{
	float	   *host = malloc(sizeof(float) * n + 1);
	double	   *data = add_tensor(out, n);

	b->ops->download(b, host, memory, sizeof(float) * n);
	for (size_t i = 0; i < n; i++)
		data[i] = host[i];
	free(host);
}

static inline void
collect_double(Output *out, TrBackend *b, const double *memory)
{
	b->ops->download(b, add_tensor(out, 1), memory, sizeof(double));
}

/*
 * The largest difference of any tensor, in units of that tensor's largest value in `expected`, or of 0.1 if that is less.
 */
static inline double
apart(const Output *got, const Output *expected)
{
	double		most = 0;
	size_t		i = 0;

	if (got->count != expected->count || got->tensors != expected->tensors)
		return INFINITY;
	for (int t = 0; t < expected->tensors; t++)
	{
		double		largest = 0.1;
		double		difference = 0;

		for (; i < expected->end[t]; i++)
		{
			double		d = fabs(got->data[i] - expected->data[i]);

			largest = fmax(largest, fabs(expected->data[i]));
			if (!(d <= difference))
				difference = isnan(d) ? INFINITY : d;
		}
		most = fmax(most, difference / largest);
	}
	return most;
}

static inline bool
same_bits(const Output *a, const Output *b)
{
	return a->count == b->count && memcmp(a->data, b->data, sizeof(double) * a->count) == 0;
}

/* The shape and the flags of a case; each operation reads its own. */
typedef struct Case
{
	int			d[4];
	int			flags;
} Case;

typedef void (*Run) (TrBackend *b, Draw *draw, const Case *c, Output *out);

static inline Output
run_on(const TrBackendOps *ops, int threads, Run run, const Case *c)
{
	TrBackend  *b = open_backend(ops, threads);
	Draw		draw = {.seed = 1 + (uint64_t) c->flags};
	Output		out = {0};

	run(b, &draw, c, &out);
	if (b->ops->finish(b, NULL) != TR_OK)
		*add_tensor(&out, 1) = NAN;
	ops->close(b);
	return out;
}

/* TEST_OPERATION=name in the environment: the cases of that operation alone. */
static inline bool
wanted(const char *name)
{
	const char *only = getenv("TEST_OPERATION");

	return !only || strcmp(only, name) == 0;
}

static inline void
compare(const char *name, Run run, const Case *c, double bound)
{
	Output		expected = {0};
	Output		first = {0};

	if (!wanted(name) || !check_share())
		return;
	expected = run_on(&tr_plain_ops, 1, run, c);
	for (int i = 0; i < N_CANDIDATES; i++)
	{
		const TrBackendOps *ops = candidates[i].ops();
		Output		got = run_on(ops, candidates[i].threads, run, c);
		bool		again = i > 0 && candidates[i - 1].ops() == ops;

		if (got.tensors == 0)
			continue;			/* an optional operation, which this backend does not have */
		if (again)
			CHECK(same_bits(&got, &first), "%s %d %d %d %d flags %d: %s with %d threads as with %d", name, c->d[0], c->d[1],
				  c->d[2], c->d[3], c->flags, ops->name, candidates[i].threads, candidates[i - 1].threads);
		else
			CHECK_NEAR(apart(&got, &expected), 0, bound, "%s %d %d %d %d flags %d: %s as plain", name, c->d[0], c->d[1],
					   c->d[2], c->d[3], c->flags, ops->name);
		if (!again)
		{
			free(first.data);
			first = got;
		}
		else
			free(got.data);
	}
	free(first.data);
	free(expected.data);
}

/* Every combination of the lowest `bits` flags. */
static inline void
compare_flags(const char *name, Run run, Case c, int bits, double bound)
{
	for (c.flags = 0; c.flags < 1 << bits; c.flags++)
		compare(name, run, &c, bound);
}

#endif
