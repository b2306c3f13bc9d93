/*
 * The scan by bounds against the plain one: the same rows, scores and order, over matrices like those that training leaves
 * and over ones made to break bounds. SCAN_QUERIES in the environment: how many queries of each matrix.
 */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/scan.h"

/* Instruments make it slow. */
#ifdef __SANITIZE_ADDRESS__
#define MANY 40
#else
#define MANY 400
#endif

enum
{
	VALUE = 1, PLACE, QUERY, SKIP, SPARSE
};

typedef enum Kind
{
	RANDOM, TRAINED, EQUAL, TINY, DENORMAL, POPULAR, ONE_AXIS, ZERO, ANY_SCALE, HUGE, OUTLIER, KINDS
} Kind;

static const char *const kind_name[] = {
	"random", "trained-like", "equal rows", "tiny norms", "denormals", "huge popularity", "one axis", "zero", "of any scale",
	"huge", "outliers"
};

typedef struct Matrix
{
	Kind		kind;
	int32_t		rows;
	int			width;
	int			unit;
	size_t		stride;
	float	   *value;
	float	   *norm;
	float	   *sparse;
	TrCodes    *codes;			/* NULL = the plan was not to have any */
} Matrix;

static float *
aligned(size_t n)
{
	float	   *x = aligned_alloc(64, (n * sizeof(float) + 64) / 64 * 64);

	memset(x, 0, n * sizeof(float));
	return x;
}

static float
power_of_ten(uint64_t row, int least, int most)
{
	return powf(10, (float) least + (float) tr_below(2, PLACE, row, 1, (uint64_t) (most - least + 1)));
}

/* ------------------------------------------------------------------ matrices */

/* A row of the unit part before it is made as long as it should be. */
static void
direction(const Matrix *m, float *x, uint64_t row)
{
	uint64_t	source = m->kind == EQUAL ? tr_below(3, PLACE, row, 0, 7) : row;

	for (int k = 0; k < m->unit; k++)
	{
		float		fall = m->kind == RANDOM || m->kind == ONE_AXIS ? 1 : expf(-(float) k / 12);

		x[k] = fall * tr_normal(1, VALUE, source, (uint64_t) k);
	}
	if (m->kind == TRAINED || m->kind == POPULAR)	/* not along the coordinates */
		for (int k = 0; k + 1 < m->unit; k++)
			x[k + 1] += 0.6f * x[k];
	if (m->kind == ONE_AXIS)
		memset(x + 1, 0, (size_t) (m->unit - 1) * sizeof(float));
	if (m->kind == OUTLIER && row % 1000 == 999)
		for (int k = 0; k < m->unit; k++)
			x[k] = k == m->unit - 1 ? 5 : 0;
}

static float
length_of(const Matrix *m, uint64_t row)
{
	switch (m->kind)
	{
		case TINY:
			return power_of_ten(row, -25, -15);
		case DENORMAL:
			return power_of_ten(row, -42, -36);
		case ANY_SCALE:
			return power_of_ten(row, -30, 8);
		case HUGE:
			return power_of_ten(row, 17, 37);
		case ZERO:
			return 0;
		case OUTLIER:
			return row % 777 == 5 ? 1000 : 1;
		default:
			return 1;
	}
}

static void
make_row(const Matrix *m, float *x, uint64_t row)
{
	float		size = 0;

	direction(m, x, row);
	for (int k = 0; k < m->unit; k++)
		size += x[k] * x[k];
	for (int k = 0; k < m->unit && size > 0; k++)
		x[k] *= length_of(m, row) / sqrtf(size);
	for (int k = m->unit; k < m->width; k++)
		x[k] = (m->kind == POPULAR ? 1e6f : m->kind == ZERO ? 0 : 0.1f) * tr_uniform(1, VALUE, row, (uint64_t) k);
}

