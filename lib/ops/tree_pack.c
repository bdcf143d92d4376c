/* Packs the tables of a tree ensemble: the four words of a node become two, where features are
 * binary32 and every comparison can be written as `feature <= a binary32 number`, perhaps with the
 * children changed over. The walks are the same, for every feature and every NaN. */
#include "ops/tree_tables.h"

/* The largest binary32 number that is not above T, or (if BELOW) that is below T. NaN, which no
 * number reaches, stays: so does `below -inf`. */
static float number_under(double t, bool below) {
    float f = (float)t;
    if (t != t || (double)f < t || (!below && (double)f == t)) return f;
    if (f == -__builtin_inff()) return __builtin_nanf("");
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if (f == 0) bits = 0x80000001;
    else bits += f > 0 ? (uint32_t)-1 : 1;
    memcpy(&f, &bits, 4);
    return f;
}

/* One comparison as it is packed. */
struct choice {
    float threshold;
    bool swapped, missing;
};

/* `x < t` is `x <= the number below`. `x > t` is no `x <= t`, and holds for no NaN: with the
 * children changed over a NaN goes the way that it went. A threshold of NaN must then send all
 * along. */
static bool choose(const int32_t *words, const double *thresholds, int64_t i, struct choice *c) {
    uint32_t head = (uint32_t)words[FZ_TREE_WORDS * i], mode = head & FZ_TREE_MODE;
    float narrow;
    memcpy(&narrow, &words[FZ_TREE_WORDS * i + 1], 4);
    double t = thresholds ? thresholds[i] : (double)narrow;
    if (mode > FZ_TREE_GT) return false;
    c->swapped = mode == FZ_TREE_GTE || mode == FZ_TREE_GT;
    c->missing = ((head & FZ_TREE_MISSING) != 0) != c->swapped;
    c->threshold = number_under(t, mode == FZ_TREE_LT || mode == FZ_TREE_GTE);
    if (c->swapped && t != t) c->threshold = __builtin_inff();
    return true;
}

struct packer {
    const struct fz_tree_table *from;
    struct fz_tree_form *form;
    uint32_t *words;
    int32_t *roots, *first, *targets;
    char *weights;
    int64_t *source, *level; /* of each packed node: the table's node, its distance to the root */
    int64_t used, n_weights;
};

static fz_status_t make_room(struct fz_arena *arena, struct packer *p) {
    size_t n = (size_t)p->from->n_nodes, w = (size_t)p->from->n_weights;
    p->words = fzi_arena_array(arena, n, 2 * sizeof *p->words);
    p->roots = fzi_arena_array(arena, (size_t)p->from->n_roots, sizeof *p->roots);
    p->first = fzi_arena_array(arena, n + 1, sizeof *p->first);
    p->targets = fzi_arena_array(arena, w, sizeof *p->targets);
    p->weights = fzi_arena_array(arena, w, fzi_type_width(p->from->dtype));
    p->source = fzi_arena_array(arena, n, sizeof *p->source);
    p->level = fzi_arena_array(arena, n, sizeof *p->level);
    if (p->words && p->roots && p->first && p->targets && p->weights && p->source && p->level)
        return FZ_OK;
    return fzi_error(FZ_E_NOMEM, "no memory for %lld tree nodes", (long long)n);
}

static bool copy_weights(struct packer *p, int64_t first, int64_t n) {
    size_t width = fzi_type_width(p->from->dtype);
    if (first < 0 || n < 0 || first + n > p->from->n_weights ||
        p->n_weights + n > p->from->n_weights)
        return false;
    for (int64_t i = 0; i < n; i++) p->targets[p->n_weights + i] = p->from->targets[first + i];
    memcpy(p->weights + (size_t)p->n_weights * width,
           (const char *)p->from->weights + (size_t)first * width, (size_t)n * width);
    p->n_weights += n;
    return true;
}

static void write(struct packer *p, int64_t at, float threshold, uint32_t word) {
    memcpy(&p->words[2 * at], &threshold, 4);
    p->words[2 * at + 1] = word;
}

/* Writes packed node AT and gives its children the next two places. False if it does not fit, or
 * has weights that another leaf has, too. */
