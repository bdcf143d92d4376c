/* Makes the tables of a tree ensemble. */
#include "ops/tree_tables.h"

#include "ops/order.h"

/* Numbers of an attribute: a list of binary32 or a tensor of binary32 or binary64. */
struct reals {
    size_t n;
    const float *floats;
    const double *doubles; /* not NULL: these */
};

/* ONNX's lists, and what is found out about node i. */
struct source {
    size_t n;
    const int64_t *tree, *id, *feature, *yes, *no, *missing;
    const struct fz_string *mode;
    struct reals value;
    int64_t *order, *temp;          /* nodes sorted by (tree, id) */
    int64_t *yes_at, *no_at;        /* children; -1 for a leaf */
    uint8_t *modes, *has_parent;
    int64_t *place;                 /* in the table that is made */
    int64_t *first, *count;         /* a leaf's weights */
};

static fz_status_t read_reals(const struct fz_node *node, const char *name, const char *tensor,
                              struct reals *out) {
    const struct fz_attr *attr = fzi_attr(node, tensor);
    *out = (struct reals){0};
    if (!attr) return fzi_attr_floats(node, name, &out->floats, &out->n);
    if (attr->kind != FZ_ATTR_TENSOR || (attr->tensors->dtype != FZ_TYPE_F32 &&
                                         attr->tensors->dtype != FZ_TYPE_F64))
        return fzi_error(FZ_E_TYPE, "attribute '%s' is no tensor of float or double", tensor);
    out->n = (size_t)fzi_tensor_count(attr->tensors);
    if (attr->tensors->dtype == FZ_TYPE_F32) out->floats = attr->tensors->data;
    else out->doubles = attr->tensors->data;
    return FZ_OK;
}

/* A list of as many integers as there are nodes (or N weights). */
static fz_status_t read_ints(const struct fz_node *node, const char *name, size_t want,
                             const int64_t **out) {
    size_t n = 0;
    *out = NULL;
    FZ_TRY(fzi_attr_ints(node, name, out, &n));
    if (n == want) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "attribute '%s' has %zu values, not %zu", name, n, want);
}

static fz_status_t read_mode(const struct fz_string *text, uint8_t *out) {
    static const char *const names[] = {
        [FZ_TREE_LEQ] = "BRANCH_LEQ", [FZ_TREE_LT] = "BRANCH_LT", [FZ_TREE_GTE] = "BRANCH_GTE",
        [FZ_TREE_GT] = "BRANCH_GT", [FZ_TREE_EQ] = "BRANCH_EQ", [FZ_TREE_NEQ] = "BRANCH_NEQ",
        [FZ_TREE_LEAF] = "LEAF"};
    for (uint8_t i = 0; i < FZ_COUNT(names); i++)
        if (text->size == strlen(names[i]) && memcmp(text->text, names[i], text->size) == 0) {
            *out = i;
            return FZ_OK;
        }
    return fzi_error(FZ_E_UNSUPPORTED, "unknown node mode '%.*s'", (int)text->size, text->text);
}

static fz_status_t read_source(const struct fz_node *node, struct source *s) {
    const struct fz_attr *modes = fzi_attr(node, "nodes_modes");
    if (!modes || modes->kind != FZ_ATTR_STRINGS || modes->n == 0 || modes->n > INT32_MAX / 4)
        return fzi_error(FZ_E_FORMAT, "attribute 'nodes_modes' is no list of modes");
    s->n = modes->n;
    s->mode = modes->strings;
    FZ_TRY(read_ints(node, "nodes_treeids", s->n, &s->tree));
    FZ_TRY(read_ints(node, "nodes_nodeids", s->n, &s->id));
    FZ_TRY(read_ints(node, "nodes_featureids", s->n, &s->feature));
    FZ_TRY(read_ints(node, "nodes_truenodeids", s->n, &s->yes));
    FZ_TRY(read_ints(node, "nodes_falsenodeids", s->n, &s->no));
    const struct fz_attr *missing = fzi_attr(node, "nodes_missing_value_tracks_true");
    if (missing && missing->n)
        FZ_TRY(read_ints(node, "nodes_missing_value_tracks_true", s->n, &s->missing));
    FZ_TRY(read_reals(node, "nodes_values", "nodes_values_as_tensor", &s->value));
    if (s->value.n == s->n) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "attribute 'nodes_values' has %zu values, not %zu", s->value.n,
                     s->n);
}

