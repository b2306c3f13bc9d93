/*
 * bench_ratings: trains an algorithm of the task rating on the files that make_ratings.py writes, without a server, and
 * prints errors of its predictions on the validation part, whose best epoch is taken, and with -e on the test part, clipped
 * to the range of the training values; there also the mean over users of how many of the top quarter are so by prediction.
 *
 *     bench_ratings [-b plain|cpu|cuda] [-t threads] [-n seeds] [-e] [-a] [-q] ALGORITHM DIRECTORY [option=value …]
 *
 * -n trains with the seeds 1 to n, and prints the mean over them and its standard error. -a adds the attributes of users
 * and items, the profiles "user" and "item". -q says nothing of the epochs. -b cuda opens the library that
 * TAGREC_CUDA_LIBRARY names, ./tagrec_cuda.so if none.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/rating_validation.h"
#include "core/validation.h"
#include "core/trainer.h"

#ifndef TR_NO_BLAS
extern const TrBackendOps *tagrec_backend_ops(void);
#endif

#define MOST_KEYS 1000000

static TrMemory memory;

static void
die(const char *what, const TrError *err)
{
	fprintf(stderr, "bench_ratings: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
	exit(1);
}

static void
check(TrStatus status, const char *what, const TrError *err)
{
	if (status != TR_OK)
		die(what, err);
}

/* ------------------------------------------------------------------ files */

/* Users and items are numbers; each keeps its own, less 1, as its index. */
typedef struct Rows
{
	int32_t		count;
	int32_t    *user;
	int32_t    *item;
	float	   *value;
} Rows;

static FILE *
open_part(const char *directory, const char *name)
{
	char		path[1024];
	char		header[256];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/%s.tsv", directory, name);
	f = fopen(path, "r");
	if (!f || !fgets(header, sizeof(header), f))
		die(path, NULL);
	return f;
}

static Rows
read_rows(const char *directory, const char *name)
{
	FILE	   *f = open_part(directory, name);
	Rows		rows = {.user = malloc(MOST_KEYS * sizeof(int32_t)), .item = malloc(MOST_KEYS * sizeof(int32_t)),
	.value = malloc(MOST_KEYS * sizeof(float))};

	while (rows.count < MOST_KEYS
		   && fscanf(f, "%d\t%d\t%f", &rows.user[rows.count], &rows.item[rows.count], &rows.value[rows.count]) == 3)
	{
		rows.user[rows.count]--;
		rows.item[rows.count++]--;
	}
	fclose(f);
	return rows;
}

/* Sorted by (user, item). */
static TrPairs
pairs_of(const Rows *rows)
{
	TrAssignments a;
	TrError		err = {0};

	tr_assignments_init(&a, &memory);
	tr_assignments_set_columns(&a, TR_COLUMN_VALUE, TR_MERGE_MEAN);
	for (int32_t i = 0; i < rows->count; i++)
		tr_assignments_add_row(&a, &(TrAssignment) {rows->user[i], rows->item[i], TR_NO_TAG, 1, rows->value[i], 0});
	check(tr_assignments_distinct(&a, &err), "rows", &err);
	return (TrPairs) {.count = (int32_t) a.count, .user = a.user, .item = a.item, .value = a.value};
}

static void
build(TrDataset *d, const TrPairs *train, int32_t users, int32_t items)
{
	TrAssignments a;
	TrError		err = {0};

	tr_assignments_init(&a, &memory);
	tr_assignments_set_columns(&a, TR_COLUMN_VALUE, TR_MERGE_MEAN);
	for (int32_t i = 0; i < train->count; i++)
		tr_assignments_add_row(&a, &(TrAssignment) {train->user[i], train->item[i], TR_NO_TAG, 1, train->value[i], 0});
	check(tr_assignments_distinct(&a, &err), "training rows", &err);
	check(tr_dataset_build(d, &a, users, items, 1, &err), "dataset", &err);
}

/* ------------------------------------------------------------------ attributes */

