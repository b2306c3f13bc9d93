/*
 * The steps of a job. See job.h.
 *
 * Reading is one transaction and writing is another; between them, while the model is trained, none is open, so that no
 * snapshot keeps VACUUM from its work. The registry's progress is written in tiny transactions of its own.
 */
#include "pg/train/job_run.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "core/validation.h"
#include "miscadmin.h"
#include "pg/base/identity.h"
#include "pg/base/tagrec.h"
#include "pg/registry/version_write.h"
#include "pg/source/held_out.h"
#include "pg/store/write.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MB(bytes) ((bytes) >> 20)

void
tagrec_run_begin(TagrecRun *run)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(run->context);
}

void
tagrec_run_commit(TagrecRun *run)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
}

TagrecRun *
tagrec_run_start(int64 job, const TagrecRequest *request, TagrecShared *shared)
{
	TagrecRun  *run = palloc0(sizeof(TagrecRun));

	run->job = job;
	run->request = request;
	run->shared = shared;
	run->context = CurrentMemoryContext;
	tr_memory_init(&run->memory, (Size) request->max_memory << 20);
	INSTR_TIME_SET_CURRENT(run->started);
	run->noticed = run->recorded = run->training = run->started;
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
	return run->memory.peak + Max(run->model_peak, run->model_memory.peak) + run->backend_bytes;
}

void
tagrec_run_forget_model(TagrecRun *run)
{
	if (run->model)
		run->model->algorithm->destroy(run->model);
	run->model = NULL;
	run->tensors = NULL;
	run->model_peak = Max(run->model_peak, run->model_memory.peak);
	tr_memory_release(&run->model_memory);
}

void
tagrec_run_end(TagrecRun *run)
{
	tagrec_run_forget_model(run);
	if (run->backend)
		run->backend->ops->close(run->backend);
	run->backend = NULL;
	tr_memory_release(&run->memory);
}

/* ------------------------------------------------------------------ reading */

static void
name_source(TagrecRun *run)
{
	const TagrecRequest *request = run->request;

	run->source.relation = request->source;
	run->source.user_column = request->user_column;
	run->source.item_column = request->item_column;
	run->source.tag_column = request->tag_column;
	run->source.weight_column = request->weight_column;
}

/* What the option validation_source holds out; its keys join the source's. */
static void
read_held_out(TagrecRun *run, TrAssignments *assignments)
{
	TagrecHeldOut held_out = {
		.relation = run->request->validation_source,
		.user_column = run->request->user_column,
		.item_column = run->request->item_column,
		.tag_column = run->options->algorithm->task->tags ? run->request->tag_column : NULL
	};

	tagrec_held_out_check(&held_out);
	(void) tagrec_held_out_read(&held_out, &run->data.users, &run->data.items, &run->data.tags, assignments);
	/* from now on found by any search_path */
	run->options->validation_source = held_out.name;
}

/* What the source's own code sets (views' functions, policies) ends with the reading of it. */
static void
read_relations(TagrecRun *run, TrAssignments *raw, TrAssignments *held_out)
{
	TagrecActing before = tagrec_act_aside();

	tagrec_source_check(&run->source);
	tagrec_source_read(&run->source, &run->data, raw);
	if (held_out)
		read_held_out(run, held_out);
	tagrec_act_again(before);
}

/* The owner of the model, when that is there and is the current user's to train; else who would be: the current user. */
static Oid
owner_to_be(const TagrecRun *run)
{
	TagrecModel *model = tagrec_model_find(run->request->model, true, true);
	char	   *relname = tagrec_view_relname(run->request->model, TAGREC_ITEMS);
	Oid			view = model ? tagrec_model_relation(model->schema, relname) : InvalidOid;

	return OidIsValid(view) && tagrec_owns_relation(view, GetUserId()) ? tagrec_relation_owner(view) : GetUserId();
}

static void
read_data(TagrecRun *run)
{
	bool		refresh = tagrec_request_is_refresh(run->request);
	bool		validated = !refresh && OidIsValid(run->request->validation_source);
	TrAssignments raw;
	TrAssignments held_out;
	TagrecActing before;

	tagrec_data_init(&run->data, &run->memory);
	tr_assignments_init(&raw, &run->memory);
	tr_assignments_init(&held_out, &run->memory);
	if (refresh)
		tagrec_refresh_read(run, &raw);
	else
		read_relations(run, &raw, validated ? &held_out : NULL);
	/* keys are ranked as values of their type, which may be a row with a domain in it */
	before = tagrec_act_as(owner_to_be(run));
	tagrec_data_build(&run->data, &run->source, &raw, &run->options->train, run->options->algorithm->task,
					  validated ? &held_out : NULL);
	tagrec_act_again(before);
}

/*
 * A deferred trigger of the source's has run at the commit, and may have set what it liked: back to what the session began
 * with. (RESET ALL leaves alone who the user is.)
 */
