/*
 * What a blend is made of: "ease_tags; hdlpr_ns layers=128 seed=2" names two algorithms, each with options of its own.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/blend/blend.h"

#define MOST_SETTINGS 64
/* Only the ratios count; a sum of larger ones need not be a number. */
#define MOST_WEIGHT 1e9
#define BLANK " \t\r\n"

/* What the training loop would offer a member by itself. */
typedef struct MemberTraining
{
	int			epochs;
	uint64_t	seed;
} MemberTraining;

static const TrOption training_rows[] = {
	{"epochs", TR_OPTION_INT, offsetof(MemberTraining, epochs), "0", 0, 100000, NULL,
	"maximum number of passes over the training pairs"},
	{"seed", TR_OPTION_SEED, offsetof(MemberTraining, seed), "1", 0, 0, NULL, "random seed"},
};

static const TrOptionSet training = {training_rows, 2, NULL, sizeof(MemberTraining), NULL};

static TrStatus
syntax(TrError *err)
{
	if (err)
		snprintf(err->hint, sizeof(err->hint), "Specify members as: algorithm option=value ...; algorithm ...");
	return TR_BAD_OPTION;
}

static bool
can_be_member(const TrAlgorithm *algorithm)
{
	return algorithm->task == TR_TASK_ITEM && algorithm != &tr_algorithm_blend && !algorithm->score_items;
}

static TrStatus
unknown_algorithm(const char *name, TrError *err)
{
	const char *between = "Valid members are ";
	size_t		used = 0;

	tr_fail(err, TR_BAD_OPTION, "unknown algorithm \"%s\" in option \"members\"", name);
	if (!err)
		return TR_BAD_OPTION;
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
	{
		if (!can_be_member(*a) || used >= sizeof(err->detail))
			continue;
		used += (size_t) snprintf(err->detail + used, sizeof(err->detail) - used, "%s%s", between, (*a)->name);
		between = ", ";
	}
	if (used < sizeof(err->detail))
		snprintf(err->detail + used, sizeof(err->detail) - used, ".");
	return syntax(err);
}

static TrStatus
find_algorithm(const TrAlgorithm **algorithm, const char *name, TrError *err)
{
	*algorithm = tr_algorithm_find(name);
	if (!*algorithm)
		return unknown_algorithm(name, err);
	if (*algorithm == &tr_algorithm_blend)
		return tr_fail(err, TR_BAD_OPTION, "a blend cannot be a member of a blend");
	if ((*algorithm)->task != TR_TASK_ITEM)
		return tr_fail(err, TR_BAD_OPTION, "algorithm \"%s\" recommends tags and cannot be a member of a blend", name);
	if ((*algorithm)->score_items)
		return tr_fail(err, TR_BAD_OPTION,
					   "the scores of algorithm \"%s\" are no inner products, so it cannot be a member of a blend", name);
	return TR_OK;
}

/* Cuts "a=1 b=2" into settings behind the first, which is the seed. */
static TrStatus
cut_settings(TrSetting *settings, char *rest, const char *name, TrError *err)
{
	int			n = 1;

	for (char *place = NULL, *word = strtok_r(rest, BLANK, &place); word; word = strtok_r(NULL, BLANK, &place))
	{
		char	   *value = strchr(word, '=');

		if (!value || value == word)
		{
			tr_fail(err, TR_BAD_OPTION, "member \"%s\": \"%s\" is not of the form option=value", name, word);
			return syntax(err);
		}
		if (n == MOST_SETTINGS)
			return tr_fail(err, TR_BAD_OPTION, "member \"%s\" has more than %d options", name, MOST_SETTINGS - 1);
		*value = '\0';
		settings[n++] = (TrSetting) {word, value + 1};
	}
	settings[n] = (TrSetting) {NULL, NULL};
	return TR_OK;
}

