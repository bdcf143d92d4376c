/* frozen.MatMul: x [..., k] times packed constant weights, then bias or none, then residual or
 * none, each sum rounded, then the activation. All dimensions but the last are rows. */
#include "ops/matmul.h"

#include "ops/conv.h"

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_frozen_matmul_params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "k", 0, &p->k));
    FZ_TRY(fzi_attr_int(node, "n", 0, &p->n));
    FZ_TRY(fzi_attr_int(node, "blas", 0, &p->blas));
    return fzi_act_lower(node, &p->act);
}

fz_status_t fzi_frozen_matmul_misfit(const struct fz_op *op, const struct fz_call *call,
                                     uint32_t i) {
    const struct fz_frozen_matmul_params *p = call->params;
    char text[160];
    return fzi_error(FZ_E_SHAPE, "%s: input %u is %s for k = %lld, n = %lld", op->name, i,
                     fzi_shape_text(call->in[i], text, sizeof text), (long long)p->k,
                     (long long)p->n);
}

/* Packed weights: exactly the dims that k and n ask for. */
static fz_status_t check_weights(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_frozen_matmul_params *p = call->params;
    const fz_tensor_t *w = call->in[1];
    const int64_t dims[3] = {p->blas ? p->k : fzi_ceil_div(p->n, FZK_PANEL),
                             p->blas ? p->n : p->k, FZK_PANEL};
    if (!w) return fzi_error(FZ_E_FORMAT, "%s: the weights are absent", op->name);
    if (w->rank < 0) return FZ_OK;
    if (w->rank != (p->blas ? 2 : 3)) return fzi_frozen_matmul_misfit(op, call, 1);
    for (int32_t i = 0; i < w->rank; i++)
        if (w->dims[i] >= 0 && w->dims[i] != dims[i]) return fzi_frozen_matmul_misfit(op, call, 1);
    return FZ_OK;
}

/* The product of all dims but the last; -1 if it has no such number. */
static int64_t rows(const struct fz_call *call) {
    int64_t m;
    return fzi_dims_count(call->in[0]->dims, 0, call->in[0]->rank - 1, &m) ? m : -1;
}

/* It is a 1 x 1 convolution over a row of as many pixels; no rows are measured as one. */
static fz_status_t as_conv(const struct fz_op *op, const struct fz_call *call,
                           struct fz_conv_params *conv, struct fz_conv_geometry *g) {
    const struct fz_frozen_matmul_params *p = call->params;
    int64_t m = rows(call);
    const int64_t in[3] = {1, 1, m ? m : 1};
    *conv = (struct fz_conv_params){.spatial = 1, .kernel = {1, 1, 1}, .stride = {1, 1, 1},
                                    .dilation = {1, 1, 1}, .group = 1, .cin = p->k, .cout = p->n,
                                    .blas = p->blas, .act = p->act};
    if (m < 0) return fzi_error(FZ_E_SHAPE, "%s: the product is too large", op->name);
    return fzi_conv_measure(op, conv, 1, in, g);
}

/* As with frozen.Conv, what is checked here is all that run relies on. */
static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_frozen_matmul_params *p = call->params;
    const fz_tensor_t *x = call->in[0], *residual = call->n_in > 3 ? call->in[3] : NULL;
    if (p->k < 0 || p->n < 1 || p->k >= 1ll << 40 || p->n >= 1ll << 40 || p->blas < 0 ||
        p->blas > 1)
        return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    FZ_TRY(fzi_act_check(op, &p->act, !p->blas));
    for (uint32_t i = 0; i < 4; i++) FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
    FZ_TRY(check_weights(op, call));
    FZ_TRY(fzi_infer_bias(op, call, 2, p->n));
    if (x->rank < 0) {
        fzi_infer_unknown(call, 0, FZ_TYPE_F32);
        return FZ_OK;
    }
    fz_tensor_t out = *x;
    if (x->rank < 1 || (x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != p->k))
        return fzi_frozen_matmul_misfit(op, call, 0);
    out.dims[x->rank - 1] = p->n;
    for (int32_t i = 0; residual && residual->rank >= 0 && i < out.rank; i++)
        if (residual->rank != out.rank || (residual->dims[i] >= 0 && out.dims[i] >= 0 &&
                                           residual->dims[i] != out.dims[i]))
            return fzi_frozen_matmul_misfit(op, call, 3);
    struct fz_conv_params conv;
    struct fz_conv_geometry g;
    if (fzi_shape_known(x)) FZ_TRY(as_conv(op, call, &conv, &g));
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params conv;
    struct fz_conv_geometry g;
    if (as_conv(op, call, &conv, &g) != FZ_OK) return 0;
    return fzi_conv_scratch(&conv, &g, call->env);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params conv;
    struct fz_conv_geometry g;
    if (!call->out[0]->size) return FZ_OK;
    FZ_TRY(as_conv(op, call, &conv, &g));
    struct fz_conv_job job = {
        .p = &conv, .g = &g, .x = call->in[0]->data, .w = call->in[1]->data,
        .bias = call->n_in > 2 && call->in[2] ? call->in[2]->data : NULL,
        .residual = call->n_in > 3 && call->in[3] ? call->in[3]->data : NULL,
        .y = call->out[0]->data, .scratch = call->scratch, .env = call->env};
    return fzi_conv_run(&job);
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_frozen_matmul_params *p = call->params;
    (void)op;
    return (uint64_t)rows(call) * (uint64_t)p->k * (uint64_t)p->n;
}

const struct fz_op fz_ops_frozen_matmul[] = {
    {.name = "MatMul", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attrs = "k n blas act a b round",
     .params_size = sizeof(struct fz_frozen_matmul_params), .lower = lower, .infer = infer,
     .scratch = scratch, .run = run, .macs = macs},
    {0},
};
