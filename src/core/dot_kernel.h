/*
 * The loops of dot.c, which includes this once per instruction set, with FORM(name) = the name's form for it, TARGET = the
 * attribute of its functions, and these:
 *
 *     FORM(Lanes)                        eight sums
 *     FORM(add_products)(sum, x, y)      adds x[l] y[l] to sum l, l = 0..7
 *     FORM(total)(sum)                   ((0 + 4) + (1 + 5)) + ((2 + 6) + (3 + 7))
 */

/* out (V,R), ld apart = x (V,K) . matrix (R,K); V and R are constants wherever this is inlined. */
TARGET INLINE void
FORM(tile) (float *out, size_t ld, const float *x, const float *matrix, size_t stride, const int V, const int R)
{
	FORM(Lanes) sum[TILE_V][TILE_R];

	memset(sum, 0, sizeof(sum));
	for (size_t k = 0; k < stride; k += LANES)
	{
		/* Every other round goes on to the next line of each row: it asks for as many lines of the rows that follow. */
		if (R > 1 && k % TR_DOT_PAD == 0)
		{
			UNROLL for (int r = 0; r < R; r++)
				__builtin_prefetch(matrix + R * k + r * TR_DOT_PAD + AHEAD);
		}
		UNROLL for (int v = 0; v < V; v++)
		{
			UNROLL for (int r = 0; r < R; r++)
				sum[v][r] = FORM(add_products) (sum[v][r], x + v * stride + k, matrix + r * stride + k);
		}
	}
	UNROLL for (int v = 0; v < V; v++)
	{
		UNROLL for (int r = 0; r < R; r++)
			out[v * ld + r] = FORM(total) (sum[v][r]);
	}
}

TARGET static float
FORM(dot) (const float *x, const float *y, size_t stride)
{
	float		out;

	FORM(tile) (&out, 0, x, y, stride, 1, 1);
	return out;
}

TARGET static void
FORM(block) (float *out, size_t ld, const float *x, int vectors, const float *matrix, int rows, size_t stride)
{
	int			v = 0;

	for (; v + TILE_V <= vectors; v += TILE_V)
	{
		int			r = 0;

		for (; r + TILE_R <= rows; r += TILE_R)
			FORM(tile) (out + v * ld + r, ld, x + v * stride, matrix + r * stride, stride, TILE_V, TILE_R);
		for (; r < rows; r++)
			FORM(tile) (out + v * ld + r, ld, x + v * stride, matrix + r * stride, stride, TILE_V, 1);
	}
	/* One row after the other is how the processor expects memory to be read. */
	for (; v < vectors; v++)
		for (int r = 0; r < rows; r++)
			FORM(tile) (out + v * ld + r, 0, x + v * stride, matrix + r * stride, stride, 1, 1);
}
