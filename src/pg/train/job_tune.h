/*
 * Tuning. See job_tune.c.
 */
#ifndef TAGREC_JOB_TUNE_H
#define TAGREC_JOB_TUNE_H

#include "pg/train/job_training.h"

/*
 * Trains the trials that the job's request asks for, and with the best one's options the model to deploy. Returns the
 * options by which tagrec_train() would train it again.
 */
extern Jsonb *tagrec_tune_run(TagrecTraining *training);

#endif
