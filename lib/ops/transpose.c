/* Transpose: the output's dimension d is the input's dimension perm[d]. */
#include "ops/move.h"

struct params {
    struct fz_list perm; /* empty: reversed */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_move_list(node, "perm", &p->perm);
}

static int32_t source(const struct params *p, int32_t rank, int32_t d) {
    return p->perm.n ? (int32_t)p->perm.at[d] : rank - 1 - d;
}

static fz_status_t check_perm(const struct fz_op *op, const struct fz_list *perm) {
    uint32_t seen = 0;
    if (perm->n < 0 || perm->n > FZ_RANK_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: perm has %lld entries", op->name, (long long)perm->n);
    for (int64_t d = 0; d < perm->n; d++) {
        int64_t at = perm->at[d];
        if (at < 0 || at >= perm->n || seen >> at & 1)
            return fzi_error(FZ_E_SHAPE, "%s: perm is no permutation: entry %lld is %lld",
                             op->name, (long long)d, (long long)at);
        seen |= 1u << at;
    }
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t dims[FZ_RANK_MAX];
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(check_perm(op, &p->perm));
    if (in->rank < 0) return fzi_move_infer_rank(call, p->perm.n ? p->perm.n : -1);
    if (p->perm.n && p->perm.n != in->rank)
        return fzi_error(FZ_E_SHAPE, "%s: perm has %lld entries for rank %d", op->name,
                         (long long)p->perm.n, in->rank);
    for (int32_t d = 0; d < in->rank; d++) dims[d] = in->dims[source(p, in->rank, d)];
    fzi_infer_shape(call, 0, in->dtype, in->rank, dims);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0], *out = call->out[0];
    struct fz_move move = {.width = fzi_type_width(in->dtype)};
    int64_t from[FZ_RANK_MAX], to[FZ_RANK_MAX];
    (void)op;
    fzi_move_strides(in->rank, in->dims, from);
    fzi_move_strides(out->rank, out->dims, to);
    for (int32_t d = 0; d < out->rank; d++)
        fzi_move_dim(&move, out->dims[d], from[source(call->params, in->rank, d)], to[d]);
    fzi_move_run(call->env, &move, in->data, out->data);
    return FZ_OK;
}

const struct fz_op fz_ops_transpose[] = {
    {.name = "Transpose", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "perm",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
