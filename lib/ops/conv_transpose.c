/* ConvTranspose on ONNX's layout, packing at every run, and frozen.ConvTranspose on NHWC with
 * packed weights, bias, residual and activation, in this order behind the chain. */
#include "ops/conv.h"

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_conv_params *p = params;
    FZ_TRY(fzi_conv_lower(lower, node, true, p));
    p->blas = 0;
    return FZ_OK;
}

static fz_status_t lower_frozen(struct fz_lower *lower, struct fz_node *node, void *params) {
    return fzi_conv_lower_frozen(lower, node, true, params);
}

/* The output's size: given, in * stride for SAME, or the natural one. Padding that is not given is
 * what is left, the larger half behind for SAME_UPPER and in front for all others. */
fz_status_t fzi_conv_transpose_dim(const struct fz_op *op, const struct fz_conv_params *p, int d,
                                   int64_t in, int64_t *out, int64_t *before) {
    int64_t extent = (p->kernel[d] - 1) * p->dilation[d] + 1, given = p->output_shape[d];
    bool same = p->auto_pad == FZ_PAD_SAME_UPPER || p->auto_pad == FZ_PAD_SAME_LOWER;
    *before = p->auto_pad == FZ_PAD_GIVEN ? p->before[d] : 0;
    *out = given ? given : FZ_DIM_UNKNOWN;
    if (in < 0) return FZ_OK;
    if (in >= 1ll << 30)
        return fzi_error(FZ_E_SHAPE, "%s: an input of %lld is too large", op->name, (long long)in);
    int64_t natural = (in - 1) * p->stride[d] + p->output_padding[d] + extent;
    if (same && !given) *out = given = in * p->stride[d];
    if (given) {
        int64_t total = fzi_max_i64(natural - given, 0);
        *before = p->auto_pad == FZ_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        return FZ_OK;
    }
    *out = natural - (p->auto_pad == FZ_PAD_GIVEN ? p->before[d] + p->after[d] : 0);
    if (in < 1 || *out < 0)
        return fzi_error(FZ_E_SHAPE, "%s: an input of %lld gives an output of %lld", op->name,
                         (long long)in, (long long)*out);
    return FZ_OK;
}

/* True if the product, with room for four bytes and alignment, fits. */
static bool fits(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e) {
    const int64_t dims[] = {a + 1, b + 1, c + 1, d + 1, e, 256};
    int64_t n;
    return fzi_dims_count(dims, 0, 6, &n);
}

/* Limits as for the convolution: all that a run addresses fits an int64_t. */
fz_status_t fzi_conv_transpose_measure(const struct fz_op *op, const struct fz_conv_params *p,
                                       int64_t n, const int64_t in[3],
                                       struct fz_conv_geometry *g) {
    *g = (struct fz_conv_geometry){.n = n, .cin_g = p->cin / p->group,
                                   .cout_g = p->cout / p->group};
    for (int d = 0; d < 3; d++) {
        g->in[d] = in[d];
        FZ_TRY(fzi_conv_transpose_dim(op, p, d, in[d], &g->out[d], &g->before[d]));
    }
    int64_t o = p->cout + FZK_PANEL * p->group;
    if (!fits(n, in[0], in[1], in[2], p->cin) || !fits(n, g->out[0], g->out[1], g->out[2], o) ||
        !fits(p->kernel[0], p->kernel[1], p->kernel[2], p->cin, o))
        return fzi_error(FZ_E_SHAPE, "%s: the convolution is too large", op->name);
    g->taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
    g->k = g->taps * g->cin_g;
    g->panels = fzi_ceil_div(g->cout_g, FZK_PANEL);
    return FZ_OK;
}

/* P with kernel and channels from W's shape [cin, cout / group, kernel...], as far as it is
 * known. */
static bool complete(const struct fz_conv_params *from, const fz_tensor_t *w,
                     struct fz_conv_params *p) {
    *p = *from;
    p->algorithm = FZ_CONV_GEMM; /* what only the frozen forms choose */
    p->blas = 0;
    p->act = (struct fz_act){0};
    if (w->rank < 0) return true;
    if (w->rank != p->spatial + 2) return false;
    if (w->dims[0] >= 0) p->cin = w->dims[0];
    if (w->dims[1] >= 0 && !fzi_mul_i64(w->dims[1], p->group, &p->cout)) return false;
    for (int64_t i = 0; i < p->spatial; i++) {
        int64_t *kernel = &p->kernel[3 - p->spatial + i], have = w->dims[2 + i];
        if (*kernel == 0 && have >= 0) *kernel = have;
        if (have >= 0 && (*kernel != have || have < 1)) return false;
    }
    return true;
}

