/*
 * Clusters of tags, by average linkage: tags that stand at the same items. For ccs and ccf.
 * Legend: T tags.
 */
#ifndef TAG_CLUSTERS_H
#define TAG_CLUSTERS_H

#include "models/base.h"

/* Bytes that tr_cluster_tags() takes while it works. */
extern size_t tr_cluster_tags_estimate(int32_t n_tags);

/*
 * cluster (T) = the cluster of each tag, *n of them, numbered by their smallest tags. Clusters merge, the most alike first,
 * until `clusters` are left, or no two are alike by `similarity`. How alike two clusters are is the mean cosine of their
 * tags, over how often each item has a tag.
 */
extern TrStatus tr_cluster_tags(const TrModel *model, int32_t clusters, double similarity, const TrPoll *poll,
								int32_t *cluster, int32_t *n, TrError *err);

/* The same from a symmetric matrix (T,T) of how alike tags are, which is overwritten. */
extern TrStatus tr_cluster_matrix(TrModel *work, float *matrix, int32_t n_tags, int32_t clusters, double similarity,
								  const TrPoll *poll, int32_t *cluster, int32_t *n, TrError *err);

#endif
