/*
 * The steps of a job. See job.h.
 *
 * Reading is one transaction and writing is another; between them, while the model is trained, none is open, so that no
 * snapshot keeps VACUUM from its work. The registry's progress is written in tiny transactions of its own.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "pg/base/identity.h"
#include "pg/registry/job_row.h"
#include "pg/registry/version_write.h"
#include "pg/serve/warm.h"
#include "pg/source/held_out.h"
#include "pg/store/place.h"
#include "pg/train/auto.h"
#include "pg/train/job_deploy.h"
#include "pg/train/job_prune.h"
#include "pg/train/job_recommend.h"
#include "pg/train/job_refresh.h"
#include "pg/train/job_training.h"
#include "pg/train/job_tune.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

struct TagrecRun
{
	TagrecRunningJob job;
	TagrecProgress progress;
	TagrecTraining training;
	Jsonb	   *asked;			/* of a tuning: the options by which tagrec_train() would train it again */
	bool		undecided;		/* the version is written, and is to be compared with the deployed one */
	bool		deployed;		/* is the version? */
	bool		done;			/* it is written, and the job's row says so */
};

TagrecRun *
tagrec_run_start(int64 job, const TagrecRequest *request, TagrecShared *shared)
{
	TagrecRun  *run = palloc0(sizeof(TagrecRun));

	run->job = (TagrecRunningJob) {.number = job, .request = request, .shared = shared, .context = CurrentMemoryContext};
	INSTR_TIME_SET_CURRENT(run->job.started);
	tagrec_progress_init(&run->progress, &run->job);
	tagrec_training_init(&run->training, &run->job, &run->progress);
	return run;
}

bool
tagrec_run_done(const TagrecRun *run)
{
	return run->done;
}

Size
tagrec_run_peak(const TagrecRun *run)
{
	return tagrec_training_peak(&run->training);
}

void
tagrec_run_end(TagrecRun *run)
{
	tagrec_training_end(&run->training);
}

/* ------------------------------------------------------------------ reading */

/* What the option validation_source holds out; its keys join the source's. */
static void
read_held_out(TagrecTraining *t, const TagrecRequest *request, TrAssignments *assignments)
{
	TagrecHeldOut held_out = {
		.relation = request->validation_source,
		.columns = tagrec_held_out_columns(&request->columns, t->options->algorithm->task)
	};

	tagrec_held_out_check(&held_out);
	(void) tagrec_held_out_read(&held_out, &t->data.users, &t->data.items, &t->data.tags, assignments);
	/* from now on found by any search_path */
	t->options->validation_source = held_out.name;
}

/* The owner of the model, when that is there and is the current user's to train; else who would be: the current user. */
static Oid
owner_to_be(const char *name)
{
	TagrecModel *model = tagrec_model_find(name, true, true);
	Oid			view = model ? tagrec_model_view(model->schema, name) : InvalidOid;

	return OidIsValid(view) && tagrec_owns_relation(view, GetUserId()) ? tagrec_relation_owner(view) : GetUserId();
}

static Oid
remembering_owner(const char *name)
{
	TagrecVersion *version = tagrec_version_deployed_now(name);

	tagrec_check_owner(version);
	return version->owner;
}

/*
 * What the source's own code sets (views' functions, policies) ends with the reading of it. A name that was remembered is
 * the owner's, as in a refresh: without the owner, nobody reads it.
 */
static void
read_relations(TagrecTraining *t, const TagrecRequest *request, TrAssignments *raw, TrAssignments *held_out)
{
	Oid			owner = request->remembered ? remembering_owner(request->model) : GetUserId();
	TagrecActing before = owner == GetUserId() ? tagrec_act_aside() : tagrec_act_as(owner);

	tagrec_source_check(&t->source);
	tagrec_source_read(&t->source, &t->data, raw);
	tagrec_source_read_attributes(&t->source, t->options->algorithm, &t->data, raw);
	if (held_out)
		read_held_out(t, request, held_out);
	tagrec_act_again(before);
}

/* To every dataset that may be trained on. */
static void
add_profiles(TagrecTraining *t)
{
	tagrec_source_add_profiles(&t->source, t->options->algorithm, &t->data, &t->data.all);
	if (t->data.split)
		tagrec_source_add_profiles(&t->source, t->options->algorithm, &t->data, &t->data.train);
	if (t->data.sampled)
		tagrec_source_add_profiles(&t->source, t->options->algorithm, &t->data, &t->data.sample);
}

