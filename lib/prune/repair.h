/* One-shot repair: the products of a pruned graph, one after the other, give again what those of
 * the original gave, as well as linear least squares can. */
#ifndef FZ_PRUNE_REPAIR_H
#define FZ_PRUNE_REPAIR_H

#include "prune/linear.h"
#include "prune/sample.h"
#include "prune/sparse.h"

struct fz_repair {
    struct fz_trace *before, *after;  /* the original and the pruned model */
    const struct fz_depend *depend;   /* which of the original's outputs are left */
    const struct fz_linear *original; /* the products of BEFORE */
    uint32_t n;
    const struct fz_samples *samples; /* none: patterns of zeros only */
    struct fz_sparse sparse;          /* the pattern that every product gets which it fits */
};

/* For each product in order, on what the products before it give by now, finds the weights (and
 * the bias, where there is one) that come nearest to the original's outputs: W = W0 + (X^T X + d
 * I)^-1 X^T (Y - X W0), X from AFTER, Y from BEFORE, d a share of the mean of the diagonal.
 * Products before the first that lost inputs, or weights, are left alone. */
fz_status_t fzi_repair(const struct fz_repair *job);

/* Of the rows of a product in a sample at most so many are taken, evenly. */
enum { FZ_SAMPLE_ROWS = 1024 };

#endif