static void
settle_again(TagrecRun *run)
{
	tagrec_run_begin(run);
	SetConfigOption("session_authorization", NULL, PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("role", "none", PGC_SUSET, PGC_S_SESSION);
	ResetAllOptions();
	tagrec_run_commit(run);
}

static void
read_source(TagrecRun *run)
{
	tagrec_progress_phase(run, "reading");
	tagrec_run_begin(run);
	run->options = tagrec_options_read(tagrec_algorithm(run->request->algorithm), run->request->options);
	name_source(run);
	read_data(run);
	if (tagrec_request_is_refresh(run->request))
		tagrec_refresh_model(run);
	tagrec_run_commit(run);
	settle_again(run);
}

/* ------------------------------------------------------------------ training */

static const TrDataset *
training_data(const TagrecRun *run)
{
	return run->data.split && !run->refit ? &run->data.train : &run->data.all;
}

/* What measuring takes while a model whose arrays are so wide is trained. */
static Size
validation_bytes(const TagrecRun *run, int width)
{
	bool		measured = !run->refit && run->data.validation.count > 0 && !run->options->algorithm->task->tags;

	return measured ? tr_rank_bytes(width, run->data.all.n_items) : 0;
}

static Size
estimate(const TagrecRun *run)
{
	const TrDataset *d = training_data(run);
	TrShape		shape = {d->n_users, d->n_items, d->n_tags, d->n_posts, d->n_assignments};

	return run->options->algorithm->estimate(&shape, run->options->values);
}

/* Before anything large is allocated for training; width = that of the model's arrays, as far as is known. */
static void
check_memory(TagrecRun *run, int width)
{
	const TrDataset *d = training_data(run);
	Size		needed = run->memory.used + estimate(run) + validation_bytes(run, width);

	if (run->memory.limit == 0 || needed <= run->memory.limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("training needs about %zu MB, and tagrec.max_memory allows %zu MB", MB(needed) + 1,
					MB(run->memory.limit)),
			 errdetail("The data take %zu MB: %d users, %d items, %d tags, %lld assignments.", MB(run->memory.used) + 1,
					   d->n_users, d->n_items, d->n_tags, (long long) d->n_assignments),
			 errhint("Raise tagrec.max_memory, or train on less data or a smaller network.")));
}

/* A warning only: part of what is estimated lies in the host's memory, and training may fit after all. */
static void
check_device_memory(const TagrecRun *run)
{
	const TrBackendOps *ops = run->backend->ops;
	Size		available = ops->available ? ops->available(run->backend) : 0;
	Size		needed = available > 0 ? estimate(run) : 0;

	if (needed > available)
		ereport(WARNING,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("training needs about %zu MB, and device \"%s\" has %zu MB free", MB(needed) + 1, ops->name,
						MB(available)),
				 errhint("If it fails, train a smaller network or a smaller batch, or use device => 'cpu'.")));
}

static int
threads_of(const TagrecRun *run)
{
	int			asked = run->options->train.threads;

	return asked > 0 ? Min(asked, run->request->threads) : run->request->threads;
}

static void
open_backend(TagrecRun *run, TagrecDevice device)
{
	run->backend = tagrec_backend_open(device, threads_of(run), (TrPrecision) run->options->train.precision);
}

void
tagrec_run_open(TagrecRun *run)
{
	if (!run->backend)
		open_backend(run, tagrec_device(run->request->device));
}

static void
check(TagrecRun *run, TrStatus status, TrError *err)
{
	/* a device without memory says so itself */
	if (status == TR_NO_MEMORY && run->memory.limit > 0 && err->detail[0] == '\0')
		tagrec_out_of_memory(&run->memory);
	tagrec_check(status, err);
}

static TrStatus
try_create(TagrecRun *run, TrError *err)
{
	return tr_model_create(&run->model, run->options->algorithm, &run->model_memory, run->backend, training_data(run),
						   run->options->values, err);
}

/* Not every algorithm runs on every device: with 'auto', the CPU does what the other one cannot. */
static void
create_model(TagrecRun *run)
{
	TrError		err = {0};
	TrStatus	status = try_create(run, &err);

	if (status == TR_UNSUPPORTED && tagrec_device(run->request->device).kind == TAGREC_AUTO)
	{
		ereport(NOTICE,
				(errmsg("training on the CPU, for algorithm \"%s\" cannot use device \"%s\"", run->options->algorithm->name,
						run->backend->ops->name),
				 errdetail("%s", tagrec_sentence(err.message))));
		run->backend->ops->close(run->backend);
		run->backend = NULL;
		open_backend(run, (TagrecDevice) {TAGREC_CPU});
		status = try_create(run, &err);
	}
	check(run, status, &err);
}

void
tagrec_run_train(TagrecRun *run, const char *phase)
{
	TrTrainHooks hooks = {{tagrec_progress_poll, run}, tagrec_progress_epoch};
	TrError		err = {0};

	check_memory(run, 0);
	tagrec_run_open(run);
	check_device_memory(run);
	tagrec_progress_phase(run, phase);
	INSTR_TIME_SET_CURRENT(run->training);
	tr_memory_init(&run->model_memory, run->memory.limit > 0 ? run->memory.limit - run->memory.used : 0);
	create_model(run);
	check_memory(run, run->model->algorithm->width(run->model, NULL));
	check(run, tr_train(run->model, training_data(run), run->refit ? NULL : &run->data.validation, &run->options->train,
						&hooks, &run->result, &err), &err);
	run->backend_bytes = Max(run->backend_bytes, run->backend->ops->allocated(run->backend));
}

