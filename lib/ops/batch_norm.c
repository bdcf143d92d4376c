/* BatchNormalization of a trained network: a * x + b (two roundings) for each channel, where a =
 * scale / sqrt(var + eps) and b = bias - mean * a are computed in binary64, b from the unrounded a,
 * and each rounded once. Training is another operator: lib/passes/expand.c puts it in its place. */
#include "ops/op.h"

enum { GRAIN = 8192 };

struct params {
    double eps; /* a binary32 value */
    int64_t training; /* 1: is to become frozen.BatchNormalizationTraining */
    int64_t flat; /* 1: every element of an image is a channel of its own (spatial = 0) */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    int64_t spatial, is_test, training;
    (void)lower;
    FZ_TRY(fzi_attr_float(node, "epsilon", 1e-5f, &p->eps));
    FZ_TRY(fzi_attr_int(node, "spatial", 1, &spatial));
    FZ_TRY(fzi_attr_int(node, "is_test", node->op->until == 6 ? 0 : 1, &is_test));
    FZ_TRY(fzi_attr_int(node, "training_mode", 0, &training));
    for (uint32_t i = 1; i < node->n_out; i++) training |= node->out[i] != NULL;
    p->training = !is_test || training;
    if (p->training && !spatial)
        return fzi_error(FZ_E_UNSUPPORTED, "training with spatial=0");
    p->flat = !spatial;
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    if (p->training) return fzi_error(FZ_E_UNSUPPORTED, "%s in training", op->name);
    for (uint32_t i = 1; i < 5; i++) FZ_TRY(fzi_infer_type(op, call, i, 1ull << x->dtype));
    fzi_infer_like(call, 0, x->dtype, x);
    if (x->rank < 0) return FZ_OK;
    int64_t channels = x->rank > 1 ? x->dims[1] : 1;
    if (p->flat && x->rank > 1 && !fzi_dims_count(x->dims, 1, x->rank, &channels)) channels = -1;
    if (p->flat && channels < 0 && fzi_shape_known(x))
        return fzi_error(FZ_E_SHAPE, "%s: an image is too large", op->name);
    for (uint32_t i = 1; i < 5; i++) {
        const fz_tensor_t *t = call->in[i];
        if (fzi_shape_known(t) && channels >= 0 && fzi_tensor_count(t) != channels)
            return fzi_error(FZ_E_SHAPE, "%s: input %u has %lld elements for %lld channels",
                             op->name, i, (long long)fzi_tensor_count(t), (long long)channels);
    }
    return FZ_OK;
}

struct job {
    const struct fzk_table *k;
    const void *x;
    void *y, *a, *b;
    int64_t channels, space;
    bool wide;
};

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return 2 * fzi_align((size_t)fzi_tensor_count(call->in[1]) * 8, 64);
}

/* In binary64, rounded once: as where freezing folds the node into a convolution. */
static void fold_f32(const struct fz_call *call, double eps, int64_t n, float *a, float *b) {
    const float *scale = call->in[1]->data, *bias = call->in[2]->data;
    const float *mean = call->in[3]->data, *var = call->in[4]->data;
    for (int64_t i = 0; i < n; i++) {
        double factor = (double)scale[i] / __builtin_sqrt((double)var[i] + eps);
        a[i] = (float)factor;
        b[i] = (float)((double)bias[i] - (double)mean[i] * factor);
    }
}

static void fold_f64(const struct fz_call *call, double eps, int64_t n, double *a, double *b) {
    const double *scale = call->in[1]->data, *bias = call->in[2]->data;
    const double *mean = call->in[3]->data, *var = call->in[4]->data;
    for (int64_t i = 0; i < n; i++) {
        a[i] = scale[i] / __builtin_sqrt(var[i] + eps);
        b[i] = bias[i] - mean[i] * a[i];
    }
}

/* Rows are the channels of the images, or, where a channel is one element, the images. */
static void row_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fzk_table *k = job->k;
    int64_t n = job->space > 1 ? job->space : job->channels;
    for (int64_t i = begin; i < end; i++) {
        int64_t c = i % job->channels;
        const float *x = (const float *)job->x + i * n, *a = job->a, *b = job->b;
        float *y = (float *)job->y + i * n;
        if (job->space > 1) {
            k->unary_f32(FZK_FN_AFFINE, y, x, n, a[c], b[c]);
        } else {
            k->binary_f32(FZK_BINARY_MUL, y, x, a, n, 1, 1);
            k->binary_f32(FZK_BINARY_ADD, y, y, b, n, 1, 1);
        }
    }
}

static void run_f64(const struct job *job, int64_t images) {
    const double *x = job->x, *a = job->a, *b = job->b;
    double *y = job->y;
    for (int64_t i = 0; i < images * job->channels; i++)
        for (int64_t j = 0; j < job->space; j++, x++, y++)
            *y = a[i % job->channels] * *x + b[i % job->channels];
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int64_t total = fzi_tensor_count(x), channels = fzi_tensor_count(call->in[1]);
    (void)op;
    if (total == 0) return FZ_OK;
    int64_t images = x->rank > 1 ? x->dims[0] : total;
    struct job job = {.k = call->env->k, .x = x->data, .y = call->out[0]->data, .a = call->scratch,
                      .channels = channels, .space = total / images / channels};
    job.b = (char *)call->scratch + fzi_align((size_t)channels * 8, 64);
    if (x->dtype == FZ_TYPE_F64) {
        fold_f64(call, p->eps, channels, job.a, job.b);
        run_f64(&job, images);
        return FZ_OK;
    }
    fold_f32(call, p->eps, channels, job.a, job.b);
    int64_t row = job.space > 1 ? job.space : channels;
    fzi_run_range(call->env, total / row, fzi_max_i64(1, GRAIN / row), row_range, &job);
    return FZ_OK;
}

#define ROW(first, last, outputs, known)                                                           \
    {.name = "BatchNormalization", .domain = "", .since = first, .until = last, .rev = 1,          \
     .min_in = 5, .max_in = 5, .min_out = 1, .max_out = outputs, .attrs = known,                   \
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,     \
     .run = run}

const struct fz_op fz_ops_batch_norm[] = {
    ROW(1, 6, 5, "epsilon momentum spatial is_test consumed_inputs"),
    ROW(7, 13, 5, "epsilon momentum spatial"),
    ROW(14, 0, 3, "epsilon momentum training_mode"),
    {0},
};
