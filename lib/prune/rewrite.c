/* Constants are cut, and so are the numbers that say how large something is: attributes, lists and
 * the arithmetic on shapes that exporters write. */
#include "prune/rewrite.h"

static fz_status_t no_memory(void) {
    return fzi_error(FZ_E_NOMEM, "no memory for a smaller graph");
}

/* The dimensions of V in DEPEND, or NULL if no rule has met it. */
static struct fz_dim **axes_of(const struct fz_depend *d, const struct fz_value *v) {
    return v && v->id && v->id <= d->trace->n_values ? d->axes[v->id - 1] : NULL;
}

static int64_t kept(const struct fz_depend *d, const struct fz_value *v, int32_t i) {
    struct fz_dim **axes = axes_of(d, v);
    return axes ? fzi_dim_kept(axes[i]) : fzi_depend_value(d, d->trace->ids[v->id - 1])->dims[i];
}

/* V before anything was cut: the value of the same number in the graph that was analysed. */
static const struct fz_value *original(const struct fz_depend *d, const struct fz_value *v) {
    return d->trace->ids[v->id - 1];
}

static const fz_tensor_t *old_value(const struct fz_depend *d, const struct fz_value *v) {
    return fzi_depend_value(d, original(d, v));
}

/* ---- constants */

/* Takes what GONE marks out of dimension I of T. */
static fz_status_t cut(struct fz_arena *arena, fz_tensor_t *t, int32_t i, const uint8_t *gone) {
    int64_t outer = 1, inner = 1;
    fz_tensor_t small = *t;
    for (int32_t j = 0; j < i; j++) outer *= t->dims[j];
    for (int32_t j = i + 1; j < t->rank; j++) inner *= t->dims[j];
    small.dims[i] = 0;
    for (int64_t j = 0; j < t->dims[i]; j++) small.dims[i] += !gone[j];
    FZ_TRY(fzi_tensor_alloc(arena, &small));
    size_t row = (size_t)inner * fzi_type_width(t->dtype);
    const char *from = t->data;
    char *to = small.data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < t->dims[i]; j++, from += row) {
            if (gone[j]) continue;
            memcpy(to, from, row);
            to += row;
        }
    *t = small;
    return FZ_OK;
}

static fz_status_t cut_constant(const struct fz_depend *d, struct fz_graph *graph,
                                struct fz_value *v) {
    struct fz_dim **axes = axes_of(d, v);
    for (int32_t i = 0; axes && i < v->t.rank; i++) {
        if (fzi_dim_kept(axes[i]) == v->t.dims[i]) continue;
        uint8_t *gone = fzi_arena_alloc(graph->arena, (size_t)v->t.dims[i]);
        if (!gone) return no_memory();
        fzi_dim_gone(axes[i], gone);
        FZ_TRY(cut(graph->arena, &v->t, i, gone));
    }
    return FZ_OK;
}

/* Every constant once: a note marks what was cut. */
static fz_status_t cut_constants(const struct fz_depend *d, struct fz_graph *graph) {
    static char done;
    for (struct fz_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_in; i++) {
            struct fz_value *v = node->in[i];
            if (!fzi_is_constant(v) || v->note == &done) continue;
            v->note = &done;
            FZ_TRY(cut_constant(d, graph, v));
        }
    return FZ_OK;
}

/* ---- attributes and lists */

/* Replaces NODE's attribute of that name, or adds it. */
static fz_status_t set_attr(struct fz_graph *graph, struct fz_node *node, struct fz_attr attr) {
    struct fz_attr *list =
        fzi_arena_array(graph->arena, node->n_attrs + 1, sizeof *list);
    if (!list) return no_memory();
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, attr.name) != 0) list[n++] = node->attrs[i];
    list[n++] = attr;
    node->attrs = list;
    node->n_attrs = n;
    return FZ_OK;
}

static void remove_attr(struct fz_node *node, const char *name) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) != 0) node->attrs[n++] = node->attrs[i];
    node->n_attrs = n;
}

static fz_status_t set_ints(struct fz_graph *graph, struct fz_node *node, const char *name,
                            const int64_t *list, uint32_t n) {
    int64_t *copy = fzi_arena_copy(graph->arena, list, n * sizeof *list);
    if (!copy) return no_memory();
    return set_attr(graph, node, (struct fz_attr){.name = name, .kind = FZ_ATTR_INTS, .n = n,
                                                  .ints = copy});
}

/* Input I of NODE becomes a list of N numbers, under a name that no value of the graph has: the
 * node's output and what the list is. */
