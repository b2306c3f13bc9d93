/*
 * The distinct keys of one column. See keys.h.
 */
#include "pg/base/keys.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pg/base/id.h"
#include "pg/base/tagrec.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define FIRST_SLOTS 1024
#define CHUNK_SIZE ((Size) 1 << 18)

/* ------------------------------------------------------------------ memory */

void
tagrec_out_of_memory(const TrMemory *memory)
{
	if (memory->limit > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("training needs more memory than tagrec.max_memory allows"),
				 errdetail("The limit is %zu MB, and %zu MB are in use.", memory->limit >> 20, memory->used >> 20),
				 errhint("Increase tagrec.max_memory, or train on less data or a smaller network.")));
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("%zu MB are in use.", memory->used >> 20)));
}

void *
tagrec_alloc(TrMemory *memory, Size bytes)
{
	void	   *p = tr_alloc(memory, Max(bytes, 1));

	if (!p)
		tagrec_out_of_memory(memory);
	return p;
}

void *
tagrec_calloc(TrMemory *memory, Size count, Size size)
{
	void	   *p = tr_calloc(memory, Max(count, 1), size);

	if (!p)
		tagrec_out_of_memory(memory);
	return p;
}

static void *
grow(TrMemory *memory, void *p, Size bytes)
{
	p = tr_realloc(memory, p, bytes);
	if (!p)
		tagrec_out_of_memory(memory);
	return p;
}

/* ------------------------------------------------------------------ interning */

static void
make_slots(TagrecKeys *keys, uint32 n_slots)
{
	tr_free(keys->memory, keys->slot);
	keys->slot = NULL;
	keys->slot = tagrec_alloc(keys->memory, n_slots * sizeof(int32));
	keys->n_slots = n_slots;
	memset(keys->slot, 0xff, n_slots * sizeof(int32));
	for (int32 key = 0; key < keys->count; key++)
	{
		uint32		at = keys->hash[key] & (n_slots - 1);

		while (keys->slot[at] >= 0)
			at = (at + 1) & (n_slots - 1);
		keys->slot[at] = key;
	}
}

void
tagrec_keys_init(TagrecKeys *keys, TrMemory *memory)
{
	memset(keys, 0, sizeof(*keys));
	keys->memory = memory;
	make_slots(keys, FIRST_SLOTS);
}

static char *
keep_text(TagrecKeys *keys, const char *text, Size length)
{
	char	   *to;

	if (keys->chunk_left < length + 1)
	{
		keys->chunk_left = Max(CHUNK_SIZE, length + 1);
		keys->chunk = tagrec_alloc(keys->memory, keys->chunk_left);
	}
	to = keys->chunk;
	memcpy(to, text, length);
	to[length] = '\0';
	keys->chunk += length + 1;
	keys->chunk_left -= length + 1;
	return to;
}