/* Where the spatial dimensions begin. */
static int32_t spatial_axis(const struct fz_op *op) { return op->kind ? 1 : 2; }

/* The frozen form has its channels in params, ONNX's has them in the weights' shape. */
static fz_status_t measure(const struct fz_op *op, const struct fz_call *call,
                           struct fz_conv_params *p, struct fz_conv_geometry *g) {
    const fz_tensor_t *x = call->in[0];
    int64_t in[3] = {1, 1, 1};
    *p = *(const struct fz_conv_params *)call->params;
    if (!op->kind) complete(call->params, call->in[1], p);
    for (int64_t i = 0; i < p->spatial; i++)
        in[3 - p->spatial + i] = x->dims[spatial_axis(op) + i];
    return fzi_conv_transpose_measure(op, p, x->dims[0], in, g);
}

/* The output: rank and dims, unknown ones where the input's are. */
static fz_status_t shape(const struct fz_op *op, const struct fz_conv_params *p,
                         const fz_tensor_t *x, int64_t channels, fz_tensor_t *out) {
    int32_t first = spatial_axis(op);
    out->dtype = FZ_TYPE_F32;
    out->rank = (int32_t)p->spatial + 2;
    out->dims[0] = x->rank < 0 ? FZ_DIM_UNKNOWN : x->dims[0];
    out->dims[op->kind ? out->rank - 1 : 1] = channels;
    for (int64_t i = 0; i < p->spatial; i++) {
        int64_t before, in = x->rank < 0 ? FZ_DIM_UNKNOWN : x->dims[first + i];
        int d = 3 - (int)p->spatial + (int)i;
        if (!p->kernel[d]) in = FZ_DIM_UNKNOWN;
        FZ_TRY(fzi_conv_transpose_dim(op, p, d, in, &out->dims[first + i], &before));
    }
    return FZ_OK;
}

static fz_status_t misfit(const struct fz_op *op, const struct fz_call *call) {
    char text[2][160];
    return fzi_error(FZ_E_SHAPE, "%s: weights of %s do not fit %s and the attributes", op->name,
                     fzi_shape_text(call->in[1], text[0], sizeof text[0]),
                     fzi_shape_text(call->in[0], text[1], sizeof text[1]));
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *w = call->in[1];
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    fz_tensor_t out = {0};
    FZ_TRY(fzi_conv_check(op, call->params));
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << x->dtype));
    bool good = complete(call->params, w, &p) && fzi_conv_check(op, &p) == FZ_OK &&
                (x->rank < 0 || x->rank == p.spatial + 2) && p.cin % p.group == 0;
    if (good && x->rank >= 0 && w->rank >= 0 && x->dims[1] >= 0 && w->dims[0] >= 0)
        good = x->dims[1] == w->dims[0];
    if (!good) return misfit(op, call);
    int64_t channels = w->rank >= 0 && w->dims[1] >= 0 ? p.cout : FZ_DIM_UNKNOWN;
    if (channels >= 0) FZ_TRY(fzi_infer_bias(op, call, 2, channels));
    FZ_TRY(shape(op, &p, x, channels, &out));
    if (fzi_shape_known(x) && fzi_shape_known(w)) FZ_TRY(measure(op, call, &p, &g));
    fzi_infer_like(call, 0, x->dtype, &out);
    return FZ_OK;
}

static fz_status_t infer_frozen(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0];
    struct fz_conv_params p = *(const struct fz_conv_params *)call->params;
    struct fz_conv_geometry g;
    fz_tensor_t out = {0};
    if (p.algorithm != FZ_CONV_GEMM || p.blas)
        return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    FZ_TRY(fzi_conv_check_frozen(op, &p));
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    if (x->rank >= 0 && (x->rank != p.spatial + 2 || (x->dims[x->rank - 1] >= 0 &&
                                                      x->dims[x->rank - 1] != p.cin)))
        return misfit(op, call);
    FZ_TRY(shape(op, &p, x, p.cout, &out));
    FZ_TRY(fzi_conv_check_inputs(op, call, &p, &out));
    if (fzi_shape_known(x)) FZ_TRY(measure(op, call, &p, &g));
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    return FZ_OK;
}

