/*
 * What all serving functions share. See call.h.
 */
#include "call.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Columns of the look-ups in cache.c. */
enum
{
	User_embedding = 1,
	User_seen,
	User_tags,
	User_counts,
	User_features,
	User_feature_values
};
enum
{
	Item_position = 1,
	Item_embedding,
	Item_tags,
	Item_counts,
	Item_posts
};

/* ------------------------------------------------------------------ the call */

static void
unpin(void *argument)
{
	TagrecCall *call = argument;

	if (call->served)
		tagrec_served_unpin(call->served);
}

void
tagrec_check_task(const TagrecVersion *version, TagrecAsks asks)
{
	bool		tags = strcmp(version->task, "tag") == 0;

	if (asks == TAGREC_ASKS_ANY || tags == (asks == TAGREC_ASKS_TAGS))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("model \"%s\" does not recommend %s", version->model, tags ? "items" : "tags"),
			 errdetail("Its algorithm, %s, is for the task \"%s\".", version->algorithm, version->task),
			 tags ? errhint("Ask it for the tags of a post with tagrec_recommend_tags().")
			 : errhint("Ask it for items with tagrec_recommend(), or train an algorithm of the task \"tag\" in"
					   " tagrec_algorithms.")));
}

/* Locks the relations against a training that takes old versions away. */
bool
tagrec_hold(const TagrecVersion *version)
{
	tagrec_check_use(version);
	return tagrec_lock_partition(version, TAGREC_USERS) && tagrec_lock_partition(version, TAGREC_ITEMS)
		&& (!version->features || tagrec_lock_partition(version, TAGREC_NEIGHBOURS));
}

/* The call goes on with the newest snapshot. */
static void
renew_snapshot(TagrecCall *call)
{
	if (call->renewed)
		PopActiveSnapshot();
	PushActiveSnapshot(GetLatestSnapshot());
	call->renewed = true;
}

/*
 * The version that the statement's snapshot shows may have been replaced and taken away since: then the one deployed by now
 * answers. A snapshot that is to last a transaction cannot be left, and parallel workers share one.
 */
static TagrecVersion *
hold_deployed(TagrecCall *call, const char *model)
{
	TagrecVersion *version = tagrec_version_deployed(model);

	while (!tagrec_hold(version) && !IsInParallelMode())
	{
		int32		gone = version->version;

		renew_snapshot(call);
		version = tagrec_version_deployed(model);
		if (version->version == gone)
			break;				/* dropped by hand: who reads it says so */
		if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("version %d of model \"%s\" has been taken away since this transaction began", gone, model),
					 errdetail("Version %d is deployed by now.", version->version),
					 errhint("Begin the transaction again; the option keep_versions says how many old versions stay.")));
	}
	return version;
}

/* version 0 = the deployed one */
static TagrecCall *
begin(const char *model, int32 version, TagrecAsks asks)
{
	MemoryContext outside = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outside, "tagrec call", ALLOCSET_DEFAULT_SIZES);
	TagrecCall *call = MemoryContextAllocZero(context, sizeof(TagrecCall));

	call->context = context;
	call->outside = outside;
	call->unpin.func = unpin;
	call->unpin.arg = call;
	MemoryContextRegisterResetCallback(context, &call->unpin);

	MemoryContextSwitchTo(context);
	if (version)
	{
		call->version = tagrec_version_find(model, version);
		(void) tagrec_hold(call->version);
	}
	else
		call->version = hold_deployed(call, model);
	tagrec_check_task(call->version, asks);
	call->caller = tagrec_become(call->version->owner);
	SPI_connect();
	MemoryContextSwitchTo(context);
	call->inside = true;
	call->served = tagrec_served(call->version);
	return call;
}

TagrecCall *
tagrec_call_begin(const char *model)
{
	return begin(model, 0, TAGREC_ASKS_ITEMS);
}

TagrecCall *
tagrec_call_begin_for(const char *model, TagrecAsks asks)
{
	return begin(model, 0, asks);
}

TagrecCall *
tagrec_call_begin_version(const char *model, int32 version)
{
	return begin(model, version, TAGREC_ASKS_ANY);
}

void
tagrec_call_leave(TagrecCall *call)
{
	SPI_finish();
	if (call->renewed)
		PopActiveSnapshot();
	tagrec_become_again(call->caller);
	MemoryContextSwitchTo(call->context);
	call->inside = false;
}

void
tagrec_call_end(TagrecCall *call)
{
	if (call->inside)
		tagrec_call_leave(call);
	MemoryContextSwitchTo(call->outside);
	MemoryContextDelete(call->context);
}

/* ------------------------------------------------------------------ rows */

/* Runs a look-up; the number of rows. */
static uint64
look_up(TagrecCall *call, TagrecPlan plan, Datum key)
{
	int			rc = SPI_execute_plan(tagrec_served_plan(call->served, plan), &key, NULL, true, 0);

	MemoryContextSwitchTo(call->context);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not look up a key: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

static Datum
column(int n, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, n, isnull);
}

static float *
embedding_column(TagrecCall *call, int n, const TagrecStored *source)
{
	bool		isnull;
	Datum		array = column(n, &isnull);
	float	   *embedding = tagrec_padded_vectors(1, call->version->width);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("relation %s has a null embedding", source->name)));
	tagrec_read_embedding(embedding, array, call->version->width, source->name);
	return embedding;
}

