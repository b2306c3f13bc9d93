/*
 * A TrError becomes an ereport().
 */
#include "pg/base/tagrec.h"

#include "mb/pg_wchar.h"

static int
sqlstate_of(TrStatus status)
{
	switch (status)
	{
		case TR_OK:
			break;
		case TR_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case TR_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case TR_BAD_OPTION:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case TR_BAD_DATA:
			return ERRCODE_DATA_EXCEPTION;
		case TR_NOT_FINITE:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		case TR_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case TR_BACKEND:
			return ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
	}
	return ERRCODE_INTERNAL_ERROR;
}

/* Default messages, for errors of the core without one. */
static const char *
default_message(TrStatus status)
{
	switch (status)
	{
		case TR_CANCELLED:
			return "training was cancelled";
		case TR_NO_MEMORY:
			return "out of memory";
		case TR_BAD_OPTION:
			return "invalid option";
		case TR_BAD_DATA:
			return "the data cannot train this model";
		case TR_NOT_FINITE:
			return "the loss is not finite";
		case TR_UNSUPPORTED:
			return "not supported";
		default:
			return "training failed";
	}
}

/* A message that quotes user input may have been truncated in the middle of a character. */
static char *
whole_characters(const char *words)
{
	int			length = (int) strlen(words);

	return pnstrdup(words, pg_mbcliplen(words, length, length));
}

char *
tagrec_sentence(const char *message)
{
	char	   *words = whole_characters(message);
	Size		length = strlen(words);

	words[0] = (char) pg_toupper((unsigned char) words[0]);
	return length > 0 && words[length - 1] == '.' ? words : psprintf("%s.", words);
}

pg_noreturn static void raise_error(const TrError *err);

static void
raise_error(const TrError *err)
{
	ereport(ERROR,
			(errcode(sqlstate_of(err->status)),
			 errmsg("%s", err->message[0] ? whole_characters(err->message) : default_message(err->status)),
			 err->detail[0] ? errdetail("%s", whole_characters(err->detail)) : 0,
			 err->hint[0] ? errhint("%s", whole_characters(err->hint)) : 0));
	pg_unreachable();
}

void
tagrec_check(TrStatus status, TrError *err)
{
	if (status == TR_OK)
		return;
	if (err->status != status)
	{
		err->status = status;
		err->message[0] = err->detail[0] = err->hint[0] = '\0';
	}
	raise_error(err);
}
