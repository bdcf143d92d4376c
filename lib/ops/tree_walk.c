/* The walks of a tree ensemble. Packed trees are walked by a kernel, some trees of a row or some
 * rows in a tree at a time; others here. Weights are added in the order of the trees either way. */
#include "ops/tree_walk.h"

enum { TOGETHER = 4 };

static bool holds(uint32_t mode, double x, double threshold) {
    switch (mode) {
    case FZ_TREE_LEQ: return x <= threshold;
    case FZ_TREE_LT: return x < threshold;
    case FZ_TREE_GTE: return x >= threshold;
    case FZ_TREE_GT: return x > threshold;
    case FZ_TREE_EQ: return x == threshold;
    case FZ_TREE_NEQ: return x != threshold;
    default: return false;
    }
}

/* Element I of the features. Integers are compared as binary32. */
static inline __attribute__((always_inline)) double feature(const fz_tensor_t *x, int64_t i,
                                                            int32_t dtype) {
    switch (dtype) {
    case FZ_TYPE_F32: return (double)((const float *)x->data)[i];
    case FZ_TYPE_F64: return ((const double *)x->data)[i];
    default: return (double)(float)fzi_tensor_int(x, i);
    }
}

/* One step of the row whose features begin at element ROW, from node *AT: 1, or 0 at a leaf, or -1
 * if the table is broken. Every step goes forward, so that walks end. */
static inline __attribute__((always_inline)) int step(const struct fz_tree_job *job, int64_t *at,
                                                      int64_t row, int32_t dtype) {
    const int32_t *node = job->nodes + FZ_TREE_WORDS * *at;
    uint32_t head = (uint32_t)node[0], mode = head & FZ_TREE_MODE;
    if (mode == FZ_TREE_LEAF) return 0;
    int64_t place = head >> FZ_TREE_FEATURE_SHIFT;
    if (place >= job->n_features) return -1;
    float narrow;
    memcpy(&narrow, &node[1], 4);
    double x = feature(job->x, row + place, dtype);
    double threshold = job->thresholds ? job->thresholds[*at] : (double)narrow;
    bool yes = mode == FZ_TREE_LEQ ? x <= threshold : holds(mode, x, threshold);
    yes |= ((head & FZ_TREE_MISSING) != 0) & (x != x);
    int64_t next = node[3 - yes];
    if (next <= *at || next >= job->n_nodes) return -1;
    *at = next;
    return 1;
}

/* Some walks: from node at[r] of the row whose features begin at element row[r]. */
struct walks {
    int n;
    int64_t at[TOGETHER], row[TOGETHER];
};

/* Takes N walks to their leaves, a step of each in turn: their loads overlap. */
static inline __attribute__((always_inline)) bool walk(const struct fz_tree_job *job,
                                                       struct walks *w, int n, int32_t dtype) {
    for (bool on = true; on;) {
        on = false;
        for (int r = 0; r < n; r++) {
            int more = step(job, &w->at[r], w->row[r], dtype);
            if (more < 0) return false;
            on |= more;
        }
    }
    return true;
}

static bool walk_all(const struct fz_tree_job *job, struct walks *w) {
    if (job->x->dtype != FZ_TYPE_F32) return walk(job, w, w->n, job->x->dtype);
    if (w->n == TOGETHER) return walk(job, w, TOGETHER, FZ_TYPE_F32);
    return walk(job, w, w->n, FZ_TYPE_F32);
}

static double combine(const struct fz_tree_job *job, double old, double weight) {
    switch (job->aggregate) {
    case FZ_TREE_MIN: return weight < old ? weight : old;
    case FZ_TREE_MAX: return weight > old ? weight : old;
    default: return job->narrow ? (double)((float)old + (float)weight) : old + weight;
    }
}

static bool add_weights(const struct fz_tree_job *job, int64_t first, int64_t n,
                        struct fz_tree_score *scores) {
    if (first < 0 || n < 0 || first + n > job->n_weights) return false;
    for (int64_t i = first; i < first + n; i++) {
        int64_t target = job->targets[i];
        double weight = fzi_tensor_float(job->weights, i);
        if (target < 0 || target >= job->n_targets) return false;
        struct fz_tree_score *s = &scores[target];
        s->value = s->has ? combine(job, s->value, weight) : weight;
        s->has = 1;
    }
    return true;
}

