/* Endings and checks of products of quantised numbers. */
#include "ops/integer.h"

/* PLAIN: MatMulInteger, ConvInteger. QLINEAR: QLinearMatMul, QLinearConv. FLOAT:
 * com.microsoft.MatMulIntegerToFloat, frozen.ConvIntegerToFloat. */
const struct fz_integer_inputs fzi_matmul_inputs[5] = {
    {0, 1, 2, 3, -1, -1, -1, -1, -1}, {0, 3, 2, 5, 1, 4, 6, 7, -1}, {0, 1, 4, 5, 2, 3, -1, -1, 6},
    {0, 3, 2, 5, 1, 4, 6, 7, 8},      {0, 1, 4, 5, 2, 3, -1, -1, 6}};
const struct fz_integer_inputs fzi_conv_inputs[5] = {
    {0, 1, 2, 3, -1, -1, -1, -1, -1}, {0, 3, 2, 5, 1, 4, 6, 7, 8}, {0, 1, 4, 5, 2, 3, -1, -1, 6},
    {0, 3, 2, 5, 1, 4, 6, 7, 8},      {0, 1, 4, 5, 2, 3, -1, -1, 6}};

#define BYTES (FZ_T(U8) | FZ_T(I8))

int64_t fzi_integer_requantise(const struct fz_integer_out *out, int32_t acc, int64_t c) {
    float scale = out->b_scale[out->n_scale > 1 ? c : 0];
    float m = (out->a_scale[0] * scale) / out->y_scale[0];
    if (out->bias) acc = (int32_t)((uint32_t)acc + (uint32_t)((const int32_t *)out->bias->data)[c]);
    return fzi_quant_round((float)acc * m, 1, out->y_zero, out->low, out->high);
}

float fzi_integer_dequantise(const struct fz_integer_out *out, int32_t acc, int64_t c) {
    float y = (float)acc * (out->a_scale[0] * out->b_scale[out->n_scale > 1 ? c : 0]);
    return out->bias ? y + ((const float *)out->bias->data)[c] : y;
}

void fzi_integer_finish(const struct fz_integer_out *out, const fz_tensor_t *y, int64_t i,
                        int32_t acc, int64_t c) {
    if (out->kind == FZK_QOUT_I32) ((int32_t *)y->data)[i] = acc;
    else if (out->kind == FZK_QOUT_F32) ((float *)y->data)[i] = fzi_integer_dequantise(out, acc, c);
    else ((uint8_t *)y->data)[i] = (uint8_t)fzi_integer_requantise(out, acc, c);
}

static fz_status_t check_scalar(const struct fz_op *op, const fz_tensor_t *t, uint64_t types,
                                const char *what) {
    if (!t) return fzi_error(FZ_E_FORMAT, "%s: %s is missing", op->name, what);
    if (t->dtype < 1 || t->dtype > 63 || !(types >> t->dtype & 1))
        return fzi_error(FZ_E_TYPE, "%s: %s cannot be %s", op->name, what, fz_type_name(t->dtype));
    return fzi_quant_scalar_shape(op, t, what);
}

/* One number, or N of them. */
static fz_status_t check_row(const struct fz_op *op, const fz_tensor_t *t, uint64_t types,
                             int64_t n, const char *what) {
    if (!t) return FZ_OK;
    if (t->dtype < 1 || t->dtype > 63 || !(types >> t->dtype & 1))
        return fzi_error(FZ_E_TYPE, "%s: %s cannot be %s", op->name, what, fz_type_name(t->dtype));
    if (!fzi_shape_known(t) || n < 0) return FZ_OK;
    int64_t count = fzi_tensor_count(t);
    if (count == n || count == 1) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: %lld %s for %lld channels", op->name, (long long)count,
                     what, (long long)n);
}

static fz_status_t check_scales(const struct fz_op *op, const struct fz_call *call,
                                const struct fz_integer_inputs *at, enum fz_integer_form form,
                                int64_t n) {
    if (form == FZ_INTEGER_PLAIN) return FZ_OK;
    const fz_tensor_t *w_scale = fzi_integer_in(call, at->w_scale);
    if (op->kind != FZ_INTEGER_ROWS)
        FZ_TRY(check_scalar(op, fzi_integer_in(call, at->x_scale), FZ_T(F32), "the input's scale"));
    if (!w_scale) return fzi_error(FZ_E_FORMAT, "%s: the weights' scale is missing", op->name);
    FZ_TRY(check_row(op, w_scale, FZ_T(F32), n, "scales"));
    if (form != FZ_INTEGER_QLINEAR) return FZ_OK;
    FZ_TRY(check_scalar(op, fzi_integer_in(call, at->y_scale), FZ_T(F32), "the output's scale"));
    return check_scalar(op, fzi_integer_in(call, at->y_zero), BYTES, "the output's zero point");
}

