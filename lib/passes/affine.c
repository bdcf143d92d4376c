/* Mul and Add of constants, one number or one per channel, move into the convolution before them,
 * as a BatchNormalization does: computed in binary64, rounded once. */
#include "passes/affine.h"

/* The constant operand of NODE, a Mul or an Add of two; *X is the other one. */
static struct fz_value *constant_of(const struct fz_node *node, struct fz_value **x) {
    if (node->n_in != 2) return NULL;
    for (int i = 0; i < 2; i++) {
        struct fz_value *c = node->in[i];
        *x = node->in[1 - i];
        if (fzi_is_constant(c) && c->t.dtype == FZ_TYPE_F32 && !fzi_is_constant(*x)) return c;
    }
    return NULL;
}

/* True if C, broadcast against rank RANK, is one number, or N numbers along the channels. */
static bool is_per_channel(const struct fz_value *c, int32_t rank, int64_t n) {
    int64_t count = fzi_tensor_count(&c->t);
    if (c->t.rank > rank || (count != 1 && count != n)) return false;
    for (int32_t d = 0; d < c->t.rank; d++)
        if (c->t.dims[d] != 1 && d + rank - c->t.rank != 1) return false;
    return true;
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_value *x = NULL, *c = constant_of(node, &x);
    struct fz_node *conv = c ? fzi_affine_conv(x, -1) : NULL;
    struct fz_affine a;
    if (!conv) return FZ_OK;
    const fz_tensor_t *w = &conv->in[1]->t;
    int64_t n = w->dims[fzi_pass_is(conv, "ConvTranspose") ? 1 : 0];
    if (!is_per_channel(c, w->rank, n)) return FZ_OK;
    bool add = fzi_pass_is(node, "Add"), one = fzi_tensor_count(&c->t) == 1;
    FZ_TRY(fzi_affine_make(graph, n, &a));
    for (int64_t i = 0; i < n; i++) {
        double number = ((const float *)c->t.data)[one ? 0 : i];
        a.scale[i] = add ? 1 : number;
        a.shift[i] = add ? number : 0;
    }
    return fzi_affine_fold(pass, graph, node, conv, c->name, &a);
}

fz_status_t fzi_pass_affine(struct fz_pass *pass, struct fz_graph *graph) {
    fzi_graph_count_uses(pass->graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (fzi_pass_is(node, "Mul") || fzi_pass_is(node, "Add"))
            FZ_TRY(visit(pass, graph, node));
    }
    return FZ_OK;
}
