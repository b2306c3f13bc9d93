/*
 * Speed of the operations of the CPU backend at the shapes that training meets, on one and on all threads, against what
 * a plain sgemm reaches (GFLOP/s) or as memory traffic (GB/s, counting every array once). The first figure is by the clock,
 * the second by processor time, times the threads: what the clock would say on a machine without other work.
 * bench_ops [threads [part of a name]]
 */
#include "core/backend.h"
#include "core/dot.h"
#include "core/rng.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#undef I						/* of complex.h, which cblas.h includes */

extern const TrBackendOps *tagrec_backend_ops(void);

static TrBackend *backend;
static const TrBackendOps *ops;
static const char *wanted = "";
static int	threads;
static double peak;				/* GFLOP/s of sgemm, one thread's times the threads */

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static float *
floats(size_t n)
{
	float	   *x = ops->alloc(backend, sizeof(float) * n);

	for (size_t i = 0; i < n; i++)
		x[i] = tr_uniform(1, TR_STREAM_INIT, n, i) - 0.5f;
	return x;
}

typedef void (*Body) (void *argument);

/* Seconds of the fastest of many runs, by the clock and by processor time over the threads. */
typedef struct Times
{
	double		clock;
	double		processor;
} Times;

static Times
fastest(Body body, void *argument)
{
	Times		best = {1e9, 1e9};
	double		end = seconds(CLOCK_MONOTONIC) + 0.6;

	for (int i = 0; i < 5 || (i < 1000 && seconds(CLOCK_MONOTONIC) < end); i++)
	{
		double		start = seconds(CLOCK_MONOTONIC);
		double		used = seconds(CLOCK_PROCESS_CPUTIME_ID);

		body(argument);
		used = (seconds(CLOCK_PROCESS_CPUTIME_ID) - used) / threads;
		start = seconds(CLOCK_MONOTONIC) - start;
		best.clock = start < best.clock ? start : best.clock;
		best.processor = used < best.processor ? used : best.processor;
	}
	return best;
}

static bool
is_wanted(const char *name)
{
	return strstr(name, wanted) != NULL;
}

static void
report_flops(const char *name, Times t, double flops)
{
	printf("%-44s %9.3f ms %8.1f %8.1f GFLOP/s %4.0f %%\n", name, t.clock * 1e3, flops / t.clock / 1e9,
		   flops / t.processor / 1e9, 100 * flops / t.processor / 1e9 / peak);
	fflush(stdout);
}

static void
report_bytes(const char *name, Times t, double bytes)
{
	printf("%-44s %9.3f ms %8.1f %8.1f GB/s\n", name, t.clock * 1e3, bytes / t.clock / 1e9, bytes / t.processor / 1e9);
	fflush(stdout);
}

typedef struct Gemm
{
	int			m,
				n,
				k;
	bool		tx,
				ty;
	float	   *x,
			   *y,
			   *c;
} Gemm;

static void
body_gemm(void *argument)
{
	Gemm	   *g = argument;

	ops->gemm(backend, g->c, g->n, g->x, g->tx ? g->m : g->k, g->tx, g->y, g->ty ? g->k : g->n, g->ty, g->m, g->n, g->k, 1,
			  0);
}

static void
body_sgemm(void *argument)
{
	Gemm	   *g = argument;

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, g->m, g->n, g->k, 1, g->x, g->k, g->y, g->n, 0, g->c, g->n);
}

/* One thread's sgemm, times the threads. */
static void
measure_peak(void)
{
	int			n = 2048;
	Gemm		g = {.m = n, .n = n, .k = n};

	g.x = floats((size_t) n * n);
	g.y = floats((size_t) n * n);
	g.c = floats((size_t) n * n);
	peak = 2.0 * n * n * n / fastest(body_sgemm, &g).processor / 1e9;
	ops->release(backend, g.x);
	ops->release(backend, g.y);
	ops->release(backend, g.c);
	printf("%s: sgemm of %d by %d: %.1f GFLOP/s\n", ops->describe(backend), n, n, peak);
}

typedef struct Dense
{
	int			R,
				I,
				O;
	TrLayout	layout;
	TrActivation act;
	float	   *x,
			   *w,
			   *bias,
			   *y,
			   *dx,
			   *dw;
} Dense;

static void
body_forward(void *argument)
{
	Dense	   *d = argument;

	ops->dense_forward(backend, d->y, d->x, d->w, d->bias, d->R, d->I, d->O, d->layout, d->act);
}

