/*
 * Composing a refreshed version: a model whose arrays are taken from where they are. See refreshed.h.
 */
#include "pg/train/refreshed.h"

#include "core/dot.h"
#include "core/topn.h"
#include "miscadmin.h"
#include "pg/base/id.h"
#include "pg/base/identity.h"
#include "pg/base/tagrec.h"
#include "pg/store/version_read.h"

#define EMBED_ROWS 1024

typedef struct Refreshed
{
	TrModel		model;
	TrAlgorithm algorithm;		/* the version's, with the functions of this file */
	TrModel    *base;
	const TagrecVersion *version;
	const TrDataset *data;
	TrMemory   *memory;
	TrCatalogue catalogue;		/* of the refreshed items */
	float	   *array;			/* (items,stride) of the catalogue */
	uint64	   *old_users;		/* who is embedded by base; NULL = nobody */
	TrSparse   *row;			/* (features) of the version */
	int64		features;
	int32	   *tag_place;		/* (tags) of tag in the list, + 1; zeros between calls */
	TrScored   *tag;			/* (tags) of a user's items */
	int32	   *index;			/* (tags) the same */
	float	   *value;
	float	   *item_value;		/* (items) */
	float	   *features_array; /* (width) not needed */
} Refreshed;

/* ------------------------------------------------------------------ what can be refreshed how */

bool
tagrec_refresh_keeps_items(const TrAlgorithm *algorithm)
{
	return !algorithm->counts && (algorithm->knows_items || !algorithm->encode);
}

bool
tagrec_refresh_adds_items(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);

	return version->features == 0 && algorithm->loads && algorithm->encode;
}

/* Of a tower, all items are what the weights make of the data, and so are the users that the version has. */
static bool
embeds(const TrAlgorithm *algorithm)
{
	return algorithm->embeds_items || !tagrec_refresh_keeps_items(algorithm);
}

/* ------------------------------------------------------------------ what the version has */

/* Calls take with the number that a row's key has in the data, -1 = none. */
typedef struct Known
{
	TagrecKeys *keys;
	FmgrInfo	output;
	MemoryContext context;		/* of output */
	int			key;			/* column */
	void		(*take) (struct Known *known, int32 number, const TagrecScan *scan);
	void	   *argument;
	int32		read;
} Known;

static void
take_known(void *argument, const TagrecScan *scan)
{
	Known	   *known = argument;
	char	   *key;

	CHECK_FOR_INTERRUPTS();
	if (known->read == 0)
		tagrec_key_output(scan->table->key_type, &known->output, known->context);
	key = OutputFunctionCall(&known->output, tagrec_get_key(scan, known->key));
	known->take(known, tagrec_keys_intern(known->keys, key, strlen(key)), scan);
	known->read++;
}

static void
each_known(const TagrecVersion *version, TagrecRelation which, Known *known)
{
	TagrecActing before = tagrec_act_as(version->owner);
	bool		closed = known->keys->closed;

	known->key = which == TAGREC_USERS ? (int) User_user_id : (int) Item_item_id;
	known->keys->closed = true;
	known->context = CurrentMemoryContext;
	tagrec_each_row(version, which, take_known, known);
	known->keys->closed = closed;
	tagrec_act_again(before);
}

static void
take_position(Known *known, int32 item, const TagrecScan *scan)
{
	int32	   *from = known->argument;

	if (item >= 0)
		from[item] = tagrec_get_int(scan, Item_position, scan->table->version->items);
}

int32 *
tagrec_refresh_positions(TagrecTraining *t, const TagrecVersion *version)
{
	TagrecKeys *keys = &t->data.items;
	uint64	   *new_items = tagrec_calloc(&t->memory, TR_BIT_WORDS(keys->count) + 1, sizeof(uint64));
	int32	   *from = tagrec_alloc(&t->memory, ((Size) keys->count + 1) * sizeof(int32));
	const uint64 *waiting = t->data.all.new_items;
	Known		known = {.keys = keys, .take = take_position, .argument = from};

	memset(from, 0xff, ((Size) keys->count + 1) * sizeof(int32));
	each_known(version, TAGREC_ITEMS, &known);
	for (int32 item = 0; item < keys->count; item++)
		if (from[item] < 0 || (waiting && tr_bit_test(waiting, item)))
			tr_bit_set(new_items, item);
	t->data.all.new_items = new_items;
	return from;
}

static void
take_user(Known *known, int32 user, const TagrecScan *scan)
{
	(void) scan;
	if (user >= 0)
		tr_bit_set(known->argument, user);
}

