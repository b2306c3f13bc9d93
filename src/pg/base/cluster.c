/*
 * What there is to know about Citus. See cluster.h.
 */
#include "pg/base/cluster.h"

#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/guc.h"

bool
tagrec_is_worker_node(void)
{
	List	   *name = list_make2(makeString("pg_catalog"), makeString("citus_is_coordinator"));
	Oid			function;

	if (!OidIsValid(get_extension_oid("citus", true)))
		return false;
	function = LookupFuncName(name, 0, NULL, true);
	return OidIsValid(function) && !DatumGetBool(OidFunctionCall0(function));
}

void
tagrec_create_locally(void)
{
	const char *setting = "citus.enable_ddl_propagation";

	if (GetConfigOption(setting, true, false))
		(void) set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}
