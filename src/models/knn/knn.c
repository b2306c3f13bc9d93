/*
 * item_knn and user_knn: items that the same users have are neighbours, and so are users who have the same items. With the
 * items' users, or the users' items, as sets,
 *
 *     item_knn   score(u,i) = sum over the items j of u, j among the nearest of i, of cos(i,j)
 *     user_knn   score(u,i) = sum over the nearest users v of u who have i, of cos(u,v)
 *
 * One row of neighbours is computed at a time, when it is asked for. Which items are among the nearest of i is decided
 * once, in training: by the weakest of them; the weights of an item j are then those cosines that are no weaker. They are
 * kept, as far as there is room, since measuring asks for those of popular items once for each of their users. The features
 * of a user are his items, or his neighbours, and the weights of a neighbour are 1 for what he has. Legend: I items, R
 * sets, C members, P pairs (set, member).
 */
#include <math.h>
#include <string.h>

#include "core/ascending.h"
#include "core/topn.h"
#include "models/base.h"

/* Below every cosine, as counts are not negative; a stored number must be finite. */
#define NONE (-1)

/* Numbers that a weakest neighbour is saved as: its cosine, and its place in two parts that a float holds exactly. */
#define SAVED 3
#define PART 65536

/* Weights of items that are kept, at most. */
#define KEPT 8000000

typedef struct KnnOptions
{
	int			neighbours;
} KnnOptions;

static const TrOption item_rows[] = {
	{"neighbours", TR_OPTION_INT, offsetof(KnnOptions, neighbours), "50", 0, 1e9, NULL,
	"maximum number of nearest items, by cosine, that contribute to a score; 0 = all that share a user"},
};

static const TrOption user_rows[] = {
	{"neighbours", TR_OPTION_INT, offsetof(KnnOptions, neighbours), "50", 0, 1e9, NULL,
	"maximum number of nearest users, by cosine, whose items are recommended; 0 = all who share an item with the user"},
};

static const TrOptionSet item_options = {.options = item_rows, .count = 1, .size = sizeof(KnnOptions)};
static const TrOptionSet user_options = {.options = user_rows, .count = 1, .size = sizeof(KnnOptions)};

typedef struct Knn
{
	TrModel		model;
	int			neighbours;
	TrScored   *weakest;		/* item_knn: (I) neighbour that just counts; of score NONE when all do */
	float	   *saved;			/* (I,3) the same; user_knn, which learns nothing: (1) neighbours */

	int32_t		rows;			/* R */
	const int32_t *set_ptr;		/* (R+1) into set_member: the members of each set */
	const int32_t *set_member;	/* (P) */
	const int32_t *member_ptr;	/* (C+1) into member_set: the sets of each member */
	const int32_t *member_set;	/* (P) */
	int32_t    *item_user;		/* (P) users of each item: the one direction that the dataset does not have as it is */
	float	   *length;			/* (R) root of the number of members */
	int32_t    *common;			/* (R) members shared with the set in question; zeros between calls */
	TrScored   *found;			/* (R) the neighbours of that set; (cosine, row) */
	TrScored   *best;			/* (R) */
	uint64_t   *bits;			/* a set of rows, empty between calls */
	float	   *by_row;			/* (R) cosines of those in the set */
	int32_t    *index;			/* (R) the answer */
	float	   *value;			/* (R) */
	float	   *ones;			/* (items) */
	uint64_t   *mask;			/* user_knn, folding in: a set of items, empty between calls */
	TrSparse   *kept;			/* item_knn: (I) weights of an item; without an array until it is asked for */
	int64_t		room;			/* for so many more weights */
} Knn;

/* Bytes of a model whose sets are users, or items. */
static size_t
estimate_sets(const TrShape *shape, TrSide side)
{
	size_t		rows = (size_t) (side == TR_USER ? shape->n_users : shape->n_items);

	return (size_t) shape->n_posts * sizeof(int32_t) + rows * (5 * sizeof(float) + 2 * sizeof(TrScored))
		+ TR_BIT_WORDS(rows) * sizeof(uint64_t);
}

