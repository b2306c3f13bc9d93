/*
 * Training steps as CUDA graphs: what a step computes is the same however it is recorded, cut short, updated or given up,
 * and a failure is told. In emulation, with work as late as a device may do it, and failures on demand.
 */
#include "backends.h"
#include "cuda_emulation/emulation.h"

/* Of cudaError_t and cublasStatus_t */
#define INVALID_VALUE 1
#define NO_MEMORY 2
#define CAPTURE_INVALIDATED 901
#define UPDATE_FAILURE 910
#define BLAS_FAILED 3

/* Steps that are not recorded, at first; graphs of the self-test. */
#define PLAIN_STEPS 2
#define TEST_GRAPHS 3

#define N 4						/* x is a matrix of 2 x 2 */
#define MB ((size_t) 1 << 20)

static const TrBackendOps *ops;
static EmulatedGraphs before;	/* this test */

/* A backend, and what its steps add up. */
typedef struct Training
{
	TrBackend  *b;
	float	   *x;
	float	   *y;
	float	   *sum_x;
	float	   *sum_y;
	float	   *spare;			/* zeroes */
	int			steps;
	double		expected_x[N];
	double		expected_y[N];
} Training;

static Training
begin_training(const char *graphs)
{
	Training	t = {.steps = 0};

	if (graphs)
		setenv("TAGREC_CUDA_GRAPHS", graphs, 1);
	else
		unsetenv("TAGREC_CUDA_GRAPHS");
	t.b = open_backend(ops, 1);
	before = emulated_graphs();
	t.x = t.b->ops->alloc(t.b, N * sizeof(float));
	t.y = t.b->ops->alloc(t.b, N * sizeof(float));
	t.sum_x = t.b->ops->alloc(t.b, N * sizeof(float));
	t.sum_y = t.b->ops->alloc(t.b, N * sizeof(float));
	t.b->ops->zero(t.b, t.sum_x, N * sizeof(float));
	t.spare = t.b->ops->alloc(t.b, N * sizeof(float));
	t.b->ops->zero(t.b, t.sum_y, N * sizeof(float));
	t.b->ops->zero(t.b, t.spare, N * sizeof(float));
	return t;
}

static void
add(TrBackend *b, float *sum, const float *x, int n)
{
	b->ops->update(b, &(TrOptimizer) {.kind = TR_SGD, .rate = -1, .step = 1}, sum, x, NULL, NULL, n);
}

/* sum_x += x; its first half, a copy and a kernel */
static void
first_half(Training *t)
{
	float		x[N];

	t->steps++;
	for (int i = 0; i < N; i++)
	{
		x[i] = (float) (t->steps % 7 + i);
		t->expected_x[i] += x[i];
	}
	t->b->ops->upload(t->b, t->x, x, sizeof(x));
	memset(x, 0x7f, sizeof(x));	/* the caller's again */
	add(t->b, t->sum_x, t->x, N);
}

/* sum_y += x^2: zeroes, a product and a kernel */
static void
second_half(Training *t)
{
	float		x[N];

	for (int i = 0; i < N; i++)
		x[i] = (float) (t->steps % 7 + i);
	for (int i = 0; i < N; i++)
		t->expected_y[i] += (double) x[i / 2 * 2] * x[i % 2] + (double) x[i / 2 * 2 + 1] * x[2 + i % 2];
	t->b->ops->zero(t->b, t->y, N * sizeof(float));
	t->b->ops->gemm(t->b, t->y, 2, t->x, 2, false, t->x, 2, false, 2, 2, 2, 1, 1);
	add(t->b, t->sum_y, t->y, N);
}

static void
step(Training *t)
{
	tr_begin_step(t->b);
	first_half(t);
	second_half(t);
	tr_end_step(t->b);
}

static bool
is_right(Training *t)
{
	float		x[N];
	float		y[N];
	bool		right = true;

	t->b->ops->download(t->b, x, t->sum_x, sizeof(x));
	t->b->ops->download(t->b, y, t->sum_y, sizeof(y));
	for (int i = 0; i < N; i++)
		right = right && x[i] == t->expected_x[i] && y[i] == t->expected_y[i];
	return right && t->b->ops->finish(t->b, NULL) == TR_OK;
}

static bool
says(const Training *t, const char *what)
{
	return strstr(t->b->ops->describe(t->b), what) != NULL;
}

static long
launched(void)
{
	return emulated_graphs().launches - before.launches;
}

