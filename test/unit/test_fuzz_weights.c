/*
 * Stored weights are hostile. Every algorithm is trained on a little data; then what it saved is spoilt at random, a round
 * at a time, and read again: by load(), and by restore() of a model that lives on. Either it is refused with a reason, or
 * the model answers, and neither reads what is not there: the sanitizers see to that, for which every tensor's numbers are
 * a block of their own.
 *
 *     FUZZ_ROUNDS=100000   rounds, over all algorithms and options together
 *     FUZZ_SEED=2          other rounds
 *     FUZZ_ONLY=blend      of the algorithms with this name alone
 *     FUZZ_TRACE=1         says which round it is before it, for the one that crashes
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/plain.h"
#include "core/rng.h"
#include "core/trainer.h"

#define USERS 10
#define ITEMS 12
#define TAGS 8
#define MOST_TENSORS 64
#define MOST_VALUES (1 << 14)	/* numbers that a spoilt tensor may have */
#define LIMIT ((size_t) 16 << 20)	/* memory of a model */
#define ROUNDS 10000			/* of the usual run */
#define LIFE 200				/* rounds that restore() into the same model */

static TrMemory memory;
static TrMemory model_memory;
static TrBackend *backend;
static TrDataset dataset;

/* ------------------------------------------------------------------ random numbers */

static uint64_t state;

static uint64_t
draw(void)
{
	state += 0x9E3779B97F4A7C15u;
	return tr_mix64(state);
}

static int
below(int n)
{
	return (int) (draw() % (uint64_t) n);
}

static int
size_drawn(int as_it_is)
{
	static const int sizes[] = {0, -1, 1, 2, INT_MAX, -INT_MAX, 1 << 16, TAGS, TAGS + 1, 1 << 30};

	if (below(4) == 0 && abs(as_it_is) < 1 << 20)
		return as_it_is + below(5) - 2;
	return sizes[below(sizeof(sizes) / sizeof(sizes[0]))];
}

static float
float_drawn(float as_it_is)
{
	static const float values[] = {0, -1, 1, 0.5f, NAN, INFINITY, -INFINITY, 1e38f, -1e38f, 1e-45f, 16777216, 2147483648.0f,
		-2147483648.0f, 2147483520.0f, TAGS, ITEMS, USERS, 65536, 3, 7};
	uint32_t	bits = (uint32_t) draw();

	switch (below(4))
	{
		case 0:
			memcpy(&as_it_is, &bits, sizeof(bits));
			return as_it_is;
		case 1:
			return as_it_is + (float) (below(2) ? below(3) - 1 : below(2049) - 1024);
		default:
			return values[below(sizeof(values) / sizeof(values[0]))];
	}
}

/* ------------------------------------------------------------------ data */

static void
make_data(void)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	tr_assignments_set_columns(&a, TR_COLUMN_VALUE, TR_MERGE_MEAN);
	for (int32_t u = 0; u < USERS; u++)
		for (int32_t i = 0; i < ITEMS; i++)
			for (int32_t t = 0; t < 2; t++)
				if ((u + i) % 3 != 0)
					tr_assignments_add_row(&a, &(TrAssignment) {u, i, (u * t + i + i / 3) % TAGS, 1, (float) ((u + i) % 5), 0});
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
}

/* What is fuzzed: the algorithms, each small, and some of them in more than one shape. */
typedef struct Kind
{
	const char *algorithm;		/* NULL: any */
	TrSetting	settings[8];
} Kind;

