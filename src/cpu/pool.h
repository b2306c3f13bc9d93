/*
 * A fixed set of threads that share the tasks of one operation at a time. Which thread runs a task varies, but the result
 * does not: tasks do not depend on the number of threads and write to separate places.
 */
#ifndef TR_POOL_H
#define TR_POOL_H

#include "core/status.h"

typedef struct TrPool TrPool;

typedef void (*TrTask) (void *argument, int task);

/* threads >= 1 counts the caller; 1 creates none. Every signal is blocked in the others. */
extern TrStatus tr_pool_open(TrPool **pool, int threads, TrError *err);
extern void tr_pool_close(TrPool *pool);

/* Runs task(argument, 0 … tasks-1) and returns when all are done. Only one caller at a time. */
extern void tr_pool_run(TrPool *pool, TrTask task, void *argument, int tasks);

#endif
