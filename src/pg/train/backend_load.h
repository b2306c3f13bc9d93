/*
 * Opening a backend library. In a training worker only: the libraries bring threads (OpenBLAS) or a device (CUDA), which
 * must never be in a client's backend.
 */
#ifndef TAGREC_BACKEND_LOAD_H
#define TAGREC_BACKEND_LOAD_H

#include "postgres.h"

#include "core/backend.h"

typedef enum TagrecDeviceKind
{
	TAGREC_AUTO,
	TAGREC_CPU,
	TAGREC_CUDA
} TagrecDeviceKind;

typedef struct TagrecDevice
{
	TagrecDeviceKind kind;
	int			number;			/* which of several */
} TagrecDevice;

/*
 * auto, cpu, cuda or cuda:N. ereport(ERROR) on an unknown name, and on one whose library is not installed. Needs no library
 * to be opened.
 */
extern TagrecDevice tagrec_device(const char *name);

/*
 * ereport(ERROR) if the library cannot be opened, is incompatible, or finds no device. TAGREC_AUTO takes CUDA where its
 * library is installed, and the CPU, with a NOTICE, when that fails.
 */
extern TrBackend *tagrec_backend_open(TagrecDevice device, int threads, TrPrecision precision);

/* How many CUDA devices there are, the first `most` of them; -1 and why. */
extern int	tagrec_backend_devices(TrDevice *devices, int most, char *reason_text, size_t size);

#endif
