/*
 * Acting as another role. See identity.h.
 */
#include "pg/base/identity.h"

#include "miscadmin.h"
#include "utils/guc.h"

/*
 * Core's own maintenance commands set the same, and nothing else (RestrictSearchPath() from 17 on). What else the caller
 * may have set changes how code runs, not which: statements of tagrec name schemas and operators in full, and bind their
 * values.
 */
static void
restrict_search_path(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

TagrecActing
tagrec_act_aside(void)
{
	TagrecActing before;

	GetUserIdAndSecContext(&before.user, &before.security_context);
	before.settings = NewGUCNestLevel();
	return before;
}

TagrecActing
tagrec_act_as(Oid role)
{
	TagrecActing before = tagrec_act_aside();

	SetUserIdAndSecContext(role, before.security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	restrict_search_path();
	return before;
}

/* Settings first: the values that they are reset to were allowed for the role that set them. */
void
tagrec_act_again(TagrecActing before)
{
	AtEOXact_GUC(false, before.settings);
	SetUserIdAndSecContext(before.user, before.security_context);
}

TagrecIdentity
tagrec_become(Oid role)
{
	TagrecIdentity identity;

	GetUserIdAndSecContext(&identity.user, &identity.security_context);
	SetUserIdAndSecContext(role, identity.security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	return identity;
}

void
tagrec_become_again(TagrecIdentity identity)
{
	SetUserIdAndSecContext(identity.user, identity.security_context);
}
