/* Conv on ONNX's own layout: the image is transposed and the weights are packed in scratch at every
 * run, then the body of frozen.Conv computes. For weights that are no constants. */
#include "ops/conv.h"

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_conv_params *p = params;
    FZ_TRY(fzi_conv_lower(lower, node, false, p));
    p->blas = 0;
    return FZ_OK;
}

/* P with kernel and channels from W's shape, as far as it is known; false if they contradict. */
static bool complete(const struct fz_conv_params *from, const fz_tensor_t *w,
                     struct fz_conv_params *p) {
    *p = *from;
    p->algorithm = FZ_CONV_GEMM; /* what only the frozen forms choose */
    p->blas = 0;
    p->act = (struct fz_act){0};
    if (w->rank < 0) return true;
    if (w->rank != p->spatial + 2) return false;
    if (w->dims[0] >= 0) p->cout = w->dims[0];
    if (w->dims[1] >= 0 && !fzi_mul_i64(w->dims[1], p->group, &p->cin)) return false;
    for (int64_t i = 0; i < p->spatial; i++) {
        int64_t *kernel = &p->kernel[3 - p->spatial + i], have = w->dims[2 + i];
        if (*kernel == 0 && have >= 0) *kernel = have;
        if (have >= 0 && *kernel != have) return false;
    }
    return true;
}

/* NCHW: channels follow the batch. */
static fz_status_t shape(const struct fz_op *op, const struct fz_conv_params *p,
                         const fz_tensor_t *x, const fz_tensor_t *w, fz_tensor_t *out) {
    out->rank = (int32_t)p->spatial + 2;
    bool ranked = x->rank >= 0;
    out->dims[0] = ranked ? x->dims[0] : FZ_DIM_UNKNOWN;
    out->dims[1] = w->rank >= 0 ? w->dims[0] : FZ_DIM_UNKNOWN;
    for (int64_t i = 0; i < p->spatial; i++) {
        int64_t before, in = ranked ? x->dims[2 + i] : FZ_DIM_UNKNOWN;
        int d = 3 - (int)p->spatial + (int)i;
        out->dims[2 + i] = FZ_DIM_UNKNOWN;
        if (p->kernel[d]) FZ_TRY(fzi_conv_dim(op, p, d, in, &out->dims[2 + i], &before));
    }
    return FZ_OK;
}

/* The geometry of one call. The depthwise form gives the bits of the grouped GEMM, so that the
 * choice may depend on shapes that are known only now. */
static fz_status_t measure(const struct fz_op *op, const struct fz_call *call,
                           struct fz_conv_params *p, struct fz_conv_geometry *g) {
    const fz_tensor_t *x = call->in[0];
    int64_t in[3] = {1, 1, 1};
    complete(call->params, call->in[1], p);
    for (int64_t i = 0; i < p->spatial; i++) in[3 - p->spatial + i] = x->dims[2 + i];
    if (p->group > 1 && p->group == p->cin && p->group == p->cout && p->spatial <= 2)
        p->algorithm = FZ_CONV_DEPTHWISE;
    return fzi_conv_measure(op, p, x->dims[0], in, g);
}

/* Everything that run relies on: channels that fit, a kernel that has points, a bias of the right
 * length, and sizes that do not overflow. What is unknown yet is checked when it is known. */
static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *w = call->in[1];
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    fz_tensor_t out = {0};
    char text[2][160];
    FZ_TRY(fzi_conv_check(op, call->params));
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << x->dtype));
    bool fits = complete(call->params, w, &p) && fzi_conv_check(op, &p) == FZ_OK &&
                (x->rank < 0 || x->rank == p.spatial + 2) && p.cout % p.group == 0;
    if (fits && x->rank >= 0 && w->rank >= 0 && x->dims[1] >= 0 && w->dims[1] >= 0)
        fits = x->dims[1] == p.cin;
    for (int64_t d = 0; fits && d < 3; d++)
        if (!p.kernel[d] && fzi_shape_known(w)) fits = false;
    if (!fits)
        return fzi_error(FZ_E_SHAPE, "%s: weights of %s do not fit %s and the attributes", op->name,
                         fzi_shape_text(w, text[0], sizeof text[0]),
                         fzi_shape_text(x, text[1], sizeof text[1]));
    if (w->rank >= 0 && w->dims[0] >= 0) FZ_TRY(fzi_infer_bias(op, call, 2, w->dims[0]));
    FZ_TRY(shape(op, &p, x, w, &out));
    if (fzi_shape_known(x) && fzi_shape_known(w)) FZ_TRY(measure(op, call, &p, &g));
    fzi_infer_like(call, 0, x->dtype, &out);
    return FZ_OK;
}

/* Scratch: the input and the output as NHWC, the packed weights, the body's own. */
struct layout {
    size_t x, y, w, body, size;
};

static struct layout lay_out(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                             const struct fz_env *env) {
    struct layout l = {0};
    size_t pixels_in = (size_t)(g->n * g->in[0] * g->in[1] * g->in[2]);
    size_t pixels_out = (size_t)(g->n * g->out[0] * g->out[1] * g->out[2]), packed = 0;
    fzi_conv_packed_size(p, &packed);
    l.y = fzi_align(pixels_in * (size_t)p->cin * 4, 64);
    l.w = l.y + fzi_align(pixels_out * (size_t)p->cout * 4, 64);
    l.body = l.w + fzi_align(packed, 64);
    l.size = l.body + fzi_conv_scratch(p, g, env);
    return l;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    if (measure(op, call, &p, &g) != FZ_OK || call->in[0]->dtype == FZ_TYPE_F64) return 0;
    return lay_out(&p, &g, call->env).size;
}

/* Transposing costs two passes over the image and packing one over the weights, at every run: the
 * price of weights that freeze does not know. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    FZ_TRY(measure(op, call, &p, &g));
    if (!call->out[0]->size) return FZ_OK;
    if (call->in[0]->dtype == FZ_TYPE_F64) {
        fzi_conv_f64(call, &p, &g, false);
        return FZ_OK;
    }
    struct layout l = lay_out(&p, &g, call->env);
    char *s = call->scratch;
    float *x = (float *)(s + l.x), *y = (float *)(s + l.y), *w = (float *)(s + l.w);
    int64_t in = g.in[0] * g.in[1] * g.in[2], out = g.out[0] * g.out[1] * g.out[2];
    for (int64_t n = 0; n < g.n; n++)
        fzi_transpose_f32(call->env, (const float *)call->in[0]->data + n * in * p.cin, p.cin, in,
                          x + n * in * p.cin);
    fzi_conv_pack_into(&p, call->in[1]->data, w);
    struct fz_conv_job job = {
        .p = &p, .g = &g, .x = x, .w = w, .y = y, .scratch = s + l.body, .env = call->env,
        .bias = call->n_in > 2 && call->in[2] ? call->in[2]->data : NULL};
    FZ_TRY(fzi_conv_run(&job));
    for (int64_t n = 0; n < g.n; n++)
        fzi_transpose_f32(call->env, y + n * out * p.cout, out, p.cout,
                          (float *)call->out[0]->data + n * out * p.cout);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    return measure(op, call, &p, &g) == FZ_OK ? fzi_conv_macs(&g, &p) : 0;
}

const struct fz_op fz_ops_conv[] = {
    {.name = "Conv", .domain = "", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
     .attrs = "auto_pad kernel_shape strides dilations pads group",
     .params_size = sizeof(struct fz_conv_params), .lower = lower, .infer = infer,
     .scratch = scratch, .run = run, .macs = macs},
    {0},
};