static void
read_data(TagrecTraining *t, const TagrecRequest *request)
{
	bool		refresh = tagrec_request_is_refresh(request);
	bool		validated = !refresh && OidIsValid(request->validation_source);
	TrAssignments raw;
	TrAssignments held_out;
	TagrecActing before;

	t->source.relation = request->source;
	t->source.columns = request->columns;
	t->source.features[TR_USER] = request->user_features;
	t->source.features[TR_ITEM] = request->item_features;
	t->source.rules = tagrec_source_rules(&t->source, t->options);
	tagrec_data_init(&t->data, &t->memory);
	if (tagrec_request_is_auto(request))
	{
		t->data.most_pairs = tagrec_auto_options(t->options)->sample;
		t->data.may_hold_none = true;
		t->data.meets_new = t->options->algorithm->task == TR_TASK_ITEM;
	}
	tr_assignments_init(&raw, &t->memory);
	tr_assignments_init(&held_out, &t->memory);
	if (refresh)
		tagrec_refresh_read(request, &t->source, &t->data, &raw);
	else
		read_relations(t, request, &raw, validated ? &held_out : NULL);
	/* keys are ranked as values of their type, which may be a row with a domain in it */
	before = tagrec_act_as(owner_to_be(request->model));
	tagrec_data_build(&t->data, &t->source, &raw, &t->options->train, t->options->algorithm->task,
					  validated ? &held_out : NULL);
	tagrec_act_again(before);
	add_profiles(t);
}

/*
 * A deferred trigger of the source's has run at the commit, and may have set what it liked: back to what the session began
 * with. (RESET ALL leaves alone who the user is.)
 */
