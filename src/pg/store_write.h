/*
 * Making a version's relations, and taking them away. See store.h for what they look like.
 *
 * A version is written in one transaction: its partitions are filled as tables of their own, which nobody else sees, and
 * then attached, which takes SHARE UPDATE EXCLUSIVE on the partitioned tables and so never waits for a reader or makes one
 * wait.
 */
#ifndef TAGREC_STORE_WRITE_H
#define TAGREC_STORE_WRITE_H

#include "core/model.h"
#include "source.h"
#include "store.h"

/* Where a version goes. */
typedef struct TagrecPlace
{
	int32		model_id;
	const char *model;
	const char *schema;
	int32		version;
} TagrecPlace;

/* Quoted and schema-qualified. */
extern char *tagrec_place_name(const TagrecPlace *place, const char *relname);

/* ereport(ERROR) when a relation that a new model of that name needs exists already. */
extern void tagrec_store_check_free(const char *model, const char *schema);

/* ereport(ERROR) unless the model's relations are there, as they were made, and hold keys of the source's types. */
extern void tagrec_store_check_model(const char *model, const char *schema, const TagrecSource *source);

/* The partitioned tables and the views of a new model. */
extern void tagrec_store_create(const TagrecPlace *place, const TagrecSource *source);

/* The partitions of a version, filled, attached and analyzed. The arrays come from model, which was trained on data. */
extern void tagrec_store_write(const TagrecPlace *place, const TagrecSource *source, const TagrecData *data,
							   TrModel *model, const TrTensor *tensors, int n_tensors);

/* Drops a version's partitions, or all relations of a model, with RESTRICT; those that are gone already do not matter. */
extern void tagrec_store_drop_version(const TagrecPlace *place);
extern void tagrec_store_drop(const TagrecPlace *place);

/* Gives the relations of a model, with the partitions of these versions, the names of model `name`. */
extern void tagrec_store_rename(const TagrecPlace *place, const char *name, const int32 *versions, int n_versions);

/* Runs one statement. */
extern void tagrec_execute(const char *sql);

#endif
