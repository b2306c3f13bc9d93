/*
 * Refreshing: current profiles, encoded by the network of the deployed version; for an algorithm that counts, counted
 * again, with the version's tags. See job.h.
 *
 * The version is the owner's, and so is the name of its source: that name may now refer to something else (such as a view),
 * whose code a superuser who refreshes the model must not run. So everything is read as the owner, who must be able to read
 * the source, whichever role refreshes. If the owner refreshes, the source is read like any other.
 */
#include "pg/train/job_refresh.h"

#include "core/topn.h"
#include "miscadmin.h"
#include "pg/base/id.h"
#include "pg/base/identity.h"
#include "pg/base/tagrec.h"
#include "pg/store/read.h"
#include "pg/store/version_read.h"
#include "pg/train/backend_load.h"
#include "pg/train/refreshed.h"
#include "utils/lsyscache.h"

/* Fails when the version has been dropped since the job was asked for. */
static TagrecVersion *
version_of(const TagrecRequest *request)
{
	return tagrec_version_find(request->model, request->version);
}

/* In the order of their positions, so that a tag's key is its position. */
static void
take_tag(void *argument, const char *tag)
{
	TagrecKeys *tags = argument;

	tagrec_keys_intern(tags, tag, strlen(tag));
}

static void
read_vocabulary(TagrecKeys *tags, const TagrecVersion *version)
{
	tagrec_read_tags(version, take_tag, tags);
	if (tags->count != version->tags)
		tagrec_version_corrupted(version, "It has a duplicate tag.");
	tags->closed = true;
}

static void
take_item(void *argument, const TagrecScan *scan)
{
	TagrecKeys *items = argument;
	Oid			output;
	bool		varlena;
	char	   *key;

	getTypeOutputInfo(scan->table->key_type, &output, &varlena);
	key = OidOutputFunctionCall(output, tagrec_get_key(scan, Item_item_id));
	tagrec_keys_intern(items, key, strlen(key));
}

/* Pairs count whatever their tags, and of items that cannot be added none do. */
static void
keep_items(const TagrecVersion *version, TagrecSource *source, TagrecData *data)
{
	tagrec_each_row(version, TAGREC_ITEMS, take_item, &data->items);
	data->keep_items = true;
	data->items.closed = !tagrec_refresh_adds_items(version);
	source->rules.unknown_tags = true;
}

static void
tell_left_out(const TagrecVersion *version, const TagrecSource *source, const TagrecData *data)
{
	if (data->items.closed && data->ignored > 0)
		ereport(NOTICE,
				(errmsg("leaving out %lld of %lld rows of %s, of items that version %d of model \"%s\" does not have",
						(long long) data->ignored, (long long) data->rows, source->name, version->version, version->model),
				 errdetail("Its algorithm, %s, learns about an item in training alone.", version->algorithm),
				 errhint("Train it again with tagrec_retrain() to include them.")));
}

void
tagrec_refresh_read(const TagrecRequest *request, TagrecSource *source, TagrecData *data, TrAssignments *raw)
{
	TagrecVersion *version = version_of(request);
	TagrecActing before;

	tagrec_check_owner(version);
	before = tagrec_act_as(version->owner);
	read_vocabulary(&data->tags, version);
	if (tagrec_refresh_keeps_items(tagrec_algorithm(version->algorithm)))
		keep_items(version, source, data);
	tagrec_act_again(before);
	before = version->owner == GetUserId() ? tagrec_act_aside() : tagrec_act_as(version->owner);
	tagrec_source_check(source);
	tagrec_source_read(source, data, raw);
	tagrec_source_read_attributes(source, tagrec_algorithm(version->algorithm), data, raw);
	tagrec_act_again(before);
	tell_left_out(version, source, data);
}

static void
count_again(TagrecTraining *t)
{
	TrError		err = {0};

	tagrec_check(tr_model_create(&t->model, t->options->algorithm, &t->memory, t->backend, &t->data.all,
								 t->options->values, &err), &err);
	tagrec_check(tr_model_save(t->model, &t->tensors, &t->n_tensors, &err), &err);
}

/* What is stored by item gets the present items. */
static void
renumber_weights(TagrecTraining *t, const TagrecVersion *version, const int32 *from)
{
	const TrAlgorithm *algorithm = t->options->algorithm;
	TrRenumbering renumbering = {
		.n_tags = version->tags,
		.n_before = version->items,
		.n_items = t->data.all.n_items,
		.from = from
	};
	TrError		err = {0};

	if (algorithm->renumber_items && tagrec_refresh_adds_items(version))
		tagrec_check(algorithm->renumber_items(&renumbering, t->options->values, t->tensors, t->n_tensors, &t->memory, &err),
					 &err);
}

/* Where neighbours are stored, by the positions of items. */
static void
check_positions(const TagrecTraining *t, const TagrecVersion *version, const int32 *from)
{
	bool		same = t->data.all.n_items == version->items;

	for (int32 item = 0; same && item < version->items; item++)
		same = from[item] == item;
	if (!same && version->features)
		tagrec_version_corrupted(version, "Its items are not in the order of their keys.");
}

static void
load_network(TagrecTraining *t, const TagrecVersion *version, const int32 *from)
{
	TrError		err = {0};
	TagrecActing before = tagrec_act_as(version->owner);

	t->tensors = tagrec_read_weights(version, &t->memory, &t->n_tensors);
	tagrec_act_again(before);
	renumber_weights(t, version, from);
	tagrec_check(tr_model_load(&t->model, t->options->algorithm, &t->memory, t->backend, version->tags,
							   t->options->values, t->tensors, t->n_tensors, &err), &err);
	if (t->options->algorithm->loads && tr_features(t->model) != version->features)
		tagrec_version_corrupted(version, "Its network uses neighbours of other kinds than are stored.");
}

void
tagrec_refresh_model(TagrecTraining *t)
{
	const TagrecRequest *request = t->job->request;
	TagrecVersion *version = version_of(request);

	t->backend = tagrec_backend_open(tagrec_device(request->device), request->threads,
									 (TrPrecision) t->options->train.precision);
	if (t->options->algorithm->counts)
		count_again(t);
	else
	{
		int32	   *from = tagrec_refresh_positions(t, version);

		check_positions(t, version, from);
		load_network(t, version, from);
		tagrec_refresh_compose(t, version);
	}
	t->backend_bytes = t->backend->ops->allocated(t->backend);
}