static const Kind kinds[] = {
	{NULL, {{"epochs", "1"}, {"layers", "4"}, {"factors", "3"}, {"hidden", "5"}, {"dimensions", "4"}, {"batch", "32"},
	{NULL, NULL}}},
	{"hdlpr", {{"layers", "5,3"}, {"reconstruction", "0.2"}, {"popularity", "false"}, {NULL, NULL}}},
	{"hybrid", {{"layers", "3"}, {"weighting", "bm25"}, {"item_term", "1"}, {NULL, NULL}}},
	{"acf", {{"layers", "6,3"}, {"neighbours", "4"}, {NULL, NULL}}},
	{"ccs", {{"clusters", "3"}, {"similarity", "0"}, {NULL, NULL}}},
	{"ccf", {{"clusters", "3"}, {"similarity", "0"}, {"neighbours", "4"}, {NULL, NULL}}},
	{"ease_tags", {{"user_weighting", "tfidf"}, {"neighbours", "5"}, {NULL, NULL}}},
	{"tag_bm25", {{"max_tags", "3"}, {NULL, NULL}}},
	{"ease_tags", {{"method", "spectral"}, {"rank", "7"}, {NULL, NULL}}},
	{"blend", {{"members", "ease method=spectral rank=3; ease_tags method=spectral rank=4; ease"}, {NULL, NULL}}},
	{"item_knn", {{"neighbours", "3"}, {NULL, NULL}}},
	{"abnt", {{"dimensions", "4"}, {"layers", "5,3"}, {"given", "some"}, {"sequence", "3"}, {NULL, NULL}}},
	{"dae_ptr", {{"hidden", "16"}, {"profiles", "true"}, {"similar", "2"}, {NULL, NULL}}},
	{"dae_ptr", {{"hidden", "5"}, {"prior", "none"}, {NULL, NULL}}},
	{"tag_product", {{"similar", "0"}, {NULL, NULL}}},
	{"folkrank", {{"tags", "2"}, {NULL, NULL}}},
	{"blend", {{"members", "ease_tags; hdlpr_ns layers=3 batch=32"}, {NULL, NULL}}},
	{"blend", {{"members", "popularity; bpr factors=3; ccs; ccf; item_knn neighbours=4"}, {NULL, NULL}}},
	{"blend", {{"members", "hybrid layers=3; tag_cosine; acf layers=4; ease"}, {"weights", "1,2,3,4"}, {NULL, NULL}}},
};

typedef struct Subject
{
	const TrAlgorithm *algorithm;
	char		options[4096];
	TrTrainOptions train;
	TrModel    *trained;
	TrModel    *victim;			/* restored into */
	TrTensor   *tensors;		/* as saved */
	int			n_tensors;
	int			accepted;
	int			refused;
} Subject;

/* Those of the settings that the algorithm has. */
static TrStatus
set_options(Subject *s, const TrSetting *settings, char *options, TrError *err)
{
	TrOptionTarget targets[2] = {{s->algorithm->options, options}, {&tr_train_options, &s->train}};
	TrSetting	own[9];
	int			n = 0;

	for (; settings->name; settings++)
		if (tr_options_find(targets, 2, settings->name))
			own[n++] = *settings;
	own[n] = (TrSetting) {NULL, NULL};
	return tr_options_set(targets, 2, own, err);
}

static bool
prepare(Subject *s, const Kind *kind)
{
	TrError		err = {0};
	TrTrainResult result;
	TrStatus	status = set_options(s, kind->settings, s->options, &err);

	if (!kind->algorithm && s->algorithm == tr_algorithm_find("blend"))
		return false;			/* its default members are large: it has kinds of its own */
	s->train.epochs = s->train.epochs < 20 ? s->train.epochs : 2;
	if (strcmp(s->algorithm->name, "blend") == 0)
		s->train.epochs = 1000;
	if (status == TR_OK)
		status = tr_model_create(&s->trained, s->algorithm, &model_memory, backend, &dataset, s->options, &err);
	if (status == TR_OK)
		status = tr_train(s->trained, &dataset, NULL, &s->train, NULL, &result, &err);
	if (status == TR_OK)
		status = tr_model_save(s->trained, &s->tensors, &s->n_tensors, &err);
	return CHECK(status == TR_OK && s->n_tensors > 0, "%s: trained and saved %s", s->algorithm->name, err.message);
}

/* ------------------------------------------------------------------ spoiling */

typedef struct Spoilt
{
	TrTensor	tensor[MOST_TENSORS];
	int			n;
	int32_t		n_tags;
	char		options[4096];
} Spoilt;

static int64_t
numbers_of(const TrTensor *t)
{
	return (int64_t) t->rows * t->cols;
}

/* The numbers of a tensor in a block of their own, at its size; none where that is more than there may be. */
static void
give_values(TrTensor *t, const float *from, int64_t n_from)
{
	int64_t		n = numbers_of(t);
	float	   *value = n >= 0 && n <= MOST_VALUES ? malloc((size_t) n * sizeof(float)) : NULL;

	for (int64_t i = 0; value && i < n; i++)
		value[i] = i < n_from ? from[i] : float_drawn(1);
	t->value = value;
}

