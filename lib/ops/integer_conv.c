/* ConvInteger, QLinearConv and frozen.ConvIntegerToFloat (a ConvInteger whose sums are scaled to
 * float) as they are written: plain loops over NCHW, the reference for frozen.QConv, which takes
 * over where weights are constant. Padding is the input's zero point. In frozen.ConvIntegerRows
 * each image has a scale and a zero point of its own. */
#include "ops/integer.h"

struct params {
    struct fz_integer_params out;
    struct fz_conv_params conv;
};

const struct fz_conv_params *fzi_integer_conv_params(const struct fz_node *node) {
    return &((const struct params *)node->params)->conv;
}

fz_status_t fzi_integer_conv_choose(const struct fz_conv_params *conv, const fz_tensor_t *w,
                                    struct fz_conv_params *out) {
    fz_tensor_t as_float = *w;
    as_float.dtype = FZ_TYPE_F32;
    return fzi_conv_choose(conv, &as_float, false, out);
}

static const struct fz_integer_inputs *inputs_of(const struct fz_op *op) {
    return &fzi_conv_inputs[op->kind];
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    FZ_TRY(fzi_attr_int(node, "act_low", INT32_MIN, &p->out.low));
    FZ_TRY(fzi_attr_int(node, "act_high", INT32_MAX, &p->out.high));
    /* The family's lower counts dimensions from its own first two inputs. */
    const struct fz_integer_inputs *at = inputs_of(node->op);
    struct fz_value *in[] = {fzi_in(node, (uint32_t)at->x), fzi_in(node, (uint32_t)at->w)};
    struct fz_node as_conv = *node;
    as_conv.in = in;
    as_conv.n_in = 2;
    return fzi_conv_lower(lower, &as_conv, false, &p->conv);
}

/* The conv params with what the weights' shape adds. */
static fz_status_t complete(const struct fz_op *op, const struct params *p, const fz_tensor_t *w,
                            struct fz_conv_params *out) {
    *out = p->conv;
    if (w->rank < 3 || w->rank > 5 || !fzi_shape_known(w))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: weights of rank %d, not 3 to 5", op->name, w->rank);
    FZ_TRY(fzi_integer_conv_choose(&p->conv, w, out));
    return fzi_conv_check(op, out);
}

static fz_status_t shape(const struct fz_op *op, const struct fz_conv_params *p,
                         const fz_tensor_t *x, fz_tensor_t *out) {
    char text[160];
    if (x->rank != p->spatial + 2 || (x->dims[1] >= 0 && x->dims[1] != p->cin))
        return fzi_error(FZ_E_SHAPE, "%s: an input of %s for %lld channels", op->name,
                         fzi_shape_text(x, text, sizeof text), (long long)p->cin);
    fzi_shape_copy(out, x);
    out->dims[1] = p->cout;
    for (int32_t i = 0; i < p->spatial; i++) {
        int64_t before;
        FZ_TRY(fzi_conv_dim(op, p, 3 - (int)p->spatial + i, x->dims[2 + i], &out->dims[2 + i],
                            &before));
    }
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_integer_inputs *at = inputs_of(op);
    const fz_tensor_t *x = call->in[at->x], *w = call->in[at->w];
    struct fz_conv_params p;
    fz_tensor_t out = {0};
    int64_t n = w->rank > 0 ? w->dims[0] : -1;
    FZ_TRY(fzi_integer_check(op, call, at, fzi_integer_form(op), n));
    if (op->kind == FZ_INTEGER_ROWS)
        FZ_TRY(fzi_integer_check_rows(op, x, fzi_integer_in(call, at->x_scale),
                                      fzi_integer_in(call, at->x_zero), 1));
    int32_t dtype = fzi_integer_type(call, at, fzi_integer_form(op));
    fzi_infer_unknown(call, 0, dtype);
    if (x->rank < 0 || !fzi_shape_known(w)) return FZ_OK;
    FZ_TRY(complete(op, call->params, w, &p));
    FZ_TRY(fzi_integer_depth(op, x->dtype, w->dtype, fzi_tensor_count(w) / fzi_max_i64(p.cout, 1)));
    FZ_TRY(shape(op, &p, x, &out));
    fzi_infer_like(call, 0, dtype, &out);
    return FZ_OK;
}

