/*
 * Splitting data by hashes of the keys, stable across servers and versions: (user, item) pairs into 100 folds, and the tags
 * of a post into the one that is held out and the others.
 */
#ifndef TAGREC_FOLD_H
#define TAGREC_FOLD_H

/* 0..99: the first 8 hexadecimal digits of md5("user:item:seed") modulo 100. */
extern int	tagrec_fold_of(const char *user, const char *item, const char *seed);

#define TAGREC_MD5_DIGITS 32

/* hash = md5("user:item:tag:seed"): of a post's tags, the one with the smallest is held out, in the order of strcmp(). */
extern void tagrec_holdout_of(char hash[TAGREC_MD5_DIGITS + 1], const char *user, const char *item, const char *tag,
							  const char *seed);

#endif
