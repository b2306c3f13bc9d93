/*
 * Blends: what their options refuse, that the score is the weighted sum of standardised scores, and how weights are chosen.
 */
#include "backends.h"
#include "core/trainer.h"
#include "core/validation.h"
#include "models/blend/blend_scores.h"

#define USERS 40
#define ITEMS 30
#define TAGS 6

static TrMemory memory;
static TrBackend *backend;
static TrDataset dataset;
static TrPairs held_out;

/* Two groups; a user has items of his own group, and some of them are held out. */
static void
make_data(void)
{
	TrAssignments a;
	TrAssignments rest;
	Draw		draw = {.seed = 9};

	tr_assignments_init(&a, &memory);
	tr_assignments_init(&rest, &memory);
	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS; i++)
		{
			if (draw_below(&draw, 10) >= (i % 2 == u % 2 ? 5 : 1))
				continue;
			if (draw_below(&draw, 4) == 0)
				tr_assignments_add(&rest, u, i, 0, false, 0);
			else
				tr_assignments_add(&a, u, i, 2 * draw_below(&draw, TAGS / 2) + i % 2, false, 0);
		}
	tr_assignments_distinct(&a, NULL);
	tr_assignments_distinct(&rest, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
	held_out = (TrPairs) {.count = (int32_t) rest.count, .user = rest.user, .item = rest.item};
}

/* ------------------------------------------------------------------ options */

static void
refuses(const char *option, const char *value, const char *message)
{
	const TrAlgorithm *blend = tr_algorithm_find("blend");
	TrSetting	settings[] = {{option, value}, {NULL, NULL}};
	char		values[4096];
	TrOptionTarget target = {blend->options, values};
	TrError		err = {0};
	TrStatus	status = tr_options_set(&target, 1, settings, &err);

	CHECK(status == TR_BAD_OPTION && strstr(err.message, message), "%s=\"%s\" is refused: %s", option, value, message);
	if (status != TR_OK && !strstr(err.message, message))
		printf("# %s\n", err.message);
}

static void
test_options(void)
{
	char		many[200] = "";

	for (int i = 0; i < 9; i++)
		sprintf(many + strlen(many), "ials seed=%d;", i);
	refuses("members", "", "option \"members\" is empty");
	refuses("members", " ; ", "option \"members\" is empty");
	refuses("members", "ease; nonsense", "unknown algorithm \"nonsense\" in option \"members\"");
	refuses("members", "ease lambda", "\"lambda\" is not of the form option=value");
	refuses("members", "ease lambda=", "member \"ease\": invalid value for option \"lambda\"");
	refuses("members", "ease lamda=3", "member \"ease\": unknown option \"lamda\"");
	refuses("members", "ease validation=0.1", "unknown option \"validation\"");
	refuses("members", "hdlpr_ns regularization=0.5 reconstruction=0.6", "member \"hdlpr_ns\": regularization");
	refuses("members", "ials; ease; ials", "member \"ials\" specified more than once with the same options");
	refuses("members", "ials; ials factors=64", "member \"ials\" specified more than once with the same options");
	refuses("members", "ease; blend", "cannot be a member of a blend");
	refuses("members", "ease; tag_popular", "recommends tags");
	refuses("members", many, "a blend cannot have more than 8 members");
	refuses("weights", "1", "1 numbers for 6 members");
	refuses("weights", "1,2,3", "3 numbers for 6 members");
	refuses("weights", "1,-2", "\"-2\"");
	refuses("weights", "1,x", "\"x\"");
	refuses("weights", "0 0 0 0 0 0", "has no number greater than 0");
	refuses("weights", "1e308 1e308", "which is not a number from 0 to 1e+09");
}

/* ------------------------------------------------------------------ training */

static TrSetting extra;			/* one more setting for all trainings */