static fz_status_t make_room(struct fz_arena *arena, struct source *s) {
    int64_t **lists[] = {&s->order, &s->temp, &s->yes_at, &s->no_at, &s->place, &s->first,
                         &s->count};
    for (size_t i = 0; i < FZ_COUNT(lists); i++) {
        *lists[i] = fzi_arena_array(arena, s->n, sizeof **lists[i]);
        if (!*lists[i]) return fzi_error(FZ_E_NOMEM, "no memory for %zu tree nodes", s->n);
    }
    s->modes = fzi_arena_alloc(arena, s->n);
    s->has_parent = fzi_arena_alloc(arena, s->n);
    return s->modes && s->has_parent ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for tree nodes");
}

static int compare_ids(int64_t tree, int64_t id, int64_t tree_b, int64_t id_b) {
    if (tree != tree_b) return tree < tree_b ? -1 : 1;
    return (id > id_b) - (id < id_b);
}

static int compare_nodes(const void *arg, int64_t a, int64_t b) {
    const struct source *s = arg;
    return compare_ids(s->tree[a], s->id[a], s->tree[b], s->id[b]);
}

/* The node of TREE and ID, or -1. */
static int64_t find(const struct source *s, int64_t tree, int64_t id) {
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t at = s->order[middle];
        int order = compare_ids(s->tree[at], s->id[at], tree, id);
        if (order == 0) return at;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return -1;
}

static fz_status_t sort_nodes(struct source *s) {
    for (size_t i = 0; i < s->n; i++) s->order[i] = (int64_t)i;
    fzi_order_sort(s->order, s->temp, (int64_t)s->n, compare_nodes, s);
    for (size_t i = 1; i < s->n; i++)
        if (compare_nodes(s, s->order[i - 1], s->order[i]) == 0)
            return fzi_error(FZ_E_FORMAT, "tree %lld has two nodes %lld",
                             (long long)s->tree[s->order[i]], (long long)s->id[s->order[i]]);
    return FZ_OK;
}

static fz_status_t adopt(struct source *s, size_t parent, int64_t id, int64_t *child) {
    *child = find(s, s->tree[parent], id);
    if (*child < 0)
        return fzi_error(FZ_E_FORMAT, "tree %lld has no node %lld", (long long)s->tree[parent],
                         (long long)id);
    if (s->has_parent[*child]++)
        return fzi_error(FZ_E_FORMAT, "node %lld of tree %lld has two parents", (long long)id,
                         (long long)s->tree[parent]);
    return FZ_OK;
}

static fz_status_t link_nodes(struct source *s) {
    for (size_t i = 0; i < s->n; i++) {
        FZ_TRY(read_mode(&s->mode[i], &s->modes[i]));
        s->yes_at[i] = s->no_at[i] = s->place[i] = -1;
        if (s->modes[i] == FZ_TREE_LEAF) continue;
        if (s->feature[i] < 0 || s->feature[i] >= INT32_MAX >> FZ_TREE_FEATURE_SHIFT)
            return fzi_error(FZ_E_FORMAT, "a node reads feature %lld", (long long)s->feature[i]);
        FZ_TRY(adopt(s, i, s->yes[i], &s->yes_at[i]));
        FZ_TRY(adopt(s, i, s->no[i], &s->no_at[i]));
    }
    return FZ_OK;
}

/* Gives the nodes below ROOT places in preorder. Each has one parent at most, so a node is met
 * once; `temp` is the stack. */