static size_t
estimate_items(const TrShape *shape, const void *values)
{
	int			asked = ((const KnnOptions *) values)->neighbours;
	double		most = (double) shape->n_items * (asked > 0 ? asked : shape->n_items);

	return estimate_sets(shape, TR_ITEM) + (size_t) fmin(most, KEPT) * (sizeof(int32_t) + sizeof(float))
		+ (size_t) shape->n_items * (sizeof(TrScored) + sizeof(TrSparse) + (1 + SAVED) * sizeof(float));
}

static size_t
estimate_users(const TrShape *shape, const void *values)
{
	(void) values;
	return estimate_sets(shape, TR_USER) + (size_t) shape->n_items * sizeof(float);
}

/* ------------------------------------------------------------------ life */

static void
join(Knn *c, const TrDataset *d, TrSide side)
{
	for (int32_t p = 0; p < d->n_posts; p++)
		c->item_user[p] = d->post_user[d->item_post[p]];
	c->set_ptr = side == TR_USER ? d->user_ptr : d->item_ptr;
	c->set_member = side == TR_USER ? d->post_item : c->item_user;
	c->member_ptr = side == TR_USER ? d->item_ptr : d->user_ptr;
	c->member_set = side == TR_USER ? c->item_user : d->post_item;
	for (int32_t r = 0; r < c->rows; r++)
		c->length[r] = sqrtf((float) (c->set_ptr[r + 1] - c->set_ptr[r]));
}

/* The sets: users, or items. */
static TrStatus
create_sets(Knn *c, TrSide side, TrError *err)
{
	TrModel    *model = &c->model;
	const TrDataset *d = model->dataset;
	int32_t		rows = side == TR_USER ? d->n_users : d->n_items;

	c->neighbours = ((const KnnOptions *) model->options)->neighbours;
	c->rows = rows;
	c->item_user = TR_NEW(model, int32_t, d->n_posts);
	c->length = TR_NEW(model, float, rows);
	c->common = TR_NEW(model, int32_t, rows);
	c->found = TR_NEW(model, TrScored, rows);
	c->best = TR_NEW(model, TrScored, rows);
	c->bits = TR_NEW(model, uint64_t, TR_BIT_WORDS(rows));
	c->by_row = TR_NEW(model, float, rows);
	c->index = TR_NEW(model, int32_t, rows);
	c->value = TR_NEW(model, float, rows);
	c->ones = TR_NEW(model, float, d->n_items);
	TR_TRY(tr_enough_memory(model, err, "the neighbours of %d %s", rows, side == TR_USER ? "users" : "items"));
	for (int32_t i = 0; i < d->n_items; i++)
		c->ones[i] = 1;
	join(c, d, side);
	return TR_OK;
}

static TrStatus
create_items(TrModel *model, TrError *err)
{
	Knn		   *m = (Knn *) model;
	TrRange		range = {NONE, FLT_MAX, false};
	int32_t		items = model->dataset->n_items;

	TR_TRY(create_sets(m, TR_ITEM, err));
	TR_TRY(tr_tensor(model, "weakest", items, SAVED, range, &m->saved, err));
	m->weakest = TR_NEW(model, TrScored, items);
	m->kept = TR_NEW(model, TrSparse, items);
	m->room = KEPT;
	TR_TRY(tr_enough_memory(model, err, "the neighbours of %d items", items));
	for (int32_t i = 0; i < items; i++)
		m->weakest[i] = (TrScored) {NONE, 0};
	return TR_OK;
}

static TrStatus
create_users(TrModel *model, TrError *err)
{
	Knn		   *m = (Knn *) model;

	TR_TRY(create_sets(m, TR_USER, err));
	TR_TRY(tr_tensor(model, "neighbours", 1, 1, TR_FROM_ZERO, &m->saved, err));
	*m->saved = (float) m->neighbours;
	return TR_OK;
}

/* ------------------------------------------------------------------ cosines */

/*
 * found = the rows that share a member with the set of n members, but for the row `self`, in no order; returns how many.
 * The cosine of two rows is the same number from either side.
 */