static long
instantiated(void)
{
	return emulated_graphs().instantiations - before.instantiations;
}

static void
end_training(Training *t)
{
	t->b->ops->close(t->b);
	CHECK(emulated_memory_in_use() == 0 && emulated_graphs().live == 0, "... and nothing is left");
}

/* ------------------------------------------------------------------ steps that are alike, and others */

static void
test_steps(void)
{
	long		so_far = emulated_graphs().launches;
	Training	t = begin_training(NULL);

	CHECK(says(&t, ", graphs"), "graphs are on: %s", t.b->ops->describe(t.b));
	CHECK_EQUAL(before.launches - so_far, TEST_GRAPHS, "the self-test launched graphs");
	for (int i = 0; i < 12; i++)
		step(&t);
	CHECK_EQUAL(launched(), 12 - PLAIN_STEPS, "steps are launched as graphs, but for the first");
	CHECK_EQUAL(instantiated(), 1, "... by one exec");
	CHECK(is_right(&t), "... and compute the same");
	end_training(&t);
}

static void
test_off(void)
{
	long		so_far = emulated_graphs().launches;
	Training	t = begin_training("no");

	CHECK(!says(&t, "graphs"), "graphs are off: %s", t.b->ops->describe(t.b));
	for (int i = 0; i < 5; i++)
		step(&t);
	CHECK(is_right(&t), "steps compute the same without");
	CHECK_EQUAL(emulated_graphs().launches - so_far, 0, "... and no graph is launched");
	end_training(&t);
}

/* Kinds of steps that take turns have an exec each. */
static void
test_kinds(void)
{
	Training	t = begin_training(NULL);

	for (int i = 0; i < 40; i++)
	{
		tr_begin_step(t.b);
		first_half(&t);
		for (int more = 0; more < i % 3; more++)
			t.b->ops->zero(t.b, t.y, N * sizeof(float));
		second_half(&t);
		tr_end_step(t.b);
	}
	CHECK_EQUAL(instantiated(), 3, "an exec for each of three kinds of steps");
	CHECK_EQUAL(launched(), 40 - PLAIN_STEPS, "... and all are graphs");
	CHECK(is_right(&t), "... and compute the same");
	end_training(&t);
}

/* zeroes: a step of so many operations more */
static void
odd_step(Training *t, int zeroes)
{
	tr_begin_step(t->b);
	first_half(t);
	for (int i = 0; i < zeroes; i++)
		t->b->ops->zero(t->b, t->y, N * sizeof(float));
	second_half(t);
	tr_end_step(t->b);
}

static void
test_given_up(void)
{
	Training	t = begin_training(NULL);

	for (int i = 0; i < 30; i++)
		odd_step(&t, i);
	CHECK(says(&t, ", graphs given up"), "steps that are never alike: %s", t.b->ops->describe(t.b));
	CHECK_EQUAL(launched(), 9, "... are launched as graphs until most of the last 16 were new");
	CHECK(is_right(&t), "... and compute the same");
	end_training(&t);

	t = begin_training("yes");
	for (int i = 0; i < 30; i++)
		odd_step(&t, i);
	CHECK(says(&t, ", graphs") && !says(&t, "given up"), "wanted by all means: %s", t.b->ops->describe(t.b));
	CHECK_EQUAL(launched(), 30 - PLAIN_STEPS, "... graphs are not given up");
	CHECK(is_right(&t), "... and compute the same");
	end_training(&t);

	/* one in three is no reason */
	t = begin_training(NULL);
	for (int i = 0; i < 60; i++)
		odd_step(&t, i % 3 ? 0 : i);
	CHECK(!says(&t, "given up"), "odd steps now and then: graphs stay");
	CHECK_EQUAL(launched(), 60 - PLAIN_STEPS, "... on");
	CHECK(is_right(&t), "... and compute the same");
	end_training(&t);
}

/* A step of very many operations is launched in two parts, of which the second is no graph. */
static void
test_long_steps(void)
{
	Training	t = begin_training(NULL);

	for (int i = 0; i < 4; i++)
		odd_step(&t, 1500);
	CHECK_EQUAL(launched(), 4 - PLAIN_STEPS, "a graph of a step's first operations");
	for (int i = 0; i < 10; i++)
		odd_step(&t, 1500);
	CHECK(says(&t, "given up"), "... is no gain");
	CHECK(is_right(&t), "... and computes the same");
	end_training(&t);
}