static void
copy_all(Spoilt *s, const Subject *subject)
{
	s->n = 0;
	for (int i = 0; i < subject->n_tensors && s->n < MOST_TENSORS - 4; i++)
	{
		s->tensor[s->n] = subject->tensors[i];
		give_values(&s->tensor[s->n++], subject->tensors[i].value, numbers_of(&subject->tensors[i]));
	}
	s->n_tags = TAGS;
	memcpy(s->options, subject->options, sizeof(s->options));
}

static void
free_all(Spoilt *s)
{
	for (int i = 0; i < s->n; i++)
	{
		free(s->tensor[i].value);
		free((void *) s->tensor[i].whole);
	}
}

static void
resize(TrTensor *t, int32_t rows, int32_t cols)
{
	float	   *old = t->value;
	int64_t		n = old ? numbers_of(t) : 0;

	t->rows = rows;
	t->cols = cols;
	give_values(t, old, n);
	free(old);
}

static void
spoil_name(Spoilt *s, TrTensor *t)
{
	TrTensor   *other = &s->tensor[below(s->n)];
	char		name[sizeof(t->name)];

	switch (below(4))
	{
		case 0:
			t->name[below(8)] = (char) draw();
			break;
		case 1:
			memset(t->name, 'W', sizeof(t->name));
			break;
		case 2:
			memcpy(t->name, other->name, sizeof(name));
			break;
		default:
			memcpy(name, t->name, sizeof(name));
			memcpy(t->name, other->name, sizeof(name));
			memcpy(other->name, name, sizeof(name));
	}
}

static void
spoil_values(TrTensor *t)
{
	int64_t		n = t->value ? numbers_of(t) : 0;
	int			times = below(3) == 0 ? 1 + below(8) : 1;
	float		delta = (float) (1 + below(2) * 1023);

	if (n < 1)
		return;
	if (below(10) == 0)
		for (int64_t i = 0; i < n; i++)
			t->value[i] = float_drawn(t->value[i]);
	if (below(5) == 0)
	{
		/* sums stay what they were */
		t->value[draw() % (uint64_t) n] += delta;
		t->value[draw() % (uint64_t) n] -= delta;
		return;
	}
	while (times-- > 0)
	{
		int64_t		i = (int64_t) (draw() % (uint64_t) n);

		t->value[i] = float_drawn(t->value[i]);
	}
}

/* The same numbers without their fractions, in the form of integers; often they have none anyway. */
static void
make_whole(TrTensor *t)
{
	int64_t		n = t->value ? numbers_of(t) : -1;
	int32_t    *whole = n >= 0 ? malloc((size_t) n * sizeof(int32_t)) : NULL;

	if (!whole)
		return;
	for (int64_t i = 0; i < n; i++)
		whole[i] = fabsf(t->value[i]) < 1e9f ? (int32_t) t->value[i] : INT_MAX;
	free(t->value);
	t->value = NULL;
	t->whole = whole;
}

static void
spoil_list(Spoilt *s, int which)
{
	TrTensor   *t = &s->tensor[which];
	TrTensor	copy = *t;

	if (below(2) == 0)
	{
		free(t->value);
		memmove(t, t + 1, (size_t) (--s->n - which) * sizeof(TrTensor));
	}
	else if (s->n < MOST_TENSORS)
	{
		give_values(&copy, t->value, t->value ? numbers_of(t) : 0);
		s->tensor[s->n] = copy;
		if (below(2) == 0)
			snprintf(s->tensor[s->n].name, sizeof(copy.name), "w%d", below(10));
		s->n++;
	}
}

