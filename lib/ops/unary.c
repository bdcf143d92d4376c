/* Elementwise functions of one operand: y = f(x). Floats go through the kernels' functions, each
 * the expression that kernels/numeric.h gives it (half precision by way of binary32); integers,
 * where ONNX has them, wrap modulo 2^n; Erf and Shrink of integers go by way of binary64 and
 * truncate. */
#include "ops/act.h"
#include "ops/wide.h"

enum {
    GRAIN = 8192, /* elements of a task */
    NEAR = 2048   /* elements that stay in the nearest cache until they are rounded */
};

struct params {
    int64_t fn;    /* FZK_FN_ */
    double a, b;   /* binary32 values */
    int64_t round; /* FZK_ROUND_F16, FZK_ROUND_BF16: float32 results are rounded; or 0 */
};

/* The float attributes of a function, in the order of its parameters. */
struct attrs {
    const char *a, *b;
    float a_default, b_default;
};

static const struct attrs attrs_of[FZK_FN_COUNT] = {
    [FZK_FN_LEAKY_RELU] = {"alpha", NULL, 0.01f, 0},
    [FZK_FN_ELU] = {"alpha", NULL, 1.0f, 0},
    [FZK_FN_SELU] = {"alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f},
    [FZK_FN_CELU] = {"alpha", NULL, 1.0f, 0},
    [FZK_FN_THRESHOLDED_RELU] = {"alpha", NULL, 1.0f, 0},
    [FZK_FN_HARD_SIGMOID] = {"alpha", "beta", 0.2f, 0.5f},
    [FZK_FN_SWISH] = {"alpha", NULL, 1.0f, 0},
    [FZK_FN_SHRINK] = {"lambd", "bias", 0.5f, 0.0f},
};
static const struct attrs old_selu = {"alpha", "gamma", 1.6732f, 1.0507f};
static const struct attrs quick_gelu = {"alpha", NULL, 1.702f, 0};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const forms[] = {"none", "tanh", NULL};
    struct params *p = params;
    const struct attrs *attrs = &attrs_of[node->op->kind];
    (void)lower;
    if (node->op->kind == FZK_FN_SELU && node->op->until == 5) attrs = &old_selu;
    if (node->op->domain[0] && node->op->kind == FZK_FN_SWISH) attrs = &quick_gelu;
    p->fn = node->op->kind;
    if (attrs->a) FZ_TRY(fzi_attr_float(node, attrs->a, attrs->a_default, &p->a));
    if (attrs->b) FZ_TRY(fzi_attr_float(node, attrs->b, attrs->b_default, &p->b));
    if (p->fn != FZK_FN_GELU) return FZ_OK;
    int64_t form;
    FZ_TRY(fzi_attr_choice(node, "approximate", forms, 0, &form));
    if (form) p->fn = FZK_FN_GELU_TANH;
    return FZ_OK;
}

/* ---- integers: on 64 bits */

static void map_int(int64_t fn, int64_t *y, const int64_t *x, int64_t n, bool sign) {
    switch (fn) {
    case FZK_FN_ABS:
        for (int64_t i = 0; i < n; i++)
            y[i] = sign && x[i] < 0 ? (int64_t)(0 - (uint64_t)x[i]) : x[i];
        return;
    case FZK_FN_NEG:
        for (int64_t i = 0; i < n; i++) y[i] = (int64_t)(0 - (uint64_t)x[i]);
        return;
    case FZK_FN_SIGN:
        for (int64_t i = 0; i < n; i++) y[i] = sign && x[i] < 0 ? -1 : x[i] != 0;
        return;
    default: /* Relu */
        for (int64_t i = 0; i < n; i++) y[i] = sign && x[i] < 0 ? 0 : x[i];
        return;
    }
}

struct job {
    const struct fzk_table *k;
    const struct params *p;
    const fz_tensor_t *in;
    fz_tensor_t *out;
};

/* Functions that leave integers. */
static void map_real(const struct job *job, int64_t *y, const int64_t *x, int64_t n) {
    bool u64 = job->in->dtype == FZ_TYPE_U64;
    for (int64_t i = 0; i < n; i++) {
        double v = u64 ? (double)(uint64_t)x[i] : (double)x[i];
        job->k->unary_f64((int32_t)job->p->fn, &v, &v, 1, job->p->a, job->p->b);
        if (v != v || v <= -0x1p63 || v >= 0x1p64) y[i] = 0;
        else y[i] = v < 0x1p63 ? (int64_t)v : (int64_t)(uint64_t)v;
    }
}

static uint64_t types_of(int64_t fn) {
    if (fn == FZK_FN_ABS || fn == FZK_FN_SIGN) return FZ_T_NUMBER;
    if (fn == FZK_FN_ERF || fn == FZK_FN_SHRINK) return FZ_T_NUMBER;
    return fn == FZK_FN_NEG || fn == FZK_FN_RELU ? FZ_T_FLOAT | FZ_T_INT : FZ_T_FLOAT;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    bool known = p->fn == op->kind || (op->kind == FZK_FN_GELU && p->fn == FZK_FN_GELU_TANH);
    if (!known || p->round < 0 || p->round > FZK_ROUND_BF16)
        return fzi_error(FZ_E_FORMAT, "%s: unknown function or rounding", op->name);
    FZ_TRY(fzi_infer_type(op, call, 0, types_of(op->kind)));
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[0]);
    return FZ_OK;
}

