/*
 * Stands in for src/cpu where there is no OpenBLAS: tests that want any backend get the plain one.
 */
#include "core/backend.h"

extern const TrBackendOps *tagrec_backend_ops(void);

const TrBackendOps *
tagrec_backend_ops(void)
{
	return &tr_plain_ops;
}