static bool add_leaf(const struct fz_tree_job *job, int64_t at, struct fz_tree_score *scores) {
    const int32_t *leaf = job->nodes + FZ_TREE_WORDS * at;
    return add_weights(job, leaf[2], leaf[3], scores);
}

/* Scores of row FIRST + r are at SCORES + r * n_targets. Tree by tree, so that a tree stays in the
 * cache. */
static bool walk_rows(const struct fz_tree_job *job, int64_t first, int64_t n,
                      struct fz_tree_score *scores) {
    for (int64_t t = 0; t < job->n_roots; t++)
        for (int64_t r = 0; r < n; r += TOGETHER) {
            struct walks w = {.n = (int)fzi_min_i64(TOGETHER, n - r)};
            for (int i = 0; i < w.n; i++) {
                w.at[i] = job->roots[t];
                w.row[i] = (first + r + i) * job->n_features;
            }
            if (!walk_all(job, &w)) return false;
            for (int i = 0; i < w.n; i++)
                if (!add_leaf(job, w.at[i], scores + (r + i) * job->n_targets))
                    return false;
        }
    return true;
}

/* One row: several trees at a time, whose leaves are still added in the order of the trees. */
static bool walk_row(const struct fz_tree_job *job, int64_t row, struct fz_tree_score *scores) {
    for (int64_t t = 0; t < job->n_roots; t += TOGETHER) {
        struct walks w = {.n = (int)fzi_min_i64(TOGETHER, job->n_roots - t)};
        for (int i = 0; i < w.n; i++) {
            w.at[i] = job->roots[t + i];
            w.row[i] = row * job->n_features;
        }
        if (!walk_all(job, &w)) return false;
        for (int i = 0; i < w.n; i++)
            if (!add_leaf(job, w.at[i], scores)) return false;
    }
    return true;
}

static bool walk_block(const struct fz_tree_job *job, int64_t first, int64_t n,
                       struct fz_tree_score *scores) {
    if (n >= TOGETHER) return walk_rows(job, first, n, scores);
    for (int64_t r = 0; r < n; r++)
        if (!walk_row(job, first + r, scores + r * job->n_targets)) return false;
    return true;
}

/* ---- packed trees */

/* Walk I begins at ROOTS[i * root_step], with the row ROW + i * row_step. */
static void walk_packed(const struct fz_tree_job *job, int64_t row, int64_t n, int64_t row_step,
                        const int32_t *roots, int64_t root_step, int32_t *leaf) {
    struct fzk_tree_walk w = {.nodes = (const uint32_t *)job->nodes, .n_nodes = job->n_nodes,
                              .depth = job->form->depth,
                              .x = (const float *)job->x->data + row * job->n_features,
                              .row_step = row_step * job->n_features,
                              .n_features = job->n_features, .roots = roots,
                              .root_step = root_step, .n = n, .leaf = leaf};
    job->call->env->k->tree_walk_f32(&w);
}

/* How the sums of a block are kept: binary32 numbers where all leaves have weights for the same
 * targets, and else scores. STEP is 0 if all leaves belong to one row. */
struct sums {
    float *numbers;
    struct fz_tree_score *scores;
    int64_t step;
};

static inline __attribute__((always_inline)) bool sum(const struct fz_tree_job *job,
                                                      const int32_t *leaf, int64_t n,
                                                      const struct sums *sums, int64_t per) {
    const float *weights = job->weights->data;
    for (int64_t i = 0; i < n; i++) {
        int64_t first = job->first[leaf[i]];
        float *y = sums->numbers + i * sums->step * per;
        if (first < 0 || first + per > job->n_weights) return false;
        for (int64_t j = 0; j < per; j++) y[j] += weights[first + j];
    }
    return true;
}

static bool add_scores(const struct fz_tree_job *job, const int32_t *leaf, int64_t n,
                       const struct sums *sums) {
    for (int64_t i = 0; i < n; i++) {
        int64_t first = job->first[leaf[i]], end = job->first[leaf[i] + 1];
        if (!add_weights(job, first, end - first,
                         sums->scores + i * sums->step * job->n_targets))
            return false;
    }
    return true;
}

