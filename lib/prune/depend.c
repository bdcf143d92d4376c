/* The walk over the nodes, and what rules share. */
#include "prune/depend.h"

const fz_tensor_t *fzi_depend_value(const struct fz_depend *d, const struct fz_value *v) {
    return fzi_trace_value(d->trace, v);
}

/* Every dimension is a new one at first: rules tell which ones are the same. */
static struct fz_dim **axes_of(struct fz_depend *d, const struct fz_value *v) {
    struct fz_dim ***slot = &d->axes[v->id - 1];
    const fz_tensor_t *t = fzi_depend_value(d, v);
    if (*slot) return *slot;
    struct fz_dim **axes = fzi_arena_array(d->arena, FZ_RANK_MAX, sizeof *axes);
    if (!axes) return NULL;
    for (int32_t i = 0; i < t->rank; i++) {
        axes[i] = fzi_dim_new(d->arena, t->dims[i]);
        if (!axes[i]) return NULL;
    }
    return *slot = axes;
}

struct fz_dim *fzi_depend_axis(struct fz_depend *d, const struct fz_value *v, int32_t i) {
    struct fz_dim **axes = axes_of(d, v);
    return axes ? axes[i] : NULL;
}

bool fzi_depend_moves(const struct fz_depend *d, const struct fz_value *v, int32_t i) {
    if (!d->other || fzi_is_constant(v)) return false;
    const fz_tensor_t *a = fzi_depend_value(d, v), *b = &d->other[v->id - 1];
    return a->rank != b->rank || a->dims[i] != b->dims[i];
}

bool fzi_depend_varies(const struct fz_depend *d, const struct fz_value *v) {
    if (!d->other || !v || fzi_is_constant(v)) return false;
    const fz_tensor_t *a = fzi_depend_value(d, v), *b = &d->other[v->id - 1];
    return !fzi_shape_equal(a, b) || !a->data || !b->data || a->size != b->size ||
           memcmp(a->data, b->data, a->size) != 0;
}

bool fzi_depend_give(struct fz_depend *d, const struct fz_value *v, int32_t i,
                     struct fz_dim *dim) {
    struct fz_dim *axis = fzi_depend_axis(d, v, i);
    return axis && dim && fzi_dim_unify(d->arena, dim, axis);
}

bool fzi_depend_unify(struct fz_depend *d, const struct fz_value *a, int32_t i,
                      const struct fz_value *b, int32_t j) {
    return fzi_depend_give(d, b, j, fzi_depend_axis(d, a, i));
}

bool fzi_depend_fix(struct fz_depend *d, const struct fz_value *v, int32_t i) {
    struct fz_dim *axis = fzi_depend_axis(d, v, i);
    if (axis) fzi_dim_fix(axis);
    return axis != NULL;
}

bool fzi_depend_fix_all(struct fz_depend *d, const struct fz_value *v) {
    int32_t rank = v ? fzi_depend_value(d, v)->rank : 0;
    for (int32_t i = 0; i < rank; i++)
        if (!fzi_depend_fix(d, v, i)) return false;
    return true;
}

bool fzi_depend_fix_node(struct fz_depend *d, const struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_in; i++)
        if (!fzi_depend_fix_all(d, node->in[i])) return false;
    for (uint32_t i = 0; i < node->n_out; i++)
        if (!fzi_depend_fix_all(d, node->out[i])) return false;
    return true;
}

bool fzi_depend_same(struct fz_depend *d, const struct fz_value *a, const struct fz_value *b,
                     uint32_t but) {
    int32_t rank = fzi_depend_value(d, a)->rank;
    for (int32_t i = 0; i < rank; i++)
        if (!(but >> i & 1) && !fzi_depend_unify(d, a, i, b, i)) return false;
    return true;
}

int64_t fzi_depend_int(const struct fz_node *node, const char *name, int64_t otherwise) {
    const struct fz_attr *attr = fzi_attr(node, name);
    return attr && attr->kind == FZ_ATTR_INT ? attr->i : otherwise;
}

/* ---- the walk */

static bool is_excluded(const struct fz_depend *d, const struct fz_node *node) {
    for (size_t i = 0; i < d->n_excluded; i++)
        if (strcmp(d->excluded[i], node->name) == 0) return true;
    return false;
}

static fz_status_t check_excluded(const struct fz_depend *d) {
    for (size_t i = 0; i < d->n_excluded; i++) {
        const struct fz_node *node = d->trace->graph->first;
        while (node && strcmp(d->excluded[i], node->name) != 0) node = node->next;
        if (!node)
            return fzi_error(FZ_E_USAGE, "there is no node '%s' to exclude", d->excluded[i]);
    }
    return FZ_OK;
}

/* An excluded node's constants keep their shapes. */
static bool fix_constants(struct fz_depend *d, const struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_in; i++)
        if (fzi_is_constant(node->in[i]) && !fzi_depend_fix_all(d, node->in[i])) return false;
    return true;
}

/* What subgraphs of NODE read from the graph around them keeps its shape. */
static bool fix_captured(struct fz_depend *d, const struct fz_node *node) {
    for (uint32_t s = 0; s < node->n_sub; s++) {
        const struct fz_graph *graph = node->sub[s];
        for (const struct fz_node *inner = graph->first; inner; inner = inner->next) {
            for (uint32_t i = 0; i < inner->n_in; i++) {
                const struct fz_value *v = inner->in[i];
                if (v && v->graph == d->trace->graph && !fzi_depend_fix_all(d, v)) return false;
            }
            if (!fix_captured(d, inner)) return false;
        }
        for (uint32_t i = 0; i < graph->n_outputs; i++)
            if (graph->outputs[i]->graph == d->trace->graph &&
                !fzi_depend_fix_all(d, graph->outputs[i]))
                return false;
    }
    return true;
}

static bool visit(struct fz_depend *d, const struct fz_node *node) {
    if (!fix_captured(d, node)) return false;
    fz_rule_fn rule = fzi_depend_rule(node);
    if (!(rule ? rule(d, node) : fzi_depend_fix_node(d, node))) return false;
    return !is_excluded(d, node) || fix_constants(d, node);
}

/* What the world outside of the graph sees stays as it is. */
static bool fix_ends(struct fz_depend *d) {
    const struct fz_graph *graph = d->trace->graph;
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        if (!fzi_depend_fix_all(d, graph->inputs[i])) return false;
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (!fzi_depend_fix_all(d, graph->outputs[i])) return false;
    return true;
}

fz_status_t fzi_depend_analyse(struct fz_depend *d) {
    FZ_TRY(check_excluded(d));
    d->axes = fzi_arena_array(d->arena, d->trace->n_values, sizeof *d->axes);
    bool ok = d->axes && fix_ends(d);
    for (const struct fz_node *node = d->trace->graph->first; ok && node; node = node->next)
        ok = visit(d, node);
    return ok ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for the dependencies of dimensions");
}
