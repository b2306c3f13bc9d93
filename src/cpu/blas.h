/*
 * OpenBLAS.
 */
#ifndef TR_CPU_BLAS_H
#define TR_CPU_BLAS_H

#if !__has_include(<cblas.h>)
#error "OpenBLAS is missing, in Debian libopenblas-dev; scripts/deps.sh installs it"
#endif

#include <cblas.h>

#undef I						/* of complex.h, which cblas.h includes */

#endif