static void
save_tensors(TagrecRun *run)
{
	TrError		err = {0};

	check(run, run->model->algorithm->save(run->model, &run->tensors, &run->n_tensors, &err), &err);
	run->backend_bytes = Max(run->backend_bytes, run->backend->ops->allocated(run->backend));
}

/* ------------------------------------------------------------------ writing */

static void
insert_version(TagrecRun *run, const TagrecPlace *place)
{
	const TagrecRequest *request = run->request;
	const TrDataset *d = &run->data.all;
	bool		refresh = tagrec_request_is_refresh(request);
	TagrecVersionRow row = {
		.model_id = place->model_id,
		.version = place->version,
		.refreshed_from = refresh ? request->version : 0,
		.job = run->job,
		.algorithm = request->algorithm,
		.task = run->options->algorithm->task->name,
		.options = tagrec_options_effective(run->options),
		.requested_options = run->asked ? run->asked
		: refresh && request->requested ? request->requested : request->options,
		.source = run->source.name,
		.user_column = request->user_column,
		.item_column = request->item_column,
		.tag_column = request->tag_column,
		.weight_column = request->weight_column,
		.user_type = format_type_extended(run->source.user.type, -1, FORMAT_TYPE_TYPEMOD_GIVEN),
		.item_type = format_type_extended(run->source.item.type, -1, FORMAT_TYPE_TYPEMOD_GIVEN),
		.users = d->n_users,
		.items = d->n_items,
		.tags = d->n_tags,
		.assignments = d->n_assignments,
		.pairs = d->n_posts,
		.epochs = run->result.epochs,
		.best_epoch = run->result.best_epoch,
		.loss = run->result.epochs > 0 ? run->result.loss : NAN,
		.metric = tagrec_metric_name(run->options),
		.metric_value = run->result.epochs > 0 ? run->result.metric : NAN,
		.seconds = tagrec_run_seconds(run->started),
		.backend = run->backend->ops->describe(run->backend)
	};

	row.width = run->model->algorithm->width(run->model, &row.unit_width);
	row.features = tr_features(run->model);
	tagrec_version_insert(&row);
}

static void
check_place(TagrecRun *run, const TagrecPlace *place, Oid view)
{
	if (!OidIsValid(view) || !tagrec_owns_relation(view, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", place->model)));
	tagrec_store_check_model(place->model, place->schema, &run->source);
}

/* The model's row, locked; a new model's relations. Returns who owns them. */
static Oid
prepare_place(TagrecRun *run, TagrecPlace *place)
{
	bool		made;
	TagrecModel *model = tagrec_model_lock(run->request->model, run->request->schema, &made, &place->version);
	Oid			view;

	if (made && tagrec_request_is_refresh(run->request))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("model \"%s\" was dropped while it was being refreshed", model->model)));
	place->model_id = model->model_id;
	place->model = model->model;
	place->schema = model->schema;
	if (made)
	{
		tagrec_store_create(place, &run->source);
		return GetUserId();
	}
	view = tagrec_model_relation(place->schema, tagrec_view_relname(place->model, TAGREC_ITEMS));
	check_place(run, place, view);
	return tagrec_relation_owner(view);
}

/* Everything about the new version, in one transaction. */
static int32
write_version(TagrecRun *run)
{
	TagrecPlace place;
	TagrecActing before;

	tagrec_progress_phase(run, "writing");
	tagrec_run_begin(run);
	before = tagrec_act_as(prepare_place(run, &place));
	tagrec_store_write(&place, &run->source, &run->data, run->model, run->tensors, run->n_tensors);
	tagrec_act_again(before);
	insert_version(run, &place);
	tagrec_model_deploy(place.model_id, place.version);
	tagrec_job_done(run->job, place.version, tagrec_run_peak(run));
	tagrec_run_commit(run);
	return place.version;
}

static void
announce(TagrecRun *run, int32 version)
{
	const TrDataset *d = &run->data.all;

	ereport(NOTICE,
			(errmsg("%s version %d of model \"%s\" in %.1f s", tagrec_request_is_refresh(run->request) ? "refreshed" :
					"trained", version, run->request->model, tagrec_run_seconds(run->started)),
			 errdetail("%s, %lld assignments of %d users, %d items and %d tags; %s.", run->request->algorithm,
					   (long long) d->n_assignments, d->n_users, d->n_items, d->n_tags,
					   run->backend->ops->describe(run->backend))));
}

void
tagrec_run(TagrecRun *run)
{
	int32		version;

	read_source(run);
	tagrec_run_prune(run, false);
	if (tagrec_request_is_tune(run->request))
		tagrec_run_tune(run);
	else if (!tagrec_request_is_refresh(run->request))
		tagrec_run_train(run, "training");
	if (!tagrec_request_is_refresh(run->request))
		save_tensors(run);
	version = write_version(run);
	run->done = true;
	if (run->shared)
		announce(run, version);
	tagrec_run_prune(run, true);
}
