/* Types that an operator does not compute on itself go through wider ones: Casts before it, Casts
 * behind it.
 *
 * Half precision is a storage type, computed in binary32 with one rounding on the way out. Elements
 * below 8 bits are those of a wider type with the same values: what moves them moves bytes. */
#include "passes/passes.h"

/* The type to compute in; 0 for those that are not widened. */
static int32_t wide(int32_t dtype) {
    switch (dtype) {
    case FZ_TYPE_F16:
    case FZ_TYPE_BF16:
    case FZ_TYPE_F4E2M1: return FZ_TYPE_F32;
    case FZ_TYPE_I4:
    case FZ_TYPE_I2: return FZ_TYPE_I8;
    case FZ_TYPE_U4:
    case FZ_TYPE_U2: return FZ_TYPE_U8;
    default: return 0;
    }
}

static struct fz_value *cast(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                             struct fz_value *v, int32_t dtype) {
    struct fz_attr to = FZ_INT("to", dtype);
    struct fz_node *node =
        fzi_pass_make(pass, graph, before, "", "Cast", v->name, &to, 1, &v, 1, 1);
    return node ? node->out[0] : NULL;
}

/* An operator that handles half precision or moves elements says itself what it does not take, some
 * kinds of reduction among it. */
int32_t fzi_pass_stored(struct fz_graph *graph, struct fz_node *node) {
    bool knows = node->op->flags & (FZ_OP_HALF | FZ_OP_ANY_TYPE);
    int32_t dtype = 0;
    if (node->op->flags & FZ_OP_CONTROL) return 0;
    for (uint32_t i = 0; i < node->n_in && !dtype; i++)
        if (node->in[i] && wide(node->in[i]->t.dtype)) dtype = node->in[i]->t.dtype;
    /* What computes has no elements below 8 bits. */
    if (!knows && fz_type_bits(dtype) < 8) return 0;
    return knows && (!dtype || fzi_pass_infer_node(graph, node) == FZ_OK) ? 0 : dtype;
}

fz_status_t fzi_pass_widen(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                           uint64_t *inputs) {
    *inputs = 0;
    for (uint32_t i = 0; i < node->n_in; i++) {
        int32_t to = node->in[i] ? wide(node->in[i]->t.dtype) : 0;
        if (!to) continue;
        node->in[i] = cast(pass, graph, node, node->in[i], to);
        if (!node->in[i]) return FZ_E_NOMEM;
        if (i < 64) *inputs |= 1ull << i;
    }
    pass->n_changes++;
    return FZ_OK;
}

/* Statistics beside a result have their own type: float32 those of a row, that of the running
 * ones those of a batch. */
static bool keeps(const struct fz_node *node, uint32_t i, uint64_t inputs) {
    if (node->op->flags & FZ_OP_STATISTICS) return i == 1 || i == 2;
    return i > 0 && !(inputs >> 3 & 1) && fzi_pass_is_frozen(node, "BatchNormalizationTraining");
}

fz_status_t fzi_pass_narrow(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                            int32_t dtype, uint64_t inputs) {
    for (uint32_t i = 0; i < node->n_out; i++) {
        struct fz_value *v = node->out[i];
        if (!v || v->t.dtype != wide(dtype) || keeps(node, i, inputs)) continue;
        struct fz_value *wider = fzi_node_output(graph, node, i, v->name);
        if (!wider) return fzi_error(FZ_E_NOMEM, "no memory for a value");
        wider->t = v->t;
        struct fz_value *narrow = cast(pass, graph, node->next, wider, dtype);
        if (!narrow) return FZ_E_NOMEM;
        /* The cast makes the old value itself: its readers need not be told. */
        narrow->producer->out[0] = v;
        v->producer = narrow->producer;
        v->t.dtype = dtype;
    }
    return FZ_OK;
}
