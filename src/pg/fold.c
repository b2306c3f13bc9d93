/*
 * Splitting (user, item) pairs into folds. See fold.h.
 */
#include "postgres.h"

#include "fold.h"

#include "common/md5.h"
#include "id.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tagrec_fold);

#define HEX_DIGITS 32

int
tagrec_fold_of(const char *user, const char *item, const char *seed)
{
	char		hex[HEX_DIGITS + 1];
	char	   *text = psprintf("%s:%s:%s", user, item, seed);
	const char *error = NULL;

	if (!pg_md5_hash(text, strlen(text), hex, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute an MD5 hash: %s", error)));
	pfree(text);
	hex[8] = '\0';
	return (int) (strtoul(hex, NULL, 16) % 100);
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
