/*
 * Filling a version's partitions. See write.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/base/id.h"
#include "pg/base/tagrec.h"
#include "pg/base/told.h"
#include "pg/store/columns.h"
#include "pg/store/row_writer.h"
#include "utils/builtins.h"

#define EMBED_ROWS 1024
#define PART_VALUES (4 * 1024 * 1024)

/* ------------------------------------------------------------------ users and items */

/* Sets the sparse part's two arrays; returns their bytes. */
static Size
sparse_part(Datum *features, Datum *values, const TagrecData *data, TrModel *model, int32 user)
{
	TrSparse	part = {0};
	TrError		err = {0};

	if (model->algorithm->user_features)
		tagrec_check(model->algorithm->user_features(model, &data->all, user, &part, &err), &err);
	*features = tagrec_array_of(part.index, part.n, INT4OID);
	*values = tagrec_array_of(part.value, part.n, FLOAT4OID);
	return (Size) part.n * 8;
}

/* Sets the two arrays of the user's posts; returns their bytes. */
static Size
posts(Datum *ends, Datum *tags, const TrDataset *d, const TrTask *task, int32 user)
{
	int32		first = d->user_ptr[user];
	int32		n = task->tags ? d->user_ptr[user + 1] - first : 0;
	int64		first_tag = d->post_ptr[first];
	int64		n_tags = d->post_ptr[first + n] - first_tag;
	int32	   *end = palloc(Max(n, 1) * sizeof(int32));

	for (int32 p = 0; p < n; p++)
		end[p] = (int32) (d->post_ptr[first + p + 1] - first_tag);
	*ends = tagrec_array_of(end, n, INT4OID);
	*tags = tagrec_array_of(d->post_tag + first_tag, n_tags, INT4OID);
	return (n + n_tags) * 4;
}

/* Sets the profile's two arrays; returns their bytes. */
static Size
profile(Datum *tags, Datum *counts, const TrProfileTable *table, int32 entity)
{
	int64		first = table->entry_ptr[entity];
	int64		n = table->entry_ptr[entity + 1] - first;

	*tags = tagrec_array_of(table->tag + first, n, INT4OID);
	*counts = tagrec_array_of(table->count + first, n, FLOAT4OID);
	return n * 8;
}

/* What the user has, ascending, behind the complements of what the user dislikes. */
static int32
seen_items(Datum *value, const TrDataset *d, int32 user)
{
	const TrDislikes *dislikes = d->dislikes;
	int32		first = d->user_ptr[user];
	int32		seen = d->user_ptr[user + 1] - first;
	int32		disliked = dislikes ? dislikes->ptr[user + 1] - dislikes->ptr[user] : 0;
	int32	   *all;

	if (disliked == 0)
	{
		*value = tagrec_array_of(d->post_item + first, seen, INT4OID);
		return seen;
	}
	all = palloc_extended(((Size) disliked + seen) * sizeof(int32), MCXT_ALLOC_HUGE);
	for (int32 i = 0; i < disliked; i++)
		all[i] = ~dislikes->item[dislikes->ptr[user + 1] - 1 - i];
	memcpy(all + disliked, d->post_item + first, (Size) seen * sizeof(int32));
	*value = tagrec_array_of(all, (int64) disliked + seen, INT4OID);
	return disliked + seen;
}

static void
add_user(TagrecWriter *writer, const TagrecData *data, TrModel *model, TagrecKeyInput *input, int32 user, const float *embedding,
		 int width)
{
	const TrDataset *d = &data->all;
	Datum	   *values = tagrec_writer_row(writer);
	Size		bytes = ((Size) width + seen_items(&values[User_seen], d, user)) * 4;

	values[User_user_id] = tagrec_key_read(input, data->users.text[user]);
	values[User_embedding] = tagrec_array_of(embedding, width, FLOAT4OID);
	bytes += profile(&values[User_tags], &values[User_counts], &d->user, user);
	bytes += sparse_part(&values[User_features], &values[User_feature_values], data, model, user);
	bytes += posts(&values[User_post_ends], &values[User_post_tags], d, model->algorithm->task, user);
	tagrec_writer_add(writer, bytes);
}

