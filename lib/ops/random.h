/* Random numbers of a seed: element i takes two of the four words of place i / 2 of a stream of
 * Philox4x32-10, so that elements may be computed in any order. */
#ifndef FZ_OPS_RANDOM_H
#define FZ_OPS_RANDOM_H

#include "ops/op.h"

/* Each kind of operator has a stream of its own. */
enum { FZ_STREAM_UNIFORM = 1, FZ_STREAM_NORMAL, FZ_STREAM_BERNOULLI, FZ_STREAM_MULTINOMIAL,
       FZ_STREAM_DROPOUT };

/* Attribute `seed` of NODE, a float or an int, as a key of the generator. FZ_E_UNSUPPORTED without
 * one: a frozen model gives the same answer every time. */
fz_status_t fzi_random_seed(const struct fz_node *node, int64_t *key);
/* N numbers in [0, 1), multiples of 2^-53, from number FIRST on. */
void fzi_random_uniform(uint64_t key, uint64_t stream, int64_t first, int64_t n, double *u);

#endif
