/* From features to scores: the walks of a tree ensemble, and the sums of what they find. */
#ifndef FZ_OPS_TREE_WALK_H
#define FZ_OPS_TREE_WALK_H

#include "ops/tree_tables.h"

enum fz_tree_aggregate { FZ_TREE_SUM, FZ_TREE_AVERAGE, FZ_TREE_MIN, FZ_TREE_MAX,
                         FZ_TREE_AGGREGATES };
enum { FZ_TREE_STACK = 512 }; /* scores that a range keeps on its stack */

struct fz_tree_score {
    double value;
    int64_t has; /* a weight has been added */
};

/* What a run knows: the tables, whose lengths infer has compared, and whose values are checked as
 * they are read. */
struct fz_tree_job {
    const struct fz_call *call;
    const struct fz_tree_form *form;
    const fz_tensor_t *x, *weights;
    const int32_t *nodes, *roots, *targets, *first;
    const double *thresholds;
    int64_t n_nodes, n_roots, n_weights, n_features, n_targets, aggregate;
    bool narrow; /* sums are rounded to binary32 */
};

/* Roots lie inside, and rows have the features that packed nodes read. */
bool fzi_tree_check(const struct fz_tree_job *job);

/* Scores of row FIRST + r, for r in [0, n), at SCORES + r * n_targets, which are zero.
 * n * n_targets is at most FZ_TREE_STACK, or n is 1. False if a table points outside of itself. */
bool fzi_tree_scores(const struct fz_tree_job *job, int64_t first, int64_t n,
                     struct fz_tree_score *scores);

#endif
