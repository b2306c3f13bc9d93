/*
 * Whether a version can be written to a model's partitioned tables. The rule, which is stated here and nowhere else:
 *
 *   They are data alone. Beside its columns and its primary key, such a table may have columns that stay NULL, and
 *   indexes. It has no trigger of anybody's, no rule, no row security, no CHECK, foreign key or exclusion constraint, no
 *   generated column; it is nobody's partition and has no default partition. The functions of an index, its predicate
 *   included, belong to superusers, as those of the server and of extensions do: an index on embedding::vector(128) may
 *   be, one on a function of the owner's may not. A unique index holds a key of the table, so that no version can fail
 *   on it.
 *
 * Whatever else there is might run code, or be in the way of a version that took hours to train; so it is asked before a
 * job starts, and again before it writes. That what does run then runs as the owner is identity.h's concern.
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
			 errmsg("relation \"%s\" has %s, and no version can be written to it", RelationGetRelationName(relation), what),
			 errdetail("A model's relations are data alone: what could run code, or refuse rows, has no place on them."),
			 errhint("Drop it, or remove the model with tagrec_drop() and train it again.")));
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
 * An index's expressions or its predicate, NULL = none. Not as the relcache gives them: it computes what is constant in
 * them, as whoever asks.
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

static bool
covers(Relation index, TupleDesc desc, const char *const *names)
{
	Form_pg_index form = index->rd_index;

	for (; *names; names++)
	{
		bool		found = false;

		for (int i = 0; i < form->indnkeyatts; i++)
		{
			AttrNumber	column = form->indkey.values[i];

			found |= column > 0 && strcmp(NameStr(TupleDescAttr(desc, column - 1)->attname), *names) == 0;
		}
		if (!found)
			return false;
	}
	return true;
}

/* Columns of which no two rows have the same values, by table. */
static bool
holds_key(Relation index, TupleDesc desc, TagrecRelation which)
{
	static const char *const keys[][3][4] = {
		[TAGREC_USERS] = {{"version", "user_id"}},
		[TAGREC_ITEMS] = {{"version", "item_id"}, {"version", "position"}},
		[TAGREC_TAGS] = {{"version", "position"}, {"version", "tag"}},
		[TAGREC_WEIGHTS] = {{"version", "name", "part"}},
		[TAGREC_NEIGHBOURS] = {{"version", "feature"}}
	};

	for (int i = 0; keys[which][i][0]; i++)
		if (covers(index, desc, keys[which][i]))
			return true;
	return false;
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
		refuse(relation, "an index with functions that are not a superuser's,", name);
	if (form->indisunique && !holds_key(index, RelationGetDescr(relation), which))
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
