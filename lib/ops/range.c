/* Range: start, start + delta, start + 2 * delta ... below limit. Of floats element i is start plus
 * the rounded product of i and delta, never a running sum; how many there are is decided in
 * binary64. */
#include "ops/op.h"

static const uint64_t types =
    FZ_T(F32) | FZ_T(F64) | FZ_T(I16) | FZ_T(I32) | FZ_T(I64) | FZ_T(F16) | FZ_T(BF16);

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    int64_t stash;
    (void)lower;
    (void)params;
    FZ_TRY(fzi_attr_int(node, "stash_type", FZ_TYPE_F32, &stash));
    if (stash == FZ_TYPE_F32) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "stash_type must be 1: half precision counts in float32");
}

/* A count of elements must be below 2^53, so that doubles and int64_t agree on it. */
static const double max_count = 0x1p53;

/* ceil((limit - start) / delta) in binary64; integers up to 64 bits in integer arithmetic. */
static bool count_floats(const fz_tensor_t *const *in, int64_t *n) {
    double start = fzi_tensor_float(in[0], 0), limit = fzi_tensor_float(in[1], 0);
    double x = (limit - start) / fzi_tensor_float(in[2], 0);
    if (!(x < max_count)) return false;
    *n = x > 0 ? (int64_t)x : 0;
    if (x > (double)*n) ++*n;
    return true;
}

static bool count_integers(const fz_tensor_t *const *in, int64_t *n) {
    int64_t start = fzi_tensor_int(in[0], 0), limit = fzi_tensor_int(in[1], 0);
    int64_t delta = fzi_tensor_int(in[2], 0);
    uint64_t span, step;
    *n = 0;
    if (delta == 0) return false;
    if (delta > 0 ? start >= limit : start <= limit) return true;
    /* Differences of int64_t fit uint64_t. */
    span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t count = (span - 1) / step + 1;
    *n = (int64_t)count;
    return count < (uint64_t)max_count;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *const *in = call->in;
    int64_t n = FZ_DIM_UNKNOWN;
    bool known = true;
    for (uint32_t i = 0; i < 3; i++) {
        FZ_TRY(fzi_infer_type(op, call, i, types));
        if (in[i]->dtype != in[0]->dtype)
            return fzi_error(FZ_E_TYPE, "%s: inputs of several types", op->name);
        if (fzi_shape_known(in[i]) && fzi_tensor_count(in[i]) != 1)
            return fzi_error(FZ_E_SHAPE, "%s: input %u is not one number", op->name, i);
        known = known && in[i]->data;
    }
    if (known && !(fzi_type_is_float(in[0]->dtype) ? count_floats(in, &n) : count_integers(in, &n)))
        return fzi_error(FZ_E_VALUE, "%s: the range is endless or too long", op->name);
    fzi_infer_shape(call, 0, in[0]->dtype, 1, &n);
    return FZ_OK;
}

/* Element i is start + i * delta: the product rounded, then the sum. */
static void fill_f32(const struct fz_call *call, float *out, int64_t n) {
    float start = *(const float *)call->in[0]->data, delta = *(const float *)call->in[2]->data;
    for (int64_t i = 0; i < n; i++) out[i] = start + (float)i * delta;
}

static void fill_f64(const struct fz_call *call, double *out, int64_t n) {
    double start = *(const double *)call->in[0]->data;
    double delta = *(const double *)call->in[2]->data;
    for (int64_t i = 0; i < n; i++) out[i] = start + (double)i * delta;
}

static void fill_half(const struct fz_call *call, uint16_t *out, int64_t n) {
    float start = (float)fzi_tensor_float(call->in[0], 0);
    float delta = (float)fzi_tensor_float(call->in[2], 0);
    for (int64_t i = 0; i < n; i++) {
        float x = start + (float)i * delta;
        out[i] = call->out[0]->dtype == FZ_TYPE_F16 ? fzi_f32_to_f16(x) : fzi_f32_to_bf16(x);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    void *out = call->out[0]->data;
    int64_t n = call->out[0]->dims[0];
    uint64_t x = (uint64_t)fzi_tensor_int(call->in[0], 0);
    uint64_t delta = (uint64_t)fzi_tensor_int(call->in[2], 0);
    (void)op;
    switch (call->out[0]->dtype) {
    case FZ_TYPE_F32: fill_f32(call, out, n); break;
    case FZ_TYPE_F64: fill_f64(call, out, n); break;
    case FZ_TYPE_I16: for (int64_t i = 0; i < n; i++, x += delta) ((int16_t *)out)[i] = (int16_t)x;
        break;
    case FZ_TYPE_I32: for (int64_t i = 0; i < n; i++, x += delta) ((int32_t *)out)[i] = (int32_t)x;
        break;
    case FZ_TYPE_I64: for (int64_t i = 0; i < n; i++, x += delta) ((int64_t *)out)[i] = (int64_t)x;
        break;
    default: fill_half(call, out, n); break;
    }
    return FZ_OK;
}

const struct fz_op fz_ops_range[] = {
    {.name = "Range", .domain = "", .since = 11, .rev = 1, .flags = FZ_OP_HALF,
     .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "stash_type",
     .lower = lower, .infer = infer, .run = run},
    {0},
};
