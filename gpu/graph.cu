/*
 * A training step as a CUDA graph. Between begin_step() and end_step() the stream records what is queued; end_step() puts
 * the record into a graph that can be launched, and launches it: the host pays for one launch, and the device has no gap to
 * wait for the host in.
 *
 *   record   what a step queued, with the arguments it had. Whatever a record may not contain cuts it short: what there is
 *            is launched, and the rest of the step goes into the stream as if there were no graphs.
 *   exec     a graph that can be launched. A later step's record replaces its arguments, shapes and, of a kernel, the
 *            function (drivers since 11.2), without touching launches under way; the kinds of operations must be the same.
 *   kept     execs of several kinds of steps (the last one of an epoch, a decoder of more blocks, what cuBLAS makes of
 *            another shape), the one that was used longest ago is replaced
 *   miss     a step that needed a new exec, or was cut. Graphs are given up when most of the last steps are misses.
 *
 * The first steps are not recorded: buffers grow, the driver loads kernels, cuBLAS prepares itself. TAGREC_CUDA_GRAPHS=no
 * in the environment keeps graphs off, =yes keeps them on whatever the misses.
 */
#include "cuda_common.cuh"

#define PLAIN_STEPS 2
#define MOST_OPERATIONS 512		/* of a graph: a step that has more is long, and a cancelled training should stop soon */
#define WATCHED_STEPS 16
#define MOST_MISSES 8

/* ------------------------------------------------------------------ execs */

static cudaError_t
update(cudaGraphExec_t exec, cudaGraph_t graph)
{
#if CUDART_VERSION >= 12000
	cudaGraphExecUpdateResultInfo info;

	return cudaGraphExecUpdate(exec, graph, &info);
#else
	cudaGraphNode_t node;
	cudaGraphExecUpdateResult result;

	return cudaGraphExecUpdate(exec, graph, &node, &result);
#endif
}

static cudaError_t
instantiate(cudaGraphExec_t *exec, cudaGraph_t graph)
{
#if CUDART_VERSION >= 12000
	return cudaGraphInstantiate(exec, graph, 0);
#else
	return cudaGraphInstantiate(exec, graph, NULL, NULL, 0);
#endif
}

/* A launch of it that is under way goes on. */
static void
drop(TrCudaExec *kept)
{
	if (kept->exec)
		cudaGraphExecDestroy(kept->exec);
	*kept = TrCudaExec{};
}

/* Memory that the pool keeps may be what is missing. */
static bool
renew(TrBackend *b, TrCudaExec *kept, cudaGraph_t graph)
{
	TrCudaGraphs *g = &tr_cuda(b)->graphs;
	cudaError_t status;

	drop(kept);
	status = instantiate(&kept->exec, graph);
	if (status == cudaErrorMemoryAllocation)
	{
		cudaGetLastError();
		if (tr_cuda_trim_pool(b))
			status = instantiate(&kept->exec, graph);
	}
	if (status != cudaSuccess)
		kept->exec = NULL;
	kept->signature = g->signature;
	g->instantiated++;
	return tr_cuda_check(b, status, "cudaGraphInstantiate");
}

/* An exec with the record's arguments; NULL after noting the failure. */
static TrCudaExec *
find_exec(TrBackend *b, cudaGraph_t graph, bool *fresh)
{
	TrCudaGraphs *g = &tr_cuda(b)->graphs;
	TrCudaExec *oldest = &g->kept[0];

	*fresh = false;
	for (TrCudaExec *kept = g->kept; kept < g->kept + TR_GRAPHS_KEPT; kept++)
	{
		cudaError_t status;

		if (kept->exec && kept->signature == g->signature)
		{
			status = update(kept->exec, graph);
			if (status == cudaSuccess)
				return kept;
			cudaGetLastError();
			/* a change that it does not allow leaves it as it was; what another failure leaves nobody says */
			if (status != cudaErrorGraphExecUpdateFailure)
				drop(kept);
		}
		if (kept->used < oldest->used)
			oldest = kept;
	}
	*fresh = true;
	return renew(b, oldest, graph) ? oldest : NULL;
}

