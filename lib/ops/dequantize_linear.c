/* DequantizeLinear: y = (float)(x - zero) * scale, per tensor, per axis or per block, in binary32,
 * rounded to the output's type: that of the attribute, or of the scale. */
#include "ops/quant.h"
#include "ops/wide.h"

struct params {
    int64_t axis, block, output_dtype;
};

enum { GRAIN = 16384 };
#define INTEGERS (FZ_T(U8) | FZ_T(I8) | FZ_T(U16) | FZ_T(I16) | FZ_T(I32) | FZ_T(U4) | FZ_T(I4) | \
                  FZ_T(U2) | FZ_T(I2))
#define FLOATS (FZ_T(F32) | FZ_T(F16) | FZ_T(BF16))

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "axis", 1, &p->axis));
    FZ_TRY(fzi_attr_int(node, "block_size", 0, &p->block));
    return fzi_attr_int(node, "output_dtype", 0, &p->output_dtype);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *scale = call->in[1];
    const fz_tensor_t *zero = call->n_in > 2 ? call->in[2] : NULL;
    struct fz_quant_grid grid;
    int64_t to = p->output_dtype ? p->output_dtype : scale->dtype;
    FZ_TRY(fzi_infer_type(op, call, 0, INTEGERS | FZ_QUANT_FLOATS));
    FZ_TRY(fzi_infer_type(op, call, 1, FLOATS | FZ_T(F8E8M0)));
    if (to < 1 || to > 63 || !(FLOATS >> to & 1))
        return fzi_error(FZ_E_TYPE, "%s: the output cannot be of type %lld: give output_dtype",
                         op->name, (long long)to);
    if (zero && zero->dtype != x->dtype)
        return fzi_error(FZ_E_TYPE, "%s: zero points of another type than the input", op->name);
    if (fzi_shape_known(x) && fzi_shape_known(scale)) {
        FZ_TRY(fzi_quant_grid(op, x, scale, p->axis, p->block, &grid));
        if (zero && fzi_shape_known(zero) && fzi_tensor_count(zero) != fzi_tensor_count(scale))
            return fzi_error(FZ_E_SHAPE, "%s: not one zero point per scale", op->name);
    }
    fzi_infer_like(call, 0, (int32_t)to, x);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    struct fz_quant_grid grid;
    const fz_tensor_t *x, *zero, *scale, *y;
};

/* N elements from I on, which share scale number S, to Y. */
static void run_block(const struct job *j, int64_t i, int64_t n, int64_t s, float *y) {
    const struct fzk_table *k = j->call->env->k;
    const uint8_t *x = j->x->data;
    float scale = fzi_quant_scale(k, j->scale, s);
    if (FZ_QUANT_FLOATS >> j->x->dtype & 1) {
        for (int64_t e = 0; e < n && j->x->dtype == FZ_TYPE_F4E2M1; e++) {
            uint8_t code = x[(i + e) / 2] >> ((i + e) % 2 * 4) & 15;
            fzi_wide_from_small(k, j->x->dtype, &code, 1, y + e);
        }
        if (j->x->dtype != FZ_TYPE_F4E2M1) fzi_wide_from_small(k, j->x->dtype, x + i, n, y);
        for (int64_t e = 0; e < n; e++) y[e] = y[e] * scale;
        return;
    }
    int64_t zero = fzi_quant_zero(j->zero, s);
    if (j->x->dtype == FZ_TYPE_U8) k->dequantize_u8_f32(y, x + i, n, scale, (int32_t)zero);
    else if (j->x->dtype == FZ_TYPE_I8)
        k->dequantize_i8_f32(y, (const int8_t *)x + i, n, scale, (int32_t)zero);
    else
        for (int64_t e = 0; e < n; e++)
            y[e] = (float)(fzi_tensor_int(j->x, i + e) - zero) * scale;
}

static void run_elements(const void *job, int64_t i, int64_t n, int64_t s) {
    const struct job *j = job;
    float block[FZ_WIDE_BLOCK];
    if (j->y->dtype == FZ_TYPE_F32) {
        run_block(j, i, n, s, (float *)j->y->data + i);
        return;
    }
    for (int64_t size; n > 0; i += size, n -= size) {
        size = fzi_min_i64(n, FZ_WIDE_BLOCK);
        run_block(j, i, size, s, block);
        fzi_wide_store(j->call->env->k, j->y->dtype, j->y->data, i, size, block);
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
    struct job j = {.call = call, .x = call->in[0], .zero = call->n_in > 2 ? call->in[2] : NULL,
                    .scale = call->in[1], .y = call->out[0]};
    FZ_TRY(fzi_quant_grid(op, call->in[0], call->in[1], p->axis, p->block, &j.grid));
    int64_t rows = j.grid.outer * j.grid.n;
    if (!j.grid.per_axis && !j.grid.block)
        fzi_run_range(call->env, fzi_tensor_count(call->in[0]), GRAIN, run_flat, &j);
    else
        fzi_run_range(call->env, rows, GRAIN / (j.grid.inner + 1) + 1, run_rows, &j);
    return FZ_OK;
}

const struct fz_op fz_ops_dequantize_linear[] = {
    {.name = "DequantizeLinear", .domain = "", .since = 10, .rev = 1, .flags = FZ_OP_HALF,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "axis block_size output_dtype",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "DequantizeLinear", .domain = "com.microsoft", .since = 1, .rev = 1,
     .flags = FZ_OP_HALF,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "axis block_size",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
