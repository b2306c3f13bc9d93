/*
 * Preparing the place of a new version. See place.h.
 */
#include "pg/store/place.h"

#include "miscadmin.h"
#include "pg/base/compat.h"
#include "pg/registry/version_write.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static void
check_place(const TagrecPlace *place, const TagrecSource *source, Oid view)
{
	if (!OidIsValid(view) || !tagrec_owns_relation(view, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", place->model)));
	tagrec_store_check_model(place->model, place->schema, source);
}

Oid
tagrec_place_prepare(const char *name, const char *schema, const TagrecSource *source, bool may_make, TagrecPlace *place)
{
	bool		made;
	int32		version;
	TagrecModel *model = tagrec_model_lock(name, schema, &made, &version);
	Oid			view;

	if (made && !may_make)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("model \"%s\" was concurrently dropped", name)));
	*place = tagrec_place_of(model);
	place->version = version;
	if (made)
	{
		tagrec_store_create(place, source);
		return GetUserId();
	}
	view = tagrec_model_view(place->schema, place->model);
	check_place(place, source, view);
	return tagrec_relation_owner(view);
}

int64
tagrec_place_bytes(const TagrecPlace *place)
{
	int64		bytes = 0;

	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS; which++)
	{
		char	   *name = tagrec_partition_relname(place->model, which, place->version);
		Oid			relation = tagrec_model_relation(place->schema, name);

		bytes += DatumGetInt64(DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(relation)));
	}
	return bytes;
}
