/*
 * EASE: the inverse it needs, the selection of its weights, and its solution held against a plain dense one in double.
 */
#include "backends.h"
#include "core/validation.h"
#include "models/ease/ease_keep.h"
#include "core/eigen.h"
#include "models/ease/ease_spectral.h"
#include "models/ease/inverse.h"
#include "models/ease/spectrum.h"

static TrMemory memory;

/* ------------------------------------------------------------------ the inverse */

/* a (n,n) = a random positive definite matrix; its upper triangle is nonsense */
static float *
random_matrix(Draw *draw, int n)
{
	float	   *a = malloc(sizeof(float) * (size_t) n * n);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			a[(size_t) i * n + j] = j > i ? 99 : j == i ? 2 + draw_in(draw, 0, 1) : draw_in(draw, -1, 1) / n;
	return a;
}

/* The largest difference of A (B x) from x, with B in full and of A the lower triangle. */
static double
residual(const float *a, const float *inverse, int n)
{
	Draw		draw = {.seed = 5};
	double	   *x = malloc(sizeof(double) * n);
	double	   *y = calloc(n, sizeof(double));
	double		most = 0;

	for (int i = 0; i < n; i++)
		x[i] = draw_in(&draw, -1, 1);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			y[i] += (double) inverse[(size_t) i * n + j] * x[j];
	for (int i = 0; i < n; i++)
	{
		double		sum = 0;

		for (int j = 0; j < n; j++)
			sum += y[j] * (j <= i ? a[(size_t) i * n + j] : a[(size_t) j * n + i]);
		most = fmax(most, fabs(sum - x[i]));
	}
	free(x);
	free(y);
	return most;
}

static bool
stop_later(void *calls)
{
	return ++*(int *) calls == 3;
}

static TrStatus
invert_on(const TrBackendOps *ops, int threads, float *a, int n, const TrPoll *poll)
{
	TrBackend  *b = open_backend(ops, threads);
	float	   *inverse = to_backend(b, a, sizeof(float) * (size_t) n * n);
	TrStatus	status = tr_invert(&(TrModel) {.memory = &memory, .backend = b}, inverse, n, "it", poll, NULL);

	b->ops->download(b, a, inverse, sizeof(float) * (size_t) n * n);
	ops->close(b);
	return status;
}

static void
test_inverse(void)
{
	static const int sizes[] = {1, 2, 31, 33, 130, 515, 641, 4111};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		int			n = sizes[i];
		size_t		bytes = sizeof(float) * (size_t) n * n;
		Draw		draw = {.seed = 3};
		float	   *a = random_matrix(&draw, n);
		float	   *one = memcpy(malloc(bytes), a, bytes);
		float	   *three = memcpy(malloc(bytes), a, bytes);

		CHECK(invert_on(tagrec_backend_ops(), 1, one, n, NULL) == TR_OK, "inverts %d x %d", n, n);
		CHECK_NEAR(residual(a, one, n), 0, 2e-6, "inverse of %d x %d", n, n);
		(void) invert_on(tagrec_backend_ops(), 3, three, n, NULL);
		CHECK(memcmp(one, three, bytes) == 0, "inverse of %d x %d: the same with 3 threads as with 1", n, n);
		if (n < 200)
		{
			memcpy(three, a, bytes);
			(void) invert_on(&tr_plain_ops, 1, three, n, NULL);
			CHECK_NEAR(residual(a, three, n), 0, 2e-6, "inverse of %d x %d on the reference backend", n, n);
			memcpy(three, a, bytes);
			(void) invert_on(tr_cuda_test_ops(), 1, three, n, NULL);
			CHECK_NEAR(residual(a, three, n), 0, 2e-6, "inverse of %d x %d on the CUDA backend", n, n);
		}
		free(a);
		free(one);
		free(three);
	}
}

