/*
 * Device memory, and copies to and from it. Allocation is in the stream's order and out of a pool that keeps what is
 * released, so that memory taken for a moment costs no wait.
 */
#include "cuda_common.cuh"

#define MB(bytes) ((bytes) >> 20)

/* ------------------------------------------------------------------ allocation */

static bool
remember(TrCuda *cuda, void *pointer, size_t bytes)
{
	if (cuda->n_blocks == cuda->max_blocks)
	{
		int			most = cuda->max_blocks ? 2 * cuda->max_blocks : 64;
		void	   *blocks = realloc(cuda->blocks, sizeof(TrCudaBlock) * most);

		if (!blocks)
			return false;
		cuda->blocks = (TrCudaBlock *) blocks;
		cuda->max_blocks = most;
	}
	cuda->blocks[cuda->n_blocks].pointer = (char *) pointer;
	cuda->blocks[cuda->n_blocks++].bytes = bytes;
	cuda->allocated += bytes;
	return true;
}

static cudaError_t
take(TrCuda *cuda, void **pointer, size_t bytes)
{
	return cuda->pooled ? cudaMallocAsync(pointer, bytes, cuda->stream) : cudaMalloc(pointer, bytes);
}

static cudaError_t
give_back(TrCuda *cuda, void *pointer)
{
	return cuda->pooled ? cudaFreeAsync(pointer, cuda->stream) : cudaFree(pointer);
}

bool
tr_cuda_trim_pool(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);
	cudaMemPool_t pool;
	cudaError_t status = cudaStreamSynchronize(cuda->stream);

	if (cuda->pooled && cudaDeviceGetDefaultMemPool(&pool, cuda->device) == cudaSuccess)
		cudaMemPoolTrimTo(pool, 0);
	return tr_cuda_check(b, status, "cudaStreamSynchronize");
}

/* NULL when there is none, which is not a failure of the backend's; a kernel that failed meanwhile is one. */
static void *
allocate(TrBackend *b, size_t bytes)
{
	TrCuda	   *cuda = tr_cuda(b);
	void	   *pointer = NULL;
	size_t		total;
	size_t		rounded = bytes < 16 ? 16 : bytes;

	tr_cuda_cut(b);
	if (take(cuda, &pointer, rounded) != cudaSuccess)
	{
		cudaGetLastError();
		if (!tr_cuda_trim_pool(b))
			return NULL;
		if (take(cuda, &pointer, rounded) != cudaSuccess)
		{
			cudaGetLastError();
			cuda->refused = bytes;
			if (cudaMemGetInfo(&cuda->free_then, &total) != cudaSuccess)
				cuda->free_then = 0;
			return NULL;
		}
	}
	if (remember(cuda, pointer, bytes))
		return pointer;
	give_back(cuda, pointer);
	return NULL;
}

void *
tr_cuda_alloc(TrBackend *b, size_t bytes)
{
	return tr_cuda_failed(b) ? NULL : allocate(b, bytes);
}

void
tr_cuda_release(TrBackend *b, void *p)
{
	TrCuda	   *cuda = tr_cuda(b);
	int			i = cuda->n_blocks - 1;

	if (!p)
		return;
	while (i >= 0 && cuda->blocks[i].pointer != p)
		i--;
	if (i < 0)
		return;
	tr_cuda_cut(b);
	cuda->allocated -= cuda->blocks[i].bytes;
	cuda->blocks[i] = cuda->blocks[--cuda->n_blocks];
	tr_cuda_check(b, give_back(cuda, p), cuda->pooled ? "cudaFreeAsync" : "cudaFree");
}

size_t
tr_cuda_allocated(TrBackend *b)
{
	return tr_cuda(b)->allocated;
}

void
tr_cuda_release_all(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);

	while (cuda->n_blocks > 0)
		give_back(cuda, cuda->blocks[--cuda->n_blocks].pointer);
	tr_cuda_trim_pool(b);
	free(cuda->blocks);
	cuda->blocks = NULL;
	cuda->max_blocks = 0;
	cuda->allocated = 0;
}

size_t
tr_cuda_room(TrBackend *b, const void *p)
{
	const TrCuda *cuda = tr_cuda(b);
	const char *at = (const char *) p;

	for (int i = 0; i < cuda->n_blocks; i++)
		if (at >= cuda->blocks[i].pointer && at < cuda->blocks[i].pointer + cuda->blocks[i].bytes)
			return (size_t) (cuda->blocks[i].pointer + cuda->blocks[i].bytes - at);
	return 0;
}

static void
tell_refused(const TrCuda *cuda, TrError *err)
{
	snprintf(err->detail, sizeof(err->detail),
			 "%zu MB of device memory were requested, %zu MB are free; training holds %zu MB.",
			 MB(cuda->refused) + 1, MB(cuda->free_then), MB(cuda->allocated));
}