/* ------------------------------------------------------------------ steps cut short */

static void
cut_by_alloc(Training *t)
{
	t->b->ops->release(t->b, t->b->ops->alloc(t->b, 1000));
}

/* What was recorded still reads what is given back here: zeroes. */
static void
cut_by_release(Training *t)
{
	add(t->b, t->x, t->spare, N);
	t->b->ops->release(t->b, t->spare);
	t->spare = t->b->ops->alloc(t->b, N * sizeof(float));
	t->b->ops->zero(t->b, t->spare, N * sizeof(float));
}

static void
cut_by_download(Training *t)
{
	float		x[N];

	t->b->ops->download(t->b, x, t->sum_x, sizeof(x));
	CHECK(x[0] == t->expected_x[0], "a download in a step sees what came before it");
}

static void
cut_by_finish(Training *t)
{
	t->b->ops->finish(t->b, NULL);
}

static void
cut_by_upload(Training *t)
{
	char	   *much = calloc(1, 20 * MB);
	char	   *device = t->b->ops->alloc(t->b, 20 * MB);

	t->b->ops->upload(t->b, device, much, 20 * MB);
	t->b->ops->release(t->b, device);
	free(much);
}

/* More scratch memory each time */
static void
cut_by_scratch(Training *t)
{
	static int	rows = 1000;
	float	   *z = t->b->ops->alloc(t->b, (size_t) rows * 2 * sizeof(float));
	float	   *dbias = t->b->ops->alloc(t->b, sizeof(float));
	float		sum;

	t->b->ops->fill_column(t->b, z, 1, NULL, NULL, rows);
	t->b->ops->zero(t->b, dbias, sizeof(float));
	tr_end_step(t->b);
	tr_begin_step(t->b);
	for (int i = 1; i <= 2; i++)
		t->b->ops->activation_backward(t->b, z, dbias, z, z, rows / 2 * i, 1, TR_LINEAR);
	tr_end_step(t->b);
	t->b->ops->download(t->b, &sum, dbias, sizeof(sum));
	CHECK_EQUAL((int) sum, rows / 2 * 3, "sums by scratch memory that grows");
	t->b->ops->release(t->b, z);
	t->b->ops->release(t->b, dbias);
	rows *= 2;
}

static void
test_cuts(void)
{
	static const struct
	{
		void		(*cut) (Training *t);
		const char *name;
	}			cuts[] = {
		{cut_by_alloc, "memory taken"}, {cut_by_release, "memory given back"}, {cut_by_download, "a download"},
		{cut_by_finish, "a wait"}, {cut_by_upload, "a large upload"}, {cut_by_scratch, "scratch memory that grows"}
	};

	for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++)
	{
		Training	t = begin_training("yes");

		for (int i = 0; i < 8; i++)
		{
			tr_begin_step(t.b);
			first_half(&t);
			if (i % 2)
				cuts[c].cut(&t);
			second_half(&t);
			tr_end_step(t.b);
		}
		CHECK(launched() >= 8 - PLAIN_STEPS, "%s cuts a step short: what there is becomes a graph", cuts[c].name);
		CHECK(is_right(&t), "... and the step computes the same");
		end_training(&t);
	}
}

/* Steps that are always cut are no gain. */
static void
test_always_cut(void)
{
	Training	t = begin_training(NULL);

	for (int i = 0; i < 20; i++)
	{
		tr_begin_step(t.b);
		first_half(&t);
		cut_by_finish(&t);
		second_half(&t);
		tr_end_step(t.b);
	}
	CHECK(says(&t, "given up"), "steps that are always cut: %s", t.b->ops->describe(t.b));
	CHECK(is_right(&t), "... compute the same");
	end_training(&t);
}

/* A step that failed in the model is not ended. */
static void
test_open_step(void)
{
	Training	t = begin_training(NULL);

	for (int i = 0; i < 6; i++)
	{
		tr_begin_step(t.b);
		first_half(&t);
		second_half(&t);
		if (i % 2)
			tr_end_step(t.b);
	}
	CHECK(is_right(&t), "a step that is not ended is ended by the next, or by a wait");
	CHECK(says(&t, ", graphs") && !says(&t, "given up"), "... and graphs stay on");
	end_training(&t);

	t = begin_training(NULL);
	for (int i = 0; i < 6; i++)
		step(&t);
	tr_begin_step(t.b);
	first_half(&t);
	end_training(&t);			/* "nothing is left" */
	tr_end_step(&(TrBackend) {.ops = &tr_plain_ops});
}

