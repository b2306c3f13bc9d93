/*
 * Writing the registry's models and versions. Callers must have checked privileges.
 */
#ifndef TAGREC_VERSION_WRITE_H
#define TAGREC_VERSION_WRITE_H

#include "pg/registry/version.h"

/* A row of tagrec_version. */
typedef struct TagrecVersionRow
{
	int32		model_id;
	int32		version;
	int32		refreshed_from; /* 0 = trained */
	int64		job;
	const char *algorithm;
	const char *task;
	Jsonb	   *options;
	Jsonb	   *requested_options;
	const char *source;
	TagrecColumns columns;
	float		value_least,	/* NAN = none */
				value_most;
	const char *user_features,	/* NULL = none */
			   *item_features;
	const char *user_type,
			   *item_type;
	int32		width,
				unit_width;
	int			features;
	int32		users,
				items,
				tags;
	int64		assignments,
				pairs;
	int32		epochs,
				best_epoch;
	double		loss,			/* NAN = none */
				metric_value;	/* NAN = not measured */
	const char *metric;
	double		seconds;
	const char *backend;
	const char *device;
} TagrecVersionRow;

/*
 * Makes the model's row when there is none, and locks it until the end of the transaction: one writer at a time. *made says
 * whether it is new, *version what the next version's number is.
 */
extern TagrecModel *tagrec_model_lock(const char *model, const char *schema, bool *made, int32 *version);

/* Locks the row of a model in the same way; false if it is gone, or, without waiting, if another session holds it. */
extern bool tagrec_model_hold(int32 model_id);
extern bool tagrec_model_hold_at_once(int32 model_id);

extern void tagrec_version_insert(const TagrecVersionRow *row);

/* The row of a version as JSON, and such a row, from anywhere, as that of another version; the tables' constraints hold. */
extern char *tagrec_version_json(int32 model_id, int32 version);
extern void tagrec_version_import(int32 model_id, int32 version, Jsonb *row);
extern void tagrec_model_deploy(int32 model_id, int32 version);
extern void tagrec_model_rename(int32 model_id, const char *model);
extern void tagrec_model_set_schema(int32 model_id, const char *schema);

/*
 * Versions beyond the `keep` newest ones, the deployed one not counted: their number, and *versions in the current context.
 */
extern int	tagrec_versions_beyond(int32 model_id, int keep, int32 **versions);

/* The transaction that has deployed another version in place of this one; Invalid when it is deployed, or gone. */
extern TransactionId tagrec_version_replaced(int32 model_id, int32 version);

/* A version's result, which stays when the version goes; bytes of its relations. */
extern void tagrec_result_insert(int32 model_id, int32 version, int64 bytes);

/* What a comparison with another version came to. */
extern void tagrec_result_compared(int32 model_id, int32 version, int32 other, const char *metric, double value,
								   double other_value);

/* The number of the next version; fresh as in tagrec_model_find(). */
extern int32 tagrec_version_next(int32 model_id, bool fresh);

/* The newest version below the given one, 0 = none. */
extern int32 tagrec_version_below(int32 model_id, int32 version);
extern void tagrec_version_delete(int32 model_id, int32 version);

/* With all its versions. */
extern void tagrec_model_delete(int32 model_id);

#endif