static void
settle_again(MemoryContext context)
{
	tagrec_worker_begin(context);
	SetConfigOption("session_authorization", NULL, PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("role", "none", PGC_SUSET, PGC_S_SESSION);
	ResetAllOptions();
	tagrec_worker_commit(context);
}

static void
read_source(TagrecRun *run)
{
	const TagrecRequest *request = run->job.request;
	TagrecTraining *t = &run->training;

	tagrec_progress_phase(&run->progress, "reading", NULL, NULL);
	tagrec_worker_begin(run->job.context);
	t->options = tagrec_options_read(tagrec_algorithm(request->algorithm), request->options);
	read_data(t, request);
	if (tagrec_request_is_refresh(request))
		tagrec_refresh_model(t);
	tagrec_worker_commit(run->job.context);
	settle_again(run->job.context);
}

/* ------------------------------------------------------------------ writing */

/* What the user would ask for to get the version again. */
static Jsonb *
requested_options(const TagrecRun *run)
{
	const TagrecRequest *request = run->job.request;

	if (run->asked)
		return run->asked;
	return tagrec_request_is_refresh(request) && request->requested ? request->requested : request->options;
}

static char *
key_type_name(TagrecKeyType key)
{
	return format_type_extended(key.type, -1, FORMAT_TYPE_TYPEMOD_GIVEN);
}

static void
insert_version(const TagrecRun *run, const TagrecPlace *place)
{
	const TagrecRequest *request = run->job.request;
	const TagrecTraining *t = &run->training;
	const TrDataset *d = &t->data.all;
	const TrModel *model = t->written ? t->written : t->model;
	bool		trained = t->result.epochs > 0;
	TagrecVersionRow row = {
		.model_id = place->model_id,
		.version = place->version,
		.refreshed_from = tagrec_request_is_refresh(request) ? request->version : 0,
		.job = run->job.number,
		.algorithm = t->options->algorithm->name,
		.task = t->options->algorithm->task->name,
		.options = tagrec_options_effective(t->options),
		.requested_options = requested_options(run),
		.source = t->source.name,
		.columns = request->columns,
		.user_features = t->source.attributes[TR_USER].name,
		.item_features = t->source.attributes[TR_ITEM].name,
		.value_least = NAN,
		.value_most = NAN,
		.user_type = key_type_name(t->source.user),
		.item_type = key_type_name(t->source.item),
		.users = d->n_users,
		.items = d->n_items,
		.tags = d->n_tags,
		.assignments = d->n_assignments,
		.pairs = d->n_posts,
		.epochs = t->result.epochs,
		.best_epoch = t->result.best_epoch,
		.loss = trained ? t->result.loss : NAN,
		.metric = tagrec_metric_name(t->options),
		.metric_value = trained ? t->result.metric : NAN,
		.seconds = tagrec_seconds_since(run->job.started),
		.backend = t->backend->ops->describe(t->backend),
		.device = request->device
	};

	if (t->options->algorithm->task->values)
	{
		TrValueRange range = tr_dataset_values(d);

		row.value_least = range.least;
		row.value_most = range.most;
	}
	row.width = model->width;
	row.unit_width = model->unit;
	row.features = tr_features(model);
	tagrec_version_insert(&row);
}

/* A refresh makes no model. */
static Oid
prepare_place(const TagrecRun *run, TagrecPlace *place)
{
	const TagrecRequest *request = run->job.request;

	return tagrec_place_prepare(request->model, request->schema, &run->training.source, !tagrec_request_is_refresh(request),
								place);
}

/* The first version always is: without one, there is nothing that queries could use. */
static bool
is_to_be_deployed(const TagrecRun *run, const TagrecPlace *place)
{
	const char *deploy = run->job.request->deploy;

	return place->version == 1 || !deploy || strcmp(deploy, "never") != 0;
}

/* Everything about the new version, in one transaction. */
static int32
write_version(TagrecRun *run)
{
	const TagrecTraining *t = &run->training;
	TagrecPlace place;
	TagrecActing before;

	tagrec_progress_phase(&run->progress, "writing", t->backend, &t->result);
	tagrec_worker_begin(run->job.context);
	before = tagrec_act_as(prepare_place(run, &place));
	tagrec_store_write(&place, &t->source, &t->data, t->written ? t->written : t->model, t->tensors, t->n_tensors);
	tagrec_act_again(before);
	insert_version(run, &place);
	tagrec_result_insert(place.model_id, place.version, tagrec_place_bytes(&place));
	run->undecided = place.version > 1 && tagrec_request_if_better(run->job.request);
	run->deployed = !run->undecided && is_to_be_deployed(run, &place);
	if (run->deployed)
		tagrec_model_deploy(place.model_id, place.version);
	if (!run->undecided)
		tagrec_job_done(run->job.number, place.version, tagrec_run_peak(run));
	tagrec_worker_commit(run->job.context);
	return place.version;
}

/* ": ndcg@20 0.1523 in epoch 9, stopped after 12 of 30 epochs", as far as it is so */
static char *
outcome(const TagrecTraining *t)
{
	const TrTrainResult *result = &t->result;
	const TrTrainOptions *train = &t->options->train;
	char	   *metric = tagrec_metric_name(t->options);
	int			without_gain = result->epochs - result->best_epoch;
	bool		early = train->patience > 0 && without_gain >= train->patience * train->validation_every;
	char	   *epoch = result->epochs > 1 ? psprintf(" in epoch %d", result->best_epoch) : "";

	if (!metric || result->epochs == 0 || isnan(result->metric))
		return "";
	if (early && result->epochs < t->model->epochs)
		return psprintf(": %s %.4f%s, stopped after %d of %d epochs", metric, result->metric, epoch, result->epochs,
						t->model->epochs);
	return psprintf(": %s %.4f%s", metric, result->metric, epoch);
}

static void
announce(const TagrecRun *run, int32 version)
{
	const TagrecRequest *request = run->job.request;
	TrBackend  *backend = run->training.backend;
	const TrDataset *d = &run->training.data.all;
	const char *algorithm = run->training.options->algorithm->name;

	ereport(NOTICE,
			(errmsg("%s version %d of model \"%s\" in %.1f s%s", tagrec_request_is_refresh(request) ? "refreshed" :
					"trained", version, request->model, tagrec_seconds_since(run->job.started), outcome(&run->training)),
			 d->n_tags == 0
			 ? errdetail("%s, %d pairs of %d users and %d items; %s.", algorithm, d->n_posts, d->n_users, d->n_items,
						 backend->ops->describe(backend))
			 : errdetail("%s, %lld assignments of %d users, %d items and %d tags; %s.", algorithm,
						 (long long) d->n_assignments, d->n_users, d->n_items, d->n_tags,
						 backend->ops->describe(backend))));
}

static void
prune(const TagrecRun *run, bool patiently)
{
	int			keep = run->training.options->train.keep_versions;

	/* one that was just trained and is not deployed is to stay */
	tagrec_prune(&run->job, run->done && !run->deployed ? Max(keep, 1) : keep, patiently);
}

/* Queries find the files that they share. As the model's owner, if that is still somebody whom this role may act as. */
static void
warm(const TagrecRun *run)
{
	const char *name = run->job.request->model;
	TagrecModel *model = tagrec_model_find(name, true, false);
	Oid			view = model ? tagrec_model_view(model->schema, name) : InvalidOid;
	TagrecActing before;

	if (!OidIsValid(view) || !tagrec_owns_relation(view, GetUserId()))
		return;
	before = tagrec_act_as(tagrec_relation_owner(view));
	(void) tagrec_warm_model(name);
	tagrec_act_again(before);
}

/* In a transaction of its own, which writes nothing. What goes wrong with it is not the job's error: sessions can do it. */
static void
try_to_warm(const TagrecRun *run)
{
	MemoryContext context = run->job.context;

	PG_TRY();
	{
		tagrec_worker_begin(context);
		warm(run);
		tagrec_worker_commit(context);
	}
	PG_CATCH();
	{
		ErrorData  *error = tagrec_worker_abort(context);

		error->elevel = LOG;
		ThrowErrorData(error);
	}
	PG_END_TRY();
}

/* A refresh has its model as soon as it has read. */
static void
make_model(TagrecRun *run)
{
	if (tagrec_request_is_refresh(run->job.request))
		return;
	if (tagrec_request_is_tune(run->job.request))
		run->asked = tagrec_tune_run(&run->training);
	else
		tagrec_training_run(&run->training, "training");
	/* what is to be compared on held-out pairs must not have seen them */
	if (!tagrec_request_if_better(run->job.request))
		tagrec_training_again(&run->training, "training on all pairs");
	tagrec_training_save(&run->training);
}

void
tagrec_run(TagrecRun *run)
{
	int32		version;

	if (tagrec_request_is_recommend(run->job.request))
	{
		tagrec_recommend_run(&run->training);
		run->done = true;
		return;
	}
	read_source(run);
	prune(run, false);
	make_model(run);
	version = write_version(run);
	if (run->undecided)
		run->deployed = tagrec_deploy_if_better(&run->training, version);
	run->done = true;
	if (run->job.shared)
		announce(run, version);
	prune(run, true);
	tagrec_training_end(&run->training);
	try_to_warm(run);
}
