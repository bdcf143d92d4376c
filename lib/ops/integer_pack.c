/* Packing quantised weights for frozen.QMatMul and frozen.QConv, and what the two share. */
#include "ops/integer.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for packed weights"); }

static bool is_unsigned(const struct fz_value *w) { return w->t.dtype == FZ_TYPE_U8; }

static int64_t zero_of(const struct fz_value *zero, int64_t channel) {
    if (!zero) return 0;
    return fzi_tensor_int(&zero->t, fzi_tensor_count(&zero->t) > 1 ? channel : 0);
}

/* The zero points of the stored weights, or NULL if all are 0. Unsigned weights are stored less
 * 128. */
static fz_status_t pack_zeros(struct fz_graph *graph, const struct fz_value *w,
                              const struct fz_value *zero, int64_t n, struct fz_value **out) {
    bool any = false;
    int64_t shift = is_unsigned(w) ? 128 : 0;
    struct fz_value *v = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I32, 1, &n);
    if (!v) return no_memory();
    for (int64_t i = 0; i < n; i++) {
        int64_t z = zero_of(zero, i) - shift;
        ((int32_t *)v->t.data)[i] = (int32_t)z;
        any = any || z != 0;
    }
    *out = any ? v : NULL;
    return FZ_OK;
}

fz_status_t fzi_qmatmul_pack(struct fz_graph *graph, const struct fz_value *w, bool trans,
                             const struct fz_value *w_zero, struct fz_packed_params *p,
                             struct fz_value **in) {
    p->k = w->t.dims[trans ? 1 : 0];
    p->n = w->t.dims[trans ? 0 : 1];
    struct fzk_segment segment = {0, p->k};
    int64_t panels = fzi_ceil_div(p->n, FZK_PANEL);
    int64_t dims[] = {panels, fzk_qpack_kq(&segment, 1), FZK_PANEL, FZK_QUAD};
    int64_t n_sums = panels * FZK_PANEL;
    in[FZ_Q_W] = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I8, 4, dims);
    in[FZ_Q_SUMS] = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I32, 1, &n_sums);
    if (!in[FZ_Q_W] || !in[FZ_Q_SUMS]) return no_memory();
    struct fzk_qpack pack = {.data = w->t.data, .k_step = trans ? 1 : p->n,
                             .n_step = trans ? p->k : 1, .n = p->n,
                             .is_unsigned = is_unsigned(w), .offset = is_unsigned(w) ? 128 : 0,
                             .segments = &segment, .n_segments = 1,
                             .b = in[FZ_Q_W]->t.data, .col_sum = in[FZ_Q_SUMS]->t.data};
    fzk_qpack_b(&pack);
    return pack_zeros(graph, w, w_zero, p->n, &in[FZ_Q_WZERO]);
}

/* OIHW bytes to OHWI. */
static uint8_t *channels_last(const struct fz_value *w, const struct fz_conv_params *p) {
    int64_t taps = p->kernel[0] * p->kernel[1] * p->kernel[2], cin = p->cin / p->group;
    uint8_t *to = fzi_alloc(w->t.size);
    const uint8_t *from = w->t.data;
    for (int64_t o = 0; to && o < p->cout; o++)
        for (int64_t c = 0; c < cin; c++)
            for (int64_t t = 0; t < taps; t++)
                to[(o * taps + t) * cin + c] = from[(o * cin + c) * taps + t];
    return to;
}

int64_t fzi_qconv_segments(const struct fz_conv_params *p, int64_t pitch,
                           struct fzk_segment *out) {
    int64_t cin = p->cin / p->group, n = 0;
    bool rows = p->group == 1 && p->dilation[2] == 1;
    for (int64_t h = 0; h < p->kernel[1]; h++) {
        int64_t off = h * p->dilation[1] * pitch;
        if (rows) {
            out[n++] = (struct fzk_segment){off, p->kernel[2] * cin};
            continue;
        }
        for (int64_t w = 0; w < p->kernel[2]; w++)
            out[n++] = (struct fzk_segment){off + w * p->dilation[2] * p->cin, cin};
    }
    return n;
}

