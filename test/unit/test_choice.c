/*
 * Options chosen on held-out pairs: the better ones, the first ones in doubt, and what comes of it in a model.
 */
#include "backends.h"
#include "models/choice.h"

#define USERS 60
#define ITEMS 40

static TrMemory memory;
static TrBackend *backend;
static TrDataset dataset;

/* Two groups; a user has items of his own group, for the most part. */
static void
make_data(void)
{
	TrAssignments a;
	Draw		draw = {.seed = 3};

	tr_assignments_init(&a, &memory);
	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS; i++)
			if (draw_below(&draw, 10) < (i % 2 == u % 2 ? 5 : 1))
				tr_assignments_add(&a, u, i, i % 4, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, 4, NULL);
}

static TrModel *
create(const char *name, TrSetting *settings, void *options)
{
	const TrAlgorithm *a = tr_algorithm_find(name);
	TrOptionTarget target = {a->options, options};
	TrModel    *model = NULL;
	TrError		err = {0};

	CHECK(tr_options_set(&target, 1, settings, &err) == TR_OK
		  && tr_model_create(&model, a, &memory, backend, &dataset, options, &err) == TR_OK, "%s %s", name, err.message);
	return model;
}

/* Which of two lambdas is chosen */
static int
chosen(const char *first, const char *second, double margin, bool (*worth) (int best, int i))
{
	char		options[2][1024];
	const void *list[] = {options[0], options[1]};
	TrSetting	a[] = {{"lambda", first}, {NULL, NULL}};
	TrSetting	b[] = {{"lambda", second}, {NULL, NULL}};
	TrModel    *one = create("ease", a, options[0]);
	TrModel    *two = create("ease", b, options[1]);
	TrChoice	choice = {.options = list, .n = 2, .epochs = 1, .margin = margin, .worth = worth, .seed = 1};
	int			best = -1;
	TrError		err = {0};

	CHECK(tr_choose(&best, one, &choice, NULL, &err) == TR_OK, "lambda %s or %s %s", first, second, err.message);
	tr_model_destroy(one);
	tr_model_destroy(two);
	return best;
}

static bool
never(int best, int i)
{
	(void) best;
	return i == 0;
}

static float
tensor_value(TrModel *model, const char *name, int at)
{
	TrTensor   *tensors;
	int			n;

	tr_model_save(model, &tensors, &n, NULL);
	for (int t = 0; t < n; t++)
		if (strcmp(tensors[t].name, name) == 0)
			return tensors[t].value[at];
	return -1;
}

static TrModel *
train(const char *name, TrSetting *settings, void *options)
{
	TrModel    *model = create(name, settings, options);
	TrEpochStats stats = {0};
	TrError		err = {0};

	model->epochs = 2;
	CHECK(model->algorithm->train_epoch(model, 1, NULL, &stats, &err) == TR_OK, "%s trains %s", name, err.message);
	return model;
}

/* What is chosen is stored; what is given is not chosen. */
static void
test_models(void)
{
	static char options[4][4096];
	TrSetting	none[] = {{NULL, NULL}};
	TrSetting	given[] = {{"alpha", "0.2"}, {"regularization", "0.05"}, {NULL, NULL}};
	TrSetting	half[] = {{"alpha", "0.2"}, {NULL, NULL}};
	TrModel    *open = train("ials", none, options[0]);
	TrModel    *closed = train("ials", given, options[1]);
	TrModel    *mixed = train("ials", half, options[2]);
	TrModel    *ease = train("ease", none, options[3]);
	float		lambda = tensor_value(ease, "lambda", 0);

	CHECK(tensor_value(open, "weights", 0) > 0 && tensor_value(open, "weights", 1) > 0, "alpha and regularization are stored");
	CHECK(tensor_value(closed, "weights", 0) < 0, "not where they were given");
	CHECK(tensor_value(mixed, "weights", 0) == 0.2f && tensor_value(mixed, "weights", 1) > 0, "one given stays as it is");
	CHECK(lambda == 300 || lambda == 50, "a lambda is chosen");
	tr_model_destroy(open);
	tr_model_destroy(closed);
	tr_model_destroy(mixed);
	tr_model_destroy(ease);
}

/* One of those that item 1 is stored with */
static float
number_of(TrModel *model)
{
	float		array[1024];
	TrSparse	weights = {0};

	if (model->width > 0)
		model->algorithm->embed(model, TR_ITEM, &dataset, 1, 1, array, NULL);
	else
		model->algorithm->feature_weights(model, 1, &weights, NULL);
	return model->width > 0 ? array[0] : weights.value[0];
}

