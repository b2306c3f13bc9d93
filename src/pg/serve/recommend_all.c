/*
 * tagrec_recommend_all() and tagrec_recommend_all_as(): the best items of every user, in passes over blocks of users and
 * tiles of items.
 *
 * Legend: B users of a block, T items of a tile.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/scan.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/serve/groups.h"
#include "pg/serve/rank.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_all_2);
PG_FUNCTION_INFO_V1(tagrec_recommend_all_as);

/* A block's vectors and a tile's rows stay in the second level cache, at widths of some hundreds. */
#define BLOCK_USERS 64
#define TILE_ITEMS 252

/* Of fewer items, all scores of a block take no longer than the bounds of each of its users. */
#define LEAST_BOUNDED 32768

/* Lists of more than one in so many items have all scored. */
#define LIMIT_SHARE 16

typedef struct Pass
{
	TagrecCall *call;
	ReturnSetInfo *result;
	TagrecScorer *scorer;
	const TagrecMatrix *items;
	int			n;
	bool		exclude_seen;
	TagrecRules rules;
	TagrecChoice choice;
	bool		one_by_one;		/* the rules are about lists, which are then made one after the other */
	TagrecKeyWriter user_writer;
	TagrecKeyWriter item_writer;
	Datum	   *item;			/* (items) as it is returned; 0 = not made yet */
	bool	   *made;			/* (items) */

	/* the block */
	Datum		user[BLOCK_USERS];
	float	   *score;			/* (B,T) */
	uint64	   *out;			/* (B) sets of items left out */
	int32	   *skip[BLOCK_USERS];	/* lists of those, where they are all */
	int32		n_skip[BLOCK_USERS];
	bool		any_skip;		/* in this block, or one before */
	TrScored   *room;			/* (B,n) */

	const TrCodes *codes;		/* NULL = all items are scored; else: */
	TrCodeQuery *query;			/* (B) */
	TrScanRoom *scan_room;
} Pass;

/* Filters and boosts go with all scores. */
static bool
may_go_by_bounds(const Pass *pass)
{
	return tagrec_fast_scan && !pass->one_by_one && !pass->scorer->network && !pass->choice.out && pass->choice.n_boosts == 0 &&
		pass->items->rows >= LEAST_BOUNDED && pass->n <= pass->items->rows / LIMIT_SHARE;
}

