/* Walks through trees, by the definition of tree.h. Some go side by side: their loads overlap, and
 * no step branches. */
#include "kernel.h"

enum { TOGETHER = 8 };

static inline int32_t step(const struct fzk_tree_walk *w, const float *x, int32_t at) {
    uint32_t word = w->nodes[2 * (int64_t)at + 1], feature = word >> FZK_TREE_FEATURE;
    float t = fzk_float(w->nodes[2 * (int64_t)at]);
    float v = x[feature < w->n_features ? feature : w->n_features - 1];
    int32_t yes = (v <= t) | (((word & FZK_TREE_MISSING) != 0) & (v != v));
    int64_t next = (int64_t)at + (word & FZK_TREE_DISTANCE) + (1 - yes);
    return (int32_t)(next < w->n_nodes ? next : w->n_nodes - 1);
}

/* COUNT walks from walk I on; they end early where none has moved. */
static inline __attribute__((always_inline)) void walk(const struct fzk_tree_walk *w, int64_t i,
                                                       int count) {
    int32_t at[TOGETHER];
    const float *x = w->x + i * w->row_step;
    for (int r = 0; r < count; r++) at[r] = w->roots[(i + r) * w->root_step];
    for (int64_t d = 0; d < w->depth; d++) {
        int32_t moved = 0;
        for (int r = 0; r < count; r++) {
            int32_t next = step(w, x + r * w->row_step, at[r]);
            moved |= next ^ at[r];
            at[r] = next;
        }
        if (!moved) break;
    }
    for (int r = 0; r < count; r++) w->leaf[i + r] = at[r];
}

void FZK_NAME(tree_walk_f32)(const struct fzk_tree_walk *w) {
    int64_t i = 0;
    for (; i + TOGETHER <= w->n; i += TOGETHER) walk(w, i, TOGETHER);
    for (; i < w->n; i++) walk(w, i, 1);
}
