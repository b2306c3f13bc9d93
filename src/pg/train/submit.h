/*
 * What tagrec_train(), tagrec_tune() and tagrec_refresh() have in common: the checks of server, role, source and place that
 * come before a job, in the caller's statement, and the job's submission. All raise their errors.
 */
#ifndef TAGREC_SUBMIT_H
#define TAGREC_SUBMIT_H

#include "postgres.h"

#include "pg/base/options.h"
#include "pg/registry/request.h"
#include "pg/source/source.h"

/* May this server, this transaction, this role train? function is for messages: "tagrec_train()". */
extern void tagrec_submit_check_server(const char *function);
extern void tagrec_submit_check_unwritten(const char *function);	/* for a job that is waited for */
extern void tagrec_submit_check_role(void);

/* Fills source from the request. */
extern void tagrec_submit_check_source(TagrecSource *source, const TagrecRequest *request);

/* The relation that the option validation_source names, as this session finds it. */
extern Oid	tagrec_submit_validation_source(const TagrecRequest *request, const char *name);

/*
 * The schema of the model's relations, once it is sure that they can be made there, and that the caller owns the model if
 * there is one.
 */
extern char *tagrec_submit_schema(const char *model, const TagrecOptions *options, const TagrecSource *source);
extern void tagrec_submit_check_schema(const char *schema, Oid owner);

/* Adds the session's settings, and submits the job, or runs it and waits for it; returns its number. */
extern int64 tagrec_submit(TagrecRequest *request, bool wait, const char *function);

#endif
