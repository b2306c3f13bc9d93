/*
 * Ranking held-out pairs by a version. See versions.h.
 *
 * A pair that the version knows is in what it has stored of its user, even if it was not trained on it: so it does not
 * count.
 */
#include "pg/evaluate/versions.h"

#include "miscadmin.h"
#include "pg/evaluate/test.h"
#include "utils/memutils.h"

static int32
intern(TagrecKeys *to, const TagrecKeys *from, int32 key)
{
	return tagrec_keys_intern(to, from->text[key], strlen(from->text[key]));
}

/* Once settled, its pairs are in the order of the data's: keys have the same order, and tags the same numbers. */
static TagrecTest *
make_test(const TagrecData *data, const TagrecVersion *version)
{
	TagrecTest *test = tagrec_test_make(version);
	const TrPairs *pairs = &data->validation;
	TrError		err = {0};

	for (int32 t = 0; pairs->tag && t < data->tags.count; t++)
		(void) intern(&test->tags, &data->tags, t);
	for (int32 p = 0; p < pairs->count; p++)
	{
		TrAssignment row = {
			.user = intern(&test->users, &data->users, pairs->user[p]),
			.item = intern(&test->items, &data->items, pairs->item[p]),
			.tag = pairs->tag ? pairs->tag[p] : TR_NO_TAG,
			.weight = 1
		};

		tagrec_data_check(tr_assignments_add_row(&test->pairs, &row), &err, &test->memory);
	}
	return test;
}

static void
take_pair(TrPairs *to, const TrPairs *from, int64 p)
{
	to->user[to->count] = from->user[p];
	to->item[to->count] = from->item[p];
	if (to->tag)
		to->tag[to->count] = from->tag[p];
	to->count++;
}

/* The pairs of the group that count, and the version's ranks of them. */
static int32
take_group(TagrecVersus *v, const TagrecTest *test, const TagrecRanking *ranking, int32 group, const TrPairs *from,
		   int32 *rank)
{
	int32		n = 0;

	for (int64 p = test->group_ptr[group]; p < test->group_ptr[group + 1]; p++)
	{
		if (ranking->seen[p])
			continue;
		take_pair(&v->pairs, from, p);
		rank[n++] = ranking->rank[p];
	}
	return n;
}

static void
measure(TagrecVersus *v, const TagrecTest *test, const TagrecRanking *ranking, const TrPairs *from)
{
	int32	   *rank = MemoryContextAllocHuge(CurrentMemoryContext, tagrec_test_most(test) * sizeof(int32));
	TrMean		mean = {0};

	for (int32 g = 0; g < test->groups; g++)
	{
		int32		n = ranking->known[g] ? take_group(v, test, ranking, g, from, rank) : 0;

		CHECK_FOR_INTERRUPTS();
		if (n == 0)
			continue;
		v->groups++;
		tr_mean_add(&mean, tr_metric(v->metric, v->k, rank, n), tr_metric_weight(v->metric, n));
	}
	v->value = tr_mean_value(&mean);
}

static void
allocate(TrPairs *pairs, const TagrecData *data)
{
	Size		size = (Size) data->validation.count * sizeof(int32);

	memset(pairs, 0, sizeof(*pairs));
	pairs->user = tagrec_alloc(data->memory, size);
	pairs->item = tagrec_alloc(data->memory, size);
	pairs->tag = data->validation.tag ? tagrec_alloc(data->memory, size) : NULL;
}

void
tagrec_rank_held_out(TagrecVersus *versus, const TagrecData *data)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec versions", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	TagrecVersion *version = tagrec_evaluated_version(versus->model, &versus->version);
	TagrecTest *test = make_test(data, version);
	TagrecRanking *ranking = tagrec_rank_test(version, test, true);

	if (test->pairs.count != data->validation.count)
		elog(ERROR, "held-out pairs of model \"%s\" have keys that its types hold equal", versus->model);
	allocate(&versus->pairs, data);
	versus->groups = 0;
	measure(versus, test, ranking, &data->validation);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
