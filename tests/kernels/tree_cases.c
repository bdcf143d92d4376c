/* Cases of the walks through trees: random forests, and nodes that no tree has. */
#include "harness.h"
#include "kernel.h"

/* The definition of tree.h, a walk at a time. */
static int32_t oracle(const struct fzk_tree_walk *w, int64_t i) {
    int64_t at = w->roots[i * w->root_step];
    for (int64_t d = 0; d < w->depth; d++) {
        float t = fzk_float(w->nodes[2 * at]), v;
        uint32_t word = w->nodes[2 * at + 1];
        int64_t feature = word >> FZK_TREE_FEATURE;
        if (feature > w->n_features - 1) feature = w->n_features - 1;
        v = w->x[i * w->row_step + feature];
        bool yes = v <= t || ((word & FZK_TREE_MISSING) && v != v);
        at += (word & FZK_TREE_DISTANCE) + !yes;
        if (at > w->n_nodes - 1) at = w->n_nodes - 1;
    }
    return (int32_t)at;
}

static void check(struct kt *t, const struct fzk_tree_walk *w) {
    t->k->tree_walk_f32(w);
    kt_check(t, w->leaf, w->n, sizeof *w->leaf);
    for (int64_t i = 0; t->baseline && i < w->n; i++)
        if (w->leaf[i] != oracle(w, i))
            kt_fail(t, "walk %d ends at node %d, not %d", (int)i, w->leaf[i], oracle(w, i));
}

/* Complete trees of DEPTH levels, thresholds and features at random, NaN among them. */
static void forest(struct kt *t, int64_t trees, int64_t depth, int64_t n_features, int64_t n,
                   bool by_rows) {
    int64_t inner = ((int64_t)1 << depth) - 1, nodes = 2 * inner + 1;
    kt_step(t, "trees=%d depth=%d features=%d n=%d rows=%d", (int)trees, (int)depth,
            (int)n_features, (int)n, by_rows);
    uint32_t *words = kt_buffer(t, 2 * trees * nodes, 4);
    int32_t *roots = kt_buffer(t, trees, 4);
    float *thresholds = kt_f32(t, trees * nodes, KT_SPECIAL);
    for (int64_t i = 0; i < trees * nodes; i++) {
        int64_t in_tree = i % nodes;
        bool leaf = in_tree >= inner;
        uint32_t feature = (uint32_t)(i * 7 % n_features), missing = i % 3 ? FZK_TREE_MISSING : 0;
        words[2 * i] = leaf ? fzk_bits(__builtin_inff()) : fzk_bits(thresholds[i]);
        words[2 * i + 1] = leaf ? FZK_TREE_MISSING
                                : feature << FZK_TREE_FEATURE | missing | (uint32_t)(in_tree + 1);
    }
    for (int64_t i = 0; i < trees; i++) roots[i] = (int32_t)(i * nodes);
    int64_t rows = by_rows ? n : 1;
    struct fzk_tree_walk w = {.nodes = words, .n_nodes = trees * nodes, .depth = depth,
                              .x = kt_f32(t, rows * n_features, KT_SPECIAL),
                              .row_step = by_rows ? n_features : 0, .n_features = n_features,
                              .roots = by_rows ? roots + trees - 1 : roots,
                              .root_step = !by_rows, .n = n};
    kt_protect(t);
    w.leaf = kt_buffer(t, n, 4);
    check(t, &w);
}

static void forests(struct kt *t) {
    for (int64_t n = 1; n <= (t->quick ? 35 : 100); n++) {
        forest(t, n, n % 6, 1 + n % 9, n, false);
        forest(t, 2, n % 8, 1 + n % 11, n, true);
    }
    forest(t, FZK_TREE_WALKS, 3, 40, FZK_TREE_WALKS, false);
    forest(t, 3, 9, 300, FZK_TREE_WALKS, true);
}

/* Any two words are a node. */
static void nonsense(struct kt *t) {
    for (int64_t n = 1; n <= 40; n += 3) {
        kt_step(t, "n=%d", (int)n);
        struct fzk_tree_walk w = {.n_nodes = 50 + n, .depth = 20, .row_step = 5, .n_features = 5,
                                  .root_step = 1, .n = n};
        uint32_t *words = kt_buffer(t, 2 * w.n_nodes, 4);
        kt_fill_integers(t, words, 2 * w.n_nodes, 4);
        w.nodes = words;
        w.x = kt_f32(t, 5 * n, KT_SPECIAL);
        int32_t *roots = kt_buffer(t, n, 4);
        for (int64_t i = 0; i < n; i++) roots[i] = (int32_t)(i * 11 % w.n_nodes);
        w.roots = roots;
        kt_protect(t);
        w.leaf = kt_buffer(t, n, 4);
        check(t, &w);
    }
}

static void call(const struct fzk_table *k, void *arg) { k->tree_walk_f32(arg); }

static void bench(struct kt *t) {
    enum { DEPTH = 8, INNER = (1 << DEPTH) - 1, NODES = 2 * INNER + 1, FEATURES = 30 };
    uint32_t *words = kt_buffer(t, 2 * NODES, 4);
    static const int32_t root;
    const float *thresholds = kt_f32(t, NODES, KT_UNIFORM);
    for (int64_t i = 0; i < NODES; i++) {
        bool leaf = i >= INNER;
        words[2 * i] = leaf ? fzk_bits(__builtin_inff()) : fzk_bits(thresholds[i]);
        words[2 * i + 1] = leaf ? FZK_TREE_MISSING
                                : (uint32_t)(i * 7 % FEATURES) << FZK_TREE_FEATURE |
                                      (uint32_t)(i + 1);
    }
    struct fzk_tree_walk w = {.nodes = words, .n_nodes = NODES, .depth = DEPTH,
                              .x = kt_f32(t, FZK_TREE_WALKS * FEATURES, KT_UNIFORM),
                              .row_step = FEATURES, .n_features = FEATURES, .roots = &root,
                              .n = FZK_TREE_WALKS};
    w.leaf = kt_buffer(t, w.n, 4);
    kt_bench(t, (double)(w.n * DEPTH), call, &w, "256 rows through a tree of depth 8, steps");
}

const struct kt_case tree_cases[] = {
    {"tree_walk_f32/forests", KT_KERNEL(tree_walk_f32), forests, bench},
    {"tree_walk_f32/nonsense", KT_KERNEL(tree_walk_f32), nonsense},
    {0}};
