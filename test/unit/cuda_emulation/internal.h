/*
 * What the emulation's sources share: how a call becomes work of a stream. See emulation.h.
 */
#ifndef CUDA_EMULATION_INTERNAL_H
#define CUDA_EMULATION_INTERNAL_H

#include "cuda_runtime.h"
#include "races.h"

/* emulation.cc: the status that a call is to return; the status noted for cudaGetLastError() */
extern int	outcome(const char *call);
extern cudaError_t told(cudaError_t status);

#define TELL(call) \
	do { cudaError_t status_ = told((cudaError_t) outcome(call)); if (status_ != cudaSuccess) return status_; } while (0)

/* emulation.cc: is it in memory that cudaMallocHost() gave? */
extern bool is_pinned(const void *p);

/* What a graph's nodes are told apart by. */
typedef enum Kind
{
	KERNEL,
	COPY,
	FILL,
	RELEASE						/* never part of a graph */
} Kind;

/* stream.cc: run(data) comes next in the stream, or in what the stream records; `bytes` of data are copied. */
extern cudaError_t submit_bytes(cudaStream_t stream, Kind kind, void (*run) (void *data), const void *data, size_t bytes);

template <typename Body>
static inline cudaError_t
submit(cudaStream_t stream, Kind kind, const Body &body)
{
	static_assert(std::is_trivially_copyable<Body>::value, "what is queued is copied byte by byte");
	return submit_bytes(stream, kind, [](void *data) { (*(Body *) data)(); }, &body, sizeof(body));
}

/* stream.cc: a call that a record may not contain, whatever stream it concerns; it spoils the record. */
extern cudaError_t refuse_in_record(void);

#define REFUSE_IN_RECORD() \
	do { cudaError_t status_ = told(refuse_in_record()); if (status_ != cudaSuccess) return status_; } while (0)

#endif
