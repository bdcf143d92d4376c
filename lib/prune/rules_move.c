/* The rules of operators that move elements: dimensions are split, joined, cut and put in another
 * order, and shapes are read as numbers. */
#include "prune/depend.h"

/* Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order. */
bool fzi_rule_reshape(struct fz_depend *d, const struct fz_node *node) {
    const fz_tensor_t *x = fzi_depend_value(d, node->in[0]);
    const fz_tensor_t *y = fzi_depend_value(d, node->out[0]);
    struct fz_dim *out[FZ_RANK_MAX];
    struct fz_dims in = {0};
    for (int32_t i = 0; i < x->rank; i++) {
        struct fz_dim *axis = fzi_depend_axis(d, node->in[0], i);
        if (!axis || !fzi_dims_add(d->arena, &in, axis)) return false;
    }
    /* A target that is an attribute (opset 1) is not rewritten. */
    if (fzi_attr(node, "shape")) return fzi_depend_fix_node(d, node);
    if (!fzi_dim_reshape(d->arena, &in, y->dims, (uint32_t)y->rank, out)) return false;
    for (int32_t i = 0; i < y->rank; i++)
        if (!fzi_depend_give(d, node->out[0], i, out[i])) return false;
    return true;
}

bool fzi_rule_transpose(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_attr *perm = fzi_attr(node, "perm");
    int32_t rank = fzi_depend_value(d, node->in[0])->rank;
    for (int32_t i = 0; i < rank; i++) {
        int32_t from = perm ? (int32_t)perm->ints[i] : rank - 1 - i;
        if (!fzi_depend_unify(d, node->in[0], from, node->out[0], i)) return false;
    }
    return true;
}

bool fzi_rule_concat(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *y = node->out[0];
    struct fz_dims parts = {0};
    int32_t axis;
    if (!fzi_axis(fzi_depend_int(node, "axis", 1), fzi_depend_value(d, y)->rank, &axis))
        return fzi_depend_fix_node(d, node);
    for (uint32_t i = 0; i < node->n_in; i++) {
        struct fz_dim *part = fzi_depend_axis(d, node->in[i], axis);
        if (!part || !fzi_depend_same(d, node->in[i], y, 1u << axis)) return false;
        if (part->size && !fzi_dims_add(d->arena, &parts, part)) return false;
    }
    if (!parts.n) return fzi_depend_fix(d, y, axis);
    return fzi_depend_give(d, y, axis, fzi_dim_of(d->arena, FZ_DIM_CONCAT, parts.items, parts.n));
}

bool fzi_rule_split(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0];
    int32_t axis;
    int64_t at = 0;
    if (!fzi_axis(fzi_depend_int(node, "axis", 0), fzi_depend_value(d, x)->rank, &axis))
        return fzi_depend_fix_node(d, node);
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!node->out[i]) return fzi_depend_fix_node(d, node);
        int64_t size = fzi_depend_value(d, node->out[i])->dims[axis];
        struct fz_dim *whole = fzi_depend_axis(d, x, axis);
        struct fz_dim *part = whole ? fzi_dim_cut(d->arena, whole, at, size) : NULL;
        if (!fzi_depend_give(d, node->out[i], axis, part) ||
            !fzi_depend_same(d, x, node->out[i], 1u << axis))
            return false;
        at += size;
    }
    return true;
}

/* ---- slice */

/* Element I of an attribute or of an input, whichever there is. */
static int64_t listed(const struct fz_depend *d, const struct fz_node *node, uint32_t in,
                      const char *name, int64_t i) {
    const struct fz_attr *attr = fzi_attr(node, name);
    if (attr) return attr->ints[i];
    return fzi_tensor_int(fzi_depend_value(d, node->in[in]), i);
}

bool fzi_slice_bounds(const struct fz_depend *d, const struct fz_node *node,
                      int64_t first[FZ_RANK_MAX]) {
    const fz_tensor_t *x = fzi_depend_value(d, node->in[0]);
    const struct fz_attr *starts = fzi_attr(node, "starts");
    int64_t n = starts ? (int64_t)starts->n : fzi_tensor_count(fzi_depend_value(d, node->in[1]));
    bool has_axes = fzi_attr(node, "axes") || fzi_in(node, 3);
    memset(first, 0, FZ_RANK_MAX * sizeof *first);
    for (int64_t i = 0; i < n; i++) {
        int32_t axis;
        if (!fzi_axis(has_axes ? listed(d, node, 3, "axes", i) : i, x->rank, &axis)) return false;
        if (fzi_in(node, 4) && fzi_tensor_int(fzi_depend_value(d, node->in[4]), i) != 1)
            return false;
        int64_t start = listed(d, node, 1, "starts", i), size = x->dims[axis];
        if (start < 0) start += size;
        first[axis] = start < 0 ? 0 : start > size ? size : start;
    }
    return true;
}

