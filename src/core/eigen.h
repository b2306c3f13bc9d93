/*
 * Eigenvectors of a symmetric matrix, in double, on the host: for small matrices, and for backends that have nothing
 * better. Householder's reflections make it tridiagonal, the implicit QL algorithm diagonal (Golub & Van Loan, Matrix
 * Computations, chapter 8). Eigenvectors are rows, so that reflections and rotations run along memory. Legend: n rows and
 * columns.
 */
#ifndef TR_EIGEN_H
#define TR_EIGEN_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* QL takes two or three rounds per eigenvalue; more than so many mean numbers that are not finite. */
#define TR_EIGEN_ROUNDS 60

/* Doubles of work space that tr_eigen() takes. */
#define TR_EIGEN_WORK(n) ((size_t) (n) * (size_t) (n) + 3 * (size_t) (n))

/*
 * v (n), which may be x, of length sqrt(2) or 0, whose reflection x - v (v . x) brings x to a multiple of the first axis:
 * the multiple
 */
static inline double
tr_eigen_reflector(double *v, const double *x, int n)
{
	double		squares = 0;
	double		head = x[0];
	double		length;
	double		factor;

	for (int i = 1; i < n; i++)
		squares += x[i] * x[i];
	if (squares == 0)
	{
		for (int i = 0; i < n; i++)
			v[i] = 0;
		return head;
	}
	length = -copysign(sqrt(squares + head * head), head);
	factor = 1 / sqrt(length * (length - head));
	v[0] = (head - length) * factor;
	for (int i = 1; i < n; i++)
		v[i] = x[i] * factor;
	return length;
}

/* The symmetric matrix in rows and columns first.. of a (n,n), reflected from both sides; w (n) is work space. */
static inline void
tr_eigen_reflect(double *a, int n, int first, const double *v, double *w)
{
	double		half = 0;

	for (int i = first; i < n; i++)
	{
		const double *row = a + (size_t) i * n;

		w[i] = 0;
		for (int j = first; j < n; j++)
			w[i] += row[j] * v[j];
		half += w[i] * v[i] / 2;
	}
	for (int i = first; i < n; i++)
		w[i] -= half * v[i];
	for (int i = first; i < n; i++)
	{
		double	   *row = a + (size_t) i * n;

		for (int j = first; j < n; j++)
			row[j] -= v[i] * w[j] + w[i] * v[j];
	}
}

/*
 * diagonal (n) and beside (n) = the tridiagonal form of a (n,n), whose rows come to hold the reflectors; w (n) work space
 */
static inline void
tr_eigen_tridiagonal(double *a, double *diagonal, double *beside, double *w, int n)
{
	for (int k = 0; k < n; k++)
	{
		double	   *row = a + (size_t) k * n;

		diagonal[k] = row[k];
		beside[k] = 0;
		if (k + 1 == n)
			break;
		/* what the row still holds of the matrix is no longer needed */
		beside[k] = tr_eigen_reflector(row + k + 1, row + k + 1, n - k - 1);
		tr_eigen_reflect(a, n, k + 1, row, w);
	}
}

/* z (n,n) = the product of the reflections, those of the last rows first */
static inline void
tr_eigen_collect(double *z, const double *a, int n)
{
	for (size_t i = 0; i < (size_t) n * (size_t) n; i++)
		z[i] = i % ((size_t) n + 1) == 0;
	for (int k = n - 2; k >= 0; k--)
	{
		const double *v = a + (size_t) k * n;

		for (int i = k + 1; i < n; i++)
		{
			double	   *row = z + (size_t) i * n;
			double		product = 0;

			for (int j = k + 1; j < n; j++)
				product += row[j] * v[j];
			for (int j = k + 1; j < n; j++)
				row[j] -= product * v[j];
		}
	}
}

/* Rows i and i + 1 of z turned by (cosine, sine) */
static inline void
tr_eigen_rotate(double *z, int n, int i, double cosine, double sine)
{
	double	   *x = z + (size_t) i * n;
	double	   *y = x + n;

	for (int j = 0; j < n; j++)
	{
		double		old = y[j];

		y[j] = sine * x[j] + cosine * old;
		x[j] = cosine * x[j] - sine * old;
	}
}

/* One implicit QL step on the unreduced block first..last */
static inline void
tr_eigen_step(double *diagonal, double *beside, double *z, int n, int first, int last)
{
	double		ratio = (diagonal[first + 1] - diagonal[first]) / (2 * beside[first]);
	double		g = diagonal[last] - diagonal[first] + beside[first] / (ratio + copysign(hypot(ratio, 1), ratio));
	double		sine = 1;
	double		cosine = 1;
	double		shift = 0;

	for (int i = last - 1; i >= first; i--)
	{
		double		f = sine * beside[i];
		double		h = cosine * beside[i];
		double		r = hypot(f, g);

		beside[i + 1] = r;
		if (r == 0)
		{
			diagonal[i + 1] -= shift;
			beside[last] = 0;
			return;
		}
		sine = f / r;
		cosine = g / r;
		g = diagonal[i + 1] - shift;
		r = (diagonal[i] - g) * sine + 2 * cosine * h;
		shift = sine * r;
		diagonal[i + 1] = g + shift;
		g = cosine * r - h;
		tr_eigen_rotate(z, n, i, cosine, sine);
	}
	diagonal[first] -= shift;
	beside[first] = g;
	beside[last] = 0;
}

/* Where the block that starts at first ends: before the first number beside the diagonal that is as good as 0 */
static inline int
tr_eigen_block(const double *diagonal, const double *beside, int n, int first, double size)
{
	int			last = first;

	while (last < n - 1 && !(fabs(beside[last]) <= 1e-16 * (fabs(diagonal[last]) + fabs(diagonal[last + 1]) + 0.1 * size)))
		last++;
	return last;
}

/* Ascending values, and the rows of z with them */
static inline void
tr_eigen_sort(double *values, double *z, int n)
{
	for (int i = 0; i < n - 1; i++)
	{
		int			least = i;

		for (int j = i + 1; j < n; j++)
			if (values[j] < values[least])
				least = j;
		if (least == i)
			continue;
		for (int j = -1; j < n; j++)
		{
			double	   *x = j < 0 ? &values[i] : &z[(size_t) i * n + j];
			double	   *y = j < 0 ? &values[least] : &z[(size_t) least * n + j];
			double		old = *x;

			*x = *y;
			*y = old;
		}
	}
}

/*
 * Row i of a (n,n), which was symmetric, = the eigenvector of values[i] (n), ascending; work has TR_EIGEN_WORK(n) doubles.
 * False when it does not end, which numbers that are not finite bring about; a is then anything.
 */
static inline bool
tr_eigen(double *a, double *values, double *work, int n)
{
	double	   *z = work;
	double	   *beside = z + (size_t) n * n;
	double		size = 0;

	tr_eigen_tridiagonal(a, values, beside, beside + n, n);
	tr_eigen_collect(z, a, n);
	for (int i = 0; i < n; i++)
		size = fmax(size, fabs(values[i]) + fabs(beside[i]));
	for (int first = 0; first < n; first++)
	{
		int			last = tr_eigen_block(values, beside, n, first, size);

		for (int round = 0; last > first; last = tr_eigen_block(values, beside, n, first, size))
		{
			if (round++ == TR_EIGEN_ROUNDS)
				return false;
			tr_eigen_step(values, beside, z, n, first, last);
		}
	}
	tr_eigen_sort(values, z, n);
	for (size_t i = 0; i < (size_t) n * (size_t) n; i++)
		a[i] = z[i];
	return isfinite(size);
}

#endif
