/*
 * The graph of FolkRank: every assignment joins its user, its item and its tag. See folkrank.c.
 *
 * Legend: T tags, U users, I items, V = T + U + I nodes in this order, E directed edges, B tags of a block.
 */
#ifndef TR_FOLKRANK_H
#define TR_FOLKRANK_H

#include "models/base.h"

typedef struct FolkGraph
{
	TrModel		work;			/* whose memory it is in */
	int32_t		nodes;			/* V */
	float	   *degree;			/* (V) sum of the weights of a node's edges */
	TrCsr		walk;			/* (V,2V) backend memory: [d A^T, 1], A = the rows of edge weights divided by their sums */
	float	   *state[2];		/* (2V,B) backend memory: the weights of a step, above (1 - d) times the preference */
	float	   *host;			/* (V,B) */
} FolkGraph;

#define FOLK_BLOCK 64			/* B */

extern size_t folk_graph_estimate(const TrShape *shape);

/* Of the dataset of a model, in memory that tr_end_work() gives back, also after a failure. */
extern TrStatus folk_graph_create(FolkGraph *g, const TrModel *model, double damping, TrError *err);

/*
 * host (V,B) column j = the weights w of the nodes after so many steps w <- d A^T w + (1 - d) p from w = p, where the
 * preference p is all tag first + j, j = 0..n-1
 */
extern TrStatus folk_graph_walk(FolkGraph *g, int32_t first, int n, double damping, int steps, const TrPoll *poll,
								TrError *err);

#endif
