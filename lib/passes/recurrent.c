/* Recurrent operators with constant weights get them packed. */
#include "passes/passes.h"

#include "ops/rnn.h"

static bool is_weight(const struct fz_value *v) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.rank == 3 && v->t.size > 0;
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_rnn_params p;
    struct fz_value *w, *r;
    FZ_TRY(fzi_rnn_pack(graph, node->in[1], node->in[2], node->params, &p, &w, &r));
    struct fz_node *made = fzi_pass_lowered(graph, node, "frozen", node->op->name, node->name, &p,
                                            node->in, node->n_in, node->n_out);
    if (!made) return FZ_E_NOMEM;
    made->in[1] = w;
    made->in[2] = r;
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!node->out[i]) {
            made->out[i] = NULL;
            continue;
        }
        made->out[i]->t = node->out[i]->t;
        fzi_pass_replace(pass, graph, node->out[i], made->out[i]);
    }
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_recurrent(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        bool recurrent =
            fzi_pass_is(node, "LSTM") || fzi_pass_is(node, "GRU") || fzi_pass_is(node, "RNN");
        if (recurrent && is_weight(node->in[1]) && is_weight(node->in[2]) &&
            fzi_op_known("frozen", node->op->name))
            FZ_TRY(visit(pass, graph, node));
    }
    return FZ_OK;
}
