/*
 * bench_train: trains an algorithm on tab-separated files, without a server, and prints seconds per epoch, the loss, and
 * the ranking quality on a test file.
 *
 *     bench_train [-b plain|cpu|cuda|host] [-t threads] [-f] [-s seconds] [-k] [-v valid.tsv] [-a] [-e test.tsv]
 *                 [-p profiles.tsv] [-d dislikes.tsv] [-u values.tsv] ALGORITHM train.tsv [option=value …]
 *     bench_train -l
 *
 * Files have a header line and the columns user, item, tag. With -v that file's pairs are measured after each epoch and
 * choose the epoch. With -a an algorithm that chooses by these pairs itself (blend) is trained again with what it chose, on
 * both files, as a server does it. With -e the model is measured on that file at the end. Training items of a user are no
 * candidates, unless -k keeps them; the users and items of all files are known from the start, those without training pairs
 * with an empty profile. For an algorithm that recommends tags, the two files hold assignments: the tags of a post that are
 * ranked among all but its others. -u writes what each user's list is worth. -l lists the algorithms with their tasks.
 * With -d, the pairs of that file are what users dislike.
 *
 * With -p, items that are not in train.tsv are new, and profiles.tsv has posts of theirs. Then there are two measurements:
 * the new items ranked among themselves, and among all. An algorithm whose arrays encode() gives learns from train.tsv, in
 * which there is nothing of the new items, and encodes users and items with all profiles afterwards, as tagrec_refresh()
 * does. Others learn from both.
 *
 * -b cuda opens the library that TAGREC_CUDA_LIBRARY names, ./tagrec_cuda.so if none. -b host does nothing but plan: what
 * an epoch costs without its operations. With -f the backend's operations are counted, and the floor of an epoch is
 * printed: what they cost at the measured ceilings of the device. With -s as well, the training stops once its steps, from
 * the eleventh on, have taken so long; the counts are then those of all steps until there.
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
#include "core/topn.h"
#include "core/trainer.h"
#include "core/validation.h"
#include "gpu/counted.h"
#include "host_backend.h"

#ifndef TR_NO_BLAS
extern const TrBackendOps *tagrec_backend_ops(void);
#endif

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

/* The first `old` keys are sorted, and so are the rest. */
typedef struct Keys
{
	int			old,
				count;
	char	  **key;
	int32_t    *slot;			/* hash table: a key's number, or -1 */
	uint32_t	slots;			/* a power of two, more than twice the keys */
} Keys;

/* The slot that holds the key, or that it would have. */
static uint32_t
slot_of(const Keys *keys, const char *key)
{
	uint32_t	hash = 2166136261u;
	uint32_t	s;

	for (const char *c = key; *c; c++)
		hash = (hash ^ (unsigned char) *c) * 16777619u;
	for (s = hash & (keys->slots - 1); keys->slot[s] >= 0 && strcmp(keys->key[keys->slot[s]], key) != 0;)
		s = (s + 1) & (keys->slots - 1);
	return s;
}

static int32_t
find(const Keys *keys, const char *key)
{
	return keys->slot[slot_of(keys, key)];
}

static void
fill_slots(Keys *keys)
{
	memset(keys->slot, -1, keys->slots * sizeof(int32_t));
	for (int i = 0; i < keys->count; i++)
		keys->slot[slot_of(keys, keys->key[i])] = i;
}

/* Room for this many more keys */
static void
grow_keys(Keys *keys, int more)
{
	size_t		most = (size_t) keys->count + (size_t) more;
	char	  **key = tr_alloc(&memory, (most + 1) * sizeof(char *));

	if (keys->count > 0)
		memcpy(key, keys->key, (size_t) keys->count * sizeof(char *));
	keys->key = key;
	for (keys->slots = 1; keys->slots <= 2 * most;)
		keys->slots *= 2;
	keys->slot = tr_alloc(&memory, keys->slots * sizeof(int32_t));
	fill_slots(keys);
}

