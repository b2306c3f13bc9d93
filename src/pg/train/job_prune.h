/*
 * Dropping the versions that are not kept. See job_prune.c.
 */
#ifndef TAGREC_JOB_PRUNE_H
#define TAGREC_JOB_PRUNE_H

#include "pg/store/write.h"
#include "pg/train/job_running.h"

/* Those of the job's model beyond the newest, so many; patiently: retries those in use for a moment. */
extern void tagrec_prune(const TagrecRunningJob *job, int keep, bool patiently);

/* In this transaction, of the model whose row it has locked; those in use stay. It should end soon: readers wait for it. */
extern void tagrec_prune_here(const TagrecPlace *last, int keep);

#endif
