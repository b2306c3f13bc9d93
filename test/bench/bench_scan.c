/*
 * The scan by bounds against the plain one: time of a query, and the share of rows it scores.
 *
 *     bench_scan rows…                 width 129; variants take turns; the least and the median time of each are shown
 *     bench_scan write first rows      the rows first .. first+rows-1, as COPY reads them: key, key, array
 *
 * The rows are mixtures around 300 centres in a space whose axes fall off, of length 1, and a column of popularity, as
 * training leaves them; a query is a row with noise.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/rng.h"
#include "core/scan.h"

#define WIDTH 129
#define UNIT 128
#define QUERIES 40
#define ROUNDS 5
#define BEST 10

static float *matrix;
static size_t stride;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static void
unit_length(float *x)
{
	float		size = 0;

	for (int k = 0; k < UNIT; k++)
		size += x[k] * x[k];
	for (int k = 0; k < UNIT; k++)
		x[k] /= sqrtf(size);
}

static void
make_row(float *x, uint64_t row, float *mix)
{
	uint64_t	centre = tr_below(1, 1, row, 0, 300);
	float		y[UNIT];

	for (int k = 0; k < UNIT; k++)
		y[k] = expf(-(float) k / 25) * (tr_normal(1, 2, centre, (uint64_t) k) + 0.8f * tr_normal(1, 3, row, (uint64_t) k));
	memset(x, 0, stride * sizeof(float));
	for (int j = 0; j < UNIT; j++)
		for (int k = 0; k < UNIT; k++)
			x[k] += y[j] * mix[j * UNIT + k];
	unit_length(x);
	x[UNIT] = 0.1f * powf(tr_uniform(1, 4, row, 0), 4);
}

static void
score(void *query, float *out, int32_t first, int32_t n)
{
	tr_dot_block(out, (size_t) n, query, 1, matrix + (size_t) first * stride, n, stride);
}

static int
ascending(const void *a, const void *b)
{
	double		x = *(const double *) a,
				y = *(const double *) b;

	return (x > y) - (x < y);
}

static TrScanRoom room;

static void
measure(int32_t rows, const TrCodes *codes, double build)
{
	static double time[2][QUERIES * ROUNDS];
	static double share[QUERIES * ROUNDS];
	float	   *query = aligned_alloc(64, stride * sizeof(float));
	int			n = 0;

	for (int i = 0; i < QUERIES * ROUNDS; i++, n++)
	{
		uint64_t	row = tr_below(9, 9, (uint64_t) (i % QUERIES), 0, (uint64_t) rows);

		for (int way = 0; way < 2; way++)
		{
			TrScan		scan = {.rows = rows, .score = score, .arg = query, .matrix = matrix, .stride = stride};
			TrScored	best[BEST];
			TrTopN		top;
			TrCodeQuery q;
			double		start;

			memcpy(query, matrix + row * stride, stride * sizeof(float));
			for (int k = 0; k < UNIT; k++)
				query[k] += 0.03f * tr_normal(9, 10, row, (uint64_t) k);
			unit_length(query);
			query[UNIT] = 1;
			start = now();
			tr_topn_init(&top, best, BEST);
			if (way && tr_codes_query(&q, codes, query))
				tr_scan_by_bounds(&scan, &q, &top, &room);
			else
				tr_scan_plain(&scan, &top, &room);
			tr_topn_sort(&top);
			time[way][n] = now() - start;
			share[n] = 100.0 * (double) scan.scored / rows;
		}
	}
	for (int way = 0; way < 2; way++)
		qsort(time[way], (size_t) n, sizeof(double), ascending);
	qsort(share, (size_t) n, sizeof(double), ascending);
	printf("%9d %8.3f %8.3f %8.3f %8.3f %7.2f %7.2f %5d %8.0f\n", rows, time[0][0], time[0][n / 2], time[1][0],
		   time[1][n / 2], share[n / 2], share[n * 9 / 10], codes->axes, build);
	free(query);
}

static void
run(int32_t rows, float *mix)
{
	void	   *work;
	TrCodes		plan;
	TrCodes    *codes;
	double		start;

	matrix = aligned_alloc(64, (size_t) rows * stride * sizeof(float));
	for (int32_t row = 0; row < rows; row++)
		make_row(matrix + (size_t) row * stride, (uint64_t) row, mix);
	start = now();
	work = aligned_alloc(64, tr_codes_work(UNIT, stride));
	if (!tr_codes_plan(&plan, matrix, rows, WIDTH, UNIT, stride, work))
		exit(1);
	codes = tr_codes_begin(aligned_alloc(64, plan.bytes), &plan, work);
	tr_codes_fill(codes, matrix, 0, rows, work);
	measure(rows, codes, now() - start);
	free(work);
	free(codes);
	free(matrix);
}

static void
write_rows(uint64_t first, uint64_t rows, float *mix)
{
	float	   *x = aligned_alloc(64, stride * sizeof(float));

	for (uint64_t row = first; row < first + rows; row++)
	{
		make_row(x, row, mix);
		printf("%lld\t%lld\t{", (long long) (row - first), (long long) (row - first));
		for (int k = 0; k < WIDTH; k++)
			printf("%s%.6g", k ? "," : "", (double) x[k]);
		printf("}\n");
	}
	free(x);
}

int
main(int argc, char **argv)
{
	float	   *mix = malloc(UNIT * UNIT * sizeof(float));

	stride = tr_dot_stride(WIDTH);
	for (int i = 0; i < UNIT * UNIT; i++)
		mix[i] = tr_normal(5, 5, 5, (uint64_t) i);
	if (argc == 4 && strcmp(argv[1], "write") == 0)
	{
		write_rows(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), mix);
		return 0;
	}
	printf("     rows    plain (least, median)   by bounds         scored %% (median, 90 %%)  axes  coding, ms\n");
	for (int i = 1; i < argc; i++)
		run(atoi(argv[i]), mix);
	return 0;
}