/* Adds the keys that one column of these files has and keys has not, behind the others. */
static void
add_keys(Keys *keys, const File *file, int files, int column)
{
	int			rows = 0;

	for (int f = 0; f < files; f++)
		rows += file[f].rows;
	grow_keys(keys, rows);
	keys->old = keys->count;
	for (int f = 0; f < files; f++)
		for (int i = 0; i < file[f].rows; i++)
		{
			uint32_t	s = slot_of(keys, file[f].column[column][i]);

			if (keys->slot[s] >= 0)
				continue;
			keys->slot[s] = keys->count;
			keys->key[keys->count++] = file[f].column[column][i];
		}
	qsort(keys->key + keys->old, (size_t) (keys->count - keys->old), sizeof(char *), compare_strings);
	fill_slots(keys);
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
add_assignments(TrAssignments *a, const File *file, const Keys keys[3])
{
	for (int i = 0; i < file->rows; i++)
		tr_assignments_add(a, find(&keys[0], file->column[0][i]), find(&keys[1], file->column[1][i]),
						   find(&keys[2], file->column[2][i]), false, 0);
}

/* The dataset of these assignments; with_new, of all users and items, else of the old ones. */
static TrDataset *
make_dataset(TrAssignments *a, const Keys keys[3], bool with_new)
{
	TrDataset  *dataset = tr_calloc(&memory, 1, sizeof(*dataset));
	TrError		err = {0};

	check(tr_assignments_distinct(a, &err), "dataset", &err);
	check(tr_dataset_build(dataset, a, with_new ? keys[0].count : keys[0].old, with_new ? keys[1].count : keys[1].old,
						   keys[2].count, &err), "dataset", &err);
	return dataset;
}

/* Pairs that users dislike, of the keys that there are. */
static void
add_dislikes(TrDataset *dataset, const char *path, const Keys keys[3])
{
	File		file = read_file(path);
	TrDislikes *dislikes = tr_calloc(&memory, 1, sizeof(TrDislikes));
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int i = 0; i < file.rows; i++)
	{
		int32_t		user = find(&keys[0], file.column[0][i]);
		int32_t		item = find(&keys[1], file.column[1][i]);

		if (user >= 0 && item >= 0)
			tr_assignments_add(&a, user, item, TR_NO_TAG, false, 0);
	}
	check(tr_assignments_distinct(&a, NULL), "dislikes", NULL);
	check(tr_dislikes_build(dislikes, &a, dataset), "dislikes", NULL);
	dataset->dislikes = dislikes;
}

/* The set of items that are not in train.tsv. */
static uint64_t *
new_items(const Keys *items)
{
	uint64_t   *set = tr_calloc(&memory, TR_BIT_WORDS(items->count), sizeof(uint64_t));

	for (int32_t item = items->old; item < items->count; item++)
		tr_bit_set(set, item);
	return set;
}

static void
print_dataset(const TrDataset *dataset)
{
	printf("%d users, %d items, %d tags; to train on: %lld assignments, %d pairs\n", dataset->n_users, dataset->n_items,
		   dataset->n_tags, (long long) dataset->n_assignments, dataset->n_posts);
}

/* ------------------------------------------------------------------ measurements */

static void
print_epoch(void *argument, const TrEpoch *epoch)
{
	(void) argument;
	printf("epoch %3d  loss %9.5f  %9.6f s  %8.0f pairs/s", epoch->epoch, epoch->loss, epoch->seconds,
		   (double) epoch->pairs / epoch->seconds);
	if (!isnan(epoch->metric))
		printf("  valid %.5f", epoch->metric);
	printf("\n");
	fflush(stdout);
}

typedef struct ItemMetric
{
	TrMetric	metric;
	int			k;
	TrMean		mean;
} ItemMetric;

static const ItemMetric item_metrics[] = {{TR_METRIC_MRR, 0, {0}}, {TR_METRIC_MRR_PAIR, 0, {0}},
{TR_METRIC_PRECISION, 10, {0}}, {TR_METRIC_RECALL, 10, {0}}, {TR_METRIC_NDCG, 10, {0}}, {TR_METRIC_RECALL, 20, {0}}, {TR_METRIC_NDCG, 20, {0}},
{TR_METRIC_RECALL, 50, {0}}};

#define ITEM_METRICS (sizeof(item_metrics) / sizeof(item_metrics[0]))

typedef struct ItemTest
{
	ItemMetric	metric[ITEM_METRICS];
	const Keys *users;
	FILE	   *values;			/* NULL = not wanted */
} ItemTest;

static void
print_metric(FILE *f, const char *separator, TrMetric metric, int k)
{
	fprintf(f, "%s%s", separator, tr_metric_names[metric]);
	if (k > 0)
		fprintf(f, "@%d", k);
}

