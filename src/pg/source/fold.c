/*
 * Splitting data by hashes of the keys. See fold.h.
 */
#include "postgres.h"

#include "pg/source/fold.h"

#include "common/md5.h"
#include "pg/base/id.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tagrec_fold);
PG_FUNCTION_INFO_V1(tagrec_holdout);

static void
hash_text(char hash[TAGREC_MD5_DIGITS + 1], const char *text)
{
	const char *error = NULL;

	if (!pg_md5_hash(text, strlen(text), hash, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute an MD5 hash: %s", error)));
}

int
tagrec_fold_of(const char *user, const char *item, const char *seed)
{
	char		hash[TAGREC_MD5_DIGITS + 1];
	char	   *text = psprintf("%s:%s:%s", user, item, seed);

	hash_text(hash, text);
	pfree(text);
	hash[8] = '\0';
	return (int) (strtoul(hash, NULL, 16) % 100);
}

void
tagrec_holdout_of(char hash[TAGREC_MD5_DIGITS + 1], const char *user, const char *item, const char *tag, const char *seed)
{
	char	   *text = psprintf("%s:%s:%s:%s", user, item, tag, seed);

	hash_text(hash, text);
	pfree(text);
}

Datum
tagrec_fold(PG_FUNCTION_ARGS)
{
	TagrecId	user;
	TagrecId	item;

	if (!tagrec_id_argument(fcinfo, 0, &user) || !tagrec_id_argument(fcinfo, 1, &item) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	PG_RETURN_INT32(tagrec_fold_of(tagrec_id_text(&user), tagrec_id_text(&item),
								   text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

Datum
tagrec_holdout(PG_FUNCTION_ARGS)
{
	char		hash[TAGREC_MD5_DIGITS + 1];
	TagrecId	user;
	TagrecId	item;
	TagrecId	tag;

	if (!tagrec_id_argument(fcinfo, 0, &user) || !tagrec_id_argument(fcinfo, 1, &item)
		|| !tagrec_id_argument(fcinfo, 2, &tag) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	tagrec_holdout_of(hash, tagrec_id_text(&user), tagrec_id_text(&item), tagrec_id_text(&tag),
					  text_to_cstring(PG_GETARG_TEXT_PP(3)));
	PG_RETURN_TEXT_P(cstring_to_text(hash));
}
