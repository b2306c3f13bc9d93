/*
 * A job of tagrec_recommend_into(): reads the users and items of the deployed version, finds the best items of each user,
 * and writes the table. No transaction is open in between.
 *
 * Where scores are inner products alone, a backend multiplies blocks of users by tiles of items, and what that leaves in
 * the race is scored exactly (core/screen.h). Other scores are computed as tagrec_recommend_all() does. Either way they are
 * those of every other query, to the bit.
 *
 * Legend: U users, B users of a block, N items, T items of a tile, K numbers of a vector, n items of a user.
 */
#include "pg/train/job_recommend.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>

#include "core/screen.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/registry/job_row.h"
#include "pg/serve/scorer.h"
#include "pg/train/backend_load.h"
#include "pg/train/ranking_table.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* A product, 600 kB, stays in the second level cache of who makes it. */
#define BLOCK_USERS 384
#define TILE_ITEMS 384

/* Blocks of a thread between two looks at the interrupts: some 10 ms */
#define ROUND_BLOCKS 16

/* Blocks and tiles of scores that are computed here */
#define SLOW_BLOCK_USERS 64
#define SLOW_TILE_ITEMS 252

#define MOST_HANDS 64

/* Seconds between two notes of how far it is */
#define NOTE_INTERVAL 1.0

typedef struct Recommending
{
	TagrecTraining *training;
	const TagrecRunningJob *job;
	TagrecScorer *scorer;
	int32		version;
	int32		users;
	int32		items;
	int			width;
	size_t		stride;
	int			n;
	Oid			user_type;
	Oid			user_collation;
	int16		key_length;		/* of a user's key */
	bool		key_by_value;
	int64		done;			/* pairs of user and item */
	instr_time	noted;
	char		phase[64];

	/* of each user */
	int32		read;
	Datum	   *key;
	float	   *vector;			/* (U,K) padded */
	double	   *norm;
	int32	  **seen;
	int32	   *n_seen;
	TrSparse   *sparse;			/* NULL = scores have no sparse part */
	TrTopN	   *top;
} Recommending;

/* ------------------------------------------------------------------ reading */

static Size
bytes_needed(const Recommending *r)
{
	Size		user = sizeof(Datum) + r->stride * sizeof(float) + sizeof(double) + sizeof(int32 *) + sizeof(int32) +
		sizeof(TrTopN) + (Size) r->n * sizeof(TrScored);

	return (Size) r->users * user + (Size) r->items * r->stride * sizeof(float);
}

static void
check_memory(const Recommending *r)
{
	Size		limit = (Size) r->job->request->max_memory << 20;

	if (limit == 0 || bytes_needed(r) <= limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("recommending needs about %zu MB, but tagrec.max_memory allows %zu MB", (bytes_needed(r) >> 20) + 1,
					limit >> 20),
			 errdetail("The model has %d users and %d items, and each user gets %d.", r->users, r->items, r->n),
			 errhint("Increase tagrec.max_memory, or ask for fewer items.")));
}

