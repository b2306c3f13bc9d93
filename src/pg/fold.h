/*
 * Splitting (user, item) pairs into 100 folds, the same everywhere and for ever.
 */
#ifndef TAGREC_FOLD_H
#define TAGREC_FOLD_H

/* 0..99: the first 8 hexadecimal digits of md5("user:item:seed") modulo 100. */
extern int	tagrec_fold_of(const char *user, const char *item, const char *seed);

#endif
