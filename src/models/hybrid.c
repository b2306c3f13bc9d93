/*
 * hybrid: the tag tower (tower.h) with who has what as part of the profiles.
 *
 * Every item is a tag of its own beside the T tags of the data: tag T + i for item i. A post of user u and item i gives
 * that tag to both of them, item_history and item_term times, as it gives them its own tags once. The tower needs to know
 * nothing of it: a user's profile in a step is the tags and the items of the posts that are kept, the post to be predicted
 * is left out of the item's profile, and dropout and weighting treat an item as they treat a tag. One matrix maps tags and
 * items, so that an item in a user's profile and the item itself share a row.
 *
 * Somebody known by tags alone is encoded from tags alone, and so is everybody of a dataset that the model was not trained
 * on, as in a refresh: its items have other numbers.
 *
 * Legend: T tags, N items, E entries of a table, P posts.
 */
#include <string.h>

#include "models/tensors.h"
#include "models/tower.h"

typedef struct HybridOptions
{
	TowerOptions tower;			/* first: the tower's functions take these options */
	double		item_history;
	double		item_term;
} HybridOptions;

static const TrOption options[] = {
	TOWER_OPTIONS_WITH("0.7", "0.1"),
	TOWER_MASK_OPTION,
	TOWER_SAMPLING_WITH("popularity", "2000"),
	{"item_history", TR_OPTION_REAL, offsetof(HybridOptions, item_history), "2", 0, 1000, NULL,
	"how often an item of a user counts as given to the user's profile, next to 1 for a tag; 0 = items are no part of it"},
	{"item_term", TR_OPTION_REAL, offsetof(HybridOptions, item_term), "0", 0, 1000, NULL,
	"how often each of its users gives an item itself, next to 1 for a tag; 0 = an item is its tags alone"},
};

static const TrOptionSet option_set = {
	.options = options,
	.count = sizeof(options) / sizeof(options[0]),
	.size = sizeof(HybridOptions),
	.check = tower_check_options
};

#define MOST_TENSORS (TOWER_MOST_TENSORS + 1)

typedef struct Hybrid
{
	TrModel		model;
	TrModel    *tower;			/* over T + N tags */
	const TrDataset *dataset;	/* trained on; NULL in a model that was loaded */
	TrDataset	augmented;		/* the same with items among the tags; of it, the two profile tables alone are our own */
	float		n_tags;			/* T */
	TrTensor	tensors[MOST_TENSORS];	/* of the last save(): the tower's, and "tags" (1,1), T */
} Hybrid;

/* ------------------------------------------------------------------ profiles with items */

/* A table that is being written. */
typedef struct Filling
{
	int64_t    *entry_ptr;
	int32_t    *tag;
	float	   *count;
	int64_t    *occurrence_ptr;
	int32_t    *post;
	float	   *weight;
	int64_t		entries;
	int64_t		occurrences;
} Filling;

static void
release_table(TrMemory *memory, TrProfileTable *table)
{
	tr_free(memory, (void *) table->entry_ptr);
	tr_free(memory, (void *) table->tag);
	tr_free(memory, (void *) table->count);
	tr_free(memory, (void *) table->occurrence_ptr);
	tr_free(memory, (void *) table->post);
	tr_free(memory, (void *) table->weight);
	memset(table, 0, sizeof(*table));
}

/* Room for `entries` and `posts` more than `from` has; the table owns it from here on. */
static TrStatus
start_table(TrMemory *memory, Filling *to, TrProfileTable *table, const TrProfileTable *from, int64_t entries,
			int64_t posts, TrError *err)
{
	size_t		E = (size_t) (from->n_entries + entries) + 1;
	size_t		n = (size_t) (from->n_occurrences + posts) + 1;

	*table = (TrProfileTable) {.n_entities = from->n_entities};
	table->entry_ptr = to->entry_ptr = tr_alloc(memory, ((size_t) from->n_entities + 1) * sizeof(int64_t));
	table->tag = to->tag = tr_alloc(memory, E * sizeof(int32_t));
	table->count = to->count = tr_alloc(memory, E * sizeof(float));
	table->occurrence_ptr = to->occurrence_ptr = tr_alloc(memory, E * sizeof(int64_t));
	table->post = to->post = tr_alloc(memory, n * sizeof(int32_t));
	table->weight = to->weight = tr_alloc(memory, n * sizeof(float));
	if (!to->entry_ptr || !to->tag || !to->count || !to->occurrence_ptr || !to->post || !to->weight)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the items in the profiles");
	to->entry_ptr[0] = 0;
	to->occurrence_ptr[0] = 0;
	return TR_OK;
}