static void *
many(const Recommending *r, Size size)
{
	return MemoryContextAllocExtended(r->job->context, Max((Size) r->users * size, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
allocate(Recommending *r)
{
	r->key = many(r, sizeof(Datum));
	r->vector = tagrec_padded_vectors(r->users, r->width);
	r->norm = many(r, sizeof(double));
	r->seen = many(r, sizeof(int32 *));
	r->n_seen = many(r, sizeof(int32));
	r->top = many(r, sizeof(TrTopN));
	if (r->scorer->neighbours)
		r->sparse = many(r, sizeof(TrSparse));
	for (int32 u = 0; u < r->users; u++)
		tr_topn_init(&r->top[u], MemoryContextAllocHuge(r->job->context, Max((Size) r->n, 1) * sizeof(TrScored)), r->n);
}

static void *
copy(const void *from, Size bytes)
{
	return bytes > 0 ? memcpy(palloc(bytes), from, bytes) : NULL;
}

/* No less than the length. */
static double
length_of(const float *x, int n)
{
	double		sum = 0;

	for (int k = 0; k < n; k++)
		sum += (double) x[k] * x[k];
	return sqrt(sum) * (1 + 1e-12);
}

/* The row's values are in a batch's context; what is kept goes to the job's. */
static void
take_user(Recommending *r, const TagrecScan *scan)
{
	int32		u = r->read++;
	TagrecRow	row;
	const int32 *out;
	MemoryContext batch;

	if (u >= r->users)
		return;
	tagrec_get_user(&row, scan);
	batch = MemoryContextSwitchTo(r->job->context);
	r->key[u] = datumCopy(tagrec_get_key(scan, User_user_id), r->key_by_value, r->key_length);
	memcpy(r->vector + (Size) u * r->stride, row.embedding, r->width * sizeof(float));
	r->norm[u] = length_of(row.embedding, r->width);
	out = tagrec_row_out(&row, r->job->request->exclude_seen, &r->n_seen[u]);
	r->seen[u] = copy(out, r->n_seen[u] * sizeof(int32));
	if (r->sparse)
		r->sparse[u] = (TrSparse) {
			.n = row.sparse.n,
			.index = copy(row.sparse.index, row.sparse.n * sizeof(int32)),
			.value = copy(row.sparse.value, row.sparse.n * sizeof(float))
		};
	MemoryContextSwitchTo(batch);
}

static void
read_users(Recommending *r, TagrecCall *call)
{
	MemoryContext batch = AllocSetContextCreate(r->job->context, "tagrec users", ALLOCSET_DEFAULT_SIZES);
	TagrecScan	scan = tagrec_scan_all(call->tables.users);

	while (tagrec_scan_next(&scan))
	{
		MemoryContext before = MemoryContextSwitchTo(batch);

		take_user(r, &scan);
		MemoryContextSwitchTo(before);
		MemoryContextReset(batch);
	}
	tagrec_scan_end(&scan);
	MemoryContextDelete(batch);
	if (r->read != r->users)
		tagrec_version_corrupted(call->version, psprintf("It has %d users instead of %d.", r->read, r->users));
}

/* What the cache holds of the version stays there: this process asks no other query. */
static void
read_model(Recommending *r)
{
	TagrecCall *call;

	tagrec_progress_phase(r->training->progress, "reading", NULL, NULL);
	tagrec_worker_begin(r->job->context);
	call = tagrec_call_begin(r->job->request->model);
	MemoryContextSwitchTo(r->job->context);
	r->scorer = tagrec_scorer(call, SLOW_BLOCK_USERS);
	r->version = call->version->version;
	r->users = call->version->users;
	r->items = r->scorer->items->rows;
	r->width = r->scorer->width;
	r->stride = r->scorer->stride;
	r->n = Min(r->job->request->best, r->items);
	r->user_type = call->tables.users->key_type;
	r->user_collation = call->tables.users->collation;
	get_typlenbyval(r->user_type, &r->key_length, &r->key_by_value);
	check_memory(r);
	allocate(r);
	read_users(r, call);
	tagrec_call_end(call);
	tagrec_worker_commit(r->job->context);
}

/* ------------------------------------------------------------------ finding */

static void
poll(Recommending *r, int64 pairs)
{
	TrError		err = {0};

	r->done += pairs;
	if (tagrec_running_cancelled(r->job))
		tagrec_check(TR_CANCELLED, &err);
	if (tagrec_seconds_since(r->noted) < NOTE_INTERVAL)
		return;
	snprintf(r->phase, sizeof(r->phase), "recommending, %d %%",
			 (int) (100.0 * (double) r->done / Max((double) r->users * r->items, 1)));
	tagrec_progress_phase(r->training->progress, r->phase, NULL, NULL);
	INSTR_TIME_SET_CURRENT(r->noted);
}

/* One of a user's pairs. */
typedef struct Pair
{
	const Recommending *r;
	int32		user;
} Pair;

static float
exact_score(void *argument, int32 item)
{
	const Pair *pair = argument;
	const Recommending *r = pair->r;

	return tr_dot(r->vector + (Size) pair->user * r->stride, tagrec_matrix_row(r->scorer->items, item), r->stride);
}

static float *
on_device(TrBackend *b, Size floats)
{
	float	   *room = b->ops->alloc(b, Max(floats, 1) * sizeof(float));
	TrError		err = {0};

	if (room)
		return room;
	tr_fail(&err, TR_NO_MEMORY, "no memory for %zu MB on device \"%s\"", floats * sizeof(float) >> 20, b->ops->name);
	if (b->ops->shortage)
		b->ops->shortage(b, &err);
	tagrec_check(TR_NO_MEMORY, &err);
	return NULL;
}

/*
 * Who multiplies and screens: this process alone on a GPU, else as many threads as a training has. A thread has users of
 * its own, runs nothing of the server's, and serves no signals.
 */
typedef struct Hand
{
	Recommending *r;
	TrBackend  *b;
	const float *vectors;		/* (U,K) and */
	const float *tile;			/* (T,K), both in the backend's memory */
	float	   *product;		/* (B,T) there */
	float	   *near;			/* (B,T) in the host's: the product itself, where that is the backend's */
	int32		user;			/* the first of its users of this round, */
	int32		end;			/* and behind the last */
	int32		first;			/* the first item of the tile */
	int32		n;				/* its items */
	double		most;			/* the largest length of an item */
	TrStatus	status;
	TrError		err;
} Hand;

static void
screen_block(Hand *hand, int32 user, int32 users)
{
	Recommending *r = hand->r;

	for (int32 u = 0; u < users; u++)
	{
		Pair		pair = {r, user + u};
		TrScreen	screen = {
			.score = exact_score, .arg = &pair, .skip = r->seen[user + u], .n_skip = r->n_seen[user + u]
		};

		tr_screen(&screen, &r->top[user + u], hand->near + (Size) u * hand->n,
				  tr_screen_slack(r->width, r->stride, r->norm[user + u], hand->most), hand->first, hand->n);
	}
}

/* All of a hand's users of a round against the tile. */
static void *
work(void *argument)
{
	Hand	   *hand = argument;
	Recommending *r = hand->r;
	TrBackend  *b = hand->b;
	int			stride = (int) r->stride;

	for (int32 user = hand->user; user < hand->end && hand->status == TR_OK; user += BLOCK_USERS)
	{
		int32		users = Min(BLOCK_USERS, hand->end - user);

		b->ops->gemm(b, hand->product, hand->n, hand->vectors + (Size) user * r->stride, stride, false, hand->tile, stride,
					 true, users, hand->n, r->width, 1, 0);
		if (hand->near != hand->product)
			b->ops->download(b, hand->near, hand->product, (Size) users * hand->n * sizeof(float));
		hand->status = b->ops->finish(b, &hand->err);
		if (hand->status == TR_OK)
			screen_block(hand, user, users);
	}
	return NULL;
}

/* Runs all hands, this thread being the first one. No thread is left when it returns; a hand without one is run here. */
static void
work_together(Hand *hand, int hands)
{
	pthread_t	thread[MOST_HANDS];
	bool		runs[MOST_HANDS] = {false};
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	for (int i = 1; i < hands; i++)
		runs[i] = pthread_create(&thread[i], NULL, work, &hand[i]) == 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	for (int i = 0; i < hands; i++)
		if (!runs[i])
			(void) work(&hand[i]);
	for (int i = 1; i < hands; i++)
		if (runs[i])
			(void) pthread_join(thread[i], NULL);
	for (int i = 0; i < hands; i++)
		tagrec_check(hand[i].status, &hand[i].err);
}

/* Backends of one thread each, that several threads multiply at once; they go with the process if the job fails. */
static int
take_hands(Recommending *r, Hand *hand, TrBackend *b)
{
	bool		host = !b->ops->available;
	int			hands = host ? Min(r->job->request->threads, MOST_HANDS) : 1;

	for (int i = 0; i < hands; i++)
	{
		hand[i] = (Hand) {.r = r, .b = b};
		if (hands > 1)
			hand[i].b = tagrec_backend_open((TagrecDevice) {.kind = TAGREC_CPU}, 1, TR_FP32);
		hand[i].product = on_device(hand[i].b, (Size) BLOCK_USERS * TILE_ITEMS);
		hand[i].near = host ? hand[i].product : palloc((Size) BLOCK_USERS * TILE_ITEMS * sizeof(float));
	}
	return hands;
}

/* The users, in rounds, against items first .. first+n-1, which are in the backend's memory. */
static void
multiply_tile(Recommending *r, Hand *hand, int hands, int32 first, int32 n)
{
	const float *rows = tagrec_matrix_row(r->scorer->items, first);
	int32		share = BLOCK_USERS * ROUND_BLOCKS;
	double		most = 0;

	for (int32 i = 0; i < n; i++)
		most = Max(most, length_of(rows + (Size) i * r->stride, r->width));
	for (int64 user = 0; user < r->users; user += (int64) share * hands)
	{
		int64		users = Min((int64) share * hands, r->users - user);

		for (int i = 0; i < hands; i++)
		{
			hand[i].user = (int32) (user + users * i / hands);
			hand[i].end = (int32) (user + users * (i + 1) / hands);
			hand[i].first = first;
			hand[i].n = n;
			hand[i].most = most;
		}
		work_together(hand, hands);
		poll(r, users * n);
	}
}

static void
find_by_products(Recommending *r)
{
	TrBackend  *b = tagrec_backend_open(tagrec_device(r->job->request->device), r->job->request->threads, TR_FP32);
	Hand		hand[MOST_HANDS];
	int			hands;
	float	   *vectors;
	float	   *tile;

	r->training->backend = b;
	hands = take_hands(r, hand, b);
	vectors = on_device(b, (Size) r->users * r->stride);
	tile = on_device(b, TILE_ITEMS * r->stride);
	b->ops->upload(b, vectors, r->vector, (Size) r->users * r->stride * sizeof(float));
	for (int i = 0; i < hands; i++)
	{
		hand[i].vectors = vectors;
		hand[i].tile = tile;
	}
	for (int32 first = 0; first < r->items; first += TILE_ITEMS)
	{
		int32		n = Min(TILE_ITEMS, r->items - first);

		b->ops->upload(b, tile, tagrec_matrix_row(r->scorer->items, first), (Size) n * r->stride * sizeof(float));
		multiply_tile(r, hand, hands, first, n);
	}
	for (int i = 0; i < hands && hands > 1; i++)
		hand[i].b->ops->close(hand[i].b);
}

/* Users `user` and on, as many as the scorer takes; returns how many. */
static int32
find_of_block(Recommending *r, int32 user, float *score)
{
	int32		users = Min(r->scorer->limit, r->users - user);
	static const TrSparse none;

	r->scorer->users = 0;
	for (int32 u = user; u < user + users; u++)
		tagrec_scorer_add(r->scorer, r->vector + (Size) u * r->stride, r->sparse ? &r->sparse[u] : &none);
	for (int32 first = 0; first < r->items; first += SLOW_TILE_ITEMS)
	{
		int32		n = Min(SLOW_TILE_ITEMS, r->items - first);

		tagrec_score_tile(r->scorer, score, n, first, n);
		for (int32 u = 0; u < users; u++)
		{
			TrScreen	screen = {.skip = r->seen[user + u], .n_skip = r->n_seen[user + u]};

			tr_screen(&screen, &r->top[user + u], score + (Size) u * n, 0, first, n);
		}
		poll(r, (int64) users * n);
	}
	return users;
}

static void
find(Recommending *r)
{
	float	   *score;

	tagrec_progress_phase(r->training->progress, "recommending", NULL, NULL);
	INSTR_TIME_SET_CURRENT(r->noted);
	if (r->n == 0)
		return;
	if (!r->scorer->network && !r->scorer->neighbours && !r->scorer->caution && r->width > 0)
	{
		find_by_products(r);
		return;
	}
	score = palloc((Size) SLOW_BLOCK_USERS * SLOW_TILE_ITEMS * sizeof(float));
	for (int32 user = 0; user < r->users;)
		user += find_of_block(r, user, score);
}

/* ------------------------------------------------------------------ writing */

static int64
put_rows(Recommending *r, TupleDesc desc, Tuplestorestate *rows)
{
	int64		count = 0;

	for (int32 u = 0; u < r->users; u++)
	{
		TrTopN	   *top = &r->top[u];

		CHECK_FOR_INTERRUPTS();
		tr_topn_sort(top);
		for (int i = 0; i < top->count; i++)
		{
			Datum		values[4] = {
				r->key[u], Int32GetDatum(i + 1), tagrec_matrix_key(r->scorer->items, top->best[i].index),
				Float4GetDatum(top->best[i].score)
			};
			bool		nulls[4] = {false};

			tuplestore_putvalues(rows, desc, values, nulls);
		}
		count += top->count;
	}
	return count;
}

static int64
write_table(Recommending *r)
{
	const TagrecRequest *request = r->job->request;
	const TagrecMatrix *items = r->scorer->items;
	Tuplestorestate *rows;
	TupleDesc	desc;
	int64		count;

	tagrec_progress_phase(r->training->progress, "writing", r->training->backend, NULL);
	tagrec_worker_begin(r->job->context);
	desc = tagrec_ranking_desc(r->user_type, r->user_collation, items->key_type, items->collation);
	rows = tuplestore_begin_heap(false, false, work_mem);
	count = put_rows(r, desc, rows);
	tagrec_ranking_write(request->target_schema, request->target, desc, rows, count);
	tuplestore_end(rows);
	tagrec_job_done(r->job->number, r->version, bytes_needed(r));
	tagrec_worker_commit(r->job->context);
	return count;
}

void
tagrec_recommend_run(TagrecTraining *training)
{
	Recommending r = {.training = training, .job = training->job};
	int64		count;

	read_model(&r);
	find(&r);
	count = write_table(&r);
	if (training->job->shared)
		ereport(NOTICE,
				(errmsg("wrote %lld recommendations of model \"%s\" to table \"%s\" in %.1f s", (long long) count,
						training->job->request->model, training->job->request->target,
						tagrec_seconds_since(training->job->started)),
				 errdetail("Version %d, %d users and %d items.", r.version, r.users, r.items)));
}
