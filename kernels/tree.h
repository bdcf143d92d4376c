/* Walks through the trees of an ensemble. */
#ifndef FZ_KERNELS_TREE_H
#define FZ_KERNELS_TREE_H

#include <stdint.h>

/* The second word of a node: feature << 16 | FZK_TREE_MISSING | distance to the first child. */
enum { FZK_TREE_FEATURE = 16, FZK_TREE_FEATURES = 1 << 16, FZK_TREE_MISSING = 0x8000,
       FZK_TREE_DISTANCE = 0x7FFF };

/* N walks of DEPTH steps each. Walk i begins at node roots[i * root_step] and reads the features
 * x[i * row_step ...], N_FEATURES of them. A node is two words: the bits of a binary32 threshold t,
 * and the word above. One step from node `at`:
 *
 *     f = min(feature, n_features - 1);  v = x[i * row_step + f]
 *     no = !(v <= t || (missing && v != v))
 *     at = min(at + distance + no, n_nodes - 1)
 *
 * so that siblings lie side by side, and a leaf is a node of distance 0, threshold +inf and with
 * FZK_TREE_MISSING, which a walk never leaves. leaf[i] = at.
 *
 * The bounds make any node harmless; roots must lie in [0, n_nodes), and n_features >= 1,
 * n_nodes <= 2^30, n <= FZK_TREE_WALKS, and (n - 1) * row_step + n_features < 2^31. */
enum { FZK_TREE_WALKS = 256 };

struct fzk_tree_walk {
    const uint32_t *nodes;
    int64_t n_nodes, depth;
    const float *x;
    int64_t row_step, n_features;
    const int32_t *roots;
    int64_t root_step; /* 0 or 1 */
    int64_t n;
    int32_t *leaf; /* n */
};

#endif
