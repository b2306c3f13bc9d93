/*
 * The session's cache of versions. See cache.h.
 */
#include "cache.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "post.h"
#include "tagrec.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Entries without any part weigh little, but they are not kept without bound. */
#define MAX_ENTRIES 100

static dlist_head entries = DLIST_STATIC_INIT(entries);
static int	n_entries;

/* ------------------------------------------------------------------ size */

static Size
entry_bytes(const TagrecServed *served)
{
	Size		bytes = 0;

	if (served->item_matrix)
		bytes += served->item_matrix->bytes;
	if (served->user_matrix)
		bytes += served->user_matrix->bytes;
	if (served->neighbours)
		bytes += served->neighbours->bytes;
	if (served->encoder)
		bytes += tagrec_encoder_bytes(served->encoder);
	return bytes;
}

static void
drop_item_matrix(TagrecServed *served)
{
	if (served->item_matrix)
		tagrec_matrix_free(served->item_matrix);
	served->item_matrix = NULL;
}

static void
drop_user_matrix(TagrecServed *served)
{
	if (served->user_matrix)
		tagrec_matrix_free(served->user_matrix);
	served->user_matrix = NULL;
}

static void
drop_neighbours(TagrecServed *served)
{
	if (served->neighbours)
		tagrec_neighbours_free(served->neighbours);
	served->neighbours = NULL;
}

static void
drop_encoder(TagrecServed *served)
{
	if (served->encoder)
		tagrec_encoder_free(served->encoder);
	served->encoder = NULL;
}

static void
drop_entry(TagrecServed *served)
{
	dlist_delete(&served->node);
	n_entries--;
	for (int i = 0; i < TAGREC_PLANS; i++)
		if (served->plan[i])
			SPI_freeplan(served->plan[i]);
	drop_item_matrix(served);
	drop_user_matrix(served);
	drop_neighbours(served);
	drop_encoder(served);
	MemoryContextDelete(served->context);
}

static Size
total_bytes(void)
{
	Size		bytes = 0;
	dlist_iter	i;

	dlist_foreach(i, &entries)
		bytes += entry_bytes(dlist_container(TagrecServed, node, i.cur));
	return bytes;
}

/* The entry used longest ago that may go; NULL when there is none. */
static TagrecServed *
oldest_idle(const TagrecServed *keep)
{
	dlist_iter	i;

	dlist_reverse_foreach(i, &entries)
	{
		TagrecServed *served = dlist_container(TagrecServed, node, i.cur);

		if (served != keep && served->pins == 0)
			return served;
	}
	return NULL;
}

/* Makes room for what is about to be read, or was read, for `keep`. */
static void
shrink(const TagrecServed *keep)
{
	Size		limit = (Size) tagrec_cache_size * 1024 * 1024;

	while (n_entries > MAX_ENTRIES || total_bytes() > limit)
	{
		TagrecServed *oldest = oldest_idle(keep);

		if (!oldest)
			break;
		drop_entry(oldest);
	}
}

static bool
over_limit(void)
{
	return total_bytes() > (Size) tagrec_cache_size * 1024 * 1024;
}

/* ------------------------------------------------------------------ entries */