static void
test_no_inverse(void)
{
	float		a[9] = {1, 0, 0, 2, 1, 0, 0, 0, 1};
	Draw		draw = {.seed = 3};
	float	   *large = random_matrix(&draw, 600);
	int			calls = 0;
	TrPoll		poll = {.stop = stop_later, .argument = &calls};

	CHECK(invert_on(tagrec_backend_ops(), 1, a, 3, NULL) == TR_NOT_FINITE, "a matrix that is not positive definite is refused");
	CHECK(invert_on(tagrec_backend_ops(), 1, large, 600, &poll) == TR_CANCELLED, "an inversion stops when asked");
	CHECK(memory.used == 0, "an inversion gives its memory back");
	free(large);
}

/* ------------------------------------------------------------------ the selection */

/* Is number i of row (n) among the limit largest? */
static bool
belongs(const float *row, int n, int limit, int i)
{
	int			ahead = 0;

	for (int j = 0; j < n; j++)
		ahead += fabsf(row[j]) > fabsf(row[i]) || (fabsf(row[j]) == fabsf(row[i]) && j < i);
	return row[i] != 0 && (limit == 0 || ahead < limit);
}

/* levels: how many different sizes there are; few make ties */
static bool
keeps_the_largest(int n, int limit, int levels)
{
	Draw		draw = {.seed = (uint64_t) (n + limit)};
	float	   *row = malloc(sizeof(float) * n);
	float	   *value = malloc(sizeof(float) * n);
	int32_t    *index = malloc(sizeof(int32_t) * n);
	TrKeeper	keeper;
	int			expected = 0;
	int			kept;
	bool		right = true;
	TrModel		work;

	tr_start_work(&work, &(TrModel) {.memory = &memory});
	for (int i = 0; i < n; i++)
		row[i] = (float) (draw_below(&draw, 2 * levels + 1) - levels) / (i % 7 == 0 ? 8 : 1);
	tr_keeper_init(&keeper, &work, limit, n);
	kept = tr_keep_largest(&keeper, index, value, row, n);
	for (int i = 0; i < n; i++)
		if (belongs(row, n, limit, i))
		{
			right = right && expected < kept && index[expected] == i && value[expected] == row[i];
			expected++;
		}
	tr_end_work(&work);
	free(row);
	free(value);
	free(index);
	return right && kept == expected;
}

