/*
 * tagrec_recommend_users(): to whom to show an item. One pass over the stored users, or over the candidates' rows, as the
 * features of users and what they have are only there.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/ascending.h"
#include "core/topn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/scorer.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_users);

/* Users between two looks at the memory. */
#define BATCH_USERS 256

/* A ranking under way; the best so far have their keys in slots. */
typedef struct Ranking
{
	TagrecCall *call;
	TagrecEncoder *network;
	const TagrecNeighbours *neighbours; /* NULL = scores have no sparse part */
	const TagrecRow *item;
	bool		exclude_seen;
	int			n;				/* wanted */
	TrScored   *best;			/* (n) heap: the worst first; index = slot */
	int			count;
	Datum	   *key;			/* (n) */
	int16		key_length;
	bool		key_by_value;
	FmgrInfo	compare;
} Ranking;

static float
score_of(const Ranking *r, const TagrecRow *user)
{
	float		score = tagrec_score_arrays(r->network, user->embedding, r->item->embedding, r->call->version->width);

	return r->neighbours ? score + tagrec_neighbours_pair(r->neighbours, &user->sparse, r->item->position) : score;
}

/* Of equal scores, the smaller key. */
static bool
better(Ranking *r, float score, Datum key, const TrScored *than)
{
	if (score != than->score)
		return score > than->score;
	return DatumGetInt32(FunctionCall2Coll(&r->compare, r->call->tables.users->collation, key, r->key[than->index])) < 0;
}

/* The worst of the best is at the front again, after entry `place` got better or was added. */
static void
sift_down(Ranking *r, int place)
{
	TrScored	moved = r->best[place];

	for (int child = 2 * place + 1; child < r->count; place = child, child = 2 * place + 1)
	{
		if (child + 1 < r->count && better(r, r->best[child].score, r->key[r->best[child].index], &r->best[child + 1]))
			child++;
		if (!better(r, moved.score, r->key[moved.index], &r->best[child]))
			break;
		r->best[place] = r->best[child];
	}
	r->best[place] = moved;
}

static void
sift_up(Ranking *r, int place)
{
	TrScored	moved = r->best[place];

	for (int parent = (place - 1) / 2; place > 0; place = parent, parent = (place - 1) / 2)
	{
		if (better(r, moved.score, r->key[moved.index], &r->best[parent]))
			break;
		r->best[place] = r->best[parent];
	}
	r->best[place] = moved;
}

/* A copy of the key stays with the call. */
static Datum
keep_key(const Ranking *r, Datum key)
{
	MemoryContext old = MemoryContextSwitchTo(r->call->context);
	Datum		copy = datumCopy(key, r->key_by_value, r->key_length);

	MemoryContextSwitchTo(old);
	return copy;
}

static void
offer(Ranking *r, const TagrecScan *scan)
{
	TagrecRow	user;
	Datum		key;
	float		score;
	int			slot;

	tagrec_get_user(&user, scan);
	if (r->exclude_seen && tr_find_ascending(user.seen, user.n_seen, r->item->position) >= 0)
		return;
	key = tagrec_get_key(scan, User_user_id);
	score = score_of(r, &user);
	if (r->count == r->n && !better(r, score, key, &r->best[0]))
		return;
	slot = r->count < r->n ? r->count : r->best[0].index;
	if (r->count == r->n && !r->key_by_value)
		pfree(DatumGetPointer(r->key[slot]));
	r->key[slot] = keep_key(r, key);
	if (r->count < r->n)
	{
		r->best[r->count++] = (TrScored) {score, slot};
		sift_up(r, r->count - 1);
	}
	else
	{
		r->best[0].score = score;
		sift_down(r, 0);
	}
}

