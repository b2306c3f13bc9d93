/*
 * Packing and unpacking tensors. See safetensors.h.
 */
#include "pg/transfer/safetensors.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#define LENGTH_BYTES 8
#define FIRST_ROOM ((Size) 8192)

static const struct
{
	const char *name;
	int			bytes;
}			dtypes[] = {[TAGREC_I64] = {"I64", 8}, [TAGREC_I32] = {"I32", 4}, [TAGREC_F32] = {"F32", 4}, [TAGREC_U8] = {"U8", 1}};

void
tagrec_archive_wrong(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid archive of a model"),
			 errdetail("%s", what),
			 errhint("An archive is what tagrec_export() returns, unchanged.")));
	pg_unreachable();
}

/* ------------------------------------------------------------------ packing */

TagrecTensor *
tagrec_tensor_add(TagrecArchive *archive, const char *name, TagrecDtype dtype)
{
	TagrecTensor *tensor = palloc0(sizeof(TagrecTensor));

	tensor->name = pstrdup(name);
	tensor->dtype = dtype;
	tensor->dims = 1;
	tensor->room = FIRST_ROOM;
	tensor->data = palloc(FIRST_ROOM);
	archive->tensors = lappend(archive->tensors, tensor);
	return tensor;
}

void
tagrec_tensor_append(TagrecTensor *tensor, const void *values, int64 count)
{
	Size		bytes = (Size) count * dtypes[tensor->dtype].bytes;

	if (tensor->bytes + bytes > tensor->room)
	{
		tensor->room = Max(tensor->room * 2, tensor->bytes + bytes);
		tensor->data = repalloc_huge(tensor->data, tensor->room);
	}
	if (bytes > 0)
		memcpy(tensor->data + tensor->bytes, values, bytes);
	tensor->bytes += bytes;
	tensor->shape[0] += count;
}

static void
write_entry(StringInfo header, const TagrecTensor *tensor, Size offset)
{
	appendStringInfoString(header, ", ");
	escape_json(header, tensor->name);
	appendStringInfo(header, ": {\"dtype\": \"%s\", \"shape\": [", dtypes[tensor->dtype].name);
	for (int i = 0; i < tensor->dims; i++)
		appendStringInfo(header, "%s" INT64_FORMAT, i > 0 ? ", " : "", tensor->shape[i]);
	appendStringInfo(header, "], \"data_offsets\": [%zu, %zu]}", offset, offset + tensor->bytes);
}

/* Returns the bytes of the tensors. */
static Size
write_header(StringInfo header, const TagrecArchive *archive)
{
	Size		offset = 0;

	appendStringInfoString(header, "{\"__metadata__\": {\"" TAGREC_METADATA "\": ");
	escape_json(header, archive->metadata);
	appendStringInfoChar(header, '}');
	for (TagrecDtype dtype = TAGREC_I64; dtype <= TAGREC_U8; dtype++)
	{
		ListCell   *cell;

		foreach(cell, archive->tensors)
		{
			const TagrecTensor *tensor = lfirst(cell);

			if (tensor->dtype != dtype)
				continue;
			write_entry(header, tensor, offset);
			offset += tensor->bytes;
		}
	}
	appendStringInfoChar(header, '}');
	return offset;
}

static char *
write_length(char *out, uint64 length)
{
	for (int i = 0; i < LENGTH_BYTES; i++)
		*out++ = (char) (length >> 8 * i);
	return out;
}

/* JSON is UTF-8, whatever the database's encoding. */
static char *
in_utf8(StringInfo header, Size *length)
{
	char	   *text = pg_server_to_any(header->data, header->len, PG_UTF8);
	Size		bytes = strlen(text);

	*length = TYPEALIGN(LENGTH_BYTES, bytes);
	header = makeStringInfo();
	appendStringInfo(header, "%-*s", (int) *length, "");
	memcpy(header->data, text, bytes);
	return header->data;
}

bytea *
tagrec_archive_pack(const TagrecArchive *archive)
{
	StringInfoData header;
	Size		length;
	Size		bytes;
	Size		total;
	char	   *text;
	char	   *out;
	bytea	   *packed;

	initStringInfo(&header);
	bytes = write_header(&header, archive);
	text = in_utf8(&header, &length);
	total = VARHDRSZ + LENGTH_BYTES + length + bytes;
	if (!AllocSizeIsValid(total))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the model needs an archive of %zu MB, but a value of type bytea has less than 1 GB", total >> 20),
				 errhint("Use pg_dump and pg_restore.")));
	packed = palloc(total);
	SET_VARSIZE(packed, total);
	out = write_length(VARDATA(packed), length);
	memcpy(out, text, length);
	out += length;
	for (TagrecDtype dtype = TAGREC_I64; dtype <= TAGREC_U8; dtype++)
	{
		ListCell   *cell;

		foreach(cell, archive->tensors)
		{
			const TagrecTensor *tensor = lfirst(cell);

			if (tensor->dtype != dtype)
				continue;
			memcpy(out, tensor->data, tensor->bytes);
			out += tensor->bytes;
		}
	}
	return packed;
}

/* ------------------------------------------------------------------ unpacking */

static JsonbValue *
member(JsonbContainer *object, const char *name)
{
	return getKeyJsonValueFromContainer(object, name, strlen(name), NULL);
}

static bool
read_number(const JsonbValue *value, int64 *number)
{
	Datum		text;

	if (!value || value->type != jbvNumeric)
		return false;
	/* digits alone: no sign, no fraction, no NaN */
	text = DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric));
	if (strspn(DatumGetCString(text), "0123456789") != strlen(DatumGetCString(text)) || strlen(DatumGetCString(text)) > 18)
		return false;
	*number = pg_strtoint64(DatumGetCString(text));
	return true;
}