static void
find_source(TagrecStored *source, const TagrecVersion *version, TagrecRelation relation)
{
	HeapTuple	tuple;

	source->name = tagrec_partition_name(version, relation);
	source->relation = tagrec_partition(version, relation);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(source->relation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", source->relation);
	source->file = ((Form_pg_class) GETSTRUCT(tuple))->relfilenode;
	ReleaseSysCache(tuple);
}

static bool
same_source(const TagrecStored *a, const TagrecStored *b)
{
	return a->relation == b->relation && a->file == b->file
		&& (!OidIsValid(a->relation) || strcmp(a->name, b->name) == 0);
}

static TagrecServed *
find_entry(const TagrecVersion *version, const TagrecStored *users, const TagrecStored *items, const TagrecStored *weights)
{
	dlist_iter	i;

	dlist_foreach(i, &entries)
	{
		TagrecServed *served = dlist_container(TagrecServed, node, i.cur);

		if (served->model_id == version->model_id && served->version == version->version &&
			served->width == version->width && served->unit_width == version->unit_width &&
			served->features == version->features && served->n_users == version->users &&
			served->n_items == version->items && same_source(&served->users, users) &&
			same_source(&served->items, items) && same_source(&served->weights, weights))
			return served;
	}
	return NULL;
}

static void
keep_source(TagrecServed *served, TagrecStored *to, const TagrecStored *from, TagrecRelation which)
{
	int32		typmod;
	const char *key_column = which == TAGREC_USERS ? "user_id" : "item_id";

	*to = *from;
	tagrec_check_readable(from->relation, which);
	if (which != TAGREC_NEIGHBOURS)
		get_atttypetypmodcoll(from->relation, get_attnum(from->relation, key_column), &to->key_type, &typmod,
							  &to->collation);
	to->name = MemoryContextStrdup(served->context, from->name);
}

static TagrecServed *
add_entry(const TagrecVersion *version, const TagrecStored *users, const TagrecStored *items, const TagrecStored *weights)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec version", ALLOCSET_SMALL_SIZES);
	TagrecServed *served = MemoryContextAllocZero(context, sizeof(TagrecServed));

	served->context = context;
	served->model_id = version->model_id;
	served->version = version->version;
	served->width = version->width;
	served->unit_width = version->unit_width;
	served->features = version->features;
	served->n_users = version->users;
	served->n_items = version->items;
	keep_source(served, &served->users, users, TAGREC_USERS);
	keep_source(served, &served->items, items, TAGREC_ITEMS);
	if (version->features)
		keep_source(served, &served->weights, weights, TAGREC_NEIGHBOURS);
	MemoryContextSetParent(context, CacheMemoryContext);
	dlist_push_head(&entries, &served->node);
	n_entries++;
	return served;
}

TagrecServed *
tagrec_served(const TagrecVersion *version)
{
	TagrecStored users;
	TagrecStored items;
	TagrecStored weights = {0};
	TagrecServed *served;

	find_source(&users, version, TAGREC_USERS);
	find_source(&items, version, TAGREC_ITEMS);
	if (version->features)
		find_source(&weights, version, TAGREC_NEIGHBOURS);
	served = find_entry(version, &users, &items, &weights);
	if (served)
		dlist_move_head(&entries, &served->node);
	else
		served = add_entry(version, &users, &items, &weights);
	shrink(served);
	served->pins++;
	return served;
}

void
tagrec_served_unpin(TagrecServed *served)
{
	served->pins--;
}

/* ------------------------------------------------------------------ plans */

char *
tagrec_equality_operator(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
	Form_pg_operator operator;
	char	   *text;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "type %s has no equality operator", format_type_be(type));
	operator = (Form_pg_operator) GETSTRUCT(tuple);
	text = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(operator->oprnamespace)),
					NameStr(operator->oprname));
	ReleaseSysCache(tuple);
	return text;
}

static bool
is_of_user(TagrecPlan plan)
{
	return plan == TAGREC_PLAN_USER || plan == TAGREC_PLAN_POST_USER;
}

