/*
 * Making the files that sessions share before a query wants them.
 */
#ifndef TAGREC_WARM_H
#define TAGREC_WARM_H

#include "postgres.h"

/*
 * Reads what queries of the deployed version of a model read, or maps it; the bytes of the files. As the current user, who
 * may use the model.
 */
extern int64 tagrec_warm_model(const char *model);

#endif