/* Bounds along a dimension that may shrink become constants, so nothing else may move there. */
bool fzi_rule_slice(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *y = node->out[0];
    const fz_tensor_t *tx = fzi_depend_value(d, x), *ty = fzi_depend_value(d, y);
    int64_t first[FZ_RANK_MAX];
    if (!fzi_slice_bounds(d, node, first)) return fzi_depend_fix_node(d, node);
    bool varies = fzi_depend_varies(d, fzi_in(node, 1)) || fzi_depend_varies(d, fzi_in(node, 2));
    for (int32_t i = 0; i < tx->rank; i++) {
        bool whole = first[i] == 0 && tx->dims[i] == ty->dims[i];
        struct fz_dim *axis = fzi_depend_axis(d, x, i);
        if (!axis) return false;
        if (varies && !whole) fzi_dim_fix(axis);
        if (!fzi_depend_give(d, y, i, fzi_dim_cut(d->arena, axis, first[i], ty->dims[i])))
            return false;
    }
    return true;
}

/* ---- gather */

/* What is chosen by a number keeps its place; the other dimensions pass. */
bool fzi_rule_gather(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *index = node->in[1], *y = node->out[0];
    int32_t rank = fzi_depend_value(d, x)->rank, n = fzi_depend_value(d, index)->rank, axis;
    if (!fzi_axis(fzi_depend_int(node, "axis", 0), rank, &axis))
        return fzi_depend_fix_node(d, node);
    if (!fzi_depend_fix(d, x, axis) || !fzi_depend_fix_all(d, index)) return false;
    for (int32_t i = 0; i < rank - 1 + n; i++) {
        bool before = i < axis, inside = !before && i < axis + n;
        if (!(inside ? fzi_depend_fix(d, y, i)
                     : fzi_depend_unify(d, x, before ? i : i - n + 1, y, i)))
            return false;
    }
    return true;
}

/* ---- shapes as numbers */

/* Arithmetic on shapes; its results are computed anew, or replaced by constants at the Reshape or
 * Slice that reads them. */
static bool is_shape_arithmetic(const struct fz_node *node) {
    static const char *const names[] = {"Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Mul",
                                        "Div", "Add", "Sub", "Cast", "Identity", "Reshape"};
    for (size_t i = 0; i < FZ_COUNT(names); i++)
        if (!*node->domain && strcmp(node->type, names[i]) == 0) return true;
    return false;
}

static bool is_integer(const struct fz_depend *d, const struct fz_value *v) {
    return fzi_type_is_integer(fzi_depend_value(d, v)->dtype);
}

/* True if something other than shapes of Reshape and bounds of Slice depends on V. The graph is in
 * order, so one walk behind V's producer finds all. */
static bool escapes(const struct fz_depend *d, const struct fz_value *v) {
    const struct fz_graph *graph = d->trace->graph;
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == v) return true;
    for (const struct fz_node *node = v->producer->next; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++) {
            if (node->in[i] != v) continue;
            bool shape = !*node->domain && i == 1 && strcmp(node->type, "Reshape") == 0;
            bool bounds = !*node->domain && (i == 1 || i == 2) && strcmp(node->type, "Slice") == 0;
            if (shape || bounds) continue;
            if (!is_shape_arithmetic(node) || !node->out[0] || !is_integer(d, node->out[0]) ||
                escapes(d, node->out[0]))
                return true;
        }
    }
    return false;
}

/* Fixes what R, a reader of the shape of X, takes from it, if that escapes. */
static bool fix_read(struct fz_depend *d, const struct fz_value *x, const struct fz_node *r,
                     const struct fz_value *shape) {
    bool stays = !r->out[0] || (is_shape_arithmetic(r) && is_integer(d, r->out[0]) &&
                                !escapes(d, r->out[0]));
    if (stays) return true;
    const fz_tensor_t *index = r->n_in > 1 && r->in[1] ? fzi_depend_value(d, r->in[1]) : NULL;
    int32_t axis, rank = fzi_depend_value(d, x)->rank;
    bool gathers = strcmp(r->type, "Gather") == 0 && r->in[0] == shape && index;
    if (!gathers) {
        /* A Reshape reads it as a target, which is rewritten. */
        if (strcmp(r->type, "Reshape") == 0 && r->in[0] != shape) return true;
        return fzi_depend_fix_all(d, x);
    }
    for (int64_t i = 0; i < fzi_tensor_count(index); i++)
        if (fzi_axis(fzi_tensor_int(index, i), rank, &axis) && !fzi_depend_fix(d, x, axis))
            return false;
    return true;
}

bool fzi_rule_shape(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *y = node->out[0];
    if (!fzi_depend_fix_all(d, y)) return false;
    bool plain = strcmp(node->type, "Shape") == 0 && !node->n_attrs;
    for (uint32_t i = 0; i < d->trace->graph->n_outputs; i++)
        plain = plain && d->trace->graph->outputs[i] != y;
    if (!plain) return fzi_depend_fix_all(d, x);
    for (const struct fz_node *r = node->next; r; r = r->next)
        for (uint32_t i = 0; i < r->n_in; i++)
            if (r->in[i] == y && !fix_read(d, x, r, y)) return false;
    return true;
}
