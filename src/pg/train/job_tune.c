/*
 * Tuning: random search over options by the validation metric. See tune_space.h for the space, trials.h for its trials.
 *
 * The model to deploy is trained once more, rather than its weights kept: the best trial may be another job's, and memory
 * then has to hold one model. With refit it is trained on the held-out pairs as well, for as many epochs as were best
 * without them; the learning rate decays as it did then.
 */
#include "pg/train/job_tune.h"

#include "pg/base/tagrec.h"
#include "pg/train/job_auto.h"
#include "pg/train/trials.h"

static void
announce_best(const TagrecTrials *t)
{
	const TagrecTrialRow *best = &t->rows[t->best];

	if (t->job->shared)
		ereport(NOTICE,
				(errmsg("best of %d trials is trial %d: %s %.4f", t->count, best->trial, best->metric, best->value),
				 errdetail("Its settings are %s. Trials reused from earlier jobs: %d, failed: %d.",
						   tagrec_trial_settings(t, t->best), t->taken_over, t->failed)));
}

/*
 * The options that give the model to deploy: the trial's, with an end at its best epoch, and, for a refit, nothing held
 * out. Pairs of another relation have no tags to train on: they stay what is measured on. So do those by which the
 * algorithm itself makes a choice. Returns them as tagrec_train() would take them.
 */
static Jsonb *
choose_options(TagrecTrials *t)
{
	TagrecTraining *training = t->training;
	const TagrecTrial *best = &t->trials[t->best];
	Jsonb	   *asked = tagrec_training_until(training, best->options, t->rows[t->best].best_epoch, best->asked);

	training->refit = t->job->request->refit && training->data.split && !best->options->algorithm->held_out;
	if (training->refit)
		asked = tagrec_jsonb_with(asked, tagrec_jsonb("{\"validation\": 0}"));
	training->options = tagrec_options_read(best->options->algorithm, asked);
	training->options->validation_source = best->options->validation_source;
	return asked;
}

static Jsonb *
tune(TagrecTrials *t)
{
	const TagrecRequest *request = t->job->request;
	const TrAlgorithm *algorithm = t->training->options->algorithm;
	TrError		refused;

	t->trials = tagrec_space_draw(tagrec_space_read(algorithm, request->space), algorithm, request->options,
								  (uint64) request->search_seed, request->trials, &t->count, &refused);
	tagrec_trials_begin(t);
	tagrec_trials_run(t, tagrec_trial_run);
	tagrec_trials_check_any(t);
	announce_best(t);
	return choose_options(t);
}

Jsonb *
tagrec_tune_run(TagrecTraining *training)
{
	TagrecTrials t = {.training = training, .job = training->job};
	Jsonb	   *asked = tagrec_request_is_auto(t.job->request) ? tagrec_auto_run(&t) : tune(&t);

	tagrec_training_run(training, "training");
	return asked;
}