static int32_t
number_of(char **names, int32_t *count, const char *name)
{
	for (int32_t i = 0; i < *count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	names[*count] = strdup(name);
	return (*count)++;
}

/* Features that two entities or more have. */
static void
add_attributes(TrDataset *d, const char *directory, const char *name, bool of_items)
{
	FILE	   *f = open_part(directory, name);
	char	  **names = malloc(MOST_KEYS * sizeof(char *));
	int32_t    *entity = malloc(MOST_KEYS * sizeof(int32_t));
	int32_t    *feature = malloc(MOST_KEYS * sizeof(int32_t));
	int32_t    *uses = calloc(MOST_KEYS, sizeof(int32_t));
	int32_t    *map = malloc(MOST_KEYS * sizeof(int32_t));
	char		text[256];
	int32_t		count = 0;
	int32_t		features = 0;
	int32_t		kept = 0;
	TrFeatureRows rows = {.entity = entity, .feature = feature};
	TrError		err = {0};

	for (; fscanf(f, "%d\t%255[^\n]", &entity[count], text) == 2; count++)
		uses[feature[count] = number_of(names, &features, text)]++;
	for (int32_t i = 0; i < features; i++)
		map[i] = uses[i] > 1 ? kept++ : -1;
	for (int32_t i = 0; i < count; i++)
		if (map[feature[i]] >= 0)
		{
			entity[rows.count] = entity[i] - 1;
			feature[rows.count++] = map[feature[i]];
		}
	check(tr_dataset_add_profiles(d, name, of_items, kept, &rows, &err), name, &err);
	fclose(f);
}

/* ------------------------------------------------------------------ runs */

typedef struct Run
{
	const TrAlgorithm *algorithm;
	char		options[8192];
	TrTrainOptions train;
	TrBackend  *backend;
	TrDataset	dataset;
	TrPairs		valid,
				test;
	bool		test_too;
	bool		quiet;
	bool		attributes;
	TrMean		precision;
} Run;

static void
tell_epoch(void *argument, const TrEpoch *epoch)
{
	if (!((Run *) argument)->quiet)
		printf("epoch %d: loss %.5f, metric %.5f, %.3f s\n", epoch->epoch, epoch->loss, epoch->metric, epoch->seconds);
	fflush(stdout);
}

static void
set_options(Run *run, int seed, char **words, int n)
{
	static char text[64][1024];
	TrSetting	settings[66] = {{"seed", text[63]}};
	TrOptionTarget targets[2] = {{run->algorithm->options, run->options}, {&tr_train_options, &run->train}};
	int			count = 1;
	TrError		err = {0};

	snprintf(text[63], sizeof(text[63]), "%d", seed);
	for (int i = 0; i < n && i < 60; i++)
	{
		char	   *value;

		snprintf(text[i], sizeof(text[i]), "%s", words[i]);
		value = strchr(text[i], '=');
		if (!value)
			die(text[i], NULL);
		*value = '\0';
		settings[count++] = (TrSetting) {text[i], value + 1};
	}
	settings[count] = (TrSetting) {NULL, NULL};
	check(tr_options_set(targets, 2, settings, &err), "options", &err);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* Of a user's pairs of the test part. */
static void
add_precision(void *argument, const float *predicted, int32_t first, int32_t n)
{
	Run		   *run = argument;
	TrScored   *room = malloc(2 * (size_t) n * sizeof(TrScored));

	tr_mean_add(&run->precision, tr_top_precision(predicted, run->test.value + first, n, 25, room), 1);
	free(room);
}

/* error[4] = RMSE and MAE on the test part, RMSE on the validation part, precision on the test part */
static void
run_once(Run *run, int seed, double error[4])
{
	TrTrainHooks hooks = {.poll = {.argument = run}, .epoch = tell_epoch};
	TrTrainResult result;
	TrModel    *model;
	double		started = now();
	double		seconds;
	TrError		err = {0};

	check(tr_model_create(&model, run->algorithm, &memory, run->backend, &run->dataset, run->options, &err), "create", &err);
	check(tr_train(model, &run->dataset, &run->valid, &run->train, &hooks, &result, &err), "train", &err);
	seconds = now() - started;
	check(tr_validate(model, &run->dataset, &run->valid, TR_METRIC_RMSE, 0, NULL, &error[2], &err), "validate", &err);
	if (run->test_too)
	{
		check(tr_validate(model, &run->dataset, &run->test, TR_METRIC_RMSE, 0, NULL, &error[0], &err), "test", &err);
		check(tr_validate(model, &run->dataset, &run->test, TR_METRIC_MAE, 0, NULL, &error[1], &err), "test", &err);
		run->precision = (TrMean) {0};
		check(tr_predict_pairs(model, &run->dataset, &run->test, add_precision, run, NULL, &err), "test", &err);
		error[3] = tr_mean_value(&run->precision);
		printf("%s seed %d: epoch %d of %d, %.1f s, validation rmse %.4f, test rmse %.4f mae %.4f precision %.4f\n",
			   run->algorithm->name, seed, result.best_epoch, result.epochs, seconds, error[2], error[0], error[1], error[3]);
	}
	else
		printf("%s seed %d: epoch %d of %d, %.1f s, validation rmse %.4f\n", run->algorithm->name, seed, result.best_epoch,
			   result.epochs, seconds, error[2]);
	tr_model_destroy(model);
}

static void
summarize(const char *name, const double *value, int n)
{
	double		mean = 0;
	double		squares = 0;

	for (int i = 0; i < n; i++)
		mean += value[i] / n;
	for (int i = 0; i < n; i++)
		squares += (value[i] - mean) * (value[i] - mean);
	printf(" %s %.4f ± %.4f", name, mean, n > 1 ? sqrt(squares / (n - 1) / n) : 0);
}

static void
run_seeds(Run *run, int seeds, char **words, int n)
{
	double		error[4][64];

	for (int seed = 1; seed <= seeds && seed <= 64; seed++)
	{
		double		one[4];

		set_options(run, seed, words, n);
		run_once(run, seed, one);
		for (int i = 0; i < 4; i++)
			error[i][seed - 1] = one[i];
	}
	printf("%s mean of %d:", run->algorithm->name, seeds);
	summarize("validation rmse", error[2], seeds);
	if (run->test_too)
	{
		summarize("test rmse", error[0], seeds);
		summarize("test mae", error[1], seeds);
		summarize("precision", error[3], seeds);
	}
	printf("\n");
}

static void
open_backend(Run *run, const char *name, int threads)
{
	TrBackendConfig config = {.threads = threads};
	const TrBackendOps *ops = NULL;
	TrError		err = {0};

	if (strcmp(name, "plain") == 0)
		ops = &tr_plain_ops;
#ifndef TR_NO_BLAS
	if (strcmp(name, "cpu") == 0)
		ops = tagrec_backend_ops();
#endif
	if (strcmp(name, "cuda") == 0)
	{
		const char *path = getenv("TAGREC_CUDA_LIBRARY");
		void	   *library = dlopen(path ? path : "./tagrec_cuda.so", RTLD_NOW);
		TrBackendSymbol symbol = library ? (TrBackendSymbol) dlsym(library, TR_BACKEND_SYMBOL) : NULL;

		ops = symbol ? symbol() : NULL;
	}
	if (!ops)
		die(name, NULL);
	check(ops->open(&run->backend, &config, &err), "backend", &err);
}

static void
read_data(Run *run, const char *directory)
{
	Rows		part[3] = {read_rows(directory, "train"), read_rows(directory, "valid"), read_rows(directory, "test")};
	TrPairs		train = pairs_of(&part[0]);
	int32_t		users = 0;
	int32_t		items = 0;

	for (int k = 0; k < 3; k++)
		for (int32_t i = 0; i < part[k].count; i++)
		{
			users = part[k].user[i] >= users ? part[k].user[i] + 1 : users;
			items = part[k].item[i] >= items ? part[k].item[i] + 1 : items;
		}
	run->valid = pairs_of(&part[1]);
	run->test = pairs_of(&part[2]);
	build(&run->dataset, &train, users, items);
	if (run->attributes)
	{
		add_attributes(&run->dataset, directory, "user", false);
		add_attributes(&run->dataset, directory, "item", true);
	}
}

int
main(int argc, char **argv)
{
	Run			run = {0};
	const char *backend = "cpu";
	int			threads = 1;
	int			seeds = 1;
	int			c;

	while ((c = getopt(argc, argv, "b:t:n:eaq")) != -1)
		switch (c)
		{
			case 'b': backend = optarg; break;
			case 't': threads = atoi(optarg); break;
			case 'n': seeds = atoi(optarg); break;
			case 'e': run.test_too = true; break;
			case 'a': run.attributes = true; break;
			case 'q': run.quiet = true; break;
			default: return 1;
		}
	if (argc - optind < 2)
		die("usage: see the head of bench_ratings.c", NULL);
	tr_memory_init(&memory, 0);
	run.algorithm = tr_algorithm_find(argv[optind]);
	if (!run.algorithm)
		die("no such algorithm", NULL);
	open_backend(&run, backend, threads);
	read_data(&run, argv[optind + 1]);
	run_seeds(&run, seeds, argv + optind + 2, argc - optind - 2);
	run.backend->ops->close(run.backend);
	tr_memory_release(&memory);
	return 0;
}
