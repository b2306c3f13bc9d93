/*
 * bench_generate: assignments of any number, as tab-separated rows with a header, made up from a seed.
 *
 *     bench_generate ASSIGNMENTS [SEED]
 *
 * For a million there are 27,000 users, 20,000 items and 9,500 tags; users and items grow with the assignments, tags with
 * their square root. Users, items and tags belong to topics, of which a user has three; in a topic, and among users, few
 * have most. A post has the tags that its item mostly has. What is random is a pure function of the seed and the row, so
 * that the rows are the same on every machine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"

#define TOPICS 200
#define TOPICS_OF_USER 3
#define MOST_TAGS 6				/* of a post */

/* How steep: rank r of n is drawn about r^-(1 - 1/steepness) often. */
#define USER_STEEPNESS 2.5
#define ITEM_STEEPNESS 3.5
#define TAG_STEEPNESS 3.0

/* Shares of the posts of items of any topic, and of the tags that are the user's own choice. */
#define ANY_TOPIC 0.2
#define OWN_TAG 0.15

typedef struct World
{
	uint64_t	seed;
	int64_t		users,
				items,
				tags;
} World;

/* The uses of a random number, beside each other for a post. */
enum
{
	USER, TOPIC, WHICH, ITEM, TAGS, OWN, TAG = 16
};

static double
uniform(const World *w, int use, uint64_t a, uint64_t b)
{
	return tr_uniform(w->seed, (uint64_t) use, a, b);
}

/* One of 0..n-1, the first ones most often */
static int64_t
skewed(double u, double steepness, int64_t n)
{
	int64_t		rank = (int64_t) (pow(u, steepness) * (double) n);

	return rank < n ? rank : n - 1;
}

/* Ranks are spread over the numbers of their kind, so that neither keys nor topics are in the order of fame. */
static int64_t
of_topic(int64_t topic, double u, double steepness, int64_t n)
{
	int64_t		size = n / TOPICS + 1;
	int64_t		found = skewed(u, steepness, size) * TOPICS + topic;

	return found < n ? found : topic % n;
}

static int64_t
item_of(const World *w, int64_t user, uint64_t post)
{
	uint64_t	which = (uint64_t) (uniform(w, WHICH, 0, post) * TOPICS_OF_USER);
	double		topic = uniform(w, TOPIC, (uint64_t) user, which);

	if (uniform(w, TOPIC, UINT64_MAX, post) < ANY_TOPIC)
		topic = uniform(w, TOPIC, UINT64_MAX - 1, post);
	return of_topic((int64_t) (topic * TOPICS), uniform(w, ITEM, 0, post), ITEM_STEEPNESS, w->items);
}

/* The tag of this place among those that the item has, or, now and then, any of the user's own */
static int64_t
tag_of(const World *w, int64_t user, int64_t item, uint64_t post, int place)
{
	uint64_t	rank = (uint64_t) skewed(uniform(w, TAG, post, (uint64_t) place), 2, 30);

	if (uniform(w, OWN, post, (uint64_t) place) < OWN_TAG)
		return of_topic(user % TOPICS, uniform(w, OWN, (uint64_t) user, rank), TAG_STEEPNESS, w->tags);
	return of_topic(item % TOPICS, uniform(w, TAG, UINT64_MAX - (uint64_t) item, rank), TAG_STEEPNESS, w->tags);
}

int
main(int argc, char **argv)
{
	int64_t		wanted = argc > 1 ? atoll(argv[1]) : 0;
	World		w = {.seed = argc > 2 ? (uint64_t) atoll(argv[2]) : 1};
	int64_t		written = 0;

	if (wanted < 1000)
		return fprintf(stderr, "usage: bench_generate ASSIGNMENTS [SEED], from 1000 on\n"), 2;
	w.users = wanted * 27 / 1000;
	w.items = wanted * 20 / 1000;
	w.tags = (int64_t) (9.5 * sqrt((double) wanted));
	printf("user\titem\ttag\n");
	for (uint64_t post = 0; written < wanted; post++)
	{
		int64_t		user = skewed(uniform(&w, USER, 0, post), USER_STEEPNESS, w.users);
		int64_t		item = item_of(&w, user, post);
		int			tags = 1 + (int) skewed(uniform(&w, TAGS, 0, post), 2, MOST_TAGS);

		for (int place = 0; place < tags && written < wanted; place++, written++)
			printf("%lld\t%lld\t%lld\n", (long long) user, (long long) item,
				   (long long) tag_of(&w, user, item, post, place));
	}
	return 0;
}