static int32_t
find(Knn *c, const int32_t *member, int32_t n, int32_t self)
{
	float		length = sqrtf((float) n);
	int32_t		count = 0;
	int32_t		kept = 0;

	for (int32_t m = 0; m < n; m++)
		for (int32_t p = c->member_ptr[member[m]]; p < c->member_ptr[member[m] + 1]; p++)
			if (c->common[c->member_set[p]]++ == 0)
				c->found[count++].index = c->member_set[p];
	for (int32_t i = 0; i < count; i++)
	{
		int32_t		row = c->found[i].index;

		if (row != self)
			c->found[kept++] = (TrScored) {(float) c->common[row] / (c->length[row] * length), row};
		c->common[row] = 0;
	}
	return kept;
}

/* best = the `limit` nearest of the first n found, the farthest of them first: of equal ones, those that come first. */
static int32_t
nearest(Knn *c, int32_t n, int32_t limit)
{
	TrTopN		top;

	tr_topn_init(&top, c->best, limit);
	for (int32_t i = 0; i < n; i++)
		tr_topn_offer(&top, c->found[i].score, c->found[i].index);
	return top.count;
}

/* These n rows, in the order of their numbers; good until the next call. */
static TrSparse
in_order(Knn *c, const TrScored *row, int32_t n)
{
	size_t		words = TR_BIT_WORDS(c->rows);
	int32_t		count = 0;

	for (int32_t i = 0; i < n; i++)
	{
		tr_bit_set(c->bits, row[i].index);
		c->by_row[row[i].index] = row[i].score;
	}
	for (size_t w = 0; w < words; w++)
	{
		for (uint64_t left = c->bits[w]; left != 0; left &= left - 1)
		{
			int32_t		next = (int32_t) (64 * w) + __builtin_ctzll(left);

			c->index[count] = next;
			c->value[count++] = c->by_row[next];
		}
		c->bits[w] = 0;
	}
	return (TrSparse) {.n = count, .index = c->index, .value = c->value};
}

/* The items of a user, 1 each. */
static TrSparse
items_of(const Knn *c, const TrDataset *dataset, int32_t user)
{
	int32_t		first = dataset->user_ptr[user];

	return (TrSparse) {.n = dataset->user_ptr[user + 1] - first, .index = dataset->post_item + first, .value = c->ones};
}

/* ------------------------------------------------------------------ item_knn */

/* The items near an item, in cosine.found; their number. */
static int32_t
find_items(Knn *m, int32_t item)
{
	const Knn   *c = m;

	return find(m, c->set_member + c->set_ptr[item], c->set_ptr[item + 1] - c->set_ptr[item], item);
}

/* The weights of an item, if there is room for them. */
static void
keep(Knn *m, int32_t item, const TrSparse *weights)
{
	size_t		n = (size_t) weights->n;
	float	   *value = m->room < weights->n ? NULL : tr_alloc(m->model.memory, n * (sizeof(float) + sizeof(int32_t)) + 1);
	int32_t    *index;

	if (!value)
		return;
	index = (int32_t *) (value + n);
	memcpy(value, weights->value, n * sizeof(float));
	memcpy(index, weights->index, n * sizeof(int32_t));
	m->kept[item] = (TrSparse) {.n = weights->n, .index = index, .value = value};
	m->room -= weights->n;
}

