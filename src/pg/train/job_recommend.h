/*
 * Writing the best items of all users to a table.
 */
#ifndef TAGREC_JOB_RECOMMEND_H
#define TAGREC_JOB_RECOMMEND_H

#include "pg/train/job_training.h"

/* All of the job; uses the training's backend. The job is done when this has not raised an error. */
extern void tagrec_recommend_run(TagrecTraining *training);

#endif
