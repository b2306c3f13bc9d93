/*
 * What all serving functions share. See call.h.
 */
#include "pg/serve/call.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pg/base/options.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* ------------------------------------------------------------------ the call */

static void
unpin(void *argument)
{
	TagrecCall *call = argument;

	if (call->served)
		tagrec_served_unpin(call->served);
}

static void
check_predicts(const TagrecVersion *version)
{
	const TrTask *task = tagrec_version_task(version);

	if (task->values)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("model \"%s\" does not predict values", version->model),
			 errdetail("Its algorithm, %s, is for the task \"%s\".", version->algorithm, version->task),
			 task->tags ? errhint("Use tagrec_recommend_tags() to get tags for a post.")
			 : errhint("Use tagrec_score() to get the score of an item, or train an algorithm for the task \"rating\"; see"
					   " tagrec_algorithms.")));
}

static void
check_task(const TagrecVersion *version, TagrecAsks asks)
{
	bool		tags = tagrec_version_task(version)->tags;

	if (asks == TAGREC_ASKS_VALUES)
		check_predicts(version);
	if (asks == TAGREC_ASKS_VALUES || asks == TAGREC_ASKS_ANY || tags == (asks == TAGREC_ASKS_TAGS))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("model \"%s\" does not recommend %s", version->model, tags ? "items" : "tags"),
			 errdetail("Its algorithm, %s, is for the task \"%s\".", version->algorithm, version->task),
			 tags ? errhint("Use tagrec_recommend_tags() to get tags for a post.")
			 : errhint("Use tagrec_recommend() to get items, or train an algorithm for the task \"tag\"; see"
					   " tagrec_algorithms.")));
}

/* Locks the relations against being dropped: all of them, in the order of a drop, also those that may not be read. */
bool
tagrec_hold(const TagrecVersion *version)
{
	bool		held = true;

	tagrec_check_use(version);
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS && held; which++)
		held = tagrec_lock_partition(version, which);
	return held;
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
 * The version that the statement's snapshot shows may have been replaced and dropped since: then the one deployed now is
 * used. That is impossible with a transaction snapshot and in parallel workers, which share one.
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
			break;				/* dropped by hand: reading it raises the error */
		if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("version %d of model \"%s\" was dropped after this transaction started", gone, model),
					 errdetail("Version %d is now deployed.", version->version),
					 errhint("Retry in a new transaction; the option keep_versions sets how many old versions are kept.")));
	}
	return version;
}