static void
take_array(Known *known, int32 item, const TagrecScan *scan)
{
	Refreshed  *r = known->argument;

	if (item >= 0)
		tagrec_get_embedding(scan, Item_embedding, r->array + (Size) item * r->catalogue.stride);
}

static void
take_neighbours(void *argument, const TagrecScan *scan)
{
	Refreshed  *r = argument;
	int32		feature = tagrec_get_int(scan, Neighbour_feature, r->features);
	TrSparse	row = tagrec_get_sparse(scan, Neighbour_items, Neighbour_weights, r->data->n_items);
	int32	   *index = tagrec_alloc(r->memory, ((Size) row.n + 1) * sizeof(int32));
	float	   *value = tagrec_alloc(r->memory, ((Size) row.n + 1) * sizeof(float));

	CHECK_FOR_INTERRUPTS();
	memcpy(index, row.index, (Size) row.n * sizeof(int32));
	memcpy(value, row.value, (Size) row.n * sizeof(float));
	r->row[feature] = (TrSparse) {row.n, index, value};
}

/* ------------------------------------------------------------------ a user's history */

/* The tags of the user's items: of each as many as its average user gave it. */
static TrSparse
tags_of_items(Refreshed *r, int32 user)
{
	const TrDataset *d = r->data;
	int32		n = 0;

	for (int32 p = d->user_ptr[user]; p < d->user_ptr[user + 1]; p++)
	{
		int32		item = d->post_item[p];
		float		posts = (float) (d->item_ptr[item + 1] - d->item_ptr[item]);

		for (int64 e = d->item.entry_ptr[item]; e < d->item.entry_ptr[item + 1]; e++)
		{
			int32	   *place = &r->tag_place[d->item.tag[e]];

			if (*place == 0)
			{
				r->tag[n] = (TrScored) {0, d->item.tag[e]};
				*place = ++n;
			}
			r->tag[*place - 1].score += d->item.count[e] / posts;
		}
	}
	for (int32 i = 0; i < n; i++)
		r->tag_place[r->tag[i].index] = 0;
	qsort(r->tag, n, sizeof(TrScored), tr_scored_by_index);
	for (int32 i = 0; i < n; i++)
	{
		r->index[i] = r->tag[i].index;
		r->value[i] = r->tag[i].score;
	}
	return (TrSparse) {n, r->index, r->value};
}

/* What is said of how much an interaction counts is for one algorithm: members of a blend do not agree. */
static TrHistory
history_of(Refreshed *r, int32 user)
{
	const TrDataset *d = r->data;
	const TrAlgorithm *algorithm = r->base->algorithm;
	bool		valued = d->post_value && algorithm->uses_values && !algorithm->knows_items;
	int32		first = d->user_ptr[user];
	int64		entry = d->user.entry_ptr[user];
	TrHistory	history = {
		.items = {d->user_ptr[user + 1] - first, d->post_item + first, r->item_value},
		.tags = {(int32) (d->user.entry_ptr[user + 1] - entry), d->user.tag + entry, d->user.count + entry}
	};

	for (int32 i = 0; i < history.items.n; i++)
		r->item_value[i] = valued ? d->post_value[first + i] : 1;
	if (tr_reads_tags(algorithm))
		history.item_tags = tags_of_items(r, user);
	else
		history.tags.n = 0;
	return history;
}

/* ------------------------------------------------------------------ functions of the model */

static TrStatus
fold_in(Refreshed *r, int32 user, float *array, TrSparse *features, TrError *err)
{
	TrHistory	history = history_of(r, user);

	return tr_model_fold_in(r->base, &history, &r->catalogue, array, features, err);
}

static TrStatus
refreshed_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32 first, int32 n, float *out, TrError *err)
{
	Refreshed  *r = (Refreshed *) model;
	Size		width = model->width;

	if (side == TR_USER && r->old_users)
		TR_TRY(tr_model_embed(r->base, TR_USER, dataset, first, n, out, err));
	for (int32 i = 0; i < n; i++)
	{
		TrSparse	features;
		float	   *to = out + i * width;

		CHECK_FOR_INTERRUPTS();
		if (side == TR_ITEM)
			memcpy(to, r->array + (Size) (first + i) * r->catalogue.stride, width * sizeof(float));
		else if (!r->old_users || !tr_bit_test(r->old_users, first + i))
			TR_TRY(fold_in(r, first + i, to, &features, err));
	}
	return TR_OK;
}