static void
test_selection(void)
{
	static const int cases[][3] = {
		{1, 0, 3}, {1, 1, 3}, {10, 3, 2}, {10, 0, 9}, {10, 30, 9}, {50, 49, 3}, {700, 20, 1000}, {700, 20, 2}, {3000, 64, 100000},
		{3000, 64, 5}, {3000, 1, 4}, {3000, 2999, 50}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(keeps_the_largest(cases[i][0], cases[i][1], cases[i][2]), "the %d largest of %d with %d sizes", cases[i][1],
			  cases[i][0], cases[i][2]);
}

/* ------------------------------------------------------------------ the solution */

/* w (D) = the solution of a (D,D) w = y by elimination with pivots; a and y are used up */
static void
solve_dense(double *a, double *y, double *w, int D)
{
	for (int k = 0; k < D; k++)
	{
		int			p = k;

		for (int i = k + 1; i < D; i++)
			if (fabs(a[i * D + k]) > fabs(a[p * D + k]))
				p = i;
		for (int j = 0; j < D; j++)
		{
			double		other = a[k * D + j];

			a[k * D + j] = a[p * D + j];
			a[p * D + j] = other;
		}
		double		other = y[k];

		y[k] = y[p];
		y[p] = other;
		for (int i = k + 1; i < D; i++)
		{
			double		factor = a[i * D + k] / a[k * D + k];

			for (int j = k; j < D; j++)
				a[i * D + j] -= factor * a[k * D + j];
			y[i] -= factor * y[k];
		}
	}
	for (int i = D - 1; i >= 0; i--)
	{
		w[i] = y[i];
		for (int j = i + 1; j < D; j++)
			w[i] -= a[i * D + j] * w[j];
		w[i] /= a[i * D + i];
	}
}

/* b (C) = the ridge regression of column j of x (M,C) on the other columns; returns its loss */
static double
regress(const double *x, int M, int C, int j, double lambda, double *b)
{
	double	   *a = calloc((size_t) C * C, sizeof(double));
	double	   *y = calloc(C, sizeof(double));
	double		loss = 0;

	for (int f = 0; f < C; f++)
	{
		for (int g = 0; g < C; g++)
			for (int r = 0; r < M; r++)
				a[f * C + g] += f == j || g == j ? 0 : x[r * C + f] * x[r * C + g];
		a[f * C + f] += lambda;
		for (int r = 0; r < M && f != j; r++)
			y[f] += x[r * C + f] * x[r * C + j];
	}
	solve_dense(a, y, b, C);
	for (int r = 0; r < M; r++)
	{
		double		error = x[r * C + j];

		for (int f = 0; f < C; f++)
			error -= x[r * C + f] * b[f];
		loss += error * error;
	}
	for (int f = 0; f < C; f++)
		loss += lambda * b[f] * b[f];
	free(a);
	free(y);
	return loss;
}

/* Sparse rows of x (M,C), which are random */
static TrEaseData
random_data(TrModel *model, double *x, int M, int C, int targets)
{
	Draw		draw = {.seed = 11};
	TrEaseData	data;
	TrCsr	   *rows = &data.by_row;
	int64_t		n = 0;

	tr_ease_new_data(&data, model, M, C, targets, (int64_t) M * C, NULL);
	for (int r = 0; r < M; r++)
	{
		rows->ptr[r] = n;
		for (int c = 0; c < C; c++)
		{
			x[r * C + c] = draw_below(&draw, 3) == 0 ? (double) draw_in(&draw, 0.2f, 2) : 0;
			if (x[r * C + c] == 0)
				continue;
			rows->col[n] = c;
			rows->val[n++] = (float) x[r * C + c];
		}
	}
	rows->ptr[M] = n;
	tr_ease_transpose(&data, NULL);
	return data;
}

/* The largest difference of the weights from b (targets,C), of which each feature keeps the `limit` largest. */
static double
weights_apart(const TrEaseWeights *weights, const double *b, int C, int targets, int limit)
{
	double		most = 0;

	for (int f = 0; f < C; f++)
	{
		TrSparse	row = tr_ease_row(weights, f);
		float	   *full = malloc(sizeof(float) * targets);
		int			next = 0;

		for (int j = 0; j < targets; j++)
			full[j] = f == j ? 0 : (float) b[j * C + f];
		for (int j = 0; j < targets; j++)
		{
			bool		listed = next < row.n && row.index[next] == j;

			if (listed != (belongs(full, targets, limit, j) && full[j] != 0))
				most = fmax(most, fabsf(full[j]));
			if (listed)
				most = fmax(most, fabsf(full[j] - row.value[next++]));
		}
		free(full);
	}
	return most;
}

static void
test_solution(int M, int C, int targets)
{
	double	   *x = malloc(sizeof(double) * M * C);
	double	   *b = malloc(sizeof(double) * targets * C);
	TrBackend  *backend = open_backend(tagrec_backend_ops(), 2);
	TrModel		model;
	TrEaseData	data;
	double		loss = 0;

	tr_start_work(&model, &(TrModel) {.memory = &memory, .backend = backend});
	data = random_data(&model, x, M, C, targets);
	for (int j = 0; j < targets; j++)
		loss += regress(x, M, C, j, 1.5, b + (size_t) j * C);
	for (int method = TR_EASE_AUTO; method <= TR_EASE_DUAL; method++)
		for (int limit = 0; limit < 8; limit += 7)
		{
			TrEaseSettings settings = {.lambda = 1.5, .neighbours = limit, .method = method};
			TrEaseWeights weights = {0};

			TrModel		work;

			tr_start_work(&work, &model);
			CHECK(tr_ease_solve(&weights, &model, &work, &data, &settings, NULL, NULL) == TR_OK, "EASE %d x %d, method %d", M, C,
				  method);
			CHECK_NEAR(weights_apart(&weights, b, C, targets, limit), 0, 2e-5, "EASE %d x %d, method %d, %d neighbours", M, C,
					   method, limit);
			CHECK_NEAR(weights.loss / loss, 1, 1e-5, "EASE %d x %d, method %d: its loss", M, C, method);
			tr_end_work(&work);
		}
	tr_end_work(&model);
	backend->ops->close(backend);
	free(x);
	free(b);
}

/* ------------------------------------------------------------------ the spectrum */

/* values (M), descending, = the eigenvalues of x x^T, x (M,C), by the dense method */
static void
dense_spectrum(double *values, const double *x, int M, int C)
{
	double	   *a = calloc((size_t) M * M, sizeof(double));
	double	   *work = malloc(sizeof(double) * TR_EIGEN_WORK(M));
	double	   *ascending = malloc(sizeof(double) * M);

	for (int i = 0; i < M; i++)
		for (int j = 0; j < M; j++)
			for (int c = 0; c < C; c++)
				a[(size_t) i * M + j] += x[i * C + c] * x[j * C + c];
	tr_eigen(a, ascending, work, M);
	for (int i = 0; i < M; i++)
		values[i] = ascending[M - 1 - i];
	free(a);
	free(work);
	free(ascending);
}

static TrSpectrumSide
side_of(TrModel *work, const TrCsr *x)
{
	size_t		n = (size_t) x->ptr[x->rows];
	TrSpectrumSide side = {.x = *x, .ptr = x->ptr};

	side.x.ptr = tr_to_device(work, x->ptr, ((size_t) x->rows + 1) * sizeof(int64_t));
	side.x.col = tr_to_device(work, x->col, n * sizeof(int32_t));
	side.x.val = tr_to_device(work, x->val, n * sizeof(float));
	return side;
}

/* The largest of |X X^T v - s v| over the eigenvectors, relative to the largest eigenvalue */
static double
eigenvectors_apart(const float *vectors, const double *values, int rank, const double *x, int M, int C)
{
	double	   *y = malloc(sizeof(double) * C);
	double		most = 0;

	for (int k = 0; k < rank; k++)
	{
		memset(y, 0, sizeof(double) * C);
		for (int r = 0; r < M; r++)
			for (int c = 0; c < C; c++)
				y[c] += x[r * C + c] * vectors[r * rank + k];
		for (int r = 0; r < M; r++)
		{
			double		z = -values[k] * vectors[r * rank + k];

			for (int c = 0; c < C; c++)
				z += x[r * C + c] * y[c];
			most = fmax(most, fabs(z) / values[0]);
		}
	}
	free(y);
	return most;
}

/* The spectrum of the same data on one backend; vectors (M,rank) */
static void
find_spectrum(const TrBackendOps *ops, int threads, double *x, int M, int C, int rank, double *values, float *vectors)
{
	TrBackend  *backend = open_backend(ops, threads);
	TrSpectrum	spectrum = {0};
	TrModel		work;
	TrEaseData	data;
	TrSpectrumSide rows;
	TrSpectrumSide columns;

	tr_start_work(&work, &(TrModel) {.memory = &memory, .backend = backend});
	data = random_data(&work, x, M, C, C);
	rows = side_of(&work, &data.by_row);
	columns = side_of(&work, &data.by_column);
	CHECK(tr_spectrum(&spectrum, &work, &rows, &columns, rank, NULL, NULL) == TR_OK, "the spectrum of %d x %d", M, C);
	backend->ops->download(backend, vectors, spectrum.vectors, sizeof(float) * (size_t) M * rank);
	memcpy(values, spectrum.values, sizeof(double) * rank);
	tr_end_work(&work);
	backend->ops->close(backend);
}

static void
test_spectrum(int M, int C, int rank, double bound)
{
	double	   *x = malloc(sizeof(double) * M * C);
	double	   *expected = malloc(sizeof(double) * M);
	double		values[2][200];
	float	   *vectors[2] = {malloc(sizeof(float) * M * rank), malloc(sizeof(float) * M * rank)};
	double		most = 0;

	find_spectrum(tagrec_backend_ops(), 1, x, M, C, rank, values[0], vectors[0]);
	dense_spectrum(expected, x, M, C);
	for (int k = 0; k < rank; k++)
		most = fmax(most, fabs(values[0][k] - expected[k]) / expected[0]);
	CHECK_NEAR(most, 0, bound, "%d eigenvalues of %d x %d", rank, M, C);
	CHECK_NEAR(eigenvectors_apart(vectors[0], values[0], rank, x, M, C), 0, bound, "%d eigenvectors of %d x %d", rank, M, C);
	find_spectrum(tagrec_backend_ops(), 3, x, M, C, rank, values[1], vectors[1]);
	CHECK(memcmp(vectors[0], vectors[1], sizeof(float) * (size_t) M * rank) == 0 && memcmp(values[0], values[1], sizeof(double) * rank) == 0,
		  "the spectrum of %d x %d: the same with 3 threads as with 1", M, C);
	find_spectrum(tr_cuda_test_ops(), 1, x, M, C, rank, values[1], vectors[1]);
	CHECK_NEAR(eigenvectors_apart(vectors[1], values[1], rank, x, M, C), 0, bound, "%d eigenvectors of %d x %d on the CUDA backend",
			   rank, M, C);
	free(x);
	free(expected);
	free(vectors[0]);
	free(vectors[1]);
}

/* A matrix whose eigenvalues are all the same but for those of a few columns: there is always another vector. */
static void
test_equal_values(void)
{
	enum {N = 150};
	TrBackend  *backend = open_backend(tagrec_backend_ops(), 1);
	TrSpectrum	spectrum = {0};
	TrModel		work;
	TrEaseData	data;
	TrSpectrumSide rows;
	TrSpectrumSide columns;
	float	   *vectors = malloc(sizeof(float) * N * 20);
	double		squares = 0;

	tr_start_work(&work, &(TrModel) {.memory = &memory, .backend = backend});
	tr_ease_new_data(&data, &work, N, N, N, N, NULL);
	for (int i = 0; i < N; i++)
	{
		data.by_row.ptr[i + 1] = i + 1;
		data.by_row.col[i] = i;
		data.by_row.val[i] = i < 3 ? 2 : 1;
	}
	tr_ease_transpose(&data, NULL);
	rows = side_of(&work, &data.by_row);
	columns = side_of(&work, &data.by_column);
	CHECK(tr_spectrum(&spectrum, &work, &rows, &columns, 20, NULL, NULL) == TR_OK, "equal eigenvalues");
	backend->ops->download(backend, vectors, spectrum.vectors, sizeof(float) * N * 20);
	for (int i = 0; i < N * 20; i++)
		squares += vectors[i] * vectors[i];
	CHECK_NEAR(spectrum.values[2], 4, 1e-5, "the third of equal eigenvalues");
	CHECK_NEAR(spectrum.values[19], 1, 1e-5, "the last of equal eigenvalues");
	CHECK_NEAR(squares / 20, 1, 1e-5, "vectors of equal eigenvalues have length 1");
	tr_end_work(&work);
	backend->ops->close(backend);
	free(vectors);
}

static bool
count_polls(void *argument)
{
	return ++*(int *) argument == 0;
}

/* Making X of a large data set says so again and again: at least once for so many entries, both times it goes over them. */
static void
test_long_transpose(void)
{
	enum {ROWS = 1000, OF_ROW = 2000};
	int			calls = 0;
	TrPoll		poll = {.stop = count_polls, .argument = &calls};
	int64_t		entries = (int64_t) ROWS * OF_ROW;
	TrModel		work;
	TrEaseData	data;

	tr_start_work(&work, &(TrModel) {.memory = &memory});
	tr_ease_new_data(&data, &work, ROWS, OF_ROW, OF_ROW, entries, NULL);
	for (int64_t e = 0; e < entries; e++)
	{
		data.by_row.col[e] = (int32_t) (e % OF_ROW);
		data.by_row.val[e] = 1;
		data.by_row.ptr[e / OF_ROW + 1] = e + 1;
	}
	CHECK_EQUAL(tr_ease_transpose(&data, &poll), TR_OK, "many entries change places");
	CHECK(calls >= 2 * (entries / (TR_POLL_WORK + OF_ROW)), "%d polls while %lld entries change places", calls, (long long) entries);
	calls = -1;
	CHECK_EQUAL(tr_ease_transpose(&data, &poll), TR_CANCELLED, "which can be stopped");
	tr_end_work(&work);
}

static void
test_no_spectrum(void)
{
	double	   *x = malloc(sizeof(double) * 300 * 300);
	TrBackend  *backend = open_backend(tagrec_backend_ops(), 1);
	TrSpectrum	spectrum = {0};
	int			calls = 0;
	int			left = 0;
	TrStatus	status = TR_CANCELLED;
	TrPoll		poll = {.stop = stop_later, .argument = &calls};
	TrModel		work;
	TrEaseData	data;
	TrSpectrumSide rows;
	TrSpectrumSide columns;

	tr_start_work(&work, &(TrModel) {.memory = &memory, .backend = backend});
	data = random_data(&work, x, 300, 300, 300);
	rows = side_of(&work, &data.by_row);
	columns = side_of(&work, &data.by_column);
	CHECK(tr_spectrum(&spectrum, &work, &rows, &columns, 20, &poll, NULL) == TR_CANCELLED, "the spectrum stops when asked");
	for (int later = 1; status == TR_CANCELLED && later < 10000; later++)
	{
		calls = -later;
		status = tr_spectrum(&spectrum, &work, &rows, &columns, 20, &poll, NULL);
		left += backend->asked.stop != NULL;
	}
	CHECK(status == TR_OK && left == 0, "whenever that is, and %d times the backend goes on asking", left);
	tr_end_work(&work);
	CHECK(backend->ops->allocated(backend) < (size_t) 1 << 20, "and gives its memory back");
	backend->ops->close(backend);
	free(x);
}

/* ------------------------------------------------------------------ ease_tags */

#define USERS 9
#define ITEMS 12
#define TAGS 5

static void
make_dataset(TrDataset *dataset)
{
	TrAssignments a;
	Draw		draw = {.seed = 21};

	tr_assignments_init(&a, &memory);
	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS; i++)
			for (int t = 0; t < TAGS; t++)
				if (draw_below(&draw, 4) == 0)
					tr_assignments_add(&a, u, i, t, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(dataset, &a, USERS, ITEMS, TAGS, NULL);
	tr_free(&memory, a.user);
	tr_free(&memory, a.item);
	tr_free(&memory, a.tag);
}

/* x (USERS+TAGS, ITEMS+TAGS) as ease_tags describes it, with user_tags 3 and item_tags 0.5, binary l2 and log */
static void
fill_dense(const TrDataset *d, double x[USERS + TAGS][ITEMS + TAGS])
{
	memset(x, 0, sizeof(double) * (USERS + TAGS) * (ITEMS + TAGS));
	for (int u = 0; u < USERS; u++)
	{
		int64_t		first = d->user.entry_ptr[u];
		int64_t		end = d->user.entry_ptr[u + 1];

		for (int32_t p = d->user_ptr[u]; p < d->user_ptr[u + 1]; p++)
			x[u][d->post_item[p]] = 1;
		for (int64_t e = first; e < end; e++)
			x[u][ITEMS + d->user.tag[e]] = 3 / sqrt((double) (end - first));
	}
	for (int i = 0; i < ITEMS; i++)
		for (int64_t e = d->item.entry_ptr[i]; e < d->item.entry_ptr[i + 1]; e++)
			x[USERS + d->item.tag[e]][i] = 0.5 * log1p(d->item.count[e]);
}

/* The largest difference of the model's scores from x b, relative to the largest of these */
static double
scores_apart(TrModel *model, const TrDataset *d, double x[USERS + TAGS][ITEMS + TAGS], const double *b)
{
	double		most = 0;
	double		largest = 0;

	for (int u = 0; u < USERS; u++)
	{
		double		score[ITEMS] = {0};
		TrSparse	features;

		model->algorithm->user_features(model, d, u, &features, NULL);
		for (int f = 0; f < features.n; f++)
		{
			TrSparse	row;

			model->algorithm->feature_weights(model, features.index[f], &row, NULL);
			for (int i = 0; i < row.n; i++)
				score[row.index[i]] += (double) features.value[f] * row.value[i];
		}
		for (int j = 0; j < ITEMS; j++)
		{
			double		expected = 0;

			for (int f = 0; f < ITEMS + TAGS; f++)
				expected += x[u][f] * b[j * (ITEMS + TAGS) + f];
			most = fmax(most, fabs(expected - score[j]));
			largest = fmax(largest, fabs(expected));
		}
	}
	return most / largest;
}

/* The same of a spectral model, leaving out items that the user has: their scores have a part of their own. */
static double
products_apart(TrModel *model, const TrDataset *d, double x[USERS + TAGS][ITEMS + TAGS], const double *b)
{
	int			W = model->width;
	float	   *items = malloc(sizeof(float) * ITEMS * W);
	float	   *user = malloc(sizeof(float) * W);
	double		most = 0;
	double		largest = 0;

	model->algorithm->embed(model, TR_ITEM, d, 0, ITEMS, items, NULL);
	for (int u = 0; u < USERS; u++)
	{
		model->algorithm->embed(model, TR_USER, d, u, 1, user, NULL);
		for (int j = 0; j < ITEMS; j++)
		{
			double		expected = 0;
			double		score = 0;

			for (int f = 0; f < ITEMS + TAGS; f++)
				expected += x[u][f] * b[j * (ITEMS + TAGS) + f];
			for (int i = 0; i < W; i++)
				score += (double) user[i] * items[j * W + i];
			if (x[u][j] == 0)
				most = fmax(most, fabs(expected - score));
			largest = fmax(largest, fabs(expected));
		}
	}
	free(items);
	free(user);
	return most / largest;
}

/* What a user's tags alone say of item 0, by the arrays of a model that was loaded */
static void
check_encoding(TrModel *model, const TrDataset *d, double x[USERS + TAGS][ITEMS + TAGS], const double *b)
{
	int			W = model->width;
	float	   *row = malloc(sizeof(float) * 2 * W);
	TrProfiles	user = tr_profiles_of(d, TR_USER, 4, 1);
	TrSparse	features = {.n = 7};
	TrTensor   *tensors;
	TrTensor	stored[8];
	TrModel    *loaded = NULL;
	int			count;
	int			n = 0;
	double		expected = 0;
	double		score = 0;

	tr_model_save(model, &tensors, &count, NULL);
	for (int t = 0; t < count; t++)
		if (!tensors[t].training)
			stored[n++] = tensors[t];
	CHECK(tr_model_load(&loaded, model->algorithm, &memory, model->backend, TAGS, model->options, stored, n, NULL) == TR_OK
		  && loaded->width == W && tr_features(loaded) == TR_FEATURES_NONE, "a spectral model is loaded, %d wide", W);
	model->algorithm->embed(model, TR_ITEM, d, 0, 1, row, NULL);
	loaded->algorithm->encode(loaded, TR_USER, &user, row + W, NULL);
	for (int f = ITEMS; f < ITEMS + TAGS; f++)
		expected += x[4][f] * b[f];
	for (int i = 0; i < W; i++)
		score += (double) row[i] * row[W + i];
	CHECK_NEAR(score, expected, 1e-5, "a user known by tags alone");
	CHECK(loaded->algorithm->encode_features(loaded, &user, 0, &features, NULL) == TR_OK && features.n == 0,
		  "who has no neighbours");
	tr_model_destroy(loaded);
	free(row);
}

/*
 * The weights of a new column that two more users have who have the tags of item 0 and nothing else, by dense
 * regression: what its array says of the users
 */
static double
new_item_apart(TrModel *model, const TrDataset *d, double x[USERS + TAGS][ITEMS + TAGS])
{
	enum {C = ITEMS + TAGS + 1, M = USERS + TAGS + 2};
	double		wider[M][C] = {{0}};
	double		b[C];
	int			W = model->width;
	float	   *user = malloc(sizeof(float) * W);
	float	   *item = malloc(sizeof(float) * W);
	TrProfiles	profile = tr_profiles_of(d, TR_ITEM, 0, 1);
	int64_t		n = profile.ptr[1] - profile.ptr[0];
	double		most = 0;

	for (int r = 0; r < USERS + TAGS; r++)
		memcpy(wider[r], x[r], sizeof(x[r]));
	for (int r = M - 2; r < M; r++)
	{
		for (int64_t e = profile.ptr[0]; e < profile.ptr[1]; e++)
			wider[r][ITEMS + profile.tag[e]] = 3 / sqrt((double) n);
		wider[r][C - 1] = 1;
	}
	(void) regress(wider[0], M, C, C - 1, 2, b);
	profile.posts = (int32_t[1]) {2};
	model->algorithm->encode(model, TR_ITEM, &profile, item, NULL);
	for (int u = 0; u < USERS; u++)
	{
		double		expected = 0;
		double		score = 0;

		model->algorithm->embed(model, TR_USER, d, u, 1, user, NULL);
		for (int f = 0; f < C; f++)
			expected += (f < C - 1) * wider[u][f] * b[f];
		for (int i = 0; i < W; i++)
			score += (double) user[i] * item[i];
		most = fmax(most, fabs(expected - score));
	}
	free(user);
	free(item);
	return most;
}

static void
test_tags(const TrBackendOps *ops, const char *method)
{
	const TrAlgorithm *algorithm = tr_algorithm_find("ease_tags");
	TrSetting	settings[] = {{"lambda", "2"}, {"item_tags", "0.5"}, {"method", method}, {"user_weighting", "binary"}, {NULL, NULL}};
	double		x[USERS + TAGS][ITEMS + TAGS];
	double		b[ITEMS * (ITEMS + TAGS)];
	char		values[4096];
	TrOptionTarget target = {algorithm->options, values};
	TrBackend  *backend = open_backend(ops, 1);
	TrEpochStats stats = {0};
	TrDataset	dataset;
	TrModel    *model = NULL;

	make_dataset(&dataset);
	fill_dense(&dataset, x);
	for (int j = 0; j < ITEMS; j++)
		(void) regress(x[0], USERS + TAGS, ITEMS + TAGS, j, 2, b + (size_t) j * (ITEMS + TAGS));
	tr_options_set(&target, 1, settings, NULL);
	tr_model_create(&model, algorithm, &memory, backend, &dataset, values, NULL);
	CHECK(algorithm->train_epoch(model, 1, NULL, &stats, NULL) == TR_OK && stats.last, "ease_tags %s: solves in one epoch", method);
	if (strcmp(method, "spectral") != 0)
		CHECK_NEAR(scores_apart(model, &dataset, x, b), 0, 1e-5, "ease_tags %s: scores as by dense regression", method);
	else
	{
		CHECK_NEAR(products_apart(model, &dataset, x, b), 0, 1e-5, "ease_tags %s: scores as by dense regression", method);
		check_encoding(model, &dataset, x, b);
		CHECK_NEAR(new_item_apart(model, &dataset, x), 0, 1e-5, "ease_tags %s: a new item as by dense regression", method);
	}
	tr_model_destroy(model);
	tr_dataset_free(&dataset);
	backend->ops->close(backend);
}

int
main(void)
{
	tr_memory_init(&memory, 0);
	test_inverse();
	test_no_inverse();
	test_selection();
	test_solution(13, 17, 11);
	test_solution(17, 13, 13);
	test_solution(40, 150, 140);
	test_tags(tagrec_backend_ops(), "primal");
	test_tags(tagrec_backend_ops(), "dual");
	test_tags(tagrec_backend_ops(), "spectral");
	test_tags(tr_cuda_test_ops(), "spectral");
	test_tags(&tr_plain_ops, "spectral");
	test_spectrum(13, 17, 13, 1e-5);
	test_spectrum(70, 40, 30, 1e-5);
	test_spectrum(400, 300, 20, 1e-3);
	test_equal_values();
	test_no_spectrum();
	test_long_transpose();
	CHECK(memory.used == 0, "all memory is given back");
	tr_memory_release(&memory);
	return check_done();
}
