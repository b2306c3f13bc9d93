/*
 * A training: its data, its options, the backend it runs on, and the model that comes out of it. A tuning trains several
 * models on the same data, one after the other; a refresh loads one.
 */
#ifndef TAGREC_JOB_TRAINING_H
#define TAGREC_JOB_TRAINING_H

#include "pg/base/options.h"
#include "pg/source/source.h"
#include "pg/train/job_progress.h"

/* Values of a metric that are remembered. */
#define TAGREC_CURVE 256

typedef struct TagrecTraining
{
	const TagrecRunningJob *job;
	TagrecProgress *progress;
	TrMemory	memory;			/* of the data, and of what is loaded for a refresh */
	TrMemory	model_memory;	/* of the model in training: what the data leave of the limit */
	Size		model_peak;		/* of those before */
	Size		backend_bytes;
	TagrecSource source;
	TagrecData	data;
	TagrecOptions *options;
	bool		refit;			/* trained on everything, the held-out pairs as well */
	bool		trial;			/* trained on the sample, if there is one */
	double		seconds;		/* that it may take: then it is ended by an error; 0 = any number */
	double		to_beat;		/* by the metric: it is ended by an error once it cannot be any more; NAN = nothing */
	float		curve[TAGREC_CURVE];	/* the metric, each time it was measured */
	int			measured;		/* so many times */
	instr_time	started;
	TrBackend  *backend;
	TrModel    *model;
	TrModel    *written;		/* of a refresh: in place of model, when it is written; NULL = model itself */
	TrTensor   *tensors;
	int			n_tensors;
	TrTrainResult result;
} TagrecTraining;

extern void tagrec_training_init(TagrecTraining *training, const TagrecRunningJob *job, TagrecProgress *progress);

/* Frees everything, also after an error. */
extern void tagrec_training_end(TagrecTraining *training);

/* The most bytes that were in use. */
extern Size tagrec_training_peak(const TagrecTraining *training);

/* Opens the device that the request asks for, unless it is open; closes it. */
extern void tagrec_training_open(TagrecTraining *training);
extern void tagrec_training_close(TagrecTraining *training);

/* Trains a model with the options; saves its tensors; frees it. */
extern void tagrec_training_run(TagrecTraining *training, const char *phase);
/*
 * Where the algorithm has made a choice by the held-out pairs, these have said what they had to: trains it again, on all
 * pairs, with what it chose. What was measured on them stays the measure.
 */
extern void tagrec_training_again(TagrecTraining *training, const char *phase);
extern void tagrec_training_save(TagrecTraining *training);
extern void tagrec_training_forget(TagrecTraining *training);

/*
 * asked, to end with the epoch that was best of a trial of these options; the epochs planned are those of the trial, also
 * where they follow the size of the data.
 */
extern Jsonb *tagrec_training_until(const TagrecTraining *training, const TagrecOptions *options, int best_epoch, Jsonb *asked);

/* The validation metric of the model on held-out pairs, given what it was trained on. */
extern double tagrec_training_measure(TagrecTraining *training, const TrPairs *pairs);

/* Is the user, or the item, of a pair one without known pairs? */
extern bool tagrec_is_new(const TrDataset *known, const TrPairs *pairs, int32 p, TrSide side);
/* The validation metric on the held-out pairs of such users, or items; NAN = there are none. */
extern double tagrec_training_measure_new(TagrecTraining *training, TrSide side);

/* "ndcg@20", "mrr"; NULL without validation. */
extern char *tagrec_metric_name(const TagrecOptions *options);

#endif