/* A number among the options becomes its least, its most, or any; what is not valid stays as it is. */
static void
spoil_options(Spoilt *s, const Subject *subject)
{
	const TrOption *option;
	char		value[64];
	TrOptionTarget target = {subject->algorithm->options, s->options};
	TrSetting	setting = {NULL, value};

	if (subject->algorithm->options->count == 0)
		return;
	option = &subject->algorithm->options->options[below(subject->algorithm->options->count)];
	setting.name = option->name;
	if (option->type == TR_OPTION_BOOL)
		strcpy(value, below(2) ? "true" : "false");
	else if (option->type == TR_OPTION_ENUM)
		snprintf(value, sizeof(value), "%s", option->values[below(2)]);
	else if (option->type == TR_OPTION_INTS)
		strcpy(value, below(2) ? "4,4,4" : "65536,65536,65536,65536");
	else
		snprintf(value, sizeof(value), "%.0f", below(2) ? (below(2) ? option->min : option->max) : below(20));
	(void) tr_options_check_one(&target, 1, &setting, NULL);
}

static void
spoil(Spoilt *s, const Subject *subject)
{
	static const int32_t tags[] = {0, -1, 1, TAGS - 1, TAGS + 1, INT_MAX, INT_MIN, INT_MAX / 2, INT_MAX / 3, 1 << 20};

	for (int times = 1 + below(3) * below(2); times > 0 && s->n > 0; times--)
	{
		int			which = below(s->n);
		TrTensor   *t = &s->tensor[which];

		if (t->whole)
			continue;
		switch (below(13))
		{
			case 11:
				make_whole(t);
				break;
			case 0:
				spoil_name(s, t);
				break;
			case 1:
				resize(t, size_drawn(t->rows), t->cols);
				break;
			case 2:
				resize(t, t->rows, size_drawn(t->cols));
				break;
			case 3:
				resize(t, t->cols, t->rows);
				break;
			case 4:
				spoil_list(s, which);
				break;
			case 5:
				if (below(3) > 0)
					s->n_tags = tags[below(sizeof(tags) / sizeof(tags[0]))];
				else
					spoil_options(s, subject);
				break;
			case 6:
				free(t->value);
				t->value = NULL;
				break;
			case 7:
				t->training = !t->training;
				break;
			default:
				spoil_values(t);
		}
	}
}

/* ------------------------------------------------------------------ use */

/* n ascending numbers below `of`, in a block of their own; returns how many */
static int32_t
ascending(int32_t **list, int32_t of)
{
	int32_t		n = 0;

	*list = malloc((size_t) TAGS * 4 * sizeof(int32_t));
	for (int32_t i = 0; i < of && n < 4 * TAGS; i++)
		if (below(3) == 0)
			(*list)[n++] = i;
	*list = realloc(*list, (size_t) n * sizeof(int32_t) + (n == 0));
	return n;
}

static float *
floats(int64_t n, bool counts)
{
	float	   *value = malloc((size_t) n * sizeof(float) + (n == 0));

	for (int64_t i = 0; i < n; i++)
		value[i] = counts ? (float) (1 + below(4)) : below(20) == 0 ? float_drawn(0) : (float) below(100) / 50 - 1;
	return value;
}

static bool
sound(const TrSparse *row, int64_t limit)
{
	for (int32_t i = 0; i < row->n; i++)
		if (row->index[i] < 0 || row->index[i] >= limit || (i > 0 && row->index[i] <= row->index[i - 1]))
			return false;
	return true;
}

/* Some profiles over the model's tags, one of them empty. */
static bool
use_encoding(TrModel *model, int32_t n_tags)
{
	const TrAlgorithm *a = model->algorithm;
	int32_t    *tag;
	int32_t		n = ascending(&tag, n_tags);
	float	   *count = floats(n, true);
	int64_t		ptr[] = {0, 0, n};
	int32_t		posts[] = {0, 3};
	TrProfiles	profiles = {.rows = 2, .ptr = ptr, .tag = tag, .count = count, .posts = below(2) ? posts : NULL};
	float	   *out = malloc(2 * (size_t) model->width * sizeof(float) + 1);
	TrSparse	features = {0};
	bool		ok = true;

	for (int side = TR_USER; a->encode && side <= TR_ITEM; side++)
		(void) a->encode(model, (TrSide) side, &profiles, out, NULL);
	for (int32_t row = 0; a->encode_features && row < 2; row++)
		if (a->encode_features(model, &profiles, row, &features, NULL) == TR_OK)
			ok &= sound(&features, INT32_MAX);
	free(out);
	free(count);
	free(tag);
	return ok;
}