/* Looks for the weakest neighbour of each item that counts. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Knn    *m = (Knn *) model;

	(void) epoch, (void) err;
	for (int32_t i = 0; m->neighbours > 0 && i < model->dataset->n_items; i++)
	{
		int32_t		n = find_items(m, i);

		if (tr_poll_at(poll, "items", i, model->dataset->n_items))
			return TR_CANCELLED;
		if (n > m->neighbours)
		{
			nearest(m, n, m->neighbours);
			m->weakest[i] = m->best[0];
		}
	}
	stats->last = true;
	return TR_OK;
}

static TrStatus
saving(TrModel *model, TrError *err)
{
	Knn    *m = (Knn *) model;
	float	   *value = m->saved;

	(void) err;
	for (int32_t i = 0; i < model->dataset->n_items; i++, value += SAVED)
	{
		value[0] = m->weakest[i].score;
		value[1] = (float) (m->weakest[i].index / PART);
		value[2] = (float) (m->weakest[i].index % PART);
	}
	return TR_OK;
}

/* The place of a stored neighbour; -1 when it is none. */
static int32_t
place_of(const float *value, int32_t items)
{
	float		most = (float) ((items - 1) / PART);

	if (!(value[1] >= 0 && value[1] <= most && value[1] == truncf(value[1])))
		return -1;
	if (!(value[2] >= 0 && value[2] < PART && value[2] == truncf(value[2])))
		return -1;
	if ((int64_t) value[1] * PART + (int64_t) value[2] >= items)
		return -1;
	return (int32_t) value[1] * PART + (int32_t) value[2];
}

static TrStatus
restored_items(TrModel *model, TrError *err)
{
	Knn    *m = (Knn *) model;
	const float *value = m->saved;

	memset(m->kept, 0, (size_t) model->dataset->n_items * sizeof(TrSparse));
	for (int32_t i = 0; i < model->dataset->n_items; i++, value += SAVED)
	{
		int32_t		place = place_of(value, model->dataset->n_items);

		if (place < 0)
			return tr_fail(err, TR_BAD_DATA, "stored weight \"weakest\" has no value for a neighbour of item %d", i);
		m->weakest[i] = (TrScored) {value[0], place};
	}
	return TR_OK;
}

static TrStatus
item_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	(void) err;
	*out = items_of((Knn *) model, dataset, user);
	return TR_OK;
}

static TrStatus
item_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Knn    *m = (Knn *) model;
	TrScored   *found = m->found;
	int32_t		n;
	int32_t		kept = 0;

	(void) err;
	*out = m->kept[feature];
	if (out->index)
		return TR_OK;
	n = find_items(m, feature);
	for (int32_t i = 0; i < n; i++)
	{
		TrScored	seen_from_there = {found[i].score, feature};

		if (!tr_scored_better(m->weakest[found[i].index], seen_from_there))
			found[kept++] = found[i];
	}
	*out = in_order(m, found, kept);
	keep(m, feature, out);
	return TR_OK;
}

/* ------------------------------------------------------------------ user_knn */

static TrStatus
restored_users(TrModel *model, TrError *err)
{
	Knn    *m = (Knn *) model;

	if (*m->saved != (float) m->neighbours)
		return tr_fail(err, TR_BAD_DATA, "stored number of neighbours is %g, not %d", *m->saved, m->neighbours);
	return TR_OK;
}

static TrStatus
nearest_users(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	Knn    *m = (Knn *) model;
	int32_t		first = dataset->user_ptr[user];
	int32_t		n = find(m, dataset->post_item + first, dataset->user_ptr[user + 1] - first, user);

	(void) err;
	if (m->neighbours > 0 && n > m->neighbours)
		*out = in_order(m, m->best, nearest(m, n, m->neighbours));
	else
		*out = in_order(m, m->found, n);
	return TR_OK;
}

static TrStatus
user_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	(void) err;
	*out = items_of((Knn *) model, model->dataset, feature);
	return TR_OK;
}

/* Room for the rows of a catalogue, in a model that has options alone. */
static TrStatus
reserve_rows(Knn *m, const TrCatalogue *catalogue, TrError *err)
{
	TrModel    *model = &m->model;

	if (m->mask)
		return TR_OK;
	m->neighbours = ((const KnnOptions *) model->options)->neighbours;
	m->rows = (int32_t) catalogue->n_features;
	m->found = TR_NEW(model, TrScored, m->rows);
	m->best = TR_NEW(model, TrScored, m->rows);
	m->bits = TR_NEW(model, uint64_t, TR_BIT_WORDS(m->rows));
	m->by_row = TR_NEW(model, float, m->rows);
	m->index = TR_NEW(model, int32_t, m->rows);
	m->value = TR_NEW(model, float, m->rows);
	m->mask = TR_NEW(model, uint64_t, TR_BIT_WORDS(catalogue->n_items));
	return tr_enough_memory(model, err, "the neighbours of a user");
}

