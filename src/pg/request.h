/*
 * What a job is asked to do. It travels as a jsonb object: in tagrec_job.request, and in the shared memory that a waiting
 * client hands to its worker.
 */
#ifndef TAGREC_REQUEST_H
#define TAGREC_REQUEST_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct TagrecRequest
{
	char	   *kind;			/* "train" or "refresh" */
	char	   *model;
	char	   *schema;			/* of the model's relations */
	char	   *algorithm;
	Jsonb	   *options;		/* train: as the user gave them. refresh: the effective ones of the version */
	Jsonb	   *requested;		/* refresh: what the user once gave; train: NULL */
	int			version;		/* refresh: whose weights */
	Oid			source;
	Oid			validation_source;	/* held-out pairs; InvalidOid = none */
	char	   *user_column,
			   *item_column,
			   *tag_column,
			   *weight_column;	/* NULL = none */
	char	   *device;
	int			threads;		/* settings of the session that asked */
	int			max_memory;
	int			progress_interval;
} TagrecRequest;

extern char *tagrec_request_text(const TagrecRequest *request);
extern TagrecRequest *tagrec_request_read(Jsonb *object);
extern Jsonb *tagrec_jsonb(const char *text);

static inline bool
tagrec_request_is_refresh(const TagrecRequest *request)
{
	return strcmp(request->kind, "refresh") == 0;
}

#endif
