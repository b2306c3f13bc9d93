#include "cpu/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() ((void) 0)
#endif

/* How long a thread looks for work before it sleeps: about as long as waking it would take. */
#define SPINS 1000

struct TrPool
{
	/* Immutable state */
	int			helpers;		/* threads besides the caller */
	pthread_t  *threads;

	/* The operation, written by the caller while every helper is idle */
	TrTask		task;
	void	   *argument;
	int			tasks;
	bool		stop;

	_Atomic unsigned round;		/* counts operations; a change is the start signal */
	_Atomic int next;			/* first task not taken yet */
	_Atomic int busy;			/* helpers that have not finished the round */

	pthread_mutex_t lock;		/* of the two conditions */
	pthread_cond_t start;
	pthread_cond_t done;
};

static void
take_tasks(TrPool *pool)
{
	int			task;

	while ((task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->tasks)
		pool->task(pool->argument, task);
}

static unsigned
wait_for_round(TrPool *pool, unsigned seen)
{
	for (int spin = 0; spin < SPINS; spin++)
	{
		if (atomic_load_explicit(&pool->round, memory_order_acquire) != seen)
			return seen + 1;
		RELAX();
	}
	pthread_mutex_lock(&pool->lock);
	while (atomic_load_explicit(&pool->round, memory_order_acquire) == seen)
		pthread_cond_wait(&pool->start, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	return seen + 1;
}

static void *
helper_main(void *argument)
{
	TrPool	   *pool = argument;
	unsigned	round = 0;

	for (;;)
	{
		round = wait_for_round(pool, round);
		if (pool->stop)
			return NULL;
		take_tasks(pool);
		if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1)
		{
			pthread_mutex_lock(&pool->lock);
			pthread_cond_signal(&pool->done);
			pthread_mutex_unlock(&pool->lock);
		}
	}
}

static void
start_round(TrPool *pool)
{
	atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
	atomic_store_explicit(&pool->busy, pool->helpers, memory_order_relaxed);
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
	pthread_cond_broadcast(&pool->start);
	pthread_mutex_unlock(&pool->lock);
}

static void
wait_for_helpers(TrPool *pool)
{
	for (int spin = 0; spin < SPINS; spin++)
	{
		if (atomic_load_explicit(&pool->busy, memory_order_acquire) == 0)
			return;
		RELAX();
	}
	pthread_mutex_lock(&pool->lock);
	while (atomic_load_explicit(&pool->busy, memory_order_acquire) != 0)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

void
tr_pool_run(TrPool *pool, TrTask task, void *argument, int tasks)
{
	if (pool->helpers == 0 || tasks <= 1)
	{
		for (int i = 0; i < tasks; i++)
			task(argument, i);
		return;
	}
	pool->task = task;
	pool->argument = argument;
	pool->tasks = tasks;
	start_round(pool);
	take_tasks(pool);
	wait_for_helpers(pool);
}

/* Starts helpers until pool->helpers = wanted; returns an errno. */
static int
start_helpers(TrPool *pool, int wanted)
{
	sigset_t	all;
	sigset_t	old;
	int			error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (error == 0 && pool->helpers < wanted)
	{
		error = pthread_create(&pool->threads[pool->helpers], NULL, helper_main, pool);
		pool->helpers += error == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

TrStatus
tr_pool_open(TrPool **pool, int threads, TrError *err)
{
	TrPool	   *new = calloc(1, sizeof(TrPool));
	int			error;

	if (!new || !(new->threads = calloc(threads, sizeof(pthread_t))))
	{
		free(new);
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	}
	pthread_mutex_init(&new->lock, NULL);
	pthread_cond_init(&new->start, NULL);
	pthread_cond_init(&new->done, NULL);
	error = start_helpers(new, threads - 1);
	if (error != 0)
	{
		tr_fail(err, TR_BACKEND, "could not start thread %d of %d: %s", new->helpers + 2, threads, strerror(error));
		tr_pool_close(new);
		return TR_BACKEND;
	}
	*pool = new;
	return TR_OK;
}

void
tr_pool_close(TrPool *pool)
{
	if (!pool)
		return;
	pool->stop = true;
	start_round(pool);
	for (int i = 0; i < pool->helpers; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->start);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}
