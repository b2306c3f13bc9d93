/*
 * Profiles of a batch, a warp to a row. A row is first written to scratch memory, where it would stand if all its entity's
 * entries were kept; when the lengths that are left are known, the rows move together. Random numbers are those of every
 * backend (core/rng.h).
 */
#include "cuda_common.cuh"

#define THREADS 256
#define WARPS (THREADS / TR_WARP)
#define BLOCK_ROWS 1024			/* of a block of the scan */
#define SHARE (BLOCK_ROWS / THREADS)

/* Lengths of rows: of the entities' whole profiles, or as counted. */
typedef struct Whole
{
	const int64_t *entry_ptr;
	const int32_t *entity;
} Whole;

typedef struct Kept
{
	const int32_t *kept;
} Kept;

static __device__ inline int64_t
length_of(const Whole &rows, int r)
{
	return rows.entry_ptr[rows.entity[r] + 1] - rows.entry_ptr[rows.entity[r]];
}

static __device__ inline int64_t
length_of(const Kept &rows, int r)
{
	return rows.kept[r];
}

/* Sum over a thread's share of the rows */
template <typename Rows>
static __device__ inline int64_t
sum_share(const Rows &rows, int first, int R)
{
	int64_t		sum = 0;

	for (int i = 0; i < SHARE; i++)
		sum += first + i < R ? length_of(rows, first + i) : 0;
	return sum;
}

/* sum (blocks) = entries of each block of rows */
template <typename Rows>
static __global__ void __launch_bounds__(THREADS)
count_kernel(int64_t *sum, Rows rows, int R)
{
	TR_SHARED(int64_t, warp_sums, TR_WARP);
	int64_t		all;

	tr_block_scan<int64_t>(sum_share(rows, blockIdx.x * BLOCK_ROWS + threadIdx.x * SHARE, R), warp_sums, &all);
	if (threadIdx.x == 0)
		sum[blockIdx.x] = all;
}

/* sum (n) becomes the sum over those before; one block */
static __global__ void __launch_bounds__(THREADS)
scan_kernel(int64_t *sum, int n)
{
	TR_SHARED(int64_t, warp_sums, TR_WARP);
	int64_t		before = 0;

	for (int first = 0; first < n; first += THREADS)
	{
		int			i = first + threadIdx.x;
		int64_t		all;
		int64_t		here = tr_block_scan<int64_t>(i < n ? sum[i] : 0, warp_sums, &all);

		if (i < n)
			sum[i] = before + here;
		before += all;
	}
}

/* ptr (R+1); before (blocks) or NULL when there is one block */
template <typename Rows>
static __global__ void __launch_bounds__(THREADS)
ptr_kernel(int64_t *ptr, const int64_t *before, Rows rows, int R)
{
	TR_SHARED(int64_t, warp_sums, TR_WARP);
	int			first = blockIdx.x * BLOCK_ROWS + threadIdx.x * SHARE;
	int64_t		all;
	int64_t		at = tr_block_scan<int64_t>(sum_share(rows, first, R), warp_sums, &all) + (before ? before[blockIdx.x] : 0);

	for (int i = 0; i < SHARE && first + i <= R; i++)
	{
		ptr[first + i] = at;
		at += first + i < R ? length_of(rows, first + i) : 0;
	}
}

static int
scan_blocks(int R)
{
	return (int) tr_cuda_blocks((int64_t) R + 1, BLOCK_ROWS);
}

/* ptr (R+1) = where each row starts; before (scan_blocks(R)) is scratch */
template <typename Rows>
static void
scan_rows(TrBackend *b, int64_t *ptr, int64_t *before, Rows rows, int R)
{
	int			blocks = scan_blocks(R);

	if (blocks > 1)
	{
		TR_LAUNCH(b, count_kernel<Rows>, (unsigned) blocks, THREADS, 0, before, rows, R);
		TR_LAUNCH(b, scan_kernel, 1, THREADS, 0, before, blocks);
	}
	TR_LAUNCH(b, ptr_kernel<Rows>, (unsigned) blocks, THREADS, 0, ptr, blocks > 1 ? before : NULL, rows, R);
}

typedef struct Profiles
{
	/* scratch: rows as long as they can be, and how long they are */
	int64_t    *ptr;			/* (R+1) */
	int32_t    *col;
	float	   *val;
	int32_t    *kept;			/* (R) */
	TrCsr		out;
	TrProfileTable table;
	const int32_t *entity;
	const int32_t *without_post;
	TrProfileWeights weights;
	TrProfileRule rule;
} Profiles;

/* What is left of entry e over the posts that the rule keeps and that are not `without` */
static __device__ float
kept_count(const Profiles &a, int64_t e, int32_t without)
{
	const TrProfileRule &rule = a.rule;
	float		count = 0;

	if (rule.keep >= 1 && without < 0)
		return a.table.count[e];
	for (int64_t o = a.table.occurrence_ptr[e]; o < a.table.occurrence_ptr[e + 1]; o++)
	{
		int32_t		post = a.table.post[o];

		if (post != without
			&& (rule.keep >= 1 || tr_uniform(rule.seed, TR_STREAM_KEEP, rule.step, (uint64_t) post) < rule.keep))
			count += a.table.weight ? a.table.weight[o] : 1;
	}
	return count;
}

