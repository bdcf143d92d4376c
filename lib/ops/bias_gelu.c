/* BiasGelu and FastGelu of com.microsoft: Gelu (by erf, by tanh) of an input plus a bias for the
 * last dimension, which FastGelu may lack. The sum is rounded, then comes the function. */
#include "ops/op.h"

enum { BIAS, FAST, GRAIN = 8192 };

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *bias = call->n_in > 1 ? call->in[1] : NULL;
    for (uint32_t i = 0; i < 2; i++) FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
    fzi_infer_like(call, 0, FZ_TYPE_F32, x);
    if (!bias || x->rank < 0 || bias->rank < 0) return FZ_OK;
    if (bias->rank != 1 || x->rank < 1)
        return fzi_error(FZ_E_SHAPE, "%s: the bias is not a list", op->name);
    int64_t n = x->dims[x->rank - 1];
    if (n >= 0 && bias->dims[0] >= 0 && n != bias->dims[0])
        return fzi_error(FZ_E_SHAPE, "%s: a bias of %lld elements for %lld", op->name,
                         (long long)bias->dims[0], (long long)n);
    return FZ_OK;
}

struct job {
    const struct fzk_table *k;
    int32_t fn;
    const float *x, *bias;
    float *y;
    int64_t n; /* of a row */
};

static void row_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t n = job->n;
    for (int64_t i = begin; i < end; i++) {
        const float *x = job->x + i * n;
        float *y = job->y + i * n;
        if (job->bias) {
            job->k->binary_f32(FZK_BINARY_ADD, y, x, job->bias, n, 1, 1);
            x = y;
        }
        job->k->unary_f32(job->fn, y, x, n, 0, 0);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *bias = call->n_in > 1 ? call->in[1] : NULL;
    int64_t total = fzi_tensor_count(x);
    if (total == 0) return FZ_OK;
    struct job job = {call->env->k, op->kind == BIAS ? FZK_FN_GELU : FZK_FN_GELU_TANH, x->data,
                      bias ? bias->data : NULL, call->out[0]->data,
                      x->rank ? x->dims[x->rank - 1] : 1};
    fzi_run_range(call->env, total / job.n, fzi_max_i64(1, GRAIN / job.n), row_range, &job);
    return FZ_OK;
}

#define ROW(onnx, row, inputs)                                                                     \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = inputs, .max_in = 2, \
     .min_out = 1, .max_out = 1, .kind = row, .infer = infer, .run = run}

const struct fz_op fz_ops_bias_gelu[] = {
    ROW("BiasGelu", BIAS, 2),
    ROW("FastGelu", FAST, 1),
    {0},
};