/* The message of err gets the member's name in front, and what is valid there is not what is valid for the blend. */
static TrStatus
name_member(const char *name, TrStatus status, TrError *err)
{
	static const char valid[] = "Valid options are ";
	char		text[sizeof(err->detail)];

	if (!err || status == TR_OK)
		return status;
	memcpy(text, err->message, sizeof(err->message));
	snprintf(err->message, sizeof(err->message), "member \"%s\": %.*s", name, (int) sizeof(err->message) - 100, text);
	memcpy(text, err->detail, sizeof(err->detail));
	if (strncmp(text, valid, sizeof(valid) - 1) == 0)
		snprintf(err->detail, sizeof(err->detail), "Its options are %.*s", (int) sizeof(text) - 100,
				 text + sizeof(valid) - 1);
	return status;
}

/* text: "algorithm option=value ...", which is cut up */
static TrStatus
read_member(BlendMember *member, char *text, const BlendOptions *o, TrMemory *memory, TrError *err)
{
	char		seed[32];
	TrSetting	settings[MOST_SETTINGS + 1] = {{"seed", seed}};
	MemberTraining train;
	TrOptionTarget targets[2] = {{NULL, NULL}, {&training, &train}};
	char	   *name = text + strspn(text, BLANK);
	char	   *rest = name + strcspn(name, BLANK);

	if (*rest)
		*rest++ = '\0';
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long) o->seed);
	TR_TRY(find_algorithm(&member->algorithm, name, err));
	TR_TRY(cut_settings(settings, rest, name, err));
	member->options = tr_calloc(memory, 1, member->algorithm->options->size + 1);
	if (!member->options)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the options of member \"%s\"", name);
	targets[0] = (TrOptionTarget) {member->algorithm->options, member->options};
	TR_TRY(name_member(name, tr_options_set(targets, 2, settings, err), err));
	member->epochs = train.epochs;
	return TR_OK;
}

static bool
is_blank(const char *text)
{
	return text[strspn(text, BLANK)] == '\0';
}

static bool
same_member(const BlendMember *a, const BlendMember *b)
{
	return a->algorithm == b->algorithm && memcmp(a->options, b->options, a->algorithm->options->size) == 0;
}

TrStatus
blend_read_members(BlendMember *members, int *n, const BlendOptions *o, TrMemory *memory, TrError *err)
{
	TrText		text = o->members;
	char	   *rest = text.value;

	*n = 0;
	for (char *one; (one = strsep(&rest, ";"));)
	{
		if (is_blank(one))
			continue;
		if (*n == BLEND_MOST)
			return tr_fail(err, TR_BAD_OPTION, "a blend cannot have more than %d members", BLEND_MOST);
		members[*n] = (BlendMember) {.weight = 1};
		TR_TRY(read_member(&members[*n], one, o, memory, err));
		for (int i = 0; i < *n; i++)
			if (same_member(&members[i], &members[*n]))
				return tr_fail(err, TR_BAD_OPTION, "member \"%s\" specified more than once with the same options",
							   members[i].algorithm->name);
		(*n)++;
	}
	if (*n > 0)
		return TR_OK;
	tr_fail(err, TR_BAD_OPTION, "option \"members\" is empty");
	return syntax(err);
}

TrStatus
blend_read_weights(double *weight, int n, const BlendOptions *o, bool *given, TrError *err)
{
	static const char between[] = " \t\r\n,;[]";
	const char *s = o->weights.value + strspn(o->weights.value, between);
	double		sum = 0;
	int			found = 0;

	*given = *s != '\0';
	for (; *s; found++, s += strspn(s, between))
	{
		char	   *end;
		double		value = strtod(s, &end);

		if (end == s || !strchr(between, *end) || !(value >= 0 && value <= MOST_WEIGHT))
			return tr_fail(err, TR_BAD_OPTION, "option \"weights\" contains \"%.30s\", which is not a number from 0 to "
											   "%g", s,
						   MOST_WEIGHT);
		if (found < n)
			weight[found] = value;
		sum += value;
		s = end;
	}
	if (*given && found != n)
		return tr_fail(err, TR_BAD_OPTION, "option \"weights\" has %d numbers for %d members", found, n);
	if (*given && !(sum > 0))
		return tr_fail(err, TR_BAD_OPTION, "option \"weights\" has no number greater than 0");
	for (int i = 0; *given && i < n; i++)
		weight[i] /= sum;
	return TR_OK;
}
