/*
 * bench_train: trains an algorithm on tab-separated files, without a server, and prints seconds per epoch, the loss, and
 * the ranking quality on a test file.
 *
 *     bench_train [-b plain|cpu|cuda] [-t threads] [-f] [-v valid.tsv] [-e test.tsv] ALGORITHM train.tsv [option=value …]
 *
 * Files have a header line and the columns user, item, tag. With -v that file's pairs are measured after each epoch and
 * choose the epoch. With -e the model is measured on that file at the end. Training items of a user are no candidates;
 * the users and items of all files are known from the start, those without training pairs with an empty profile. For an
 * algorithm that recommends tags, the two files hold assignments: the tags of a post that are ranked among all but its others.
 * -b cuda opens the library that TAGREC_CUDA_LIBRARY names, ./tagrec_cuda.so if none. With -f the backend's operations are
 * counted, and the floor of an epoch is printed: what they cost at the measured ceilings of the device.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/tag_validation.h"
#include "core/trainer.h"
#include "core/validation.h"
#include "gpu/counted.h"

extern const TrBackendOps *tagrec_backend_ops(void);

static TrMemory memory;

static void
die(const char *what, const TrError *err)
{
	fprintf(stderr, "bench_train: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
	if (err && err->detail[0])
		fprintf(stderr, "%s\n", err->detail);
	exit(1);
}

static void
check(TrStatus status, const char *what, const TrError *err)
{
	if (status != TR_OK)
		die(what, err);
}

/* ------------------------------------------------------------------ files */

typedef struct File
{
	int			rows;
	char	  **column[3];		/* user, item, tag; pointers into one buffer */
} File;

static char *
read_all(const char *path)
{
	FILE	   *f = fopen(path, "rb");
	char	   *buffer;
	long		size;

	if (!f || fseek(f, 0, SEEK_END) != 0)
		die(path, NULL);
	size = ftell(f);
	rewind(f);
	buffer = tr_alloc(&memory, (size_t) size + 1);
	if (!buffer || fread(buffer, 1, (size_t) size, f) != (size_t) size)
		die(path, NULL);
	buffer[size] = '\0';
	fclose(f);
	return buffer;
}

static File
read_file(const char *path)
{
	char	   *text = read_all(path);
	File		file = {0};
	int			lines = 0;
	char	   *rest;

	for (char *s = text; *s; s++)
		lines += *s == '\n';
	for (int c = 0; c < 3; c++)
		file.column[c] = tr_alloc(&memory, ((size_t) lines + 1) * sizeof(char *));
	strtok_r(text, "\n", &rest);	/* the header */
	for (char *line; (line = strtok_r(NULL, "\n", &rest));)
	{
		for (int c = 0; c < 3; c++)
			file.column[c][file.rows] = strsep(&line, "\t");
		file.rows++;
	}
	return file;
}

static int
compare_strings(const void *a, const void *b)
{
	const char *x = *(char *const *) a;
	const char *y = *(char *const *) b;
	char	   *end_x;
	char	   *end_y;
	long		i = strtol(x, &end_x, 10);
	long		j = strtol(y, &end_y, 10);

	if (*x && *y && !*end_x && !*end_y)
		return (i > j) - (i < j);
	return strcmp(x, y);
}

typedef struct Keys
{
	int			count;
	char	  **key;
} Keys;

/* The distinct keys of one column of n files. */
static Keys
distinct(const File *file, int n, int column)
{
	Keys		keys = {0};
	int			rows = 0;

	for (int f = 0; f < n; f++)
		rows += file[f].rows;
	keys.key = tr_alloc(&memory, ((size_t) rows + 1) * sizeof(char *));
	for (int f = 0, at = 0; f < n; at += file[f++].rows)
		memcpy(keys.key + at, file[f].column[column], (size_t) file[f].rows * sizeof(char *));
	qsort(keys.key, (size_t) rows, sizeof(char *), compare_strings);
	for (int i = 0; i < rows; i++)
		if (i == 0 || strcmp(keys.key[i], keys.key[keys.count - 1]) != 0)
			keys.key[keys.count++] = keys.key[i];
	return keys;
}

static int32_t
find(const Keys *keys, char *key)
{
	char	  **hit = bsearch(&key, keys->key, (size_t) keys->count, sizeof(char *), compare_strings);

	return hit ? (int32_t) (hit - keys->key) : -1;
}

/* The distinct pairs of a file, or its distinct assignments. */
static TrPairs
make_pairs(const File *file, const Keys keys[3], bool with_tags)
{
	TrAssignments a;
	TrPairs		pairs = {0};

	tr_assignments_init(&a, &memory);
	for (int i = 0; i < file->rows; i++)
		tr_assignments_add(&a, find(&keys[0], file->column[0][i]), find(&keys[1], file->column[1][i]),
						   with_tags ? find(&keys[2], file->column[2][i]) : 0, false, 0);
	check(tr_assignments_distinct(&a, NULL), "pairs", NULL);
	pairs.count = (int32_t) a.count;
	pairs.user = a.user;
	pairs.item = a.item;
	pairs.tag = with_tags ? a.tag : NULL;
	return pairs;
}

