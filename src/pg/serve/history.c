/*
 * Folding in. See history.h.
 */
#include "pg/serve/history.h"

#include "core/ascending.h"
#include "core/topn.h"
#include "miscadmin.h"
#include "pg/base/options.h"

/* ------------------------------------------------------------------ collecting */

#define MOST_COUNTS (1 << 28)

void
tagrec_count(TagrecCounts *counts, int32 index, float value)
{
	if (!(value > 0))
		return;
	if (counts->n == MOST_COUNTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many tags and items to fold in")));
	if (counts->n == counts->room)
	{
		Size		room = Max(16, 2 * (Size) counts->room);

		counts->index = counts->n ? repalloc_huge(counts->index, room * sizeof(int32)) : palloc(room * sizeof(int32));
		counts->value = counts->n ? repalloc_huge(counts->value, room * sizeof(float)) : palloc(room * sizeof(float));
		counts->room = (int) Min(room, PG_INT32_MAX);
	}
	counts->index[counts->n] = index;
	counts->value[counts->n++] = value;
}

/* Ascending, each once. */
static TrSparse
sorted(TagrecCounts *counts, bool once)
{
	TrScored   *entry = palloc_extended(Max(counts->n, 1) * sizeof(TrScored), MCXT_ALLOC_HUGE);
	int			kept = 0;

	for (int i = 0; i < counts->n; i++)
		entry[i] = (TrScored) {counts->value[i], counts->index[i]};
	qsort(entry, counts->n, sizeof(TrScored), tr_scored_by_index);
	for (int i = 0; i < counts->n; i++)
	{
		if (kept > 0 && counts->index[kept - 1] == entry[i].index)
		{
			counts->value[kept - 1] += once ? 0 : entry[i].score;
			continue;
		}
		counts->index[kept] = entry[i].index;
		counts->value[kept++] = entry[i].score;
	}
	pfree(entry);
	counts->n = kept;
	return (TrSparse) {.n = kept, .index = counts->index, .value = counts->value};
}

/* ------------------------------------------------------------------ folding in */

void
tagrec_check_folds_in(const TagrecVersion *version)
{
	if (!tr_folds_in(tagrec_algorithm(version->algorithm)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot recommend to users it was not trained on", version->model),
				 errdetail("Its algorithm, %s, learns an embedding of each user and cannot compute another one.",
						   version->algorithm),
				 errhint("Train it with another algorithm, such as ials or ease_tags, or train it again to include new users.")));
}

bool
tagrec_wants_tags(const TagrecVersion *version)
{
	return tr_reads_tags(tagrec_algorithm(version->algorithm));
}

/* The tags of the items: of each as many as its average user gave it. */
static TrSparse
tags_of_items(TagrecCall *call, const TagrecHistory *history)
{
	const TagrecMatrix *items = tagrec_call_items(call);
	TagrecCounts counts = {0};

	for (int i = 0; i < history->items.n; i++)
	{
		TagrecRow	item;

		CHECK_FOR_INTERRUPTS();
		if (!tagrec_find_item_key(call, tagrec_matrix_key(items, history->items.index[i]), &item))
			continue;
		for (int t = 0; t < item.n_tags; t++)
			tagrec_count(&counts, item.tag[t], history->items.value[i] * item.count[t] / Max(item.posts, 1));
	}
	return sorted(&counts, false);
}

/* What the version stores of its items. */
TrCatalogue
tagrec_catalogue(TagrecCall *call)
{
	const TagrecMatrix *items = tagrec_call_items(call);
	TrCatalogue catalogue = {
		.n_items = items->rows,
		.width = call->version->width,
		.array = items->value,
		.stride = items->stride
	};

	if (call->version->features)
	{
		const TagrecNeighbours *neighbours = tagrec_call_neighbours(call);

		catalogue.n_features = neighbours->features;
		catalogue.ptr = neighbours->ptr;
		catalogue.item = neighbours->item;
		catalogue.weight = neighbours->weight;
	}
	return catalogue;
}

/* One that the user has, too, is not disliked. */
static void
take_dislikes(TagrecRow *user, TagrecCounts *disliked)
{
	TrSparse	items = sorted(disliked, true);

	user->disliked = disliked->index;
	for (int i = 0; i < items.n; i++)
		if (tr_find_ascending(user->seen, user->n_seen, items.index[i]) < 0)
			user->disliked[user->n_disliked++] = items.index[i];
	tagrec_row_join(user);
}

bool
tagrec_fold_in(TagrecCall *call, TagrecHistory *history, TagrecRow *user)
{
	TrHistory	known = {.items = sorted(&history->items, history->items_once)};
	TrCatalogue catalogue = tagrec_catalogue(call);

	known.tags = sorted(&history->tags, false);
	if (tagrec_wants_tags(call->version))
		known.item_tags = tags_of_items(call, history);
	memset(user, 0, sizeof(*user));
	user->embedding = tagrec_padded_vectors(1, call->version->width);
	user->sparse = tagrec_encode_history(tagrec_call_folder(call), &known, &catalogue, user->embedding);
	tagrec_check_features(&user->sparse, call->version);
	user->seen = history->items.index;
	user->n_seen = known.items.n;
	take_dislikes(user, &history->disliked);
	user->tag = known.tags.index;
	user->count = known.tags.value;
	user->n_tags = known.tags.n;
	return known.items.n > 0 || known.tags.n > 0;
}
