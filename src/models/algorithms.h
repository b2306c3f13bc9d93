/*
 * Every algorithm there is, in the order tagrec_algorithms shows them: one line each.
 */
#ifndef TR_ALGORITHMS_H
#define TR_ALGORITHMS_H

#include "core/model.h"

#define ALGORITHMS(X) \
	X(abnt) \
	X(accm) \
	X(acf) \
	X(asdae) \
	X(autorec) \
	X(bias) \
	X(blend) \
	X(bpr) \
	X(ccf) \
	X(ccs) \
	X(cdae) \
	X(dae_ptr) \
	X(dha) \
	X(dspr) \
	X(ease) \
	X(ease_tags) \
	X(fm) \
	X(folkrank) \
	X(hdlpr) \
	X(hdlpr_ns) \
	X(hire) \
	X(hybrid) \
	X(ials) \
	X(item_knn) \
	X(mf) \
	X(multvae) \
	X(neumf) \
	X(nltf) \
	X(nrp) \
	X(nrp_asdae) \
	X(nrp_dha) \
	X(pitf) \
	X(popularity) \
	X(svdpp) \
	X(tag_bm25) \
	X(tag_cosine) \
	X(tag_popular) \
	X(tag_product) \
	X(user_knn)

#define DECLARE(name) extern const TrAlgorithm tr_algorithm_##name;

ALGORITHMS(DECLARE)

#undef DECLARE

#endif
