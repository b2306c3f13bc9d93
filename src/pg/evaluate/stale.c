/*
 * tagrec_stale(): how much of a model's source its deployed version does not know. See test.h for the pairs of a relation;
 * here the relation is the source. Whoever has the owner's privileges reads it as the owner, who has named it and whose
 * code may be in it, as in a refresh; anybody else as himself.
 */
#include "pg/evaluate/test.h"

#include "core/ascending.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/base/identity.h"
#include "pg/registry/version.h"
#include "pg/serve/matrix.h"
#include "pg/source/source.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_stale);

typedef struct Stale
{
	TagrecCall *call;
	TagrecTest *test;			/* the source */
	int32	   *position;		/* (items of the source) -1 = unknown */
	int64		known_pairs,
				trained_pairs;	/* of the version's users that are in the source */
	int32		known_users,
				known_items;
} Stale;

static void
read_source(Stale *s, const TagrecVersion *version, int64 *rows)
{
	TagrecTest *test = tagrec_test_make(version);
	bool		for_owner = version->owner != GetUserId() && tagrec_owns_relation(version->item_relation, GetUserId());
	TagrecActing before = for_owner ? tagrec_act_as(version->owner) : tagrec_act_aside();

	/* pairs, whatever the task: a user's items are what a version has of him */
	test->task = TR_TASK_ITEM;
	test->source.relation = tagrec_source_find(version->source);
	test->source.columns = (TagrecColumns) {.user = version->columns.user, .item = version->columns.item};
	test->source.nobody = !version->columns.tag ? TAGREC_NOBODY_ERROR
		: tagrec_knows_items_by_tags(tagrec_algorithm(version->algorithm)) ? TAGREC_NOBODY_ITEM : TAGREC_NOBODY_LEFT_OUT;
	tagrec_held_out_check(&test->source);
	*rows = tagrec_held_out_read(&test->source, &test->users, &test->items, NULL, &test->pairs);
	tagrec_act_again(before);
	s->test = test;
}

static void
find_items(Stale *s)
{
	const TagrecKeys *keys = &s->test->items;
	const TagrecMatrix *items = tagrec_call_items(s->call);
	TagrecKeyInput input;

	s->position = MemoryContextAllocHuge(s->call->context, ((Size) keys->count + 1) * sizeof(int32));
	tagrec_key_input(&input, items->key_type);
	for (int32 item = 0; item < keys->count; item++)
	{
		CHECK_FOR_INTERRUPTS();
		s->position[item] = tagrec_matrix_find(items, tagrec_key_read(&input, keys->text[item]));
		s->known_items += s->position[item] >= 0;
	}
}

static void
count_user(Stale *s, int32 user, const TagrecRow *row)
{
	s->known_users++;
	s->trained_pairs += row->n_out;
	for (int64 p = s->test->group_ptr[user]; p < s->test->group_ptr[user + 1]; p++)
	{
		int32		position = s->position[s->test->pairs.item[p]];

		s->known_pairs += position >= 0 && tr_find_ascending(row->out, row->n_out, position) >= 0;
	}
}

static void
count_users(Stale *s)
{
	MemoryContext one = AllocSetContextCreate(s->call->context, "tagrec user", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(one);
	TagrecKeyInput input;

	tagrec_key_input(&input, s->call->tables.users->key_type);
	for (int32 user = 0; user < s->test->users.count; user++)
	{
		TagrecRow	row;

		CHECK_FOR_INTERRUPTS();
		if (tagrec_find_user_key(s->call, tagrec_key_read(&input, s->test->users.text[user]), &row))
			count_user(s, user, &row);
		MemoryContextReset(one);
	}
	MemoryContextSwitchTo(before);
}

Datum
tagrec_stale(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	TagrecVersion *version = tagrec_evaluated_version(model, NULL);
	Stale		s = {NULL};
	Datum		values[7];
	bool		nulls[7] = {false};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		rows;

	InitMaterializedSRF(fcinfo, 0);
	read_source(&s, version, &rows);
	s.call = tagrec_call_begin_version(model, version->version);
	tagrec_test_settle(s.test, &s.call->tables);
	find_items(&s);
	count_users(&s);
	tagrec_call_end(s.call);
	values[0] = Int32GetDatum(version->version);
	values[1] = Int64GetDatum(rows);
	values[2] = Int64GetDatum(s.test->pairs.count);
	values[3] = Int64GetDatum(s.test->pairs.count - s.known_pairs);
	values[4] = Int64GetDatum(s.test->users.count - s.known_users);
	values[5] = Int64GetDatum(s.test->items.count - s.known_items);
	values[6] = Int64GetDatum(s.trained_pairs - s.known_pairs);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
