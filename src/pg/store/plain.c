/*
 * Whether a version can be written to a model's partitioned tables. The rule, which is stated here and nowhere else:
 *
 *   They are plain data. Besides its columns and its primary key, such a table may have columns that stay NULL, and
 *   indexes. It has no trigger of anybody's, no rule, no row security, no CHECK, foreign key or exclusion constraint, no
 *   generated column; it is not a partition and has no default partition. The functions of an index, its predicate
 *   included, belong to superusers, as those of the server and of extensions do: an index on embedding::vector(128) may
 *   be, one on a function of the owner's may not. A unique index holds a key of the table, so that no version can fail
 *   on it.
 *
 * Anything else might run code, or reject a version that took hours to train; so this is checked before a job starts, and
 * again before it writes. Code that does run then runs as the owner: see identity.h.
 */
#include "pg/store/write.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "partitioning/partdesc.h"
#include "pg/store/columns.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

static void
refuse(Relation relation, const char *has, const char *name)
{
	char	   *what = name ? psprintf("%s \"%s\"", has, name) : pstrdup(has);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot write a version to relation \"%s\" because it has %s", RelationGetRelationName(relation), what),
			 errdetail("The relations of a model must not have anything that could execute code or reject rows."),
			 errhint("Remove it, or drop the model with tagrec_drop() and train it again.")));
}

/* ------------------------------------------------------------------ indexes */

static Oid
owner_of(int cache, Oid object)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
	Oid			owner = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = cache == PROCOID ? ((Form_pg_proc) GETSTRUCT(tuple))->proowner : ((Form_pg_type) GETSTRUCT(tuple))->typowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Of a checker, true ends the walk. */
static bool
is_somebodys(Oid function, void *context)
{
	return !superuser_arg(owner_of(PROCOID, function));
}

static bool
runs_somebodys(Node *node, void *context)
{
	if (!node)
		return false;
	/* a domain's CHECK constraints */
	if (IsA(node, CoerceToDomain) && !superuser_arg(owner_of(TYPEOID, castNode(CoerceToDomain, node)->resulttype)))
		return true;
	if (check_functions_in_node(node, is_somebodys, context))
		return true;
	return expression_tree_walker(node, runs_somebodys, context);
}

/*
 * An index's expressions or its predicate, NULL = none. Not as the relcache gives them: it evaluates constant expressions
 * in them, as the current user.
 */
static Node *
stored_tree(Relation index, AttrNumber column)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(RelationGetRelid(index)));
	Node	   *tree = NULL;
	Datum		stored;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", RelationGetRelid(index));
	stored = SysCacheGetAttr(INDEXRELID, tuple, column, &isnull);
	if (!isnull)
		tree = stringToNode(TextDatumGetCString(stored));
	ReleaseSysCache(tuple);
	return tree;
}

/* Is it one of the columns by which the index tells rows apart? */
static bool
covers(Relation index, const TagrecColumn *column)
{
	Form_pg_index form = index->rd_index;
	Oid			table = form->indrelid;

	for (int i = 0; i < form->indnkeyatts; i++)
		if (form->indkey.values[i] > 0 && form->indkey.values[i] == get_attnum(table, column->name))
			return true;
	return false;
}

/* Columns of which no two rows have the same values: the primary key, or the version and what is unique in it. */
static bool
holds_key(Relation index, const TagrecLayout *layout)
{
	int			covered = 0;

	while (covered < layout->key_columns && covers(index, &layout->column[covered]))
		covered++;
	return covered == layout->key_columns
		|| (covered > 0 && layout->unique > 0 && covers(index, &layout->column[layout->unique]));
}

static void
check_index(Relation relation, Relation index, TagrecRelation which)
{
	Form_pg_index form = index->rd_index;
	const char *name = RelationGetRelationName(index);

	if (form->indisexclusion)
		refuse(relation, "the exclusion constraint", name);
	if (runs_somebodys(stored_tree(index, Anum_pg_index_indexprs), NULL)
		|| runs_somebodys(stored_tree(index, Anum_pg_index_indpred), NULL))
		refuse(relation, "an index with functions not owned by a superuser,", name);
	if (form->indisunique && !holds_key(index, &tagrec_layout[which]))
		refuse(relation, "the unique index", name);
}

static void
check_indexes(Relation relation, TagrecRelation which)
{
	List	   *indexes = RelationGetIndexList(relation);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		check_index(relation, index, which);
		index_close(index, AccessShareLock);
	}
}

/* ------------------------------------------------------------------ everything else */

static void
check_triggers(Relation relation)
{
	TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (!triggers->triggers[i].tgisinternal)
			refuse(relation, "the trigger", triggers->triggers[i].tgname);
}

static void
check_constraints(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);

	if (desc->constr && desc->constr->num_check > 0)
		refuse(relation, "the constraint", desc->constr->check[0].ccname);
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && TupleDescAttr(desc, i)->attgenerated)
			refuse(relation, "the generated column", NameStr(TupleDescAttr(desc, i)->attname));
	if (RelationGetFKeyList(relation) != NIL)
		refuse(relation, "a foreign key constraint", NULL);
}

static void
check_partitioning(Relation relation)
{
	PartitionDesc partitions = RelationGetPartitionDesc(relation, true);
	Oid			other = get_default_oid_from_partdesc(partitions);

	if (OidIsValid(other))
		refuse(relation, "the default partition", get_rel_name(other));
	if (relation->rd_rel->relispartition)
		refuse(relation, "a parent", NULL);
}

void
tagrec_check_plain(Relation relation, TagrecRelation which)
{
	check_triggers(relation);
	if (relation->rd_rules)
		refuse(relation, "a rule", NULL);
	if (relation->rd_rel->relrowsecurity || relation->rd_rel->relforcerowsecurity)
		refuse(relation, "row security", NULL);
	check_constraints(relation);
	check_partitioning(relation);
	check_indexes(relation, which);
}
