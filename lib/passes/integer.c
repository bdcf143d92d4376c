/* What dynamic quantisers write: the sums of a MatMulInteger or ConvInteger, cast to float, times
 * the product of two scales, plus a bias, become one operator that ends in float. */
#include "passes/passes.h"

#include "ops/integer.h"

/* The only node that reads V, if it is NAME. */
static struct fz_node *reader(const struct fz_value *v, const char *name) {
    struct fz_node *node = fzi_value_reader(v);
    return fzi_pass_is(node, name) && node->out[0]->graph == v->graph ? node : NULL;
}

static struct fz_value *other(const struct fz_node *node, const struct fz_value *v) {
    return node->in[0] == v ? node->in[1] : node->in[0];
}

/* V = X_SCALE * W_SCALE, with the weights' scale a constant of N numbers or one. */
static bool split_scales(const struct fz_value *v, int64_t n, struct fz_value **x_scale,
                         struct fz_value **w_scale) {
    struct fz_node *mul = fzi_pass_from(v, "Mul");
    for (int i = 0; mul && i < 2; i++) {
        struct fz_value *w = mul->in[i], *x = mul->in[1 - i];
        if (!fzi_is_constant(w) || w->t.dtype != FZ_TYPE_F32 || x->t.dtype != FZ_TYPE_F32) continue;
        int64_t count = fzi_tensor_count(&w->t);
        bool row = count == 1 || (count == n && w->t.rank == 1);
        if (row && fzi_shape_known(&x->t) && fzi_tensor_count(&x->t) == 1 && x->t.rank == 0) {
            *x_scale = x;
            *w_scale = w;
            return true;
        }
    }
    return false;
}

/* The constant that NODE, an Add behind V, adds per channel: along the last dimension, or along
 * dimension 1 of RANK for a convolution. As a row, or NULL. */
static struct fz_value *bias_of(struct fz_graph *graph, const struct fz_node *node,
                                const struct fz_value *v, int64_t n, int32_t rank, bool conv) {
    struct fz_value *b = other(node, v);
    if (!fzi_is_constant(b) || b->t.dtype != FZ_TYPE_F32 || fzi_tensor_count(&b->t) != n)
        return NULL;
    int32_t at = conv ? 1 - (rank - b->t.rank) : b->t.rank - 1;
    if (b->t.rank > rank || at < 0 || b->t.dims[at] != n) return NULL;
    fz_tensor_t t = b->t;
    fzi_shape_set(&t, 1, &n);
    return fzi_graph_constant(graph, b->name, &t);
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    bool conv = fzi_pass_is(node, "ConvInteger");
    const struct fz_value *w = node->in[1];
    if (!fzi_is_constant(w) || w->t.rank < 2) return FZ_OK;
    int64_t n = conv ? w->t.dims[0] : w->t.dims[w->t.rank - 1];
    struct fz_node *cast = reader(node->out[0], "Cast");
    struct fz_node *mul = cast ? reader(cast->out[0], "Mul") : NULL;
    struct fz_value *x_scale, *w_scale, *bias = NULL;
    if (!mul || cast->out[0]->t.dtype != FZ_TYPE_F32) return FZ_OK;
    if (!split_scales(other(mul, cast->out[0]), n, &x_scale, &w_scale)) return FZ_OK;
    if (conv && fzi_tensor_count(&w_scale->t) != 1) return FZ_OK;
    if (mul->out[0]->t.rank != node->out[0]->t.rank) return FZ_OK;
    struct fz_node *last = mul, *add = reader(mul->out[0], "Add");
    if (add && add->out[0]->t.rank == mul->out[0]->t.rank)
        bias = bias_of(graph, add, mul->out[0], n, mul->out[0]->t.rank, conv);
    if (bias) last = add;
    struct fz_value *in[] = {node->in[0], node->in[1], x_scale, w_scale, fzi_in(node, 2),
                             fzi_in(node, 3), bias};
    struct fz_node *made = fzi_pass_make(pass, graph, last, conv ? "frozen" : "com.microsoft",
                                         conv ? "ConvIntegerToFloat" : "MatMulIntegerToFloat",
                                         node->name, node->attrs, node->n_attrs, in, 7, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_pass_replace(pass, graph, last->out[0], made->out[0]);
    return FZ_OK; /* what is left of the chain nobody reads */
}

fz_status_t fzi_pass_integer(struct fz_pass *pass, struct fz_graph *graph) {
    fzi_graph_count_uses(pass->graph);
    for (struct fz_node *node = graph->first; node; node = node->next)
        if (fzi_pass_is(node, "MatMulInteger") || fzi_pass_is(node, "ConvInteger"))
            FZ_TRY(visit(pass, graph, node));
    return pass->options->flags & FZ_FREEZE_RANGE_PER_ROW ? fzi_pass_rows(pass, graph) : FZ_OK;
}