static TrStatus
refreshed_user_features(TrModel *model, const TrDataset *dataset, int32 user, TrSparse *out, TrError *err)
{
	Refreshed  *r = (Refreshed *) model;

	(void) dataset;
	return fold_in(r, user, r->features_array, out, err);
}

static int
refreshed_features(const TrModel *model)
{
	return ((const Refreshed *) model)->version->features;
}

static TrStatus
refreshed_feature_weights(TrModel *model, int32 feature, TrSparse *out, TrError *err)
{
	(void) err;
	*out = ((Refreshed *) model)->row[feature];
	return TR_OK;
}

/* ------------------------------------------------------------------ composing */

static Refreshed *
allocate(TagrecTraining *t, const TagrecVersion *version)
{
	const TrDataset *d = &t->data.all;
	TrMemory   *memory = &t->memory;
	Refreshed  *r = tagrec_calloc(memory, 1, sizeof(Refreshed));

	*r = (Refreshed) {.algorithm = *t->model->algorithm, .base = t->model, .version = version, .data = d, .memory = memory};
	r->algorithm.embed = refreshed_embed;
	r->algorithm.features = refreshed_features;
	r->algorithm.user_features = refreshed_user_features;
	r->algorithm.feature_weights = refreshed_feature_weights;
	r->model = (TrModel) {.algorithm = &r->algorithm, .backend = t->backend, .memory = memory, .n_tags = version->tags,
	.width = version->width, .unit = version->unit_width};
	r->catalogue = (TrCatalogue) {.n_items = d->n_items, .width = version->width, .stride = tr_dot_stride(version->width)};
	r->features = tr_feature_count(version->features, version->users, d->n_items, version->tags);
	r->array = tagrec_calloc(memory, (Size) d->n_items * r->catalogue.stride + 1, sizeof(float));
	r->catalogue.array = r->array;
	r->row = tagrec_calloc(memory, r->features + 1, sizeof(TrSparse));
	r->tag_place = tagrec_calloc(memory, (Size) version->tags + 1, sizeof(int32));
	r->tag = tagrec_alloc(memory, ((Size) version->tags + 1) * sizeof(TrScored));
	r->index = tagrec_alloc(memory, ((Size) version->tags + 1) * sizeof(int32));
	r->value = tagrec_alloc(memory, ((Size) version->tags + 1) * sizeof(float));
	r->item_value = tagrec_alloc(memory, ((Size) d->n_items + 1) * sizeof(float));
	r->features_array = tagrec_alloc(memory, ((Size) version->width + 1) * sizeof(float));
	return r;
}

/* By what the weights know of them, or by their tags. */
static void
embed_items(Refreshed *r)
{
	int			width = r->model.width;
	float	   *rows = tagrec_alloc(r->memory, ((Size) EMBED_ROWS * width + 1) * sizeof(float));
	TrError		err = {0};

	for (int32 first = 0; first < r->data->n_items; first += EMBED_ROWS)
	{
		int32		n = Min(EMBED_ROWS, r->data->n_items - first);

		CHECK_FOR_INTERRUPTS();
		tagrec_check(tr_model_embed(r->base, TR_ITEM, r->data, first, n, rows, &err), &err);
		for (int32 i = 0; i < n; i++)
			memcpy(r->array + (Size) (first + i) * r->catalogue.stride, rows + (Size) i * width, (Size) width * sizeof(float));
	}
	tr_free(r->memory, rows);
}

static void
read_neighbours(Refreshed *r)
{
	TagrecActing before = tagrec_act_as(r->version->owner);

	tagrec_each_row(r->version, TAGREC_NEIGHBOURS, take_neighbours, r);
	tagrec_act_again(before);
}

void
tagrec_refresh_compose(TagrecTraining *t, const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = t->model->algorithm;
	Refreshed  *r;

	if (!algorithm->fold_in)
		return;
	r = allocate(t, version);
	if (version->width > 0 && tagrec_refresh_adds_items(version))
		embed_items(r);
	if (embeds(algorithm))
	{
		Known		known = {.keys = &t->data.users, .take = take_user};

		r->old_users = tagrec_calloc(&t->memory, TR_BIT_WORDS(t->data.users.count) + 1, sizeof(uint64));
		known.argument = r->old_users;
		each_known(version, TAGREC_USERS, &known);
	}
	else if (version->width > 0)
		each_known(version, TAGREC_ITEMS, &(Known) {.keys = &t->data.items, .take = take_array, .argument = r});
	if (version->features)
		read_neighbours(r);
	t->written = &r->model;
}