static void
code_matrix(Matrix *m)
{
	void	   *work = aligned_alloc(64, tr_codes_work(m->unit, m->stride));
	TrCodes		plan;

	m->codes = NULL;
	if (tr_codes_plan(&plan, m->value, m->rows, m->width, m->unit, m->stride, work))
	{
		m->codes = tr_codes_begin(aligned_alloc(64, plan.bytes), &plan, work);
		for (int32_t first = 0; first < m->rows; first += 1024)
			tr_codes_fill(m->codes, m->value, first, m->rows - first < 1024 ? m->rows - first : 1024, work);
	}
	free(work);
}

static Matrix
make_matrix(Kind kind, int32_t rows, int width, int unit)
{
	Matrix		m = {.kind = kind, .rows = rows, .width = width, .unit = unit, .stride = tr_dot_stride(width)};

	m.value = aligned((size_t) rows * m.stride);
	m.norm = aligned((size_t) rows);
	m.sparse = aligned((size_t) rows);
	for (int32_t row = 0; row < rows; row++)
	{
		double		sum = 0;
		float	   *x = m.value + (size_t) row * m.stride;

		make_row(&m, x, (uint64_t) row);
		for (int k = 0; k < unit; k++)
			sum += (double) x[k] * x[k];
		m.norm[row] = (float) sqrt(sum);
		if (tr_below(1, SPARSE, (uint64_t) row, 0, 20) == 0)
			m.sparse[row] = tr_uniform(1, SPARSE, (uint64_t) row, 1) - 0.3f;
	}
	code_matrix(&m);
	return m;
}

static void
free_matrix(Matrix *m)
{
	free(m->value);
	free(m->norm);
	free(m->sparse);
	free(m->codes);
}

/* ------------------------------------------------------------------ queries */

typedef enum Finish
{
	NOTHING, ADD_SPARSE, COSINE, FINISHES
} Finish;

typedef struct Asked
{
	const Matrix *m;
	const float *query;
	Finish		finish;
	float		norm;			/* of the query */
} Asked;

static void
finish(void *arg, float *score, int32_t first, int32_t n)
{
	const Asked *a = arg;

	for (int32_t i = 0; i < n; i++)
	{
		float		size = a->m->norm[first + i] * a->norm;

		if (a->finish == ADD_SPARSE)
			score[i] += a->m->sparse[first + i];
		else if (a->finish == COSINE)
			score[i] = size > 0 ? score[i] / size : 0;
	}
}

static void
score(void *arg, float *out, int32_t first, int32_t n)
{
	const Asked *a = arg;

	tr_dot_block(out, (size_t) n, a->query, 1, a->m->value + (size_t) first * a->m->stride, n, a->m->stride);
	finish(arg, out, first, n);
}

static void
make_query(const Matrix *m, float *q, uint64_t number)
{
	uint64_t	row = tr_below(7, QUERY, number, 0, (uint64_t) m->rows);

	memset(q, 0, m->stride * sizeof(float));
	switch (number % 8)
	{
		case 0:					/* a row */
		case 1:
			memcpy(q, m->value + row * m->stride, (size_t) m->unit * sizeof(float));
			break;
		case 2:					/* its opposite */
			for (int k = 0; k < m->unit; k++)
				q[k] = -m->value[row * m->stride + (size_t) k];
			break;
		case 3:
			q[number / 8 % (uint64_t) m->unit] = 1;
			break;
		case 4:
			if (number / 8 % 2)
				return;			/* zero */
			for (int k = 0; k < m->unit; k++)
				q[k] = 1e-30f * tr_normal(7, QUERY, number, (uint64_t) k);
			break;
		default:				/* between two rows, or anything */
			for (int k = 0; k < m->unit; k++)
				q[k] = number % 8 == 5 ? tr_normal(7, QUERY, number, (uint64_t) k)
					: m->value[row * m->stride + (size_t) k] + 0.5f * m->value[(row + 1) % (uint64_t) m->rows * m->stride + (size_t) k];
	}
	for (int k = m->unit; k < m->width; k++)
		q[k] = number % 3 == 0 ? 0 : number % 3 == 1 ? 1 : -0.5f;
}

