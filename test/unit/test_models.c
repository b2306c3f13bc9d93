/*
 * What every algorithm of the registry must do, on data with a known answer: two groups of users who share items and tags
 * within the group only, each user with two thirds of his group's items. The rest of them is what he should be offered.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "core/trainer.h"
#include "core/validation.h"

#define GROUP_USERS 12
#define GROUP_ITEMS 18
#define GROUP_TAGS 6
#define USERS (2 * GROUP_USERS)
#define ITEMS (2 * GROUP_ITEMS)
#define TAGS (2 * GROUP_TAGS)

extern const TrBackendOps *tagrec_backend_ops(void);

static TrMemory memory;
static TrMemory model_memory;
static TrBackend *backend;
static TrDataset dataset;
static TrPairs held_out;

static void
make_data(void)
{
	TrAssignments a;
	TrAssignments rest;

	tr_assignments_init(&a, &memory);
	tr_assignments_init(&rest, &memory);
	for (int32_t u = 0; u < USERS; u++)
		for (int32_t k = 0; k < GROUP_ITEMS; k++)
		{
			int32_t		group = u / GROUP_USERS;
			int32_t		item = group * GROUP_ITEMS + k;

			if ((u + k) % 3 == 0)
				tr_assignments_add(&rest, u, item, 0, false, 0);
			else
				for (int32_t n = 0; n < 2; n++)
					tr_assignments_add(&a, u, item, group * GROUP_TAGS + (int32_t) ((u * n + k) % GROUP_TAGS), false, 0);
		}
	tr_assignments_distinct(&a, NULL);
	tr_assignments_distinct(&rest, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
	held_out = (TrPairs) {.count = (int32_t) rest.count, .user = rest.user, .item = rest.item};
}

typedef struct Run
{
	const TrAlgorithm *algorithm;
	char		options[4096];
	TrTrainOptions train;
	TrModel    *model;
	TrTrainResult result;
	TrError		err;
} Run;

static void
set_options(Run *run, const TrAlgorithm *algorithm, const char *epochs)
{
	TrSetting	settings[] = {{"epochs", epochs}, {NULL, NULL}};
	TrOptionTarget targets[2] = {{algorithm->options, run->options}, {&tr_train_options, &run->train}};

	memset(run, 0, sizeof(*run));
	run->algorithm = algorithm;
	tr_options_set(targets, 2, settings, &run->err);
}

static TrStatus
train_on(Run *run, const TrDataset *data)
{
	TrStatus	status = tr_model_create(&run->model, run->algorithm, &model_memory, backend, data, run->options, &run->err);

	if (status == TR_OK)
		status = tr_train(run->model, data, NULL, &run->train, NULL, &run->result, &run->err);
	return status;
}

static int
array_width(const Run *run)
{
	int			unit = run->model->unit;
	int			width = run->model->width;

	CHECK((width > 0 || run->algorithm->features) && unit >= 0 && unit <= width, "%s: width %d, unit part %d",
		  run->algorithm->name, width, unit);
	return width;
}

/* What a model answers with, flat: all arrays, then all sparse vectors. */
typedef struct Answer
{
	size_t		count;
	float	   *value;
} Answer;

static bool
ascends(const TrSparse *row, int64_t limit)
{
	for (int32_t i = 0; i < row->n; i++)
		if (row->index[i] < 0 || row->index[i] >= limit || (i > 0 && row->index[i] <= row->index[i - 1]))
			return false;
	return true;
}

static void
append(Answer *answer, const TrSparse *row)
{
	answer->value = realloc(answer->value, (answer->count + 2 * (size_t) row->n + 1) * sizeof(float));
	answer->value[answer->count++] = (float) row->n;
	for (int32_t i = 0; i < row->n; i++)
	{
		answer->value[answer->count++] = (float) row->index[i];
		answer->value[answer->count++] = row->value[i];
	}
}

/* Are the weights of a feature still these, (item, weight) each? */
static bool
is_same_again(Run *run, int32_t feature, const float *value, int32_t n)
{
	TrSparse	row;

	run->algorithm->feature_weights(run->model, feature, &row, &run->err);
	for (int32_t i = 0; i < n && row.n == n; i++)
		if (value[2 * i] != (float) row.index[i] || value[2 * i + 1] != row.value[i])
			return false;
	return row.n == n;
}