static void
add_user(void *argument, int32_t user, int32_t *rank, int32_t n)
{
	ItemTest   *test = argument;

	if (test->values)
		fprintf(test->values, "%s\t%d", test->users->key[user], n);
	for (size_t i = 0; i < ITEM_METRICS; i++)
	{
		ItemMetric *m = &test->metric[i];
		double		value = tr_metric(m->metric, m->k, rank, n);

		tr_mean_add(&m->mean, value, tr_metric_weight(m->metric, n));
		if (test->values)
			fprintf(test->values, "\t%.9g", value);
	}
	if (test->values)
		fprintf(test->values, "\n");
}

static void
write_header(FILE *values)
{
	fprintf(values, "user\tpairs");
	for (size_t i = 0; i < ITEM_METRICS; i++)
		print_metric(values, "\t", item_metrics[i].metric, item_metrics[i].k);
	fprintf(values, "\n");
}

/* values_path NULL = the users' values are not wanted */
static void
print_test(TrModel *model, const char *name, const TrRanking *ranking, const Keys *users, const char *values_path)
{
	ItemTest	test = {.users = users};
	TrError		err = {0};

	memcpy(test.metric, item_metrics, sizeof(item_metrics));
	if (values_path && !(test.values = fopen(values_path, "w")))
		die(values_path, NULL);
	if (test.values)
		write_header(test.values);
	check(tr_rank(model, ranking, add_user, &test, NULL, &err), "test", &err);
	if (test.values)
		fclose(test.values);
	printf("%s", name);
	for (size_t i = 0; i < ITEM_METRICS; i++)
	{
		print_metric(stdout, "  ", test.metric[i].metric, test.metric[i].k);
		printf(" %.4f", tr_mean_value(&test.metric[i].mean));
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
			print_metric(stdout, "  ", tag_metrics[i].metric, tag_metrics[i].k);
			printf(" %.4f (%.4f)", tr_mean_value(&tag_metrics[i].mean[m]), tr_mean_error(&tag_metrics[i].mean[m]));
		}
		printf("\n");
	}
}

/* ------------------------------------------------------------------ run */

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
	if (strcmp(name, "host") == 0)
		return &host_backend_ops;
#ifndef TR_NO_BLAS
	if (strcmp(name, "cpu") == 0)
		return tagrec_backend_ops();
#endif
	if (strcmp(name, "cpu") == 0)
		die("this build has no backend cpu, for there was no OpenBLAS", NULL);
	if (strcmp(name, "cuda") != 0)
		die("the backends are plain, cpu, cuda and host", NULL);
	library = dlopen(path ? path : "./tagrec_cuda.so", RTLD_NOW | RTLD_LOCAL);
	if (library)
		*(void **) &symbol = dlsym(library, TR_BACKEND_SYMBOL);
	if (!symbol)
		die(dlerror(), NULL);
	return symbol();
}

