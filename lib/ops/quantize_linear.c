/* QuantizeLinear: y = saturate(round(x / scale) + zero), per tensor, per axis or per block, divided
 * in binary32 whatever the types of x and scale are. */
#include "ops/quant.h"
#include "ops/wide.h"

struct params {
    int64_t axis, block, output_dtype, saturate;
};

enum { GRAIN = 16384 };
#define INTEGERS (FZ_T(U8) | FZ_T(I8) | FZ_T(U16) | FZ_T(I16) | FZ_T(U4) | FZ_T(I4) | FZ_T(U2) | \
                  FZ_T(I2))

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    int64_t precision;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "precision", 0, &precision));
    if (precision && precision != FZ_TYPE_F32 && precision != FZ_TYPE_F16 &&
        precision != FZ_TYPE_BF16)
        return fzi_error(FZ_E_UNSUPPORTED, "precision %lld: divisions are in float32",
                         (long long)precision);
    FZ_TRY(fzi_attr_int(node, "axis", 1, &p->axis));
    FZ_TRY(fzi_attr_int(node, "block_size", 0, &p->block));
    FZ_TRY(fzi_attr_int(node, "saturate", 1, &p->saturate));
    return fzi_attr_int(node, "output_dtype", 0, &p->output_dtype);
}

static int32_t type_of(const struct fz_call *call) {
    const struct params *p = call->params;
    if (call->n_in > 2 && call->in[2]) return call->in[2]->dtype;
    return p->output_dtype ? (int32_t)p->output_dtype : FZ_TYPE_U8;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *scale = call->in[1];
    int32_t dtype = type_of(call);
    struct fz_quant_grid grid;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(I32)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(F32) | FZ_T(I32) | FZ_T(F8E8M0)));
    if (dtype < 1 || dtype > 63 || !((INTEGERS | FZ_QUANT_FLOATS) >> dtype & 1))
        return fzi_error(FZ_E_TYPE, "%s: no conversion from %s to %s", op->name,
                         fz_type_name(x->dtype), fz_type_name(dtype));
    if (fzi_shape_known(x) && fzi_shape_known(scale)) {
        FZ_TRY(fzi_quant_grid(op, x, scale, p->axis, p->block, &grid));
        if (call->n_in > 2 && call->in[2] && fzi_shape_known(call->in[2]) &&
            fzi_tensor_count(call->in[2]) != fzi_tensor_count(scale))
            return fzi_error(FZ_E_SHAPE, "%s: not one zero point per scale", op->name);
    }
    fzi_infer_like(call, 0, dtype, x);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    struct fz_quant_grid grid;
    const fz_tensor_t *x, *scale, *zero, *y;
    int32_t saturate;
};

/* N elements at X, the first of which is number I, share scale number S. */
static void run_block(const struct job *j, const float *x, int64_t i, int64_t n, int64_t s) {
    const struct fzk_table *k = j->call->env->k;
    float scale = fzi_quant_scale(k, j->scale, s);
    int64_t zero = 0, low, high;
    uint8_t *y = j->y->data, code;
    if (FZ_QUANT_FLOATS >> j->y->dtype & 1) {
        for (int64_t e = 0; e < n; e++) {
            float t = x[e] / scale;
            fzi_wide_to_small(k, j->y->dtype, &t, 1, j->saturate, 0, &code);
            if (j->y->dtype == FZ_TYPE_F4E2M1) fzi_quant_put(j->y, i + e, code);
            else y[i + e] = code;
        }
        return;
    }
    zero = fzi_quant_zero(j->zero, s);
    if (j->y->dtype == FZ_TYPE_U8) {
        k->quantize_f32_u8(y + i, x, n, scale, (int32_t)zero);
    } else if (j->y->dtype == FZ_TYPE_I8) {
        k->quantize_f32_i8((int8_t *)y + i, x, n, scale, (int32_t)zero);
    } else {
        low = fzi_quant_low(j->y->dtype);
        high = fzi_quant_high(j->y->dtype);
        for (int64_t e = 0; e < n; e++)
            fzi_quant_put(j->y, i + e, fzi_quant_round(x[e], scale, zero, low, high));
    }
}

/* N elements from I on share scale number S. */
static void run_elements(const void *job, int64_t i, int64_t n, int64_t s) {
    const struct job *j = job;
    float block[FZ_WIDE_BLOCK];
    if (j->x->dtype == FZ_TYPE_F32) {
        run_block(j, (const float *)j->x->data + i, i, n, s);
        return;
    }
    for (int64_t size; n > 0; i += size, n -= size) {
        size = fzi_min_i64(n, FZ_WIDE_BLOCK);
        for (int64_t e = 0; e < size; e++) block[e] = (float)((const int32_t *)j->x->data)[i + e];
        run_block(j, block, i, size, s);
    }
}

static void run_flat(void *arg, int64_t begin, int64_t end) {
    run_elements(arg, begin, end - begin, 0);
}

static void run_rows(void *arg, int64_t begin, int64_t end) {
    const struct job *j = arg;
    fzi_quant_rows(&j->grid, begin, end, run_elements, j);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *y = call->out[0];
    struct job j = {.call = call, .x = call->in[0], .scale = call->in[1],
                    .zero = call->n_in > 2 ? call->in[2] : NULL, .y = y,
                    .saturate = p->saturate != 0};
    FZ_TRY(fzi_quant_grid(op, call->in[0], call->in[1], p->axis, p->block, &j.grid));
    bool packed = fz_type_bits(y->dtype) < 8; /* elements share bytes: one thread */
    if (packed) memset(y->data, 0, y->size);
    int64_t n = fzi_tensor_count(y), rows = j.grid.outer * j.grid.n;
    if (!j.grid.per_axis && !j.grid.block) {
        if (packed) run_flat(&j, 0, n);
        else fzi_run_range(call->env, n, GRAIN, run_flat, &j);
    } else if (packed) {
        run_rows(&j, 0, rows);
    } else {
        fzi_run_range(call->env, rows, GRAIN / (j.grid.inner + 1) + 1, run_rows, &j);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_quantize_linear[] = {
    {.name = "QuantizeLinear", .domain = "", .since = 10, .rev = 1,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
     .attrs = "axis block_size saturate output_dtype precision",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "QuantizeLinear", .domain = "com.microsoft", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "axis block_size",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