static TrStatus
train(TrModel **model, const char *name, const char *members, const char *weights, const TrPairs *pairs, TrError *err)
{
	const TrAlgorithm *algorithm = tr_algorithm_find(name);
	bool		blend = strcmp(name, "blend") == 0;
	TrSetting	settings[] = {{"members", members}, {"weights", weights}, extra, {NULL, NULL}};
	static char values[8][4096];
	static int	used;
	TrTrainOptions train_options;
	TrOptionTarget targets[] = {{algorithm->options, values[used++ % 8]}, {&tr_train_options, &train_options}};
	TrTrainResult result;

	*model = NULL;
	TR_TRY(tr_options_set(targets, 2, blend ? settings : NULL, err));
	TR_TRY(tr_model_create(model, algorithm, &memory, backend, &dataset, targets[0].values, err));
	return tr_train(*model, &dataset, pairs, &train_options, NULL, &result, err);
}

/* score (ITEMS) of one user */
static void
score_user(TrModel *model, int user, double score[ITEMS])
{
	const TrAlgorithm *a = model->algorithm;
	int			W = model->width;
	float	   *arrays = malloc(sizeof(float) * (ITEMS + 1) * (W + 1));
	TrSparse	features = {0};

	if (W > 0)
	{
		a->embed(model, TR_ITEM, &dataset, 0, ITEMS, arrays, NULL);
		a->embed(model, TR_USER, &dataset, user, 1, arrays + ITEMS * W, NULL);
	}
	for (int i = 0; i < ITEMS; i++)
	{
		score[i] = 0;
		for (int j = 0; j < W; j++)
			score[i] += (double) arrays[i * W + j] * arrays[ITEMS * W + j];
	}
	if (tr_features(model))
		a->user_features(model, &dataset, user, &features, NULL);
	for (int f = 0; f < features.n; f++)
	{
		TrSparse	row;

		a->feature_weights(model, features.index[f], &row, NULL);
		for (int i = 0; i < row.n; i++)
			score[row.index[i]] += (double) features.value[f] * row.value[i];
	}
	free(arrays);
}

static double
deviation(const double score[ITEMS])
{
	double		mean = 0;
	double		squares = 0;

	for (int i = 0; i < ITEMS; i++)
		mean += score[i] / ITEMS;
	for (int i = 0; i < ITEMS; i++)
		squares += (score[i] - mean) * (score[i] - mean) / ITEMS;
	return sqrt(squares);
}

/* The largest difference of the blend's scores from those of its parts, divided by their deviations and weighted. */
static double
apart_from(TrModel *blend, TrModel **part, const double *weight, int n)
{
	double		most = 0;

	for (int u = 0; u < USERS; u++)
	{
		double		got[ITEMS];
		double		sum[ITEMS] = {0};

		score_user(blend, u, got);
		for (int p = 0; p < n; p++)
		{
			double		own[ITEMS];

			score_user(part[p], u, own);
			for (int i = 0; i < ITEMS; i++)
				sum[i] += weight[p] * own[i] / deviation(own);
		}
		for (int i = 0; i < ITEMS; i++)
			most = fmax(most, fabs(sum[i] - got[i]));
	}
	return most;
}

static void
test_sum(void)
{
	static const char *const names[] = {"ease_tags", "ials", "popularity"};
	static const double given[] = {0.5, 0.3, 0.2};
	static const double equal[] = {1 / 3.0, 1 / 3.0, 1 / 3.0};
	TrModel    *part[3];
	TrModel    *blend;
	TrError		err = {0};

	for (int p = 0; p < 3; p++)
		CHECK(train(&part[p], names[p], NULL, NULL, NULL, &err) == TR_OK, "%s by itself %s", names[p], err.message);
	CHECK(train(&blend, "blend", "ease_tags;ials; popularity", "[5, 3, 2]", &held_out, &err) == TR_OK, "a blend of three %s",
		  err.message);
	CHECK_NEAR(apart_from(blend, part, given, 3), 0, 2e-4, "the score is the sum of standardised scores, by the weights given");
	tr_model_destroy(blend);
	CHECK(train(&blend, "blend", "ease_tags;ials;popularity", "", NULL, &err) == TR_OK, "without held-out pairs %s", err.message);
	CHECK_NEAR(apart_from(blend, part, equal, 3), 0, 2e-4, "without held-out pairs all members weigh the same");
	tr_model_destroy(blend);
	for (int p = 0; p < 3; p++)
		tr_model_destroy(part[p]);
}