/* [group][panels][kq][32][4], sums [group][panels * 32]. */
static fz_status_t pack_gemm(struct fz_graph *graph, const struct fz_value *w,
                             const struct fz_conv_params *p, struct fz_value **in) {
    int64_t taps = p->kernel[1] * p->kernel[2], cout = p->cout / p->group;
    int64_t panels = fzi_ceil_div(cout, FZK_PANEL);
    struct fzk_segment *segments = fzi_calloc((size_t)taps, sizeof *segments);
    uint8_t *last = channels_last(w, p);
    int64_t n = segments ? fzi_qconv_segments(p, 0, segments) : 0;
    int64_t kq = segments ? fzk_qpack_kq(segments, n) : 0;
    int64_t dims[] = {p->group, panels, kq, FZK_PANEL, FZK_QUAD};
    int64_t sums[] = {p->group, panels * FZK_PANEL}, k = taps * (p->cin / p->group);
    in[FZ_Q_W] = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I8, 5, dims);
    in[FZ_Q_SUMS] = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I32, 2, sums);
    bool good = segments && last && in[FZ_Q_W] && in[FZ_Q_SUMS];
    for (int64_t g = 0; good && g < p->group; g++) {
        struct fzk_qpack pack = {
            .data = last + g * cout * k, .k_step = 1, .n_step = k, .n = cout,
            .is_unsigned = is_unsigned(w), .offset = is_unsigned(w) ? 128 : 0,
            .segments = segments, .n_segments = n,
            .b = (int8_t *)in[FZ_Q_W]->t.data + g * panels * kq * FZK_PANEL * FZK_QUAD,
            .col_sum = (int32_t *)in[FZ_Q_SUMS]->t.data + g * sums[1]};
        fzk_qpack_b(&pack);
    }
    fzi_free(segments);
    fzi_free(last);
    return good ? FZ_OK : no_memory();
}

/* The least and the largest weight less its zero point. */
static void range_of(const struct fz_value *w, const struct fz_value *zero, int64_t cout,
                     int64_t *low, int64_t *high) {
    int64_t n = fzi_tensor_count(&w->t);
    *low = *high = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t d = fzi_tensor_int(&w->t, i) - zero_of(zero, i / (n / cout));
        if (d < *low) *low = d;
        if (d > *high) *high = d;
    }
}

/* Weights less their zero points, [taps][cout] of 16 bits, where they do not fit a byte. */
static fz_status_t pack_wide(struct fz_graph *graph, const struct fz_value *w,
                             const struct fz_value *zero, const struct fz_conv_params *p,
                             struct fz_value **in) {
    int64_t taps = p->kernel[1] * p->kernel[2], dims[] = {taps, p->cout};
    in[FZ_Q_W] = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I16, 2, dims);
    if (!in[FZ_Q_W]) return no_memory();
    for (int64_t c = 0; c < p->cout; c++)
        for (int64_t t = 0; t < taps; t++)
            ((int16_t *)in[FZ_Q_W]->t.data)[t * p->cout + c] =
                (int16_t)(fzi_tensor_int(&w->t, c * taps + t) - zero_of(zero, c));
    return FZ_OK;
}

/* Weights less their zero points as one signed byte each, or TWICE as two that add up: the taps of
 * each channel, then their rests. The caller frees. */
static int8_t *summands(const struct fz_value *w, const struct fz_value *zero, int64_t cout,
                        bool twice) {
    int64_t n = fzi_tensor_count(&w->t), taps = n / fzi_max_i64(cout, 1);
    int64_t step = twice ? 2 * taps : taps;
    int8_t *to = fzi_calloc((size_t)(cout * step), 1);
    for (int64_t i = 0; to && i < n; i++) {
        int64_t d = fzi_tensor_int(&w->t, i) - zero_of(zero, i / taps);
        int64_t first = d < -128 ? -128 : d > 127 ? 127 : d, at = i / taps * step + i % taps;
        to[at] = (int8_t)first;
        if (twice) to[at + taps] = (int8_t)(d - first);
    }
    return to;
}