static void
append_sparse(Run *run, Answer *answer)
{
	int			features = run->algorithm->features(run->model);
	int64_t		count = tr_feature_count(features, USERS, ITEMS, TAGS);
	bool		users_ascend = true;
	bool		items_ascend = true;
	bool		again = true;
	TrSparse	row;

	/* some have arrays or features, by their options and the data */
	CHECK(features != TR_FEATURES_NONE || run->model->width > 0, "%s: says what its features are", run->algorithm->name);
	for (int32_t u = 0; u < USERS; u++)
	{
		run->algorithm->user_features(run->model, &dataset, u, &row, &run->err);
		users_ascend &= ascends(&row, count);
		append(answer, &row);
	}
	for (int32_t f = 0; f < count; f++)
	{
		run->algorithm->feature_weights(run->model, f, &row, &run->err);
		items_ascend &= ascends(&row, ITEMS);
		append(answer, &row);
		again &= is_same_again(run, f, answer->value + answer->count - 2 * row.n, row.n);
	}
	CHECK(again, "%s: weights are the same when they are asked for again", run->algorithm->name);
	CHECK(users_ascend, "%s: features of a user ascend", run->algorithm->name);
	CHECK(items_ascend, "%s: items of a feature ascend", run->algorithm->name);
}

static Answer
answer_of(Run *run, int width)
{
	Answer		answer = {.count = (USERS + ITEMS) * (size_t) width};

	answer.value = malloc(sizeof(float) * (answer.count + 1));
	if (width > 0)
	{
		run->algorithm->embed(run->model, TR_USER, &dataset, 0, USERS, answer.value, &run->err);
		run->algorithm->embed(run->model, TR_ITEM, &dataset, 0, ITEMS, answer.value + (size_t) USERS * width, &run->err);
	}
	if (run->algorithm->features)
		append_sparse(run, &answer);
	return answer;
}

static bool
same_answer(Run *run, const Answer *expected, int width)
{
	Answer		answer = answer_of(run, width);
	bool		same = answer.count == expected->count
		&& memcmp(answer.value, expected->value, answer.count * sizeof(float)) == 0;

	free(answer.value);
	return same;
}

static bool
all_finite(const float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(values[i]))
			return false;
	return true;
}

/* ------------------------------------------------------------------ what must hold */

static void
test_known_answer(Run *run)
{
	double		ndcg;
	double		floor = run->algorithm->encode || run->algorithm->features ? 0.9 : 0.2;

	tr_validate(run->model, &dataset, &held_out, TR_METRIC_NDCG, 10, NULL, &ndcg, &run->err);
	CHECK(ndcg >= floor, "%s: finds the held-out items of the user's group", run->algorithm->name);
	if (ndcg < floor)
		printf("# ndcg@10 %.3f, at least %.1f\n", ndcg, floor);
}

/* the score of two arrays */
static double
pair_score(Run *run, const float *user, const float *item, int width)
{
	double		sum = 0;
	float		score = NAN;

	if (run->algorithm->score_items)
	{
		run->algorithm->score_items(run->model, user, item, (size_t) width, 1, &score, &run->err);
		return score;
	}
	for (int j = 0; j < width; j++)
		sum += (double) user[j] * item[j];
	return sum;
}

/* score (ITEMS) = those of a user with this tag profile, encoded by run, with the arrays and weights of `trained` */
static void
score_profile(Run *run, Run *trained, const TrProfiles *profile, const float *arrays, int width, double score[ITEMS])
{
	float	   *user = malloc(sizeof(float) * ((size_t) width + 1));
	TrSparse	features = {0};

	CHECK(!run->algorithm->encode || run->algorithm->encode(run->model, TR_USER, profile, user, &run->err) == TR_OK,
		  "%s: encodes tags", run->algorithm->name);
	for (int i = 0; i < ITEMS; i++)
		score[i] = run->algorithm->encode ? pair_score(run, user, arrays + (size_t) (USERS + i) * width, width) : 0;
	if (run->algorithm->encode_features)
		CHECK(run->algorithm->encode_features(run->model, profile, 0, &features, &run->err) == TR_OK,
			  "%s: encodes tags as features", run->algorithm->name);
	for (int32_t f = 0; f < features.n; f++)
	{
		TrSparse	weights;

		trained->algorithm->feature_weights(trained->model, features.index[f], &weights, &run->err);
		for (int32_t i = 0; i < weights.n; i++)
			score[weights.index[i]] += (double) features.value[f] * weights.value[i];
	}
	free(user);
}

