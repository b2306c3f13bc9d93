/*
 * tagrec_recommend_all(): the best items of every user, in passes over blocks of users and tiles of items.
 *
 * Legend: B users of a block, T items of a tile.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "score.h"
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
	const TagrecMatrix *items;
	const TagrecNeighbours *neighbours; /* NULL = the scores have no sparse part */
	int			n;
	bool		exclude_seen;
	FmgrInfo	user_output;
	FmgrInfo	item_output;
	text	  **item_text;		/* (items) made when first needed */

	/* the block */
	int			block;			/* users of a full one */
	int			users;
	text	   *user_text[BLOCK_USERS];
	float	   *vector;			/* (B,width) padded */
	float	   *score;			/* (B,T) */
	float	   *sparse;			/* (B,items) the sparse part of the scores */
	uint64	   *seen;			/* (B) sets of items */
	TrScored   *room;			/* (B,n) */
} Pass;

static void
begin_pass(Pass *pass, FunctionCallInfo fcinfo, TagrecCall *call, int n, bool exclude_seen)
{
	pass->call = call;
	pass->result = (ReturnSetInfo *) fcinfo->resultinfo;
	pass->items = tagrec_call_items(call);
	pass->block = BLOCK_USERS;
	if (call->version->features)
	{
		pass->neighbours = tagrec_call_neighbours(call);
		pass->block = tagrec_neighbours_block(pass->neighbours, BLOCK_USERS);
		pass->sparse = MemoryContextAllocHuge(call->context, (Size) pass->block * (pass->items->rows + 1) * sizeof(float));
	}
	pass->n = Min(n, pass->items->rows);
	pass->exclude_seen = exclude_seen;
	tagrec_key_output(call->tables.users->key_type, &pass->user_output);
	tagrec_key_output(pass->items->key_type, &pass->item_output);
	pass->item_text = MemoryContextAllocExtended(call->context, ((Size) pass->items->rows + 1) * sizeof(text *),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	pass->vector = tagrec_padded_vectors(BLOCK_USERS, call->version->width);
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

		pass->item_text[item] = tagrec_key_text(&pass->item_output, pass->items->key[item]);
		MemoryContextSwitchTo(old);
	}
	return pass->item_text[item];
}

/* ------------------------------------------------------------------ reading a block */

static void
take_seen(Pass *pass, int user, const TagrecScan *scan)
{
	int32		n;
	int32	   *seen = tagrec_get_positions(scan, User_seen, pass->items->rows, true, &n);

	for (int32 i = 0; i < n; i++)
		tr_bit_set(seen_set(pass, user), seen[i]);
}

static void
take_sparse(Pass *pass, int user, const TagrecScan *scan)
{
	float	   *sum = pass->sparse + (Size) user * pass->items->rows;
	TrSparse	features = tagrec_get_sparse(scan, User_features, User_feature_values, pass->neighbours->features);

	memset(sum, 0, (Size) pass->items->rows * sizeof(float));
	tagrec_neighbours_scatter(pass->neighbours, &features, sum);
}

/* The row at hand joins the block; its text goes to the current context. */
static void
take_user(Pass *pass, const TagrecScan *scan)
{
	int			u = pass->users++;

	pass->user_text[u] = tagrec_key_text(&pass->user_output, tagrec_get_key(scan, User_user_id));
	tagrec_get_embedding(scan, User_embedding, pass->vector + u * pass->items->stride);
	memset(seen_set(pass, u), 0, TR_BIT_WORDS(pass->items->rows) * sizeof(uint64));
	if (pass->exclude_seen)
		take_seen(pass, u, scan);
	if (pass->neighbours)
		take_sparse(pass, u, scan);
}

/* ------------------------------------------------------------------ scoring a block */

static void
return_user(Pass *pass, text *user, TrTopN *top)
{
	tr_topn_sort(top);
	for (int i = 0; i < top->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		Datum		values[4] = {
			PointerGetDatum(user),
			Int32GetDatum(i + 1),
			PointerGetDatum(item_text(pass, top->best[i].index)),
			Float4GetDatum(top->best[i].score)
		};
		bool		nulls[4] = {false, false, false, false};

		tuplestore_putvalues(pass->result->setResult, pass->result->setDesc, values, nulls);
	}
}

static void
score_block(Pass *pass)
{
	const TagrecMatrix *items = pass->items;
	TrTopN		top[BLOCK_USERS];

	for (int u = 0; u < pass->users; u++)
		tr_topn_init(&top[u], pass->room + (Size) u * pass->n, pass->n);
	for (int32 first = 0; first < items->rows; first += TILE_ITEMS)
	{
		int			n = Min(TILE_ITEMS, items->rows - first);

		CHECK_FOR_INTERRUPTS();
		tr_dot_block(pass->score, TILE_ITEMS, pass->vector, pass->users, tagrec_matrix_row(items, first), n,
					 items->stride);
		for (int u = 0; u < pass->users && pass->neighbours; u++)
			tagrec_add(pass->score + u * TILE_ITEMS, pass->sparse + (Size) u * items->rows + first, n);
		for (int u = 0; u < pass->users; u++)
			tr_topn_scan(&top[u], pass->score + u * TILE_ITEMS, first, n,
						 pass->exclude_seen ? seen_set(pass, u) : NULL);
	}
	for (int u = 0; u < pass->users; u++)
		return_user(pass, pass->user_text[u], &top[u]);
}

static void
run_pass(Pass *pass)
{
	MemoryContext batch = AllocSetContextCreate(pass->call->context, "tagrec block", ALLOCSET_DEFAULT_SIZES);
	TagrecScan	scan = tagrec_scan_all(pass->call->tables.users);
	bool		more = true;

	while (more)
	{
		MemoryContextSwitchTo(batch);
		pass->users = 0;
		while (pass->users < pass->block && (more = tagrec_scan_next(&scan)))
			take_user(pass, &scan);
		score_block(pass);
		MemoryContextSwitchTo(pass->call->context);
		MemoryContextReset(batch);
	}
	tagrec_scan_end(&scan);
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