/* Scratch: the body's own; ONNX's layout also needs x and y as NHWC and the packed weights. */
struct layout {
    size_t x, y, w, size;
};

static struct layout lay_out(const struct fz_op *op, const struct fz_conv_params *p,
                             const struct fz_conv_geometry *g) {
    struct layout l = {0};
    size_t in = (size_t)(g->n * g->in[0] * g->in[1] * g->in[2] * p->cin), packed = 0;
    size_t out = (size_t)(g->n * g->out[0] * g->out[1] * g->out[2] * p->cout);
    l.x = fzi_align(fzi_conv_transpose_scratch(p, g), 64);
    l.size = l.x;
    if (op->kind) return l;
    fzi_conv_packed_size(p, &packed);
    l.y = l.x + fzi_align(in * sizeof(float), 64);
    l.w = l.y + fzi_align(out * sizeof(float), 64);
    l.size = l.w + packed;
    return l;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    if (measure(op, call, &p, &g) != FZ_OK || call->in[0]->dtype == FZ_TYPE_F64) return 0;
    return lay_out(op, &p, &g).size;
}

/* Transposes N images of ROWS x COLS each. */
static void transpose(const struct fz_env *env, const float *from, int64_t n, int64_t rows,
                      int64_t cols, float *to) {
    for (int64_t i = 0; i < n; i++)
        fzi_transpose_f32(env, from + i * rows * cols, rows, cols, to + i * rows * cols);
}

/* Same body for both forms; ONNX's layout pays for transposing and packing. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    FZ_TRY(measure(op, call, &p, &g));
    if (!call->out[0]->size) return FZ_OK;
    if (call->in[0]->dtype == FZ_TYPE_F64) {
        fzi_conv_f64(call, &p, &g, true);
        return FZ_OK;
    }
    struct layout l = lay_out(op, &p, &g);
    char *s = call->scratch;
    float *x = (float *)(s + l.x), *y = (float *)(s + l.y), *w = (float *)(s + l.w);
    struct fz_conv_job job = {
        .p = &p, .g = &g, .x = call->in[0]->data, .w = call->in[1]->data,
        .bias = call->n_in > 2 && call->in[2] ? call->in[2]->data : NULL,
        .residual = call->n_in > 3 && call->in[3] ? call->in[3]->data : NULL,
        .y = call->out[0]->data, .scratch = s, .env = call->env};
    int64_t in = g.in[0] * g.in[1] * g.in[2], out = g.out[0] * g.out[1] * g.out[2];
    if (!op->kind) {
        transpose(call->env, job.x, g.n, p.cin, in, x);
        fzi_conv_transpose_pack_into(&p, job.w, w);
        job.x = x, job.w = w, job.y = y;
    }
    fzi_conv_transpose_run(&job);
    if (!op->kind) transpose(call->env, y, g.n, out, p.cout, call->out[0]->data);
    return FZ_OK;
}

/* Each input pixel meets all taps but those that fall outside. */
static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    if (measure(op, call, &p, &g) != FZ_OK) return 0;
    return (uint64_t)(g.n * g.in[0] * g.in[1] * g.in[2]) * (uint64_t)p.cout * (uint64_t)g.k;
}

#define ATTRS                                                                                      \
    "auto_pad kernel_shape strides dilations pads group output_padding output_shape"

const struct fz_op fz_ops_conv_transpose[] = {
    {.name = "ConvTranspose", .domain = "", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = ATTRS,
     .params_size = sizeof(struct fz_conv_params), .kind = 0, .lower = lower, .infer = infer,
     .scratch = scratch, .run = run, .macs = macs},
    {.name = "ConvTranspose", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attrs = ATTRS " cin cout act a b",
     .params_size = sizeof(struct fz_conv_params), .kind = 1, .lower = lower_frozen,
     .infer = infer_frozen, .scratch = scratch, .run = run, .macs = macs},
    {0},
};