/* Differences up to 254 are the sum of two signed bytes; 255 is not. */
static fz_status_t pack_depthwise(struct fz_graph *graph, const struct fz_value *w,
                                  const struct fz_value *zero, const struct fz_conv_params *p,
                                  struct fz_value **in) {
    int64_t low, high, taps = p->kernel[1] * p->kernel[2];
    int64_t n_sums = fzi_ceil_div(p->cout, 32) * 32;
    range_of(w, zero, p->cout, &low, &high);
    if (high > 254) return pack_wide(graph, w, zero, p, in);
    bool twice = low < -128 || high > 127;
    int64_t rows = twice ? 2 * p->kernel[1] : p->kernel[1];
    int64_t size = fzk_qpack_depthwise_size(p->cout, rows, p->kernel[2]);
    int8_t *data = summands(w, zero, p->cout, twice);
    in[FZ_Q_W] = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I8, 1, &size);
    in[FZ_Q_SUMS] = fzi_graph_new_constant(graph, w->name, FZ_TYPE_I32, 1, &n_sums);
    bool good = data && in[FZ_Q_W] && in[FZ_Q_SUMS];
    struct fzk_qpack_dw pack = {.data = data, .tap_step = 1, .c_step = twice ? 2 * taps : taps,
                                .c = p->cout, .kh = rows, .kw = p->kernel[2],
                                .w = good ? in[FZ_Q_W]->t.data : NULL,
                                .col_sum = good ? in[FZ_Q_SUMS]->t.data : NULL};
    if (good) fzk_qpack_depthwise(&pack);
    fzi_free(data);
    return good ? FZ_OK : no_memory();
}

fz_status_t fzi_qconv_pack(struct fz_graph *graph, const struct fz_value *w,
                           const struct fz_value *w_zero, struct fz_packed_params *p,
                           struct fz_value **in) {
    p->n = p->conv.cout;
    if (p->conv.algorithm == FZ_CONV_DEPTHWISE)
        return pack_depthwise(graph, w, w_zero, &p->conv, in);
    FZ_TRY(pack_gemm(graph, w, &p->conv, in));
    return pack_zeros(graph, w, w_zero, p->conv.cout, &in[FZ_Q_WZERO]);
}

/* ---- the call */

static const fz_tensor_t *input(const struct fz_call *call, uint32_t i) {
    return i < call->n_in ? call->in[i] : NULL;
}

static fz_status_t check_input(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                               int32_t dtype, int64_t n, bool needed) {
    const fz_tensor_t *t = input(call, i);
    if (!t && !needed) return FZ_OK;
    bool fits = t && t->dtype == dtype && fzi_shape_known(t) && fzi_tensor_count(t) == n;
    if (fits) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "%s: input %u does not fit", op->name, i);
}

/* x's one scale and zero point, or those of its rows. */
static fz_status_t check_ranges(const struct fz_op *op, const struct fz_call *call,
                                int32_t outer) {
    const struct fz_packed_params *p = call->params;
    const fz_tensor_t *zero = input(call, FZ_Q_XZERO), *x_scale = input(call, FZ_Q_XSCALE);
    bool real = p->out.kind == FZK_QOUT_F32;
    if (real && zero && zero->dtype == FZ_TYPE_I32)
        return fzi_integer_check_rows(op, call->in[FZ_Q_X], x_scale, zero, outer);
    if (zero && (zero->dtype != (p->x_signed ? FZ_TYPE_I8 : FZ_TYPE_U8) ||
                 (fzi_shape_known(zero) && fzi_tensor_count(zero) != 1)))
        return fzi_error(FZ_E_TYPE, "%s: the zero point does not fit", op->name);
    if (real && (!x_scale || x_scale->dtype != FZ_TYPE_F32 ||
                 (fzi_shape_known(x_scale) && fzi_tensor_count(x_scale) != 1)))
        return fzi_error(FZ_E_TYPE, "%s: the input's scale does not fit", op->name);
    return FZ_OK;
}