/* A profile nobody has: half of group 0's tags; the best items are those of group 0. */
static void
test_encode(Run *run, Run *trained, const float *arrays, int width)
{
	static const int64_t ptr[] = {0, 3};
	static const int32_t tags[] = {0, 2, 4};
	static const float counts[] = {1, 2, 1};
	TrProfiles	profile = {.rows = 1, .ptr = ptr, .tag = tags, .count = counts};
	double		score[ITEMS];
	int			best = 0;

	score_profile(run, trained, &profile, arrays, width, score);
	for (int i = 0; i < ITEMS; i++)
		if (score[i] > score[best])
			best = i;
	CHECK(best < GROUP_ITEMS, "%s: recommends the group's items from its tags", run->algorithm->name);
}

/* As a version's weights: without what restore() alone reads. */
static int
store(const TrTensor *tensors, int count, TrTensor *stored)
{
	int			n = 0;

	for (int i = 0; i < count; i++)
		if (!tensors[i].training)
			stored[n++] = tensors[i];
	return n;
}

/* A model that was loaded scores the items as the trained one does, one by one, and wherever they lie. */
static void
test_score_items(Run *run, Run *trained, const float *arrays, int width)
{
	const float *items = arrays + (size_t) USERS * width;
	size_t		stride = (size_t) width + 3;
	float	   *apart = calloc(ITEMS * stride, sizeof(float));
	float		expected[ITEMS];
	float		score[ITEMS];
	const TrAlgorithm *a = run->algorithm;
	bool		same = true;

	for (size_t i = 0; i < ITEMS; i++)
		memcpy(apart + i * stride, items + i * (size_t) width, (size_t) width * sizeof(float));
	for (int u = 0; u < USERS; u++)
	{
		const float *user = arrays + (size_t) u * width;

		same &= a->score_items(trained->model, user, items, (size_t) width, ITEMS, expected, &run->err) == TR_OK;
		for (size_t i = 0; i < ITEMS; i++)
			same &= a->score_items(run->model, user, apart + i * stride, stride, 1, score + i, &run->err) == TR_OK;
		same &= memcmp(score, expected, sizeof(score)) == 0 && all_finite(score, ITEMS);
	}
	CHECK(same, "%s: loaded, scores items the same, one by one", a->name);
	free(apart);
}

/* A loaded model does what it is loaded for. */
static void
test_loaded(Run *run, Run *trained, const Answer *expected, int width)
{
	if (run->algorithm->score_items)
		test_score_items(run, trained, expected->value, width);
	if (!run->algorithm->encode && !run->algorithm->encode_features)
		return;
	if (run->algorithm->features || run->algorithm->knows_items)
		test_encode(run, trained, expected->value, width);
	else
		CHECK(same_answer(run, expected, width), "%s: loaded, answers the same", run->algorithm->name);
}

/* The weights of all features, as a version stores them, in a catalogue with these items. */
typedef struct Stored
{
	TrCatalogue catalogue;
	int64_t    *ptr;
	int32_t    *item;
	float	   *weight;
	float	   *padded;
} Stored;

static Stored
catalogue_of(Run *trained, const float *arrays, int width)
{
	int64_t		features = tr_feature_count(tr_features(trained->model), USERS, ITEMS, TAGS);
	size_t		stride = (size_t) width + 3;
	Stored		s = {.ptr = calloc((size_t) features + 1, sizeof(int64_t))};

	s.item = malloc(sizeof(int32_t) * ((size_t) features * ITEMS + 1));
	s.weight = malloc(sizeof(float) * ((size_t) features * ITEMS + 1));
	s.padded = calloc(ITEMS * stride, sizeof(float));
	for (int64_t f = 0; f < features; f++)
	{
		TrSparse	row;

		trained->algorithm->feature_weights(trained->model, (int32_t) f, &row, &trained->err);
		s.ptr[f + 1] = s.ptr[f] + row.n;
		for (int32_t i = 0; i < row.n; i++)
		{
			s.item[s.ptr[f] + i] = row.index[i];
			s.weight[s.ptr[f] + i] = row.value[i];
		}
	}
	for (size_t i = 0; i < ITEMS && width > 0; i++)
		memcpy(s.padded + i * stride, arrays + ((size_t) USERS + i) * (size_t) width, (size_t) width * sizeof(float));
	s.catalogue = (TrCatalogue) {.n_items = ITEMS, .width = width, .array = s.padded, .stride = stride,
	.n_features = features, .ptr = s.ptr, .item = s.item, .weight = s.weight};
	return s;
}

