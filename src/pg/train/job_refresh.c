/*
 * Refreshing: current profiles, encoded by the network of the deployed version; for an algorithm that counts, counted
 * again, with the version's tags. See job.h.
 *
 * The version is the owner's, and so is the name of its source: what that name has come to mean since (a view, say) is for
 * the owner to say, and not for a superuser who refreshes the model to run. So all is read as the owner, who must be able
 * to read the source, whoever refreshes. What the owner himself refreshes is read like any source.
 */
#include "pg/train/job_run.h"

#include "miscadmin.h"
#include "pg/base/identity.h"
#include "pg/base/tagrec.h"
#include "pg/store/version_read.h"

/* Fails when the version has been dropped since the job was asked for. */
static TagrecVersion *
version_of(TagrecRun *run)
{
	return tagrec_version_find(run->request->model, run->request->version);
}

/* In the order of their positions, so that a tag's key is its position. */
static void
take_tag(void *argument, const char *tag)
{
	TagrecKeys *tags = argument;

	tagrec_keys_intern(tags, tag, strlen(tag));
}

static void
read_vocabulary(TagrecRun *run, const TagrecVersion *version)
{
	tagrec_read_tags(version, take_tag, &run->data.tags);
	if (run->data.tags.count != version->tags)
		tagrec_version_corrupted(version, "It has a tag twice.");
	run->data.tags.closed = true;
}

void
tagrec_refresh_read(TagrecRun *run, TrAssignments *raw)
{
	TagrecVersion *version = version_of(run);
	TagrecActing before;

	tagrec_check_owner(version);
	before = tagrec_act_as(version->owner);
	read_vocabulary(run, version);
	tagrec_act_again(before);
	before = version->owner == GetUserId() ? tagrec_act_aside() : tagrec_act_as(version->owner);
	tagrec_source_check(&run->source);
	tagrec_source_read(&run->source, &run->data, raw);
	tagrec_act_again(before);
}

static void
count_again(TagrecRun *run)
{
	TrError		err = {0};

	tagrec_check(tr_model_create(&run->model, run->options->algorithm, &run->memory, run->backend, &run->data.all,
								 run->options->values, &err), &err);
	tagrec_check(run->options->algorithm->save(run->model, &run->tensors, &run->n_tensors, &err), &err);
}

static void
load_network(TagrecRun *run, const TagrecVersion *version)
{
	TrError		err = {0};

	TagrecActing before = tagrec_act_as(version->owner);

	run->tensors = tagrec_read_weights(version, &run->memory, &run->n_tensors);
	tagrec_act_again(before);
	tagrec_check(tr_model_load(&run->model, run->options->algorithm, &run->memory, run->backend, version->tags,
							   run->options->values, run->tensors, run->n_tensors, &err), &err);
	if (tr_features(run->model) != version->features)
		tagrec_version_corrupted(version, "Its network scores by other neighbours than it.");
}

void
tagrec_refresh_model(TagrecRun *run)
{
	TagrecVersion *version = version_of(run);

	run->backend = tagrec_backend_open(tagrec_device(run->request->device), run->request->threads,
									   (TrPrecision) run->options->train.precision);
	if (run->options->algorithm->counts)
		count_again(run);
	else
		load_network(run, version);
	run->backend_bytes = run->backend->ops->allocated(run->backend);
}