/* spread (USERS) of the scores of parts that share neighbours: the mean of their deviations, each beside its typical one */
static void
measure_spread(TrModel **part, int n, double *typical, double *spread)
{
	memset(spread, 0, USERS * sizeof(double));
	for (int p = 0; p < n; p++)
	{
		double		own[USERS];
		int			users = 0;

		typical[p] = 0;
		for (int u = 0; u < USERS; u++)
		{
			double		score[ITEMS];

			score_user(part[p], u, score);
			own[u] = deviation(score);
			typical[p] += own[u];
			users += own[u] > 0;
		}
		typical[p] /= users;
		for (int u = 0; u < USERS; u++)
			spread[u] += own[u] / typical[p] / n;
	}
}

/* Members with neighbours among items have one row of weights between them. */
static void
test_shared(void)
{
	static const char *const names[] = {"ease", "item_knn", "ease_tags"};
	static const double given[] = {0.5, 0.3, 0.2};
	TrModel    *part[3];
	TrModel    *blend;
	double		typical[3];
	double		spread[USERS];
	double		most = 0;
	TrError		err = {0};

	for (int p = 0; p < 3; p++)
		CHECK(train(&part[p], names[p], NULL, NULL, NULL, &err) == TR_OK, "%s by itself %s", names[p], err.message);
	CHECK(train(&blend, "blend", "ease; item_knn; ease_tags", "5 3 2", NULL, &err) == TR_OK, "neighbours shared %s", err.message);
	measure_spread(part, 3, typical, spread);
	for (int u = 0; u < USERS; u++)
	{
		double		got[ITEMS];
		double		sum[ITEMS] = {0};

		score_user(blend, u, got);
		for (int p = 0; p < 3; p++)
		{
			double		own[ITEMS];

			score_user(part[p], u, own);
			for (int i = 0; i < ITEMS; i++)
				sum[i] += given[p] * own[i] / typical[p] / spread[u];
		}
		for (int i = 0; i < ITEMS; i++)
			most = fmax(most, fabs(sum[i] - got[i]));
	}
	CHECK_NEAR(most, 0, 2e-4, "the score is the weighted sum of scores with a common unit");
	tr_model_destroy(blend);
	for (int p = 0; p < 3; p++)
		tr_model_destroy(part[p]);
}

/* Of a member without weight nothing is stored; the others answer as before, also when they were restored. */
static void
test_dropped(void)
{
	static const double given[] = {0.7, 0.3};
	const TrAlgorithm *a = tr_algorithm_find("blend");
	char		options[8192];
	TrOptionTarget target = {a->options, options};
	TrSetting	settings[] = {{"members", "ease; ials; popularity"}, {"weights", "7 0 3"}, {NULL, NULL}};
	TrModel    *part[2];
	TrModel    *blend;
	TrModel    *other;
	TrTensor   *tensors;
	int			n;
	int			stored = 0;
	TrError		err = {0};

	(void) train(&part[0], "ease", NULL, NULL, NULL, &err);
	(void) train(&part[1], "popularity", NULL, NULL, NULL, &err);
	CHECK(train(&blend, "blend", settings[0].value, settings[1].value, NULL, &err) == TR_OK, "one of three weighs nothing %s",
		  err.message);
	tr_model_save(blend, &tensors, &n, &err);
	for (int t = 0; t < n; t++)
		stored += strncmp(tensors[t].name, "1:", 2) == 0;
	CHECK(stored == 0 && blend->width == part[1]->width, "nothing of it is stored");
	CHECK_NEAR(apart_from(blend, part, given, 2), 0, 2e-4, "the score is that of the others");
	tr_options_set(&target, 1, settings, NULL);
	CHECK(tr_model_create(&other, a, &memory, backend, &dataset, options, &err) == TR_OK
		  && tr_model_restore(other, tensors, n, &err) == TR_OK, "restore %s", err.message);
	CHECK_NEAR(apart_from(other, part, given, 2), 0, 2e-4, "also of the restored ones");
	tensors[0].value[5 + 3] = 1;
	CHECK(tr_model_restore(other, tensors, n, &err) == TR_BAD_DATA, "what was dropped has no width");
	tr_model_destroy(other);
	tr_model_destroy(blend);
	tr_model_destroy(part[0]);
	tr_model_destroy(part[1]);
}

