/*
 * Reading a version's partitions. See read.h.
 */
#include "pg/store/read.h"

#include <math.h>

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "pg/base/id.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#define MOST_KEYS 3

void
tagrec_version_corrupted(const TagrecVersion *version, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("version %d of model \"%s\" is corrupted", version->version, version->model),
			 errdetail("%s", what),
			 errhint("Rows of a version must not be changed. Train the model again.")));
	pg_unreachable();
}

/* ------------------------------------------------------------------ tables */

/*
 * A partition is found by its name. A relation of another role under that name is not the model's; and with row-level
 * security forced on the owner, not every row could be read, but a model needs all.
 */
static void
check_table(const TagrecTable *table)
{
	const TagrecVersion *version = table->version;
	Form_pg_class form = table->relation->rd_rel;

	if (form->relowner != version->owner || form->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation %s is not a table owned by the owner of model \"%s\"",
						tagrec_partition_name(version, table->which), version->model),
				 errdetail("The model's views belong to \"%s\".", GetUserNameFromId(version->owner, true)),
				 errhint("Undo the change, or drop the model with tagrec_drop() and train it again.")));
	if (form->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation %s does not use the table access method \"heap\"",
						tagrec_partition_name(version, table->which))));
	if (form->relrowsecurity && form->relforcerowsecurity)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation %s of model \"%s\" has row-level security forced on its owner",
						tagrec_partition_name(version, table->which), version->model),
				 errdetail("Every role that may use a model reads it as a whole."),
				 errhint("Use ALTER TABLE ... NO FORCE ROW LEVEL SECURITY.")));
}

static void
find_key_type(TagrecTable *table)
{
	Form_pg_attribute key;

	if (table->which != TAGREC_USERS && table->which != TAGREC_ITEMS)
		return;
	Assert((int) User_user_id == (int) Item_item_id);
	key = TupleDescAttr(RelationGetDescr(table->relation), table->place[User_user_id] - 1);
	tagrec_check_key_type(key->atttypid, NameStr(key->attname));
	table->key_type = getBaseType(key->atttypid);
	table->collation = key->attcollation;
}

TagrecTable *
tagrec_table_open(const TagrecVersion *version, TagrecRelation which)
{
	TagrecTable *table = palloc0(sizeof(TagrecTable));

	table->version = version;
	table->which = which;
	table->relation = table_open(tagrec_partition(version, which), AccessShareLock);
	check_table(table);
	tagrec_check_readable(table->relation, which, table->place);
	find_key_type(table);
	return table;
}

void
tagrec_table_close(TagrecTable *table)
{
	if (table)
		table_close(table->relation, NoLock);
}

/* ------------------------------------------------------------------ indexes */

static bool
is_default_order(Relation index, int i, Form_pg_attribute attribute)
{
	Oid			opclass = GetDefaultOpClass(attribute->atttypid, BTREE_AM_OID);

	return OidIsValid(opclass) && get_opclass_family(opclass) == index->rd_opfamily[i] && index->rd_indoption[i] == 0 &&
		index->rd_indcollation[i] == attribute->attcollation;
}

/* The primary key's index, or one as good. */
static bool
is_key_index(const TagrecTable *table, Relation index)
{
	Form_pg_index form = index->rd_index;
	TupleDesc	desc = RelationGetDescr(table->relation);

	if (index->rd_rel->relam != BTREE_AM_OID || !form->indisvalid || !form->indisunique ||
		form->indnkeyatts != tagrec_layout[table->which].key_columns ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
		if (form->indkey.values[i] != table->place[i] ||
			!is_default_order(index, i, TupleDescAttr(desc, table->place[i] - 1)))
			return false;
	return true;
}

static Oid
find_index(TagrecTable *table)
{
	List	   *indexes;
	ListCell   *cell;

	if (table->index_known)
		return table->index;
	indexes = RelationGetIndexList(table->relation);
	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (is_key_index(table, index))
			table->index = RelationGetRelid(index);
		index_close(index, NoLock);
		if (OidIsValid(table->index))
			break;
	}
	list_free(indexes);
	table->index_known = true;
	return table->index;
}

/* ------------------------------------------------------------------ scans */

