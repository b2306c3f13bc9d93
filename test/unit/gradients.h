/*
 * Gradients against differences of the loss. Of a whole model: a step of plain gradient descent with a learning rate of 1
 * takes the gradient away from the parameters, so that what save() gives before and after tells it.
 */
#ifndef GRADIENTS_H
#define GRADIENTS_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/trainer.h"

/* d loss / d *x: central differences, or the five-point formula, whose error is of the order of step^4 */
static inline double
gradient_difference(double (*loss) (void *argument), void *argument, float *x, float step, bool five_points)
{
	static const float shift[2][4] = {{1, -1}, {-2, -1, 1, 2}};
	static const double factor[2][4] = {{1, -1}, {1, -8, 8, -1}};
	float		at = *x;
	double		sum = 0;

	for (int k = 0; k < (five_points ? 4 : 2); k++)
	{
		*x = at + shift[five_points][k] * step;
		sum += factor[five_points][k] * loss(argument);
	}
	*x = at;
	return sum / ((five_points ? 12 : 2) * (double) step);
}

/* settings: "name=value name=value …", into the options of an algorithm and of the training loop */
static inline bool
gradient_options(const TrAlgorithm *algorithm, void *options, TrTrainOptions *train, const char *text, TrError *err)
{
	char		copy[1024];
	TrSetting	settings[64] = {{NULL, NULL}};
	TrOptionTarget targets[2] = {{algorithm->options, options}, {&tr_train_options, train}};
	int			n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
	{
		char	   *value = strchr(word, '=');

		*value = '\0';
		settings[n++] = (TrSetting) {word, value + 1};
	}
	return tr_options_set(targets, 2, settings, err) == TR_OK;
}

/* A model, made anew for every step. */
typedef struct GradientCheck
{
	const TrAlgorithm *algorithm;
	const TrDataset *dataset;
	const void *options;
	TrMemory   *memory;
	TrBackend  *backend;
	float		step;
	bool		five_points;
	bool		relative;		/* to 1 + |gradient| */
	bool		total;			/* the loss is the sum over the pairs */
	int			columns;		/* of a row that are looked at, where there are more; 0 = all */
	TrTensor   *at;				/* (count) the parameters */
	TrTensor   *after;			/* (count) those after a step */
	int			count;
} GradientCheck;

static inline TrTensor *
gradient_copy(TrMemory *memory, const TrTensor *from, int count)
{
	TrTensor   *copy = tr_calloc(memory, (size_t) count, sizeof(TrTensor));

	for (int i = 0; i < count; i++)
	{
		size_t		bytes = (size_t) from[i].rows * from[i].cols * sizeof(float);

		copy[i] = from[i];
		copy[i].value = tr_alloc(memory, bytes);
		memcpy(copy[i].value, from[i].value, bytes);
	}
	return copy;
}

/* at and after = the saved tensors */
static inline void
gradient_start(GradientCheck *c, const TrTensor *saved, int count)
{
	c->at = gradient_copy(c->memory, saved, count);
	c->after = gradient_copy(c->memory, saved, count);
	c->count = count;
}

/* The loss at these parameters; with keep, after becomes what a step makes of them. */
static inline double
gradient_loss(GradientCheck *c, bool keep)
{
	TrModel    *model;
	TrEpochStats stats = {0};
	TrTensor   *tensors;
	int			count = c->count;
	double		loss = NAN;

	if (tr_model_create(&model, c->algorithm, c->memory, c->backend, c->dataset, c->options, NULL) != TR_OK)
		return NAN;
	if (tr_model_restore(model, c->at, c->count, NULL) == TR_OK
		&& c->algorithm->train_epoch(model, 1, NULL, &stats, NULL) == TR_OK
		&& tr_model_save(model, &tensors, &count, NULL) == TR_OK)
	{
		loss = stats.loss * (c->total ? (double) stats.pairs : 1);
		for (int i = 0; keep && i < count; i++)
			memcpy(c->after[i].value, tensors[i].value, (size_t) tensors[i].rows * tensors[i].cols * sizeof(float));
	}
	tr_model_destroy(model);
	return loss;
}

static inline double
gradient_loss_there(void *check)
{
	return gradient_loss(check, false);
}

/* The largest difference of a tensor's gradient to that of the loss, NAN if there is any; *largest = that gradient's. */
static inline double
gradient_apart(GradientCheck *c, int which, double *largest)
{
	TrTensor   *tensor = &c->at[which];
	double		worst = 0;

	*largest = 0;
	for (int i = 0; i < tensor->rows * tensor->cols; i++)
	{
		double		analytic = (double) tensor->value[i] - c->after[which].value[i];
		double		numeric;

		if (c->columns > 0 && i % tensor->cols >= c->columns)
			continue;
		numeric = gradient_difference(gradient_loss_there, c, &tensor->value[i], c->step, c->five_points);

		worst = fmax(worst, fabs(numeric - analytic) / (c->relative ? 1 + fabs(analytic) : 1));
		*largest = fmax(*largest, fabs(analytic));
		if (isnan(numeric))
			return NAN;
	}
	return worst;
}

#endif
