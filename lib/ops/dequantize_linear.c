/* DequantizeLinear: y = (float)(x - zero) * scale, per tensor, per axis or per block. */
#include "ops/quant.h"

struct params {
    int64_t axis, block, output_dtype;
};

enum { GRAIN = 16384 };
#define INTEGERS (FZ_T(U8) | FZ_T(I8) | FZ_T(U16) | FZ_T(I16) | FZ_T(I32) | FZ_T(U4) | FZ_T(I4) | \
                  FZ_T(U2) | FZ_T(I2))
#define FLOATS8 (FZ_T(F8E4M3FN) | FZ_T(F8E4M3FNUZ) | FZ_T(F8E5M2) | FZ_T(F8E5M2FNUZ))

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "axis", 1, &p->axis));
    FZ_TRY(fzi_attr_int(node, "block_size", 0, &p->block));
    FZ_TRY(fzi_attr_int(node, "output_dtype", 0, &p->output_dtype));
    if (p->output_dtype && p->output_dtype != FZ_TYPE_F32)
        return fzi_error(FZ_E_UNSUPPORTED, "output_dtype %s",
                         fz_type_name((int32_t)p->output_dtype));
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *scale = call->in[1];
    const fz_tensor_t *zero = call->n_in > 2 ? call->in[2] : NULL;
    struct fz_quant_grid grid;
    FZ_TRY(fzi_infer_type(op, call, 0, INTEGERS | FLOATS8));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(F32)));
    if (zero && zero->dtype != x->dtype)
        return fzi_error(FZ_E_TYPE, "%s: zero points of another type than the input", op->name);
    if (fzi_shape_known(x) && fzi_shape_known(scale)) {
        FZ_TRY(fzi_quant_grid(op, x, scale, p->axis, p->block, &grid));
        if (zero && fzi_shape_known(zero) && fzi_tensor_count(zero) != fzi_tensor_count(scale))
            return fzi_error(FZ_E_SHAPE, "%s: not one zero point per scale", op->name);
    }
    fzi_infer_like(call, 0, FZ_TYPE_F32, x);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    struct fz_quant_grid grid;
    const fz_tensor_t *x, *zero;
    const float *scale;
    float *y;
};

static void run_elements(const void *job, int64_t i, int64_t n, int64_t s) {
    const struct job *j = job;
    const struct fzk_table *k = j->call->env->k;
    const uint8_t *x = j->x->data;
    if (FLOATS8 >> j->x->dtype & 1) {
        k->f8_to_f32(j->x->dtype - FZ_TYPE_F8E4M3FN, j->y + i, x + i, n);
        for (int64_t e = i; e < i + n; e++) j->y[e] = j->y[e] * j->scale[s];
        return;
    }
    int64_t zero = fzi_quant_zero(j->zero, s);
    if (j->x->dtype == FZ_TYPE_U8)
        k->dequantize_u8_f32(j->y + i, x + i, n, j->scale[s], (int32_t)zero);
    else if (j->x->dtype == FZ_TYPE_I8)
        k->dequantize_i8_f32(j->y + i, (const int8_t *)x + i, n, j->scale[s], (int32_t)zero);
    else
        for (int64_t e = i; e < i + n; e++)
            j->y[e] = (float)(fzi_tensor_int(j->x, e) - zero) * j->scale[s];
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
                    .scale = call->in[1]->data, .y = call->out[0]->data};
    FZ_TRY(fzi_quant_grid(op, call->in[0], call->in[1], p->axis, p->block, &j.grid));
    int64_t rows = j.grid.outer * j.grid.n;
    if (!j.grid.per_axis && !j.grid.block)
        fzi_run_range(call->env, fzi_tensor_count(call->in[0]), GRAIN, run_flat, &j);
    else
        fzi_run_range(call->env, rows, GRAIN / (j.grid.inner + 1) + 1, run_rows, &j);
    return FZ_OK;
}

const struct fz_op fz_ops_dequantize_linear[] = {
    {.name = "DequantizeLinear", .domain = "", .since = 10, .rev = 1,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "axis block_size output_dtype",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "DequantizeLinear", .domain = "com.microsoft", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "axis block_size",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
