/*
 * Creating and dropping a version's relations. See store.h for what they look like.
 *
 * A version is written in one transaction: its partitions are filled as separate tables, which other sessions do not see,
 * and then attached, which takes SHARE UPDATE EXCLUSIVE on the partitioned tables and so neither waits for readers nor
 * blocks them.
 *
 * Everything here acts as the owner of the relation at hand (identity.h), whichever role runs the job: functions in an
 * index that ATTACH creates, in statistics that ANALYZE computes, in a domain's constraint or an event trigger have the
 * owner's privileges, and their settings do not persist. Defaults, triggers, rules, CHECK constraints and generated columns
 * do not run: rows go in through the table access method, into tables that LIKE gives none of them, and ATTACH finds none
 * to hand down (plain.c).
 *
 * Locks are taken in one order: the model's row in the registry (FOR UPDATE), the views, the partitioned tables, the
 * partitions; relations of one kind as TagrecRelation lists them. The lock on the row protects the model: a writer, a
 * rename and a drop never run concurrently on its relations. Readers take no row, and the relations' locks in the same
 * order.
 *
 * Dropping an old version (job_prune.c) blocks no one: its locks are taken only if all of them are free at that moment, and
 * otherwise tried again a little later, and by the next job. It stays while a snapshot of this database may still see it as
 * the deployed one: its row in the registry was last written by the transaction that has replaced it, and that must precede
 * every such snapshot but that of a client that waits for the job. Of versions that wait for this, though, only the newest
 * ones may (two): a transaction that has been idle since long before gets an error when it asks a version that is gone, and
 * does not make versions pile up.
 */
#ifndef TAGREC_WRITE_H
#define TAGREC_WRITE_H

#include "core/model.h"
#include "pg/source/source.h"
#include "pg/store/store.h"

/* Where a version goes. */
typedef struct TagrecPlace
{
	int32		model_id;
	const char *model;
	const char *schema;
	int32		version;
} TagrecPlace;

static inline TagrecPlace
tagrec_place_of(const TagrecModel *model)
{
	return (TagrecPlace) {.model_id = model->model_id, .model = model->model, .schema = model->schema};
}

/* Quoted and schema-qualified: the partitioned table, the version's partition, the view. */
extern char *tagrec_place_parent(const TagrecPlace *place, TagrecRelation which);
extern char *tagrec_place_partition(const TagrecPlace *place, TagrecRelation which);

/* ereport(ERROR) when a relation that a new model of that name needs exists already. */
extern void tagrec_store_check_free(const char *model, const char *schema);

/* ereport(ERROR) unless the model's relations are there, as they were made, and hold keys of the source's types. */
extern void tagrec_store_check_model(const char *model, const char *schema, const TagrecSource *source);

/* ereport(ERROR) unless versions can be written to the partitioned table: plain.c has the rule. */
extern void tagrec_check_plain(Relation relation, TagrecRelation which);

/* ereport(ERROR) if relations with the names of a version's partitions exist. */
extern void tagrec_store_check_version(const char *model, const char *schema, int32 version);

/* The partitioned tables and the views of a new model, for the current user. */
extern void tagrec_store_create(const TagrecPlace *place, const TagrecSource *source);

/* The partitions of a version, empty and not attached; attached, after rows were written with row_writer.h. */
extern void tagrec_store_begin(const TagrecPlace *place);
extern void tagrec_store_end(const TagrecPlace *place);

/* The rows of the weights. Tensors that the rows of users and items contain are not stored again. */
extern void tagrec_store_weights(const TagrecPlace *place, const TrTensor *tensors, int n_tensors);

/* The partitions of a version, filled, attached and analyzed. The arrays come from model, which was trained on data. */
extern void tagrec_store_write(const TagrecPlace *place, const TagrecSource *source, const TagrecData *data,
							   TrModel *model, const TrTensor *tensors, int n_tensors);

/*
 * Drops a version's partitions, or all relations of a model, with RESTRICT; those that are gone already do not matter.
 * The current user must own them, or be a member of their owners.
 */
extern void tagrec_store_drop_version(const TagrecPlace *place);
extern void tagrec_store_drop(const TagrecPlace *place, const int32 *versions, int n_versions);

/* The locks for dropping a version, without waiting; when false, those that were got go with the transaction. */
extern bool tagrec_store_lock_version(const TagrecPlace *place);

/* Gives the relations of a model, with the partitions of these versions, the names of model `name`. */
extern void tagrec_store_rename(const TagrecPlace *place, const char *name, const int32 *versions, int n_versions);

/* Puts them into another schema. */
extern void tagrec_store_set_schema(const TagrecPlace *place, const char *schema, const int32 *versions, int n_versions);

/* Runs one statement. */
extern void tagrec_execute(const char *format,...) pg_attribute_printf(1, 2);

#endif
