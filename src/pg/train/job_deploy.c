/*
 * Deploying a version if it is better. See job_deploy.h.
 *
 * Both versions rank the held-out pairs that the deployed one does not know: of a share of the source, those that have come
 * since it was trained. (What it has held out itself is in the profiles it has stored.) The new one goes by what it was
 * trained on, without them. Where they are too few to tell, the deployed version stays.
 */
#include "pg/train/job_deploy.h"

#include <math.h>

#include "core/metrics.h"
#include "pg/base/identity.h"
#include "pg/evaluate/versions.h"
#include "pg/registry/job_row.h"
#include "pg/registry/version.h"
#include "pg/registry/version_write.h"
#include "miscadmin.h"

/* Fewer pairs tell nothing. */
#define LEAST_PAIRS 20

/* Two versions, one of which is to be deployed. */
typedef struct Choice
{
	int32		version;		/* the new one */
	double		value;
	TagrecVersus deployed;
} Choice;

/* Without enough pairs, the values are not numbers. */
static void
compare(Choice *c, TagrecTraining *t, Oid owner)
{
	TagrecActing before = tagrec_act_as(owner);

	tagrec_rank_held_out(&c->deployed, &t->data);
	tagrec_act_again(before);
	c->value = NAN;
	if (c->deployed.pairs.count >= LEAST_PAIRS)
		c->value = tagrec_training_measure(t, &c->deployed.pairs);
	else
		c->deployed.value = NAN;
}

static bool
is_better(const Choice *c)
{
	return c->value == c->deployed.value || tr_metric_better(c->deployed.metric, c->value, c->deployed.value);
}

static void
tell_not_comparable(const Choice *c, int32 held_out)
{
	const TagrecVersus *v = &c->deployed;

	ereport(WARNING,
			(errmsg("version %d of model \"%s\" is not deployed: it cannot be compared with version %d", c->version,
					v->model, v->version),
			 errdetail("Version %d does not know %d of %d held-out pairs; %d are needed.", v->version, v->pairs.count,
					   held_out, LEAST_PAIRS),
			 errhint("Deploy it with tagrec_deploy(), hold out more pairs with the option validation, or name a relation of"
					 " new pairs with the option validation_source.")));
}

static void
tell(const Choice *c, const TagrecTraining *t, bool better)
{
	const TrTask *task = t->options->algorithm->task;
	const TagrecVersus *v = &c->deployed;
	char	   *metric = tagrec_metric_name(t->options);

	ereport(NOTICE,
			(better ? errmsg("version %d of model \"%s\" is deployed: %s %.4f against %.4f of version %d", c->version,
							 v->model, metric, c->value, v->value, v->version)
			 : errmsg("version %d of model \"%s\" is not deployed: %s %.4f against %.4f of version %d", c->version,
					  v->model, metric, c->value, v->value, v->version),
			 errdetail("On %d held-out %ss of %d %ss, which neither version was trained on.", v->pairs.count, task->pair,
					   v->groups, task->group)));
}

/* The model, locked: its deployed version stays that until the end. */
static TagrecModel *
hold(const TagrecTraining *t, int32 version, Oid *owner)
{
	const char *name = t->job->request->model;
	TagrecModel *model = tagrec_model_find(name, true, true);
	Oid			view = InvalidOid;

	if (model && tagrec_model_hold(model->model_id))
	{
		model = tagrec_model_find(name, false, true);
		view = tagrec_model_view(model->schema, name);
	}
	if (!OidIsValid(view) || !tagrec_owns_relation(view, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("model \"%s\" was dropped before version %d could be deployed", name, version)));
	*owner = tagrec_relation_owner(view);
	return model;
}

bool
tagrec_deploy_if_better(TagrecTraining *t, int32 version)
{
	const TagrecRunningJob *job = t->job;
	Choice		c = {
		.version = version,
		.deployed.model = job->request->model,
		.deployed.metric = (TrMetric) t->options->train.metric,
		.deployed.k = t->options->train.metric_k
	};
	TagrecModel *model;
	Oid			owner;
	bool		better;

	tagrec_progress_phase(t->progress, "comparing", t->backend, &t->result);
	tagrec_worker_begin(job->context);
	model = hold(t, version, &owner);
	c.deployed.version = model->deployed_version;
	compare(&c, t, owner);
	better = is_better(&c);
	tagrec_result_compared(model->model_id, version, model->deployed_version, tagrec_metric_name(t->options), c.value,
						   c.deployed.value);
	if (better)
		tagrec_model_deploy(model->model_id, version);
	tagrec_job_done(job->number, version, tagrec_training_peak(t));
	tagrec_worker_commit(job->context);
	if (job->shared && isnan(c.value))
		tell_not_comparable(&c, t->data.validation.count);
	else if (job->shared)
		tell(&c, t, better);
	return better;
}
