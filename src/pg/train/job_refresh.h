/*
 * Refreshing: reading the source and loading the network of a version, in place of a training. See job_refresh.c.
 */
#ifndef TAGREC_JOB_REFRESH_H
#define TAGREC_JOB_REFRESH_H

#include "pg/train/job_training.h"

extern void tagrec_refresh_read(const TagrecRequest *request, TagrecSource *source, TagrecData *data, TrAssignments *raw);
extern void tagrec_refresh_model(TagrecTraining *training);

#endif