static int
make_skip(const Matrix *m, int32_t *skip, uint64_t number)
{
	int			n = 0;
	uint64_t	one_in = number % 7 == 0 ? 1 : number % 7 == 1 ? 2 : 50;

	if (number % 7 > 4)
		return 0;
	for (int32_t row = 0; row < m->rows; row++)
		if (tr_below(number, SKIP, (uint64_t) row, 0, one_in) == 0)
			skip[n++] = row;
	return n;
}

/* Every other row of the list goes to the set in its place, so that both are left out. */
static void
move_to_set(TrScan *scan, int32_t *list, uint64_t *set)
{
	memset(set, 0, TR_BIT_WORDS(scan->rows) * sizeof(uint64_t));
	for (int i = 0; i < scan->n_skip; i++)
		if (i % 2)
			tr_bit_set(set, scan->skip[i]);
		else
			list[i / 2] = scan->skip[i];
	scan->skip = list;
	scan->n_skip = (scan->n_skip + 1) / 2;
	scan->out = set;
}

typedef struct Count
{
	int			queries;
	int			wrong;			/* answers that differ */
	int			below;			/* bounds that are less than the product */
	int			unbounded;
	double		scored;			/* share of rows, summed */
} Count;

static TrScanRoom room;

static TrTopN
best_of(TrScan *scan, const TrCodeQuery *q, TrScored *best, int32_t limit)
{
	TrTopN		top;

	tr_topn_init(&top, best, limit);
	if (q)
		tr_scan_by_bounds(scan, q, &top, &room);
	else
		tr_scan_plain(scan, &top, &room);
	tr_topn_sort(&top);
	return top;
}

static int
bounds_below(const Matrix *m, const TrCodeQuery *q, const float *query)
{
	int			below = 0;
	float		bound[1024 + TR_CODES_BLOCK];

	for (int32_t first = 0; first < m->rows; first += 1024)
	{
		int32_t		n = m->rows - first < 1024 ? m->rows - first : 1024;

		tr_codes_bounds(q, bound, first, n);
		for (int32_t i = 0; i < n; i++)
			below += !(bound[i] >= tr_dot(query, m->value + (size_t) (first + i) * m->stride, m->stride));
	}
	return below;
}

static bool
same_list(const TrTopN *a, const TrTopN *b)
{
	return a->count == b->count && memcmp(a->best, b->best, (size_t) a->count * sizeof(TrScored)) == 0;
}

static void
ask(const Matrix *m, uint64_t number, float *query, int32_t *skip, uint64_t *set, TrScored *mine, TrScored *theirs, Count *count)
{
	static const int32_t limits[] = {10, 1, 0, 100, 10, 3000, 10, -1};
	int32_t		limit = limits[number % 8];
	Asked		asked = {m, query, (Finish) (number / 3 % FINISHES), 0};
	TrScan		plain = {.rows = m->rows, .score = score, .finish = finish, .arg = &asked, .skip = skip, .matrix = m->value,
						 .stride = m->stride};
	TrScan		scan;
	TrCodeQuery q;
	TrTopN		a,
				b;
	double		sum = 0;

	make_query(m, query, number);
	for (int k = 0; k < m->unit; k++)
		sum += (double) query[k] * query[k];
	asked.norm = (float) sqrt(sum);
	plain.n_skip = make_skip(m, skip, number);
	count->queries++;
	if (!tr_codes_query(&q, m->codes, query))
	{
		count->unbounded++;
		return;
	}
	if (number % 16 == 0)
		count->below += bounds_below(m, &q, query);
	limit = limit < 0 ? m->rows : limit;
	a = best_of(&plain, NULL, theirs, limit);
	scan = plain;
	if (number % 3 != 2)
		move_to_set(&scan, skip + m->rows, set);
	if (scan.out)
	{
		b = best_of(&scan, NULL, mine, limit);
		count->wrong += !same_list(&a, &b);
	}
	scan.scored = 0;
	b = best_of(&scan, &q, mine, limit);
	count->scored += (double) scan.scored / m->rows;
	count->wrong += !same_list(&a, &b);
}