/* ------------------------------------------------------------------ records */

static void
give_up(TrCuda *cuda)
{
	char	   *told = strstr(cuda->description, ", graphs");

	cuda->graphs.on = false;
	for (int i = 0; i < TR_GRAPHS_KEPT; i++)
		drop(&cuda->graphs.kept[i]);
	if (told)
		snprintf(told, sizeof(cuda->description) - (size_t) (told - cuda->description), ", graphs given up");
}

static void
note_step(TrCuda *cuda, bool miss)
{
	TrCudaGraphs *g = &cuda->graphs;
	int			misses = 0;

	g->misses = (g->misses << 1 | miss) & ((1u << WATCHED_STEPS) - 1);
	for (uint32_t bits = g->misses; bits; bits &= bits - 1)
		misses++;
	if (misses > MOST_MISSES && !g->forced)
		give_up(cuda);
}

static void
begin_record(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);
	TrCudaGraphs *g = &cuda->graphs;

	/* relaxed: a kernel that is used for the first time may have to be loaded now */
	if (cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeRelaxed) != cudaSuccess)
	{
		cudaGetLastError();
		give_up(cuda);
		return;
	}
	g->recording = true;
	g->signature = 0;
	g->recorded = 0;
}

/* Takes the record from the stream; NULL after noting the failure, and after an earlier one. */
static cudaGraph_t
end_record(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);
	cudaGraph_t graph = NULL;
	cudaError_t status = cudaStreamEndCapture(cuda->stream, &graph);

	cuda->graphs.recording = false;
	if (tr_cuda_check(b, status, "cudaStreamEndCapture"))
		return graph;
	if (graph)
		cudaGraphDestroy(graph);
	cudaGetLastError();
	return NULL;
}

/* The record's copies read pinned memory when they run: what follows in the stream waits for them, as for any copy. */
static void
launch_record(TrBackend *b, bool whole)
{
	TrCuda	   *cuda = tr_cuda(b);
	TrCudaGraphs *g = &cuda->graphs;
	cudaGraph_t graph = end_record(b);
	bool		fresh = false;
	TrCudaExec *kept;

	if (!graph)
		return;
	if (g->recorded > 0 && (kept = find_exec(b, graph, &fresh)) != NULL)
	{
		kept->used = g->steps;
		if (tr_cuda_check(b, cudaGraphLaunch(kept->exec, cuda->stream), "cudaGraphLaunch"))
			tr_cuda_pace(b, g->recorded);
	}
	cudaGraphDestroy(graph);
	note_step(cuda, fresh || !whole);
}

void
tr_cuda_cut_step(TrBackend *b)
{
	launch_record(b, false);
}

void
tr_cuda_record(TrBackend *b, char kind)
{
	TrCudaGraphs *g = &tr_cuda(b)->graphs;

	g->signature = (g->signature ^ (uint64_t) kind) * UINT64_C(0x100000001B3);
	if (++g->recorded == MOST_OPERATIONS)
		tr_cuda_cut_step(b);
}

/* ------------------------------------------------------------------ steps */

/* A step that takes as much pinned memory as the last one, and some, should not be cut for a segment that is full. */
void
tr_cuda_begin_step(TrBackend *b)
{
	TrCudaGraphs *g = &tr_cuda(b)->graphs;

	tr_cuda_cut(b);
	if (!g->on || tr_cuda_failed(b))
		return;
	tr_cuda_make_room(b, g->uploaded + g->uploaded / 4);
	g->uploaded = 0;
	if (++g->steps > PLAIN_STEPS && !tr_cuda_failed(b))
		begin_record(b);
}

void
tr_cuda_end_step(TrBackend *b)
{
	if (tr_cuda(b)->graphs.recording)
		launch_record(b, true);
}

