/*
 * The reference backend, private to src/core/plain*.c: one thread, the loops written as the operations are defined.
 */
#ifndef TR_PLAIN_H
#define TR_PLAIN_H

#include "core/backend.h"
#include "core/memory.h"

typedef struct TrPlain
{
	TrBackend	base;
	TrMemory	memory;
	TrError		error;			/* the first failure, sticky */
} TrPlain;

/* Scratch memory of an operation, freed with tr_free(); NULL after noting the failure. */
extern void *tr_plain_scratch(TrBackend *b, size_t bytes);

/* tr_plain_gemm() and so on */
#define OPERATION(name, parameters) extern void tr_plain_##name parameters;
#include "core/operations.h"

#endif
