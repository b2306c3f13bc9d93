/*
 * Making a version's relations, and taking them away. See store.h for what they look like.
 *
 * A version is written in one transaction: its partitions are filled as tables of their own, which nobody else sees, and
 * then attached, which takes SHARE UPDATE EXCLUSIVE on the partitioned tables and so never waits for a reader or makes
 * one wait.
 *
 * Everything here acts as the owner of the relation at hand (identity.h), whoever has asked: a function behind an index
 * that ATTACH makes, behind statistics that ANALYZE computes, behind a domain's constraint or an event trigger has the
 * owner's rights, and leaves no setting behind. Defaults, triggers, rules, CHECK constraints and generated columns do
 * not run: rows go in through the table access method, into tables that LIKE gives none of them, and ATTACH finds none
 * to hand down (plain.c).
 *
 * Locks are taken in one order: the model's row in the registry (FOR UPDATE), the views, the partitioned tables, the
 * partitions; relations of one kind as TagrecRelation lists them. Who has the row has the model: a writer, a rename and a
 * drop never meet on its relations. Readers take no row, and the relations' locks in the same order.
 *
 * A version that is to go (job_prune.c) makes nobody wait: its locks are taken only where they are free that moment, all
 * of them or none, and else tried again a little later, and by the next job. It stays while a snapshot of this database
 * may still see it as the deployed one: its row in the registry was last written by the transaction that has replaced
 * it, and that must precede every such snapshot but that of a client that waits for the job. Of versions that wait for
 * this, though, only the newest ones may (two): a transaction that has been idle since long before gets an error when it
 * asks a version that is gone, and does not make versions pile up.
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

/* Quoted and schema-qualified. */
extern char *tagrec_place_name(const TagrecPlace *place, const char *relname);

/* ereport(ERROR) when a relation that a new model of that name needs exists already. */
extern void tagrec_store_check_free(const char *model, const char *schema);

/* ereport(ERROR) unless the model's relations are there, as they were made, and hold keys of the source's types. */
extern void tagrec_store_check_model(const char *model, const char *schema, const TagrecSource *source);

/* ereport(ERROR) unless versions can be written to the partitioned table: plain.c has the rule. */
extern void tagrec_check_plain(Relation relation, TagrecRelation which);

/* ereport(ERROR) when relations stand in the way of a version's partitions. */
extern void tagrec_store_check_version(const char *model, const char *schema, int32 version);

/* The partitioned tables and the views of a new model, for the current user. */
extern void tagrec_store_create(const TagrecPlace *place, const TagrecSource *source);

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

/* Runs one statement. */
extern void tagrec_execute(const char *sql);

#endif