static void
open_tables(TagrecCall *call)
{
	call->tables.users = tagrec_table_open(call->version, TAGREC_USERS);
	call->tables.items = tagrec_table_open(call->version, TAGREC_ITEMS);
	if (call->version->features)
		call->tables.neighbours = tagrec_table_open(call->version, TAGREC_NEIGHBOURS);
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
	check_task(call->version, asks);
	open_tables(call);
	call->served = tagrec_served(&call->tables);
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
tagrec_call_begin_at(const char *model, int32 version, TagrecAsks asks)
{
	return begin(model, version, asks);
}

TagrecCall *
tagrec_call_begin_version(const char *model, int32 version)
{
	return begin(model, version, TAGREC_ASKS_ANY);
}

void
tagrec_call_end(TagrecCall *call)
{
	tagrec_table_close(call->tables.users);
	tagrec_table_close(call->tables.items);
	tagrec_table_close(call->tables.neighbours);
	if (call->renewed)
		PopActiveSnapshot();
	MemoryContextSwitchTo(call->outside);
	MemoryContextDelete(call->context);
}

/* ------------------------------------------------------------------ parts */

TagrecMatrix *
tagrec_call_items(TagrecCall *call)
{
	return tagrec_served_items(call->served, &call->tables);
}

TagrecMatrix *
tagrec_call_users(TagrecCall *call)
{
	return tagrec_served_users(call->served, &call->tables);
}

TagrecNeighbours *
tagrec_call_neighbours(TagrecCall *call)
{
	return tagrec_served_neighbours(call->served, &call->tables);
}

const TrScored *
tagrec_call_popularity(TagrecCall *call)
{
	return tagrec_served_popularity(call->served, &call->tables);
}

const float *
tagrec_call_caution(TagrecCall *call)
{
	return tagrec_served_caution(call->served, &call->tables);
}

TagrecEncoder *
tagrec_call_encoder(TagrecCall *call)
{
	tagrec_check_encodes(call->version);
	return tagrec_served_encoder(call->served, &call->tables);
}

TagrecEncoder *
tagrec_call_folder(TagrecCall *call)
{
	return tagrec_served_encoder(call->served, &call->tables);
}

TagrecEncoder *
tagrec_call_network(TagrecCall *call)
{
	if (!tagrec_algorithm(call->version->algorithm)->score_items)
		return NULL;
	return tagrec_served_encoder(call->served, &call->tables);
}

/* ------------------------------------------------------------------ rows */

static float *
get_embedding(const TagrecScan *scan, int column)
{
	float	   *embedding = tagrec_padded_vectors(1, scan->table->version->width);

	tagrec_get_embedding(scan, column, embedding);
	return embedding;
}

static void
get_profile(TagrecRow *row, const TagrecScan *scan, int tags, int counts)
{
	TrSparse	profile = tagrec_get_profile(scan, tags, counts);

	row->tag = profile.index;
	row->count = profile.value;
	row->n_tags = profile.n;
}

void
tagrec_row_join(TagrecRow *user)
{
	int32		s = 0;
	int32		d = 0;

	user->out = user->seen;
	user->n_out = user->n_seen;
	if (user->n_disliked == 0)
		return;
	user->n_out += user->n_disliked;
	user->out = palloc_extended((Size) user->n_out * sizeof(int32), MCXT_ALLOC_HUGE);
	for (int32 i = 0; i < user->n_out; i++)
		if (d == user->n_disliked || (s < user->n_seen && user->seen[s] < user->disliked[d]))
			user->out[i] = user->seen[s++];
		else
			user->out[i] = user->disliked[d++];
}

/* The complements of what is disliked come first, from the last item to the first. */
static void
get_seen(TagrecRow *row, const TagrecScan *scan)
{
	int32	   *number = tagrec_get_seen(scan, scan->table->version->items, &row->n_disliked, &row->n_seen);

	row->seen = number + row->n_disliked;
	if (row->n_disliked > 0)
	{
		row->disliked = palloc_extended((Size) row->n_disliked * sizeof(int32), MCXT_ALLOC_HUGE);
		for (int32 i = 0; i < row->n_disliked; i++)
			row->disliked[i] = ~number[row->n_disliked - 1 - i];
	}
	tagrec_row_join(row);
}

void
tagrec_get_user(TagrecRow *row, const TagrecScan *scan)
{
	const TagrecVersion *version = scan->table->version;

	memset(row, 0, sizeof(*row));
	row->embedding = get_embedding(scan, User_embedding);
	get_seen(row, scan);
	get_profile(row, scan, User_tags, User_counts);
	row->sparse = tagrec_get_sparse(scan, User_features, User_feature_values, tagrec_feature_count(version));
}

static void
get_item(TagrecRow *row, const TagrecScan *scan)
{
	memset(row, 0, sizeof(*row));
	row->position = tagrec_get_int(scan, Item_position, scan->table->version->items);
	row->embedding = get_embedding(scan, Item_embedding);
	get_profile(row, scan, Item_tags, Item_counts);
	row->posts = tagrec_get_int(scan, Item_posts, PG_INT32_MAX);
}

/* False when the table has no such row. */
static bool
find_row(TagrecTable *table, Datum key, TagrecRow *row, void (*take) (TagrecRow *row, const TagrecScan *scan))
{
	TagrecScan	scan = tagrec_scan_key(table, key);
	bool		found = tagrec_scan_next(&scan);

	if (found)
		take(row, &scan);
	tagrec_scan_end(&scan);
	return found;
}

bool
tagrec_find_user_key(TagrecCall *call, Datum key, TagrecRow *row)
{
	return find_row(call->tables.users, key, row, tagrec_get_user);
}

bool
tagrec_find_user(TagrecCall *call, const TagrecId *id, TagrecRow *row)
{
	return tagrec_find_user_key(call, tagrec_id_as(id, call->tables.users->key_type), row);
}

bool
tagrec_find_item_key(TagrecCall *call, Datum key, TagrecRow *row)
{
	return find_row(call->tables.items, key, row, get_item);
}

bool
tagrec_find_item(TagrecCall *call, const TagrecId *id, TagrecRow *row)
{
	return tagrec_find_item_key(call, tagrec_id_as(id, call->tables.items->key_type), row);
}

/* ------------------------------------------------------------------ arguments */

void
tagrec_check_arguments(FunctionCallInfo fcinfo, int n)
{
	if (PG_NARGS() < n)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function %u has %d arguments, but the library expects %d", fcinfo->flinfo->fn_oid, PG_NARGS(), n),
				 errhint("The extension \"tagrec\" in this database is of another version: create it again.")));
}

static void
check_not_null(FunctionCallInfo fcinfo, int n, const char *name)
{
	tagrec_check_arguments(fcinfo, n + 1);
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
	int64		limit;

	check_not_null(fcinfo, n, "n");
	limit = PG_GETARG_INT64(n);
	if (limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("n must not be negative: %lld", (long long) limit)));
	return (int) Min(limit, PG_INT32_MAX);
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

void
tagrec_check_embeddings(const TagrecVersion *version)
{
	if (version->width == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no embeddings", version->model),
				 errdetail("Its algorithm, %s, scores by neighbours only.", version->algorithm)));
}