static void
make_dataset(const File *file, const Keys keys[3], TrDataset *dataset)
{
	TrAssignments a;
	TrError		err = {0};

	tr_assignments_init(&a, &memory);
	for (int i = 0; i < file->rows; i++)
		tr_assignments_add(&a, find(&keys[0], file->column[0][i]), find(&keys[1], file->column[1][i]),
						   find(&keys[2], file->column[2][i]), false, 0);
	check(tr_assignments_distinct(&a, &err), "dataset", &err);
	check(tr_dataset_build(dataset, &a, keys[0].count, keys[1].count, keys[2].count, &err), "dataset", &err);
	printf("%d users, %d items, %d tags; to train on: %lld assignments, %d pairs\n", dataset->n_users, dataset->n_items,
		   dataset->n_tags, (long long) dataset->n_assignments, dataset->n_posts);
}

/* ------------------------------------------------------------------ run */

static void
print_epoch(void *argument, const TrEpoch *epoch)
{
	(void) argument;
	printf("epoch %3d  loss %9.5f  %7.3f s  %8.0f pairs/s", epoch->epoch, epoch->loss, epoch->seconds,
		   (double) epoch->pairs / epoch->seconds);
	if (!isnan(epoch->metric))
		printf("  valid %.5f", epoch->metric);
	printf("\n");
	fflush(stdout);
}

static void
print_test(TrModel *model, const TrDataset *dataset, const TrPairs *test)
{
	static const struct
	{
		TrMetric	metric;
		int			k;
	}			wanted[] = {{TR_METRIC_MRR, 0}, {TR_METRIC_MRR_PAIR, 0}, {TR_METRIC_RECALL, 20}, {TR_METRIC_NDCG, 10},
	{TR_METRIC_NDCG, 20}};
	TrError		err = {0};

	printf("test");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
	{
		double		value;

		check(tr_validate(model, dataset, test, wanted[i].metric, wanted[i].k, NULL, &value, &err), "test", &err);
		printf("  %s", tr_metric_names[wanted[i].metric]);
		if (wanted[i].k > 0)
			printf("@%d", wanted[i].k);
		printf(" %.4f", value);
	}
	printf("\n");
}

/* What is measured of posts: over all of them, and over those that were given a tag. */
typedef struct TagMetric
{
	TrMetric	metric;
	int			k;
	TrMean		mean[2];
} TagMetric;

static TagMetric tag_metrics[] = {{TR_METRIC_HIT, 1, {{0}}}, {TR_METRIC_HIT, 3, {{0}}}, {TR_METRIC_HIT, 5, {{0}}},
{TR_METRIC_HIT, 10, {{0}}}, {TR_METRIC_NDCG, 3, {{0}}}, {TR_METRIC_NDCG, 5, {{0}}}, {TR_METRIC_NDCG, 10, {{0}}},
{TR_METRIC_MRR, 0, {{0}}}};

#define TAG_METRICS (sizeof(tag_metrics) / sizeof(tag_metrics[0]))

static void
add_post(void *argument, int32_t n_given, int32_t *rank, int32_t n)
{
	(void) argument;
	for (size_t i = 0; i < TAG_METRICS; i++)
	{
		double		value = tr_metric(tag_metrics[i].metric, tag_metrics[i].k, rank, n);

		tr_mean_add(&tag_metrics[i].mean[0], value, 1);
		if (n_given > 0)
			tr_mean_add(&tag_metrics[i].mean[1], value, 1);
	}
}

/* Each value with its standard error over the posts. */
static void
print_tag_test(TrModel *model, const TrDataset *dataset, const TrPairs *test)
{
	static const char *const whose[] = {"all", "with tags given"};
	TrError		err = {0};

	check(tr_rank_tags(model, dataset, test, add_post, NULL, NULL, &err), "test", &err);
	for (int m = 0; m < 2; m++)
	{
		printf("test, %lld posts, %s:", (long long) tag_metrics[0].mean[m].count, whose[m]);
		for (size_t i = 0; i < TAG_METRICS; i++)
		{
			printf("  %s", tr_metric_names[tag_metrics[i].metric]);
			if (tag_metrics[i].k > 0)
				printf("@%d", tag_metrics[i].k);
			printf(" %.4f (%.4f)", tr_mean_value(&tag_metrics[i].mean[m]), tr_mean_error(&tag_metrics[i].mean[m]));
		}
		printf("\n");
	}
}

static void
print_usage(double seconds, const TrTrainResult *result)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("%d epochs in %.2f s, best epoch %d, peak resident memory %ld MB\n", result->epochs, seconds, result->best_epoch,
		   usage.ru_maxrss / 1024);
}

