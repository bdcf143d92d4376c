/* DynamicQuantizeLinear: a uint8 form of x with the scale and zero point of its own range, which
 * always holds 0. One range for the whole tensor, as ONNX defines it. */
#include "ops/quant.h"

enum { GRAIN = 16384 };

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    fzi_infer_like(call, 0, FZ_TYPE_U8, call->in[0]);
    fzi_infer_shape(call, 1, FZ_TYPE_F32, 0, NULL);
    fzi_infer_shape(call, 2, FZ_TYPE_U8, 0, NULL);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    const float *x;
    uint8_t *y;
    float scale;
    int32_t zero;
};

static void quantize(void *arg, int64_t begin, int64_t end) {
    const struct job *j = arg;
    j->call->env->k->quantize_f32_u8(j->y + begin, j->x + begin, end - begin, j->scale, j->zero);
}

/* scale = (high - low) / 255, zero = round(0 - low / scale) in [0, 255]; if empty 1 and 0. */
static void choose(const float range[2], struct job *j) {
    float low = range[0] < 0 ? range[0] : 0, high = range[1] > 0 ? range[1] : 0;
    j->scale = (high - low) / 255.0f;
    j->zero = 0;
    if (!(j->scale > 0)) j->scale = 1;
    else j->zero = (int32_t)fzi_quant_round(0 - low, j->scale, 0, 0, 255);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job j = {.call = call, .x = call->in[0]->data};
    int64_t n = fzi_tensor_count(call->in[0]);
    float range[2] = {0, 0};
    (void)op;
    if (n) call->env->k->minmax_f32(range, j.x, n);
    choose(range, &j);
    if (call->out[1]) *(float *)call->out[1]->data = j.scale;
    if (call->n_out > 2 && call->out[2]) *(uint8_t *)call->out[2]->data = (uint8_t)j.zero;
    if (!call->out[0]) return FZ_OK;
    j.y = call->out[0]->data;
    fzi_run_range(call->env, n, GRAIN, quantize, &j);
    return FZ_OK;
}

const struct fz_op fz_ops_dynamic_quantize_linear[] = {
    {.name = "DynamicQuantizeLinear", .domain = "", .since = 11, .rev = 1,
     .min_in = 1, .max_in = 1, .min_out = 3, .max_out = 3, .attrs = "",
     .infer = infer, .run = run},
    {0},
};