fz_status_t fzi_integer_check(const struct fz_op *op, const struct fz_call *call,
                              const struct fz_integer_inputs *at, enum fz_integer_form form,
                              int64_t n) {
    const fz_tensor_t *x = call->in[at->x], *w = call->in[at->w];
    const fz_tensor_t *x_zero = fzi_integer_in(call, at->x_zero);
    const fz_tensor_t *w_zero = fzi_integer_in(call, at->w_zero);
    const fz_tensor_t *bias = fzi_integer_in(call, at->bias);
    FZ_TRY(fzi_infer_type(op, call, (uint32_t)at->x, BYTES));
    FZ_TRY(fzi_infer_type(op, call, (uint32_t)at->w, BYTES));
    if (x_zero && op->kind != FZ_INTEGER_ROWS)
        FZ_TRY(check_scalar(op, x_zero, 1ull << x->dtype, "the input's zero point"));
    FZ_TRY(check_row(op, w_zero, 1ull << w->dtype, n, "zero points"));
    FZ_TRY(check_scales(op, call, at, form, n));
    uint64_t type = form == FZ_INTEGER_QLINEAR ? FZ_T(I32) : FZ_T(F32);
    FZ_TRY(check_row(op, bias, type, n, "biases"));
    if (bias && n >= 0 && fzi_shape_known(bias) && fzi_tensor_count(bias) != n)
        return fzi_error(FZ_E_SHAPE, "%s: the bias does not fit %lld channels", op->name,
                         (long long)n);
    return FZ_OK;
}

fz_status_t fzi_integer_check_rows(const struct fz_op *op, const fz_tensor_t *x,
                                   const fz_tensor_t *scale, const fz_tensor_t *zero,
                                   int32_t outer) {
    const fz_tensor_t *both[] = {scale, zero};
    for (int i = 0; i < 2; i++) {
        const fz_tensor_t *t = both[i];
        if (!t || t->dtype != (i ? FZ_TYPE_I32 : FZ_TYPE_F32))
            return fzi_error(FZ_E_TYPE, "%s: rows need float32 scales and int32 zero points",
                             op->name);
        if (x->rank < 0 || t->rank < 0) continue;
        bool fits = t->rank == outer && outer < x->rank;
        for (int32_t d = 0; fits && d < outer; d++)
            fits = x->dims[d] < 0 || t->dims[d] < 0 || x->dims[d] == t->dims[d];
        if (!fits) return fzi_error(FZ_E_SHAPE, "%s: not one range for each row", op->name);
    }
    return FZ_OK;
}

int32_t fzi_integer_type(const struct fz_call *call, const struct fz_integer_inputs *at,
                         enum fz_integer_form form) {
    if (form == FZ_INTEGER_PLAIN) return FZ_TYPE_I32;
    return form == FZ_INTEGER_FLOAT ? FZ_TYPE_F32 : fzi_integer_in(call, at->y_zero)->dtype;
}

void fzi_integer_read(const struct fz_call *call, const struct fz_integer_inputs *at,
                      enum fz_integer_form form, const struct fz_integer_params *p,
                      struct fz_integer_out *out) {
    const fz_tensor_t *y_zero = fzi_integer_in(call, at->y_zero);
    static const int32_t kinds[] = {FZK_QOUT_I32, FZK_QOUT_8, FZK_QOUT_F32};
    *out = (struct fz_integer_out){.kind = kinds[form], .bias = fzi_integer_in(call, at->bias)};
    if (form == FZ_INTEGER_PLAIN) return;
    const fz_tensor_t *w_scale = fzi_integer_in(call, at->w_scale);
    out->a_scale = fzi_integer_in(call, at->x_scale)->data;
    out->b_scale = w_scale->data;
    out->n_scale = fzi_tensor_count(w_scale);
    if (form != FZ_INTEGER_QLINEAR) return;
    out->y_scale = fzi_integer_in(call, at->y_scale)->data;
    out->y_zero = fzi_tensor_int(y_zero, 0);
    out->low = fzi_max_i64(p->low, fzi_quant_low(y_zero->dtype));
    out->high = fzi_min_i64(p->high, fzi_quant_high(y_zero->dtype));
}

fz_status_t fzi_integer_depth(const struct fz_op *op, int32_t a, int32_t b, int64_t k) {
    /* Zero points lie in their type's range, so differences do not exceed 255; int8 weights without
     * zero points would allow more, but one rule is easier to remember. */
    (void)a, (void)b;
    if (k <= 33025) return FZ_OK;
    return fzi_error(FZ_E_LIMIT, "%s: sums of %lld products may not fit 32 bits", op->name,
                     (long long)k);
}
