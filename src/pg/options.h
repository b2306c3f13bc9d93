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

/* ereport(ERROR), naming the algorithms there are, when there is none of that name. */
extern const TrAlgorithm *tagrec_algorithm(const char *name);

/*
 * Sets the options from a jsonb object, in the current memory context. NULL = all defaults. Errors name the option and what
 * would be valid. With a preset, what the object says counts over what the preset says.
 */
extern TagrecOptions *tagrec_options_read(const TrAlgorithm *algorithm, Jsonb *object);

/* Every option with its value, as a jsonb object that tagrec_options_read() reads back to the same. */
extern Jsonb *tagrec_options_effective(const TagrecOptions *options);

#endif