static char *
plan_text(const TagrecServed *served, TagrecPlan plan)
{
	const TagrecStored *source = is_of_user(plan) ? &served->users : &served->items;
	static const char *const columns[] = {
		[TAGREC_PLAN_USER] = "embedding, seen, tags, counts, features, feature_values",
		[TAGREC_PLAN_ITEM] = "position, embedding, tags, counts, posts",
		[TAGREC_PLAN_POSITIONS] = "position",
		[TAGREC_PLAN_POST_USER] = TAGREC_POST_USER_COLUMNS,
		[TAGREC_PLAN_SIMILAR] = TAGREC_SIMILAR_COLUMNS
	};

	if (plan == TAGREC_PLAN_SIMILAR)
		return psprintf("SELECT %s FROM %s AS r WHERE version OPERATOR(pg_catalog.=) %d"
						" AND feature OPERATOR(pg_catalog.=) $1",
						columns[plan], served->weights.name, served->version);
	return psprintf("SELECT %s FROM %s AS r WHERE version OPERATOR(pg_catalog.=) %d AND %s %s %s",
					columns[plan], source->name, served->version, is_of_user(plan) ? "user_id" : "item_id",
					tagrec_equality_operator(source->key_type), plan == TAGREC_PLAN_POSITIONS ? "ANY ($1)" : "$1");
}

static Oid
plan_argument(const TagrecServed *served, TagrecPlan plan)
{
	if (plan == TAGREC_PLAN_SIMILAR)
		return INT4OID;
	if (plan == TAGREC_PLAN_POSITIONS)
		return get_array_type(served->items.key_type);
	return is_of_user(plan) ? served->users.key_type : served->items.key_type;
}

SPIPlanPtr
tagrec_served_plan(TagrecServed *served, TagrecPlan plan)
{
	Oid			type = plan_argument(served, plan);
	SPIPlanPtr	made;

	if (served->plan[plan])
		return served->plan[plan];
	made = SPI_prepare(plan_text(served, plan), 1, &type);
	if (!made || SPI_keepplan(made) != 0)
		elog(ERROR, "could not prepare a look-up in %s: %s", served->items.name, SPI_result_code_string(SPI_result));
	served->plan[plan] = made;
	return made;
}

/* ------------------------------------------------------------------ parts */

static TagrecMatrix *
load_matrix(const TagrecVersion *version, const TagrecStored *from, const char *columns, const char *order, int32 rows)
{
	TagrecMatrixSource source = {
		.relation = from->name,
		.rows = rows,
		.width = version->width,
		.unit_width = version->unit_width,
		.key_type = from->key_type,
		.collation = from->collation
	};
	TagrecMatrix *matrix;

	source.query = psprintf("SELECT %s, embedding FROM %s WHERE version OPERATOR(pg_catalog.=) %d %s", columns,
							from->name, version->version, order);
	matrix = tagrec_matrix_load(&source);
	MemoryContextSetParent(matrix->context, CacheMemoryContext);
	return matrix;
}

TagrecMatrix *
tagrec_served_items(TagrecServed *served, const TagrecVersion *version)
{
	if (!served->item_matrix)
	{
		served->item_matrix = load_matrix(version, &served->items, "position, item_id", "", version->items);
		shrink(served);
		if (over_limit() && served->pins == 1)
			drop_user_matrix(served);
	}
	return served->item_matrix;
}

TagrecMatrix *
tagrec_served_users(TagrecServed *served, const TagrecVersion *version)
{
	if (!served->user_matrix)
	{
		served->user_matrix = load_matrix(version, &served->users, "NULL::pg_catalog.int4, user_id", "ORDER BY user_id",
										  version->users);
		shrink(served);
		if (over_limit() && served->pins == 1)
		{
			drop_item_matrix(served);
			drop_neighbours(served);
			drop_encoder(served);
		}
	}
	return served->user_matrix;
}

TagrecNeighbours *
tagrec_served_neighbours(TagrecServed *served, const TagrecVersion *version)
{
	if (!served->neighbours)
	{
		served->neighbours = tagrec_neighbours_load(version, served->weights.name);
		MemoryContextSetParent(served->neighbours->context, CacheMemoryContext);
		shrink(served);
		if (over_limit() && served->pins == 1)
			drop_user_matrix(served);
	}
	return served->neighbours;
}

TagrecEncoder *
tagrec_served_encoder(TagrecServed *served, const TagrecVersion *version)
{
	if (!served->encoder)
	{
		served->encoder = tagrec_encoder_load(version);
		shrink(served);
	}
	return served->encoder;
}
