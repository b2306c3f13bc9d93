/*
 * The values that a version predicts for the pairs of a test. See test.h.
 */
#include "pg/evaluate/test.h"

#include "miscadmin.h"
#include "pg/serve/ids.h"
#include "pg/serve/predict.h"
#include "utils/memutils.h"

typedef struct Pass
{
	TagrecCall *call;
	const TagrecTest *test;
	TagrecRanking *ranking;
	TagrecPredictor *predictor;
	TagrecRow  *item;			/* (items of the test) */
	bool	   *known;			/* (items of the test) */
} Pass;

static void
find_items(Pass *pass)
{
	const TagrecKeys *keys = &pass->test->items;
	TagrecKeyInput input;

	pass->item = MemoryContextAllocHuge(pass->call->context, ((Size) keys->count + 1) * sizeof(TagrecRow));
	pass->known = MemoryContextAllocHuge(pass->call->context, (Size) keys->count + 1);
	tagrec_key_input(&input, pass->call->tables.items->key_type);
	for (int32 i = 0; i < keys->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		pass->known[i] = tagrec_find_item_key(pass->call, tagrec_key_read(&input, keys->text[i]), &pass->item[i]);
	}
}

static void
predict_user(Pass *pass, int32 user, const TagrecRow *row)
{
	for (int64 p = pass->test->group_ptr[user]; p < pass->test->group_ptr[user + 1]; p++)
	{
		int32		item = pass->test->pairs.item[p];

		pass->ranking->predicted[p] = tagrec_predict_rows(pass->predictor, row, pass->known[item] ? &pass->item[item] : NULL);
	}
}

static void
predict_users(Pass *pass)
{
	const TagrecKeys *keys = &pass->test->users;
	MemoryContext of_user = AllocSetContextCreate(pass->call->context, "tagrec user", ALLOCSET_DEFAULT_SIZES);
	TagrecKeyInput input;

	tagrec_key_input(&input, pass->call->tables.users->key_type);
	for (int32 user = 0; user < keys->count; user++)
	{
		TagrecRow	row;
		bool		known;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(of_user);
		known = tagrec_find_user_key(pass->call, tagrec_key_read(&input, keys->text[user]), &row);
		MemoryContextSwitchTo(pass->call->context);
		predict_user(pass, user, known ? &row : NULL);
		MemoryContextReset(of_user);
	}
}

void
tagrec_predict_test(const TagrecVersion *version, const TagrecTest *test, TagrecRanking *ranking)
{
	Pass		pass = {.test = test, .ranking = ranking};

	ranking->predicted = MemoryContextAllocHuge(CurrentMemoryContext, ((Size) test->pairs.count + 1) * sizeof(float));
	pass.call = tagrec_call_begin_version(version->model, version->version);
	pass.predictor = tagrec_predictor(pass.call);
	find_items(&pass);
	predict_users(&pass);
	tagrec_call_end(pass.call);
}