static void
body_backward(void *argument)
{
	Dense	   *d = argument;

	ops->dense_backward(backend, d->dx, d->dw, d->y, d->x, d->w, d->R, d->I, d->O, d->layout);
}

static void
bench_dense(int R, int I, int O, TrLayout layout, TrActivation act)
{
	char		name[64];
	double		flops = 2.0 * R * I * O;
	Dense		d = {R, I, O, layout, act, NULL, NULL, NULL, NULL, NULL, NULL};

	snprintf(name, sizeof(name), "dense (%d,%d)(%d,%d)%s", R, I, I, O, layout == TR_STORED_OI ? " OI" : "");
	if (!is_wanted(name))
		return;
	d.x = floats((size_t) R * I);
	d.w = floats((size_t) I * O);
	d.bias = floats(O);
	d.y = floats((size_t) R * O);
	d.dx = floats((size_t) R * I);
	d.dw = floats((size_t) I * O);
	snprintf(name, sizeof(name), "dense_forward (%d,%d)(%d,%d)%s", R, I, I, O, layout == TR_STORED_OI ? " OI" : "");
	report_flops(name, fastest(body_forward, &d), flops);
	snprintf(name, sizeof(name), "dense_backward (%d,%d)(%d,%d)%s", R, I, I, O, layout == TR_STORED_OI ? " OI" : "");
	report_flops(name, fastest(body_backward, &d), 2 * flops);
	ops->release(backend, d.x);
	ops->release(backend, d.w);
	ops->release(backend, d.bias);
	ops->release(backend, d.y);
	ops->release(backend, d.dx);
	ops->release(backend, d.dw);
}

static void
bench_gemm(int m, int n, int k, bool tx, bool ty)
{
	char		name[64];
	Gemm		g = {m, n, k, tx, ty, NULL, NULL, NULL};

	snprintf(name, sizeof(name), "gemm %c%c %d %d %d", tx ? 'T' : 'N', ty ? 'T' : 'N', m, n, k);
	if (!is_wanted(name))
		return;
	g.x = floats((size_t) m * k);
	g.y = floats((size_t) n * k);
	g.c = floats((size_t) m * n);
	report_flops(name, fastest(body_gemm, &g), 2.0 * m * n * k);
	ops->release(backend, g.x);
	ops->release(backend, g.y);
	ops->release(backend, g.c);
}

typedef struct Sparse
{
	TrCsr		x;
	int			H;
	float	   *w,
			   *bias,
			   *out;
} Sparse;

static void
body_sparse_forward(void *argument)
{
	Sparse	   *s = argument;

	ops->sparse_forward(backend, s->out, &s->x, s->w, s->bias, s->H, TR_TANH);
}

static void
body_sparse_backward(void *argument)
{
	Sparse	   *s = argument;

	ops->sparse_backward(backend, s->w, &s->x, s->out, s->H);
}

/* Rows of `each` entries, in skewed columns as tags are */
static TrCsr
sparse_rows(int R, int T, int each)
{
	TrCsr		x = {.rows = R, .cols = T, .capacity = (int64_t) R * each};

	x.ptr = ops->alloc(backend, sizeof(int64_t) * (R + 1));
	x.col = ops->alloc(backend, sizeof(int32_t) * x.capacity);
	x.val = floats(x.capacity);
	x.ptr[0] = 0;
	for (int r = 0; r < R; r++)
	{
		int			start = (int) tr_below(2, TR_STREAM_INIT, 0, r, T / 4);

		for (int e = 0; e < each; e++)
			x.col[(int64_t) r * each + e] = start + (int) ((int64_t) e * e * (T - start) / (each * each)) % (T - start);
		x.ptr[r + 1] = x.ptr[r] + each;
	}
	return x;
}

static void
release_rows(TrCsr *x)
{
	ops->release(backend, x->ptr);
	ops->release(backend, x->col);
	ops->release(backend, x->val);
}

static void
bench_sparse(int R, int T, int H, int each)
{
	char		name[64];
	Sparse		s = {.H = H};
	double		entries = (double) R * each;

	snprintf(name, sizeof(name), "sparse (%d,%d)(%d,%d) %d a row", R, T, T, H, each);
	if (!is_wanted(name))
		return;
	s.x = sparse_rows(R, T, each);
	s.w = floats((size_t) T * H);
	s.bias = floats(H);
	s.out = floats((size_t) R * H);
	snprintf(name, sizeof(name), "sparse_forward (%d,%d)(%d,%d) %d a row", R, T, T, H, each);
	report_bytes(name, fastest(body_sparse_forward, &s), entries * H * 4 + (double) R * H * 4);
	snprintf(name, sizeof(name), "sparse_backward (%d,%d)(%d,%d) %d a row", R, T, T, H, each);
	report_bytes(name, fastest(body_sparse_backward, &s), entries * H * 8 + (double) R * H * 4);
	release_rows(&s.x);
	ops->release(backend, s.w);
	ops->release(backend, s.bias);
	ops->release(backend, s.out);
}

