/*
 * Making and dropping a model's relations. See store_write.h.
 */
#include "store_write.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "store_columns.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#define RELATIONS (TAGREC_NEIGHBOURS + 1)
#define VIEWS 3

static const TagrecRelation views[VIEWS] = {TAGREC_USERS, TAGREC_ITEMS, TAGREC_NEIGHBOURS};

char *
tagrec_place_name(const TagrecPlace *place, const char *relname)
{
	return quote_qualified_identifier(place->schema, relname);
}

void
tagrec_execute(const char *sql)
{
	int			rc;

	SPI_connect();
	rc = SPI_execute(sql, false, 0);
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", sql, SPI_result_code_string(rc));
	SPI_finish();
}

__attribute__((format(printf, 1, 2)))
static void
execute(const char *format,...)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&sql, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sql, needed);
	}
	tagrec_execute(sql.data);
	pfree(sql.data);
}

/* ------------------------------------------------------------------ checks */

static void
check_free(const char *schema, const char *relname, const char *model)
{
	if (OidIsValid(tagrec_model_relation(schema, relname)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s.%s\" exists, and model \"%s\" needs that name", schema, relname, model),
				 errdetail("It belongs to no model that tagrec knows."),
				 errhint("Choose another model name, or another schema with the option schema; or drop the relation, if a"
						 " removed installation of tagrec has left it.")));
}

void
tagrec_store_check_free(const char *model, const char *schema)
{
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		check_free(schema, tagrec_parent_relname(model, which), model);
	for (int i = 0; i < VIEWS; i++)
		check_free(schema, tagrec_view_relname(model, views[i]), model);
}

static void
relation_missing(const char *model, const char *schema, const char *relname)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation \"%s.%s\" of model \"%s\" does not exist", schema, relname, model),
			 errhint("Remove what is left of the model with tagrec_drop(), and train it again.")));
}

static void
check_key(const char *model, const char *schema, TagrecRelation which, const char *column, TagrecKeyType key)
{
	char	   *relname = tagrec_parent_relname(model, which);
	Oid			relation = tagrec_model_relation(schema, relname);
	HeapTuple	tuple = SearchSysCacheAttName(relation, column);
	Form_pg_attribute attribute;
	bool		same;
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		relation_missing(model, schema, relname);
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	type = attribute->atttypid;
	same = type == key.type && attribute->attcollation == key.collation;
	ReleaseSysCache(tuple);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of model \"%s\" has type %s, and in the source it has type %s", column, model,
						format_type_be(type), format_type_be(key.type)),
				 errdetail(type == key.type ? "The collations differ." : "All versions of a model share one type."),
				 errhint("Drop the model with tagrec_drop() first, or train under another name.")));
}

static void
check_columns(const char *model, const char *schema, TagrecRelation which)
{
	char	   *relname = tagrec_parent_relname(model, which);
	Oid			relation = tagrec_model_relation(schema, relname);

	if (!OidIsValid(relation))
		relation_missing(model, schema, relname);
	tagrec_check_writable(relation, which);
}

void
tagrec_store_check_model(const char *model, const char *schema, const TagrecSource *source)
{
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		check_columns(model, schema, which);
	check_key(model, schema, TAGREC_USERS, "user_id", source->user);
	check_key(model, schema, TAGREC_ITEMS, "item_id", source->item);
}

/* ------------------------------------------------------------------ a model's relations */

/* "bigint", "pg_catalog.text COLLATE \"C\"" */
static char *
key_definition(TagrecKeyType key)
{
	char	   *type = format_type_extended(key.type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);

	if (!OidIsValid(key.collation) || key.collation == get_typcollation(key.type))
		return type;
	return psprintf("%s COLLATE %s", type, generate_collation_name(key.collation));
}