/* found = the users who share one of the items in the mask, of which there are n; returns how many */
static int32_t
find_users(Knn *m, const TrCatalogue *catalogue, int32_t n)
{
	float		length = sqrtf((float) n);
	int32_t		count = 0;

	for (int32_t user = 0; user < m->rows; user++)
	{
		int64_t		first = catalogue->ptr[user];
		int64_t		end = catalogue->ptr[user + 1];
		int32_t		common = 0;

		for (int64_t e = first; e < end; e++)
			common += tr_bit_test(m->mask, catalogue->item[e]);
		if (common > 0)
			m->found[count++] = (TrScored) {(float) common / (sqrtf((float) (end - first)) * length), user};
	}
	return count;
}

/* The items of a user are the weights of his feature. Somebody who was trained on is his own nearest neighbour. */
static TrStatus
fold_in_user(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
			 TrError *err)
{
	Knn		   *m = (Knn *) model;
	const TrSparse *items = &history->items;
	int32_t		n;

	(void) array;
	TR_TRY(reserve_rows(m, catalogue, err));
	for (int32_t i = 0; i < items->n; i++)
		tr_bit_set(m->mask, items->index[i]);
	n = find_users(m, catalogue, items->n);
	for (int32_t i = 0; i < items->n; i++)
		m->mask[items->index[i] / 64] = 0;
	if (m->neighbours > 0 && n > m->neighbours)
		*features = in_order(m, m->best, nearest(m, n, m->neighbours));
	else
		*features = in_order(m, m->found, n);
	return TR_OK;
}

/* A cosine with a neighbour is made of the items that both have. */
static TrStatus
share_neighbours(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, int32_t item, float *out,
				 TrError *err)
{
	const TrSparse *items = &history->items;
	TrSparse	users;

	memset(out, 0, (size_t) items->n * sizeof(float));
	TR_TRY(fold_in_user(model, history, catalogue, NULL, &users, err));
	for (int32_t f = 0; f < users.n; f++)
	{
		int64_t		first = catalogue->ptr[users.index[f]];
		int32_t		n = (int32_t) (catalogue->ptr[users.index[f] + 1] - first);
		const int32_t *his = catalogue->item + first;

		if (tr_find_ascending(his, n, item) < 0)
			continue;
		for (int32_t i = 0; i < items->n; i++)
			if (tr_find_ascending(his, n, items->index[i]) >= 0)
				out[i] += 1 / (sqrtf((float) n) * sqrtf((float) items->n));
	}
	return TR_OK;
}

const TrAlgorithm tr_algorithm_item_knn = {
	.name = "item_knn",
	.summary = "Items similar to the user's items, by cosine over their users; does not use tags.",
	.source = "Sarwar, Karypis, Konstan & Riedl, Item-based collaborative filtering (WWW 2001), on binary data",
	.task = TR_TASK_ITEM,
	.pairs_alone = true,
	.options = &item_options,
	.estimate = estimate_items,
	.size = sizeof(Knn),
	.create = create_items,
	.train_epoch = train_epoch,
	.saving = saving,
	.restored = restored_items,
	.features = tr_item_features,
	.user_features = item_features,
	.feature_weights = item_weights,
	.fold_in = tr_fold_in_items,
};

const TrAlgorithm tr_algorithm_user_knn = {
	.name = "user_knn",
	.summary = "Items of the nearest users, by cosine over their items; does not use tags.",
	.source = "Breese, Heckerman & Kadie (UAI 1998), on binary data; Sarwar et al. (EC 2000) for the neighbourhood",
	.task = TR_TASK_ITEM,
	.pairs_alone = true,
	.options = &user_options,
	.estimate = estimate_users,
	.size = sizeof(Knn),
	.create = create_users,
	.train_epoch = tr_no_training,
	.restored = restored_users,
	.features = tr_user_features,
	.user_features = nearest_users,
	.feature_weights = user_weights,
	.fold_in = fold_in_user,
	.contributions = share_neighbours,
};