/* Posts as a table of hostile rows may give them: everything in range, nothing likely. */
static void
use_scores(TrModel *model, int32_t n_tags)
{
	int			width = model->width;
	int32_t    *list[5];
	int32_t		n[5];
	int32_t		end[2];
	float	   *array = floats(2 * (int64_t) width, false);
	float	   *out = malloc(2 * (size_t) n_tags * sizeof(float));
	TrPost		post[2] = {{.own = -1}, {.own = -1}};

	for (int i = 0; i < 5; i++)
		n[i] = ascending(&list[i], i == 3 ? ITEMS : n_tags);
	end[0] = n[2] / 2;
	end[1] = n[2];
	post[1] = (TrPost) {.user = below(3) ? array : NULL, .item = below(3) ? array + width : NULL,
		.user_tags = {n[0], list[0], floats(n[0], true)}, .item_tags = {n[1], list[1], floats(n[1], true)}, .item_posts = 3,
		.n_posts = 2, .post_item = (const int32_t[]) {2, 5}, .post_end = end, .post_tag = list[2],
	.similar = {n[3], list[3], floats(n[3], false)}, .own = below(3) - 1, .n_given = n[4], .given = list[4]};
	(void) model->algorithm->score_tags(model, post, 2, out, NULL);
	free((void *) post[1].user_tags.value);
	free((void *) post[1].item_tags.value);
	free((void *) post[1].similar.value);
	for (int i = 0; i < 5; i++)
		free(list[i]);
	free(out);
	free(array);
}

/* Arrays as a table of hostile rows may give them; items further apart than they are wide. */
static void
use_item_scores(TrModel *model)
{
	size_t		stride = (size_t) model->width + 3;
	float	   *user = floats(model->width, false);
	float	   *items = floats(ITEMS * (int64_t) stride, false);
	float	   *out = malloc(ITEMS * sizeof(float));

	(void) model->algorithm->score_items(model, user, items, stride, ITEMS, out, NULL);
	free(out);
	free(items);
	free(user);
}

static void
use_unknown(TrModel *model)
{
	float	   *out = malloc((size_t) model->width * sizeof(float));

	(void) model->algorithm->unknown(model, TR_USER, out, NULL);
	(void) model->algorithm->unknown(model, TR_ITEM, out, NULL);
	free(out);
}

/* All arrays and sparse vectors of a model that lives on. */
static bool
use_dataset(TrModel *model)
{
	const TrAlgorithm *a = model->algorithm;
	int			most = USERS > ITEMS ? USERS : ITEMS;
	float	   *out = malloc((size_t) most * (size_t) model->width * sizeof(float) + 1);
	int64_t		features = tr_feature_count(tr_features(model), USERS, ITEMS, TAGS);
	TrSparse	row = {0};
	bool		ok = true;

	if (model->width > 0)
	{
		(void) a->embed(model, TR_USER, &dataset, 0, USERS, out, NULL);
		(void) a->embed(model, TR_ITEM, &dataset, 0, ITEMS, out, NULL);
	}
	for (int32_t u = 0; a->user_features && u < USERS; u++)
		if (a->user_features(model, &dataset, u, &row, NULL) == TR_OK)
			ok &= sound(&row, features);
	for (int32_t f = 0; a->feature_weights && f < features; f++)
		if (a->feature_weights(model, f, &row, NULL) == TR_OK)
			ok &= sound(&row, ITEMS);
	free(out);
	return ok;
}

static bool
use(TrModel *model, int32_t n_tags, bool with_dataset)
{
	bool		ok = true;

	if (model->algorithm->encode || model->algorithm->encode_features)
		ok &= use_encoding(model, n_tags);
	if (model->algorithm->score_tags)
		use_scores(model, n_tags);
	if (model->algorithm->score_items)
		use_item_scores(model);
	if (model->algorithm->unknown)
		use_unknown(model);
	return with_dataset ? ok & use_dataset(model) : ok;
}

/* ------------------------------------------------------------------ rounds */

