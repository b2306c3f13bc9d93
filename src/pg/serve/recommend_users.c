/*
 * tagrec_recommend_users() and tagrec_recommend_users_as(): to whom to show an item. Scores come from the users' rows: what
 * users have, and the features of their scores, are nowhere else. A row of the matrix of users is one of the table, in the
 * order of the keys.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/ascending.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/rank.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_users);
PG_FUNCTION_INFO_V1(tagrec_recommend_users_as);

/* Arguments, as sql/newcomers.sql declares them; with _as, the type of the users comes before them. */
enum
{
	Arg_model,
	Arg_item,
	Arg_n,
	Arg_exclude_seen,
	Arg_rules
};

/* When no more than one user in so many is left, these rows are looked up; else all are scanned. */
#define LIST_SHARE 16

/* Users between two looks at the memory. */
#define BATCH_USERS 256

/* Users and their scores, as they are found. */
typedef struct Listing
{
	TagrecCall *call;
	const TagrecMatrix *users;
	TagrecEncoder *network;		/* NULL = inner products */
	const TagrecNeighbours *neighbours; /* NULL = scores have no sparse part */
	const TagrecRow *item;
	bool		exclude_seen;
	TrScored   *listed;			/* (users) */
	int32		n;
} Listing;

static void
take_user(Listing *l, const TagrecRow *user, int32 row)
{
	float		score;
	int32		n_out;
	const int32 *out = tagrec_row_out(user, l->exclude_seen, &n_out);

	if (tr_find_ascending(out, n_out, l->item->position) >= 0)
		return;
	score = tagrec_score_arrays(l->network, user->embedding, l->item->embedding, l->call->version->width);
	if (l->neighbours)
		score += tagrec_neighbours_pair(l->neighbours, &user->sparse, l->item->position);
	score -= tagrec_caution(l->call->version, l->item->posts);
	l->listed[l->n++] = (TrScored) {score, row};
}

/* Those that are not in the set (NULL = all), in one pass. */
static void
scan_users(Listing *l, const uint64 *out)
{
	MemoryContext batch = AllocSetContextCreate(l->call->context, "tagrec users", ALLOCSET_DEFAULT_SIZES);
	TagrecScan	scan = tagrec_scan_ordered(l->call->tables.users);
	MemoryContext old = MemoryContextSwitchTo(batch);
	int32		row = 0;

	for (; row < l->users->rows && tagrec_scan_next(&scan); row++)
	{
		TagrecRow	user;

		CHECK_FOR_INTERRUPTS();
		if (out && tr_bit_test(out, row))
			continue;
		tagrec_get_user(&user, &scan);
		take_user(l, &user, row);
		if (row % BATCH_USERS == BATCH_USERS - 1)
			MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(old);
	tagrec_scan_end(&scan);
	MemoryContextDelete(batch);
	if (row < l->users->rows)
		tagrec_version_corrupted(l->call->version, psprintf("It has %d users instead of %d.", row, l->users->rows));
}

/* The same, one by one. */
static void
look_up_users(Listing *l, const uint64 *out)
{
	for (int32 row = 0; row < l->users->rows; row++)
	{
		TagrecRow	user;

		if (tr_bit_test(out, row))
			continue;
		CHECK_FOR_INTERRUPTS();
		if (tagrec_find_user_key(l->call, tagrec_matrix_key(l->users, row), &user))
			take_user(l, &user, row);
	}
}

static int32
size_of(const uint64 *set, int32 rows)
{
	int32		size = 0;

	for (int32 row = 0; row < rows; row++)
		size += tr_bit_test(set, row);
	return size;
}

static void
list_users(Listing *l, TagrecCall *call, const TagrecRow *item, const TagrecRules *rules)
{
	TagrecChoice choice = {0};
	int32		rows;

	l->call = call;
	l->item = item;
	l->users = tagrec_call_users(call);
	l->network = tagrec_call_network(call);
	l->neighbours = call->version->features ? tagrec_call_neighbours(call) : NULL;
	rows = l->users->rows;
	l->listed = MemoryContextAllocHuge(call->context, ((Size) rows + 1) * sizeof(TrScored));
	tagrec_choose(&choice, call, rules, l->users, call->version->columns.user);
	if (choice.out && rows - size_of(choice.out, rows) <= rows / LIST_SHARE)
		look_up_users(l, choice.out);
	else
		scan_users(l, choice.out);
}

static Datum
recommend_users(FunctionCallInfo fcinfo, int first, bool typed)
{
	char	   *model = tagrec_model_argument(fcinfo, first + Arg_model);
	TagrecRanking ranking = {.users = true, .key_type = TEXTOID, .n = tagrec_limit_argument(fcinfo, first + Arg_n)};
	Listing		listing = {.exclude_seen = tagrec_flag_argument(fcinfo, first + Arg_exclude_seen, "exclude_seen")};
	TagrecRules rules;
	TagrecCall *call;
	TagrecId	id;
	TagrecRow	item;

	tagrec_rules_arguments(fcinfo, first + Arg_rules, &rules);
	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, rules.version, TAGREC_ASKS_ITEMS);
	if (typed)
		ranking.key_type = tagrec_result_type(fcinfo, 0, call, true);
	if (!tagrec_id_argument(fcinfo, first + Arg_item, &id) || !tagrec_find_item(call, &id, &item))
	{
		tagrec_call_end(call);
		return (Datum) 0;
	}
	list_users(&listing, call, &item, &rules);
	ranking.call = call;
	ranking.matrix = tagrec_call_users(call);
	ranking.rules = &rules;
	ranking.listed = listing.listed;
	ranking.n_listed = listing.n;
	tagrec_rank(fcinfo, &ranking);
	return (Datum) 0;
}

Datum
tagrec_recommend_users(PG_FUNCTION_ARGS)
{
	return recommend_users(fcinfo, 0, false);
}

Datum
tagrec_recommend_users_as(PG_FUNCTION_ARGS)
{
	return recommend_users(fcinfo, 1, true);
}
