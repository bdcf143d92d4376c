/* Small rewrites that give the same number more cheaply: x^2 is x * x, x^3 is x * x * x. */
#include "passes/passes.h"

static struct fz_value *multiply(struct fz_pass *pass, struct fz_graph *graph,
                                 struct fz_node *before, struct fz_value *a, struct fz_value *b) {
    struct fz_value *in[] = {a, b};
    struct fz_node *node =
        fzi_pass_make(pass, graph, before, "", "Mul", before->name, NULL, 0, in, 2, 1);
    if (!node) return NULL;
    fzi_shape_copy(&node->out[0]->t, &a->t);
    node->out[0]->t.dtype = a->t.dtype;
    return node->out[0];
}

static fz_status_t visit_pow(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_value *x = node->in[0], *y = x;
    double e;
    if (x->t.dtype != FZ_TYPE_F32 || !fzi_pass_scalar(node->in[1], &e) || (e != 2 && e != 3))
        return FZ_OK;
    if (node->in[1]->t.rank > x->t.rank) return FZ_OK;
    for (int i = 1; i < (int)e; i++) {
        y = multiply(pass, graph, node, y, x);
        if (!y) return FZ_E_NOMEM;
    }
    fzi_pass_replace(pass, graph, node->out[0], y);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_simplify(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (fzi_pass_is(node, "Pow")) FZ_TRY(visit_pow(pass, graph, node));
    }
    return FZ_OK;
}
