/*
 * Writing the best items of all users to a table. See ranking_table.h.
 *
 * TRUNCATE and INSERT, not a new table under the old one's name: views and privileges go by the table. Readers wait while
 * the rows are written; who has an older snapshot then sees no rows, as after any TRUNCATE.
 */
#include "pg/train/ranking_table.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pg/base/compat.h"
#include "pg/base/identity.h"
#include "pg/registry/version.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#define ROWS "tagrec_ranking"

static const char *const columns[] = {"user_id", "rank", "item", "score"};

/* ------------------------------------------------------------------ checks */

static void
check_kind(Oid table, const char *name)
{
	if (get_rel_relkind(table) != RELKIND_RELATION || IsCatalogRelationOid(table))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table that recommendations can be written to", name),
				 errdetail("It must be an ordinary table, or not exist.")));
	if (get_rel_persistence(table) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("recommendations cannot be written to the temporary table \"%s\"", name),
				 errdetail("They are made by a background worker, which cannot access this session's temporary relations."),
				 errhint("Use an unlogged table.")));
}

static void
check_columns(Oid table, const char *name)
{
	for (int i = 0; i < lengthof(columns); i++)
		if (get_attnum(table, columns[i]) == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist", columns[i], name),
					 errdetail("Recommendations are written to the columns user_id, rank, item and score.")));
}

static void
check_target(Oid table, const char *name)
{
	if (!tagrec_owns_relation(table, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", name)));
	check_kind(table, name);
	check_columns(table, name);
}

static void
check_schema(const char *schema)
{
	Oid			id = get_namespace_oid(schema, false);

	if (isAnyTempNamespace(id) || IsCatalogNamespace(id) || IsToastNamespace(id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 isAnyTempNamespace(id) ? errmsg("recommendations cannot be written to a temporary table")
				 : errmsg("recommendations cannot be written to a table in schema %s", schema)));
	if (tagrec_namespace_aclcheck(id, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", schema),
				 errdetail("Making the table requires CREATE.")));
}

void
tagrec_ranking_target(const char *text, char **schema, char **name)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(text)));
	Oid			table = RangeVarGetRelid(range, NoLock, true);

	*name = range->relname;
	if (OidIsValid(table))
	{
		*schema = get_namespace_name(get_rel_namespace(table));
		check_target(table, range->relname);
	}
	else
	{
		*schema = get_namespace_name(RangeVarGetCreationNamespace(range));
		check_schema(*schema);
	}
}

void
tagrec_ranking_check_unlocked(const char *schema, const char *name)
{
	Oid			table = get_relname_relid(name, get_namespace_oid(schema, false));
	Relation	relation = OidIsValid(table) ? RelationIdGetRelation(table) : NULL;
	bool		locked;

	if (!relation)
		return;
	locked = CheckRelationLockedByMe(relation, AccessShareLock, true);
	RelationClose(relation);
	if (locked)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait for recommendations to be written to table \"%s\", which this transaction has used", name),
				 errdetail("The worker would wait for this transaction to end."),
				 errhint("Commit first, or use wait => false.")));
}

/* Called again whenever the name has come to mean another relation while its lock was waited for. */
static void
check_before_lock(const RangeVar *range, Oid table, Oid before, void *argument)
{
	if (OidIsValid(table))
		check_target(table, range->relname);
}

/* ------------------------------------------------------------------ writing */

TupleDesc
tagrec_ranking_desc(Oid user_type, Oid user_collation, Oid item_type, Oid item_collation)
{
	TupleDesc	desc = CreateTemplateTupleDesc(lengthof(columns));
	const Oid	types[] = {user_type, INT4OID, item_type, FLOAT4OID};
	const Oid	collations[] = {user_collation, InvalidOid, item_collation, InvalidOid};

	for (int i = 0; i < lengthof(columns); i++)
	{
		TupleDescInitEntry(desc, i + 1, columns[i], types[i], -1, 0);
		TupleDescInitEntryCollation(desc, i + 1, collations[i]);
	}
	TupleDescFinalize(desc);
	return desc;
}

static void
execute(const char *statement, int expected)
{
	int			rc = SPI_execute(statement, false, 0);

	if (rc != expected)
		elog(ERROR, "could not run \"%s\": %s", statement, SPI_result_code_string(rc));
}

static void
write_rows(const char *name, bool is_there)
{
	if (!is_there)
	{
		execute(psprintf("CREATE TABLE %s AS SELECT user_id, rank, item, score FROM " ROWS, name), SPI_OK_UTILITY);
		execute(psprintf("ALTER TABLE %s ADD PRIMARY KEY (user_id, rank)", name), SPI_OK_UTILITY);
		return;
	}
	execute(psprintf("TRUNCATE TABLE ONLY %s", name), SPI_OK_UTILITY);
	execute(psprintf("INSERT INTO %s (user_id, rank, item, score) SELECT user_id, rank, item, score FROM " ROWS, name),
			SPI_OK_INSERT);
}

void
tagrec_ranking_write(const char *schema, const char *name, TupleDesc desc, Tuplestorestate *rows, int64 count)
{
	RangeVar   *range = makeRangeVar(unconstify(char *, schema), unconstify(char *, name), -1);
	Oid			table = RangeVarGetRelidExtended(range, AccessExclusiveLock, RVR_MISSING_OK, check_before_lock, NULL);
	EphemeralNamedRelationData relation = {
		.md = {.name = ROWS, .tupdesc = desc, .enrtype = ENR_NAMED_TUPLESTORE, .enrtuples = (double) count},
		.reldata = rows
	};
	TagrecActing before;

	if (!OidIsValid(table))
		check_schema(schema);
	before = tagrec_act_as(OidIsValid(table) ? tagrec_relation_owner(table) : GetUserId());
	SPI_connect();
	if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of recommendations");
	write_rows(quote_qualified_identifier(schema, name), OidIsValid(table));
	SPI_finish();
	tagrec_act_again(before);
}