static void
scan_all(Ranking *r)
{
	MemoryContext batch = AllocSetContextCreate(r->call->context, "tagrec users", ALLOCSET_DEFAULT_SIZES);
	TagrecScan	scan = tagrec_scan_all(r->call->tables.users);
	MemoryContext old = MemoryContextSwitchTo(batch);

	for (int64 users = 0; tagrec_scan_next(&scan); users++)
	{
		CHECK_FOR_INTERRUPTS();
		offer(r, &scan);
		if (users % BATCH_USERS == BATCH_USERS - 1)
			MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(old);
	tagrec_scan_end(&scan);
	MemoryContextDelete(batch);
}

static int
compare_keys(const void *a, const void *b, void *argument)
{
	Ranking    *r = argument;

	return DatumGetInt32(FunctionCall2Coll(&r->compare, r->call->tables.users->collation, *(const Datum *) a,
										   *(const Datum *) b));
}

/* The users with these ids, each once. */
static void
scan_some(Ranking *r, ArrayType *candidates)
{
	TagrecTable *users = r->call->tables.users;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(candidates, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("candidates must not contain null")));
		values[i] = tagrec_text_as(TextDatumGetCString(values[i]), users->key_type);
	}
	qsort_arg(values, n, sizeof(Datum), compare_keys, r);
	for (int i = 0; i < n; i++)
	{
		TagrecScan	scan;

		if (i > 0 && compare_keys(&values[i - 1], &values[i], r) == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		scan = tagrec_scan_key(users, values[i]);
		if (tagrec_scan_next(&scan))
			offer(r, &scan);
		tagrec_scan_end(&scan);
	}
}

static int
compare_best(const void *a, const void *b, void *argument)
{
	const TrScored *x = a;
	Ranking    *r = argument;

	return better(r, x->score, r->key[x->index], b) ? -1 : 1;
}

static void
return_users(Ranking *r, ReturnSetInfo *result)
{
	FmgrInfo	output;

	tagrec_key_output(r->call->tables.users->key_type, &output);
	qsort_arg(r->best, r->count, sizeof(TrScored), compare_best, r);
	for (int i = 0; i < r->count; i++)
	{
		Datum		values[3] = {
			Int32GetDatum(i + 1),
			PointerGetDatum(tagrec_key_text(&output, r->key[r->best[i].index])),
			Float4GetDatum(r->best[i].score)
		};
		bool		nulls[3] = {false, false, false};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

static void
begin_ranking(Ranking *r, TagrecCall *call, const TagrecRow *item, int n)
{
	TypeCacheEntry *type = lookup_type_cache(call->tables.users->key_type, TYPECACHE_CMP_PROC_FINFO);

	r->call = call;
	r->item = item;
	r->n = Min(n, call->version->users);
	r->network = tagrec_call_network(call);
	r->neighbours = call->version->features ? tagrec_call_neighbours(call) : NULL;
	r->best = MemoryContextAllocHuge(call->context, Max(r->n, 1) * sizeof(TrScored));
	r->key = MemoryContextAllocHuge(call->context, Max(r->n, 1) * sizeof(Datum));
	get_typlenbyval(call->tables.users->key_type, &r->key_length, &r->key_by_value);
	fmgr_info_copy(&r->compare, &type->cmp_proc_finfo, call->context);
}

/* Arguments: model, item_id, n, exclude_seen, candidates. */
Datum
tagrec_recommend_users(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	int			n = tagrec_limit_argument(fcinfo, 2);
	Ranking		ranking = {.exclude_seen = tagrec_flag_argument(fcinfo, 3, "exclude_seen")};
	TagrecCall *call;
	TagrecId	id;
	TagrecRow	item;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin(model);
	if (n > 0 && tagrec_id_argument(fcinfo, 1, &id) && tagrec_find_item(call, &id, &item))
	{
		begin_ranking(&ranking, call, &item, n);
		if (PG_ARGISNULL(4))
			scan_all(&ranking);
		else
			scan_some(&ranking, PG_GETARG_ARRAYTYPE_P(4));
		return_users(&ranking, (ReturnSetInfo *) fcinfo->resultinfo);
	}
	tagrec_call_end(call);
	return (Datum) 0;
}