/* score (ITEMS) = those of a user with this array and these features */
static void
score_stored(Run *run, const Stored *s, const float *array, const TrSparse *features, double score[ITEMS])
{
	for (size_t i = 0; i < ITEMS; i++)
		score[i] = s->catalogue.width > 0
			? pair_score(run, array, s->padded + i * s->catalogue.stride, s->catalogue.width) : 0;
	for (int32_t f = 0; f < features->n; f++)
		for (int64_t e = s->ptr[features->index[f]]; e < s->ptr[features->index[f] + 1]; e++)
			score[s->item[e]] += (double) features->value[f] * s->weight[e];
}

static TrHistory
history_of(const TrDataset *d, int32_t user, const float *ones)
{
	int32_t		first = d->user_ptr[user];
	int64_t		entry = d->user.entry_ptr[user];

	return (TrHistory) {
		.items = {d->user_ptr[user + 1] - first, d->post_item + first, ones},
		.tags = {(int32_t) (d->user.entry_ptr[user + 1] - entry), d->user.tag + entry, d->user.count + entry}
	};
}

/* How alike the scores of the items that the user does not have are: their correlation. */
static double
agreement(const double *a, const double *b, int32_t user)
{
	double		n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;

	for (int32_t i = 0; i < ITEMS; i++)
	{
		if (tr_dataset_post(&dataset, user, i) >= 0)
			continue;
		n++;
		x += a[i];
		y += b[i];
		xx += a[i] * a[i];
		yy += b[i] * b[i];
		xy += a[i] * b[i];
	}
	return (n * xy - x * y) / sqrt((n * xx - x * x) * (n * yy - y * y));
}

/* What the items of a history contribute to a score adds up to it; the blend's members do not all know what theirs do. */
static void
test_contributions(Run *run, const Stored *s, const TrHistory *history, const double *score)
{
	float		term[ITEMS];
	double		most = 0;

	for (int32_t i = 0; i < ITEMS; i++)
	{
		double		sum = 0;

		run->algorithm->contributions(run->model, history, &s->catalogue, i, term, &run->err);
		for (int32_t e = 0; e < history->items.n; e++)
			sum += term[e];
		most = fmax(most, fabs(sum - score[i]));
	}
	CHECK_NEAR(most, 0, 1e-4, "%s: what items contribute adds up to the score", run->algorithm->name);
}

/*
 * The average user of the two groups' items is much like each of them, so that towers, which take a stranger's tags from
 * his items, agree nearly.
 */
static bool
borrows_tags(const TrAlgorithm *algorithm)
{
	return strcmp(algorithm->name, "dspr") == 0 || strcmp(algorithm->name, "hdlpr") == 0
		|| strcmp(algorithm->name, "hdlpr_ns") == 0 || strcmp(algorithm->name, "hybrid") == 0
		|| strcmp(algorithm->name, "blend") == 0;
}

/* A stranger with the history of somebody who was trained on gets the scores that he has. */
static void
test_fold_in(Run *run, Run *trained, const float *arrays, int width)
{
	Stored		s = catalogue_of(trained, arrays, width);
	float	   *array = malloc(sizeof(float) * ((size_t) width + 1));
	float		ones[ITEMS];
	double		worst = 1;

	for (int i = 0; i < ITEMS; i++)
		ones[i] = 1;
	for (int32_t u = 0; u < USERS; u++)
	{
		TrHistory	history = history_of(&dataset, u, ones);
		double		expected[ITEMS];
		double		score[ITEMS];
		TrSparse	features = {0};

		if (run->algorithm->features)
			trained->algorithm->user_features(trained->model, &dataset, u, &features, &run->err);
		score_stored(run, &s, arrays + (size_t) u * (size_t) width, &features, expected);
		if (!CHECK(tr_model_fold_in(run->model, &history, &s.catalogue, array, &features, &run->err) == TR_OK,
				   "%s: folds user %d in %s", run->algorithm->name, u, run->err.message))
			break;
		score_stored(run, &s, array, &features, score);
		worst = fmin(worst, agreement(expected, score, u));
		if (u == 0 && run->algorithm->contributions && !tr_reads_tags(run->algorithm)
			&& !(tr_features(trained->model) & TR_FEATURES_ITEMS))
			test_contributions(run, &s, &history, score);
	}
	CHECK(worst > (borrows_tags(run->algorithm) ? 0.9 : 0.9999),
		  "%s: a user who is folded in scores items as one who was trained on, %.6f", run->algorithm->name, worst);
	free(array);
	free(s.ptr);
	free(s.item);
	free(s.weight);
	free(s.padded);
}

