/* The tables of a tree ensemble: what lower makes of ONNX's lists of nodes and run walks. They are
 * constant inputs of the node. */
#ifndef FZ_OPS_TREE_TABLES_H
#define FZ_OPS_TREE_TABLES_H

#include "ops/op.h"

/* Inputs. Four int32 words a node: feature * 16 + FZ_TREE_MISSING + mode; the bits of the binary32
 * threshold; the next node if the comparison holds, and if not. A leaf has the place and number of
 * its weights there. Children stand behind their parents, so every walk ends. THRESHOLDS are
 * binary64 and there only if the model has such.
 *
 * Where features are binary32 and every comparison can be written as `feature <= a binary32
 * number`, nodes are the two words of kernels/tree.h instead, siblings side by side, each level of
 * a tree behind the one above. The weights stand in the order of the nodes then, and FIRST has the
 * place of each node's first weight, and behind the last node the number of weights. */
enum { FZ_TREE_X, FZ_TREE_NODES, FZ_TREE_ROOTS, FZ_TREE_TARGETS, FZ_TREE_WEIGHTS, FZ_TREE_BASE,
       FZ_TREE_LABELS, FZ_TREE_THRESHOLDS, FZ_TREE_FIRST, FZ_TREE_INPUTS };

enum fz_tree_mode { FZ_TREE_LEQ, FZ_TREE_LT, FZ_TREE_GTE, FZ_TREE_GT, FZ_TREE_EQ, FZ_TREE_NEQ,
                    FZ_TREE_LEAF };
enum { FZ_TREE_MODE = 7, FZ_TREE_MISSING = 8, FZ_TREE_FEATURE_SHIFT = 4, FZ_TREE_WORDS = 4,
       FZ_TREE_PACKED_WORDS = 2 };

/* The names under which an operator's weights are listed ("class_ids" or "target_ids"). */
struct fz_tree_names {
    const char *trees, *nodes, *targets, *weights, *weights_tensor;
};

/* What lower has read: the tables above in their four words a node. */
struct fz_tree_table {
    int64_t n_nodes, n_roots, n_weights;
    const int32_t *words, *roots, *targets;
    const double *thresholds; /* NULL: they are in the words */
    const void *weights;      /* n_weights of dtype */
    int32_t dtype;
};

/* How the tables are written: params of the node. */
struct fz_tree_form {
    int64_t packed;           /* two words a node */
    int64_t depth;            /* of the deepest tree: steps to its leaves */
    int64_t n_features;       /* that nodes read */
    int64_t per_leaf, column; /* each leaf has weights for targets column, column + 1, ...: so many
                                 of them; per_leaf 0: not all do */
};

/* Appends NODES, ROOTS, TARGETS, WEIGHTS and, if need be, THRESHOLDS or FIRST, packed if that can
 * be. */
fz_status_t fzi_tree_append(struct fz_lower *lower, struct fz_node *node,
                            const struct fz_tree_table *table, struct fz_tree_form *form);

/* Reads the node's attributes and appends all of the inputs but LABELS. Refuses nodes that are not
 * forests, and targets outside of [0, n_targets). */
fz_status_t fzi_tree_lower(struct fz_lower *lower, struct fz_node *node,
                           const struct fz_tree_names *names, int64_t n_targets,
                           struct fz_tree_form *form);

/* The same for TreeEnsemble of ai.onnx.ml 5, whose lists are other ones. */
fz_status_t fzi_tree_lower_nodes(struct fz_lower *lower, struct fz_node *node, int64_t n_targets,
                                 struct fz_tree_form *form);

#endif
