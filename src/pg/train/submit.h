/*
 * What tagrec_train(), tagrec_tune() and tagrec_refresh() have in common: the checks of server, role, source and place that
 * come before a job, in the caller's statement, and the job's submission. All raise their errors.
 */
#ifndef TAGREC_SUBMIT_H
#define TAGREC_SUBMIT_H

#include "postgres.h"

#include "fmgr.h"
#include "pg/base/options.h"
#include "pg/registry/request.h"
#include "pg/source/source.h"
#include "pg/train/tune_space.h"

/* May this server, this transaction, this role train? function is for messages: "tagrec_train()". */
extern void tagrec_submit_check_server(const char *function);
extern void tagrec_submit_check_node(void);
extern void tagrec_submit_check_unwritten(const char *function);	/* for a job that is waited for */
extern void tagrec_submit_check_role(void);

/*
 * Fills the columns of the source, four arguments in the order of the struct, and from another argument on the two last
 * ones, and the relations of attributes.
 */
extern void tagrec_submit_columns(TagrecRequest *request, FunctionCallInfo fcinfo, int first, int then);

/* An argument that may be NULL: the default, which depends on whether there are tags. */
extern char *tagrec_submit_algorithm(FunctionCallInfo fcinfo, int argument, const TagrecRequest *request, bool tuned);

/* When the version is to be deployed: one of the values of the argument. */
extern char *tagrec_submit_deploy(FunctionCallInfo fcinfo, int argument, const char *function);

/* Options by which pairs are held out, where the version is to be compared with the deployed one and has none. */
extern void tagrec_submit_comparison(TagrecRequest *request);

/*
 * The rest of the request of a new training, once it is sure of its device, its source and held-out pairs, its role, and
 * that the model's relations can be made, or that the caller owns the model if there is one. What is remembered is looked
 * at as the model's owner: a name in the registry may refer to another relation by now.
 */
extern void tagrec_submit_check(TagrecRequest *request, const TagrecOptions *options);

/* Fills source from the request. May relations be created in the schema? */
extern void tagrec_submit_check_source(TagrecSource *source, const TagrecRequest *request);
extern void tagrec_submit_check_schema(const char *schema, Oid owner);

/*
 * The schema of a model that is there, or of one that is to be made, by the option schema; ereport(ERROR) unless the
 * current user may write a version there, with keys of the source's types. Models trained earlier by this statement or
 * transaction count, though its snapshot does not show them.
 */
extern char *tagrec_submit_schema(const char *model, const TagrecOptions *options, const TagrecSource *source);

/*
 * NOTICE when a training that was checked is of a model whose deployed version has other settings: which they are. See
 * differences.c.
 */
extern void tagrec_tell_differences(const TagrecRequest *request, TagrecOptions *options);

/* Adds the session's settings, and submits the job, or runs it and waits for it; returns its number. */
extern int64 tagrec_submit(TagrecRequest *request, bool wait, const char *function);

#endif
