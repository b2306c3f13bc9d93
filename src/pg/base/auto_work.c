/*
 * What algorithms cost. See auto.h.
 *
 * Each is a few terms of its inner loops' operations times seconds per operation, measured with default options on one core
 * of an AMD EPYC (Zen 4) on the data of doc/quality.md; within a factor of two there, and of four at ten million pairs.
 * That is enough to tell what takes minutes from what takes hours.
 */
#include "postgres.h"

#include <math.h>

#include "pg/base/auto.h"

/* A closed form that would take more operations goes by eigenvectors instead. */
#define MOST_OPERATIONS 1e13

static double
nothing(const TrShape *s)
{
	return 1e-7 * (double) s->n_assignments;
}

/* Pairs of users, or items, that share one: as many as there are pairs, times the pairs of a user who has many. */
static double
neighbours(const TrShape *s)
{
	return 2e-8 * (double) s->n_posts * s->n_posts / Min(s->n_users, s->n_items);
}

/* The inverse of the smaller matrix, and the weights of all by it. */
static double
closed_form(const TrShape *s, double items)
{
	double		smaller = fmin(s->n_users, items);
	double		operations = smaller * smaller * smaller + items * items * smaller;

	return operations > MOST_OPERATIONS ? 1e-5 * (double) s->n_posts : 1.2e-11 * operations + 4e-6 * (double) s->n_posts;
}

static double
ease(const TrShape *s)
{
	return closed_form(s, s->n_items);
}

static double
ease_tags(const TrShape *s)
{
	return closed_form(s, (double) s->n_items + s->n_tags);
}

static double
ials(const TrShape *s)
{
	return 1.2e-9 * (64.0 * 64 * s->n_posts + 64.0 * 64 * 64 * ((double) s->n_users + s->n_items));
}

static double
tower(const TrShape *s)
{
	return 9e-5 * (double) s->n_posts;
}

static double
hybrid(const TrShape *s)
{
	return 2.1e-4 * (double) s->n_posts;
}

/* A layer of 256 for every tag and post, forth and back, in 15 epochs. */
static double
autoencoder(const TrShape *s)
{
	return 7.5e-7 * (double) s->n_posts * fmin(s->n_tags, 10000);
}

static double
factors(const TrShape *s)
{
	return 3e-5 * (double) s->n_posts;
}

/* Every epoch goes through the items of a user once more. */
static double
implicit_factors(const TrShape *s)
{
	return 1e-4 * (double) s->n_posts;
}

static double
sampled_factors(const TrShape *s)
{
	return 2e-4 * (double) s->n_posts;
}

static const struct
{
	const char *name;
	double		(*work) (const TrShape *shape);
}			known[] = {
	{"popularity", nothing},
	{"tag_bm25", nothing},
	{"tag_cosine", nothing},
	{"tag_popular", nothing},
	{"bias", nothing},
	{"tag_product", neighbours},
	{"item_knn", neighbours},
	{"user_knn", neighbours},
	{"ease", ease},
	{"ease_tags", ease_tags},
	{"ials", ials},
	{"hdlpr_ns", tower},
	{"hybrid", hybrid},
	{"dae_ptr", autoencoder},
	{"mf", factors},
	{"svdpp", implicit_factors},
	{"fm", sampled_factors}
};

static double
work_of(const char *name, int length, const TrShape *shape)
{
	for (int i = 0; i < lengthof(known); i++)
		if (strncmp(known[i].name, name, length) == 0 && known[i].name[length] == '\0')
			return known[i].work(shape);
	return 0;
}

/* "ease_tags; hybrid user_dropout=0.3": the members', and a walk through the lists of each */
static double
blend(const TrShape *shape, const char *members)
{
	double		work = 2e-5 * (double) shape->n_posts;

	while (*members)
	{
		members += strspn(members, "; ");
		work += work_of(members, (int) strcspn(members, "; "), shape);
		members += strcspn(members, ";");
	}
	return work;
}

double
tagrec_auto_work(const TrAlgorithm *algorithm, const TrShape *shape, const char *members)
{
	return members ? blend(shape, members) : work_of(algorithm->name, (int) strlen(algorithm->name), shape);
}
