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

void
tagrec_refresh_read(const TagrecRequest *request, TagrecSource *source, TagrecData *data, TrAssignments *raw)
{
	TagrecVersion *version = version_of(request);
	TagrecActing before;

	tagrec_check_owner(version);
	before = tagrec_act_as(version->owner);
	read_vocabulary(&data->tags, version);
	tagrec_act_again(before);
	before = version->owner == GetUserId() ? tagrec_act_aside() : tagrec_act_as(version->owner);
	tagrec_source_check(source);
	tagrec_source_read(source, data, raw);
	tagrec_source_read_attributes(source, tagrec_algorithm(version->algorithm), data, raw);
	tagrec_act_again(before);
}

static void
count_again(TagrecTraining *t)
{
	TrError		err = {0};

	tagrec_check(tr_model_create(&t->model, t->options->algorithm, &t->memory, t->backend, &t->data.all,
								 t->options->values, &err), &err);
	tagrec_check(tr_model_save(t->model, &t->tensors, &t->n_tensors, &err), &err);
}

static void
load_network(TagrecTraining *t, const TagrecVersion *version)
{
	TrError		err = {0};
	TagrecActing before = tagrec_act_as(version->owner);

	t->tensors = tagrec_read_weights(version, &t->memory, &t->n_tensors);
	tagrec_act_again(before);
	tagrec_check(tr_model_load(&t->model, t->options->algorithm, &t->memory, t->backend, version->tags,
							   t->options->values, t->tensors, t->n_tensors, &err), &err);
	if (tr_features(t->model) != version->features)
		tagrec_version_corrupted(version, "Its network uses neighbours of other kinds than are stored.");
}

/* Which items the version does not have, or nobody has. From here on, no key of an item is added. */
static void
mark_new_items(TagrecTraining *t, const TagrecVersion *version)
{
	TagrecKeys *keys = &t->data.items;
	uint64	   *new_items = tagrec_calloc(&t->memory, TR_BIT_WORDS(keys->count) + 1, sizeof(uint64));
	TagrecActing before = tagrec_act_as(version->owner);
	TagrecTable *items = tagrec_table_open(version, TAGREC_ITEMS);
	TagrecScan	scan = tagrec_scan_all(items);
	FmgrInfo	output;
	const uint64 *waiting = t->data.all.new_items;

	keys->closed = true;
	memset(new_items, 0xff, (TR_BIT_WORDS(keys->count) + 1) * sizeof(uint64));
	tagrec_key_output(items->key_type, &output);
	while (tagrec_scan_next(&scan))
	{
		char	   *key = OutputFunctionCall(&output, tagrec_get_key(&scan, Item_item_id));
		int32		item = tagrec_keys_intern(keys, key, strlen(key));

		CHECK_FOR_INTERRUPTS();
		if (item >= 0 && (!waiting || !tr_bit_test(waiting, item)))
			new_items[item / 64] &= ~(UINT64CONST(1) << (item % 64));
		pfree(key);
	}
	tagrec_scan_end(&scan);
	tagrec_table_close(items);
	tagrec_act_again(before);
	t->data.all.new_items = new_items;
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
		load_network(t, version);
		mark_new_items(t, version);
	}
	t->backend_bytes = t->backend->ops->allocated(t->backend);
}