/* A spectral member has arrays, and so no neighbours that another could have, too. */
static void
test_spectral_member(void)
{
	TrModel    *blend;
	TrError		err = {0};

	CHECK(train(&blend, "blend", "ease_tags method=spectral rank=9; ease; ials factors=4", "1 1 1", &held_out, &err) == TR_OK,
		  "a blend with a spectral member %s", err.message);
	CHECK(blend->width == 9 + 4 && tr_features(blend) == TR_FEATURES_ITEMS, "it is %d wide, and has neighbours of items", blend->width);
	tr_model_destroy(blend);
}

#define MANY 9000

/* Scores by a sample of the items are those items' own, and spread about as far as all do. */
static void
test_sample(const char *member)
{
	TrMemory   *own = tr_memory_child(&memory);
	TrAssignments a;
	TrDataset	many;
	TrModel		model = {.memory = own, .backend = backend, .dataset = &many};
	Blend		m = {.model = model, .n_items = MANY};
	BlendMember one = {.algorithm = tr_algorithm_find(member)};
	TrSetting	none[] = {{NULL, NULL}};
	char		values[4096];
	TrOptionTarget target = {one.algorithm->options, values};
	int32_t		user[3] = {0, 1, 2};
	BlendScorer all;
	BlendScorer some;
	TrEpochStats stats = {0};
	size_t		before;
	int			same = 0;

	tr_assignments_init(&a, &memory);
	for (int i = 0; i < MANY; i++)
		for (int k = 0; k < 4; k++)
			tr_assignments_add(&a, (int32_t) tr_below(3, 1, (uint64_t) k, (uint64_t) i, 300), i, i % 7, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&many, &a, 300, MANY, 7, NULL);
	tr_assignments_free(&a);
	CHECK_EQUAL(tr_options_set(&target, 1, none, NULL), TR_OK, "options of %s", member);
	CHECK_EQUAL(tr_model_create(&one.model, one.algorithm, own, backend, &many, values, NULL), TR_OK, "%s", member);
	CHECK_EQUAL(one.algorithm->train_epoch(one.model, 1, NULL, &stats, NULL), TR_OK, "%s is trained", member);
	one.width = one.model->width;
	one.features = tr_features(one.model);
	before = memory.used;
	backend->step_work = 2e6;
	CHECK_EQUAL(blend_scorer_open(&all, &m, &one, NULL, NULL), TR_OK, "a scorer of all items");
	CHECK(one.width == 0 || memory.used - before < sizeof(float) * BLEND_BLOCK * MANY, "has room for what it scores at a time");
	CHECK_EQUAL(blend_scorer_open(&some, &m, &one, NULL, NULL), TR_OK, "a scorer of some");
	CHECK_EQUAL(blend_scorer_sample(&some, NULL), TR_OK, "has a sample");
	CHECK(blend_score_users(&all, user, 3, NULL, NULL) == TR_OK && blend_score_users(&some, user, 3, NULL, NULL) == TR_OK,
		  "both score");
	for (int u = 0; u < 3; u++)
		for (int i = 0; i < MANY; i++)
			same += some.place[i] >= 0
				&& fabsf(some.host_scores[u * some.columns + some.place[i]] - all.host_scores[u * MANY + i]) < 1e-5f;
	CHECK(some.columns == 4096 && all.columns == MANY && same == 3 * 4096, "%s: %d scores of a sample are the items' own", member,
		  same);
	backend->step_work = 0;
	blend_scorer_close(&all);
	blend_scorer_close(&some);
	tr_model_destroy(one.model);
	tr_dataset_free(&many);
	tr_memory_end_child(own);
}

/* Of many items the scores of few users are there at a time, also where nothing is multiplied. */
static void
test_rows(void)
{
	BlendMember none = {.width = 0};
	BlendMember wide = {.width = 64};
	Blend		m = {.model = {.backend = backend}};
	int32_t		many = 10 * 1000 * 1000;

	CHECK_EQUAL(blend_scorer_rows(&(BlendScorer) {.blend = &m, .member = &none, .columns = ITEMS}), BLEND_BLOCK, "few items");
	CHECK_EQUAL(blend_scorer_rows(&(BlendScorer) {.blend = &m, .member = &wide, .columns = ITEMS}), BLEND_BLOCK, "few items");
	CHECK(blend_scorer_rows(&(BlendScorer) {.blend = &m, .member = &none, .columns = many}) <= 12, "many items, no arrays");
	CHECK(blend_scorer_rows(&(BlendScorer) {.blend = &m, .member = &wide, .columns = many}) <= 12, "many items, and arrays");
	CHECK_EQUAL(blend_scorer_rows(&(BlendScorer) {.blend = &m, .member = &none, .columns = INT32_MAX}), 1, "very many items");
}

