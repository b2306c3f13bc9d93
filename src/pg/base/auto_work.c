/*
 * What algorithms cost. See auto.h.
 *
 * Each is a few terms of its inner loops' operations times seconds per operation, measured with default options on one core
 * of an AMD EPYC (Zen 4) on the data of doc/quality.md; within a factor of two there, and of four at ten million pairs.
 * That is enough to tell what takes minutes from what takes hours.
 */
#include "postgres.h"

#include <math.h>

#include "core/trainer.h"
#include "pg/base/auto.h"

/* A closed form that would take more operations goes by eigenvectors instead. */
#define MOST_OPERATIONS 1e13

/* Pairs of users, or items, that share one: as many as there are pairs, times the pairs of a user who has many. */
static double
neighbours(const TrShape *s)
{
	return 2e-8 * (double) s->n_posts * s->n_posts / Min(s->n_users, s->n_items);
}

/* The inverse of the smaller matrix, and the weights of all by it. */
static double
operations_of(const TrShape *s, double items)
{
	double		smaller = fmin(s->n_users, items);

	return smaller * smaller * smaller + items * items * smaller;
}

static bool
is_spectral(const TrShape *s, double items)
{
	return operations_of(s, items) > MOST_OPERATIONS;
}

static double
closed_form(const TrShape *s, double items)
{
	return is_spectral(s, items) ? 1e-5 * (double) s->n_posts
		: 1.2e-11 * operations_of(s, items) + 4e-6 * (double) s->n_posts;
}

static double
ease(const TrShape *s)
{
	return closed_form(s, s->n_items);
}

/* With a choice by three closed forms over some users, and over those items and tags that these have */
static double
ease_tags(const TrShape *s)
{
	double		columns = (double) s->n_items + s->n_tags;
	double		share = fmin(1, 800.0 / s->n_users);
	TrShape		some = {.n_users = Min(s->n_users, 800), .n_posts = (int32) (share * s->n_posts)};
	double		theirs = fmin(s->n_items, some.n_posts) + fmin(s->n_tags, share * (double) s->n_assignments);

	return closed_form(s, columns) + (is_spectral(s, columns) ? 0 : 3 * closed_form(&some, theirs));
}

static double
ials(const TrShape *s)
{
	return 1.2e-9 * (64.0 * 64 * s->n_posts + 64.0 * 64 * 64 * ((double) s->n_users + s->n_items));
}

/* In all epochs */
static double
hdlpr_ns(const TrShape *s)
{
	return 3e-6 * (double) s->n_posts * tr_usual_epochs(30, s->n_posts);
}

static double
hybrid(const TrShape *s)
{
	return 7e-6 * (double) s->n_posts * tr_usual_epochs(30, s->n_posts);
}

/* A layer of 256 for every tag and post, forth and back, or for a sample of very many tags; an epoch's posts are limited. */
static double
dae_ptr(const TrShape *s)
{
	double		post = s->n_tags > 20000 ? 4.5e-5 : 5e-8 * s->n_tags;

	return post * fmin((double) s->n_posts, 1e6) * tr_usual_epochs(25, s->n_posts);
}

/* As much for every pair, unless there is more to say */
static const struct
{
	const char *name;
	double		pair;
	double		(*work) (const TrShape *shape);
}			known[] = {
	{"popularity", 1e-7},
	{"tag_bm25", 1e-7},
	{"tag_cosine", 1e-7},
	{"tag_popular", 1e-7},
	{"bias", 1e-7},
	{"tag_product", .work = neighbours},
	{"item_knn", .work = neighbours},
	{"user_knn", .work = neighbours},
	{"ease", .work = ease},
	{"ease_tags", .work = ease_tags},
	{"ials", .work = ials},
	{"hdlpr_ns", .work = hdlpr_ns},
	{"hybrid", .work = hybrid},
	{"dae_ptr", .work = dae_ptr},
	{"mf", 3e-5},
	{"svdpp", 1e-4},			/* every epoch goes through the items of a user once more */
	{"fm", 2e-4}
};

static double
work_of(const char *name, int length, const TrShape *shape)
{
	for (int i = 0; i < lengthof(known); i++)
		if (strncmp(known[i].name, name, length) == 0 && known[i].name[length] == '\0')
			return known[i].work ? known[i].work(shape) : known[i].pair * (double) shape->n_posts;
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