/* The first columns of the key equal these; number = how many, version first. */
static int
scan_keys(const TagrecTable *table, ScanKey keys, bool with_key, Datum key)
{
	ScanKeyInit(&keys[0], table->place[0], BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(table->version->version));
	if (!with_key)
		return 1;
	if (OidIsValid(table->key_type))
	{
		TypeCacheEntry *type = lookup_type_cache(table->key_type, TYPECACHE_EQ_OPR);

		if (!OidIsValid(type->eq_opr))
			elog(ERROR, "type %s has no equality operator", format_type_be(table->key_type));
		ScanKeyEntryInitialize(&keys[1], 0, table->place[1], BTEqualStrategyNumber, InvalidOid, table->collation,
							   get_opcode(type->eq_opr), key);
	}
	else
		ScanKeyInit(&keys[1], table->place[1], BTEqualStrategyNumber, F_INT4EQ, key);
	return 2;
}

TagrecScan
tagrec_scan_all(TagrecTable *table)
{
	ScanKeyData keys[MOST_KEYS];
	int			n = scan_keys(table, keys, false, (Datum) 0);

	return (TagrecScan) {
		.table = table,
		.scan = systable_beginscan(table->relation, InvalidOid, false, GetActiveSnapshot(), n, keys)
	};
}

/* Without an index every row is looked at. */
TagrecScan
tagrec_scan_key(TagrecTable *table, Datum key)
{
	ScanKeyData keys[MOST_KEYS];
	int			n = scan_keys(table, keys, true, key);
	Oid			index = find_index(table);

	return (TagrecScan) {
		.table = table,
		.scan = systable_beginscan(table->relation, index, OidIsValid(index), GetActiveSnapshot(), n, keys)
	};
}

TagrecScan
tagrec_scan_ordered(TagrecTable *table)
{
	ScanKeyData keys[MOST_KEYS];
	int			n = scan_keys(table, keys, false, (Datum) 0);
	TagrecScan	scan = {.table = table};

	if (!OidIsValid(find_index(table)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation %s of model \"%s\" has no primary key",
						tagrec_partition_name(table->version, table->which), table->version->model),
				 errhint("Restore the primary key, or drop the model with tagrec_drop() and train it again.")));
	scan.index = index_open(table->index, AccessShareLock);
	scan.scan = systable_beginscan_ordered(table->relation, scan.index, GetActiveSnapshot(), n, keys);
	return scan;
}

bool
tagrec_scan_next(TagrecScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	scan->row = scan->index ? systable_getnext_ordered(scan->scan, ForwardScanDirection) : systable_getnext(scan->scan);
	return HeapTupleIsValid(scan->row);
}

void
tagrec_scan_end(TagrecScan *scan)
{
	if (scan->index)
	{
		systable_endscan_ordered(scan->scan);
		index_close(scan->index, NoLock);
	}
	else
		systable_endscan(scan->scan);
}

/* ------------------------------------------------------------------ values */

pg_noreturn static void wrong(const TagrecScan *scan, int column, const char *what);

static void
wrong(const TagrecScan *scan, int column, const char *what)
{
	const TagrecTable *table = scan->table;

	tagrec_version_corrupted(table->version,
							 psprintf("Column \"%s\" of relation \"%s\" %s.",
									  tagrec_layout[table->which].column[column].name,
									  RelationGetRelationName(table->relation), what));
}

static Datum
get(const TagrecScan *scan, int column)
{
	TupleDesc	desc = RelationGetDescr(scan->table->relation);
	bool		isnull;
	Datum		value = heap_getattr(scan->row, scan->table->place[column], desc, &isnull);

	if (isnull)
		wrong(scan, column, "has a null");
	return value;
}

int32
tagrec_get_int(const TagrecScan *scan, int column, int64 limit)
{
	int32		value = DatumGetInt32(get(scan, column));

	if (value < 0 || value >= limit)
		wrong(scan, column, psprintf("has %d, which is negative or not below %lld", value, (long long) limit));
	return value;
}

Datum
tagrec_get_key(const TagrecScan *scan, int column)
{
	return get(scan, column);
}

char *
tagrec_get_text(const TagrecScan *scan, int column)
{
	return TextDatumGetCString(get(scan, column));
}