/* A copy of an array column of 4-byte elements; NULL counts as empty. */
static void *
array_column(int n, Oid type, int *count)
{
	bool		isnull;
	Datum		value = column(n, &isnull);
	ArrayType  *array;
	void	   *copy;

	*count = 0;
	if (isnull)
		return NULL;
	array = DatumGetArrayTypeP(value);
	if (ARR_ELEMTYPE(array) != type || ARR_HASNULL(array) || ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("column \"%s\" of a stored version is not the array that was stored in it",
						SPI_fname(SPI_tuptable->tupdesc, n))));
	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	copy = palloc(Max(*count, 1) * sizeof(int32));
	memcpy(copy, ARR_DATA_PTR(array), *count * sizeof(int32));
	return copy;
}

static void
check_positions(const int32 *position, int n, int32 limit, const char *what)
{
	for (int i = 0; i < n; i++)
		if (position[i] < 0 || position[i] >= limit)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("a stored version refers to %s %d of %d", what, position[i], limit)));
}

static void
profile_columns(TagrecCall *call, TagrecRow *row, int tags, int counts)
{
	int			n_counts;

	row->tag = array_column(tags, INT4OID, &row->n_tags);
	row->count = array_column(counts, FLOAT4OID, &n_counts);
	row->n_tags = Min(row->n_tags, n_counts);
	check_positions(row->tag, row->n_tags, call->version->tags, "tag");
}

static void
feature_columns(TagrecCall *call, TrSparse *sparse)
{
	int			n_values;

	sparse->index = array_column(User_features, INT4OID, &sparse->n);
	sparse->value = array_column(User_feature_values, FLOAT4OID, &n_values);
	sparse->n = Min(sparse->n, n_values);
	tagrec_check_features(sparse, tagrec_feature_count(call->version), call->served->users.name);
}

bool
tagrec_find_user(TagrecCall *call, const TagrecId *id, TagrecRow *row)
{
	const TagrecStored *source = &call->served->users;

	memset(row, 0, sizeof(*row));
	if (look_up(call, TAGREC_PLAN_USER, tagrec_id_as(id, source->key_type)) == 0)
		return false;
	row->embedding = embedding_column(call, User_embedding, source);
	row->seen = array_column(User_seen, INT4OID, &row->n_seen);
	check_positions(row->seen, row->n_seen, call->version->items, "item");
	profile_columns(call, row, User_tags, User_counts);
	feature_columns(call, &row->sparse);
	return true;
}

bool
tagrec_find_item(TagrecCall *call, const TagrecId *id, TagrecRow *row)
{
	const TagrecStored *source = &call->served->items;
	bool		isnull;

	memset(row, 0, sizeof(*row));
	if (look_up(call, TAGREC_PLAN_ITEM, tagrec_id_as(id, source->key_type)) == 0)
		return false;
	row->position = DatumGetInt32(column(Item_position, &isnull));
	check_positions(&row->position, 1, call->version->items, "item");
	row->embedding = embedding_column(call, Item_embedding, source);
	profile_columns(call, row, Item_tags, Item_counts);
	row->posts = DatumGetInt32(column(Item_posts, &isnull));
	if (isnull)
		row->posts = 0;
	return true;
}

float *
tagrec_sparse_scores(TagrecCall *call, const TrSparse *user)
{
	float	   *sum;

	if (!call->version->features)
		return NULL;
	sum = palloc_extended(Max(call->version->items, 1) * sizeof(float), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	tagrec_neighbours_scatter(tagrec_served_neighbours(call->served, call->version), user, sum);
	return sum;
}

static int
compare_positions(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return (x > y) - (x < y);
}

int32 *
tagrec_find_positions(TagrecCall *call, ArrayType *candidates, int *n)
{
	ArrayType  *keys = tagrec_ids_as(candidates, call->served->items.key_type);
	uint64		found = look_up(call, TAGREC_PLAN_POSITIONS, PointerGetDatum(keys));
	int32	   *position = palloc(Max(found, 1) * sizeof(int32));
	bool		isnull;

	*n = (int) found;
	for (uint64 i = 0; i < found; i++)
		position[i] = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	check_positions(position, *n, call->version->items, "item");
	/* the matrix is then read from front to back; each item comes once, however often it was named */
	qsort(position, found, sizeof(int32), compare_positions);
	return position;
}

/* ------------------------------------------------------------------ arguments */

static void
check_not_null(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

char *
tagrec_model_argument(FunctionCallInfo fcinfo, int n)
{
	check_not_null(fcinfo, n, "model");
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

int
tagrec_limit_argument(FunctionCallInfo fcinfo, int n)
{
	int			limit;

	check_not_null(fcinfo, n, "n");
	limit = PG_GETARG_INT32(n);
	if (limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("n must not be negative: %d", limit)));
	return limit;
}

bool
tagrec_flag_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	check_not_null(fcinfo, n, name);
	return PG_GETARG_BOOL(n);
}

char **
tagrec_texts_argument(FunctionCallInfo fcinfo, int n, const char *name, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **texts;

	*count = 0;
	if (PG_ARGISNULL(n))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, count);
	texts = palloc(Max(*count, 1) * sizeof(char *));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain null", name)));
		texts[i] = TextDatumGetCString(values[i]);
	}
	return texts;
}