/* Embeddings stay in the row while it fits a page; weights go out of line, and neither pays to be compressed. */
static void
create_tables(const TagrecPlace *place, const TagrecSource *source)
{
	char	   *users = tagrec_place_name(place, tagrec_parent_relname(place->model, TAGREC_USERS));
	char	   *items = tagrec_place_name(place, tagrec_parent_relname(place->model, TAGREC_ITEMS));
	char	   *tags = tagrec_place_name(place, tagrec_parent_relname(place->model, TAGREC_TAGS));
	char	   *weights = tagrec_place_name(place, tagrec_parent_relname(place->model, TAGREC_WEIGHTS));
	char	   *neighbours = tagrec_place_name(place, tagrec_parent_relname(place->model, TAGREC_NEIGHBOURS));

	execute("CREATE TABLE %s (version int4 NOT NULL, user_id %s NOT NULL, embedding float4[] NOT NULL,"
			" seen int4[] NOT NULL, tags int4[] NOT NULL, counts float4[] NOT NULL, features int4[] NOT NULL,"
			" feature_values float4[] NOT NULL, post_ends int4[] NOT NULL, post_tags int4[] NOT NULL,"
			" PRIMARY KEY (version, user_id)) PARTITION BY LIST (version)", users, key_definition(source->user));
	execute("ALTER TABLE %s ALTER COLUMN embedding SET STORAGE MAIN", users);
	execute("CREATE TABLE %s (version int4 NOT NULL, item_id %s NOT NULL, \"position\" int4 NOT NULL,"
			" embedding float4[] NOT NULL, tags int4[] NOT NULL, counts float4[] NOT NULL, posts int4 NOT NULL,"
			" PRIMARY KEY (version, item_id)) PARTITION BY LIST (version)", items, key_definition(source->item));
	execute("ALTER TABLE %s ALTER COLUMN embedding SET STORAGE MAIN", items);
	execute("CREATE TABLE %s (version int4 NOT NULL, \"position\" int4 NOT NULL, tag text NOT NULL,"
			" PRIMARY KEY (version, \"position\")) PARTITION BY LIST (version)", tags);
	execute("CREATE TABLE %s (version int4 NOT NULL, name text NOT NULL, part int4 NOT NULL, rows int4 NOT NULL,"
			" cols int4 NOT NULL, value float4[] NOT NULL,"
			" PRIMARY KEY (version, name, part)) PARTITION BY LIST (version)", weights);
	execute("ALTER TABLE %s ALTER COLUMN value SET STORAGE EXTERNAL", weights);
	execute("CREATE TABLE %s (version int4 NOT NULL, feature int4 NOT NULL, items int4[] NOT NULL,"
			" weights float4[] NOT NULL, PRIMARY KEY (version, feature)) PARTITION BY LIST (version)", neighbours);
	execute("ALTER TABLE %s ALTER COLUMN items SET STORAGE EXTERNAL, ALTER COLUMN weights SET STORAGE EXTERNAL",
			neighbours);
}

static void
comment_view(const TagrecPlace *place, const char *model, TagrecRelation which)
{
	static const char *const rows[] = {
		[TAGREC_USERS] = "users",
		[TAGREC_ITEMS] = "items",
		[TAGREC_NEIGHBOURS] = "what having one item adds to the score of another, by the neighbours"
	};
	char	   *comment = psprintf("tagrec: %s of the deployed version of model %s", rows[which], model);

	execute("COMMENT ON VIEW %s IS %s", tagrec_place_name(place, tagrec_view_relname(model, which)),
			quote_literal_cstr(comment));
}

/* The deployed version, or the previous one when the plan does not hold the deployed one's partition of `parent`. */
static char *
version_to_show(const TagrecPlace *place, const char *parent)
{
	return psprintf("(SELECT CASE WHEN EXISTS (SELECT FROM %s p WHERE p.version OPERATOR(pg_catalog.=) m.deployed_version)"
					" THEN m.deployed_version ELSE m.previous_version END"
					" FROM %s.tagrec_model m WHERE m.model_id OPERATOR(pg_catalog.=) %d)",
					parent, quote_identifier(get_namespace_name(tagrec_schema())), place->model_id);
}

static void
create_view(const TagrecPlace *place, TagrecRelation which, const char *key)
{
	char	   *view = tagrec_place_name(place, tagrec_view_relname(place->model, which));
	char	   *parent = tagrec_place_name(place, tagrec_parent_relname(place->model, which));

	execute("CREATE VIEW %s AS SELECT %s, embedding FROM %s WHERE version OPERATOR(pg_catalog.=) %s", view, key, parent,
			version_to_show(place, parent));
	comment_view(place, place->model, which);
}

