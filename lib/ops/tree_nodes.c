/* Makes the tables of a tree ensemble of ai.onnx.ml 5: inner nodes and leaves in lists of their
 * own, and sets of values in nodes, each of which becomes a chain of comparisons. */
#include "ops/tree_tables.h"

enum { MODE_MEMBER = 6 };

/* An open reference: COUNT table nodes from FIRST on have in word FIELD where node or leaf INDEX
 * will lie; COUNT 0 is a root. */
struct open {
    int64_t index, first, count;
    int32_t field;
    bool leaf;
};

struct forest {
    struct fz_arena *arena;
    size_t n, n_leaves, n_roots;
    const int64_t *feature, *yes, *no, *yes_leaf, *no_leaf, *missing, *roots;
    const uint8_t *mode;
    const double *split, *member; /* member: sets, each closed by a NaN */
    size_t n_members;
    size_t *set;                  /* of each node with a set, its first value */
    uint8_t *met;
    struct open *stack;
    size_t depth, capacity;       /* capacity: of the table, in nodes */
    int32_t *words;
    double *thresholds;
    int64_t used;
};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for tree nodes"); }

static fz_status_t list(const struct fz_node *node, const char *name, size_t want, bool needed,
                        const int64_t **out) {
    size_t n = 0;
    *out = NULL;
    FZ_TRY(fzi_attr_ints(node, name, out, &n));
    if (n == want || (n == 0 && !needed)) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "attribute '%s' has %zu values, not %zu", name, n, want);
}

/* A tensor attribute's numbers as binary64, and their type. */
static fz_status_t numbers(struct fz_arena *arena, const struct fz_node *node, const char *name,
                           double **out, size_t *n, int32_t *dtype) {
    const struct fz_attr *attr = fzi_attr(node, name);
    *out = NULL;
    *n = 0;
    if (!attr) return FZ_OK;
    if (attr->kind != FZ_ATTR_TENSOR || !(FZ_T_FLOAT >> attr->tensors->dtype & 1))
        return fzi_error(FZ_E_TYPE, "attribute '%s' is no tensor of floats", name);
    *n = (size_t)fzi_tensor_count(attr->tensors);
    *dtype = attr->tensors->dtype;
    *out = fzi_arena_array(arena, *n, sizeof **out);
    if (!*out) return no_memory();
    for (size_t i = 0; i < *n; i++) (*out)[i] = fzi_tensor_float(attr->tensors, (int64_t)i);
    return FZ_OK;
}

static fz_status_t read_modes(const struct fz_node *node, struct forest *f) {
    const struct fz_attr *attr = fzi_attr(node, "nodes_modes");
    if (!attr || attr->kind != FZ_ATTR_TENSOR || attr->tensors->dtype != FZ_TYPE_U8)
        return fzi_error(FZ_E_FORMAT, "attribute 'nodes_modes' is no tensor of uint8");
    f->n = (size_t)fzi_tensor_count(attr->tensors);
    f->mode = attr->tensors->data;
    if (f->n == 0 || f->n > INT32_MAX / 8) return fzi_error(FZ_E_FORMAT, "%zu tree nodes", f->n);
    for (size_t i = 0; i < f->n; i++)
        if (f->mode[i] > MODE_MEMBER)
            return fzi_error(FZ_E_UNSUPPORTED, "unknown node mode %d", f->mode[i]);
    return FZ_OK;
}