static __device__ inline bool
drops_tag(const TrProfileRule &rule, int r, int32_t tag)
{
	return rule.tag_dropout > 0
		&& tr_uniform(rule.seed, TR_STREAM_TAG_DROPOUT, rule.step, (uint64_t) r << 32 | (uint32_t) tag) < rule.tag_dropout;
}

/*
 * The row's entries that are left, with their counts; returns how many. *length = sum of the counts, dropped tags among
 * them.
 */
static __device__ int
count_row(const Profiles &a, int r, int32_t *col, float *val, float *length)
{
	int			lane = threadIdx.x % TR_WARP;
	int64_t		from = a.table.entry_ptr[a.entity[r]];
	int64_t		n = a.table.entry_ptr[a.entity[r] + 1] - from;
	int			left = 0;
	float		sum = 0;

	for (int64_t first = 0; first < n; first += TR_WARP)
	{
		int64_t		e = from + first + lane;
		bool		there = first + lane < n;
		int32_t		tag = there ? a.table.tag[e] : 0;
		float		count = there ? kept_count(a, e, a.without_post ? a.without_post[r] : -1) : 0;
		bool		stays = count != 0 && !drops_tag(a.rule, r, tag);
		unsigned	staying = __ballot_sync(TR_ALL_LANES, stays);
		int			to = left + __popc(staying & ((1u << lane) - 1));

		sum += count;
		if (stays)
		{
			col[to] = tag;
			val[to] = count;
		}
		left += __popc(staying);
	}
	*length = tr_warp_sum(sum);
	__syncwarp(TR_ALL_LANES);
	return left;
}

/* Counts val (n) become weights; returns what they are to be divided by, or 0. */
static __device__ float
weigh(const Profiles &a, const int32_t *col, float *val, int n, float length)
{
	double		squares = 0;
	float		top = 0;

	for (int e = threadIdx.x % TR_WARP; e < n; e += TR_WARP)
	{
		float		weight = tr_tag_weight(&a.weights, col[e], val[e], length);

		val[e] = weight;
		squares += (double) weight * weight;
		top = fmaxf(top, weight);
	}
	if (a.weights.norm == TR_NORM_L2)
		return (float) sqrt(tr_warp_sum(squares));
	return a.weights.norm == TR_NORM_MAX ? tr_warp_max(top) : 0;
}

static __global__ void __launch_bounds__(THREADS)
fill_kernel(Profiles a, int R)
{
	int			r = blockIdx.x * WARPS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	float		length;
	float		norm;

	if (r >= R)
		return;

	int32_t    *col = a.col + a.ptr[r];
	float	   *val = a.val + a.ptr[r];
	int			n = count_row(a, r, col, val, &length);

	norm = weigh(a, col, val, n, length);
	if (norm > 0)
		for (int e = lane; e < n; e += TR_WARP)
			val[e] /= norm;
	if (lane == 0)
		a.kept[r] = n;
}

static __global__ void __launch_bounds__(THREADS)
move_kernel(Profiles a, int R)
{
	int			r = blockIdx.x * WARPS + threadIdx.x / TR_WARP;

	if (r >= R)
		return;
	for (int e = threadIdx.x % TR_WARP; e < a.kept[r]; e += TR_WARP)
	{
		a.out.col[a.out.ptr[r] + e] = a.col[a.ptr[r] + e];
		a.out.val[a.out.ptr[r] + e] = a.val[a.ptr[r] + e];
	}
}

void
tr_cuda_profile_rows(TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity,
					 const int32_t *without_post, int R, const TrProfileWeights *weights, const TrProfileRule *rule)
{
	size_t		most = tr_cuda_room(b, out->col) / sizeof(int32_t);	/* room for all entries, the contract says */
	Whole		whole = {table->entry_ptr, entity};
	Profiles	a = {};
	int64_t    *before;
	char	   *at = (char *) tr_cuda_scratch(b, 8 * most + 12 * ((size_t) R + 1) + 8 * (size_t) scan_blocks(R) + 5 * 256);

	if (!at)
		return;
	before = (int64_t *) tr_cuda_piece(&at, sizeof(int64_t) * scan_blocks(R));
	a.ptr = (int64_t *) tr_cuda_piece(&at, sizeof(int64_t) * (R + 1));
	a.kept = (int32_t *) tr_cuda_piece(&at, sizeof(int32_t) * R);
	a.col = (int32_t *) tr_cuda_piece(&at, sizeof(int32_t) * most);
	a.val = (float *) tr_cuda_piece(&at, sizeof(float) * most);
	Kept		kept = {a.kept};

	out->rows = R;
	a.out = *out;
	a.table = *table;
	a.entity = entity;
	a.without_post = without_post;
	a.weights = *weights;
	a.rule = *rule;
	scan_rows(b, a.ptr, before, whole, R);
	TR_LAUNCH(b, fill_kernel, (unsigned) tr_cuda_blocks(R, WARPS), THREADS, 0, a, R);
	scan_rows(b, out->ptr, before, kept, R);
	TR_LAUNCH(b, move_kernel, (unsigned) tr_cuda_blocks(R, WARPS), THREADS, 0, a, R);
}
