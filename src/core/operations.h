/*
 * The operations that compute, each declared once, here. This is included wherever something is made of all of them: it
 * puts OPERATION(name, parameters), which whoever includes it defines, for each. Shapes, letters and += are explained in
 * backend.h.
 */

/* C (m,n) = alpha op(A) op(B) + beta C, op(A) is (m,k), op(B) is (k,n); ld in elements of the stored matrix */
OPERATION(gemm,
		  (TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy, bool trans_y,
		   int m, int n, int k, float alpha, float beta))

/* out (R,H) = act(x (R,T) w (T,H) + bias (H)); bias may be NULL */
OPERATION(sparse_forward,
		  (TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H, TrActivation act))

/* dw (T,H) += x^T dz (R,H) */
OPERATION(sparse_backward, (TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H))

/*
 * The step of update() over w (T,H), by the gradient sum over the n >= 1 groups of x^T dz; the groups' rows are those of
 * dz (R,H), one behind the other. What is in room (T,H) afterwards is undefined.
 */
OPERATION(sparse_update,
		  (TrBackend *b, const TrOptimizer *o, float *w, float *m, float *v, const TrCsr *groups, int n, const float *dz,
		   int H, float *room))

/* out (R,O) = act(x (R,I) W + bias (O)); bias may be NULL */
OPERATION(dense_forward,
		  (TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R, int I, int O,
		   TrLayout layout, TrActivation act))

/* dx (R,I) = dz (R,O) W^T unless dx is NULL; dw, in the layout of w, += x^T dz unless dw is NULL */
OPERATION(dense_backward,
		  (TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w, int R, int I, int O,
		   TrLayout layout))

/* dz (R,O) = dy * act'(y), with y = act(z); dbias (O) += column sums of dz unless NULL. dz may be dy. */
OPERATION(activation_backward,
		  (TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R, int O, TrActivation act))

/*
 * out[r][0..D) = scale x[r] / norm[r], rows of out ld apart; norm[r] = |x[r]|, or INFINITY below 1e-12: a row without
 * a direction comes out as zeros, and gets no gradient.
 */
OPERATION(normalize, (TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale))

/* dx (R,D) = scale (dy - y (y . dy)) / norm, with unit rows y = out / scale; dy has the ld of out */
OPERATION(normalize_backward,
		  (TrBackend *b, float *dx, const float *dy, const float *out, int ld, const float *norm, int R, int D,
		   float scale))

/* out[r * ld] = weight[0] * feature[r]; NULL weight = 1, NULL feature = 1 */
OPERATION(fill_column, (TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R))

/* dweight[0] += sum over r of dy[r * ld] * feature[r] */
OPERATION(fill_column_backward, (TrBackend *b, float *dweight, const float *dy, int ld, const float *feature, int R))

/* score[p] = u[row[p]] . v[p]; u is (U,D), v is (P,D) */
OPERATION(pair_scores, (TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int D))

/* du[row[p]] += dscore[p] v[p]; dv (P,D) = dscore[p] u[row[p]]; row is ascending */
OPERATION(pair_scores_backward,
		  (TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v, const int32_t *row,
		   int P, int D))

/*
 * score[p] = scale * sum of exp(-gamma |u[row[p]] - v[p]|^2) over the B parts, D wide, of rows of u (U,B D) and
 * v (P,B D)
 */
OPERATION(gaussian_scores,
		  (TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int B, int D,
		   float gamma, float scale))

/* du[row[p]] += and dv (P,B D) = the gradients of dscore[p] score[p]; row is ascending */
OPERATION(gaussian_scores_backward,
		  (TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v, const int32_t *row,
		   int P, int B, int D, float gamma, float scale))

/* see TrSoftmax */
OPERATION(softmax_loss, (TrBackend *b, const TrSoftmax *s))

/*
 * Reconstruction of sparse rows through a tanh output layer (Eq. 11-13), for rows first..first+R-1 of x:
 * y = tanh(z (R,T) + bias (T)); e_r = |y_r - x_r|, or its square with squared;
 * loss += scale * sum of multiplicity[first + r] e_r; z is replaced by d loss / d z; dbias (T) += its column sums.
 * The norm's gradient is guarded by max(|.|, 1e-12).
 */
OPERATION(reconstruction_loss,
		  (TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first, int R,
		   const float *multiplicity, bool squared, float scale, double *loss))

/* see TrTagLoss */
OPERATION(tag_loss, (TrBackend *b, const TrTagLoss *t))

/*
 * Squared error at the entries (r, c, y) of x (R,T), which may be zeros: loss += scale * sum of (z[r][c] - y)^2; z (R,T) is
 * replaced by d loss / d z, which is 0 where x has no entry.
 */