static bool add_leaves(const struct fz_tree_job *job, const int32_t *leaf, int64_t n,
                       const struct sums *sums) {
    if (!sums->numbers) return add_scores(job, leaf, n, sums);
    switch (job->form->per_leaf) {
    case 1: return sum(job, leaf, n, sums, 1);
    case 2: return sum(job, leaf, n, sums, 2);
    case 3: return sum(job, leaf, n, sums, 3);
    case 4: return sum(job, leaf, n, sums, 4);
    case 5: return sum(job, leaf, n, sums, 5);
    case 8: return sum(job, leaf, n, sums, 8);
    case 10: return sum(job, leaf, n, sums, 10);
    default: return sum(job, leaf, n, sums, job->form->per_leaf);
    }
}

/* Few rows: the lanes of the kernel are trees. */
static bool packed_row(const struct fz_tree_job *job, int64_t row, struct sums *sums) {
    int32_t leaf[FZK_TREE_WALKS];
    sums->step = 0;
    for (int64_t t = 0, n; t < job->n_roots; t += n) {
        n = fzi_min_i64(FZK_TREE_WALKS, job->n_roots - t);
        walk_packed(job, row, n, 0, job->roots + t, 1, leaf);
        if (!add_leaves(job, leaf, n, sums)) return false;
    }
    return true;
}

/* Many rows: they are rows, which go through a tree while it is in the cache. */
static bool packed_rows(const struct fz_tree_job *job, int64_t row, int64_t n, struct sums *sums) {
    int32_t leaf[FZK_TREE_WALKS];
    sums->step = 1;
    for (int64_t t = 0; t < job->n_roots; t++) {
        walk_packed(job, row, n, 1, job->roots + t, 0, leaf);
        if (!add_leaves(job, leaf, n, sums)) return false;
    }
    return true;
}

/* N rows; NUMBERS has room for their sums, or is NULL. -0 is where a sum begins: any first weight
 * added to it is itself. */
static bool packed_block(const struct fz_tree_job *job, int64_t row, int64_t n, float *numbers,
                         struct fz_tree_score *scores) {
    enum { LANES = 16, WIDE = 1 << 22 };
    int64_t per = job->form->per_leaf, column = job->form->column;
    struct sums sums = {.numbers = numbers, .scores = scores};
    for (int64_t i = 0; numbers && i < n * per; i++) numbers[i] = -0.0f;
    bool good = true;
    if (n >= LANES && job->n_features <= WIDE) good = packed_rows(job, row, n, &sums);
    else
        for (int64_t i = 0; i < n && good; i++) {
            good = packed_row(job, row + i, &sums);
            sums.scores += job->n_targets;
            if (numbers) sums.numbers += per;
        }
    for (int64_t i = 0; good && numbers && i < n * per; i++)
        scores[i / per * job->n_targets + column + i % per] =
            (struct fz_tree_score){(double)numbers[i], 1};
    return good;
}

static bool packed_scores(const struct fz_tree_job *job, int64_t row, int64_t n,
                          struct fz_tree_score *scores) {
    float numbers[FZ_TREE_STACK];
    bool plain = job->aggregate == FZ_TREE_SUM || job->aggregate == FZ_TREE_AVERAGE;
    bool alike = job->narrow && plain && job->form->per_leaf > 0 && job->n_roots > 0 &&
                 job->form->per_leaf * n <= FZ_TREE_STACK;
    for (int64_t i = 0, m; i < n; i += m) {
        m = fzi_min_i64(FZK_TREE_WALKS, n - i);
        if (!packed_block(job, row + i, m, alike ? numbers : NULL, scores + i * job->n_targets))
            return false;
    }
    return true;
}

bool fzi_tree_check(const struct fz_tree_job *job) {
    if (job->form->packed && job->n_features < job->form->n_features) return false;
    for (int64_t t = 0; t < job->n_roots; t++)
        if (job->roots[t] < 0 || job->roots[t] >= job->n_nodes) return false;
    return !job->form->packed || job->n_features > 0 || job->form->depth == 0;
}

bool fzi_tree_scores(const struct fz_tree_job *job, int64_t first, int64_t n,
                     struct fz_tree_score *scores) {
    return job->form->packed ? packed_scores(job, first, n, scores)
                             : walk_block(job, first, n, scores);
}