struct job {
    const fz_tensor_t *x, *w;
    struct fz_conv_params p;
    struct fz_conv_geometry g;
    int64_t zx;
};

/* The sum of one output: image N, channel C, position AT; weights' zero point ZW. */
static int32_t accumulate(const struct job *j, int64_t n, int64_t c, const int64_t at[3],
                          int64_t zw) {
    const struct fz_conv_params *p = &j->p;
    const struct fz_conv_geometry *g = &j->g;
    int64_t group = c / g->cout_g, wi = c * g->cin_g * g->taps;
    uint32_t acc = 0;
    for (int64_t ci = 0; ci < g->cin_g; ci++)
        for (int64_t t = 0; t < g->taps; t++, wi++) {
            int64_t k[3] = {t / (p->kernel[1] * p->kernel[2]),
                            t / p->kernel[2] % p->kernel[1], t % p->kernel[2]};
            int64_t i = n * p->cin + group * g->cin_g + ci, x = j->zx;
            bool inside = true;
            for (int d = 0; d < 3; d++) {
                int64_t q = at[d] * p->stride[d] - g->before[d] + k[d] * p->dilation[d];
                inside = inside && q >= 0 && q < g->in[d];
                i = i * g->in[d] + q;
            }
            if (inside) x = fzi_tensor_int(j->x, i);
            acc += (uint32_t)((x - j->zx) * (fzi_tensor_int(j->w, wi) - zw));
        }
    return (int32_t)acc;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_integer_inputs *at = inputs_of(op);
    const struct params *params = call->params;
    const fz_tensor_t *zero = fzi_integer_in(call, at->w_zero);
    struct job j = {.x = call->in[at->x], .w = call->in[at->w]};
    struct fz_integer_out out;
    FZ_TRY(complete(op, params, j.w, &j.p));
    int64_t in[3] = {1, 1, 1};
    for (int64_t i = 0; i < j.p.spatial; i++) in[3 - j.p.spatial + i] = j.x->dims[2 + i];
    FZ_TRY(fzi_conv_measure(op, &j.p, j.x->dims[0], in, &j.g));
    fzi_integer_read(call, at, fzi_integer_form(op), &params->out, &out);
    const fz_tensor_t *x_zero = fzi_integer_in(call, at->x_zero);
    const float *x_scale = out.a_scale;
    bool rows = zero && fzi_tensor_count(zero) > 1;
    int64_t e = 0;
    for (int64_t n = 0; n < j.g.n; n++) {
        int64_t range = op->kind == FZ_INTEGER_ROWS ? n : 0;
        j.zx = fzi_quant_zero(x_zero, range);
        if (x_scale) out.a_scale = x_scale + range;
        for (int64_t c = 0; c < j.p.cout; c++)
            for (int64_t d = 0; d < j.g.out[0]; d++)
                for (int64_t h = 0; h < j.g.out[1]; h++)
                    for (int64_t w = 0; w < j.g.out[2]; w++, e++) {
                        const int64_t pixel[3] = {d, h, w};
                        int32_t acc =
                            accumulate(&j, n, c, pixel, fzi_quant_zero(zero, rows ? c : 0));
                        fzi_integer_finish(&out, call->out[0], e, acc, c);
                    }
    }
    return FZ_OK;
}

#define COMMON .rev = 1, .min_out = 1, .max_out = 1,                                               \
    .attrs = "auto_pad dilations group kernel_shape pads strides",                                 \
    .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run

const struct fz_op fz_ops_integer_conv[] = {
    {.name = "ConvInteger", .domain = "", .since = 10, .min_in = 2, .max_in = 4,
     .kind = FZ_INTEGER_PLAIN, COMMON},
    {.name = "QLinearConv", .domain = "", .since = 10, .min_in = 8, .max_in = 9,
     .kind = FZ_INTEGER_QLINEAR, COMMON},
    {.name = "ConvIntegerToFloat", .domain = "frozen", .since = 1, .min_in = 4, .max_in = 7,
     .kind = FZ_INTEGER_FLOAT, COMMON},
    {.name = "ConvIntegerRows", .domain = "frozen", .since = 1, .min_in = 5, .max_in = 7,
     .kind = FZ_INTEGER_ROWS, COMMON},
    {0},
};
