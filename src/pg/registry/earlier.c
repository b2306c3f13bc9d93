/*
 * Functions as earlier versions of the extension declared them, with other arguments than now: until the extension is updated,
 * they say that it is to be. A function whose arguments change gets another symbol, a number behind its name, and a line here.
 */
#include "postgres.h"

#include "fmgr.h"
#include "pg/registry/version.h"

#define EARLIER(function) \
	PG_FUNCTION_INFO_V1(function); \
	Datum \
	function(PG_FUNCTION_ARGS) \
	{ \
		return update_needed(); \
	}

static Datum
update_needed(void)
{
	(void) tagrec_schema();		/* ereport(ERROR), unless the objects have been updated meanwhile */
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this function has been replaced by an update of extension \"tagrec\"")));
}

/* 0.1.0 */
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
