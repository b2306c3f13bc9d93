/*
 * Acting as another role. Any code of a role that might run (functions behind an index, a policy, a view, a domain, a
 * default) runs as that role, and none of its settings persist:
 *
 *   - the user is the role, in a security-restricted operation: no SET ROLE, no temporary table, no LISTEN, no PREPARE, no
 *     deferred trigger, which would run later, as another role;
 *   - settings get their own nesting level, which is rolled back at the end, including set_config(..., false);
 *   - search_path is pg_catalog, pg_temp, so that names cannot be hijacked.
 *
 * After an ERROR the end of the (sub)transaction undoes all of it. Acts nest, and end in the opposite order.
 */
#ifndef TAGREC_IDENTITY_H
#define TAGREC_IDENTITY_H

#include "postgres.h"

typedef struct TagrecActing
{
	Oid			user;			/* who it was before */
	int			security_context;
	int			settings;		/* level of the settings */
} TagrecActing;

extern TagrecActing tagrec_act_as(Oid role);

/* As the current user, unrestricted; but its code's settings end with the act as well. search_path stays. */
extern TagrecActing tagrec_act_aside(void);

extern void tagrec_act_again(TagrecActing before);

/*
 * Only the user, for our own statements on the registry's tables, which qualify all names and run no user-defined code:
 * every query does this, and another search_path would cause replanning each time.
 */
typedef struct TagrecIdentity
{
	Oid			user;
	int			security_context;
} TagrecIdentity;

extern TagrecIdentity tagrec_become(Oid role);
extern void tagrec_become_again(TagrecIdentity identity);

#endif