/* How wide the arrays of ccs are, training decides. */
static void
test_width(void)
{
	static const char *const names[] = {"ccs", "popularity"};
	static const double given[] = {0.5, 0.5};
	TrModel    *part[2];
	TrModel    *blend;
	TrError		err = {0};

	for (int p = 0; p < 2; p++)
		CHECK(train(&part[p], names[p], NULL, NULL, NULL, &err) == TR_OK, "%s by itself %s", names[p], err.message);
	CHECK(train(&blend, "blend", "ccs; popularity", "1 1", NULL, &err) == TR_OK, "a blend with ccs %s", err.message);
	CHECK(part[0]->width < TAGS, "fewer clusters than tags");
	CHECK(blend->width == part[0]->width
		  + part[1]->width, "the blend is as wide as its parts");
	CHECK_NEAR(apart_from(blend, part, given, 2), 0, 2e-4, "its score is their sum");
	tr_model_destroy(blend);
	for (int p = 0; p < 2; p++)
		tr_model_destroy(part[p]);
}

static double
quality(TrModel *model)
{
	double		value;

	tr_validate(model, &dataset, &held_out, TR_METRIC_NDCG, 20, NULL, &value, NULL);
	return value;
}

/* weight (3) = those of the model, as it saves them */
static void
read_weights(TrModel *model, float weight[3])
{
	TrTensor   *tensors;
	int			count;

	tr_model_save(model, &tensors, &count, NULL);
	for (int m = 0; m < 3; m++)
		weight[m] = tensors[0].value[m * tensors[0].cols];
}

static void
test_choice(void)
{
	TrModel    *equal;
	TrModel    *chosen;
	TrError		err = {0};
	float		weight[3] = {0};

	(void) train(&equal, "blend", "popularity; ease lambda=10; ials", "1 1 1", &held_out, &err);
	CHECK(train(&chosen, "blend", "popularity; ease lambda=10; ials", "", &held_out, &err) == TR_OK, "weights are chosen %s",
		  err.message);
	CHECK(quality(chosen) > quality(equal), "the weights chosen do better on the held-out pairs than equal ones");
	read_weights(chosen, weight);
	CHECK_NEAR(weight[0] + weight[1] + weight[2], 1, 1e-6, "weights add up to 1");
	CHECK(weight[0] < weight[1] + weight[2], "what tells nothing of a user weighs less than what does");
	tr_model_destroy(equal);
	tr_model_destroy(chosen);
}

/* Where members do worse than no scores at all, which rank the first item first, one of them keeps its weight. */
static void
test_last_member(void)
{
	int32_t		user[USERS];
	int32_t		item[USERS] = {0};
	TrPairs		first = {.user = user, .item = item};
	TrModel    *model;
	TrError		err = {0};
	float		weight[3] = {0};

	for (int u = 0; u < USERS; u++)
		if (tr_dataset_post(&dataset, u, 0) < 0)
			user[first.count++] = u;
	extra = (TrSetting) {"metric", "mrr"};
	CHECK(train(&model, "blend", "popularity; ease; ials", "", &first, &err) == TR_OK, "luck against skill %s", err.message);
	read_weights(model, weight);
	CHECK_NEAR(weight[0] + weight[1] + weight[2], 1, 1e-6, "weights still add up to 1");
	tr_model_destroy(model);
	extra = (TrSetting) {NULL, NULL};
}