/* ------------------------------------------------------------------ self-test */

#define SIDE 4
#define N (SIDE * SIDE)
#define TEST_STEPS 4

/* memory (TEST_STEPS + 2, N): y of each step, x, ones. y = x^2 - k, by every kind of operation. */
static void
test_step(TrBackend *b, float *memory, int k)
{
	TrOptimizer subtract = {};
	float	   *y = memory + k * N;
	float	   *x = memory + TEST_STEPS * N;
	float	   *one = x + N;
	float		host[2 * N] = {};

	for (int i = 0; i < N; i++)
	{
		host[i] = (float) (i % 5 + k);
		host[N + i] = 1;
	}
	subtract.kind = TR_SGD;
	subtract.rate = (float) k;
	subtract.step = 1;
	tr_cuda_upload(b, x, host, sizeof(host));
	tr_cuda_zero(b, y, N * sizeof(float));
	tr_cuda_gemm(b, y, SIDE, x, SIDE, false, x, SIDE, false, SIDE, SIDE, SIDE, 1, 1);
	tr_cuda_update(b, &subtract, y, one, NULL, NULL, N);
}

static bool
check_steps(TrBackend *b, const float *memory)
{
	float		y[TEST_STEPS * N];

	tr_cuda_download(b, y, memory, sizeof(y));
	for (int at = 0; at < TEST_STEPS * N; at++)
	{
		int			k = at / N;
		int			sum = -k;

		for (int l = 0; l < SIDE; l++)
			sum += ((at % N / SIDE * SIDE + l) % 5 + k) * ((l * SIDE + at % SIDE) % 5 + k);
		if (y[at] != (float) sum)
			return false;
	}
	return !tr_cuda_failed(b);
}

/* A step into the stream, so that everything is loaded; then graphs, one behind the other, all of the same exec. */
static bool
self_test(TrBackend *b)
{
	TrCudaGraphs *g = &tr_cuda(b)->graphs;
	float	   *memory = (float *) tr_cuda_alloc(b, (TEST_STEPS + 2) * N * sizeof(float));
	bool		passed;

	if (!memory)
		return false;
	for (int k = 0; k < TEST_STEPS; k++)
	{
		if (k > 0 && g->on && !tr_cuda_failed(b))
			begin_record(b);
		test_step(b, memory, k);
		tr_cuda_end_step(b);
	}
	passed = check_steps(b, memory) && g->on && g->instantiated == 1;
	tr_cuda_release(b, memory);
	for (int i = 0; i < TR_GRAPHS_KEPT; i++)
		drop(&g->kept[i]);
	g->misses = 0;
	return passed;
}

/* A card or a driver that does not do graphs as they are used here does without, and whatever failed is no failure. */
void
tr_cuda_open_graphs(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);
	TrCudaGraphs *g = &cuda->graphs;
	const char *wanted = getenv("TAGREC_CUDA_GRAPHS");
	size_t		length = strlen(cuda->description);

	if (wanted && strcmp(wanted, "no") == 0)
		return;
	g->on = true;
	if (self_test(b))
	{
		g->forced = wanted && strcmp(wanted, "yes") == 0;
		snprintf(cuda->description + length, sizeof(cuda->description) - length, ", graphs");
		return;
	}
	tr_cuda_close_graphs(b);
	cuda->error = TrError{};
}

/* A record that was not ended is dropped. */
void
tr_cuda_close_graphs(TrBackend *b)
{
	TrCudaGraphs *g = &tr_cuda(b)->graphs;
	cudaGraph_t graph;

	if (g->recording && (graph = end_record(b)) != NULL)
		cudaGraphDestroy(graph);
	for (int i = 0; i < TR_GRAPHS_KEPT; i++)
		drop(&g->kept[i]);
	cudaGetLastError();
	*g = TrCudaGraphs{};
}