/* What save() gives, restored into a fresh model and loaded for serving, answers with the same bits. */
static void
test_save(Run *run, const Answer *expected, int width)
{
	TrTensor   *tensors;
	TrTensor   *stored;
	int			count;
	Run			other = *run;

	CHECK(tr_model_save(run->model, &tensors, &count, &run->err) == TR_OK && count > 0, "%s: saves",
		  run->algorithm->name);
	tr_model_create(&other.model, run->algorithm, &model_memory, backend, &dataset, run->options, &other.err);
	CHECK(tr_model_restore(other.model, tensors, count, &other.err) == TR_OK, "%s: restores", run->algorithm->name);
	CHECK(same_answer(&other, expected, width), "%s: restored, answers the same", run->algorithm->name);
	tr_model_destroy(other.model);
	if (!run->algorithm->loads && !run->algorithm->fold_in)
		return;
	stored = tr_alloc(&model_memory, (size_t) count * sizeof(TrTensor));
	count = store(tensors, count, stored);
	CHECK(tr_model_load(&other.model, run->algorithm, &model_memory, backend, TAGS, run->options, stored, count,
						&other.err) == TR_OK, "%s: loads", run->algorithm->name);
	test_loaded(&other, run, expected, width);
	if (tr_folds_in(run->algorithm))
		test_fold_in(&other, run, expected->value, width);
	tr_model_destroy(other.model);
	if (!run->algorithm->loads)
	{
		tr_free(&model_memory, stored);
		return;
	}
	CHECK(tr_model_load(&other.model, run->algorithm, &model_memory, backend, TAGS, run->options, stored, count - 1,
						&other.err) != TR_OK && other.err.message[0], "%s: says what is missing", run->algorithm->name);
	if (run->algorithm->encode || run->algorithm->encode_features)
		CHECK(tr_model_load(&other.model, run->algorithm, &model_memory, backend, TAGS + 1, run->options, stored, count,
							&other.err) != TR_OK, "%s: refuses another vocabulary", run->algorithm->name);
	tr_free(&model_memory, stored);
}

/* The same seed gives the same model. */
static void
test_repeatable(const Run *run, const Answer *expected, int width)
{
	Run			other = *run;

	CHECK(train_on(&other, &dataset) == TR_OK, "%s: trains again", run->algorithm->name);
	CHECK(same_answer(&other, expected, width), "%s: the same seed gives the same model", run->algorithm->name);
	tr_model_destroy(other.model);
}

static bool
stop_at_once(void *argument)
{
	(void) argument;
	return true;
}

static void
test_cancel(const TrAlgorithm *algorithm)
{
	Run			run;
	TrTrainHooks hooks = {.poll = {.stop = stop_at_once}};

	set_options(&run, algorithm, "1000");
	tr_model_create(&run.model, algorithm, &model_memory, backend, &dataset, run.options, &run.err);
	CHECK(tr_train(run.model, &dataset, NULL, &run.train, &hooks, &run.result, &run.err) == TR_CANCELLED, "%s: stops when asked",
		  algorithm->name);
	tr_model_destroy(run.model);
}

/* One user, one item: trained, or refused with a reason; never a crash. */
static void
test_tiny(const TrAlgorithm *algorithm, int users, int items)
{
	TrAssignments a;
	TrDataset	tiny;
	Run			run;
	TrStatus	status;

	tr_assignments_init(&a, &memory);
	for (int u = 0; u < users; u++)
		for (int i = 0; i < items; i++)
			tr_assignments_add(&a, u, i, (u + i) % 2, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&tiny, &a, users, items, 2, NULL);
	set_options(&run, algorithm, "2");
	status = train_on(&run, &tiny);
	CHECK(status == TR_OK || (status == TR_BAD_DATA && run.err.message[0]), "%s: %d user(s), %d item(s): %s", algorithm->name,
		  users, items, status == TR_OK ? "trains" : run.err.message);
	if (status == TR_OK || run.model)
		tr_model_destroy(run.model);
	tr_dataset_free(&tiny);
}

