/*
 * The best n of all rows: a plain scan, which scores every row, and one by bounds (codes.h), which scores those rows alone
 * that may be among the n best. Both give the same.
 */
#ifndef TR_SCAN_H
#define TR_SCAN_H

#include "core/codes.h"
#include "core/topn.h"

typedef struct TrScan
{
	int32_t		rows;

	/* score (n) = the scores of rows first .. first+n-1: finish() of what tr_dot() gives for them */
	void		(*score) (void *arg, float *score, int32_t first, int32_t n);

	/*
	 * (optional) Makes scores of inner products in place; the same number of the same product, and of a larger one no
	 * smaller. Bounds of products then become bounds of scores. By bounds, it is called for many rows at a time.
	 */
	void		(*finish) (void *arg, float *score, int32_t first, int32_t n);
	void	   *arg;
	const int32_t *skip;		/* (n_skip) rows left out, ascending */
	int			n_skip;
	const uint64_t *out;		/* the set of further rows left out; NULL = none */
	const float *matrix;		/* for looking ahead */
	size_t		stride;
	int64_t		scored;			/* rows, so far */
	int			next;			/* the first of skip that is not done with */
} TrScan;

#define TR_SCAN_CHUNK 32768
#define TR_SCAN_SEEDS 1024

typedef struct TrScanRoom
{
	float		bound[TR_SCAN_CHUNK];
	int32_t		row[TR_SCAN_CHUNK];
	TrScored	seed[TR_SCAN_SEEDS];
} TrScanRoom;

extern void tr_scan_plain(TrScan *scan, TrTopN *top, TrScanRoom *room);
extern void tr_scan_by_bounds(TrScan *scan, const TrCodeQuery *query, TrTopN *top, TrScanRoom *room);

/*
 * A part of tr_scan_by_bounds(): TR_SCAN_CHUNK rows from `first` on, or those that are left. The parts come in their order;
 * for many queries, one part after the other for all of them reads the codes once.
 */
extern void tr_scan_part(TrScan *scan, const TrCodeQuery *query, TrTopN *top, TrScanRoom *room, int32_t first);

#endif