static fz_status_t read_forest(const struct fz_node *node, struct forest *f, bool *twice) {
    double *split, *member;
    size_t n;
    int32_t dtype = FZ_TYPE_F32, ignored;
    FZ_TRY(read_modes(node, f));
    FZ_TRY(list(node, "nodes_featureids", f->n, true, &f->feature));
    FZ_TRY(list(node, "nodes_truenodeids", f->n, true, &f->yes));
    FZ_TRY(list(node, "nodes_falsenodeids", f->n, true, &f->no));
    FZ_TRY(list(node, "nodes_trueleafs", f->n, true, &f->yes_leaf));
    FZ_TRY(list(node, "nodes_falseleafs", f->n, true, &f->no_leaf));
    FZ_TRY(list(node, "nodes_missing_value_tracks_true", f->n, false, &f->missing));
    FZ_TRY(fzi_attr_ints(node, "tree_roots", &f->roots, &f->n_roots));
    FZ_TRY(numbers(f->arena, node, "nodes_splits", &split, &n, &dtype));
    if (n != f->n) return fzi_error(FZ_E_FORMAT, "%zu splits for %zu nodes", n, f->n);
    FZ_TRY(numbers(f->arena, node, "membership_values", &member, &f->n_members, &ignored));
    f->split = split;
    f->member = member;
    *twice = dtype == FZ_TYPE_F64;
    return FZ_OK;
}

/* Finds the set of each node that has one: they stand in the order of the nodes. */
static fz_status_t find_sets(struct forest *f) {
    size_t at = 0;
    f->set = fzi_arena_array(f->arena, f->n, sizeof *f->set);
    if (!f->set) return no_memory();
    for (size_t i = 0; i < f->n; i++) {
        if (f->mode[i] != MODE_MEMBER) continue;
        f->set[i] = at;
        while (at < f->n_members && f->member[at] == f->member[at]) at++;
        if (at == f->n_members)
            return fzi_error(FZ_E_FORMAT, "node %zu has no set of values", i);
        at++;
    }
    return FZ_OK;
}

static fz_status_t make_room(struct forest *f) {
    f->capacity = 2 * f->n + f->n_members + f->n_roots;
    if (f->n_roots > INT32_MAX / 8 || f->capacity > INT32_MAX / FZ_TREE_WORDS)
        return fzi_error(FZ_E_LIMIT, "%zu tree nodes", f->capacity);
    f->met = fzi_arena_alloc(f->arena, f->n);
    f->stack = fzi_arena_array(f->arena, f->n + 2, sizeof *f->stack);
    f->words = fzi_arena_array(f->arena, f->capacity, FZ_TREE_WORDS * sizeof *f->words);
    f->thresholds = fzi_arena_array(f->arena, f->capacity, sizeof *f->thresholds);
    return f->met && f->stack && f->words && f->thresholds ? FZ_OK : no_memory();
}

static int32_t *emit(struct forest *f, uint32_t head, double threshold) {
    int32_t *words = f->words + FZ_TREE_WORDS * f->used;
    float narrow = (float)threshold;
    words[0] = (int32_t)head;
    memcpy(&words[1], &narrow, 4);
    f->thresholds[f->used++] = threshold;
    return words;
}

/* Emits node I: one comparison, or one for each value of its set, of which each but the last goes
 * on to the next. An empty set is a comparison with NaN. *N says how many they are. */
static fz_status_t emit_node(struct forest *f, int64_t i, int64_t *n) {
    bool set = f->mode[i] == MODE_MEMBER;
    if (f->met[i]++) return fzi_error(FZ_E_FORMAT, "node %lld has two parents", (long long)i);
    if (f->feature[i] < 0 || f->feature[i] >= INT32_MAX >> FZ_TREE_FEATURE_SHIFT)
        return fzi_error(FZ_E_FORMAT, "a node reads feature %lld", (long long)f->feature[i]);
    uint32_t head = (uint32_t)f->feature[i] << FZ_TREE_FEATURE_SHIFT;
    head |= (uint32_t)(set ? FZ_TREE_EQ : f->mode[i]);
    if (f->missing && f->missing[i]) head |= FZ_TREE_MISSING;
    const double *value = set ? f->member + f->set[i] : &f->split[i];
    *n = 0;
    for (bool more = true; more; value++) {
        int64_t next = f->used + 1;
        emit(f, head, *value)[3] = (int32_t)next;
        ++*n;
        more = set && value[0] == value[0] && value[1] == value[1];
    }
    return FZ_OK;
}

static void push(struct forest *f, int64_t index, int64_t leaf, int64_t first, int64_t count,
                 int32_t field) {
    f->stack[f->depth++] = (struct open){index, first, count, field, leaf != 0};
}

