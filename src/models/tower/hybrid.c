/*
 * hybrid: the tag tower (tower.h) with who has what as part of the profiles.
 *
 * Every item is a tag of its own beside the T tags of the data: tag T + i for item i. A post of user u and item i gives
 * that tag to both of them, item_history and item_term times, as it gives them its own tags once. The tower needs to know
 * nothing of it: a user's profile in a step is the tags and the items of the posts that are kept, the post to be predicted
 * is left out of the item's profile, and dropout and weighting treat an item as they treat a tag. One matrix maps tags and
 * items, so that an item in a user's profile and the item itself share a row.
 *
 * How much of a profile should be items depends on how much the tags say of who will like what. What is not given of the
 * two weights, of the dropout, the temperature and the mini-batch is chosen on held-out pairs (choice.h), before the first
 * epoch.
 *
 * Somebody known by tags alone is encoded from tags alone, and so is everybody of a dataset whose items have other numbers.
 * A refresh gives the weights the numbers of its items; a new one has a row of zeros.
 *
 * Legend: T tags, N items, E entries of a table, P posts.
 */
#include <math.h>
#include <string.h>

#include "models/choice.h"
#include "models/tower/tower.h"

typedef struct HybridOptions
{
	TowerOptions tower;			/* first: the tower's functions take these options */
	double		item_history;
	double		item_term;
} HybridOptions;

static const TrOption options[] = {
	TOWER_OPTIONS_WITH("-1", "-1", -1, "; -1 = chosen on held-out pairs of the training data"),
	TOWER_MASK_OPTION,
	TOWER_SAMPLING_WITH("popularity", "2000"),
	{"item_history", TR_OPTION_REAL, offsetof(HybridOptions, item_history), "-1", -1, 1000, NULL,
	"weight of the user's items in the user's profile, relative to 1 for a tag; 0 = no items; -1 = chosen"},
	{"item_term", TR_OPTION_REAL, offsetof(HybridOptions, item_term), "-1", -1, 1000, NULL,
	"weight of the item itself in the item's profile, per user, relative to 1 for a tag; 0 = tags only; -1 = chosen"},
};

/* What is below 0 is chosen, so that nothing lies between. */
static TrStatus
check_options(const void *values, TrError *err)
{
	const HybridOptions *o = values;
	const double value[] = {o->item_history, o->item_term, o->tower.user_dropout, o->tower.item_dropout};
	static const char *const names[] = {"item_history", "item_term", "user_dropout", "item_dropout"};

	for (int i = 0; i < 4; i++)
		if (value[i] < 0 && value[i] != -1)
			return tr_fail(err, TR_BAD_OPTION, "option \"%s\" is %g, which is neither -1 nor 0 or more", names[i], value[i]);
	return tower_check_options(values, err);
}

static const TrOptionSet option_set = TR_OPTION_SET(options, HybridOptions, .check = check_options);

