/*
 * Streams, what they record, graphs, and events. A stream's work is run when it is queued or, with emulate_late(), only when
 * somebody waits for it: the latest that a device may. Then a host array that is reused too early, memory that is given back
 * before its last use, a missing wait give wrong results, or an access that an address sanitizer sees. See emulation.h.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct Operation
{
	Kind		kind;
	void		(*run) (void *data);
	void	   *data;			/* a copy */
	size_t		bytes;
} Operation;

typedef struct Operations
{
	Operation  *at;
	int			n;
	int			room;
} Operations;

struct EmulatedGraph
{
	Operations	nodes;			/* one after the other */
};

struct EmulatedExec
{
	Operations	nodes;
};

struct EmulatedStream
{
	Operations	queue;
	int			next;			/* of the queue, to be run */
	uint64_t	queued;			/* operations since the stream was made */
	uint64_t	done;
	EmulatedGraph *record;
	bool		recording;
	bool		spoiled;
	EmulatedStream *sibling;	/* in the list of all streams */
};

struct EmulatedEvent
{
	EmulatedStream *stream;		/* NULL = never recorded */
	uint64_t	after;			/* as many operations */
};

static EmulatedStream *streams;
static bool late;
static int	live_graphs;		/* graphs and execs */
static long graph_launches;
static long instantiations;
static int	most_waiting;

/* ------------------------------------------------------------------ operations */

static void
append(Operations *list, const Operation *operation)
{
	Operation	copy = *operation;

	if (list->n == list->room)
	{
		list->room = list->room ? 2 * list->room : 64;
		list->at = (Operation *) realloc(list->at, sizeof(Operation) * list->room);
	}
	copy.data = malloc(copy.bytes ? copy.bytes : 1);
	memcpy(copy.data, operation->data, copy.bytes);
	list->at[list->n++] = copy;
}

static void
clear(Operations *list)
{
	for (int i = 0; i < list->n; i++)
		free(list->at[i].data);
	free(list->at);
	*list = Operations{};
}

static void
copy_all(Operations *to, const Operations *from)
{
	for (int i = 0; i < from->n; i++)
		append(to, &from->at[i]);
}

/* ------------------------------------------------------------------ streams */

/* Until `after` operations of the stream have been run. */
static void
run_until(EmulatedStream *stream, uint64_t after)
{
	while (stream->done < after)
	{
		Operation	operation = stream->queue.at[stream->next++];

		operation.run(operation.data);
		free(operation.data);
		stream->done++;
	}
	if (stream->next == stream->queue.n)
		stream->queue.n = stream->next = 0;
}

static void
enqueue(EmulatedStream *stream, const Operation *operation)
{
	append(&stream->queue, operation);
	stream->queued++;
	if (!late)
		run_until(stream, stream->queued);
	else if (stream->queue.n - stream->next > most_waiting)
		most_waiting = stream->queue.n - stream->next;
}

cudaError_t
submit_bytes(cudaStream_t stream, Kind kind, void (*run) (void *data), const void *data, size_t bytes)
{
	Operation	operation = {kind, run, (void *) data, bytes};

	if (!stream->recording)
		enqueue(stream, &operation);
	else if (stream->spoiled)
		return told(cudaErrorStreamCaptureInvalidated);
	else
		append(&stream->record->nodes, &operation);
	return cudaSuccess;
}

cudaError_t
refuse_in_record(void)
{
	bool		recording = false;

	for (EmulatedStream *stream = streams; stream; stream = stream->sibling)
		if (stream->recording)
			stream->spoiled = recording = true;
	return recording ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t
cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
	TELL("cudaStreamCreateWithFlags");
	*stream = (cudaStream_t) calloc(1, sizeof(EmulatedStream));
	(*stream)->sibling = streams;
	streams = *stream;
	return cudaSuccess;
}

cudaError_t
cudaStreamDestroy(cudaStream_t stream)
{
	EmulatedStream **place = &streams;

	if (stream->recording)
		emulate_stop("a stream is destroyed while it records");
	run_until(stream, stream->queued);
	while (*place != stream)
		place = &(*place)->sibling;
	*place = stream->sibling;
	clear(&stream->queue);
	free(stream);
	return cudaSuccess;
}

