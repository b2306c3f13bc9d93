/*
 * The C functions of earlier versions' objects whose arguments or results are others now. The objects of such a version can
 * still be created or restored; called, they say that the extension is to be updated.
 */
#include "postgres.h"

#include "fmgr.h"
#include "pg/registry/version.h"

#define EARLIER(function) \
	PG_FUNCTION_INFO_V1(function); \
	Datum \
	function(PG_FUNCTION_ARGS) \
	{ \
		refuse(); \
	}

pg_noreturn static void refuse(void);

/* Finding the extension's tables compares its version with the library's. */
static void
refuse(void)
{
	(void) tagrec_schema();
	elog(ERROR, "function of an earlier version of extension \"tagrec\"");
}

EARLIER(tagrec_compare)
EARLIER(tagrec_evaluate)
EARLIER(tagrec_embed)
EARLIER(tagrec_explain)
EARLIER(tagrec_feature_tags)
EARLIER(tagrec_recommend)
EARLIER(tagrec_recommend_all)
EARLIER(tagrec_recommend_as)
EARLIER(tagrec_recommend_for_tags)
EARLIER(tagrec_recommend_tags)
EARLIER(tagrec_score)
EARLIER(tagrec_similar_items)
EARLIER(tagrec_similar_users)
EARLIER(tagrec_train)
EARLIER(tagrec_tune)
