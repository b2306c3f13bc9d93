/*
 * The profiles of items as training reads them: of one with very many tags those of the largest weights, so that what a
 * step takes does not grow with an item's fame.
 */
#include <string.h>

#include "core/topn.h"
#include "models/tower/tower.h"

/* Tags of a profile that are read where there are very many tags. */
#define MOST_READ 64
#define MANY_TAGS 20000

/* A table that is being written, in the model's memory. */
typedef struct Filling
{
	int64_t    *entry_ptr;
	int32_t    *tag;
	float	   *count;
	int64_t    *occurrence_ptr;
	int32_t    *post;
	float	   *weight;			/* NULL = every assignment weighs 1 */
	int64_t		entries;
	int64_t		occurrences;
} Filling;

static int32_t
entries_of(const TrProfileTable *table, int32_t entity)
{
	return (int32_t) (table->entry_ptr[entity + 1] - table->entry_ptr[entity]);
}

/* Tags in the longest profile */
static int32_t
longest(const TrProfileTable *table)
{
	int32_t		most = 0;

	for (int32_t i = 0; i < table->n_entities; i++)
		if (entries_of(table, i) > most)
			most = entries_of(table, i);
	return most;
}

static void
add_entry(Filling *to, const TrProfileTable *from, int64_t e)
{
	int64_t		first = from->occurrence_ptr[e];
	size_t		n = (size_t) (from->occurrence_ptr[e + 1] - first);

	to->tag[to->entries] = from->tag[e];
	to->count[to->entries++] = from->count[e];
	memcpy(to->post + to->occurrences, from->post + first, n * sizeof(int32_t));
	if (to->weight)
		memcpy(to->weight + to->occurrences, from->weight + first, n * sizeof(float));
	to->occurrences += (int64_t) n;
	to->occurrence_ptr[to->entries] = to->occurrences;
}

/* The entries of an entity that weigh most, by tag; room for `most`. */
static void
add_heaviest(Filling *to, const TrProfileTable *from, const TrProfileWeights *weights, int32_t entity, int32_t most,
			 TrScored *room)
{
	TrTopN		top;
	int64_t		first = from->entry_ptr[entity];
	int32_t		n = entries_of(from, entity);
	float		length = 0;

	tr_topn_init(&top, room, most);
	for (int32_t e = 0; e < n; e++)
		length += from->count[first + e];
	for (int32_t e = 0; e < n; e++)
		tr_topn_offer(&top, tr_tag_weight(weights, from->tag[first + e], from->count[first + e], length), e);
	tr_sort_by_index(top.best, (size_t) top.count);
	for (int32_t i = 0; i < top.count; i++)
		add_entry(to, from, first + top.best[i].index);
	to->entry_ptr[entity + 1] = to->entries;
}

static TrStatus
start_table(Filling *to, TrModel *model, const TrProfileTable *from, TrError *err)
{
	size_t		E = (size_t) from->n_entries;
	size_t		n = (size_t) from->n_occurrences;

	*to = (Filling) {
		.entry_ptr = TR_NEW(model, int64_t, from->n_entities + 1), .tag = TR_NEW(model, int32_t, E),
		.count = TR_NEW(model, float, E), .occurrence_ptr = TR_NEW(model, int64_t, E + 1),
		.post = TR_NEW(model, int32_t, n), .weight = from->weight ? TR_NEW(model, float, n) : NULL
	};
	TR_TRY(tr_enough_memory(model, err, "the profiles"));
	to->entry_ptr[0] = to->occurrence_ptr[0] = 0;
	return TR_OK;
}

/* Tags of a profile, at most */
static int32_t
most_read(const TowerOptions *o, int32_t n_tags)
{
	return o->profile_tags > 0 ? o->profile_tags : n_tags > MANY_TAGS ? MOST_READ : INT32_MAX;
}

size_t
tower_profiles_bytes(const TrShape *shape, const TowerOptions *o)
{
	size_t		entry = 2 * sizeof(int64_t) + 2 * sizeof(int32_t) + 2 * sizeof(float);	/* with an occurrence */

	if (most_read(o, shape->n_tags) == INT32_MAX)
		return 0;
	return (size_t) shape->n_assignments * entry + (size_t) shape->n_items * sizeof(int64_t);
}

TrStatus
tower_read_profiles(Tower *t, TrProfileTable *read, TrError *err)
{
	TrModel    *model = &t->model;
	const TrProfileTable *all = &t->dataset->item;
	int32_t		most = most_read(&t->options, model->n_tags);
	TrProfileWeights weights = tower_profile_weights(t, TR_ITEM);
	TrScored   *room;
	Filling		to;

	weights.idf = t->host_idf;
	*read = *all;
	/* those of hybrid hold items as well, and stay what they are */
	if (t->dataset != model->dataset || longest(all) <= most)
		return TR_OK;
	TR_TRY(start_table(&to, model, all, err));
	room = TR_NEW(model, TrScored, most);
	TR_TRY(tr_enough_memory(model, err, "the profiles"));
	for (int32_t item = 0; item < all->n_entities; item++)
		add_heaviest(&to, all, &weights, item, most, room);
	tr_free(model->memory, room);
	read->n_entries = to.entries;
	read->n_occurrences = to.occurrences;
	read->entry_ptr = to.entry_ptr;
	read->tag = to.tag;
	read->count = to.count;
	read->occurrence_ptr = to.occurrence_ptr;
	read->post = to.post;
	read->weight = to.weight;
	return TR_OK;
}

/* But for where the entries of each item are, which the plan of a step asks for */
void
tower_forget_profiles(Tower *t, const TrProfileTable *read)
{
	TrModel    *model = &t->model;

	t->item_entry_ptr = read->entry_ptr;
	if (read->tag == t->dataset->item.tag)
		return;
	tr_free(model->memory, (void *) read->tag);
	tr_free(model->memory, (void *) read->count);
	tr_free(model->memory, (void *) read->occurrence_ptr);
	tr_free(model->memory, (void *) read->post);
	tr_free(model->memory, (void *) read->weight);
}