static fz_status_t place(struct forest *f, struct open o) {
    for (int64_t j = o.first; j < o.first + o.count; j++)
        f->words[FZ_TREE_WORDS * j + o.field] = (int32_t)f->used;
    if (o.index < 0 || (size_t)o.index >= (o.leaf ? f->n_leaves : f->n))
        return fzi_error(FZ_E_FORMAT, "there is no %s %lld", o.leaf ? "leaf" : "node",
                         (long long)o.index);
    if (o.leaf) {
        int32_t *words = emit(f, FZ_TREE_LEAF, 0);
        words[2] = (int32_t)o.index;
        words[3] = 1;
        return FZ_OK;
    }
    int64_t first = f->used, n = 0;
    FZ_TRY(emit_node(f, o.index, &n));
    push(f, f->no[o.index], f->no_leaf[o.index], first + n - 1, 1, 3);
    push(f, f->yes[o.index], f->yes_leaf[o.index], first, n, 2);
    return FZ_OK;
}

static fz_status_t place_all(struct forest *f, bool twice, struct fz_tree_table *table) {
    int32_t *roots = fzi_arena_array(f->arena, f->n_roots, sizeof *roots);
    if (!roots) return no_memory();
    for (size_t t = 0; t < f->n_roots; t++) {
        roots[t] = (int32_t)f->used;
        push(f, f->roots[t], 0, 0, 0, 2);
        while (f->depth) {
            struct open o = f->stack[--f->depth];
            FZ_TRY(place(f, o));
        }
    }
    table->n_nodes = f->used;
    table->n_roots = (int64_t)f->n_roots;
    table->words = f->words;
    table->roots = roots;
    table->thresholds = twice ? f->thresholds : NULL;
    return FZ_OK;
}

/* Leaves keep their numbers: leaf i has weight i. */
static fz_status_t read_leaves(struct fz_node *node, struct forest *f, int64_t n_targets,
                               struct fz_tree_table *table) {
    const int64_t *ids = NULL;
    double *weights;
    int32_t dtype = FZ_TYPE_F32;
    FZ_TRY(numbers(f->arena, node, "leaf_weights", &weights, &f->n_leaves, &dtype));
    FZ_TRY(list(node, "leaf_targetids", f->n_leaves, true, &ids));
    int32_t *targets = fzi_arena_array(f->arena, f->n_leaves, sizeof *targets);
    float *narrow = fzi_arena_array(f->arena, f->n_leaves, sizeof *narrow);
    if (!targets || !narrow) return no_memory();
    for (size_t i = 0; i < f->n_leaves; i++) {
        if (ids[i] < 0 || ids[i] >= n_targets)
            return fzi_error(FZ_E_FORMAT, "a leaf is for target %lld of %lld", (long long)ids[i],
                             (long long)n_targets);
        targets[i] = (int32_t)ids[i];
        narrow[i] = (float)weights[i];
    }
    table->n_weights = (int64_t)f->n_leaves;
    table->targets = targets;
    table->dtype = dtype == FZ_TYPE_F64 ? FZ_TYPE_F64 : FZ_TYPE_F32;
    table->weights = dtype == FZ_TYPE_F64 ? (const void *)weights : (const void *)narrow;
    return FZ_OK;
}

fz_status_t fzi_tree_lower_nodes(struct fz_lower *lower, struct fz_node *node, int64_t n_targets,
                                 struct fz_tree_form *form) {
    struct forest f = {.arena = lower->graph->arena};
    struct fz_tree_table table = {0};
    bool twice = false;
    FZ_TRY(read_forest(node, &f, &twice));
    FZ_TRY(find_sets(&f));
    FZ_TRY(read_leaves(node, &f, n_targets, &table));
    FZ_TRY(make_room(&f));
    FZ_TRY(place_all(&f, twice, &table));
    FZ_TRY(fzi_lower_constant(lower, node, FZ_TREE_BASE, FZ_TYPE_F32, 0, NULL));
    return fzi_tree_append(lower, node, &table, form);
}