/* What members have in common, or what none can do, is an error. */
static void
test_refusals(void)
{
	static const int64_t ptr[] = {0, 1};
	static const int32_t tag[] = {0};
	static const float count[] = {1};
	TrProfiles	profile = {.rows = 1, .ptr = ptr, .tag = tag, .count = count};
	TrModel    *model;
	TrSparse	features;
	float		array[256];
	TrError		err = {0};

	CHECK(train(&model, "blend", "ease_tags; ease_tags lambda=3", "", NULL, &err) == TR_BAD_OPTION
		  && strstr(err.message, "same kind of neighbours"), "two members with neighbours among tags are refused");
	CHECK(train(&model, "blend", "ease; ials", "", NULL, &err) == TR_OK, "two members without tags");
	CHECK(model->algorithm->encode(model, TR_USER, &profile, array, &err) == TR_UNSUPPORTED
		  && strstr(err.message, "no member of the blend can encode"), "they cannot encode tags");
	CHECK(model->algorithm->encode_features(model, &profile, 0, &features, &err) == TR_UNSUPPORTED, "nor as features");
	tr_model_destroy(model);
	extra = (TrSetting) {"stop_after", "2"};
	CHECK(train(&model, "blend", "ease; ials", "", NULL, &err) == TR_BAD_OPTION && strstr(err.message, "after 2 of its 11"),
		  "half a blend is no model");
	tr_model_destroy(model);
	extra = (TrSetting) {"epochs", "1"};
	CHECK(train(&model, "blend", "ease; ials", "", NULL, &err) == TR_OK, "epochs are those of a member, at most");
	tr_model_destroy(model);
	extra = (TrSetting) {NULL, NULL};
}

/* What is stored of the members' widths must be theirs, whatever their sum. */
static void
test_stored_widths(void)
{
	const TrAlgorithm *a = tr_algorithm_find("blend");
	char		options[8192];
	TrOptionTarget target = {a->options, options};
	TrSetting	settings[] = {{"members", "tag_cosine; tag_bm25"}, {NULL, NULL}};
	TrModel    *model;
	TrModel    *loaded;
	TrTensor   *tensors;
	int			n;
	TrError		err = {0};

	tr_options_set(&target, 1, settings, NULL);
	CHECK(train(&model, "blend", "tag_cosine; tag_bm25", "", NULL, &err) == TR_OK, "two members with arrays");
	tr_model_save(model, &tensors, &n, &err);
	CHECK(tr_model_load(&loaded, a, &memory, backend, dataset.n_tags, options, tensors, n, &err) == TR_OK, "load %s", err.message);
	tr_model_destroy(loaded);
	tensors[0].value[3] -= 1;
	tensors[0].value[8] += 1;
	CHECK(tr_model_load(&loaded, a, &memory, backend, dataset.n_tags, options, tensors, n, &err) == TR_BAD_DATA
		  && strstr(err.message, "does not match member \"tag_cosine\""), "with other widths they do not");
	CHECK(tr_model_restore(model, tensors, n, &err) == TR_BAD_DATA && model->width == 2 * dataset.n_tags,
		  "nor are they restored with these");
	tr_model_destroy(model);
}

/* The items' arrays and the weights of the features of a model, as a version stores them. */
static TrCatalogue
catalogue_of(TrModel *model)
{
	int			W = model->width;
	int64_t		features = tr_feature_count(tr_features(model), USERS, ITEMS, TAGS);
	float	   *arrays = malloc(sizeof(float) * (ITEMS * W + 1));
	int64_t    *ptr = calloc(features + 1, sizeof(int64_t));
	int32_t    *item = malloc(sizeof(int32_t) * (features * ITEMS + 1));
	float	   *weight = malloc(sizeof(float) * (features * ITEMS + 1));

	model->algorithm->embed(model, TR_ITEM, &dataset, 0, ITEMS, arrays, NULL);
	for (int64_t f = 0; f < features; f++)
	{
		TrSparse	row;

		model->algorithm->feature_weights(model, (int32_t) f, &row, NULL);
		ptr[f + 1] = ptr[f] + row.n;
		for (int32_t i = 0; i < row.n; i++)
		{
			item[ptr[f] + i] = row.index[i];
			weight[ptr[f] + i] = row.value[i];
		}
	}
	return (TrCatalogue) {.n_items = ITEMS, .width = W, .array = arrays, .stride = W, .n_features = features, .ptr = ptr,
	.item = item, .weight = weight};
}

static void
free_catalogue(TrCatalogue *c)
{
	free((void *) c->array);
	free((void *) c->ptr);
	free((void *) c->item);
	free((void *) c->weight);
}