static bool pack_node(struct packer *p, int64_t at) {
    int64_t from = p->source[at];
    const int32_t *words = p->from->words + FZ_TREE_WORDS * from;
    uint32_t head = (uint32_t)words[0];
    int64_t feature = head >> FZ_TREE_FEATURE_SHIFT, distance = p->used - at;
    struct choice c;
    p->first[at] = (int32_t)p->n_weights;
    if ((head & FZ_TREE_MODE) == FZ_TREE_LEAF) {
        write(p, at, __builtin_inff(), FZK_TREE_MISSING);
        return copy_weights(p, words[2], words[3]);
    }
    if (!choose(p->from->words, p->from->thresholds, from, &c) || feature >= FZK_TREE_FEATURES ||
        distance > FZK_TREE_DISTANCE || p->used + 2 > p->from->n_nodes)
        return false;
    write(p, at, c.threshold, (uint32_t)feature << FZK_TREE_FEATURE | (uint32_t)distance |
                              (c.missing ? FZK_TREE_MISSING : 0));
    p->source[p->used] = words[2 + c.swapped];
    p->source[p->used + 1] = words[3 - c.swapped];
    p->level[p->used] = p->level[p->used + 1] = p->level[at] + 1;
    p->form->depth = fzi_max_i64(p->form->depth, p->level[at] + 1);
    p->form->n_features = fzi_max_i64(p->form->n_features, feature + 1);
    p->used += 2;
    return true;
}

static bool pack_trees(struct packer *p) {
    int64_t at = 0;
    for (int64_t t = 0; t < p->from->n_roots; t++) {
        if (p->used == p->from->n_nodes) return false;
        p->roots[t] = (int32_t)p->used;
        p->source[p->used] = p->from->roots[t];
        p->level[p->used++] = 0;
        for (; at < p->used; at++)
            if (!pack_node(p, at)) return false;
    }
    p->first[p->used] = (int32_t)p->n_weights;
    return true;
}

/* Looks whether every leaf has weights for the same targets, which follow each other. */
static void look_at_leaves(const struct packer *p) {
    int64_t per = 0, column = p->n_weights ? p->targets[0] : 0;
    for (int64_t i = 0; i < p->used; i++) {
        int64_t n = p->first[i + 1] - p->first[i];
        bool leaf = !(p->words[2 * i + 1] & FZK_TREE_DISTANCE);
        if (leaf && per == 0) per = n;
        if (leaf && (n != per || n == 0)) return;
        for (int64_t j = 0; j < n; j++)
            if (p->targets[p->first[i] + j] != column + j) return;
    }
    p->form->per_leaf = per;
    p->form->column = column;
}

/* A chain of comparisons of one set of values shares its leaf: such a table does not become a
 * forest with siblings side by side and is not packed; *DONE is false. */
static fz_status_t pack(struct fz_lower *lower, struct fz_node *node,
                        const struct fz_tree_table *table, struct fz_tree_form *form,
                        bool *done) {
    struct packer p = {.from = table, .form = form};
    *done = false;
    if (node->in[FZ_TREE_X]->t.dtype != FZ_TYPE_F32 || table->n_nodes > 1 << 30) return FZ_OK;
    FZ_TRY(make_room(lower->graph->arena, &p));
    if (!pack_trees(&p)) {
        *form = (struct fz_tree_form){0};
        return FZ_OK;
    }
    *done = true;
    form->packed = 1;
    look_at_leaves(&p);
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_NODES, FZ_TYPE_I32, 2 * p.used, p.words));
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_ROOTS, FZ_TYPE_I32, table->n_roots, p.roots));
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_TARGETS, FZ_TYPE_I32, p.n_weights, p.targets));
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_WEIGHTS, table->dtype, p.n_weights, p.weights));
    return fzi_lower_constant(lower, node, FZ_TREE_FIRST, FZ_TYPE_I32, p.used + 1, p.first);
}

fz_status_t fzi_tree_append(struct fz_lower *lower, struct fz_node *node,
                            const struct fz_tree_table *t, struct fz_tree_form *form) {
    bool done;
    FZ_TRY(pack(lower, node, t, form, &done));
    if (done) return FZ_OK;
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_NODES, FZ_TYPE_I32,
                              FZ_TREE_WORDS * t->n_nodes, t->words));
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_ROOTS, FZ_TYPE_I32, t->n_roots, t->roots));
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_TARGETS, FZ_TYPE_I32, t->n_weights,
                              t->targets));
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_WEIGHTS, t->dtype, t->n_weights, t->weights));
    if (!t->thresholds) return FZ_OK;
    return fzi_lower_constant(lower, node, FZ_TREE_THRESHOLDS, FZ_TYPE_F64, t->n_nodes,
                              t->thresholds);
}