static void
add_item(TagrecWriter *writer, const TagrecData *data, TagrecKeyInput *input, int32 item, const float *embedding, int width)
{
	const TrDataset *d = &data->all;
	Size		bytes = (Size) width * 4;
	Datum	   *values = tagrec_writer_row(writer);

	values[Item_item_id] = tagrec_key_read(input, data->items.text[item]);
	values[Item_position] = Int32GetDatum(item);
	values[Item_embedding] = tagrec_array_of(embedding, width, FLOAT4OID);
	bytes += profile(&values[Item_tags], &values[Item_counts], &d->item, item);
	values[Item_posts] = Int32GetDatum(d->item_ptr[item + 1] - d->item_ptr[item]);
	tagrec_writer_add(writer, bytes);
}

static void
fill_side(const TagrecPlace *place, const TagrecSource *source, const TagrecData *data, TrModel *model, TrSide side)
{
	int32		count = side == TR_USER ? data->all.n_users : data->all.n_items;
	int			width = model->width;
	float	   *embedding = tagrec_alloc(data->memory, ((Size) EMBED_ROWS * width + 1) * sizeof(float));
	TrError		err = {0};
	TagrecWriter		writer;
	TagrecKeyInput input;

	tagrec_writer_open(&writer, place, side == TR_USER ? TAGREC_USERS : TAGREC_ITEMS);
	tagrec_key_input(&input, side == TR_USER ? source->user.type : source->item.type);
	for (int32 first = 0; first < count; first += EMBED_ROWS)
	{
		int32		n = Min(EMBED_ROWS, count - first);

		tagrec_tell(side == TR_USER ? "users" : "items", first, count);

		if (width > 0)
			tagrec_check(tr_model_embed(model, side, &data->all, first, n, embedding, &err), &err);
		for (int32 i = 0; i < n; i++)
			if (side == TR_USER)
				add_user(&writer, data, model, &input, first + i, embedding + (Size) i * width, width);
			else
				add_item(&writer, data, &input, first + i, embedding + (Size) i * width, width);
	}
	tagrec_writer_close(&writer);
	tr_free(data->memory, embedding);
}

/* ------------------------------------------------------------------ tags, weights, neighbours */

static void
fill_tags(const TagrecPlace *place, const TagrecData *data)
{
	TagrecWriter		writer;

	tagrec_writer_open(&writer, place, TAGREC_TAGS);
	for (int32 tag = 0; tag < data->tags.count; tag++)
	{
		Datum	   *values = tagrec_writer_row(&writer);

		values[Tag_position] = Int32GetDatum(tag);
		values[Tag_tag] = CStringGetTextDatum(data->tags.text[tag]);
		tagrec_writer_add(&writer, strlen(data->tags.text[tag]));
	}
	tagrec_writer_close(&writer);
}

/* Whole rows to a part, as many as fit. rows and cols are those of the whole matrix, in every part. */
static void
add_weight(TagrecWriter *writer, const TrTensor *tensor)
{
	int32		step = Max(1, PART_VALUES / Max(tensor->cols, 1));

	for (int32 first = 0, part = 0; first < tensor->rows; first += step, part++)
	{
		int64		n = (int64) Min(step, tensor->rows - first) * tensor->cols;
		Datum	   *values = tagrec_writer_row(writer);

		tagrec_tell("rows of weights", first, tensor->rows);
		values[Weight_name] = CStringGetTextDatum(tensor->name);
		values[Weight_part] = Int32GetDatum(part);
		values[Weight_rows] = Int32GetDatum(tensor->rows);
		values[Weight_cols] = Int32GetDatum(tensor->cols);
		values[Weight_value] = tagrec_array_of(tensor->value + (Size) first * tensor->cols, n, FLOAT4OID);
		tagrec_writer_add(writer, n * 4);
	}
}

void
tagrec_store_weights(const TagrecPlace *place, const TrTensor *tensors, int n_tensors)
{
	TagrecWriter		writer;

	tagrec_writer_open(&writer, place, TAGREC_WEIGHTS);
	for (int i = 0; i < n_tensors; i++)
		if (!tensors[i].training)
			add_weight(&writer, &tensors[i]);
	tagrec_writer_close(&writer);
}

static void
add_neighbours(TagrecWriter *writer, int32 feature, const TrSparse *row)
{
	Datum	   *values = tagrec_writer_row(writer);

	values[Neighbour_feature] = Int32GetDatum(feature);
	values[Neighbour_items] = tagrec_array_of(row->index, row->n, INT4OID);
	values[Neighbour_weights] = tagrec_array_of(row->value, row->n, FLOAT4OID);
	tagrec_writer_add(writer, (Size) row->n * 8);
}