static fz_status_t set_list(struct fz_graph *graph, struct fz_node *node, uint32_t i,
                            const char *what, const int64_t *list, uint32_t n) {
    int64_t size = n;
    const char *name = fzi_arena_format(graph->arena, "%s.pruned_%s", node->out[0]->name, what);
    struct fz_value *v =
        name ? fzi_graph_new_constant(graph, name, FZ_TYPE_I64, 1, &size) : NULL;
    if (!v) return no_memory();
    if (n) memcpy(v->t.data, list, n * sizeof *list);
    if (i >= node->n_in) {
        struct fz_value **in = fzi_arena_array(graph->arena, i + 1, sizeof *in);
        if (!in) return no_memory();
        for (uint32_t j = 0; j < node->n_in; j++) in[j] = node->in[j];
        node->in = in;
        node->n_in = i + 1;
    }
    node->in[i] = v;
    return FZ_OK;
}

static bool is(const struct fz_node *node, const char *type) {
    return !*node->domain && strcmp(node->type, type) == 0;
}

/* True if V is smaller now in any dimension. */
static bool shrinks(const struct fz_depend *d, const struct fz_value *v) {
    const fz_tensor_t *old = old_value(d, v);
    for (int32_t i = 0; i < old->rank; i++)
        if (kept(d, v, i) != old->dims[i]) return true;
    return false;
}

/* Channels of all groups over those of one. */
static fz_status_t fix_group(const struct fz_depend *d, struct fz_graph *graph,
                             struct fz_node *node) {
    bool transposed = is(node, "ConvTranspose");
    if (fzi_depend_int(node, "group", 1) == 1) return FZ_OK;
    int64_t all = kept(d, transposed ? node->out[0] : node->in[0], 1);
    int64_t one = kept(d, node->in[1], 1);
    return set_attr(graph, node, (struct fz_attr){.name = "group", .kind = FZ_ATTR_INT,
                                                  .i = all / one});
}

static fz_status_t fix_split(const struct fz_depend *d, struct fz_graph *graph,
                             struct fz_node *node) {
    int32_t axis;
    int64_t sizes[256];
    if (!shrinks(d, node->in[0]) || node->n_out > FZ_COUNT(sizes) ||
        !fzi_axis(fzi_depend_int(node, "axis", 0), old_value(d, node->in[0])->rank, &axis))
        return FZ_OK;
    for (uint32_t i = 0; i < node->n_out; i++) sizes[i] = kept(d, node->out[i], axis);
    if (node->opset < 13) return set_ints(graph, node, "split", sizes, node->n_out);
    remove_attr(node, "num_outputs");
    return set_list(graph, node, 1, "sizes", sizes, node->n_out);
}

/* Every dimension that a Slice shortens gets new bounds, counted in what stays. */
static fz_status_t fix_slice(const struct fz_depend *d, struct fz_graph *graph,
                             struct fz_node *node) {
    int64_t first[FZ_RANK_MAX], starts[FZ_RANK_MAX], ends[FZ_RANK_MAX], axes[FZ_RANK_MAX];
    const struct fz_node *old = original(d, node->out[0])->producer;
    const fz_tensor_t *x = old_value(d, node->in[0]), *y = old_value(d, node->out[0]);
    struct fz_dim **dims = axes_of(d, node->in[0]);
    uint32_t n = 0;
    if (!shrinks(d, node->in[0]) || !dims || !fzi_slice_bounds(d, old, first)) return FZ_OK;
    for (int32_t i = 0; i < x->rank; i++) {
        if (first[i] == 0 && x->dims[i] == y->dims[i]) continue;
        uint8_t *gone = fzi_arena_alloc(graph->arena, (size_t)x->dims[i]);
        if (!gone) return no_memory();
        fzi_dim_gone(dims[i], gone);
        starts[n] = first[i];
        for (int64_t j = 0; j < first[i]; j++) starts[n] -= gone[j];
        ends[n] = starts[n] + kept(d, node->out[0], i);
        axes[n++] = i;
    }
    if (!n) return FZ_OK;
    if (node->opset < 10) {
        FZ_TRY(set_ints(graph, node, "starts", starts, n));
        FZ_TRY(set_ints(graph, node, "ends", ends, n));
        return set_ints(graph, node, "axes", axes, n);
    }
    FZ_TRY(set_list(graph, node, 1, "starts", starts, n));
    FZ_TRY(set_list(graph, node, 2, "ends", ends, n));
    FZ_TRY(set_list(graph, node, 3, "axes", axes, n));
    node->n_in = 4;
    return FZ_OK;
}

/* ---- targets of Reshape */