/* epochs 0 = what there was was stopped within the first one */
static void
print_counts(double flops, double bytes, int epochs)
{
	const char *what = epochs > 0 ? "per epoch" : "in all";
	double		n = epochs > 0 ? epochs : 1;
	double		by_flops = counted.flops / n / flops;
	double		by_bytes = counted.bytes / n / bytes;

	printf("launched %s: %.0f operations and %.0f copies (%.1f MB)", what, counted.operations / n, counted.copies / n,
		   counted.copied / n * 1e-6);
	if (counted.steps > 0)
		printf(" in %.0f steps, %.1f and %.1f a step", counted.steps / n, counted.operations / counted.steps,
			   counted.copies / counted.steps);
	printf("\n");
	if (flops > 0)
		printf("floor %.4g s %s: %.4g GFLOP at %.0f GFLOP/s %.4g s, %.4g GB at %.0f GB/s %.4g s\n", fmax(by_flops, by_bytes),
			   what, counted.flops / n * 1e-9, flops * 1e-9, by_flops, counted.bytes / n * 1e-9, bytes * 1e-9, by_bytes);
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

enum
{
	TRAIN, VALIDATION, TEST, PROFILES, FILES
};

typedef struct Run
{
	const TrAlgorithm *algorithm;
	TrBackend  *backend;
	File		files[FILES];
	Keys		keys[3];		/* user, item, tag */
	const char *dislikes;		/* path; NULL = none */
	const TrDataset *known;		/* what is learned from */
	const TrDataset *all;		/* what is measured: the same, but with new items */
	TrPairs		validation;
	TrPairs		test;
	const char *values_path;
	void	   *options;		/* the algorithm's */
	TrTrainOptions train;
	bool		again;			/* after a choice, on both files */
	bool		count;			/* operations */
	double		most_seconds;	/* of steps; 0 = as long as it takes */
} Run;

/* ------------------------------------------------------------------ a limit of time */

#define WARM_UP_STEPS 10

typedef struct Limit
{
	TrBackend  *backend;
	double		seconds;
	double		start;			/* when the steps after the warm-up began, 0 before */
	double		steps;			/* steps before */
	double		took;			/* all of those after it, 0 unless stopped */
} Limit;

static bool
limit_reached(void *argument)
{
	Limit	   *limit = argument;

	if (limit->seconds <= 0 || counted.steps < WARM_UP_STEPS)
		return false;
	if (limit->start == 0)
	{
		limit->backend->ops->finish(limit->backend, NULL);
		limit->start = now();
		limit->steps = counted.steps;
	}
	if (now() - limit->start < limit->seconds)
		return false;
	limit->backend->ops->finish(limit->backend, NULL);
	limit->took = now() - limit->start;
	return true;
}

/* ------------------------------------------------------------------ the parts of a run */

/* Reads the files that have a path. Keys of train.tsv come first when there are new items, else all are sorted together. */
static void
read_files(Run *run, const char *const path[FILES], bool with_seen)
{
	bool		tags = run->algorithm->task == TR_TASK_TAG;
	TrAssignments a;
	TrDataset  *all;

	for (int f = 0; f < FILES; f++)
		if (path[f])
			run->files[f] = read_file(path[f]);
	for (int column = 0; column < 3; column++)
	{
		add_keys(&run->keys[column], run->files, path[PROFILES] ? 1 : FILES, column);
		add_keys(&run->keys[column], run->files, FILES, column);
	}
	tr_assignments_init(&a, &memory);
	add_assignments(&a, &run->files[TRAIN], run->keys);
	all = make_dataset(&a, run->keys, !path[PROFILES]);
	if (run->dislikes)
		add_dislikes(all, run->dislikes, run->keys);
	run->all = run->known = all;
	if (path[PROFILES])
	{
		add_assignments(&a, &run->files[PROFILES], run->keys);
		all = make_dataset(&a, run->keys, true);
		all->new_items = new_items(&run->keys[1]);
		run->all = all;
		if (!run->algorithm->encode || run->algorithm->features)
			run->known = run->all;
	}
	print_dataset(run->known);
	run->validation = make_pairs(&run->files[VALIDATION], run->keys, tags);
	run->test = make_pairs(&run->files[TEST], run->keys, tags);
	run->validation.with_seen = run->test.with_seen = with_seen;
}

static void
measure(TrModel *model, const Run *run)
{
	TrRanking	ranking = {.dataset = run->all, .held_out = &run->test};

	if (run->algorithm->task == TR_TASK_TAG)
		print_tag_test(model, run->all, &run->test);
	else if (run->files[PROFILES].rows == 0)
		print_test(model, "test", &ranking, &run->keys[0], run->values_path);
	else
	{
		print_test(model, "test among all", &ranking, &run->keys[0], NULL);
		ranking.candidates = run->all->new_items;
		print_test(model, "test among new", &ranking, &run->keys[0], run->values_path);
	}
}

static void
set_options(Run *run, const TrSetting *settings)
{
	TrOptionTarget targets[2];
	TrError		err = {0};

	run->options = tr_calloc(&memory, 1, run->algorithm->options->size);
	targets[0] = (TrOptionTarget) {run->algorithm->options, run->options};
	targets[1] = (TrOptionTarget) {&tr_train_options, &run->train};
	check(tr_options_set(targets, 2, settings, &err), "options", &err);
}

/* What an algorithm made of others has chosen of them */
static void
print_chosen(const Run *run)
{
	const TrOptionSet *set = run->algorithm->options;
	char		text[TR_MAX_TEXT];

	for (int i = 0; i < set->count; i++)
		if (set->options[i].type == TR_OPTION_TEXT)
		{
			tr_option_format(&set->options[i], run->options, text, sizeof(text));
			printf("chosen: %s=%s\n", set->options[i].name, text);
		}
}

/* The model of what it chose, trained on both files, in place of *model */
static void
train_again(Run *run, TrModel **model)
{
	TrTrainHooks hooks = {.epoch = print_epoch};
	TrTrainResult result;
	TrAssignments a;
	TrError		err = {0};

	if (!run->again || !run->algorithm->held_out || !run->algorithm->settled
		|| !run->algorithm->settled(*model, run->options))
		return;
	print_chosen(run);
	tr_model_destroy(*model);
	tr_assignments_init(&a, &memory);
	add_assignments(&a, &run->files[TRAIN], run->keys);
	add_assignments(&a, &run->files[VALIDATION], run->keys);
	run->all = run->known = make_dataset(&a, run->keys, true);
	check(tr_model_create(model, run->algorithm, &memory, run->backend, run->known, run->options, &err), "create", &err);
	check(tr_train(*model, run->known, NULL, &run->train, &hooks, &result, &err), "train", &err);
}

static void
train(Run *run)
{
	const TrAlgorithm *algorithm = run->algorithm;
	Limit		limit = {.backend = run->backend, .seconds = run->most_seconds};
	TrTrainHooks hooks = {.poll = {limit_reached, &limit}, .epoch = print_epoch};
	TrTrainResult result;
	TrStatus	status;
	double		flops = 0;
	double		bytes = 0;
	TrModel    *model;
	TrError		err = {0};
	double		start;

	if (run->count && run->backend->ops != &host_backend_ops)
		measure_ceilings(run->backend, &flops, &bytes);
	if (run->count)
		count_operations(run->backend);
	start = now();
	check(tr_model_create(&model, algorithm, &memory, run->backend, run->known, run->options, &err), "create", &err);
	status = tr_train(model, run->known, &run->validation, &run->train, &hooks, &result, &err);
	if (status == TR_CANCELLED)
		printf("stopped after %.0f steps, the last %.0f in %.4f s\n", counted.steps, counted.steps - limit.steps, limit.took);
	else
		check(status, "train", &err);
	if (status == TR_OK)
		train_again(run, &model);
	print_usage(now() - start, &result);
	if (run->count)
		print_counts(flops, bytes, result.epochs > 0 && status == TR_OK ? result.epochs : 0);
	if (run->test.count > 0 && status == TR_OK)
		measure(model, run);
	tr_model_destroy(model);
}

static void
list_algorithms(void)
{
	for (int i = 0; tr_algorithms[i]; i++)
		printf("%s\t%s\n", tr_algorithms[i]->name, tr_algorithms[i]->task == TR_TASK_TAG ? "tag" : "item");
}

int
main(int argc, char **argv)
{
	const TrBackendOps *ops;
	const char *backend_name = "cpu";
	const char *path[FILES] = {NULL};
	bool		with_seen = false;
	TrBackendConfig config = {.threads = 2};
	Run			run = {0};
	TrError		err = {0};
	int			c;

	while ((c = getopt(argc, argv, "b:t:fs:kv:ae:p:d:u:l")) != -1)
	{
		if (c == 'b')
			backend_name = optarg;
		else if (c == 'f')
			run.count = true;
		else if (c == 's')
			run.most_seconds = atof(optarg);
		else if (c == 'k')
			with_seen = true;
		else if (c == 'a')
			run.again = true;
		else if (c == 't')
			config.threads = atoi(optarg);
		else if (c == 'v')
			path[VALIDATION] = optarg;
		else if (c == 'e')
			path[TEST] = optarg;
		else if (c == 'p')
			path[PROFILES] = optarg;
		else if (c == 'd')
			run.dislikes = optarg;
		else if (c == 'u')
			run.values_path = optarg;
		else if (c == 'l')
			return list_algorithms(), 0;
		else
			return 2;
	}
	if (argc - optind < 2 || !(run.algorithm = tr_algorithm_find(argv[optind])))
		die("usage: bench_train [-b plain|cpu|cuda|host] [-t threads] [-f] [-s seconds] [-k] [-v valid.tsv] [-a] [-e test.tsv]"
			" [-p profiles.tsv] [-d dislikes.tsv] [-u values.tsv] ALGORITHM train.tsv [option=value]", NULL);
	if (run.most_seconds > 0 && !run.count)
		die("-s takes -f as well", NULL);
	ops = find_backend(backend_name);
	tr_memory_init(&memory, 0);
	set_options(&run, read_settings(argv + optind + 2, argc - optind - 2));
	config.precision = (TrPrecision) run.train.precision;
	path[TRAIN] = argv[optind + 1];
	read_files(&run, path, with_seen);
	check(ops->open(&run.backend, &config, &err), "backend", &err);
	printf("%s, %s\n", run.algorithm->name, ops->describe(run.backend));
	train(&run);
	ops->close(run.backend);
	tr_memory_release(&memory);
	return 0;
}
