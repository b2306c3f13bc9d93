/*
 * The registry: tagrec_model, tagrec_version, tagrec_job, tagrec_epoch, tagrec_trial (sql/registry.sql). The files of this
 * folder alone run SQL on these tables: version.c reads models and versions, version_write.c writes them, job_row.c and
 * trial_row.c do both for jobs and trials; guard.c checks what a restore writes. Reads use the caller's snapshot, so that
 * MVCC decides what is deployed (after a rollback, on a standby). Both run as the owner of the tables, after or before the
 * caller's privileges were checked: no other role may read them.
 */
#ifndef TAGREC_VERSION_H
#define TAGREC_VERSION_H

#include "postgres.h"
#include "core/task.h"
#include "pg/base/compat.h"
#include "pg/base/source_columns.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Newest layout of the stored weights that this library reads (tagrec_version.format). */
#define TAGREC_FORMAT 1

/*
 * One deployed or named version. Its numbers are within the limits that sql/registry.sql sets for every row: width at
 * most 1,000,000, unit_width at most width; users, items and tags at most 2,000,000,000 each. That its relations have as
 * many rows is for the reader to check.
 */
typedef struct TagrecVersion
{
	int32		model_id;
	char	   *model;
	char	   *schema;			/* of the model's relations */
	int32		version;
	int32		deployed_version;	/* the one queries use: equals version unless asked for another */
	char	   *algorithm;
	char	   *task;
	Jsonb	   *options;
	Jsonb	   *requested_options;
	char	   *source;
	TagrecColumns columns;		/* of the source */
	char	   *device;			/* as it was asked for; NULL = unknown */
	float		value_least,	/* range of the values it was trained on; NAN = it predicts none */
				value_most;
	char	   *user_features,	/* relations of attributes, quoted and schema-qualified; NULL = none */
			   *item_features;
	char	   *user_type,
			   *item_type;		/* as format_type gives them */
	int			width,
				unit_width;
	int			features;		/* a set of TrFeatures: what the sparse part of a score goes by */
	int32		users,
				items,
				tags;
	char	   *registered_owner;	/* the owner when a version was deployed last */
	Oid			owner;			/* of the item embedding relation: the model's owner */
	Oid			item_relation;	/* <model>_item_embedding: SELECT on it is the right to use the model */
} TagrecVersion;

/*
 * The deployed version of a model, allocated in the current memory context. Errors: no such model (undefined_object, with
 * the models there are in the hint when few), a model whose first training has not finished
 * (object_not_in_prerequisite_state, says how far it is), a relation that was dropped by hand (undefined_table), a
 * newer format (feature_not_supported).
 */
extern TagrecVersion *tagrec_version_deployed(const char *model);

/* The same, as of now instead of the active snapshot; not in parallel mode. */
extern TagrecVersion *tagrec_version_deployed_now(const char *model);

/* The same, for a version that need not be the deployed one. */
extern TagrecVersion *tagrec_version_find(const char *model, int32 version);

/*
 * Relations are found by name, and a schema may have been renamed and another made of its name; REASSIGN OWNED may have
 * given them to another role. So a role that changes a model's registry entries must also have the privileges of the owner
 * recorded there, unless that role is gone, or own the database, or be a superuser.
 */
extern bool tagrec_is_registered_owner(const char *owner);

/* One of its options, if it is a number and the version has it; else what is said here. */
extern double tagrec_version_number(const TagrecVersion *version, const char *option, double otherwise);

/* What the version recommends. */
extern const TrTask *tagrec_version_task(const TagrecVersion *version);

/*
 * ereport(ERROR) unless the current user may use (SELECT on the item embedding relation) or owns the model, and the
 * relations are those of the owner that the registry knows, if there still is such a role.
 */
extern void tagrec_check_use(const TagrecVersion *version);
extern void tagrec_check_owner(const TagrecVersion *version);

/*
 * A model's row alone, whatever became of its relations. NULL when there is none and missing_ok. With fresh, as this
 * transaction's own writes and every commit until now left it, not as the statement's snapshot sees it.
 */
typedef struct TagrecModel
{
	int32		model_id;
	char	   *model;
	char	   *schema;
	char	   *registered_owner;
	int32		deployed_version;	/* 0 = none yet */
} TagrecModel;

extern TagrecModel *tagrec_model_find(const char *model, bool missing_ok, bool fresh);

/* Raises the error for a model that has no row: unknown, or in its first training. */
pg_noreturn extern void tagrec_model_missing(const char *model);

/* The relations of a model: its owner is the owner of its item embedding view; InvalidOid when that was dropped. */
extern Oid	tagrec_model_relation(const char *schema, const char *relname);
extern Oid	tagrec_model_view(const char *schema, const char *model);
extern Oid	tagrec_relation_owner(Oid relation);

/* The schema the extension lives in. */
extern Oid	tagrec_schema(void);

#endif