static const TrBackendOps *
find_backend(const char *name)
{
	const char *path = getenv("TAGREC_CUDA_LIBRARY");
	TrBackendSymbol symbol = NULL;
	void	   *library;

	if (strcmp(name, "plain") == 0)
		return &tr_plain_ops;
	if (strcmp(name, "cpu") == 0)
		return tagrec_backend_ops();
	if (strcmp(name, "cuda") != 0)
		die("the backends are plain, cpu and cuda", NULL);
	library = dlopen(path ? path : "./tagrec_cuda.so", RTLD_NOW | RTLD_LOCAL);
	if (library)
		*(void **) &symbol = dlsym(library, TR_BACKEND_SYMBOL);
	if (!symbol)
		die(dlerror(), NULL);
	return symbol();
}

static void
print_floor(double flops, double bytes, int epochs)
{
	double		by_flops = counted.flops / epochs / flops;
	double		by_bytes = counted.bytes / epochs / bytes;

	printf("floor %.4f s per epoch: %.1f GFLOP at %.0f GFLOP/s %.4f s, %.2f GB at %.0f GB/s %.4f s; %.0f operations\n",
		   fmax(by_flops, by_bytes), counted.flops / epochs * 1e-9, flops * 1e-9, by_flops, counted.bytes / epochs * 1e-9,
		   bytes * 1e-9, by_bytes, counted.operations / epochs);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* settings = the arguments option=value, cut in two */
static TrSetting *
read_settings(char **argument, int n)
{
	TrSetting  *settings = tr_calloc(&memory, (size_t) n + 1, sizeof(TrSetting));

	for (int i = 0; i < n; i++)
	{
		char	   *value = strchr(argument[i], '=');

		if (!value)
			die("options are written name=value", NULL);
		*value = '\0';
		settings[i] = (TrSetting) {argument[i], value + 1};
	}
	return settings;
}

static void
run(const TrAlgorithm *algorithm, TrBackend *backend, const TrDataset *dataset, const TrPairs *validation,
	const TrPairs *test, const TrSetting *settings, bool floor)
{
	double		flops = 0;
	double		bytes = 0;
	TrTrainOptions options;
	void	   *own = tr_calloc(&memory, 1, algorithm->options->size);
	TrOptionTarget targets[] = {{algorithm->options, own}, {&tr_train_options, &options}};
	TrTrainHooks hooks = {.epoch = print_epoch};
	TrTrainResult result;
	TrModel    *model;
	TrError		err = {0};
	double		start = now();

	check(tr_options_set(targets, 2, settings, &err), "options", &err);
	if (floor)
	{
		measure_ceilings(backend, &flops, &bytes);
		count_operations(backend);
	}
	check(tr_model_create(&model, algorithm, &memory, backend, dataset, own, &err), "create", &err);
	start = now();
	check(tr_train(model, dataset, validation, &options, &hooks, &result, &err), "train", &err);
	print_usage(now() - start, &result);
	if (floor)
		print_floor(flops, bytes, result.epochs);
	if (test && algorithm->task == TR_TASK_TAG)
		print_tag_test(model, dataset, test);
	else if (test)
		print_test(model, dataset, test);
	algorithm->destroy(model);
}

int
main(int argc, char **argv)
{
	const TrBackendOps *ops;
	const char *backend_name = "cpu";
	bool		floor = false;
	TrBackendConfig config = {.threads = 2};
	const char *valid_path = NULL;
	const char *test_path = NULL;
	const TrAlgorithm *algorithm;
	TrBackend  *backend;
	TrDataset	dataset;
	TrPairs		validation;
	TrPairs		test;
	File		files[3] = {0};	/* train, validation, test */
	Keys		keys[3];
	TrError		err = {0};
	int			c;

	while ((c = getopt(argc, argv, "b:t:fv:e:")) != -1)
	{
		if (c == 'b')
			backend_name = optarg;
		else if (c == 'f')
			floor = true;
		else if (c == 't')
			config.threads = atoi(optarg);
		else if (c == 'v')
			valid_path = optarg;
		else if (c == 'e')
			test_path = optarg;
		else
			return 2;
	}
	if (argc - optind < 2 || !(algorithm = tr_algorithm_find(argv[optind])))
		die("usage: bench_train [-b plain|cpu|cuda] [-t threads] [-f] [-v valid.tsv] [-e test.tsv] ALGORITHM train.tsv [option=value]",
			NULL);
	ops = find_backend(backend_name);
	tr_memory_init(&memory, 0);
	files[0] = read_file(argv[optind + 1]);
	if (valid_path)
		files[1] = read_file(valid_path);
	if (test_path)
		files[2] = read_file(test_path);
	for (int column = 0; column < 3; column++)
		keys[column] = distinct(files, 3, column);
	make_dataset(&files[0], keys, &dataset);
	validation = make_pairs(&files[1], keys, algorithm->task == TR_TASK_TAG);
	test = make_pairs(&files[2], keys, algorithm->task == TR_TASK_TAG);
	check(ops->open(&backend, &config, &err), "backend", &err);
	printf("%s, %s\n", algorithm->name, ops->describe(backend));
	run(algorithm, backend, &dataset, &validation, test_path ? &test : NULL,
		read_settings(argv + optind + 2, argc - optind - 2), floor);
	ops->close(backend);
	tr_memory_release(&memory);
	return 0;
}