static void
fill_neighbours(const TagrecPlace *place, const TagrecData *data, TrModel *model)
{
	int64		count = tr_feature_count(tr_features(model), data->all.n_users, data->all.n_items, data->all.n_tags);
	TagrecWriter		writer;

	tagrec_writer_open(&writer, place, TAGREC_NEIGHBOURS);
	for (int64 feature = 0; feature < count; feature++)
	{
		TrSparse	row = {0};
		TrError		err = {0};

		CHECK_FOR_INTERRUPTS();
		tagrec_tell("neighbors", feature, count);
		tagrec_check(model->algorithm->feature_weights(model, (int32) feature, &row, &err), &err);
		if (row.n > 0)
			add_neighbours(&writer, (int32) feature, &row);
	}
	tagrec_writer_close(&writer);
}

/* ------------------------------------------------------------------ partitions */

/*
 * No statistics of arrays: nobody plans by them, and counting the numbers of embeddings would take longer than writing
 * them.
 */
static void
skip_statistics(const TagrecPlace *place, TagrecRelation which)
{
	const TagrecLayout *layout = &tagrec_layout[which];
	StringInfoData alter;

	initStringInfo(&alter);
	for (int i = 0; i < layout->columns; i++)
		if (layout->column[i].type == FLOAT4ARRAYOID || layout->column[i].type == INT4ARRAYOID)
			appendStringInfo(&alter, "%sALTER COLUMN %s SET STATISTICS 0", alter.len > 0 ? ", " : "",
							 quote_identifier(layout->column[i].name));
	if (alter.len > 0)
		tagrec_execute("ALTER TABLE %s %s", tagrec_place_partition(place, which), alter.data);
}

/*
 * Rows of up to half a page stay whole. By default it is a quarter, and all that stands beside an embedding of 500 numbers
 * would be compressed and go out of line, a few bytes at a time.
 */
#define WHOLE_ROW 4080

/* A table like the partition it will be, with the constraint that spares ATTACH its scan. */
static void
create_partition(const TagrecPlace *place, TagrecRelation which)
{
	tagrec_execute("CREATE TABLE %s (LIKE %s INCLUDING STORAGE, CHECK (version OPERATOR(pg_catalog.=) %d))"
				   " WITH (toast_tuple_target = %d)",
				   tagrec_place_partition(place, which), tagrec_place_parent(place, which), place->version, WHOLE_ROW);
	skip_statistics(place, which);
}

/* Attaching makes the indexes that the partitioned table has, the user's own included. */
static void
attach_partition(const TagrecPlace *place, TagrecRelation which)
{
	char	   *partition = tagrec_place_partition(place, which);

	tagrec_execute("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES IN (%d)", tagrec_place_parent(place, which), partition,
				   place->version);
	tagrec_tell("relations", which, TAGREC_NEIGHBOURS + 1);
	tagrec_execute("ANALYZE %s", partition);
}

/*
 * The columns that the view of neighbours joins by, of the partitioned tables themselves, which autovacuum does not
 * analyze: without that, plans assume 200 items. Locked old partitions are skipped.
 */
static void
analyze_joins(const TagrecPlace *place)
{
	tagrec_execute("ANALYZE (SKIP_LOCKED) %s (version, \"position\", item_id)", tagrec_place_parent(place, TAGREC_ITEMS));
	tagrec_execute("ANALYZE (SKIP_LOCKED) %s (version, feature)", tagrec_place_parent(place, TAGREC_NEIGHBOURS));
}

void
tagrec_store_begin(const TagrecPlace *place)
{
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS; which++)
		create_partition(place, which);
}

void
tagrec_store_end(const TagrecPlace *place)
{
	CommandCounterIncrement();
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS; which++)
	{
		tagrec_tell("relations", which, TAGREC_NEIGHBOURS + 1);
		attach_partition(place, which);
	}
	analyze_joins(place);
}

void
tagrec_store_write(const TagrecPlace *place, const TagrecSource *source, const TagrecData *data, TrModel *model,
				   const TrTensor *tensors, int n_tensors)
{
	tagrec_store_begin(place);
	fill_side(place, source, data, model, TR_USER);
	fill_side(place, source, data, model, TR_ITEM);
	fill_tags(place, data);
	tagrec_store_weights(place, tensors, n_tensors);
	fill_neighbours(place, data, model);
	tagrec_store_end(place);
}
