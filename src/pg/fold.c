/*
 * Splitting (user, item) pairs into folds. See fold.h.
 */
#include "postgres.h"

#include "fold.h"

#include "common/md5.h"

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
