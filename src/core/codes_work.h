/*
 * What codes.c and codes_axes.c share: the memory they work in, and the axes they found.
 */
#ifndef TR_CODES_WORK_H
#define TR_CODES_WORK_H

#include "core/codes.h"

#define TR_CODES_TILE 64		/* rows coded together */
#define TR_CODES_AXES 64		/* principal axes that are looked for */

typedef struct TrCodesWork
{
	double	   *gram;			/* (U,U) of a sample of rows */
	double	   *basis;			/* (TR_CODES_AXES,U) */
	double	   *image;			/* (TR_CODES_AXES,U) */
	float	   *axis;			/* (TR_CODES_AXES,stride) */
	float	   *head;			/* (U) padded */
	float	   *code;			/* (TR_CODES_TILE,max(U,TR_CODES_AXES)) padded */
	float	   *part;			/* (max(U,TR_CODES_AXES),TR_CODES_TILE) */
	float	   *sample;			/* (TR_CODES_SAMPLE,TR_CODES_AXES + 2) */
} TrCodesWork;

#define TR_CODES_SAMPLE 2048	/* rows that decide how many axes are coded */

extern void tr_codes_lay_out(TrCodes *codes);

/* axis (A,stride), back (U,A): of what tr_codes_plan() found */
extern void tr_codes_store_axes(const TrCodes *codes, float *axis, float *back, const TrCodesWork *work);

#endif
