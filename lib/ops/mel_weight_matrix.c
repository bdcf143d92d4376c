/* MelWeightMatrix: triangles over the bins of a spectrum, all computed in binary64. With
 * mel(f) = 2595 ln(1 + f / 700) / ln 10, the corners are equal steps of mel from the lower to the
 * upper edge, (upper - lower) / (bands + 2) each, as bins floor((dft_length + 1) * f / rate). */
#include "ops/generate.h"
#include "ops/move.h"

enum { BANDS, DFT_LENGTH, RATE, LOWER, UPPER };
static const double ln_10 = 2.302585092994045684;

struct params {
    int64_t dtype;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "output_datatype", FZ_TYPE_F32, &p->dtype);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int64_t dims[2] = {FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN}, value[3];
    bool known[3];
    FZ_TRY(fzi_generate_type(op, p->dtype, FZ_T_NUMBER));
    for (uint32_t i = BANDS; i <= RATE; i++) {
        FZ_TRY(fzi_infer_type(op, call, i, FZ_T(I32) | FZ_T(I64)));
        FZ_TRY(fzi_move_scalar(op, call, i, &value[i], &known[i]));
        if (known[i] && (value[i] < 1 || value[i] > INT32_MAX))
            return fzi_error(FZ_E_VALUE, "%s: input %u is %lld", op->name, i,
                             (long long)value[i]);
    }
    for (uint32_t i = LOWER; i <= UPPER; i++) {
        FZ_TRY(fzi_infer_type(op, call, i, FZ_T_FLOAT));
        if (fzi_shape_known(call->in[i]) && fzi_tensor_count(call->in[i]) != 1)
            return fzi_error(FZ_E_SHAPE, "%s: input %u is not one number", op->name, i);
    }
    if (known[DFT_LENGTH]) dims[0] = value[DFT_LENGTH] / 2 + 1;
    if (known[BANDS]) dims[1] = value[BANDS];
    fzi_infer_shape(call, 0, (int32_t)p->dtype, 2, dims);
    return FZ_OK;
}

struct bank {
    const struct fzk_table *k;
    double low, step, length, rate; /* low, step: mel */
};

static double mel(const struct fzk_table *k, double hertz) {
    double x = hertz / 700;
    k->unary_f64(FZK_FN_LOG1P, &x, &x, 1, 0, 0);
    return 2595 * x / ln_10;
}

/* The bin of corner I. */
static double corner(const struct bank *bank, int64_t i) {
    double x = ((double)i * bank->step + bank->low) / 2595 * ln_10;
    bank->k->unary_f64(FZK_FN_EXPM1, &x, &x, 1, 0, 0);
    x = (bank->length + 1) * (700 * x) / bank->rate;
    bank->k->unary_f64(FZK_FN_FLOOR, &x, &x, 1, 0, 0);
    return x;
}

/* The weight of bin J in a triangle with these corners. */
static double weight(double j, double left, double middle, double right) {
    if (j == middle) return 1;
    if (j >= left && j < middle) return (j - left) / (middle - left);
    if (j > middle && j < right) return (right - j) / (right - middle);
    return 0;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *out = call->out[0];
    int64_t bins = out->dims[0], bands = out->dims[1];
    const struct fzk_table *k = call->env->k;
    double low = mel(k, fzi_tensor_float(call->in[LOWER], 0));
    double high = mel(k, fzi_tensor_float(call->in[UPPER], 0));
    struct bank bank = {k, low, (high - low) / (double)(bands + 2),
                        (double)fzi_tensor_int(call->in[DFT_LENGTH], 0),
                        (double)fzi_tensor_int(call->in[RATE], 0)};
    if (!(low >= 0 && high >= low))
        return fzi_error(FZ_E_VALUE, "%s: the edges are not in order", op->name);
    for (int64_t i = 0; i < bands; i++) {
        double left = corner(&bank, i), middle = corner(&bank, i + 1), right = corner(&bank, i + 2);
        FZ_TRY(call->env->poll(call->env));
        for (int64_t j = 0; j < bins; j++) {
            double w = weight((double)j, left, middle, right);
            fzi_generate_store(out, j * bands + i, 1, &w);
        }
    }
    return FZ_OK;
}

const struct fz_op fz_ops_mel_weight_matrix[] = {
    {.name = "MelWeightMatrix", .domain = "", .since = 17, .rev = 1, .flags = FZ_OP_HALF,
     .min_in = 5, .max_in = 5, .min_out = 1, .max_out = 1, .attrs = "output_datatype",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