static void place_tree(struct source *s, int64_t root, int64_t *next) {
    size_t depth = 0;
    s->temp[depth++] = root;
    while (depth) {
        int64_t at = s->temp[--depth];
        s->place[at] = (*next)++;
        if (s->modes[at] == FZ_TREE_LEAF) continue;
        s->temp[depth++] = s->no_at[at];
        s->temp[depth++] = s->yes_at[at];
    }
}

/* Trees follow each other as they first appear in the lists; each must have one root. */
static fz_status_t place_nodes(struct fz_lower *lower, struct source *s,
                               struct fz_tree_table *table) {
    int32_t *roots = fzi_arena_array(lower->graph->arena, s->n, sizeof *roots);
    int64_t next = 0, n_roots = 0, trees = 1;
    if (!roots) return fzi_error(FZ_E_NOMEM, "no memory for tree roots");
    for (size_t i = 0; i < s->n; i++) {
        if (s->has_parent[i]) continue;
        roots[n_roots++] = (int32_t)next;
        place_tree(s, (int64_t)i, &next);
    }
    for (size_t i = 1; i < s->n; i++) trees += s->tree[s->order[i]] != s->tree[s->order[i - 1]];
    if (next != (int64_t)s->n) return fzi_error(FZ_E_FORMAT, "tree nodes form a circle");
    if (n_roots != trees)
        return fzi_error(FZ_E_FORMAT, "%lld roots for %lld trees", (long long)n_roots,
                         (long long)trees);
    table->roots = roots;
    table->n_roots = n_roots;
    return FZ_OK;
}

/* ---- weights */

struct weights {
    size_t n;
    const int64_t *tree, *id, *target;
    struct reals value;
};

static fz_status_t read_weights(const struct fz_node *node, const struct fz_tree_names *names,
                                struct weights *w) {
    FZ_TRY(read_reals(node, names->weights, names->weights_tensor, &w->value));
    w->n = w->value.n;
    if (w->n > INT32_MAX) return fzi_error(FZ_E_LIMIT, "%zu weights", w->n);
    FZ_TRY(read_ints(node, names->trees, w->n, &w->tree));
    FZ_TRY(read_ints(node, names->nodes, w->n, &w->id));
    return read_ints(node, names->targets, w->n, &w->target);
}

static fz_status_t append_reals(struct fz_lower *lower, struct fz_node *node, uint32_t i,
                                const struct reals *r) {
    bool twice = r->doubles != NULL;
    return fzi_lower_constant(lower, node, i, twice ? FZ_TYPE_F64 : FZ_TYPE_F32, (int64_t)r->n,
                              twice ? (const void *)r->doubles : (const void *)r->floats);
}

/* Gives each leaf its run of weights, which keep their order. Weights of other nodes are ignored:
 * they are never reached. */
static fz_status_t place_weights(const struct source *s, const struct weights *w,
                                 int64_t n_targets, int64_t *leaf) {
    int64_t total = 0;
    for (size_t i = 0; i < w->n; i++) {
        leaf[i] = find(s, w->tree[i], w->id[i]);
        if (leaf[i] < 0)
            return fzi_error(FZ_E_FORMAT, "tree %lld has no node %lld for a weight",
                             (long long)w->tree[i], (long long)w->id[i]);
        if (w->target[i] < 0 || w->target[i] >= n_targets)
            return fzi_error(FZ_E_FORMAT, "a weight is for target %lld of %lld",
                             (long long)w->target[i], (long long)n_targets);
        s->count[leaf[i]]++;
    }
    for (size_t i = 0; i < s->n; i++) {
        s->first[i] = total;
        total += s->count[i];
        s->count[i] = 0;
    }
    return FZ_OK;
}