static void
check_matrix(Kind kind, int32_t rows, int width, int unit, int queries)
{
	Matrix		m = make_matrix(kind, rows, width, unit);
	float	   *query = aligned(m.stride);
	int32_t    *skip = malloc((size_t) rows * 2 * sizeof(int32_t));
	uint64_t   *set = malloc(TR_BIT_WORDS(rows) * sizeof(uint64_t));
	TrScored   *mine = malloc((size_t) rows * sizeof(TrScored));
	TrScored   *theirs = malloc((size_t) rows * sizeof(TrScored));
	Count		count = {0};

	for (int i = 0; i < queries && m.codes; i++)
		ask(&m, (uint64_t) i, query, skip, set, mine, theirs, &count);
	if (m.codes)
	{
		CHECK(count.wrong == 0 && count.below == 0,
			  "%s, %d rows, %d of %d in codes of %d: %d queries, %d wrong, %d bounds too low; %.2f %% of rows scored, %d without bounds",
			  kind_name[kind], rows, unit, width, m.codes->axes, count.queries, count.wrong, count.below,
			  100 * count.scored / fmax(count.queries - count.unbounded, 1), count.unbounded);
		CHECK(count.unbounded == 0 || kind == HUGE, "all bounds can be computed");
	}
	else
		CHECK(unit < 12, "%s, %d of %d: no codes", kind_name[kind], unit, width);
	free(query);
	free(skip);
	free(set);
	free(mine);
	free(theirs);
	free_matrix(&m);
}

/* ------------------------------------------------------------------ parts */

static void
check_dots(void)
{
	enum
	{
		BLOCKS = 5, AXES = 144
	};
	static uint8_t codes[BLOCKS * TR_CODES_BLOCK * AXES];
	int8_t		query[AXES];
	int			forms = 0;

	for (size_t i = 0; i < sizeof(codes); i++)
		codes[i] = (uint8_t) (i % 5 == 0 ? 255 : tr_below(1, VALUE, i, 0, 256));
	for (size_t a = 0; a < AXES; a++)
		query[a] = (int8_t) (a % 3 == 0 ? 127 : a % 7 == 0 ? -127 : (int) tr_below(1, QUERY, a, 0, 255) - 127);
	for (const TrCodesDot *dot = tr_codes_dots(); *dot; dot++)
		for (int axes = 16; axes <= AXES; axes += 16)
		{
			int32_t		got[BLOCKS * TR_CODES_BLOCK];
			bool		right = true;

			(*dot) (got, codes, query, BLOCKS, axes);
			for (int row = 0; row < BLOCKS * TR_CODES_BLOCK; row++)
			{
				const uint8_t *block = codes + row / TR_CODES_BLOCK * TR_CODES_BLOCK * axes + row % TR_CODES_BLOCK * 4;
				int			sum = 0;

				for (int a = 0; a < axes; a++)
					sum += block[a / 4 * 4 * TR_CODES_BLOCK + a % 4] * query[a];
				right = right && got[row] == sum;
			}
			CHECK(right, "form %d: sums of %d products", forms, axes);
			forms += axes == AXES;
		}
	CHECK(forms >= 1, "there is a form for this processor: %d", forms);
}

int
main(void)
{
	const char *asked = getenv("SCAN_QUERIES");
	int			queries = asked ? atoi(asked) : MANY;

	check_dots();
	for (int kind = 0; kind < KINDS; kind++)
	{
		if (!check_share())
			continue;
		check_matrix((Kind) kind, 4096, 129, 128, queries);
		check_matrix((Kind) kind, 5003, 129, 128, queries);
		check_matrix((Kind) kind, 4500, 64, 64, queries);
		check_matrix((Kind) kind, 4203, 44, 40, queries);
		check_matrix((Kind) kind, 4100, 20, 17, queries);
		check_matrix((Kind) kind, 70001, 97, 96, queries / 40 + 1);
	}
	check_matrix(TRAINED, 4096, 8, 8, 1);
	return check_done();
}