static void
test_algorithm(const TrAlgorithm *algorithm)
{
	Run			run;
	size_t		host = model_memory.used;
	size_t		device = backend->ops->allocated(backend);
	TrShape		shape = {USERS, ITEMS, TAGS, dataset.n_posts, dataset.n_assignments};
	Answer		answer;
	int			width;

	set_options(&run, algorithm, "30");
	CHECK(algorithm->estimate(&shape, run.options) > 0, "%s: estimates its memory", algorithm->name);
	CHECK(algorithm->loads || !algorithm->score_items, "%s: its network can be loaded, if it has one", algorithm->name);
	if (!CHECK(train_on(&run, &dataset) == TR_OK, "%s: trains %s", algorithm->name, run.err.message))
		return;
	width = array_width(&run);
	answer = answer_of(&run, width);
	CHECK(all_finite(answer.value, answer.count), "%s: finite arrays", algorithm->name);
	test_known_answer(&run);
	test_save(&run, &answer, width);
	test_repeatable(&run, &answer, width);
	if (algorithm->encode || algorithm->encode_features)
		test_encode(&run, &run, answer.value, width);
	tr_model_destroy(run.model);
	if (!run.result.epochs || run.result.epochs > 1)
		test_cancel(algorithm);
	test_tiny(algorithm, 1, 3);
	test_tiny(algorithm, 3, 1);
	test_tiny(algorithm, 1, 1);
	test_tiny(algorithm, 2, 2);
	free(answer.value);
	CHECK(model_memory.used == host && backend->ops->allocated(backend) == device, "%s: gives all its memory back",
		  algorithm->name);
}

/* The arrays of a spectral EASE, of which a stored one says what its item is as a feature. */
static void
test_spectral(const char *name)
{
	const TrAlgorithm *algorithm = tr_algorithm_find(name);
	TrSetting	settings[] = {{"method", "spectral"}, {"rank", "10"}, {"lambda", "2"}, {NULL, NULL}};
	TrTensor   *tensors;
	TrTensor	stored[16];
	float		arrays[(USERS + ITEMS) * 10];
	Run			run;
	Run			loaded;
	int			count;

	set_options(&run, algorithm, "1");
	tr_options_set((TrOptionTarget[]) {{algorithm->options, run.options}}, 1, settings, &run.err);
	CHECK(train_on(&run, &dataset) == TR_OK && run.model->width == 10, "%s: spectral %s", name, run.err.message);
	algorithm->embed(run.model, TR_USER, &dataset, 0, USERS, arrays, &run.err);
	algorithm->embed(run.model, TR_ITEM, &dataset, 0, ITEMS, arrays + USERS * 10, &run.err);
	tr_model_save(run.model, &tensors, &count, &run.err);
	count = store(tensors, count, stored);
	loaded = run;
	CHECK(tr_model_load(&loaded.model, algorithm, &model_memory, backend, TAGS, run.options, stored, count, &run.err) == TR_OK,
		  "%s: loads %s", name, run.err.message);
	test_fold_in(&loaded, &run, arrays, 10);
	tr_model_destroy(loaded.model);
	tr_model_destroy(run.model);
}

static TrStatus
create_with(const char *name, TrBackend *on, const char *option, const char *value, TrError *err)
{
	const TrAlgorithm *algorithm = tr_algorithm_find(name);
	TrSetting	settings[] = {{option, value}, {NULL, NULL}};
	char		values[4096];
	TrOptionTarget target = {algorithm->options, values};
	TrModel    *model = NULL;
	TrStatus	status;

	tr_options_set(&target, 1, settings, err);
	status = tr_model_create(&model, algorithm, &model_memory, on, &dataset, values, err);
	if (status == TR_OK)
		tr_model_destroy(model);
	return status;
}