static int32
add_key(TagrecKeys *keys, const char *text, Size length, uint32 hash, uint32 at)
{
	int32		key = keys->count;

	if (key == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many distinct keys in one column")));
	if (key == keys->capacity)
	{
		Size		capacity = keys->capacity ? Min((Size) keys->capacity * 2, PG_INT32_MAX) : FIRST_SLOTS;

		keys->text = grow(keys->memory, keys->text, capacity * sizeof(char *));
		keys->hash = grow(keys->memory, keys->hash, capacity * sizeof(uint32));
		keys->capacity = (int32) capacity;
	}
	keys->text[key] = keep_text(keys, text, length);
	keys->hash[key] = hash;
	keys->slot[at] = key;
	keys->count++;
	if ((uint64) keys->count * 2 > keys->n_slots && keys->n_slots < (uint32) 1 << 31)
		make_slots(keys, keys->n_slots * 2);
	return key;
}

int32
tagrec_keys_intern(TagrecKeys *keys, const char *text, Size length)
{
	uint32		hash = hash_bytes((const unsigned char *) text, (int) length);
	uint32		at = hash & (keys->n_slots - 1);

	for (; keys->slot[at] >= 0; at = (at + 1) & (keys->n_slots - 1))
	{
		int32		key = keys->slot[at];

		if (keys->hash[key] == hash && strncmp(keys->text[key], text, length) == 0
			&& keys->text[key][length] == '\0')
			return key;
	}
	return keys->closed ? -1 : add_key(keys, text, length, hash, at);
}

/* ------------------------------------------------------------------ ranking */

typedef struct RankedKey
{
	Datum		value;
	int32		key;
} RankedKey;

typedef struct Ranking
{
	const TagrecKeys *keys;
	FmgrInfo   *compare;		/* NULL: bytes */
	Oid			collation;
} Ranking;

static int
compare_values(const RankedKey *a, const RankedKey *b, const Ranking *ranking)
{
	if (!ranking->compare)
		return strcmp(ranking->keys->text[a->key], ranking->keys->text[b->key]);
	return DatumGetInt32(FunctionCall2Coll(ranking->compare, ranking->collation, a->value, b->value));
}

static int
compare_keys(const void *a, const void *b, void *arg)
{
	const RankedKey *x = a;
	const RankedKey *y = b;
	const Ranking *ranking = arg;
	int			order = compare_values(x, y, ranking);

	CHECK_FOR_INTERRUPTS();
	return order ? order : strcmp(ranking->keys->text[x->key], ranking->keys->text[y->key]);
}

/* The keys as values of their type, in the current memory context. */
static RankedKey *
key_values(const TagrecKeys *keys, Oid type)
{
	RankedKey  *ranked = MemoryContextAllocHuge(CurrentMemoryContext, Max((Size) keys->count, 1) * sizeof(RankedKey));
	TagrecKeyInput input;

	if (OidIsValid(type))
		tagrec_key_input(&input, type);
	for (int32 i = 0; i < keys->count; i++)
	{
		ranked[i].key = i;
		ranked[i].value = OidIsValid(type) ? tagrec_key_read(&input, keys->text[i]) : (Datum) 0;
	}
	return ranked;
}

/* Puts the kept keys' texts in their new places; the texts themselves do not move. */
static void
reorder(TagrecKeys *keys, const int32 *from, int32 count)
{
	char	  **text = tagrec_alloc(keys->memory, count * sizeof(char *));
	uint32	   *hash = tagrec_alloc(keys->memory, count * sizeof(uint32));

	for (int32 i = 0; i < count; i++)
	{
		text[i] = keys->text[from[i]];
		hash[i] = keys->hash[from[i]];
	}
	tr_free(keys->memory, keys->text);
	tr_free(keys->memory, keys->hash);
	keys->text = text;
	keys->hash = hash;
	keys->count = keys->capacity = count;
	make_slots(keys, keys->n_slots);
}

int32 *
tagrec_keys_rank(TagrecKeys *keys, TagrecKeyType type)
{
	int32	   *map = tagrec_alloc(keys->memory, keys->count * sizeof(int32));
	int32	   *first = tagrec_alloc(keys->memory, keys->count * sizeof(int32));
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "tagrec key order", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(scratch);
	Ranking		ranking = {.keys = keys, .collation = type.collation};
	RankedKey  *ranked;
	int32		count = 0;

	if (OidIsValid(type.type))
		ranking.compare = &lookup_type_cache(type.type, TYPECACHE_CMP_PROC_FINFO)->cmp_proc_finfo;
	ranked = key_values(keys, type.type);
	qsort_arg(ranked, keys->count, sizeof(RankedKey), compare_keys, &ranking);
	for (int32 i = 0; i < keys->count; i++)
	{
		if (i == 0 || compare_values(&ranked[i - 1], &ranked[i], &ranking) != 0)
			first[count++] = ranked[i].key;
		map[ranked[i].key] = count - 1;
	}
	MemoryContextSwitchTo(before);
	MemoryContextDelete(scratch);
	reorder(keys, first, count);
	tr_free(keys->memory, first);
	return map;
}

int32 *
tagrec_keys_keep(TagrecKeys *keys, const uint8 *used)
{
	int32	   *map = tagrec_alloc(keys->memory, keys->count * sizeof(int32));
	int32	   *from = tagrec_alloc(keys->memory, keys->count * sizeof(int32));
	int32		count = 0;

	for (int32 key = 0; key < keys->count; key++)
	{
		map[key] = used[key] ? count : -1;
		if (used[key])
			from[count++] = key;
	}
	reorder(keys, from, count);
	tr_free(keys->memory, from);
	return map;
}
