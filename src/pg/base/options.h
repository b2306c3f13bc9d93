/*
 * Options between SQL (a jsonb object) and the core (TrSetting texts, typed structs).
 */
#ifndef TAGREC_OPTIONS_H
#define TAGREC_OPTIONS_H

#include "postgres.h"

#include "core/model.h"
#include "core/trainer.h"
#include "utils/jsonb.h"

/* The options of an algorithm and of the training loop, set. */
typedef struct TagrecOptions
{
	const TrAlgorithm *algorithm;
	void	   *values;			/* the algorithm's own struct */
	TrTrainOptions train;
	char	   *schema;			/* "schema": where a new model's relations go; NULL = the current schema */
	char	   *validation_source;	/* "validation_source": relation of the held-out pairs; NULL = none */
} TagrecOptions;

/* ereport(ERROR), listing the algorithms, if there is none of that name. */
extern const TrAlgorithm *tagrec_algorithm(const char *name);

/*
 * Sets the options from a jsonb object, in the current memory context. NULL = all defaults. Errors name the option and what
 * would be valid. With a preset, what the object says counts over what the preset says.
 */
extern TagrecOptions *tagrec_options_read(const TrAlgorithm *algorithm, Jsonb *object);

/* The same; returns a status and a message if values that are valid separately are incompatible. */
extern TrStatus tagrec_options_try(const TrAlgorithm *algorithm, Jsonb *object, TagrecOptions **options, TrError *err);

/* Raises what the core said about options; a list of the valid ones then names those of src/pg as well. */
extern void tagrec_options_check(TrStatus status, TrError *err);

/* A value of an option as the text that the core parses; an array keeps its brackets. */
extern char *tagrec_option_text(const char *name, const JsonbValue *value);

/* Every option with its value, as a jsonb object that tagrec_options_read() reads back to the same. */
extern Jsonb *tagrec_options_effective(const TagrecOptions *options);

#endif