/* Members that cannot be loaded, among others, one at a time: a user who is folded in has the scores of one trained on. */
static void
test_fold_in(const char *weights)
{
	static const char *const members = "bpr; popularity; user_knn; ials factors=8; ease; tag_cosine";
	const TrAlgorithm *a = tr_algorithm_find("blend");
	char		options[8192];
	TrOptionTarget target = {a->options, options};
	TrSetting	settings[] = {{"members", members}, {"weights", weights}, {NULL, NULL}};
	float		ones[ITEMS];
	float		array[1024];
	float		term[ITEMS];
	double		score[ITEMS];
	double		part = 0, expected = 0, square = 0;
	TrModel    *model;
	TrModel    *loaded;
	TrTensor   *tensors;
	TrTensor	stored[64];
	TrSparse	features;
	TrCatalogue catalogue;
	TrHistory	history = {.items = {dataset.user_ptr[4] - dataset.user_ptr[3], dataset.post_item + dataset.user_ptr[3], ones},
	.tags = {(int32_t) (dataset.user.entry_ptr[4] - dataset.user.entry_ptr[3]), dataset.user.tag + dataset.user.entry_ptr[3],
	dataset.user.count + dataset.user.entry_ptr[3]}};
	int			count;
	int			n = 0;
	TrError		err = {0};

	for (int i = 0; i < ITEMS; i++)
		ones[i] = 1;
	tr_options_set(&target, 1, settings, NULL);
	CHECK(train(&model, "blend", members, weights, NULL, &err) == TR_OK, "members of all kinds %s", err.message);
	tr_model_save(model, &tensors, &count, &err);
	for (int t = 0; t < count; t++)
		if (!tensors[t].training)
			stored[n++] = tensors[t];
	catalogue = catalogue_of(model);
	score_user(model, 3, score);
	CHECK(tr_model_load(&loaded, a, &memory, backend, TAGS, options, stored, n, &err) == TR_OK, "loads %s", err.message);
	CHECK(tr_model_fold_in(loaded, &history, &catalogue, array, &features, &err) == TR_OK, "folds in %s", err.message);
	for (int i = 0; i < ITEMS; i++)
	{
		double		mine = 0;

		if (tr_dataset_post(&dataset, 3, i) >= 0)
			continue;
		for (int j = 0; j < catalogue.width; j++)
			mine += (double) array[j] * catalogue.array[i * catalogue.width + j];
		for (int f = 0; f < features.n; f++)
			for (int64_t e = catalogue.ptr[features.index[f]]; e < catalogue.ptr[features.index[f] + 1]; e++)
				if (catalogue.item[e] == i)
					mine += (double) features.value[f] * catalogue.weight[e];
		part += mine * score[i];
		expected += score[i] * score[i];
		square += mine * mine;
	}
	/* ials solved for its users before it solved for its items */
	CHECK_NEAR(part / sqrt(expected * square), 1, strcmp(weights, "0 0 0 1 0 0") == 0 ? 1e-3 : 1e-6, "weights %s: the scores of one who was trained on, %g times", weights,
			   part / expected);
	CHECK(a->contributions(loaded, &history, &catalogue, 0, term, &err) == TR_OK, "says what items contribute");
	free_catalogue(&catalogue);
	tr_model_destroy(loaded);
	tr_model_destroy(model);
}

int
main(void)
{
	size_t		used;

	tr_memory_init(&memory, 0);
	backend = open_backend(tagrec_backend_ops(), 2);
	make_data();
	test_options();
	used = memory.used;
	test_sum();
	test_shared();
	test_dropped();
	test_width();
	test_rows();
	test_sample("ials");
	test_sample("item_knn");
	test_spectral_member();
	test_choice();
	test_last_member();
	test_refusals();
	test_stored_widths();
	test_fold_in("0 1 0 0 0 0");
	test_fold_in("0 0 1 0 0 0");
	test_fold_in("0 0 0 1 0 0");
	test_fold_in("0 0 0 0 1 0");
	test_fold_in("0 0 0 0 0 1");
	CHECK(memory.used == used, "all memory is given back");
	backend->ops->close(backend);
	tr_memory_release(&memory);
	return check_done();
}