typedef struct Hybrid
{
	Tower		tower;			/* over T + N tags */
	TrDataset	augmented;		/* the dataset with items among the tags; of it, the two profile tables alone are our own */
	const TrDataset *augmented_of;	/* NULL in a model that was loaded, until it is asked for one */
	float	   *n_tags;			/* (1) T, saved */
	float	   *chosen;			/* (4) item_history, item_term, user_dropout, item_dropout; NULL = all given */
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

/* Room for `entries` and `posts` more than `from` has; the table owns it from here on. */
static TrStatus
start_table(TrModel *model, Filling *to, TrProfileTable *table, const TrProfileTable *from, int64_t entries,
			int64_t posts, TrError *err)
{
	size_t		E = (size_t) (from->n_entries + entries);
	size_t		n = (size_t) (from->n_occurrences + posts);

	*table = (TrProfileTable) {.n_entities = from->n_entities};
	table->entry_ptr = to->entry_ptr = TR_NEW(model, int64_t, from->n_entities + 1);
	table->tag = to->tag = TR_NEW(model, int32_t, E);
	table->count = to->count = TR_NEW(model, float, E);
	table->occurrence_ptr = to->occurrence_ptr = TR_NEW(model, int64_t, E + 1);
	table->post = to->post = TR_NEW(model, int32_t, n);
	table->weight = to->weight = TR_NEW(model, float, n);
	return tr_enough_memory(model, err, "the items in the profiles");
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
augment_users(TrModel *model, TrProfileTable *table, const TrDataset *d, float times, TrError *err)
{
	Filling		to = {0};

	TR_TRY(start_table(model, &to, table, &d->user, times > 0 ? d->n_posts : 0, times > 0 ? d->n_posts : 0, err));
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
augment_items(TrModel *model, TrProfileTable *table, const TrDataset *d, float times, TrError *err)
{
	Filling		to = {0};

	TR_TRY(start_table(model, &to, table, &d->item, times > 0 ? d->n_items : 0, times > 0 ? d->n_posts : 0, err));
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
augment(Hybrid *h, const TrDataset *d, double history, double term, TrError *err)
{
	TrModel    *model = &h->tower.model;

	if (d->n_tags > INT32_MAX - d->n_items)
		return tr_fail(err, TR_BAD_DATA, "too many tags and items: %d and %d", d->n_tags, d->n_items);
	h->augmented = *d;
	h->augmented.n_tags = d->n_tags + d->n_items;
	h->augmented_of = d;
	TR_TRY(augment_users(model, &h->augmented.user, d, (float) history, err));
	return augment_items(model, &h->augmented.item, d, (float) term, err);
}

/* The items of all profiles of a side, where there are any, count so much. */
static TrStatus
weigh_items(Hybrid *h, TrSide side, float times, TrError *err)
{
	TrBackend  *b = h->tower.model.backend;
	const TrProfileTable *table = side == TR_USER ? &h->augmented.user : &h->augmented.item;
	float	   *count = (float *) table->count;	/* the tables are our own, and so are the backend's */
	float	   *weight = (float *) table->weight;

	for (int64_t e = 0; e < table->n_entries; e++)
	{
		int64_t		first = table->occurrence_ptr[e];
		int64_t		end = table->occurrence_ptr[e + 1];

		if (table->tag[e] < h->tower.model.n_tags)
			continue;
		count[e] = times * (float) (end - first);
		for (int64_t o = first; o < end; o++)
			weight[o] = times;
	}
	b->ops->upload(b, (float *) h->tower.side[side].count, count, (size_t) table->n_entries * sizeof(float));
	b->ops->upload(b, (float *) h->tower.side[side].weight, weight, (size_t) table->n_occurrences * sizeof(float));
	return b->ops->finish(b, err);
}

/* ------------------------------------------------------------------ what the data wants */

/* Tags with a few items; items with a few tags, which take more steps to learn. */
static const struct
{
	double		item_history,
				item_term,
				user_dropout,
				item_dropout,
				temperature;
	int			batch;
} tried[] = {{2, 0, 0.5, 0.5, 0.1, 128}, {10, 10, 0.3, 0.3, 0.1, 32}};

#define TRIED ((int) (sizeof(tried) / sizeof(tried[0])))

/* The trainings that choose take half the epochs, and no more than this. */
#define CHOOSING_EPOCHS 10

/* Tags gain more by the other epochs: items have to be ahead by more than that. */
#define MARGIN 0.1

/* Are the profiles to be chosen? */
static bool
is_open(const HybridOptions *o)
{
	return o->item_history < 0 || o->item_term < 0 || o->tower.user_dropout < 0 || o->tower.item_dropout < 0;
}

/* o = the i-th of those tried, where it is not given */
static void
set_tried(HybridOptions *o, const HybridOptions *given, int i)
{
	*o = *given;
	if (given->item_history < 0)
		o->item_history = tried[i].item_history;
	if (given->item_term < 0)
		o->item_term = tried[i].item_term;
	if (given->tower.user_dropout < 0)
		o->tower.user_dropout = tried[i].user_dropout;
	if (given->tower.item_dropout < 0)
		o->tower.item_dropout = tried[i].item_dropout;
	if (given->tower.temperature == 0)
		o->tower.temperature = tried[i].temperature;
	if (given->tower.batch == 0)
		o->tower.batch = tried[i].batch;
}

/* The training and the profiles follow what was chosen. */
static TrStatus
apply_chosen(Hybrid *h, TrError *err)
{
	const HybridOptions *o = h->tower.model.options;

	h->tower.options.user_dropout = h->chosen[2];
	h->tower.options.item_dropout = h->chosen[3];
	if (o->item_history != 0)
		TR_TRY(weigh_items(h, TR_USER, h->chosen[0], err));
	return o->item_term != 0 ? weigh_items(h, TR_ITEM, h->chosen[1], err) : TR_OK;
}

static TrStatus
choose(Hybrid *h, const TrPoll *poll, TrError *err)
{
	HybridOptions options[TRIED];
	const void *list[TRIED];
	TrChoice	choice = {.options = list, .n = TRIED, .margin = MARGIN, .seed = h->tower.options.seed};
	int			epochs = (h->tower.model.epochs + 1) / 2;
	int			best;

	for (int i = 0; i < TRIED; i++)
	{
		set_tried(&options[i], h->tower.model.options, i);
		list[i] = &options[i];
	}
	choice.epochs = epochs < CHOOSING_EPOCHS ? epochs : CHOOSING_EPOCHS;
	TR_TRY(tr_choose(&best, &h->tower.model, &choice, poll, err));
	tower_take(&h->tower, &options[best].tower);
	if (!h->chosen)
		return TR_OK;
	h->chosen[0] = (float) options[best].item_history;
	h->chosen[1] = (float) options[best].item_term;
	h->chosen[2] = (float) options[best].tower.user_dropout;
	h->chosen[3] = (float) options[best].tower.item_dropout;
	return apply_chosen(h, err);
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;

	if (epoch == 1 && (h->chosen || tower_is_open(model->options)))
		TR_TRY(choose(h, poll, err));
	return tower_train_epoch(model, epoch, poll, stats, err);
}

static TrStatus
restored(TrModel *model, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;

	TR_TRY(tower_restored(model, err));
	return h->chosen && model->dataset ? apply_chosen(h, err) : TR_OK;
}

/* ------------------------------------------------------------------ life */

static size_t
estimate(const TrShape *shape, const void *values)
{
	TrShape		augmented = *shape;
	size_t		occurrences = (size_t) shape->n_assignments + (size_t) shape->n_posts;
	HybridOptions o;
	size_t		bytes;

	augmented.n_tags += shape->n_items;
	augmented.n_assignments += shape->n_posts;
	set_tried(&o, values, 0);
	/* two tables; an entry has 16 bytes, an occurrence 8 */
	bytes = tower_estimate_over(&augmented, &o) + 2 * occurrences * 24;
	return is_open(values) || tower_is_open(values) ? 2 * bytes + tr_choice_bytes(shape) : bytes;
}

/* The first layer's inputs say how many items there were. */
static TrStatus
stored_inputs(const TrModel *model, int32_t *inputs, TrError *err)
{
	const TrTensor *first = tr_stored(model, "W1");

	if (!first || first->rows < model->n_tags)
		return tr_fail(err, TR_BAD_DATA, "stored weight \"W1\" has %d rows for %d tags", first ? first->rows : 0,
					   model->n_tags);
	*inputs = first->rows;
	return TR_OK;
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;
	const HybridOptions *o = model->options;
	float		T = (float) model->n_tags;
	const TrDataset *dataset = NULL;

	if (model->dataset)
	{
		TR_TRY(augment(h, model->dataset, fabs(o->item_history), fabs(o->item_term), err));
		dataset = &h->augmented;
	}
	else
		TR_TRY(stored_inputs(model, &h->augmented.n_tags, err));
	TR_TRY(tower_create_over(&h->tower, dataset, h->augmented.n_tags, model->n_tags, err));
	TR_TRY(tr_tensor(model, "tags", 1, 1, (TrRange) {T, T, true}, &h->n_tags, err));
	*h->n_tags = T;
	if (!model->dataset && !tr_stored(model, "chosen") && !tr_stored(model, "temperature"))
		return TR_OK;			/* all given, or a blend's member of version 0.1.0, whose defaults were fixed */
	return is_open(model->options) ? tr_tensor(model, "chosen", 1, 4, TR_FROM_ZERO, &h->chosen, err) : TR_OK;
}

/*
 * How often the items are in the profiles of a side. In version 0.1.0, where nothing was chosen, the defaults were 2 for users
 * and 0 for items.
 */
static double
item_times(const Hybrid *h, TrSide side)
{
	const HybridOptions *o = h->tower.model.options;
	double		given = side == TR_USER ? o->item_history : o->item_term;

	if (h->chosen)
		return h->chosen[side == TR_USER ? 0 : 1];
	return given >= 0 ? given : side == TR_USER ? 2 : 0;
}

/* With items in the profiles where they are those of the weights. */
static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Hybrid	   *h = (Hybrid *) model;

	if (!model->dataset && dataset != h->augmented_of && dataset->n_items == h->tower.stack.dim[0] - model->n_tags)
		TR_TRY(augment(h, dataset, item_times(h, TR_USER), item_times(h, TR_ITEM), err));
	return tower_embed(model, side, dataset == h->augmented_of ? &h->augmented : dataset, first, n, out, err);
}

/* rows (tags + items) of so many numbers, with other items; a new one has `fill` */
static TrStatus
renumber_rows(float **value, const TrRenumbering *r, int32_t rows, int width, float fill, TrMemory *memory, TrError *err)
{
	size_t		W = (size_t) width;
	size_t		tags = (size_t) r->n_tags * W;
	float	   *to;

	if (rows - r->n_tags != r->n_before)
		return tr_fail(err, TR_BAD_DATA, "stored weights are for %d items, not %d", rows - r->n_tags, r->n_before);
	to = tr_alloc(memory, (tags + (size_t) r->n_items * W + 1) * sizeof(float));
	if (!to)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights of %d items", r->n_items);
	memcpy(to, *value, tags * sizeof(float));
	for (size_t i = 0; i < (size_t) r->n_items; i++)
		for (size_t k = 0; k < W; k++)
			to[tags + i * W + k] = r->from[i] >= 0 ? (*value)[tags + (size_t) r->from[i] * W + k] : fill;
	tr_free(memory, *value);
	*value = to;
	return TR_OK;
}

static TrStatus
renumber_items(const TrRenumbering *r, const void *values, TrTensor *tensors, int count, TrMemory *memory, TrError *err)
{
	(void) values;
	for (TrTensor *t = tensors; t < tensors + count; t++)
	{
		if (strcmp(t->name, "W1") == 0)
		{
			TR_TRY(renumber_rows(&t->value, r, t->rows, t->cols, 0, memory, err));
			t->rows = r->n_tags + r->n_items;
		}
		if (strcmp(t->name, "idf") == 0)
		{
			TR_TRY(renumber_rows(&t->value, r, t->cols, 1, 1, memory, err));
			t->cols = r->n_tags + r->n_items;
		}
	}
	return TR_OK;
}

/* Its temperature is twice as high, and its items say more. */
#define APPROACH_STEPS 3

/* The profile of a user with this history, as augment_users() would have it. */
static TrStatus
fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
		TrError *err)
{
	(void) features;
	return tower_fold_in_with(model, history, catalogue, (float) item_times((const Hybrid *) model, TR_USER), APPROACH_STEPS, array,
							  err);
}

const TrAlgorithm tr_algorithm_hybrid = {
	.name = "hybrid",
	.summary = "The tag tower of hdlpr_ns, with profiles that also contain the user's items and the item itself.",
	.source = "tower of Xu et al., IJCAI 2017, over profiles with items",
	.task = TR_TASK_ITEM,
	.loads = true,
	.encode = tower_encode,
	.size = sizeof(Hybrid),
	.knows_items = true,
	.options = &option_set,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.restored = restored,
	.embed = embed,
	.fold_in = fold_in,
	.embeds_items = true,
	.renumber_items = renumber_items,
};
