/*
 * What auto chooses from. See auto.h.
 */
#include "pg/base/auto.h"

/*
 * Cheap ones first: where the time runs out, the others are not tried. What is worse than another one everywhere, and no
 * cheaper, is not here (doc/quality.md). Towers, and blends with them, live on what tags say: where these add nothing to a
 * closed form, they are slow and worse.
 */
static const TagrecCandidate item_candidates[] = {
	{"popularity", NULL},
	{"item_knn", NULL},
	{"user_knn", NULL},
	{"ease", NULL},
	{"ials", NULL},
	{"ease_tags", NULL},
	{"hdlpr_ns", NULL, "ease_tags", "ease"},
	{"hybrid", NULL, "ease_tags", "ease"},
	{"blend", NULL, "ease_tags", "ease"},
	{NULL, NULL}
};

static const TagrecCandidate tag_candidates[] = {
	{"tag_popular", NULL},
	{"tag_product", NULL},
	{"dae_ptr", NULL},
	{NULL, NULL}
};

#define OPTION(field) offsetof(TagrecAutoOptions, field)

static const char *const candidates_range[] = {"names of algorithms, as in \"ease, ials, hybrid\", or nothing", NULL};

static const TrOption option_rows[] = {
	{"max_seconds", TR_OPTION_REAL, OPTION(max_seconds), "300", 0.001, 1e9, NULL,
	"seconds that the trials may take together; the final training comes after them"},
	{"sample", TR_OPTION_INT, OPTION(sample), "500000", 1, 2e9, NULL,
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

const TrAlgorithm *const tagrec_autos[] = {&auto_items, &auto_tags, NULL};

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
	if (task->tags)
		return "tag_product";
	return tags ? "hdlpr_ns" : "ease";
}

const TagrecCandidate *
tagrec_auto_candidates(const TrTask *task)
{
	return task->tags ? tag_candidates : item_candidates;
}