/* ------------------------------------------------------------------ pinned memory, and pacing */

/* sums the uploads of `steps` steps, n floats each, through pinned memory that is used again and again */
static void
check_uploads(const char *graphs, int steps, int n)
{
	Training	t = begin_training(graphs);
	float	   *host = malloc((size_t) n * sizeof(float));
	float	   *x = t.b->ops->alloc(t.b, (size_t) n * sizeof(float));
	float	   *sum = t.b->ops->alloc(t.b, (size_t) n * sizeof(float));
	bool		right = true;

	t.b->ops->zero(t.b, sum, (size_t) n * sizeof(float));
	for (int s = 1; s <= steps; s++)
	{
		for (int i = 0; i < n; i++)
			host[i] = (float) (s * (i % 13));
		tr_begin_step(t.b);
		t.b->ops->upload(t.b, x, host, (size_t) n * sizeof(float));
		add(t.b, sum, x, n);
		tr_end_step(t.b);
	}
	t.b->ops->download(t.b, host, sum, (size_t) n * sizeof(float));
	for (int i = 0; i < n; i++)
		right = right && host[i] == (float) (steps * (steps + 1) / 2 * (i % 13));
	CHECK(right, "%d uploads of %d KB each", steps, n / 256);
	free(host);
	if (graphs)
		CHECK_EQUAL(launched(), 0, "... by no graph");
	else if ((size_t) n * sizeof(float) < 2 * MB)
		CHECK_EQUAL(launched() - instantiated(), steps - PLAIN_STEPS - 1, "... cut no step");
	else
		CHECK(says(&t, "given up"), "... are too large for graphs");
	end_training(&t);
}

static void
test_pacing(void)
{
	Training	t = begin_training(NULL);
	int			most;

	t.b->ops->finish(t.b, NULL);
	emulated_most_waiting();
	for (int i = 0; i < 200; i++)
		step(&t);
	most = emulated_most_waiting();
	CHECK(most >= 64 && most <= 5 * 70, "the host was %d operations ahead of %d, at most", most, 5 * 200);
	CHECK(is_right(&t), "... and steps compute the same");
	end_training(&t);
}

/* ------------------------------------------------------------------ failures */

static void
test_updates(void)
{
	Training	t = begin_training(NULL);

	for (int i = 0; i < 5; i++)
		step(&t);
	emulate_failure("cudaGraphExecUpdate", UPDATE_FAILURE, 0);
	step(&t);
	CHECK_EQUAL(instantiated(), 2, "an exec that cannot be updated: another one");
	emulate_failure("cudaGraphExecUpdate", INVALID_VALUE, 0);
	step(&t);
	for (int i = 0; i < 5; i++)
		step(&t);
	CHECK_EQUAL(instantiated(), 2, "an update that fails otherwise: the other one");
	CHECK(is_right(&t), "... and steps compute the same");
	emulate_failure("cudaGraphInstantiate", NO_MEMORY, 0);
	odd_step(&t, 1);
	CHECK_EQUAL(instantiated(), 3, "no memory for an exec, and then there is");
	CHECK(is_right(&t), "... and steps compute the same");
	emulate_failure("cudaStreamBeginCapture", INVALID_VALUE, 0);
	step(&t);
	step(&t);
	CHECK(says(&t, "given up"), "a stream that does not record: graphs are given up");
	CHECK(is_right(&t), "... and steps compute the same");
	end_training(&t);
}

/* Whatever fails while a step is recorded or launched is told, with the call's name and what can be done. */
static void
check_failure(const char *call, int status, TrStatus expected, const char *pattern)
{
	Training	t = begin_training(NULL);
	float		x[N] = {1, 1, 1, 1};
	TrError		err = {0};

	for (int i = 0; i < PLAIN_STEPS; i++)
		step(&t);
	emulate_failure(call, status, 0);
	step(&t);
	emulate_failure(NULL, 0, 0);
	step(&t);
	t.b->ops->download(t.b, x, t.sum_x, sizeof(x));
	CHECK(x[0] == 0, "%s failed in a step: a download gives zeroes", call);
	CHECK_EQUAL(t.b->ops->finish(t.b, &err), expected, "... and finish() says: %s (%s)", err.message, err.hint);
	CHECK(strstr(err.message, pattern) && (expected == TR_NO_MEMORY || strstr(err.hint, "TAGREC_CUDA_GRAPHS=no")),
		  "... what failed, and what to do");
	CHECK(t.b->ops->alloc(t.b, 100) == NULL && t.b->ops->finish(t.b, NULL) == expected, "... and nothing works any more");
	t.b->ops->release(t.b, t.x);
	end_training(&t);
}