/* score (USERS,ITEMS) of a model of tags that has arrays up to so many of them; returns its width */
static int
score_all(const char *name, const char *max_tags, double *score)
{
	const TrAlgorithm *a = tr_algorithm_find(name);
	TrSetting	settings[] = {{"max_tags", max_tags}, {NULL, NULL}};
	char		values[4096];
	TrOptionTarget target = {a->options, values};
	TrEpochStats stats = {0};
	float		arrays[USERS + ITEMS][TAGS];
	TrModel    *model = NULL;
	TrSparse	user;
	TrSparse	items;
	int			width;

	tr_options_set(&target, 1, settings, NULL);
	tr_model_create(&model, a, &model_memory, backend, &dataset, values, NULL);
	a->train_epoch(model, 1, NULL, &stats, NULL);
	width = model->width;
	if (width > 0)
	{
		a->embed(model, TR_USER, &dataset, 0, USERS, arrays[0], NULL);
		a->embed(model, TR_ITEM, &dataset, 0, ITEMS, arrays[USERS], NULL);
	}
	for (int u = 0; u < USERS; u++)
	{
		a->user_features(model, &dataset, u, &user, NULL);
		for (int f = 0; f < user.n; f++)
		{
			a->feature_weights(model, user.index[f], &items, NULL);
			for (int i = 0; i < items.n; i++)
				score[u * ITEMS + items.index[i]] += (double) user.value[f] * items.value[i];
		}
		for (int i = 0; i < ITEMS; i++)
			for (int t = 0; t < width; t++)
				score[u * ITEMS + i] += (double) arrays[u][t] * arrays[USERS + i][t];
	}
	tr_model_destroy(model);
	return width;
}

/* With more tags than arrays should have, the same scores come from lists of items. */
static void
test_many_tags(const char *name)
{
	double		arrays[USERS * ITEMS] = {0};
	double		lists[USERS * ITEMS] = {0};
	double		apart = 0;
	double		largest = 0;

	CHECK(score_all(name, "12", arrays) == TAGS, "%s: arrays for as many tags as max_tags", name);
	CHECK(score_all(name, "11", lists) == 0, "%s: none for more", name);
	for (int i = 0; i < USERS * ITEMS; i++)
	{
		apart = fmax(apart, fabs(arrays[i] - lists[i]));
		largest = fmax(largest, fabs(arrays[i]));
	}
	CHECK_NEAR(apart / largest, 0, 1e-6, "%s: and the same scores", name);
}

/* What an algorithm cannot do is an error that says so, and costs no memory. */
static void
test_refusals(void)
{
	size_t		host = model_memory.used;
	TrBackendOps lesser = *backend->ops;
	TrBackend	unable = {.ops = &lesser};
	TrError		err = {0};

	lesser.name = "lesser";
	lesser.regress_rows = NULL;
	CHECK(create_with("ials", &unable, NULL, NULL, &err) == TR_UNSUPPORTED && strstr(err.message, "device \"lesser\""),
		  "ials: needs a backend that solves its rows");
	CHECK(create_with("ccs", backend, "max_tags", "11", &err) == TR_BAD_DATA && strstr(err.message, "max_tags, 11"),
		  "ccs: more tags than max_tags");
	CHECK(create_with("ccf", backend, "max_tags", "11", &err) == TR_BAD_DATA && err.hint[0], "ccf: more tags than max_tags");
	CHECK(model_memory.used == host, "a refusal gives all memory back");
}

/* What a model of this algorithm saved, one tensor of it replaced: restore(), and load() when there is one, refuse it. */
static void
refuses_tensor(const char *name, int which, const TrTensor *instead, const char *complaint)
{
	TrTensor	tensors[16];
	TrTensor   *saved;
	TrModel    *loaded;
	Run			run;
	int			n;
	TrError		err = {0};

	set_options(&run, tr_algorithm_find(name), "1");
	train_on(&run, &dataset);
	tr_model_save(run.model, &saved, &n, &err);
	memcpy(tensors, saved, (size_t) n * sizeof(TrTensor));
	tensors[which] = *instead;
	CHECK(tr_model_restore(run.model, tensors, n, &err) == TR_BAD_DATA && strstr(err.message, complaint),
		  "%s: restores no such \"%s\"", name, instead->name);
	CHECK(!run.algorithm->loads || (tr_model_load(&loaded, run.algorithm, &model_memory, backend, TAGS, run.options, tensors, n,
												 &err) == TR_BAD_DATA && strstr(err.message, complaint)),
		  "%s: loads no such \"%s\": %s", name, instead->name, err.message);
	tr_model_destroy(run.model);
}

