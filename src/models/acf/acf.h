/*
 * acf: the baseline of the DSPR paper (Xu et al., IJCAI 2017, section 6) after Zuo, Zeng, Gong & Jiao, "Tag-aware
 * recommender systems based on deep neural networks" (Neurocomputing 2016): an autoencoder learns to reconstruct the tag
 * profiles of users; what its narrowest layer makes of a user is compared by cosine with that of others.
 *
 *     h_0 = x, h_k = tanh(h_(k-1) W_k + b_k), k = 1..K;   g_K = h_K, g_(k-1) = tanh(g_k W_k^T + b_(2K-k+1)), k = K..1
 *     loss = sum over users of |g_0 - x|^2 + regularization times the squared parameters
 *     score(u,i) = sum over the users v nearest to u who have i, of cos(h_K(u), h_K(v))
 *
 * Legend: T tags, K layers, H_k width of layer k (H_0 = T), D width of the last one, U users, R rows of a batch.
 */
#ifndef ACF_H
#define ACF_H

#include "models/nn/rows.h"
#include "models/nn/stack.h"
#include "models/knn/user_neighbours.h"

typedef struct AcfOptions
{
	TrIntList	layers;
	int			weighting;		/* TrWeighting */
	double		dropout;
	double		regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	int			batch;
	int			neighbours;
	uint64_t	seed;
	int			epochs;
} AcfOptions;

/* Sparse rows on their way to the backend. */
typedef struct AcfRows
{
	TrRows		rows;
	TrUpload	upload;
	TrCsr		csr;			/* backend */
} AcfRows;

typedef struct Acf
{
	TrModel		model;
	AcfOptions	options;
	TrStack		stack;			/* its last layer is what users are compared by, D wide */
	TrParameters p;
	TrProfileWeights weights;
	float	   *idf;			/* (T) host */

	int			batch;			/* rows at a time */
	AcfRows		input;
	AcfRows		target;
	float	   *ones;			/* (R) */
	int32_t    *order;			/* users with a profile, shuffled */
	int32_t		n_order;

	TrUserNeighbours neighbours;	/* of width D */
	bool		placed;			/* are its vectors those of the parameters? */
	int			users;			/* place of the tensor "users" (U,D) */
	float	   *vectors;		/* (R,D) host */
} Acf;

#endif
