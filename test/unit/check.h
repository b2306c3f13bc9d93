/*
 * A small harness: every CHECK is one line of TAP. A test is a main() that ends with `return check_done();`.
 * Where thousands of values are compared, compare them first and CHECK the outcome.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int	check_count;
static int	check_failures;

/* ok N - name, or not ok N - name and where; returns whether it was ok */
__attribute__((format(printf, 4, 5)))
static inline bool
check_report(bool ok, const char *file, int line, const char *format, ...)
{
	va_list		args;

	printf("%sok %d - ", ok ? "" : "not ", ++check_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (!ok)
	{
		check_failures++;
		printf("# at %s:%d\n", file, line);
	}
	fflush(stdout);
	return ok;
}

/* CHECK(condition, "name %d", …) */
#define CHECK(condition, ...) check_report((condition), __FILE__, __LINE__, __VA_ARGS__)

/* The same for two integers, and for two numbers that may differ by `bound`; both say what they got. */
#define CHECK_EQUAL(got, expected, ...) \
	do { \
		long long	check_got_ = (got); \
		long long	check_expected_ = (expected); \
		if (!CHECK(check_got_ == check_expected_, __VA_ARGS__)) \
			printf("# got %lld, expected %lld\n", check_got_, check_expected_); \
	} while (0)

#define CHECK_NEAR(got, expected, bound, ...) \
	do { \
		double		check_got_ = (got); \
		double		check_expected_ = (expected); \
		double		check_apart_ = check_got_ - check_expected_; \
		if (!CHECK(check_apart_ <= (bound) && check_apart_ >= -(bound), __VA_ARGS__)) \
			printf("# got %.9g, expected %.9g\n", check_got_, check_expected_); \
	} while (0)

/*
 * Whether to run the next one of many like cases: with TAGREC_TEST_SHARE=n in the environment, one in n. For instruments
 * under which all of them take hours.
 */
static inline bool
check_share(void)
{
	static int	cases;
	const char *share = getenv("TAGREC_TEST_SHARE");
	int			n = share ? atoi(share) : 1;

	return n <= 1 || cases++ % n == 0;
}

/* The plan, and the exit status. */
static inline int
check_done(void)
{
	printf("1..%d\n", check_count);
	return check_failures > 0;
}

#endif
