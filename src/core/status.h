/*
 * How core, models and backends report failure: a status code and, where there is something to say, a TrError.
 * Only src/pg turns either into an ereport().
 */
#ifndef TR_STATUS_H
#define TR_STATUS_H

#include <stdarg.h>
#include <stdio.h>

typedef enum TrStatus
{
	TR_OK = 0,
	TR_CANCELLED,				/* the poll hook asked to stop */
	TR_NO_MEMORY,				/* the allocator or its limit said no */
	TR_BAD_OPTION,				/* unknown option, or a value out of its range */
	TR_BAD_DATA,				/* the data cannot train this model */
	TR_NOT_FINITE,				/* the loss became NaN or infinite */
	TR_UNSUPPORTED,				/* the algorithm or the backend cannot do this */
	TR_BACKEND					/* a library or a device failed */
} TrStatus;

typedef struct TrError
{
	TrStatus	status;
	char		message[512];	/* lower case, no full stop */
	char		detail[1024];	/* sentences, or empty */
	char		hint[512];		/* sentences, or empty */
} TrError;

/* Fills err (which may be NULL) and returns status, so that a caller can `return tr_fail(…)`. */
__attribute__((format(printf, 3, 4)))
static inline TrStatus
tr_fail(TrError *err, TrStatus status, const char *format, ...)
{
	if (err)
	{
		va_list		args;

		err->status = status;
		err->detail[0] = err->hint[0] = '\0';
		va_start(args, format);
		vsnprintf(err->message, sizeof(err->message), format, args);
		va_end(args);
	}
	return status;
}

#define TR_TRY(call) \
	do { TrStatus try_status_ = (call); if (try_status_ != TR_OK) return try_status_; } while (0)

#endif
