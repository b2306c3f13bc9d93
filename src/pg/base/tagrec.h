/*
 * What every file of src/pg shares: the settings, and the one way from a TrError to an ereport().
 */
#ifndef TAGREC_H
#define TAGREC_H

#include "postgres.h"

#include "core/status.h"
#include "pg/base/compat.h"

/* settings (tagrec.c) */
extern int	tagrec_threads;		/* tagrec.threads: most threads of a training worker */
extern int	tagrec_max_memory;	/* tagrec.max_memory: MB a training worker may take, 0 = no limit, -1 = half of all */
extern int	tagrec_max_running_jobs;	/* tagrec.max_running_jobs: that one role runs at once */
extern int	tagrec_max_queued_jobs; /* tagrec.max_queued_jobs: that wait for one role */
extern int	tagrec_max_finished_jobs;	/* tagrec.max_finished_jobs: of one role that are kept, -1 = all */
extern int	tagrec_cache_size;	/* tagrec.cache_size: MB of item matrices a backend keeps */
extern int	tagrec_mapped_size;	/* tagrec.mapped_size: MB of files that sessions share, 0 = none */
extern bool tagrec_fast_scan;	/* tagrec.fast_scan: are rows left out by bounds? */
extern char *tagrec_model_schema;	/* tagrec.model_schema: of new models; "" = the current schema */
extern int	tagrec_progress_interval;	/* tagrec.progress_interval: seconds between progress notices */

/* machine.c: tagrec.max_memory in MB, with half of the machine's, or the control group's, in place of -1. */
extern int	tagrec_memory_limit(void);

/*
 * Raises err at ERROR with the SQLSTATE of its status, when that is not TR_OK; err need not have been filled. Initialise
 * err with {0}.
 */
extern void tagrec_check(TrStatus status, TrError *err);

/* A message of the core as the sentence that a detail is. */
extern char *tagrec_sentence(const char *message);

#endif