/*
 * Items come first among the features, so a feature that is an item's position is that item. That a row has the item follows from
 * the join; said before it, a look-up of one item unnests no rows but those.
 */
static void
create_neighbour_view(const TagrecPlace *place)
{
	char	   *view = tagrec_place_name(place, tagrec_view_relname(place->model, TAGREC_NEIGHBOURS));
	char	   *items = tagrec_place_name(place, tagrec_parent_relname(place->model, TAGREC_ITEMS));
	char	   *neighbours = tagrec_place_name(place, tagrec_parent_relname(place->model, TAGREC_NEIGHBOURS));
	const char *schema = quote_identifier(get_namespace_name(tagrec_schema()));

	execute("CREATE VIEW %s AS SELECT i.item_id, k.item_id AS neighbour_id, n.weight FROM %s k"
			" JOIN %s f ON f.version OPERATOR(pg_catalog.=) k.version AND f.feature OPERATOR(pg_catalog.=) k.\"position\""
			" CROSS JOIN LATERAL %s.tagrec_neighbour_entries(f.items, f.weights) n (item, weight)"
			" JOIN %s i ON i.version OPERATOR(pg_catalog.=) k.version AND i.\"position\" OPERATOR(pg_catalog.=) n.item"
			" AND %s.tagrec_ascending_has(f.items, i.\"position\")"
			" WHERE k.version OPERATOR(pg_catalog.=) %s AND EXISTS (SELECT FROM %s.tagrec_version v"
			" WHERE v.model_id OPERATOR(pg_catalog.=) %d AND v.version OPERATOR(pg_catalog.=) k.version"
			" AND v.features OPERATOR(pg_catalog.&) %d OPERATOR(pg_catalog.<>) 0)",
			view, items, neighbours, schema, items, schema, version_to_show(place, items), schema, place->model_id,
			TR_FEATURES_ITEMS);
	comment_view(place, place->model, TAGREC_NEIGHBOURS);
}

void
tagrec_store_create(const TagrecPlace *place, const TagrecSource *source)
{
	tagrec_store_check_free(place->model, place->schema);
	create_tables(place, source);
	create_view(place, TAGREC_USERS, "user_id");
	create_view(place, TAGREC_ITEMS, "item_id");
	create_neighbour_view(place);
}

static void
rename_relation(const TagrecPlace *place, const char *kind, const char *from, const char *to)
{
	execute("ALTER %s %s RENAME TO %s", kind, tagrec_place_name(place, from), quote_identifier(to));
}

void
tagrec_store_rename(const TagrecPlace *place, const char *name, const int32 *versions, int n_versions)
{
	for (int i = 0; i < VIEWS; i++)
	{
		rename_relation(place, "VIEW", tagrec_view_relname(place->model, views[i]), tagrec_view_relname(name, views[i]));
		comment_view(place, name, views[i]);
	}
	for (TagrecRelation which = 0; which < RELATIONS; which++)
	{
		rename_relation(place, "TABLE", tagrec_parent_relname(place->model, which), tagrec_parent_relname(name, which));
		for (int v = 0; v < n_versions; v++)
			rename_relation(place, "TABLE", tagrec_partition_relname(place->model, which, versions[v]),
							tagrec_partition_relname(name, which, versions[v]));
	}
}

void
tagrec_store_drop_version(const TagrecPlace *place)
{
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		execute("DROP TABLE IF EXISTS %s RESTRICT",
				tagrec_place_name(place, tagrec_partition_relname(place->model, which, place->version)));
}

void
tagrec_store_drop(const TagrecPlace *place)
{
	for (int i = 0; i < VIEWS; i++)
		execute("DROP VIEW IF EXISTS %s RESTRICT", tagrec_place_name(place, tagrec_view_relname(place->model, views[i])));
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		execute("DROP TABLE IF EXISTS %s RESTRICT",
				tagrec_place_name(place, tagrec_parent_relname(place->model, which)));
}