static void
begin_pass(Pass *pass, FunctionCallInfo fcinfo, TagrecCall *call, Oid user_type, Oid item_type)
{
	pass->call = call;
	pass->result = (ReturnSetInfo *) fcinfo->resultinfo;
	pass->scorer = tagrec_scorer(call, BLOCK_USERS);
	pass->items = pass->scorer->items;
	pass->n = Min(pass->n, pass->items->rows);
	tagrec_choose(&pass->choice, call, &pass->rules, pass->items, false);
	pass->one_by_one = pass->rules.diversity > 0 || pass->rules.max_per_group > 0 || pass->rules.after > 0;
	if (pass->rules.max_per_group > 0)
		tagrec_find_groups(&pass->choice, NULL);
	tagrec_key_writer(&pass->user_writer, call->tables.users->key_type, user_type);
	tagrec_key_writer(&pass->item_writer, pass->items->key_type, item_type);
	pass->item = MemoryContextAllocHuge(call->context, ((Size) pass->items->rows + 1) * sizeof(Datum));
	pass->made = MemoryContextAllocExtended(call->context, ((Size) pass->items->rows + 1) * sizeof(bool),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	pass->score = palloc(BLOCK_USERS * TILE_ITEMS * sizeof(float));
	pass->out = MemoryContextAllocHuge(call->context,
									   BLOCK_USERS * (TR_BIT_WORDS(pass->items->rows) + 1) * sizeof(uint64));
	pass->room = MemoryContextAllocHuge(call->context, BLOCK_USERS * ((Size) pass->n + 1) * sizeof(TrScored));
	if (may_go_by_bounds(pass))
		pass->codes = tagrec_matrix_codes(pass->scorer->items);
	if (pass->codes)
	{
		pass->query = (TrCodeQuery *) TYPEALIGN(64, palloc(BLOCK_USERS * sizeof(TrCodeQuery) + 64));
		pass->scan_room = palloc(sizeof(TrScanRoom));
	}
}

static uint64 *
out_of(Pass *pass, int user)
{
	return pass->out + user * TR_BIT_WORDS(pass->items->rows);
}

/* An item's value is made once, in the call's context, however many users get it. */
static Datum
item_value(Pass *pass, int32 item)
{
	if (!pass->made[item])
	{
		MemoryContext old = MemoryContextSwitchTo(pass->call->context);

		pass->item[item] = tagrec_write_key(&pass->item_writer, tagrec_matrix_key(pass->items, item));
		pass->made[item] = true;
		MemoryContextSwitchTo(old);
	}
	return pass->item[item];
}

/* ------------------------------------------------------------------ reading a block */

/* A user joins the block; what is returned of it goes to the current context. */
static void
take_user(Pass *pass, const TagrecScan *scan)
{
	int			u = pass->scorer->users;
	TagrecRow	row;

	tagrec_get_user(&row, scan);
	tagrec_scorer_add(pass->scorer, row.embedding, &row.sparse);
	pass->user[u] = tagrec_copy_key(&pass->user_writer, tagrec_get_key(scan, User_user_id));
	pass->skip[u] = tagrec_row_out(&row, pass->exclude_seen, &pass->n_skip[u]);
	pass->any_skip |= pass->n_skip[u] > 0;
	if (pass->choice.out)
		memcpy(out_of(pass, u), pass->choice.out, TR_BIT_WORDS(pass->items->rows) * sizeof(uint64));
	else
		memset(out_of(pass, u), 0, TR_BIT_WORDS(pass->items->rows) * sizeof(uint64));
	for (int32 i = 0; i < pass->n_skip[u]; i++)
		tr_bit_set(out_of(pass, u), pass->skip[u][i]);
}

/* ------------------------------------------------------------------ scoring a block */

/* before: rows of the list that are left out ahead of these */
static void
return_user(Pass *pass, Datum user, const TrTopN *top, int32 before)
{
	for (int i = 0; i < top->count; i++)
	{
		Datum		values[4] = {
			user,
			Int32GetDatum(before + i + 1),
			item_value(pass, top->best[i].index),
			Float4GetDatum(top->best[i].score)
		};
		bool		nulls[4] = {false, false, false, false};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(pass->result->setResult, pass->result->setDesc, values, nulls);
	}
}

/* The scores of a tile's items that have a boost; *next = the first boost behind those of the tiles before. */
static void
boost_tile(Pass *pass, int *next, int32 first, int32 n)
{
	const TagrecChoice *c = &pass->choice;

	for (; *next < c->n_boosts && c->boost[*next].row < first + n; ++*next)
		for (int u = 0; u < pass->scorer->users; u++)
		{
			float	   *score = pass->score + u * TILE_ITEMS + c->boost[*next].row - first;

			*score = tagrec_boosted(&c->boost[*next], *score);
		}
}

static void
score_all_items(Pass *pass, TrTopN *top)
{
	const TagrecMatrix *items = pass->items;
	bool		any_out = pass->any_skip || pass->choice.out;
	int			boost = 0;

	for (int32 first = 0; first < items->rows; first += TILE_ITEMS)
	{
		int32		n = Min(TILE_ITEMS, items->rows - first);

		CHECK_FOR_INTERRUPTS();
		tagrec_score_tile(pass->scorer, pass->score, TILE_ITEMS, first, n);
		boost_tile(pass, &boost, first, n);
		for (int u = 0; u < pass->scorer->users; u++)
			tr_topn_scan(&top[u], pass->score + u * TILE_ITEMS, first, n, any_out ? out_of(pass, u) : NULL);
	}
}

static void
score_rows(void *scorer, float *score, int32 first, int32 n)
{
	CHECK_FOR_INTERRUPTS();
	tagrec_score_tile(scorer, score, n, first, n);
}

static void
finish_rows(void *scorer, float *score, int32 first, int32 n)
{
	CHECK_FOR_INTERRUPTS();
	tagrec_score_finish(scorer, score, first, n);
}

/* False when there is a user without bounds: then nothing is done. */
static bool
score_by_bounds(Pass *pass, TrTopN *top)
{
	TagrecScorer one[BLOCK_USERS];
	TrScan		scan[BLOCK_USERS];
	int			users = pass->scorer->users;

	for (int u = 0; u < users; u++)
	{
		one[u] = tagrec_scorer_of(pass->scorer, u);
		if (!tr_codes_query(&pass->query[u], pass->codes, one[u].vector))
			return false;
		scan[u] = (TrScan) {
			.rows = pass->items->rows, .score = score_rows, .finish = finish_rows, .arg = &one[u], .skip = pass->skip[u],
			.n_skip = pass->n_skip[u], .matrix = pass->items->value, .stride = pass->items->stride
		};
	}
	for (int32 first = 0; first < pass->items->rows; first += TR_SCAN_CHUNK)
		for (int u = 0; u < users; u++)
			tr_scan_part(&scan[u], &pass->query[u], &top[u], pass->scan_room, first);
	return true;
}

static void
rank_one_by_one(Pass *pass)
{
	for (int u = 0; u < pass->scorer->users; u++)
	{
		TagrecScorer one = tagrec_scorer_of(pass->scorer, u);
		TagrecRanking ranking = {
			.call = pass->call, .matrix = pass->scorer->items, .rules = &pass->rules, .choice = &pass->choice, .scorer = &one,
			.skip = pass->skip[u], .n_skip = pass->n_skip[u], .n = pass->n
		};
		int32		before;
		TrTopN		top = tagrec_ranked(&ranking, &before);

		return_user(pass, pass->user[u], &top, before);
	}
}

static void
score_block(Pass *pass)
{
	int			users = pass->scorer->users;
	TrTopN		top[BLOCK_USERS];

	for (int u = 0; u < users; u++)
		tr_topn_init(&top[u], pass->room + (Size) u * pass->n, pass->n);
	if (!pass->codes || !score_by_bounds(pass, top))
		score_all_items(pass, top);
	for (int u = 0; u < users; u++)
	{
		tr_topn_sort(&top[u]);
		return_user(pass, pass->user[u], &top[u], 0);
	}
}

static void
run_pass(Pass *pass)
{
	MemoryContext batch = AllocSetContextCreate(pass->call->context, "tagrec block", ALLOCSET_DEFAULT_SIZES);
	TagrecScan	scan = tagrec_scan_all(pass->call->tables.users);
	bool		more = true;
	int64		users = 0;

	while (more)
	{
		MemoryContextSwitchTo(batch);
		pass->scorer->users = 0;
		while (pass->scorer->users < pass->scorer->limit && (more = tagrec_scan_next(&scan)))
			take_user(pass, &scan);
		users += pass->scorer->users;
		if (pass->one_by_one)
			rank_one_by_one(pass);
		else
			score_block(pass);
		MemoryContextSwitchTo(pass->call->context);
		MemoryContextReset(batch);
	}
	tagrec_scan_end(&scan);
	if (users != pass->call->version->users)
		tagrec_version_corrupted(pass->call->version, psprintf("It has %lld users instead of %d.", (long long) users,
															   pass->call->version->users));
}

/* Arguments from `first` on: model, n, exclude_seen, the rules. */
static Datum
recommend_all(FunctionCallInfo fcinfo, int first, bool typed)
{
	char	   *model = tagrec_model_argument(fcinfo, first);
	Pass		pass = {
		.n = tagrec_limit_argument(fcinfo, first + 1),
		.exclude_seen = tagrec_flag_argument(fcinfo, first + 2, "exclude_seen")
	};
	TagrecCall *call;
	Oid			user_type = TEXTOID;
	Oid			item_type = TEXTOID;

	tagrec_rules_arguments(fcinfo, first + 3, &pass.rules);
	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, pass.rules.version, TAGREC_ASKS_ITEMS);
	if (typed)
	{
		user_type = tagrec_result_type(fcinfo, 0, call, true);
		item_type = tagrec_result_type(fcinfo, 1, call, false);
	}
	if (pass.n > 0)
	{
		begin_pass(&pass, fcinfo, call, user_type, item_type);
		run_pass(&pass);
	}
	tagrec_call_end(call);
	return (Datum) 0;
}

Datum
tagrec_recommend_all_2(PG_FUNCTION_ARGS)
{
	return recommend_all(fcinfo, 0, false);
}

Datum
tagrec_recommend_all_as(PG_FUNCTION_ARGS)
{
	return recommend_all(fcinfo, 2, true);
}
