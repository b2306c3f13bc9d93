/*
 * tagrec_recommend_all(): the best items of every user, in passes over blocks of users and tiles of items.
 *
 * Legend: B users of a block, T items of a tile.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/search.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_all);

/* A block's vectors and a tile's rows stay in the second level cache, at widths of some hundreds. */
#define BLOCK_USERS 64
#define TILE_ITEMS 252

typedef struct Pass
{
	TagrecCall *call;
	ReturnSetInfo *result;
	TagrecScorer *scorer;
	const TagrecMatrix *items;
	int			n;
	bool		exclude_seen;
	FmgrInfo	user_output;
	FmgrInfo	item_output;
	text	  **item_text;		/* (items) made when first needed */

	/* the block */
	text	   *user_text[BLOCK_USERS];
	float	   *score;			/* (B,T) */
	uint64	   *seen;			/* (B) sets of items */
	TrScored   *room;			/* (B,n) */
} Pass;

static void
begin_pass(Pass *pass, FunctionCallInfo fcinfo, TagrecCall *call, int n, bool exclude_seen)
{
	pass->call = call;
	pass->result = (ReturnSetInfo *) fcinfo->resultinfo;
	pass->scorer = tagrec_scorer(call, BLOCK_USERS);
	pass->items = pass->scorer->items;
	pass->n = Min(n, pass->items->rows);
	pass->exclude_seen = exclude_seen;
	tagrec_key_output(call->tables.users->key_type, &pass->user_output);
	tagrec_key_output(pass->items->key_type, &pass->item_output);
	pass->item_text = MemoryContextAllocExtended(call->context, ((Size) pass->items->rows + 1) * sizeof(text *),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	pass->score = palloc(BLOCK_USERS * TILE_ITEMS * sizeof(float));
	pass->seen = MemoryContextAllocHuge(call->context,
										BLOCK_USERS * (TR_BIT_WORDS(pass->items->rows) + 1) * sizeof(uint64));
	pass->room = MemoryContextAllocHuge(call->context, BLOCK_USERS * ((Size) pass->n + 1) * sizeof(TrScored));
}

static uint64 *
seen_set(Pass *pass, int user)
{
	return pass->seen + user * TR_BIT_WORDS(pass->items->rows);
}

/* An item's text is made once, in the call's context, however many users get it. */
static text *
item_text(Pass *pass, int32 item)
{
	if (!pass->item_text[item])
	{
		MemoryContext old = MemoryContextSwitchTo(pass->call->context);

		pass->item_text[item] = tagrec_key_text(&pass->item_output, tagrec_matrix_key(pass->items, item));
		MemoryContextSwitchTo(old);
	}
	return pass->item_text[item];
}

/* ------------------------------------------------------------------ reading a block */

/* A user joins the block; the text goes to the current context. */
static void
take_user(Pass *pass, const TagrecScan *scan)
{
	int			u = pass->scorer->users;
	TagrecRow	row;

	tagrec_get_user(&row, scan);
	tagrec_scorer_add(pass->scorer, row.embedding, &row.sparse);
	pass->user_text[u] = tagrec_key_text(&pass->user_output, tagrec_get_key(scan, User_user_id));
	memset(seen_set(pass, u), 0, TR_BIT_WORDS(pass->items->rows) * sizeof(uint64));
	for (int32 i = 0; pass->exclude_seen && i < row.n_seen; i++)
		tr_bit_set(seen_set(pass, u), row.seen[i]);
}

/* ------------------------------------------------------------------ scoring a block */

static void
return_user(Pass *pass, text *user, TrTopN *top)
{
	tr_topn_sort(top);
	for (int i = 0; i < top->count; i++)
	{
		Datum		values[4] = {
			PointerGetDatum(user),
			Int32GetDatum(i + 1),
			PointerGetDatum(item_text(pass, top->best[i].index)),
			Float4GetDatum(top->best[i].score)
		};
		bool		nulls[4] = {false, false, false, false};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(pass->result->setResult, pass->result->setDesc, values, nulls);
	}
}

static void
score_block(Pass *pass)
{
	const TagrecMatrix *items = pass->items;
	int			users = pass->scorer->users;
	TrTopN		top[BLOCK_USERS];

	for (int u = 0; u < users; u++)
		tr_topn_init(&top[u], pass->room + (Size) u * pass->n, pass->n);
	for (int32 first = 0; first < items->rows; first += TILE_ITEMS)
	{
		int32		n = Min(TILE_ITEMS, items->rows - first);

		CHECK_FOR_INTERRUPTS();
		tagrec_score_tile(pass->scorer, pass->score, TILE_ITEMS, first, n);
		for (int u = 0; u < users; u++)
			tr_topn_scan(&top[u], pass->score + u * TILE_ITEMS, first, n,
						 pass->exclude_seen ? seen_set(pass, u) : NULL);
	}
	for (int u = 0; u < users; u++)
		return_user(pass, pass->user_text[u], &top[u]);
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
		score_block(pass);
		MemoryContextSwitchTo(pass->call->context);
		MemoryContextReset(batch);
	}
	tagrec_scan_end(&scan);
	if (users != pass->call->version->users)
		tagrec_version_corrupted(pass->call->version, psprintf("It has %lld users instead of %d.", (long long) users,
															   pass->call->version->users));
}

Datum
tagrec_recommend_all(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	int			n = tagrec_limit_argument(fcinfo, 1);
	bool		exclude_seen = tagrec_flag_argument(fcinfo, 2, "exclude_seen");
	TagrecCall *call;
	Pass		pass = {0};

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin(model);
	if (n > 0)
	{
		begin_pass(&pass, fcinfo, call, n, exclude_seen);
		run_pass(&pass);
	}
	tagrec_call_end(call);
	return (Datum) 0;
}