static void
body_softmax(void *argument)
{
	ops->softmax_loss(backend, argument);
}

static void
bench_softmax(int U, int C, int pairs)
{
	char		name[64];
	TrSoftmax	s = {.users = U, .columns = C, .include_positive = true, .scale = 1};
	int32_t    *ptr = ops->alloc(backend, sizeof(int32_t) * (U + 1));
	int32_t    *column = ops->alloc(backend, sizeof(int32_t) * U * pairs);

	snprintf(name, sizeof(name), "softmax_loss (%d,%d) %d pairs a row", U, C, pairs);
	if (!is_wanted(name))
		return;
	for (int u = 0; u <= U; u++)
		ptr[u] = u * pairs;
	for (int p = 0; p < U * pairs; p++)
		column[p] = (int32_t) ((int64_t) (p % pairs) * C / pairs);
	s.logits = floats((size_t) U * C);
	s.pair_ptr = ptr;
	s.pair_column = column;
	s.pair_weight = floats((size_t) U * pairs);
	s.loss = ops->alloc(backend, sizeof(double));
	report_bytes(name, fastest(body_softmax, &s), 8.0 * U * C);
	ops->release(backend, s.logits);
}

typedef struct Rows
{
	int			R,
				T;
	TrCsr		x;
	float	   *z,
			   *y,
			   *bias,
			   *dbias,
			   *multiplicity,
			   *norm;
	double		loss;
} Rows;

static void
body_reconstruction(void *argument)
{
	Rows	   *r = argument;

	ops->reconstruction_loss(backend, r->z, r->bias, r->dbias, &r->x, 0, r->R, r->multiplicity, false, 1, &r->loss);
}

static void
tag_loss(Rows *r, bool softmax)
{
	TrTagLoss	t = {
		.softmax = softmax, .logits = r->z, .targets = &r->x, .bias = r->bias, .dbias = r->dbias, .scale = 1e-3f,
		.loss = &r->loss
	};

	ops->tag_loss(backend, &t);
}

static void
body_cross_entropy(void *argument)
{
	tag_loss(argument, false);
}

static void
body_tag_softmax(void *argument)
{
	tag_loss(argument, true);
}

static void
body_dropout(void *argument)
{
	Rows	   *r = argument;

	ops->dropout(backend, r->y, r->z, (int64_t) r->R * r->T, 0.5f, 1, 1);
}

static void
body_activation(void *argument)
{
	Rows	   *r = argument;

	ops->activation_backward(backend, r->z, r->dbias, r->z, r->y, r->R, r->T, TR_TANH);
}

static void
body_normalize(void *argument)
{
	Rows	   *r = argument;

	ops->normalize(backend, r->y, r->T, r->norm, r->z, r->R, r->T, 1);
}

static void
bench_rows(const char *what, Body body, int R, int T, int arrays)
{
	char		name[64];
	Rows		r = {.R = R, .T = T};

	snprintf(name, sizeof(name), "%s (%d,%d)", what, R, T);
	if (!is_wanted(name))
		return;
	r.x = sparse_rows(R, T, 40);
	r.z = floats((size_t) R * T);
	r.y = floats((size_t) R * T);
	r.bias = floats(T);
	r.dbias = floats(T);
	r.multiplicity = floats(R);
	r.norm = floats(R);
	report_bytes(name, fastest(body, &r), 4.0 * arrays * R * T);
	release_rows(&r.x);
	ops->release(backend, r.z);
	ops->release(backend, r.y);
}

typedef struct Update
{
	TrOptimizer o;
	int64_t		n;
	float	   *w,
			   *g,
			   *m,
			   *v;
	double		loss;
} Update;

static void
body_update(void *argument)
{
	Update	   *u = argument;

	ops->update(backend, &u->o, u->w, u->g, u->m, u->v, u->n);
}

static void
body_squares(void *argument)
{
	Update	   *u = argument;

	ops->sum_squares(backend, &u->loss, u->w, u->n, 1);
}

