/* Half precision is a storage type: an operator that does not handle it itself computes in binary32
 * between Casts, with one rounding on the way out. */
#include "passes/passes.h"

static bool is_half(int32_t dtype) { return dtype == FZ_TYPE_F16 || dtype == FZ_TYPE_BF16; }

static struct fz_value *cast(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                             struct fz_value *v, int32_t dtype) {
    struct fz_attr to = FZ_INT("to", dtype);
    struct fz_node *node =
        fzi_pass_make(pass, graph, before, "", "Cast", v->name, &to, 1, &v, 1, 1);
    return node ? node->out[0] : NULL;
}

int32_t fzi_pass_half_of(const struct fz_node *node) {
    if (node->op->flags & (FZ_OP_HALF | FZ_OP_ANY_TYPE | FZ_OP_CONTROL)) return 0;
    for (uint32_t i = 0; i < node->n_in; i++)
        if (node->in[i] && is_half(node->in[i]->t.dtype)) return node->in[i]->t.dtype;
    return 0;
}

fz_status_t fzi_pass_widen(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (!node->in[i] || !is_half(node->in[i]->t.dtype)) continue;
        node->in[i] = cast(pass, graph, node, node->in[i], FZ_TYPE_F32);
        if (!node->in[i]) return FZ_E_NOMEM;
    }
    pass->n_changes++;
    return FZ_OK;
}

fz_status_t fzi_pass_narrow(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                            int32_t dtype) {
    for (uint32_t i = 0; i < node->n_out; i++) {
        struct fz_value *v = node->out[i];
        if (!v || v->t.dtype != FZ_TYPE_F32) continue;
        struct fz_value *wide = fzi_node_output(graph, node, i, v->name);
        if (!wide) return fzi_error(FZ_E_NOMEM, "no memory for a value");
        wide->t = v->t;
        struct fz_value *narrow = cast(pass, graph, node->next, wide, dtype);
        if (!narrow) return FZ_E_NOMEM;
        /* The cast makes the old value itself: its readers need not be told. */
        narrow->producer->out[0] = v;
        v->producer = narrow->producer;
        v->t.dtype = dtype;
    }
    return FZ_OK;
}