static fz_status_t sort_weights(struct fz_lower *lower, const struct source *s,
                                const struct weights *w, int64_t n_targets,
                                struct fz_tree_table *table) {
    struct fz_arena *arena = lower->graph->arena;
    int64_t *leaf = fzi_arena_array(arena, w->n, sizeof *leaf);
    int32_t *targets = fzi_arena_array(arena, w->n, sizeof *targets);
    float *floats = fzi_arena_array(arena, w->n, sizeof *floats);
    double *doubles = fzi_arena_array(arena, w->n, sizeof *doubles);
    if (!leaf || !targets || !floats || !doubles)
        return fzi_error(FZ_E_NOMEM, "no memory for %zu weights", w->n);
    FZ_TRY(place_weights(s, w, n_targets, leaf));
    for (size_t i = 0; i < w->n; i++) {
        int64_t to = s->first[leaf[i]] + s->count[leaf[i]]++;
        targets[to] = (int32_t)w->target[i];
        if (w->value.doubles) doubles[to] = w->value.doubles[i];
        else floats[to] = w->value.floats[i];
    }
    table->n_weights = (int64_t)w->n;
    table->targets = targets;
    table->dtype = w->value.doubles ? FZ_TYPE_F64 : FZ_TYPE_F32;
    table->weights = w->value.doubles ? (const void *)doubles : (const void *)floats;
    return FZ_OK;
}

/* ---- nodes */

static void write_node(const struct source *s, size_t i, int32_t *words) {
    float threshold = s->value.doubles ? 0 : s->value.floats[i];
    uint32_t head = (uint32_t)s->modes[i];
    if (s->missing && s->missing[i]) head |= FZ_TREE_MISSING;
    if (s->modes[i] != FZ_TREE_LEAF) head |= (uint32_t)s->feature[i] << FZ_TREE_FEATURE_SHIFT;
    words[0] = (int32_t)head;
    memcpy(&words[1], &threshold, 4);
    bool leaf = s->modes[i] == FZ_TREE_LEAF;
    words[2] = (int32_t)(leaf ? s->first[i] : s->place[s->yes_at[i]]);
    words[3] = (int32_t)(leaf ? s->count[i] : s->place[s->no_at[i]]);
}

static fz_status_t write_nodes(struct fz_lower *lower, const struct source *s,
                               struct fz_tree_table *table) {
    struct fz_arena *arena = lower->graph->arena;
    int32_t *words = fzi_arena_array(arena, s->n, FZ_TREE_WORDS * sizeof *words);
    double *thresholds = fzi_arena_array(arena, s->n, sizeof *thresholds);
    if (!words || !thresholds) return fzi_error(FZ_E_NOMEM, "no memory for tree nodes");
    for (size_t i = 0; i < s->n; i++) {
        write_node(s, i, words + FZ_TREE_WORDS * s->place[i]);
        if (s->value.doubles) thresholds[s->place[i]] = s->value.doubles[i];
    }
    table->n_nodes = (int64_t)s->n;
    table->words = words;
    table->thresholds = s->value.doubles ? thresholds : NULL;
    return FZ_OK;
}

fz_status_t fzi_tree_lower(struct fz_lower *lower, struct fz_node *node,
                           const struct fz_tree_names *names, int64_t n_targets,
                           struct fz_tree_form *form) {
    struct source s = {0};
    struct weights w = {0};
    struct reals base;
    struct fz_tree_table table = {0};
    FZ_TRY(read_source(node, &s));
    FZ_TRY(make_room(lower->graph->arena, &s));
    FZ_TRY(sort_nodes(&s));
    FZ_TRY(link_nodes(&s));
    FZ_TRY(read_weights(node, names, &w));
    FZ_TRY(read_reals(node, "base_values", "base_values_as_tensor", &base));
    FZ_TRY(place_nodes(lower, &s, &table));
    FZ_TRY(sort_weights(lower, &s, &w, n_targets, &table));
    FZ_TRY(append_reals(lower, node, FZ_TREE_BASE, &base));
    FZ_TRY(write_nodes(lower, &s, &table));
    return fzi_tree_append(lower, node, &table, form);
}