OPERATION(squared_loss, (TrBackend *b, float *z, const TrCsr *x, float scale, double *loss))

/*
 * Draws from normal distributions, and back. x (R,2D) has the D means of a row and then the logarithms of the variances:
 *     z (R,D) = mean + exp(log variance / 2) * tr_normal(seed, LATENT, step, r D + d), or the mean where step is 0
 * Backwards from dz (R,D), with the divergence from the standard normal distribution:
 *     loss += scale * sum of (exp(log variance) + mean^2 - 1 - log variance) / 2; dx (R,2D) = d loss / d x, and that of dz
 */
OPERATION(latent, (TrBackend *b, float *z, const float *x, int R, int D, uint64_t seed, uint64_t step))
OPERATION(latent_backward,
		  (TrBackend *b, float *dx, const float *dz, const float *x, int R, int D, uint64_t seed, uint64_t step,
		   float scale, double *loss))

/*
 * out[i] = x[i] / (1 - p) where tr_stays(seed, step, i, p), else 0. The gradient goes back through the same operation.
 * out may be x.
 */
OPERATION(dropout, (TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step))

/* One step over n parameters; m and v (n) are the optimizer's state (SGD uses m alone, and only with momentum). */
OPERATION(update, (TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n))

/*
 * The same step over the rows index[r] of w, m and v alone (width floats a row), by the gradients g (R,width); index is
 * distinct. Other rows stay as they are, their state too.
 */
OPERATION(update_rows,
		  (TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, const int32_t *index, int R,
		   int width))

/* loss += decay * sum of w^2 */
OPERATION(sum_squares, (TrBackend *b, double *loss, const float *w, int64_t n, float decay))

/*
 * Row r of out = the profile of entity[r] over the posts that pass rule->keep and are not without_post[r]
 * (-1 or a NULL array: none), as tr_tag_weight gives it, then tag dropout, then normalised over the rest. Pointers
 * of table, entity, without_post and weights->idf are backend memory; out->ptr has room for R+1, out->col and out->val
 * for the sum of the entities' entries. An entry whose count is 0 is left out, or kept with value 0.
 */
OPERATION(profile_rows,
		  (TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity, const int32_t *without_post,
		   int R, const TrProfileWeights *weights, const TrProfileRule *rule))

/* out[r] = table[index[r]] (width floats a row) */
OPERATION(gather_rows, (TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width))

/*
 * table[index[r]] += scale x[row[r]], width floats a row; index is ascending, and may repeat: what goes to one row is
 * added in order. NULL row = r itself; otherwise it says where the sorted index came from.
 */
OPERATION(scatter_rows,
		  (TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row, int R, int width,
		   float scale))

/*
 * Attention of R queries q (R,D), each over the rows of the table k (T,D) that row r of x names:
 *     weight[e] = val_e exp(scale q[r] . k[col_e]) / sum of the same over the row's entries
 * with values >= 0, one weight per entry; a row of zeros gets zeros. Of the mixtures out[r] = sum of weight[e]
 * v[col_e], which sparse_forward() makes, d loss / d out = dout (R,D) goes back to the inner products:
 *     dscore[e] = scale weight[e] (dout[r] . v[col_e] - sum over the row's entries of weight[f] dout[r] . v[col_f])
 * so that rows with these values give dq by sparse_forward() from k, and dk by sparse_backward() from q.
 */
OPERATION(attention_weights,
		  (TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D, float scale))
OPERATION(attention_backward,
		  (TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout, const float *v, int D,
		   float scale))

/*
 * (optional) Weighted ridge regression of 1 on the rows of v (T,D) that a sparse row names, for every row r of x, whose
 * values are weights c >= 0: out[r] (D) minimises
 *     f_r(w) = sum over entries e of c_e (1 - w . v[col_e])^2 + w . gram w + ridge[r] |w|^2
 * that is, solves (gram + ridge[r] I + sum of c_e v v^T) w = sum of c_e v. gram (D,D) is symmetric and positive
 * semidefinite, ridge (R) > 0. A row without entries comes out as zeros. loss += sum of f_r at its minimum.
 */
OPERATION(regress_rows,
		  (TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram, const float *ridge, int D,
		   double *loss))

/*
 * Eigenvectors of the symmetric matrix a (n,n), which they replace: row i is that of values[i] (n), of length 1; values
 * ascend. Which of several eigenvectors there are, up to their signs and, where values are equal, rotations, is the
 * backend's.
 */
OPERATION(symmetric_eigen, (TrBackend *b, float *a, float *values, int n))

#undef OPERATION