/* What is chosen can be said in options, with which a model chooses nothing and is the same. */
static void
test_settled(const char *name, const char *const *chosen)
{
	static char options[3][4096];
	static char value[3][TR_MAX_TEXT];
	TrSetting	none[] = {{NULL, NULL}};
	TrSetting	told[4] = {{NULL, NULL}};
	TrModel    *open = train(name, none, options[0]);
	const TrAlgorithm *a = open->algorithm;
	TrOptionTarget target = {a->options, options[1]};
	TrModel    *again;

	memcpy(options[1], options[0], sizeof(options[0]));
	CHECK(a->settled(open, options[1]), "%s says what it has chosen", name);
	for (int i = 0; i < 3 && chosen[i]; i++)
	{
		tr_option_format(tr_options_find(&target, 1, chosen[i]), options[1], value[i], sizeof(value[i]));
		told[i] = (TrSetting) {chosen[i], value[i]};
	}
	again = train(name, told, options[2]);
	CHECK(memcmp(options[1], options[2], a->options->size) == 0, "%s: %s %s and the like are options", name, chosen[0],
		  value[0]);
	CHECK(number_of(again) == number_of(open), "%s is the same with them", name);
	CHECK(!a->settled(again, options[1]), "%s chooses nothing then", name);
	tr_model_destroy(open);
	tr_model_destroy(again);
}

/* A tower as it chooses by itself is the one that was told to be like that. */
static void
test_towers(void)
{
	static char options[3][4096];
	TrSetting	none[] = {{NULL, NULL}};
	TrSetting	first[] = {{"temperature", "0.1"}, {"batch", "128"}, {NULL, NULL}};
	TrSetting	second[] = {{"temperature", "0.2"}, {"batch", "32"}, {NULL, NULL}};
	TrModel    *open = train("hdlpr_ns", none, options[0]);
	float		temperature = tensor_value(open, "temperature", 0);
	TrSetting	third[] = {{"temperature", "0.05"}, {"batch", "128"}, {NULL, NULL}};
	bool		is_first = temperature == 0.1f;
	TrModel    *told = train("hdlpr_ns", is_first ? first : temperature == 0.2f ? second : third, options[1]);
	TrModel    *other = train("hdlpr_ns", is_first ? second : first, options[2]);

	CHECK(is_first || temperature == 0.2f || temperature == 0.05f, "a temperature is chosen, %g", temperature);
	CHECK(tensor_value(told, "temperature", 0) < 0, "and not stored where it was given");
	CHECK(tensor_value(open, "W1", 0) == tensor_value(told, "W1", 0), "the training is by what was chosen");
	CHECK(tensor_value(open, "W1", 0) != tensor_value(other, "W1", 0), "and not by the other");
	tr_model_destroy(open);
	tr_model_destroy(told);
	tr_model_destroy(other);
}

/* Loaded with these options */
static TrModel *
load(TrModel *trained, const void *options)
{
	TrTensor   *tensors;
	int			n;
	TrModel    *loaded = NULL;
	TrError		err = {0};

	CHECK(tr_model_save(trained, &tensors, &n, &err) == TR_OK
		  && tr_model_load(&loaded, trained->algorithm, &memory, backend, 4, options, tensors, n, &err) == TR_OK, "loads %s",
		  err.message);
	return loaded;
}

/* The array of a user of two items */
static void
fold(float *array, TrModel *trained, TrModel *loaded)
{
	static float items[ITEMS * 64];
	int32_t		item[] = {0, 2},
				tag[] = {0, 2};
	float		one[] = {1, 1};
	TrHistory	history = {.items = {2, item, one}, .tags = {2, tag, one}};
	TrSparse	features = {0};
	TrCatalogue catalogue = {.n_items = ITEMS, .width = trained->width, .array = items, .stride = (size_t) trained->width};
	TrError		err = {0};

	trained->algorithm->embed(trained, TR_ITEM, &dataset, 0, ITEMS, items, NULL);
	CHECK(tr_model_fold_in(loaded, &history, &catalogue, array, &features, &err) == TR_OK, "folds in %s", err.message);
}

