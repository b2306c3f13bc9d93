/*
 * Options: defaults, presets, every type's parsing and range, messages that name what would be valid, text that reads back.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "core/trainer.h"

typedef struct Sample
{
	bool		flag;
	int			whole;
	double		real;
	int			choice;
	TrIntList	list;
	uint64_t	seed;
} Sample;

static const char *const colours[] = {"red", "green", NULL};

#define AT(field) offsetof(Sample, field)

static const TrOption options[] = {
	{"flag", TR_OPTION_BOOL, AT(flag), "true", 0, 0, NULL, ""},
	{"whole", TR_OPTION_INT, AT(whole), "7", -3, 10, NULL, ""},
	{"real", TR_OPTION_REAL, AT(real), "0.1", 0, 1, NULL, ""},
	{"choice", TR_OPTION_ENUM, AT(choice), "green", 0, 0, colours, ""},
	{"list", TR_OPTION_INTS, AT(list), "3,2", 1, 100, NULL, ""},
	{"seed", TR_OPTION_SEED, AT(seed), "1", 0, 0, NULL, ""},
};

static const TrSetting small[] = {{"whole", "1"}, {"epochs", "3"}, {NULL, NULL}};
static const TrPreset presets[] = {{"small", small}, {NULL, NULL}};

static TrStatus
no_seven(const void *values, TrError *err)
{
	return ((const Sample *) values)->whole == -3 ? tr_fail(err, TR_BAD_OPTION, "whole must not be -3") : TR_OK;
}

static const TrOptionSet set = {options, sizeof(options) / sizeof(options[0]), presets, sizeof(Sample), no_seven};

static Sample sample;
static TrTrainOptions train;
static TrError err;

static TrStatus
set_two(const char *name, const char *value, const char *name2, const char *value2)
{
	TrSetting	settings[] = {{name, value}, {name2, value2}, {NULL, NULL}};
	TrOptionTarget targets[] = {{&set, &sample}, {&tr_train_options, &train}};

	memset(&err, 0, sizeof(err));
	return tr_options_set(targets, 2, settings, &err);
}

static TrStatus
set_one(const char *name, const char *value)
{
	return set_two(name, value, NULL, NULL);
}

static void
test_defaults(void)
{
	CHECK(set_one(NULL, NULL) == TR_OK, "defaults are valid");
	CHECK(sample.flag && sample.whole == 7 && sample.real == 0.1 && sample.choice == 1 && sample.seed == 1, "defaults");
	CHECK(sample.list.count == 2 && sample.list.value[0] == 3 && sample.list.value[1] == 2, "default list");
}

static void
test_values(void)
{
	static const char *const good[][2] = {{"flag", "off"}, {"whole", "-2"}, {"whole", "10"}, {"real", "1e-3"},
	{"choice", "red"}, {"list", "[5, 6, 7]"}, {"list", "9"}, {"seed", "9223372036854775807"}};
	static const char *const bad[][2] = {{"flag", "1"}, {"whole", "11"}, {"whole", "1.5"}, {"whole", ""}, {"whole", "x"},
	{"real", "nan"}, {"real", "-0.1"}, {"real", "0.5x"}, {"choice", "blue"}, {"list", ""}, {"list", "[]"},
	{"list", "1,,2"}, {"list", "1,"}, {"list", "0"}, {"list", "1 2"}, {"list", "1,2,3,4,5,6,7,8,9"}, {"list", "[1] x"},
	{"seed", "-1"}, {"seed", "9223372036854775808"}};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(set_one(good[i][0], good[i][1]) == TR_OK, "%s accepts %s", good[i][0], good[i][1]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(set_one(bad[i][0], bad[i][1]) == TR_BAD_OPTION && strstr(err.message, bad[i][0]) && err.detail[0],
			  "%s refuses \"%s\" and says what is valid", bad[i][0], bad[i][1]);
}

static void
test_messages(void)
{
	CHECK(set_one("colour", "red") == TR_BAD_OPTION && strcmp(err.message, "unknown option \"colour\"") == 0,
		  "an unknown option is named");
	CHECK(strstr(err.detail, "choice") && strstr(err.detail, "epochs") && strstr(err.detail, "preset"),
		  "and the valid ones of every target are listed");
	CHECK(set_one("choice", "blue") == TR_BAD_OPTION && strstr(err.detail, "one of red, green"), "names are listed");
	CHECK(set_one("real", "2") == TR_BAD_OPTION && strstr(err.detail, "from 0 to 1"), "a range is given");
	CHECK(set_one("whole", "-3") == TR_BAD_OPTION && strcmp(err.message, "whole must not be -3") == 0,
		  "the set's own check runs");
}

static void
test_presets(void)
{
	CHECK(set_one("preset", "small") == TR_OK && sample.whole == 1 && train.epochs == 3,
		  "a preset sets options of every target");
	CHECK(set_two("whole", "5", "preset", "small") == TR_OK && sample.whole == 5, "the user's own options win over it");
	CHECK(set_one("preset", "default") == TR_OK && sample.whole == 7, "the defaults are a preset");
	CHECK(set_one("preset", "huge") == TR_BAD_OPTION && strstr(err.detail, "default, small"), "an unknown preset lists the others");
}

/* Every option of every algorithm: its default is valid, and its text form reads back. */
static void
test_algorithms(void)
{
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
	{
		char		values[4096];
		char		again[4096];
		char		text[64][128];
		TrSetting	settings[65] = {{NULL, NULL}};
		TrOptionTarget target = {(*a)->options, values};
		TrOptionTarget second = {(*a)->options, again};
		int			n = (*a)->options->count;

		memset(&err, 0, sizeof(err));
		CHECK((*a)->options->size <= sizeof(values) && n <= 64 && tr_options_set(&target, 1, NULL, &err) == TR_OK,
			  "%s: defaults are valid", (*a)->name);
		for (int i = 0; i < n; i++)
		{
			tr_option_format(&(*a)->options->options[i], values, text[i], sizeof(text[i]));
			settings[i] = (TrSetting) {(*a)->options->options[i].name, text[i]};
		}
		CHECK(tr_options_set(&second, 1, settings, &err) == TR_OK && memcmp(values, again, (*a)->options->size) == 0,
			  "%s: options read back from their text", (*a)->name);
	}
}

