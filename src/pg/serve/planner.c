/*
 * What the planner is told of the functions that return lists: as many rows as the argument n says, when it is a constant.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(tagrec_planner_support);

/*
 * Users of a model, where a function returns a list for each: the planner's ROWS of such functions are ten times as many.
 */
#define SOME_USERS 1000

/* The place of an argument; -1 when the function has none of that name. */
static int
argument_place(HeapTuple function, const char *name)
{
	Datum		names;
	Datum		modes;
	bool		isnull;
	bool		no_modes;
	char	  **name_of;
	int			n;

	names = SysCacheGetAttr(PROCOID, function, Anum_pg_proc_proargnames, &isnull);
	modes = SysCacheGetAttr(PROCOID, function, Anum_pg_proc_proargmodes, &no_modes);
	if (isnull)
		return -1;
	n = get_func_input_arg_names(names, no_modes ? PointerGetDatum(NULL) : modes, &name_of);
	for (int i = 0; i < n; i++)
		if (name_of[i] && strcmp(name_of[i], name) == 0)
			return i;
	return -1;
}

/* The constant that an argument is; NULL when it is none. */
static Const *
constant_argument(const SupportRequestRows *request, int place)
{
	List	   *arguments = IsA(request->node, FuncExpr) ? ((FuncExpr *) request->node)->args : NIL;
	Node	   *value;

	if (place < 0 || place >= list_length(arguments))
		return NULL;
	value = estimate_expression_value(request->root, list_nth(arguments, place));
	return IsA(value, Const) && !((Const *) value)->constisnull ? (Const *) value : NULL;
}

static bool
estimate_rows(SupportRequestRows *request)
{
	HeapTuple	function = SearchSysCache1(PROCOID, ObjectIdGetDatum(request->funcid));
	Const	   *n;
	double		lists;

	if (!HeapTupleIsValid(function))
		return false;
	n = constant_argument(request, argument_place(function, "n"));
	lists = ((Form_pg_proc) GETSTRUCT(function))->prorows > SOME_USERS ? SOME_USERS : 1;
	ReleaseSysCache(function);
	if (!n)
		return false;
	request->rows = Max((double) DatumGetInt64(n->constvalue), 0) * lists;
	return true;
}

Datum
tagrec_planner_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestRows) && estimate_rows((SupportRequestRows *) request))
		PG_RETURN_POINTER(request);
	PG_RETURN_POINTER(NULL);
}
