/* frozen.Conv: the plan's convolution. x [N, spatial..., cin], packed weights, bias [cout] or
 * absent, residual of the output's shape or absent; then the activation. */
#include "ops/conv.h"

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    return fzi_conv_lower_frozen(lower, node, false, params);
}

/* The output of X's shape; unknown sizes stay unknown. */
static fz_status_t shape(const struct fz_op *op, const struct fz_conv_params *p,
                         const fz_tensor_t *x, fz_tensor_t *out) {
    char text[160];
    int32_t rank = (int32_t)p->spatial + 2;
    out->dtype = FZ_TYPE_F32;
    out->rank = rank;
    if (x->rank >= 0 && (x->rank != rank || (x->dims[rank - 1] >= 0 &&
                                             x->dims[rank - 1] != p->cin)))
        return fzi_error(FZ_E_SHAPE, "%s: an input of %s for %lld channels in %lld dimensions",
                         op->name, fzi_shape_text(x, text, sizeof text), (long long)p->cin,
                         (long long)p->spatial);
    for (int32_t i = 0; i < rank; i++) out->dims[i] = x->rank < 0 ? FZ_DIM_UNKNOWN : x->dims[i];
    out->dims[rank - 1] = p->cout;
    for (int32_t i = 1; i < rank - 1; i++) {
        int64_t before, in = out->dims[i];
        FZ_TRY(fzi_conv_dim(op, p, 3 - (int)p->spatial + i - 1, in, &out->dims[i], &before));
    }
    return FZ_OK;
}

/* Geometry in three dimensions from the NHWC shape. */
static fz_status_t measure(const struct fz_op *op, const struct fz_call *call,
                           struct fz_conv_geometry *g) {
    const struct fz_conv_params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int64_t in[3] = {1, 1, 1};
    if (call->band) return fzi_conv_measure_band(op, p, call, g);
    for (int64_t i = 0; i < p->spatial; i++) in[3 - p->spatial + i] = x->dims[1 + i];
    return fzi_conv_measure(op, p, x->dims[0], in, g);
}

/* The weights' dims are checked against params exactly: they say where panels lie. */
static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_conv_params *p = call->params;
    struct fz_conv_geometry g;
    fz_tensor_t out = {0};
    FZ_TRY(fzi_conv_check_frozen(op, p));
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    FZ_TRY(shape(op, p, call->in[0], &out));
    FZ_TRY(fzi_conv_check_inputs(op, call, p, &out));
    if (fzi_shape_known(call->in[0])) FZ_TRY(measure(op, call, &g));
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_geometry g;
    if (measure(op, call, &g) != FZ_OK) return 0;
    return fzi_conv_scratch(call->params, &g, call->env);
}

/* The kernel's rows of x, the same rows of the residual. Winograd's tiles begin at even rows. */
static bool rows(const struct fz_op *op, const struct fz_call *call, struct fz_rows *rows,
                 int64_t *align) {
    const struct fz_conv_params *p = call->params;
    struct fz_conv_geometry g;
    if (p->spatial != 2 || p->blas || measure(op, call, &g) != FZ_OK) return false;
    rows[0] = (struct fz_rows){p->stride[1], g.extent[1], g.before[1]};
    if (call->n_in > 3 && call->in[3]) rows[3] = (struct fz_rows){1, 1, 0};
    *align = p->algorithm == FZ_CONV_WINOGRAD ? 2 : 1;
    return true;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_geometry g;
    FZ_TRY(measure(op, call, &g));
    struct fz_conv_job job = {
        .p = call->params, .g = &g, .x = call->in[0]->data, .w = call->in[1]->data,
        .bias = call->n_in > 2 && call->in[2] ? call->in[2]->data : NULL,
        .residual = call->n_in > 3 && call->in[3] ? call->in[3]->data : NULL,
        .y = call->out[0]->data, .y_pixel = call->band ? call->band->out_pixel : 0,
        .scratch = call->scratch, .env = call->env};
    if (!call->out[0]->size) return FZ_OK;
    return fzi_conv_run(&job);
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_geometry g;
    return measure(op, call, &g) == FZ_OK ? fzi_conv_macs(&g, call->params) : 0;
}

const struct fz_op fz_ops_frozen_conv[] = {
    {.name = "Conv", .domain = "frozen", .since = 1, .rev = 1, .flags = FZ_OP_APART,
     .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1,
     .attrs = "auto_pad kernel_shape strides dilations pads group cin cout algorithm act a b round",
     .params_size = sizeof(struct fz_conv_params), .lower = lower, .infer = infer,
     .scratch = scratch, .run = run, .rows = rows, .macs = macs},
    {0},
};