/* An entry, and its n occurrences: in these posts, with these weights (NULL = `each`). */
static void
add_entry(Filling *to, int32_t tag, float count, const int32_t *post, const float *weight, float each, int64_t n)
{
	memcpy(to->post + to->occurrences, post, (size_t) n * sizeof(int32_t));
	for (int64_t o = 0; o < n; o++)
		to->weight[to->occurrences + o] = weight ? weight[o] : each;
	to->tag[to->entries] = tag;
	to->count[to->entries++] = count;
	to->occurrences += n;
	to->occurrence_ptr[to->entries] = to->occurrences;
}

static void
copy_entries(Filling *to, const TrProfileTable *from, int32_t entity)
{
	for (int64_t e = from->entry_ptr[entity]; e < from->entry_ptr[entity + 1]; e++)
	{
		int64_t		first = from->occurrence_ptr[e];

		add_entry(to, from->tag[e], from->count[e], from->post + first, from->weight ? from->weight + first : NULL, 1.0f,
				  from->occurrence_ptr[e + 1] - first);
	}
}

static void
end_entity(Filling *to, TrProfileTable *table, int32_t entity)
{
	to->entry_ptr[entity + 1] = to->entries;
	table->n_entries = to->entries;
	table->n_occurrences = to->occurrences;
}

/* Users: each post adds its item, so many times. */
static TrStatus
augment_users(TrMemory *memory, TrProfileTable *table, const TrDataset *d, float times, TrError *err)
{
	Filling		to = {0};

	TR_TRY(start_table(memory, &to, table, &d->user, times > 0 ? d->n_posts : 0, times > 0 ? d->n_posts : 0, err));
	for (int32_t u = 0; u < d->n_users; u++)
	{
		copy_entries(&to, &d->user, u);
		for (int32_t p = d->user_ptr[u]; times > 0 && p < d->user_ptr[u + 1]; p++)
			add_entry(&to, d->n_tags + d->post_item[p], times, &p, NULL, times, 1);
		end_entity(&to, table, u);
	}
	return TR_OK;
}

/* Items: each post adds the item itself, so many times. */
static TrStatus
augment_items(TrMemory *memory, TrProfileTable *table, const TrDataset *d, float times, TrError *err)
{
	Filling		to = {0};

	TR_TRY(start_table(memory, &to, table, &d->item, times > 0 ? d->n_items : 0, times > 0 ? d->n_posts : 0, err));
	for (int32_t i = 0; i < d->n_items; i++)
	{
		int32_t		n = d->item_ptr[i + 1] - d->item_ptr[i];

		copy_entries(&to, &d->item, i);
		if (times > 0 && n > 0)
			add_entry(&to, d->n_tags + i, times * (float) n, d->item_post + d->item_ptr[i], NULL, times, n);
		end_entity(&to, table, i);
	}
	return TR_OK;
}

static TrStatus
augment(Hybrid *h, const TrDataset *d, const HybridOptions *o, TrError *err)
{
	if (d->n_tags > INT32_MAX - d->n_items)
		return tr_fail(err, TR_BAD_DATA, "%d tags and %d items are too many", d->n_tags, d->n_items);
	h->augmented = *d;
	h->augmented.n_tags = d->n_tags + d->n_items;
	memset(&h->augmented.user, 0, sizeof(TrProfileTable));
	memset(&h->augmented.item, 0, sizeof(TrProfileTable));
	TR_TRY(augment_users(h->model.memory, &h->augmented.user, d, (float) o->item_history, err));
	return augment_items(h->model.memory, &h->augmented.item, d, (float) o->item_term, err);
}

/* ------------------------------------------------------------------ life */

static size_t
estimate(const TrShape *shape, const void *values)
{
	TrShape		augmented = *shape;
	size_t		occurrences = (size_t) shape->n_assignments + (size_t) shape->n_posts;

	augmented.n_tags += shape->n_items;
	augmented.n_assignments += shape->n_posts;
	/* two tables; an entry has 16 bytes, an occurrence 8 */
	return tower_estimate(&augmented, values) + 2 * occurrences * 24;
}

static void
destroy(TrModel *model)
{
	Hybrid	   *h = (Hybrid *) model;

	if (h->tower)
		tower_destroy(h->tower);
	release_table(model->memory, &h->augmented.user);
	release_table(model->memory, &h->augmented.item);
	tr_free(model->memory, h);
}

static TrStatus
new_hybrid(Hybrid **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, TrError *err)
{
	*result = tr_calloc(memory, 1, sizeof(Hybrid));
	if (!*result)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	(*result)->model.backend = backend;
	(*result)->model.memory = memory;
	(*result)->n_tags = (float) n_tags;
	return TR_OK;
}

/*
 * Items start without a say: their rows of the first layer are zero, so that what is not learned of an item adds no
 * noise. Their idf is 1: how rare an item is says little about it, and the options scale it.
 */