static bool
load_round(Subject *s, const Spoilt *spoilt)
{
	size_t		host = model_memory.used;
	size_t		device = backend->ops->allocated(backend);
	TrError		err = {0};
	TrModel    *model = NULL;
	TrStatus	status = tr_model_load(&model, s->algorithm, &model_memory, backend, spoilt->n_tags, spoilt->options,
									   spoilt->tensor, spoilt->n, &err);
	bool		ok = true;

	if (status == TR_OK)
	{
		ok = use(model, spoilt->n_tags, false);
		tr_model_destroy(model);
	}
	s->accepted += status == TR_OK;
	s->refused += status != TR_OK;
	(void) backend->ops->finish(backend, NULL);
	return ok && (status == TR_OK || err.message[0]) && model_memory.used == host
		&& backend->ops->allocated(backend) == device;
}

static bool
restore_round(Subject *s, const Spoilt *spoilt, int round)
{
	TrError		err = {0};
	TrStatus	status = TR_OK;

	if (s->victim && round % LIFE == 0)
	{
		tr_model_destroy(s->victim);
		s->victim = NULL;
	}
	if (!s->victim)
	{
		status = tr_model_create(&s->victim, s->algorithm, &model_memory, backend, &dataset, s->options, &err);
		/* what only training leaves behind, as arrays of a width of its own, is there from here on */
		if (status == TR_OK)
			status = tr_model_restore(s->victim, s->tensors, s->n_tensors, &err);
	}
	if (status != TR_OK)
		return false;
	status = tr_model_restore(s->victim, spoilt->tensor, spoilt->n, &err);
	s->accepted += status == TR_OK;
	s->refused += status != TR_OK;
	(void) backend->ops->finish(backend, NULL);
	return (status == TR_OK || err.message[0]) && use(s->victim, TAGS, true);
}

static bool
run_round(Subject *s, int round)
{
	Spoilt		spoilt;
	bool		ok;

	if (getenv("FUZZ_TRACE"))
		printf("# %s round %d\n", s->algorithm->name, round);
	copy_all(&spoilt, s);
	spoil(&spoilt, s);
	ok = s->algorithm->loads && below(3) > 0 ? load_round(s, &spoilt) : restore_round(s, &spoilt, round);
	free_all(&spoilt);
	return ok;
}

static void
fuzz(const TrAlgorithm *algorithm, const Kind *kind, int rounds, uint64_t seed)
{
	Subject		s = {.algorithm = algorithm};
	size_t		host = model_memory.used;
	int			bad = -1;

	if (!prepare(&s, kind))
		return;
	for (int round = 0; round < rounds && bad < 0; round++)
	{
		state = seed << 40 ^ (uint64_t) (kind - kinds) << 32 ^ (uint64_t) round;
		if (!run_round(&s, round))
			bad = round;
	}
	if (s.victim)
		tr_model_destroy(s.victim);
	tr_model_destroy(s.trained);
	CHECK(bad < 0, "%s: %d rounds, %d accepted, %d refused", algorithm->name, rounds, s.accepted, s.refused);
	if (bad >= 0)
		printf("# round %d: an answer out of range, an error without words, or memory that was not given back\n", bad);
	CHECK(s.accepted > 0 && s.refused > 0, "%s: some of it is accepted, some refused", algorithm->name);
	CHECK(model_memory.used == host, "%s: gives all its memory back", algorithm->name);
}

int
main(void)
{
	const char *only = getenv("FUZZ_ONLY");
	int			rounds = getenv("FUZZ_ROUNDS") ? atoi(getenv("FUZZ_ROUNDS")) : ROUNDS;
	uint64_t	seed = getenv("FUZZ_SEED") ? strtoull(getenv("FUZZ_SEED"), NULL, 10) : 1;
	TrBackendConfig config = {.threads = 1};
	int			n_subjects = (int) (sizeof(kinds) / sizeof(kinds[0])) - 2;

	tr_memory_init(&memory, 0);
	tr_memory_init(&model_memory, LIMIT);
	tr_plain_ops.open(&backend, &config, NULL);
	((TrPlain *) backend)->memory.limit = LIMIT;
	make_data();
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
		n_subjects++;
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if ((!kinds[k].algorithm || strcmp(kinds[k].algorithm, (*a)->name) == 0)
				&& (!only || strcmp(only, (*a)->name) == 0))
				fuzz(*a, &kinds[k], rounds / n_subjects + 1, seed);
	backend->ops->close(backend);
	tr_memory_release(&model_memory);
	tr_memory_release(&memory);
	return check_done();
}
