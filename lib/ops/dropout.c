/* Dropout. At inference: the input as it is, and a mask that keeps everything. In training, with a
 * seed: element i is dropped where number i of the seed's stream is below the ratio, else it is
 * x * (1 / (1 - ratio)), the factor computed in binary64 and rounded to binary32 (for float64 not),
 * the product to the type. */
#include "ops/generate.h"
#include "ops/move.h"
#include "ops/random.h"

/* The mask is boolean from opset 10 on, before it has the input's type. */
struct params {
    int64_t bool_mask;
    int64_t has_seed, key;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    p->bool_mask = node->opset >= 10;
    p->has_seed = fzi_attr(node, "seed") != NULL;
    return p->has_seed ? fzi_random_seed(node, &p->key) : FZ_OK;
}

/* These pass through, but no numbers are drawn for them. */
#define FLOAT_8 (FZ_T(F8E4M3FN) | FZ_T(F8E4M3FNUZ) | FZ_T(F8E5M2) | FZ_T(F8E5M2FNUZ))

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_FLOAT | FLOAT_8));
    FZ_TRY(fzi_infer_type(op, call, 2, FZ_T(BOOL)));
    if (fzi_move_has(call, 2) && fzi_shape_known(call->in[2]) &&
        fzi_tensor_count(call->in[2]) != 1)
        return fzi_error(FZ_E_SHAPE, "%s: training_mode is not one element", op->name);
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T_FLOAT | FLOAT_8));
    if (fzi_move_has(call, 1) && fzi_shape_known(call->in[1]) &&
        fzi_tensor_count(call->in[1]) != 1)
        return fzi_error(FZ_E_SHAPE, "%s: the ratio is not one element", op->name);
    fzi_infer_like(call, 0, in->dtype, in);
    fzi_infer_like(call, 1, p->bool_mask ? FZ_TYPE_BOOL : in->dtype, in);
    return FZ_OK;
}

static void fill_ones(const fz_tensor_t *t) {
    static const uint8_t yes = 1;
    static const uint16_t half = 0x3C00, bfloat = 0x3F80;
    static const float single = 1;
    static const double twice = 1;
    const void *one = t->dtype == FZ_TYPE_BOOL ? (const void *)&yes
                    : t->dtype == FZ_TYPE_F16 ? (const void *)&half
                    : t->dtype == FZ_TYPE_BF16 ? (const void *)&bfloat
                    : t->dtype == FZ_TYPE_F32 ? (const void *)&single : (const void *)&twice;
    fzi_move_fill(t->data, fzi_tensor_count(t), one, fzi_type_width(t->dtype));
}

static bool trains(const struct fz_call *call) {
    if (!fzi_move_has(call, 2) || !fzi_tensor_int(call->in[2], 0)) return false;
    const fz_tensor_t *ratio = fzi_move_has(call, 1) ? call->in[1] : NULL;
    return !ratio || fzi_tensor_count(ratio) != 1 || fzi_tensor_float(ratio, 0) != 0;
}

struct job {
    const struct fz_call *call;
    double ratio;
};

static double scaled(const struct job *job, double x) {
    double factor = 1 / (1 - job->ratio);
    if (job->call->in[0]->dtype == FZ_TYPE_F64) return x * factor;
    return (double)((float)x * (float)factor);
}

static void block_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_call *call = job->call;
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *mask = call->n_out > 1 ? call->out[1] : NULL;
    double u[FZ_GENERATE_BLOCK], kept[FZ_GENERATE_BLOCK];
    for (int64_t b = begin; b < end; b++) {
        int64_t at = b * FZ_GENERATE_BLOCK;
        int64_t n = fzi_min_i64(FZ_GENERATE_BLOCK, fzi_tensor_count(x) - at);
        fzi_random_uniform((uint64_t)p->key, FZ_STREAM_DROPOUT, at, n, u);
        for (int64_t i = 0; i < n; i++) {
            kept[i] = u[i] >= job->ratio;
            u[i] = kept[i] != 0 ? scaled(job, fzi_tensor_float(x, at + i)) : 0;
        }
        if (call->out[0]) fzi_generate_store(call->out[0], at, n, u);
        if (mask) fzi_generate_store(mask, at, n, kept);
    }
}

static fz_status_t train(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *ratio = fzi_move_has(call, 1) ? call->in[1] : NULL;
    struct job job = {call, ratio && ratio->data ? fzi_tensor_float(ratio, 0) : 0.5};
    if (!p->has_seed)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: training mode is random: give it a seed",
                         op->name);
    if (!(FZ_T_FLOAT >> call->in[0]->dtype & 1) || (ratio && !(FZ_T_FLOAT >> ratio->dtype & 1)))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: training mode of %s", op->name,
                         fz_type_name(call->in[0]->dtype));
    if (!(job.ratio >= 0 && job.ratio < 1))
        return fzi_error(FZ_E_VALUE, "%s: the ratio is not in [0, 1)", op->name);
    fzi_run_range(call->env, fzi_ceil_div(fzi_tensor_count(call->in[0]), FZ_GENERATE_BLOCK), 8,
                  block_range, &job);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    if (trains(call)) return train(op, call);
    if (call->out[0]) FZ_TRY(fzi_move_view(op, call));
    if (call->n_out > 1 && call->out[1]) fill_ones(call->out[1]);
    return FZ_OK;
}

const struct fz_op fz_ops_dropout[] = {
    {.name = "Dropout", .domain = "", .since = 1, .until = 11, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_IN_PLACE, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = 2, .attrs = "ratio is_test consumed_inputs",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "Dropout", .domain = "", .since = 12, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_IN_PLACE, .min_in = 1, .max_in = 3, .min_out = 1,
     .max_out = 2, .attrs = "seed", .params_size = sizeof(struct params), .lower = lower,
     .infer = infer, .run = run},
    {0},
};