/* A backend that has failed allocates nothing: then why is what there is to say. */
void
tr_cuda_shortage(TrBackend *b, TrError *err)
{
	if (err && tr_cuda_failed(b))
		*err = tr_cuda(b)->error;
	else if (err)
		tell_refused(tr_cuda(b), err);
}

/* What other processes leave, and the pool does not hold. */
size_t
tr_cuda_available(TrBackend *b)
{
	size_t		available;
	size_t		total;

	if (!tr_cuda_failed(b) && cudaMemGetInfo(&available, &total) == cudaSuccess)
		return available;
	cudaGetLastError();
	return 0;
}

/* Outgrown scratch is released in the stream's order: queued operations still have it. */
void *
tr_cuda_scratch(TrBackend *b, size_t bytes)
{
	TrCuda	   *cuda = tr_cuda(b);

	if (tr_cuda_failed(b))
		return NULL;
	if (cuda->scratch && bytes <= cuda->scratch_bytes)
		return cuda->scratch;
	tr_cuda_release(b, cuda->scratch);
	cuda->scratch_bytes = bytes + bytes / 8;
	cuda->scratch = allocate(b, cuda->scratch_bytes);
	if (!cuda->scratch && !tr_cuda_failed(b))
	{
		cuda->scratch_bytes = 0;
		tr_fail(&cuda->error, TR_NO_MEMORY, "out of device memory");
		tell_refused(cuda, &cuda->error);
	}
	return cuda->scratch;
}

/* ------------------------------------------------------------------ copies */

/* Waits until the copies that last used the next segment are through, those of a graph that was recorded among them. */
static void
next_segment(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);

	tr_cuda_cut(b);
	tr_cuda_check(b, cudaEventRecord(cuda->staged[cuda->segment], cuda->stream), "cudaEventRecord");
	cuda->segment = (cuda->segment + 1) % TR_STAGING_SEGMENTS;
	tr_cuda_check(b, cudaEventSynchronize(cuda->staged[cuda->segment]), "cudaEventSynchronize");
	cuda->segment_used = 0;
}

void
tr_cuda_make_room(TrBackend *b, size_t bytes)
{
	if (bytes <= TR_STAGING_SEGMENT && tr_cuda(b)->segment_used + bytes > TR_STAGING_SEGMENT)
		next_segment(b);
}

/* The next piece of pinned memory, at most `bytes` of it; pieces begin at multiples of 64. */
static char *
stage(TrBackend *b, size_t bytes, size_t *piece)
{
	TrCuda	   *cuda = tr_cuda(b);
	size_t		at;

	if (cuda->segment_used >= TR_STAGING_SEGMENT)
		next_segment(b);
	at = cuda->segment_used;
	*piece = bytes < TR_STAGING_SEGMENT - at ? bytes : TR_STAGING_SEGMENT - at;
	cuda->segment_used += (*piece + 63) / 64 * 64;
	cuda->graphs.uploaded += cuda->segment_used - at;
	return cuda->staging + cuda->segment * TR_STAGING_SEGMENT + at;
}

/* The source may be overwritten at once: it has been read when this returns. */
void
tr_cuda_upload(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	char	   *to = (char *) dst;
	const char *from = (const char *) src;

	while (bytes > 0 && !tr_cuda_failed(b))
	{
		size_t		piece;
		char	   *pinned = stage(b, bytes, &piece);

		memcpy(pinned, from, piece);
		tr_cuda_check(b, cudaMemcpyAsync(to, pinned, piece, cudaMemcpyHostToDevice, tr_cuda(b)->stream),
					  "cudaMemcpyAsync to the device");
		tr_cuda_recorded(b, 'u');
		to += piece;
		from += piece;
		bytes -= piece;
	}
}

/* After a failure there is nothing to read; finish() says why. */
void
tr_cuda_download(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	TrCuda	   *cuda = tr_cuda(b);

	if (bytes == 0)
		return;
	tr_cuda_cut(b);
	if (!tr_cuda_failed(b)
		&& tr_cuda_check(b, cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToHost, cuda->stream),
						 "cudaMemcpyAsync to the host")
		&& tr_cuda_check(b, cudaStreamSynchronize(cuda->stream), "cudaStreamSynchronize"))
		return;
	memset(dst, 0, bytes);
}

void
tr_cuda_zero(TrBackend *b, void *dst, size_t bytes)
{
	if (bytes > 0 && !tr_cuda_failed(b)
		&& tr_cuda_check(b, cudaMemsetAsync(dst, 0, bytes, tr_cuda(b)->stream), "cudaMemsetAsync"))
		tr_cuda_recorded(b, 'z');
}