/* A target that is written down: numbers that are sizes get the new ones. */
static fz_status_t fix_known_target(const struct fz_depend *d, struct fz_graph *graph,
                                    struct fz_node *node) {
    const fz_tensor_t *y = old_value(d, node->out[0]), *target = &node->in[1]->t;
    int64_t sizes[FZ_RANK_MAX];
    for (int32_t i = 0; i < y->rank; i++) {
        sizes[i] = fzi_tensor_int(target, i);
        if (sizes[i] > 0) sizes[i] = kept(d, node->out[0], i);
    }
    return set_list(graph, node, 1, "shape", sizes, (uint32_t)y->rank);
}

/* True if dimension I of the output is a symbolic one that the input has at the same place. */
static bool copies(const struct fz_depend *d, const struct fz_node *node, int32_t i) {
    const fz_tensor_t *x = old_value(d, node->in[0]), *y = old_value(d, node->out[0]);
    if (i >= x->rank || x->dims[i] != y->dims[i] ||
        kept(d, node->in[0], i) != kept(d, node->out[0], i))
        return false;
    return d->other[node->in[0]->id - 1].dims[i] == d->other[node->out[0]->id - 1].dims[i];
}

/* A target that the model computes: sizes that never change are written down, one that does is left
 * to be inferred (-1), further ones are copied from the input (0). */
static fz_status_t fix_computed_target(const struct fz_depend *d, struct fz_graph *graph,
                                       struct fz_node *node) {
    const struct fz_value *y = original(d, node->out[0]);
    int64_t sizes[FZ_RANK_MAX];
    int32_t rank = fzi_depend_value(d, y)->rank, free = -1;
    for (int32_t i = 0; i < rank; i++) {
        sizes[i] = kept(d, node->out[0], i);
        if (!fzi_depend_moves(d, y, i)) continue;
        if (copies(d, node, i)) {
            sizes[i] = 0;
            continue;
        }
        if (free >= 0)
            return fzi_error(FZ_E_UNSUPPORTED,
                             "node '%s' (Reshape): two symbolic dimensions meet in its target: "
                             "bind one with --dim, or exclude the products around it", node->name);
        free = i;
        sizes[i] = -1;
    }
    remove_attr(node, "allowzero");
    return set_list(graph, node, 1, "shape", sizes, (uint32_t)rank);
}

static fz_status_t fix_reshape(const struct fz_depend *d, struct fz_graph *graph,
                               struct fz_node *node) {
    if (!shrinks(d, node->out[0]) || !fzi_in(node, 1)) return FZ_OK;
    return fzi_is_constant(node->in[1]) ? fix_known_target(d, graph, node)
                                        : fix_computed_target(d, graph, node);
}

static fz_status_t fix_node(const struct fz_depend *d, struct fz_graph *graph,
                            struct fz_node *node) {
    if (is(node, "Conv") || is(node, "ConvTranspose")) return fix_group(d, graph, node);
    if (is(node, "Split")) return fix_split(d, graph, node);
    if (is(node, "Slice")) return fix_slice(d, graph, node);
    if (is(node, "Reshape")) return fix_reshape(d, graph, node);
    return FZ_OK;
}

fz_status_t fzi_rewrite(const struct fz_depend *d, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        fz_status_t status = fix_node(d, graph, node);
        if (status != FZ_OK) return status;
    }
    return cut_constants(d, graph);
}

/* ---- after it */

fz_status_t fzi_rewrite_check(const struct fz_depend *d, const struct fz_trace *trace) {
    for (uint32_t id = 1; id <= trace->n_values; id++) {
        const struct fz_value *v = trace->ids[id - 1];
        const fz_tensor_t *now = fzi_trace_value(trace, v), *old = old_value(d, v);
        bool integer = fzi_type_is_integer(old->dtype);
        if (!now->dtype || integer) continue;
        bool same = now->rank == old->rank;
        for (int32_t i = 0; same && i < old->rank; i++) same = now->dims[i] == kept(d, v, i);
        if (!same)
            return fzi_error(FZ_E_INTERNAL, "after pruning '%s' has a shape that does not fit",
                             v->name);
    }
    return FZ_OK;
}

static bool is_unread(const struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->n_uses) return false;
    return true;
}

void fzi_rewrite_clean(struct fz_graph *graph) {
    fzi_graph_count_uses(graph);
    for (struct fz_node *node = graph->last, *prev; node; node = prev) {
        prev = node->prev;
        if (!is_unread(node)) continue;
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->n_uses--;
        fzi_graph_remove(graph, node);
    }
}
