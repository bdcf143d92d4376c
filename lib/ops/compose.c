/* Makes the nodes that operators are composed of. */
#include "ops/compose.h"

void fzi_compose_fail(struct fz_compose *e, fz_status_t status) {
    if (e->status == FZ_OK) e->status = status;
}

static void no_memory(struct fz_compose *e) {
    if (e->status == FZ_OK) fzi_compose_fail(e, fzi_error(FZ_E_NOMEM, "no memory for a node"));
}

struct fz_node *fzi_compose_node(struct fz_compose *e, const char *domain, const char *type,
                                int32_t opset, struct fz_value *const *in, size_t n_in,
                                uint32_t n_out, const struct fz_attr *attrs, size_t n_attrs) {
    struct fz_graph *graph = e->lower->graph;
    const struct fz_op *op = fzi_op_find(domain, type, opset);
    while (n_in && !in[n_in - 1]) n_in--;
    if (e->status != FZ_OK) return NULL;
    if (!op) {
        fzi_compose_fail(e, fzi_error(FZ_E_INTERNAL, "there is no operator %s", type));
        return NULL;
    }
    struct fz_node *node = fzi_graph_node(graph, e->node, op, e->node->name, (uint32_t)n_in, n_out);
    if (!node) return no_memory(e), NULL;
    node->type = op->name;
    node->domain = op->domain;
    node->opset = opset;
    node->attrs = n_attrs ? fzi_arena_copy(graph->arena, attrs, n_attrs * sizeof *attrs) : NULL;
    node->n_attrs = (uint32_t)n_attrs;
    if (n_attrs && !node->attrs) return no_memory(e), NULL;
    for (size_t i = 0; i < n_in; i++) node->in[i] = in[i];
    for (uint32_t i = 0; i < n_out; i++)
        if (!fzi_node_output(graph, node, i, e->node->name)) return no_memory(e), NULL;
    return node;
}

struct fz_value *fzi_compose(struct fz_compose *e, const char *type, struct fz_value *const *in,
                            size_t n_in, const struct fz_attr *attrs, size_t n_attrs) {
    struct fz_node *node = fzi_compose_node(e, "", type, FZ_COMPOSE_OPSET, in, n_in, 1, attrs,
                                           n_attrs);
    return node ? node->out[0] : NULL;
}

static struct fz_value *constant(struct fz_compose *e, int32_t dtype, int32_t rank, int64_t n,
                                 const void *data) {
    if (e->status != FZ_OK) return NULL;
    struct fz_value *v = fzi_graph_new_constant(e->lower->graph, e->node->name, dtype, rank, &n);
    if (!v) return no_memory(e), NULL;
    if (v->t.size) memcpy(v->t.data, data, v->t.size);
    return v;
}

struct fz_value *fzi_compose_ints(struct fz_compose *e, const int64_t *values, int64_t n) {
    return constant(e, FZ_TYPE_I64, 1, n, values);
}

struct fz_value *fzi_compose_int(struct fz_compose *e, int64_t value) {
    return constant(e, FZ_TYPE_I64, 0, 1, &value);
}

struct fz_value *fzi_compose_floats(struct fz_compose *e, const float *values, int64_t n) {
    return constant(e, FZ_TYPE_F32, 1, n, values);
}

struct fz_value *fzi_compose_float(struct fz_compose *e, double value) {
    float narrow = (float)value;
    return constant(e, FZ_TYPE_F32, 0, 1, &narrow);
}

/* Attributes outlive the call that makes them: lists must lie in the arena. */
static const int64_t *keep_ints(struct fz_compose *e, const int64_t *list, int64_t n) {
    const int64_t *kept = fzi_arena_copy(e->lower->graph->arena, list, (size_t)n * sizeof *list);
    if (!kept) no_memory(e);
    return kept;
}

struct fz_value *fzi_compose_cast(struct fz_compose *e, struct fz_value *x, int32_t dtype) {
    return fzi_compose(e, "Cast", FZ_IN(x), FZ_ATTRS(FZ_ATTR_OF_INT("to", dtype)));
}

struct fz_value *fzi_compose_transpose(struct fz_compose *e, struct fz_value *x,
                                      const int64_t *perm, int32_t rank) {
    const int64_t *kept = keep_ints(e, perm, rank);
    return fzi_compose(e, "Transpose", FZ_IN(x), FZ_ATTRS(FZ_ATTR_OF_INTS("perm", kept, rank)));
}

struct fz_value *fzi_compose_reshape(struct fz_compose *e, struct fz_value *x, const int64_t *dims,
                                    int64_t n) {
    return fzi_compose(e, "Reshape", FZ_IN(x, fzi_compose_ints(e, dims, n)), FZ_NO_ATTRS);
}

struct fz_value *fzi_compose_unsqueeze(struct fz_compose *e, struct fz_value *x,
                                      const int64_t *axes, int64_t n) {
    return fzi_compose(e, "Unsqueeze", FZ_IN(x, fzi_compose_ints(e, axes, n)), FZ_NO_ATTRS);
}

struct fz_value *fzi_compose_pick(struct fz_compose *e, struct fz_value *x, int64_t i) {
    return fzi_compose(e, "Gather", FZ_IN(x, fzi_compose_int(e, i)),
                      FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0)));
}

struct fz_value *fzi_compose_dim(struct fz_compose *e, struct fz_value *x, int64_t i) {
    return fzi_compose_pick(e, fzi_compose(e, "Shape", FZ_IN(x), FZ_NO_ATTRS), i);
}

void fzi_compose_keep(struct fz_compose *e, const char *name, struct fz_attr *list, size_t *n) {
    const struct fz_attr *attr = fzi_attr(e->node, name);
    if (attr) list[(*n)++] = *attr;
}

void fzi_compose_need(struct fz_compose *e, uint32_t inputs) {
    for (uint32_t i = 0; i < 32 && e->status == FZ_OK; i++)
        if ((inputs >> i & 1) && !fzi_in(e->node, i))
            fzi_compose_fail(e, fzi_error(FZ_E_FORMAT, "%s needs input %u", e->node->type, i));
}

int32_t fzi_compose_rank(struct fz_compose *e, const struct fz_value *x, const char *what) {
    if (e->status != FZ_OK || !x) return 0;
    if (x->t.rank >= 0) return x->t.rank;
    fzi_compose_fail(e, fzi_error(FZ_E_UNSUPPORTED, "%s: the rank of %s must be known at freeze",
                                 e->node->type, what));
    return 0;
}

fz_status_t fzi_compose_done(struct fz_compose *e) {
    struct fz_node *node = e->node;
    FZ_TRY(e->status);
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!node->out[i]) continue;
        if (i >= FZ_OP_MAX_OUT || !e->out[i])
            return fzi_error(FZ_E_UNSUPPORTED, "%s: its output %u is not made here", node->type, i);
        fzi_graph_replace(e->lower->graph, node->out[i], e->out[i]);
    }
    fzi_graph_remove(e->lower->graph, node);
    node->op = NULL;
    return FZ_OK;
}
