/*
 * Opening a backend library. In a training worker only: the libraries bring threads (OpenBLAS) or a device (CUDA), which a
 * client's backend must never have.
 */
#ifndef TAGREC_BACKEND_LOAD_H
#define TAGREC_BACKEND_LOAD_H

#include "postgres.h"

#include "core/backend.h"

typedef enum TagrecDevice
{
	TAGREC_AUTO,
	TAGREC_CPU,
	TAGREC_CUDA
} TagrecDevice;

/* ereport(ERROR) on an unknown name, and on one whose library is not installed. Needs no library to be opened. */
extern TagrecDevice tagrec_device(const char *name);

/* ereport(ERROR) when the library cannot be opened or does not fit. */
extern TrBackend *tagrec_backend_open(TagrecDevice device, int threads);

#endif