cudaError_t
cudaStreamSynchronize(cudaStream_t stream)
{
	REFUSE_IN_RECORD();
	TELL("cudaStreamSynchronize");
	run_until(stream, stream->queued);
	return cudaSuccess;
}

/* ------------------------------------------------------------------ events */

cudaError_t
cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
	TELL("cudaEventCreateWithFlags");
	*event = (cudaEvent_t) calloc(1, sizeof(EmulatedEvent));
	return cudaSuccess;
}

cudaError_t
cudaEventDestroy(cudaEvent_t event)
{
	free(event);
	return cudaSuccess;
}

/* A device would take it into the record, where nobody could wait for it. */
cudaError_t
cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
	REFUSE_IN_RECORD();
	TELL("cudaEventRecord");
	event->stream = stream;
	event->after = stream->queued;
	return cudaSuccess;
}

cudaError_t
cudaEventSynchronize(cudaEvent_t event)
{
	REFUSE_IN_RECORD();
	TELL("cudaEventSynchronize");
	if (event->stream)
		run_until(event->stream, event->after);
	return cudaSuccess;
}

/* ------------------------------------------------------------------ graphs */

cudaError_t
cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
	TELL("cudaStreamBeginCapture");
	if (stream->recording)
		return told(cudaErrorIllegalState);
	stream->recording = true;
	stream->spoiled = false;
	stream->record = (EmulatedGraph *) calloc(1, sizeof(EmulatedGraph));
	live_graphs++;
	return cudaSuccess;
}

cudaError_t
cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
	cudaError_t status = (cudaError_t) outcome("cudaStreamEndCapture");

	if (!stream->recording)
		return told(cudaErrorIllegalState);
	if (status == cudaSuccess && stream->spoiled)
		status = cudaErrorStreamCaptureInvalidated;
	stream->recording = false;
	*graph = stream->record;
	if (status != cudaSuccess)
	{
		cudaGraphDestroy(stream->record);
		*graph = NULL;
	}
	return told(status);
}

cudaError_t
cudaGraphDestroy(cudaGraph_t graph)
{
	clear(&graph->nodes);
	free(graph);
	live_graphs--;
	return cudaSuccess;
}

cudaError_t
cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
	REFUSE_IN_RECORD();
	TELL("cudaGraphInstantiate");
	*exec = (cudaGraphExec_t) calloc(1, sizeof(EmulatedExec));
	copy_all(&(*exec)->nodes, &graph->nodes);
	live_graphs++;
	instantiations++;
	return cudaSuccess;
}

/* As drivers since 11.2: a kernel may become another. */
cudaError_t
cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo *)
{
	bool		same = exec->nodes.n == graph->nodes.n;

	TELL("cudaGraphExecUpdate");
	for (int i = 0; i < exec->nodes.n && same; i++)
		same = exec->nodes.at[i].kind == graph->nodes.at[i].kind;
	if (!same)
		return told(cudaErrorGraphExecUpdateFailure);
	clear(&exec->nodes);
	copy_all(&exec->nodes, &graph->nodes);
	return cudaSuccess;
}

cudaError_t
cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
	REFUSE_IN_RECORD();
	TELL("cudaGraphLaunch");
	graph_launches++;
	for (int i = 0; i < exec->nodes.n && !outcome("a graph's work"); i++)
		enqueue(stream, &exec->nodes.at[i]);
	return cudaSuccess;
}

cudaError_t
cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	clear(&exec->nodes);
	free(exec);
	live_graphs--;
	return cudaSuccess;
}

/* ------------------------------------------------------------------ for the tests */

void
emulate_late(bool on)
{
	late = on;
}

EmulatedGraphs
emulated_graphs(void)
{
	return (EmulatedGraphs) {graph_launches, instantiations, live_graphs};
}

int
emulated_most_waiting(void)
{
	int			most = most_waiting;

	most_waiting = 0;
	return most;
}
