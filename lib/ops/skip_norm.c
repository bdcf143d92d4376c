/* SkipLayerNormalization and SkipSimplifiedLayerNormalization of com.microsoft: the sum of input,
 * skip and bias, in this order, each step rounded, normalised along the last dimension as
 * LayerNormalization and RMSNormalization do. */
#include "ops/pairs.h"

enum { LAYER, SIMPLIFIED };
enum { SUM_OUT = 3 };

struct params {
    double eps; /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_float(node, "epsilon", node->op->kind == LAYER ? 1e-12f : 1e-6f, &p->eps);
}

/* The input of the bias; the simplified form has no beta before it. */
static uint32_t bias_at(const struct fz_op *op) { return op->kind == LAYER ? 4 : 3; }

static const fz_tensor_t *input(const struct fz_call *call, uint32_t i) {
    return i < call->n_in ? call->in[i] : NULL;
}

static fz_status_t check_list(const struct fz_op *op, const struct fz_call *call, uint32_t i) {
    const fz_tensor_t *t = input(call, i), *x = call->in[0];
    if (!t || t->rank < 0 || x->rank < 1) return FZ_OK;
    int64_t n = x->dims[x->rank - 1];
    if (t->rank == 1 && (n < 0 || t->dims[0] < 0 || t->dims[0] == n)) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: input %u does not fit the last dimension", op->name, i);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *skip = call->in[1];
    fz_tensor_t joined = {0}, stat = *x;
    for (uint32_t i = 0; i < 5; i++) FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
    if (x->rank == 0) return fzi_error(FZ_E_SHAPE, "%s: the input is a scalar", op->name);
    for (uint32_t i = 2; i <= bias_at(op); i++) FZ_TRY(check_list(op, call, i));
    const fz_tensor_t *const both[2] = {x, skip};
    FZ_TRY(fzi_infer_broadcast(op, both, 2, &joined));
    if (fzi_shape_known(x) && fzi_shape_known(skip) && !fzi_shape_equal(x, &joined))
        return fzi_error(FZ_E_SHAPE, "%s: skip is larger than the input", op->name);
    if (x->rank > 0) stat.dims[x->rank - 1] = 1;
    fzi_infer_like(call, 0, FZ_TYPE_F32, x);
    fzi_infer_like(call, 1, FZ_TYPE_F32, &stat);
    fzi_infer_like(call, 2, FZ_TYPE_F32, &stat);
    fzi_infer_like(call, SUM_OUT, FZ_TYPE_F32, x);
    return FZ_OK;
}

static void add_f32(const struct fzk_table *k, int64_t n, const void *a, int64_t a_step,
                    const void *b, int64_t b_step, void *y) {
    k->binary_f32(FZK_BINARY_ADD, y, a, b, n, a_step, b_step);
}

/* TO = A + B. */
static fz_status_t add(const struct fz_call *call, const fz_tensor_t *a, const fz_tensor_t *b,
                       fz_tensor_t *to) {
    static const struct fz_pairs_params plain = {0};
    const fz_tensor_t *const in[2] = {a, b};
    fz_tensor_t *const out[1] = {to};
    const struct fz_call step = {.n_in = 2, .n_out = 1, .in = in, .out = out, .env = call->env};
    return fzi_pairs_run(&step, &plain, add_f32, false);
}

struct job {
    const struct fzk_table *k;
    struct fzk_norm_f32 norm; /* of all rows */
};

static void row_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    struct fzk_norm_f32 g = job->norm;
    g.rows = end - begin;
    g.x += begin * g.n;
    g.y += begin * g.n;
    if (g.mean) g.mean += begin;
    if (g.inv_std) g.inv_std += begin;
    job->k->norm_f32(&g);
}

static float *output(const struct fz_call *call, uint32_t i) {
    return i < call->n_out && call->out[i] ? call->out[i]->data : NULL;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *bias = input(call, bias_at(op));
    const fz_tensor_t *beta = op->kind == LAYER ? input(call, 3) : NULL;
    fz_tensor_t *sum = call->n_out > SUM_OUT && call->out[SUM_OUT] ? call->out[SUM_OUT]
                                                                   : call->out[0];
    int64_t n = x->dims[x->rank - 1], total = fzi_tensor_count(x);
    if (total == 0) return FZ_OK;
    FZ_TRY(add(call, x, call->in[1], sum));
    if (bias) FZ_TRY(add(call, sum, bias, sum));
    struct job job = {call->env->k, {.rows = total / n, .n = n, .x = sum->data,
                                     .y = call->out[0]->data, .gain = call->in[2]->data,
                                     .bias = beta ? beta->data : NULL, .mean = output(call, 1),
                                     .inv_std = output(call, 2), .eps = (float)p->eps,
                                     .rms = op->kind == SIMPLIFIED}};
    fzi_run_range(call->env, total / n, fzi_max_i64(1, 8192 / n), row_range, &job);
    return FZ_OK;
}

#define ROW(onnx, row, inputs)                                                                     \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = 3, .max_in = inputs, \
     .min_out = 1, .max_out = 4, .flags = FZ_OP_STATISTICS, .attrs = "epsilon",                    \
     .params_size = sizeof(struct params),                                                         \
     .kind = row, .lower = lower, .infer = infer, .run = run}

const struct fz_op fz_ops_skip_norm[] = {
    ROW("SkipLayerNormalization", LAYER, 5),
    ROW("SkipSimplifiedLayerNormalization", SIMPLIFIED, 4),
    {0},
};