static TrStatus
start_items(Hybrid *h, TrError *err)
{
	int32_t		T = h->dataset->n_tags;
	TrTensor   *tensors;
	int			count;

	TR_TRY(tower_save(h->tower, &tensors, &count, err));
	for (int i = 0; i < count; i++)
	{
		TrTensor   *t = &tensors[i];

		if (strcmp(t->name, "W1") == 0)
			memset(t->value + (size_t) T * t->cols, 0, (size_t) (t->rows - T) * t->cols * sizeof(float));
		else if (strcmp(t->name, "idf") == 0)
			for (int32_t tag = T; tag < t->cols; tag++)
				t->value[tag] = 1;
	}
	return tower_restore(h->tower, tensors, count, err);
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Hybrid	   *h;
	TrStatus	status;

	TR_TRY(new_hybrid(&h, memory, backend, dataset->n_tags, err));
	h->dataset = dataset;
	status = augment(h, dataset, values, err);
	if (status == TR_OK)
		status = tower_create(&h->tower, memory, backend, &h->augmented, values, err);
	if (status == TR_OK)
		status = start_items(h, err);
	if (status != TR_OK)
		destroy(&h->model);
	else
		*model = &h->model;
	return status;
}

/* own (count) = the tower's tensors, which are all but "tags". *rows = inputs of its first layer: T + N */
static TrStatus
tower_tensors(TrTensor *own, int32_t *rows, int32_t n_tags, const TrTensor *tensors, int count, TrError *err)
{
	const TrTensor *tags = tr_tensor_find("tags", tensors, count);
	const TrTensor *first = tr_tensor_find("W1", tensors, count);
	TrTensor	wanted = {.name = "tags", .rows = 1, .cols = 1};

	if (count > MOST_TENSORS)
		return tr_fail(err, TR_BAD_DATA, "%d stored weights are more than the model has", count);
	TR_TRY(tr_tensors_check(&wanted, NULL, 1, tags, tags ? 1 : 0, err));
	if (!first)
		return tr_fail(err, TR_BAD_DATA, "stored weight \"W1\" is missing");
	if (tags->value[0] != (float) n_tags || first->rows < n_tags)
		return tr_fail(err, TR_BAD_DATA, "stored weights are for %.0f tags, not %d", tags->value[0], n_tags);
	*rows = first->rows;
	for (int i = 0; i < count; i++)
		if (&tensors[i] != tags)
			*own++ = tensors[i];
	return TR_OK;
}

/* The first layer's inputs say how many items there were. */
static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
	 int count, TrError *err)
{
	TrTensor	own[MOST_TENSORS];
	int32_t		rows = 0;
	Hybrid	   *h;
	TrStatus	status;

	TR_TRY(tower_tensors(own, &rows, n_tags, tensors, count, err));
	TR_TRY(new_hybrid(&h, memory, backend, n_tags, err));
	status = tower_load(&h->tower, memory, backend, rows, values, own, count - 1, err);
	if (status != TR_OK)
		destroy(&h->model);
	else
		*model = &h->model;
	return status;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;

	TR_TRY(tower_save(h->tower, tensors, count, err));
	memcpy(h->tensors, *tensors, (size_t) *count * sizeof(TrTensor));
	h->tensors[*count] = (TrTensor) {.name = "tags", .rows = 1, .cols = 1, .value = &h->n_tags};
	*tensors = h->tensors;
	(*count)++;
	return TR_OK;
}

/* ------------------------------------------------------------------ what the tower does */

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;

	h->tower->epochs = model->epochs;
	return tower_train_epoch(h->tower, epoch, poll, stats, err);
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;
	TrTensor	own[MOST_TENSORS];
	int32_t		rows;

	TR_TRY(tower_tensors(own, &rows, h->dataset->n_tags, tensors, count, err));
	return tower_restore(h->tower, own, count - 1, err);
}

static int
width(const TrModel *model, int *unit)
{
	return tower_model_width(((const Hybrid *) model)->tower, unit);
}

static TrStatus
encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	return tower_encode(((Hybrid *) model)->tower, side, profiles, out, err);
}

/* With items in the profiles where they are those of the training. */
static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;

	return tower_embed(h->tower, side, dataset == h->dataset ? &h->augmented : dataset, first, n, out, err);
}

const TrAlgorithm tr_algorithm_hybrid = {
	.name = "hybrid",
	.summary = "The tag tower of hdlpr_ns with a user's items, and the item itself, beside the tags in the profiles.",
	.source = "the tower of Xu et al., IJCAI 2017, over profiles with items",
	.task = TR_TASK_ITEM,
	.knows_items = true,
	.options = &option_set,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load,
	.width = width,
	.embed = embed,
	.encode = encode,
	.destroy = destroy,
};