static void map_block(const struct job *job, int64_t first, int64_t n) {
    union fz_wide_block source, target;
    int32_t type = job->in->dtype;
    const struct params *p = job->p;
    const void *x = fzi_wide_load(job->k, type, job->in->data, first, n, &source);
    void *y = fzi_wide_target(type, job->out->data, first, &target);
    switch (fzi_wide_of(type)) {
    case FZ_WIDE_F32:
        job->k->unary_f32((int32_t)p->fn, y, x, n, (float)p->a, (float)p->b);
        if (type == FZ_TYPE_F32) fzi_round_run(job->k, p->round, y, n);
        break;
    case FZ_WIDE_F64: job->k->unary_f64((int32_t)p->fn, y, x, n, p->a, p->b); break;
    default:
        if (p->fn == FZK_FN_ERF || p->fn == FZK_FN_SHRINK) map_real(job, y, x, n);
        else map_int(p->fn, y, x, n, fzi_type_is_signed(type));
        break;
    }
    fzi_wide_store(job->k, type, job->out->data, first, n, y);
}

static void map_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t most = !fzi_wide_native(job->in->dtype) ? FZ_WIDE_BLOCK
                   : job->p->round                  ? NEAR
                                                    : end - begin;
    for (int64_t i = begin; i < end; i += most) map_block(job, i, fzi_min_i64(most, end - i));
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    struct job job = {call->env->k, call->params, call->in[0], call->out[0]};
    fzi_run_range(call->env, fzi_tensor_count(job.out), GRAIN, map_range, &job);
    return FZ_OK;
}

#define ROW_OF(family, onnx, first, last, function, known)                                         \
    {.name = onnx, .domain = family, .since = first, .until = last, .rev = 1,                      \
     .flags = FZ_OP_IN_PLACE | FZ_OP_HALF, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,   \
     .attrs = known, .params_size = sizeof(struct params), .kind = FZK_FN_##function,              \
     .lower = lower, .infer = infer, .run = run, .round_at = offsetof(struct params, round)}
#define ROW(onnx, first, function, known) ROW_OF("", onnx, first, 0, function, known)

const struct fz_op fz_ops_unary[] = {
    ROW("Abs", 1, ABS, "consumed_inputs"),
    ROW("Neg", 1, NEG, "consumed_inputs"),
    ROW("Sign", 9, SIGN, NULL),
    ROW("Floor", 1, FLOOR, "consumed_inputs"),
    ROW("Ceil", 1, CEIL, "consumed_inputs"),
    ROW("Round", 11, ROUND, NULL),
    ROW("Sqrt", 1, SQRT, "consumed_inputs"),
    ROW("Reciprocal", 1, RECIPROCAL, "consumed_inputs"),
    ROW("Exp", 1, EXP, "consumed_inputs"),
    ROW("Log", 1, LOG, "consumed_inputs"),
    ROW("Sin", 7, SIN, NULL),
    ROW("Cos", 7, COS, NULL),
    ROW("Tan", 7, TAN, NULL),
    ROW("Asin", 7, ASIN, NULL),
    ROW("Acos", 7, ACOS, NULL),
    ROW("Atan", 7, ATAN, NULL),
    ROW("Sinh", 9, SINH, NULL),
    ROW("Cosh", 9, COSH, NULL),
    ROW("Tanh", 1, TANH, "consumed_inputs"),
    ROW("Asinh", 9, ASINH, NULL),
    ROW("Acosh", 9, ACOSH, NULL),
    ROW("Atanh", 9, ATANH, NULL),
    ROW("Erf", 9, ERF, NULL),
    ROW("Sigmoid", 1, SIGMOID, "consumed_inputs"),
    ROW("Relu", 1, RELU, "consumed_inputs"),
    ROW("LeakyRelu", 1, LEAKY_RELU, "alpha consumed_inputs"),
    ROW("Elu", 1, ELU, "alpha consumed_inputs"),
    ROW_OF("", "Selu", 1, 5, SELU, "alpha gamma consumed_inputs"),
    ROW("Selu", 6, SELU, "alpha gamma"),
    ROW("Celu", 12, CELU, "alpha"),
    ROW("ThresholdedRelu", 10, THRESHOLDED_RELU, "alpha"),
    ROW("HardSigmoid", 1, HARD_SIGMOID, "alpha beta consumed_inputs"),
    ROW("HardSwish", 14, HARD_SWISH, NULL),
    ROW("Softplus", 1, SOFTPLUS, NULL),
    ROW("Softsign", 1, SOFTSIGN, NULL),
    ROW("Shrink", 9, SHRINK, "lambd bias"),
    ROW("Mish", 18, MISH, NULL),
    ROW("Gelu", 20, GELU, "approximate"),
    ROW("Swish", 24, SWISH, "alpha"),
    ROW_OF("com.microsoft", "Gelu", 1, 0, GELU, NULL),
    ROW_OF("com.microsoft", "QuickGelu", 1, 0, SWISH, "alpha"),
    {0},
};
