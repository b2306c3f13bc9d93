/*
 * The registry: tagrec_model, tagrec_version, tagrec_job, tagrec_epoch (sql/tagrec.sql). catalog.c alone runs SQL on these
 * tables. Reads run as the caller, with the caller's snapshot, so that MVCC decides what is deployed (after a rollback, on a
 * standby); writes run as the extension's owner, after the caller's right was checked.
 */
#ifndef TAGREC_CATALOG_H
#define TAGREC_CATALOG_H

#include "postgres.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Newest layout of the stored weights that this library reads (tagrec_version.format). */
#define TAGREC_FORMAT 1

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
	char	   *user_column,
			   *item_column,
			   *tag_column,
			   *weight_column;	/* NULL = none */
	char	   *user_type,
			   *item_type;		/* as format_type gives them */
	int			width,
				unit_width;
	int32		users,
				items,
				tags;
	Oid			owner;			/* of the item embedding relation: the model's owner */
	Oid			item_relation;	/* <model>_item_embedding: SELECT on it is the right to use the model */
} TagrecVersion;

/*
 * The deployed version of a model, allocated in the current memory context. Errors: no such model (undefined_object, with
 * the models there are in the hint when few), a model whose first training has not finished (object_not_in_prerequisite_state,
 * says how far it is), a relation that was dropped behind our back (undefined_table), a newer format (feature_not_supported).
 */
extern TagrecVersion *tagrec_version_deployed(const char *model);

/* The same, for a version that need not be the deployed one. */
extern TagrecVersion *tagrec_version_find(const char *model, int32 version);

/* ereport(ERROR) unless the current user may use (SELECT on the item embedding relation) or owns the model. */
extern void tagrec_check_use(const TagrecVersion *version);
extern void tagrec_check_owner(const TagrecVersion *version);

/* The schema the extension lives in. */
extern Oid	tagrec_schema(void);

#endif
