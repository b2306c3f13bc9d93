/*
 * What auto does with its trials. See job_auto.c.
 */
#ifndef TAGREC_JOB_AUTO_H
#define TAGREC_JOB_AUTO_H

#include "pg/train/auto.h"
#include "pg/train/trials.h"

/* Of a job and its training: sets the options of what is chosen, and returns them as tagrec_train() would take them. */
extern Jsonb *tagrec_auto_run(TagrecTrials *t);

#endif