/* numbers (most) = the elements; returns how many; -1 if it is no such array */
static int
read_numbers(const JsonbValue *value, int most, int64 *numbers)
{
	int			n;

	if (!value || value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return -1;
	n = JsonContainerSize(value->val.binary.data);
	if (n > most)
		return -1;
	for (int i = 0; i < n; i++)
		if (!read_number(getIthJsonbValueFromContainer(value->val.binary.data, i), &numbers[i]))
			return -1;
	return n;
}

static bool
read_dtype(const JsonbValue *value, TagrecDtype *dtype)
{
	if (!value || value->type != jbvString)
		return false;
	for (*dtype = TAGREC_I64; *dtype <= TAGREC_U8; (*dtype)++)
		if (strlen(dtypes[*dtype].name) == (Size) value->val.string.len &&
			strncmp(dtypes[*dtype].name, value->val.string.val, value->val.string.len) == 0)
			return true;
	return false;
}

static bool
fits(const TagrecTensor *tensor, const int64 *offsets, Size available)
{
	Size		room = available / dtypes[tensor->dtype].bytes;
	Size		count = 1;

	if (offsets[0] > offsets[1] || (Size) offsets[1] > available)
		return false;
	for (int i = 0; i < tensor->dims; i++)
	{
		if (tensor->shape[i] > 0 && count > room / tensor->shape[i])
			return false;
		count *= tensor->shape[i];
	}
	return count * dtypes[tensor->dtype].bytes == (Size) (offsets[1] - offsets[0]);
}

static TagrecTensor *
read_entry(char *name, const JsonbValue *value, char *data, Size available)
{
	TagrecTensor *tensor = palloc0(sizeof(TagrecTensor));
	int64		offsets[2];
	JsonbContainer *entry;

	tensor->name = name;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		tagrec_archive_wrong(psprintf("\"%s\" is not an object.", name));
	entry = value->val.binary.data;
	tensor->dims = read_numbers(member(entry, "shape"), lengthof(tensor->shape), tensor->shape);
	if (!read_dtype(member(entry, "dtype"), &tensor->dtype) || tensor->dims < 1)
		tagrec_archive_wrong(psprintf("Tensor \"%s\" has another type or shape than I64, I32, F32 or U8 in one or two dimensions.",
									  name));
	if (read_numbers(member(entry, "data_offsets"), 2, offsets) != 2 || !fits(tensor, offsets, available))
		tagrec_archive_wrong(psprintf("The offsets of tensor \"%s\" do not fit its shape, or the %zu bytes of the data.", name,
									  available));
	tensor->data = data + offsets[0];
	tensor->bytes = offsets[1] - offsets[0];
	return tensor;
}

static char *
read_metadata(const JsonbValue *value)
{
	JsonbValue *text;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data) ||
		!(text = member(value->val.binary.data, TAGREC_METADATA)) || text->type != jbvString)
		tagrec_archive_wrong("Its metadata are not those of a model.");
	return pnstrdup(text->val.string.val, text->val.string.len);
}

static Jsonb *
read_header(const char *text, Size length)
{
	char	   *converted;

	if (memchr(text, '\0', length))
		tagrec_archive_wrong("Its header contains a zero byte.");
	converted = pg_any_to_server(pnstrdup(text, length), (int) length, PG_UTF8);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(converted)));
}

static uint64
read_length(const char *in)
{
	uint64		length = 0;

	for (int i = LENGTH_BYTES - 1; i >= 0; i--)
		length = length << 8 | (unsigned char) in[i];
	return length;
}

void
tagrec_archive_unpack(TagrecArchive *archive, bytea *packed)
{
	Size		bytes = VARSIZE_ANY_EXHDR(packed);
	char	   *in = VARDATA_ANY(packed);
	uint64		length = bytes >= LENGTH_BYTES ? read_length(in) : 0;
	Jsonb	   *header;
	JsonbIterator *iterator;
	JsonbValue	key;
	JsonbValue	value;
	JsonbIteratorToken token;

	memset(archive, 0, sizeof(*archive));
	if (length == 0 || length > bytes - LENGTH_BYTES)
		tagrec_archive_wrong(psprintf("It has %zu bytes, which is too short for its header.", bytes));
	header = read_header(in + LENGTH_BYTES, length);
	if (!JB_ROOT_IS_OBJECT(header))
		tagrec_archive_wrong("Its header is not a JSON object.");
	iterator = JsonbIteratorInit(&header->root);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) == WJB_KEY)
	{
		char	   *name = pnstrdup(key.val.string.val, key.val.string.len);

		(void) JsonbIteratorNext(&iterator, &value, true);
		if (strcmp(name, "__metadata__") == 0)
			archive->metadata = read_metadata(&value);
		else
			archive->tensors = lappend(archive->tensors, read_entry(name, &value, in + LENGTH_BYTES + length,
																	bytes - LENGTH_BYTES - length));
	}
	if (!archive->metadata)
		tagrec_archive_wrong("It has no metadata.");
}

const TagrecTensor *
tagrec_archive_find(const TagrecArchive *archive, const char *name, TagrecDtype dtype, int dims)
{
	ListCell   *cell;

	foreach(cell, archive->tensors)
	{
		const TagrecTensor *tensor = lfirst(cell);

		if (strcmp(tensor->name, name) != 0)
			continue;
		if (tensor->dtype != dtype || tensor->dims != dims)
			tagrec_archive_wrong(psprintf("Tensor \"%s\" must be of type %s with %d dimensions.", name, dtypes[dtype].name, dims));
		return tensor;
	}
	return NULL;
}