/* An algorithm has its own idea of how many epochs are good: the training loop gets it. */
static void
test_shared_default(void)
{
	static const TrOption own[] = {{"epochs", TR_OPTION_INT, AT(whole), "7", 1, 10, NULL, ""}};
	static const TrOptionSet with_epochs = {.options = own, .count = 1, .size = sizeof(Sample)};
	TrOptionTarget targets[] = {{&with_epochs, &sample}, {&tr_train_options, &train}};
	TrSetting	settings[] = {{"epochs", "9"}, {NULL, NULL}};

	CHECK(tr_options_set(targets, 2, NULL, &err) == TR_OK && sample.whole == 7 && train.epochs == 7,
		  "the first target's default is that of both");
	CHECK(tr_options_set(targets, 2, settings, &err) == TR_OK && sample.whole == 9 && train.epochs == 9,
		  "and both get a value");
}

static void
check_one(void)
{
	TrOptionTarget targets[] = {{&set, &sample}, {&tr_train_options, &train}};

	CHECK_EQUAL(tr_options_check_one(targets, 2, &(TrSetting) {"whole", "-3"}, &err), TR_OK, "a value by itself, unchecked with others");
	CHECK_EQUAL(tr_options_check_one(targets, 2, &(TrSetting) {"epochs", "-1"}, &err), TR_BAD_OPTION, "a value out of range");
	CHECK_EQUAL(tr_options_check_one(targets, 2, &(TrSetting) {"preset", "small"}, &err), TR_OK, "a preset");
	CHECK_EQUAL(tr_options_check_one(targets, 2, &(TrSetting) {"preset", "large"}, &err), TR_BAD_OPTION, "an unknown preset");
	CHECK(tr_options_find(targets, 2, "real") == &options[2], "an option by its name");
	CHECK(tr_options_find(targets, 2, "epochs") != NULL, "one of the second target");
	CHECK(tr_options_find(targets, 2, "preset") == NULL, "there is none of that name");
}

int
main(void)
{
	test_defaults();
	test_values();
	test_messages();
	test_presets();
	test_algorithms();
	test_shared_default();
	check_one();
	return check_done();
}