static void
test_failures(void)
{
	check_failure("launch", CAPTURE_INVALIDATED, TR_BACKEND, "sgd_kernel");
	check_failure("cudaMemcpyAsync", INVALID_VALUE, TR_BACKEND, "cudaMemcpyAsync");
	check_failure("cudaMemsetAsync", CAPTURE_INVALIDATED, TR_BACKEND, "cudaMemsetAsync");
	check_failure("cublasGemmEx", BLAS_FAILED, TR_NO_MEMORY, "cublasGemmEx");
	check_failure("cublasGemmEx", 13, TR_BACKEND, "cublasGemmEx");
	check_failure("cudaStreamEndCapture", CAPTURE_INVALIDATED, TR_BACKEND, "cudaStreamEndCapture");
	check_failure("cudaGraphInstantiate", INVALID_VALUE, TR_BACKEND, "cudaGraphInstantiate");
	check_failure("cudaGraphLaunch", INVALID_VALUE, TR_BACKEND, "cudaGraphLaunch");
	check_failure("cudaGraphLaunch", NO_MEMORY, TR_NO_MEMORY, "cudaGraphLaunch");
}

/* Where the self-test fails, training does without. */
static void
test_self_test(void)
{
	static const struct
	{
		const char *call;
		int			status;
		int			after;
	}			failures[] = {
		{"cudaStreamBeginCapture", INVALID_VALUE, 0}, {"cudaStreamEndCapture", CAPTURE_INVALIDATED, 0},
		{"cudaStreamEndCapture", CAPTURE_INVALIDATED, 1}, {"cudaGraphInstantiate", INVALID_VALUE, 0},
		{"cudaGraphExecUpdate", UPDATE_FAILURE, 0}, {"cudaGraphLaunch", INVALID_VALUE, 0},
		{"cudaGraphLaunch", NO_MEMORY, 1}, {"a graph's work", 1, 2}, {"a graph's work", 1, 6},
		{"launch", CAPTURE_INVALIDATED, 1}, {"cublasGemmEx", 13, 1}, {"cudaMemcpyAsync", INVALID_VALUE, 2},
		{"cublasSetWorkspace", INVALID_VALUE, 0}
	};

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		for (int wanted = 0; wanted < 2; wanted++)
		{
			Training	t;

			emulate_failure(failures[i].call, failures[i].status, failures[i].after);
			t = begin_training(wanted ? "yes" : NULL);
			CHECK(!says(&t, "graphs"), "no graphs where %s fails: %s", failures[i].call, t.b->ops->describe(t.b));
			emulate_failure(NULL, 0, 0);
			for (int s = 0; s < 5; s++)
				step(&t);
			CHECK(is_right(&t), "... and steps compute the same");
			CHECK_EQUAL(launched(), 0, "... without one");
			end_training(&t);
		}

	emulate_memory(MB);
	{
		Training	t = begin_training(NULL);

		CHECK(!says(&t, "graphs"), "no graphs without room for cuBLAS");
		step(&t);
		CHECK(is_right(&t), "... and steps compute the same");
		end_training(&t);
	}
	emulate_memory((size_t) 8 << 30);
}

int
main(void)
{
	if (getenv("TAGREC_CUDA_LIBRARY"))
	{
		printf("1..0 # SKIP for the emulation only\n");
		return 0;
	}
	ops = tr_cuda_test_ops();
	for (int late = 0; late < 2; late++)
	{
		printf("# work is done %s\n", late ? "as late as may be" : "at once");
		emulate_late(late);
		test_steps();
		test_off();
		test_kinds();
		test_given_up();
		test_long_steps();
		test_cuts();
		test_always_cut();
		test_open_step();
		check_uploads(NULL, 40, 1 << 18);	/* a quarter of a segment */
		check_uploads(NULL, 60, 300000);
		check_uploads(NULL, 20, 1500000);	/* more than a segment */
		check_uploads("no", 20, 1500000 / 4);
		test_updates();
		test_failures();
		test_self_test();
	}
	test_pacing();
	return check_done();
}