/* An array of 4-byte elements, which is a copy when it is not the stored value itself. */
static ArrayType *
get_array(const TagrecScan *scan, int column, int32 *n)
{
	ArrayType  *array = DatumGetArrayTypeP(get(scan, column));
	Oid			element = tagrec_layout[scan->table->which].column[column].type == INT4ARRAYOID ? INT4OID : FLOAT4OID;

	if (ARR_ELEMTYPE(array) != element || ARR_NDIM(array) > 1 || ARR_HASNULL(array))
		wrong(scan, column, "has an array with nulls or with more than one dimension");
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return array;
}

static void
release(const TagrecScan *scan, ArrayType *array, int column)
{
	if ((Pointer) array != DatumGetPointer(get(scan, column)))
		pfree(array);
}

static void *
copy_values(const TagrecScan *scan, int column, int32 *n)
{
	ArrayType  *array = get_array(scan, column, n);
	void	   *copy = MemoryContextAllocHuge(CurrentMemoryContext, Max(*n, 1) * sizeof(int32));

	memcpy(copy, ARR_DATA_PTR(array), *n * sizeof(int32));
	release(scan, array, column);
	return copy;
}

static void
check_finite(const TagrecScan *scan, int column, const float *value, int32 n)
{
	int			finite = 1;

	for (int32 i = 0; i < n; i++)
		finite &= isfinite(value[i]) != 0;
	if (!finite)
		wrong(scan, column, "has a number that is not finite");
}

float *
tagrec_get_numbers(const TagrecScan *scan, int column, int32 *n)
{
	float	   *value = copy_values(scan, column, n);

	check_finite(scan, column, value, *n);
	return value;
}

int32 *
tagrec_get_positions(const TagrecScan *scan, int column, int64 limit, bool ascending, int32 *n)
{
	int32	   *position = copy_values(scan, column, n);

	for (int32 i = 0; i < *n; i++)
		if (position[i] < 0 || position[i] >= limit || (ascending && i > 0 && position[i] <= position[i - 1]))
			wrong(scan, column, psprintf("has %d as element %d, but positions must be below %lld%s", position[i], i + 1,
										 (long long) limit, ascending ? " and in ascending order" : ""));
	return position;
}

int32 *
tagrec_get_seen(const TagrecScan *scan, int64 limit, int32 *n_disliked, int32 *n)
{
	int32	   *number = copy_values(scan, User_seen, n);

	*n_disliked = 0;
	for (int32 i = 0; i < *n; i++)
	{
		if ((number[i] < 0 ? ~number[i] : number[i]) >= limit || (i > 0 && number[i] <= number[i - 1]))
			wrong(scan, User_seen, psprintf("has %d as element %d, but positions must be below %lld and in ascending order",
											number[i], i + 1, (long long) limit));
		*n_disliked += number[i] < 0;
	}
	*n -= *n_disliked;
	return number;
}

void
tagrec_get_embedding(const TagrecScan *scan, int column, float *out)
{
	int			width = scan->table->version->width;
	int32		n;
	ArrayType  *array = get_array(scan, column, &n);

	if (n != width)
		wrong(scan, column, psprintf("has an array of %d numbers instead of %d", n, width));
	memcpy(out, ARR_DATA_PTR(array), width * sizeof(float));
	release(scan, array, column);
	check_finite(scan, column, out, width);
}

TrSparse
tagrec_get_sparse(const TagrecScan *scan, int positions, int values, int64 limit)
{
	int32		n;
	int32		n_values;
	TrSparse	sparse = {.index = tagrec_get_positions(scan, positions, limit, true, &n)};

	sparse.value = tagrec_get_numbers(scan, values, &n_values);
	if (n_values != n)
		wrong(scan, values, psprintf("has %d numbers instead of %d", n_values, n));
	sparse.n = n;
	return sparse;
}

TrSparse
tagrec_get_profile(const TagrecScan *scan, int tags, int counts)
{
	TrSparse	profile = tagrec_get_sparse(scan, tags, counts, scan->table->version->tags);

	for (int32 i = 0; i < profile.n; i++)
		if (profile.value[i] < 0)
			wrong(scan, counts, psprintf("contains %g, which is negative", profile.value[i]));
	return profile;
}
