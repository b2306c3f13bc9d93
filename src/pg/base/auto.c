/*
 * What auto chooses from. See auto.h.
 */
#include "pg/base/auto.h"

/*
 * In the order of what they cost, the blends last: these have most of the others among their members, so that the trials
 * before them take no longer than they do. What is worse than another one everywhere, and no cheaper, is not here
 * (doc/quality.md). Towers alone are better than a blend only for items that nobody has yet.
 */
static const TagrecCandidate item_candidates[] = {
	{"popularity"},
	{"tag_bm25"},
	{"item_knn", .when = TAGREC_WHEN_ITEMS_ARE_KNOWN},
	{"user_knn", .when = TAGREC_WHEN_ITEMS_ARE_KNOWN},
	{"ease", .when = TAGREC_WHEN_ITEMS_ARE_KNOWN},
	{"ials", .when = TAGREC_WHEN_ITEMS_ARE_KNOWN},
	{"ease_tags", .when = TAGREC_WHEN_ITEMS_ARE_KNOWN},
	{"hdlpr_ns", .when = TAGREC_WHEN_ITEMS_ARE_NEW},
	{"hybrid", .when = TAGREC_WHEN_ITEMS_ARE_NEW},
	{"blend", .when = TAGREC_WHEN_TAGS_HELP},
	{"blend", .options = "{\"members\": \"ease; item_knn; user_knn; ials\"}", .when = TAGREC_WHEN_TAGS_DO_NOT_HELP},
	{NULL}
};

static const TagrecCandidate tag_candidates[] = {
	{"tag_popular"},
	{"tag_product"},
	{"dae_ptr"},
	{NULL}
};

static const TagrecCandidate rating_candidates[] = {
	{"bias"},
	{"mf"},
	{"svdpp"},
	{"fm"},
	{NULL}
};

#define OPTION(field) offsetof(TagrecAutoOptions, field)

static const char *const candidates_range[] = {"names of algorithms, as in \"ease, ials, hybrid\", or nothing", NULL};

static const TrOption option_rows[] = {
	{"budget", TR_OPTION_REAL, OPTION(budget), "1800", 0, 1e12, NULL,
	"seconds of one core that the trials and the final training may take, as estimated from the size of the data; "
	"algorithms that would take more are not tried"},
	{"max_seconds", TR_OPTION_REAL, OPTION(max_seconds), "0", 0, 1e9, NULL,
	"seconds after which trials end, whatever the machine has done by then; the final training comes after them; 0 = no "
	"limit"},
	{"sample", TR_OPTION_INT, OPTION(sample), "200000", 1, 2e9, NULL,
	"maximum number of (user, item) pairs that a trial is trained on; of more, those of some of the users are taken"},
	{"candidates", TR_OPTION_TEXT, OPTION(candidates), "", 0, 0, candidates_range,
	"algorithms to try, in this order; by default those that are good on some data"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = lengthof(option_rows),
	.size = sizeof(TagrecAutoOptions)
};

static const TrAlgorithm auto_items = {
	.name = "auto",
	.summary = "The algorithm that ranks held-out pairs best, of several that are tried.",
	.source = "selection on held-out data",
	.task = TR_TASK_ITEM,
	.options = &options,
	.pairs_alone = true,
	.uses_values = true
};

static const TrAlgorithm auto_ratings = {
	.name = "auto_ratings",
	.summary = "The algorithm that predicts held-out values best, of several that are tried.",
	.source = "selection on held-out data",
	.task = TR_TASK_RATING,
	.options = &options,
	.pairs_alone = true,
	.uses_values = true,
	.uses_attributes = true
};

static const TrAlgorithm auto_tags = {
	.name = "auto_tags",
	.summary = "The algorithm that finds held-out tags best, of several that are tried.",
	.source = "selection on held-out data",
	.task = TR_TASK_TAG,
	.options = &options
};

const TrAlgorithm *const tagrec_autos[] = {&auto_items, &auto_tags, &auto_ratings, NULL};

const TrAlgorithm *
tagrec_auto_find(const char *name)
{
	for (int i = 0; tagrec_autos[i]; i++)
		if (strcmp(tagrec_autos[i]->name, name) == 0)
			return tagrec_autos[i];
	return NULL;
}

const char *
tagrec_auto_fallback(const TrTask *task, bool tags)
{
	if (task->values)
		return "bias";
	if (task->tags)
		return "tag_product";
	return tags ? "hdlpr_ns" : "ease";
}

const TagrecCandidate *
tagrec_auto_candidates(const TrTask *task)
{
	return task->values ? rating_candidates : task->tags ? tag_candidates : item_candidates;
}