static void
bench_update(int64_t n)
{
	Update		u = {.n = n};

	if (!is_wanted("update"))
		return;
	u.o = (TrOptimizer) {TR_ADAM, 1e-4f, 0, 0.9f, 0.999f, 1e-8f, 10, 1e-4f};
	u.w = floats(n);
	u.g = floats(n);
	u.m = floats(n);
	u.v = floats(n);
	report_bytes("update, Adam", fastest(body_update, &u), 28.0 * n);
	u.o.kind = TR_SGD;
	report_bytes("update, SGD", fastest(body_update, &u), 12.0 * n);
	report_bytes("sum_squares", fastest(body_squares, &u), 4.0 * n);
}

/* ------------------------------------------------------------------ serving, on one thread */

/* Rows of width 129 against vectors, as many rows at a time as a query takes */
typedef struct Scan
{
	int			vectors;
	int			rows;
	size_t		stride;
	float	   *x,
			   *matrix,
			   *out;
} Scan;

#define SCAN_ROWS 252

static void
body_scan(void *argument)
{
	Scan	   *s = argument;

	for (int first = 0; first < s->rows; first += SCAN_ROWS)
		tr_dot_block(s->out, SCAN_ROWS, s->x, s->vectors, s->matrix + (size_t) first * s->stride,
					 s->rows - first < SCAN_ROWS ? s->rows - first : SCAN_ROWS, s->stride);
}

static void
bench_scan(int vectors, int rows)
{
	char		name[64];
	Scan		s = {.vectors = vectors, .rows = rows, .stride = tr_dot_stride(129)};
	double		bytes = 4.0 * (double) s.stride * rows;

	if (threads > 1 || !is_wanted("inner products"))
		return;
	s.x = floats((size_t) vectors * s.stride);
	s.matrix = floats((size_t) rows * s.stride);
	s.out = floats((size_t) vectors * SCAN_ROWS);
	snprintf(name, sizeof(name), "inner products, %d with (%d,129)", vectors, rows);
	report_bytes(name, fastest(body_scan, &s), bytes);
	ops->release(backend, s.x);
	ops->release(backend, s.matrix);
	ops->release(backend, s.out);
}

static void
bench_all(void)
{
	static const int rows[] = {100, 500, 1000, 2500};
	TrBackendConfig config = {.threads = threads};

	ops = tagrec_backend_ops();
	if (ops->open(&backend, &config, NULL) != TR_OK)
		exit(1);
	measure_peak();
	for (int i = 0; i < 4; i++)
	{
		int			R = rows[i];

		bench_dense(R, 2000, 300, TR_STORED_IO, TR_TANH);
		bench_dense(R, 300, 128, TR_STORED_IO, TR_TANH);
		bench_dense(R, 128, 300, TR_STORED_OI, TR_TANH);
		bench_dense(R, 300, 2000, TR_STORED_OI, TR_TANH);
		bench_dense(R, 2000, 2305, TR_STORED_OI, TR_LINEAR);
		bench_sparse(R, 2305, 2000, 40);
	}
	bench_dense(12212, 300, 128, TR_STORED_IO, TR_TANH);
	bench_gemm(512, 12212, 128, false, true);
	bench_gemm(512, 128, 12212, false, false);
	bench_gemm(12212, 128, 512, true, false);
	bench_sparse(12212, 2305, 128, 20);
	bench_sparse(12212, 2305, 256, 20);
	bench_softmax(512, 12212, 20);
	bench_softmax(128, 1000, 2);
	bench_rows("reconstruction_loss", body_reconstruction, 2500, 2305, 2);
	bench_rows("tag_loss, cross-entropy", body_cross_entropy, 1024, 2132, 2);
	bench_rows("tag_loss, softmax", body_tag_softmax, 1024, 2132, 2);
	bench_rows("dropout", body_dropout, 1024, 512, 2);
	bench_dense(1024, 512, 2132, TR_STORED_OI, TR_LINEAR);
	bench_rows("activation_backward", body_activation, 2500, 2000, 3);
	bench_rows("normalize", body_normalize, 12212, 128, 2);
	bench_update(4610000);
	for (int vectors = 1; vectors <= 32; vectors = vectors == 1 ? 4 : 8 * vectors)
	{
		bench_scan(vectors, 65877);
		bench_scan(vectors, 200000);
	}
	ops->close(backend);
}

int
main(int argc, char **argv)
{
	int			most = argc > 1 ? atoi(argv[1]) : (int) sysconf(_SC_NPROCESSORS_ONLN);

	if (argc > 2)
		wanted = argv[2];
	for (threads = argc > 1 ? most : 1; threads <= most; threads = threads < most ? most : most + 1)
		bench_all();
	return 0;
}