/* Stored are lambda and the weights of tags, which a blend of 0.1.0 lacks. */
static void
test_ease_tags(void)
{
	static char options[3][4096];
	TrSetting	none[] = {{NULL, NULL}};
	TrSetting	half[] = {{"lambda", "7"}, {NULL, NULL}};
	TrSetting	given[] = {{"lambda", "300"}, {"user_tags", "3"}, {"item_tags", "1"}, {NULL, NULL}};
	TrModel    *open = train("ease_tags", none, options[0]);
	TrModel    *mixed = train("ease_tags", half, options[1]);
	TrModel    *closed = train("ease_tags", given, options[2]);
	TrModel    *loaded = load(closed, options[0]);
	float		lambda = tensor_value(open, "chosen", 0);
	float		tags = tensor_value(open, "chosen", 1);
	TrProfiles	profile = {.rows = 1, .ptr = (int64_t[]) {0, 1}, .tag = (int32_t[]) {0}, .count = (float[]) {1}};
	TrSparse	features = {0};
	TrError		err = {0};

	CHECK((lambda == 300 || lambda == 100) && (tags == 3 || tags == 0.3f), "a lambda is chosen, %g, and the weight of tags, %g", lambda,
		  tags);
	CHECK(tensor_value(mixed, "chosen", 0) == 7, "one given stays as it is");
	CHECK(tensor_value(closed, "chosen", 0) < 0, "what is given is not stored");
	CHECK(loaded->algorithm->encode_features(loaded, &profile, 0, &features, &err) == TR_OK && features.n == 1
		  && features.value[0] == 3, "a model of version 0.1.0 has its default");
	tr_model_destroy(loaded);
	tr_model_destroy(open);
	tr_model_destroy(mixed);
	tr_model_destroy(closed);
}

/*
 * In version 0.1.0 nothing was chosen. A blend says of its members' options only what the user said, so that one of that
 * version is loaded with today's defaults.
 */
static void
test_earlier(void)
{
	static char options[2][4096];
	TrSetting	given[] = {{"layers", "3"}, {"item_history", "2"}, {"item_term", "0"}, {"user_dropout", "0.7"},
						   {"item_dropout", "0.1"}, {"temperature", "0.1"}, {"batch", "128"}, {NULL, NULL}};
	TrSetting	defaults[] = {{"layers", "3"}, {NULL, NULL}};
	static float array[2][USERS * 64];
	TrModel    *model = train("hybrid", given, options[0]);
	TrModel    *open = create("hybrid", defaults, options[1]);
	TrModel    *loaded[2];
	TrError		err = {0};

	CHECK(model->width <= 64, "%d numbers", model->width);
	for (int i = 0; i < 2; i++)
		fold(array[i], model, loaded[i] = load(model, options[i]));
	CHECK(memcmp(array[0], array[1], (size_t) model->width * sizeof(float)) == 0, "the same as with the defaults of that version");
	for (int i = 0; i < 2; i++)
		CHECK(model->algorithm->embed(loaded[i], TR_USER, &dataset, 0, USERS, array[i], &err) == TR_OK, "users %s", err.message);
	CHECK(memcmp(array[0], array[1], sizeof(float) * USERS * (size_t) model->width) == 0, "so are the users of a refresh");
	for (int i = 0; i < 2; i++)
		tr_model_destroy(loaded[i]);
	tr_model_destroy(open);
	tr_model_destroy(model);
}

int
main(void)
{
	size_t		used;

	tr_memory_init(&memory, 0);
	backend = open_backend(tagrec_backend_ops(), 2);
	make_data();
	used = memory.used;
	CHECK(chosen("0.01", "100", 0, NULL) == 1, "what ranks better is chosen");
	CHECK(chosen("100", "0.01", 0, NULL) == 0, "in either order");
	CHECK(chosen("20", "20", 0, NULL) == 0, "in doubt the first");
	CHECK(chosen("0.01", "100", 1000, NULL) == 0, "also where the other is not better by the margin");
	CHECK(chosen("0.01", "100", 0, never) == 0, "what is not worth a try is not tried");
	test_models();
	test_settled("ials", (const char *const[]) {"alpha", "regularization", NULL});
	test_settled("ease", (const char *const[]) {"lambda", NULL});
	test_settled("ease_tags", (const char *const[]) {"lambda", "user_tags", "item_tags"});
	test_ease_tags();
	test_towers();
	test_earlier();
	CHECK(memory.used == used, "all memory is given back");
	backend->ops->close(backend);
	tr_memory_release(&memory);
	return check_done();
}
