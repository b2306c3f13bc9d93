/*
 * How far a long transaction is, for whoever shows it: in a worker its job, elsewhere nobody.
 */
#ifndef TAGREC_TOLD_H
#define TAGREC_TOLD_H

/* Set by the worker. total 0 = not known. */
extern void (*tagrec_told) (const char *unit, int64 done, int64 total);

static inline void
tagrec_tell(const char *unit, int64 done, int64 total)
{
	if (tagrec_told)
		tagrec_told(unit, done, total);
}

#endif
