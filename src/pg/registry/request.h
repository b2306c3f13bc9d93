/*
 * What a job is to do. It is passed as a jsonb object: in tagrec_job.request, and in the shared memory that a waiting
 * client hands to its worker.
 */
#ifndef TAGREC_REQUEST_H
#define TAGREC_REQUEST_H

#include "postgres.h"

#include "pg/base/source_columns.h"
#include "utils/jsonb.h"

typedef struct TagrecRequest
{
	char	   *kind;			/* "train", "tune", "refresh" or "recommend" */
	char	   *model;
	char	   *schema;			/* of the model's relations */
	char	   *algorithm;
	/*
	 * train: as the user gave them; tune: those that are the same for all trials; refresh: the effective ones of the
	 * version
	 */
	Jsonb	   *options;
	Jsonb	   *requested;		/* refresh: what the user once gave; auto: what he gives; else NULL */
	int			version;		/* refresh: whose weights */
	Jsonb	   *space;			/* tune, with the next four: see tune_space.h; else NULL */
	int			trials;			/* at most */
	int64		search_seed;
	bool		resume;			/* trials that have been done before count */
	char	   *deploy;			/* "always", "if_better" or "never"; NULL = always */
	bool		remembered;		/* source and settings are those of the deployed version: read as the model's owner */
	bool		refit;			/* the best options are trained again with the held-out pairs */
	Oid			source;
	Oid			validation_source;	/* held-out pairs; InvalidOid = none */
	TagrecColumns columns;
	Oid			user_features,	/* relations of attributes; InvalidOid = none */
				item_features;
	char	   *target_schema;	/* recommend, with the next three: the table that is written */
	char	   *target;
	int			best;			/* items for each user */
	bool		exclude_seen;
	char	   *device;
	int			threads;		/* settings of the session that asked */
	int			max_memory;
	int			progress_interval;
} TagrecRequest;

extern char *tagrec_request_text(const TagrecRequest *request);
extern TagrecRequest *tagrec_request_read(Jsonb *object);
extern Jsonb *tagrec_jsonb(const char *text);

/* {"name": text}, as a string whatever it looks like; the name is plain ASCII. */
extern Jsonb *tagrec_jsonb_text(const char *name, const char *text);

static inline bool
tagrec_request_is_refresh(const TagrecRequest *request)
{
	return strcmp(request->kind, "refresh") == 0;
}

static inline bool
tagrec_request_if_better(const TagrecRequest *request)
{
	return request->deploy && strcmp(request->deploy, "if_better") == 0;
}

static inline bool
tagrec_request_is_tune(const TagrecRequest *request)
{
	return strcmp(request->kind, "tune") == 0;
}

static inline bool
tagrec_request_is_recommend(const TagrecRequest *request)
{
	return strcmp(request->kind, "recommend") == 0;
}

#endif
