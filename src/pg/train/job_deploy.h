/*
 * deploy => 'if_better': whether a new version is deployed. See job_deploy.c.
 */
#ifndef TAGREC_JOB_DEPLOY_H
#define TAGREC_JOB_DEPLOY_H

#include "pg/train/job_training.h"

/*
 * In a transaction of its own: compares the version that was trained and written with the deployed one, deploys it if it is
 * not worse, and marks the job as done. Returns whether it is deployed.
 */
extern bool tagrec_deploy_if_better(TagrecTraining *training, int32 version);

#endif