static void
test_bad_tensors(void)
{
	float		zeros[ITEMS * TAGS] = {0};
	float		nan[TAGS] = {NAN};
	float		skips[TAGS] = {0, 1, 3};

	refuses_tensor("ccs", 1, &(TrTensor) {.name = "idf", .rows = 0, .cols = TAGS}, "\"idf\" is 0 x 12, not 1 x 12");
	refuses_tensor("ccf", 1, &(TrTensor) {.name = "idf", .rows = 1, .cols = TAGS}, "\"idf\" has no values");
	refuses_tensor("ccf", 1, &(TrTensor) {.name = "idf", .rows = 1, .cols = TAGS, .value = nan}, "\"idf\" has an invalid number");
	refuses_tensor("ccs", 0, &(TrTensor) {.name = "clusters", .rows = 1, .cols = TAGS, .value = skips}, "does not match the other weights");
	refuses_tensor("tag_cosine", 1, &(TrTensor) {.name = "idf", .rows = 1, .cols = TAGS, .value = zeros}, "is there twice");
	refuses_tensor("tag_cosine", 0, &(TrTensor) {.name = "other", .rows = 1, .cols = 1, .value = zeros}, "is missing");
	refuses_tensor("popularity", 0, &(TrTensor) {.name = "users", .rows = 1, .cols = ITEMS - 1, .value = zeros},
				   "is 1 x 35, not 1 x 36");
	refuses_tensor("ease_tags", 2, &(TrTensor) {.name = "items", .rows = 1, .cols = 1, .value = nan}, "invalid number");
	refuses_tensor("ease_tags", 0, &(TrTensor) {.name = "chosen", .rows = 1, .cols = 3, .value = (float[]) {3e38f, 1, 1}},
				   "\"chosen\" has an invalid number");
	refuses_tensor("ease_tags", 0, &(TrTensor) {.name = "chosen", .rows = 1, .cols = 3, .value = (float[]) {1, 1001, 1}},
				   "weight of tags is 1001");
	refuses_tensor("ease_tags", 0, &(TrTensor) {.name = "chosen", .rows = 1, .cols = 3, .value = (float[]) {1, 1, 1e9f}},
				   "weight of tags is 1e+09");
}

/* Weights of tags beyond what can be squared: an error, and no embedding of NaN. */
static void
test_overflow(void)
{
	static const int64_t ptr[] = {0, 2};
	static const int32_t tags[] = {0, 2};
	static const float counts[] = {3e38f, 3e38f};
	TrProfiles	profile = {.rows = 1, .ptr = ptr, .tag = tags, .count = counts};
	float		array[TAGS];
	Run			run;

	set_options(&run, tr_algorithm_find("tag_cosine"), "1");
	train_on(&run, &dataset);
	CHECK(tr_model_encode(run.model, TR_USER, &profile, array, &run.err) == TR_NOT_FINITE
		  && strstr(run.err.message, "is not finite"), "an embedding that is not finite is an error: %s", run.err.message);
	tr_model_destroy(run.model);
}

/* A backend's own work space is taken at first use, and kept. */
static void
warm_up(void)
{
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
	{
		Run			run;
		double		value;

		if ((*a)->task != TR_TASK_ITEM)
			continue;
		set_options(&run, *a, "30");
		if (train_on(&run, &dataset) == TR_OK)
			tr_validate(run.model, &dataset, &held_out, TR_METRIC_NDCG, 10, NULL, &value, &run.err);
		tr_model_destroy(run.model);
	}
}

static void
test_epochs(void)
{
	CHECK_EQUAL(tr_usual_epochs(30, 0), 30, "epochs over nothing");
	CHECK_EQUAL(tr_usual_epochs(30, 166666), 30, "the usual ones over little data");
	CHECK_EQUAL(tr_usual_epochs(30, 250000), 20, "5 million pairs in all");
	CHECK_EQUAL(tr_usual_epochs(30, 2000000000), 5, "at least 5");
	CHECK_EQUAL(tr_usual_epochs(3, 2000000000), 3, "unless fewer are usual");
	CHECK_EQUAL(tr_planned_epochs(tr_algorithm_find("hdlpr_ns"), NULL, 7, 100), 7, "as many as are asked for");
	CHECK_EQUAL(tr_planned_epochs(tr_algorithm_find("hdlpr_ns"), NULL, 0, 250000), 20, "by the size");
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {tagrec_backend_ops};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	tr_memory_init(&model_memory, 0);
	make_data();
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
	{
		backends[i] ()->open(&backend, &config, NULL);
		warm_up();
		for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
			if ((*a)->task == TR_TASK_ITEM)
				test_algorithm(*a);
		test_spectral("ease");
		test_spectral("ease_tags");
		test_refusals();
	test_many_tags("tag_cosine");
	test_many_tags("tag_bm25");
		test_bad_tensors();
		test_overflow();
		test_epochs();
		backend->ops->close(backend);
	}
	tr_memory_release(&model_memory);
	tr_memory_release(&memory);
	return check_done();
}