fz_status_t fzi_packed_check(const struct fz_op *op, const struct fz_call *call, int64_t n,
                             int64_t sums, int32_t outer) {
    const struct fz_packed_params *p = call->params;
    const struct fz_integer_params *o = &p->out;
    bool eight = o->kind == FZK_QOUT_8, real = o->kind == FZK_QOUT_F32;
    if (o->kind < FZK_QOUT_I32 || o->kind > FZK_QOUT_F32 || p->x_signed >> 1 || p->y_signed >> 1)
        return fzi_error(FZ_E_FORMAT, "%s: unknown kind", op->name);
    int64_t low = p->y_signed ? -128 : 0;
    if (eight && (o->low < low || o->high > low + 255 || o->low > o->high || p->y_zero < low ||
                  p->y_zero > low + 255))
        return fzi_error(FZ_E_FORMAT, "%s: a range outside of the type", op->name);
    FZ_TRY(fzi_infer_type(op, call, FZ_Q_X, p->x_signed ? FZ_T(I8) : FZ_T(U8)));
    FZ_TRY(check_input(op, call, FZ_Q_SUMS, FZ_TYPE_I32, sums, sums > 0));
    FZ_TRY(check_input(op, call, FZ_Q_WZERO, FZ_TYPE_I32, n, false));
    const fz_tensor_t *scale = input(call, FZ_Q_SCALE);
    int64_t n_scale = scale && scale->rank == 0 ? 1 : n;
    FZ_TRY(check_input(op, call, FZ_Q_SCALE, FZ_TYPE_F32, n_scale, eight || real));
    FZ_TRY(check_input(op, call, FZ_Q_BIAS, real ? FZ_TYPE_F32 : FZ_TYPE_I32, n, false));
    return check_ranges(op, call, outer);
}

bool fzi_packed_has_rows(const struct fz_call *call) {
    const fz_tensor_t *zero = input(call, FZ_Q_XZERO);
    return zero && zero->dtype == FZ_TYPE_I32;
}

const int32_t *fzi_packed_zeros(const struct fz_call *call, int64_t row) {
    if (!fzi_packed_has_rows(call)) return NULL;
    return (const int32_t *)input(call, FZ_Q_XZERO)->data + row;
}

const float *fzi_packed_scales(const struct fz_call *call, int64_t row) {
    if (!fzi_packed_has_rows(call)) return NULL;
    return (const float *)input(call, FZ_Q_XSCALE)->data + row;
}

int32_t fzi_packed_zero(const struct fz_call *call) {
    return (int32_t)fzi_quant_zero(input(call, FZ_Q_XZERO), 0);
}

int32_t fzi_packed_type(const struct fz_packed_params *p) {
    if (p->out.kind == FZK_QOUT_I32) return FZ_TYPE_I32;
    if (p->out.kind == FZK_QOUT_F32) return FZ_TYPE_F32;
    return p->y_signed ? FZ_TYPE_I8 : FZ_TYPE_U8;
}

struct fzk_qout fzi_packed_out(const struct fz_call *call, int64_t first, int64_t at,
                               int64_t ldc) {
    const struct fz_packed_params *p = call->params;
    const fz_tensor_t *scale = input(call, FZ_Q_SCALE), *bias = input(call, FZ_Q_BIAS);
    const fz_tensor_t *residual = input(call, FZ_Q_RESIDUAL);
    bool real = p->out.kind == FZK_QOUT_F32, one = scale && scale->rank == 0;
    size_t width = p->out.kind == FZK_QOUT_8 ? 1 : 4;
    struct fzk_qout out = {.c = (char *)call->out[0]->data + (size_t)at * width, .ldc = ldc,
                           .kind = (int32_t)p->out.kind, .zp = (int32_t)p->y_zero,
                           .lo = (int32_t)p->out.low, .hi = (int32_t)p->out.high};
    if (scale) out.scale = (const float *)scale->data + (one ? 0 : first);
    out.n_scale = one ? 1 : (int32_t)(p->n - first);
    if (bias && real) out.bias_f32 = (const float *)bias->data + first;
    else if (bias) out.bias_i32 = (const int32_t *)bias->data + first;
    if (!real) return out;
    out.a_scale = *(const float *)input(call, FZ_Q_XSCALE)->data;
    if (residual) {
        out.residual = (const float *)residual->data + at;
        out.ldr = ldc;
    }
    out.clip = p->out.clip != 0;
    out.lo_f = (float)p->out.a;
    out.hi_f = (float)p->out.b;
    return out;
}
