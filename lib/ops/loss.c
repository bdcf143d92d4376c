/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: what the log probabilities of the right
 * classes say, element by element, summed, or as a weighted mean. An element is -x times its
 * weight, rounded; sums of elements and of weights are those of ReduceSum over the labels in
 * row-major order, those that are ignored counting as 0; the mean is one division of the two. */
#include "ops/move.h"
#include "ops/sum.h"
#include "ops/wide.h"

enum { LIKELIHOOD, CROSS_ENTROPY };
enum { SCORES, LABELS, WEIGHTS }; /* inputs */
enum { LOSS, LOG_PROB };          /* outputs */
enum { MEAN, SUM, NONE, REDUCTIONS };

struct params {
    int64_t reduction, ignores, ignore; /* ignores: labels of value IGNORE do not count */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const names[] = {[MEAN] = "mean", [SUM] = "sum", [NONE] = "none", NULL};
    struct params *p = params;
    (void)lower;
    p->ignores = fzi_attr(node, "ignore_index") != NULL;
    FZ_TRY(fzi_attr_int(node, "ignore_index", 0, &p->ignore));
    return fzi_attr_choice(node, "reduction", names, MEAN, &p->reduction);
}

/* Scores are [batch][classes]..., labels the same without the classes. */
static fz_status_t check_shapes(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *scores = call->in[SCORES], *labels = call->in[LABELS];
    const fz_tensor_t *weights = fzi_move_has(call, WEIGHTS) ? call->in[WEIGHTS] : NULL;
    if (weights && weights->rank >= 0 && weights->rank != 1)
        return fzi_error(FZ_E_SHAPE, "%s: weights of rank %d", op->name, weights->rank);
    if (scores->rank < 0) return FZ_OK;
    if (scores->rank < 2 || (labels->rank >= 0 && labels->rank != scores->rank - 1))
        return fzi_error(FZ_E_SHAPE, "%s: scores of rank %d, labels of rank %d", op->name,
                         scores->rank, labels->rank);
    if (weights && weights->rank == 1 && weights->dims[0] >= 0 && scores->dims[1] >= 0 &&
        weights->dims[0] != scores->dims[1])
        return fzi_error(FZ_E_SHAPE, "%s: %lld weights for %lld classes", op->name,
                         (long long)weights->dims[0], (long long)scores->dims[1]);
    for (int32_t d = 0; d < labels->rank; d++) {
        int64_t a = labels->dims[d], b = scores->dims[d + (d > 0)];
        if (a >= 0 && b >= 0 && a != b)
            return fzi_error(FZ_E_SHAPE, "%s: dimension %d of the labels is %lld, not %lld",
                             op->name, d, (long long)a, (long long)b);
    }
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int32_t dtype = call->in[SCORES]->dtype;
    FZ_TRY(fzi_infer_type(op, call, SCORES, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, LABELS, FZ_T(I32) | FZ_T(I64)));
    FZ_TRY(fzi_infer_type(op, call, WEIGHTS, 1ull << dtype));
    if (p->reduction < 0 || p->reduction >= REDUCTIONS)
        return fzi_error(FZ_E_FORMAT, "%s: reduction %lld", op->name, (long long)p->reduction);
    FZ_TRY(check_shapes(op, call));
    if (p->reduction == NONE) fzi_infer_like(call, LOSS, dtype, call->in[LABELS]);
    else fzi_infer_shape(call, LOSS, dtype, 0, NULL);
    fzi_infer_like(call, LOG_PROB, dtype, call->in[SCORES]);
    return FZ_OK;
}

/* The scores as [batch][classes][inner], and the scratch: losses and weights of all labels, log
 * probabilities, one image of them with classes last. */
struct job {
    const struct fzk_table *k;
    const fz_tensor_t *labels;
    const float *weights;
    int64_t batch, classes, inner, n;
    float *loss, *weight, *log_prob, *turned;
};

static void set_job(const struct fz_call *call, struct job *job) {
    const fz_tensor_t *scores = call->in[SCORES];
    bool weighted = fzi_move_has(call, WEIGHTS);
    *job = (struct job){.k = call->env ? call->env->k : NULL, .labels = call->in[LABELS],
                        .weights = weighted ? call->in[WEIGHTS]->data : NULL,
                        .batch = scores->dims[0], .classes = scores->dims[1],
                        .inner = fzi_move_span(scores, 2, scores->rank),
                        .n = fzi_tensor_count(call->in[LABELS])};
    int64_t all = fzi_tensor_count(scores);
    job->loss = call->scratch;
    job->weight = job->loss + job->n;
    job->log_prob = job->weight + job->n;
    job->turned = job->log_prob + all;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    size_t n = (size_t)fzi_tensor_count(call->in[LABELS]);
    size_t all = (size_t)fzi_tensor_count(call->in[SCORES]);
    (void)op;
    if (call->in[SCORES]->dtype == FZ_TYPE_F32) return (2 * n + 2 * all) * sizeof(float);
    return (2 * n + all + 2 * (size_t)call->in[SCORES]->dims[1]) * sizeof(double);
}

/* LogSoftmax over the classes; images with more than one place are turned, and turned back. */
static void find_log_prob(const struct job *job, const float *scores) {
    int64_t image = job->classes * job->inner;
    if (job->inner == 1) {
        job->k->logsoftmax_f32(job->log_prob, scores, job->batch, job->classes);
        return;
    }
    for (int64_t b = 0; b < job->batch && image; b++) {
        float *back = job->log_prob + b * image;
        job->k->transpose_2d(4, job->turned, scores + b * image, job->classes, job->inner,
                             job->inner, job->classes);
        job->k->logsoftmax_f32(back, job->turned, job->inner, job->classes);
        memcpy(job->turned, back, (size_t)image * sizeof(float));
        job->k->transpose_2d(4, back, job->turned, job->inner, job->classes, job->classes,
                             job->inner);
    }
}

static fz_status_t check_label(const struct fz_op *op, const struct job *job, int64_t label) {
    if (label >= 0 && label < job->classes) return FZ_OK;
    return fzi_error(FZ_E_VALUE, "%s: label %lld of %lld classes", op->name, (long long)label,
                     (long long)job->classes);
}

static fz_status_t find_losses(const struct fz_op *op, const struct params *p,
                               const struct job *job, const float *log_prob) {
    for (int64_t i = 0; i < job->n; i++) {
        int64_t label = fzi_tensor_int(job->labels, i);
        job->loss[i] = job->weight[i] = 0;
        if (p->ignores && label == p->ignore) continue;
        FZ_TRY(check_label(op, job, label));
        int64_t image = i / job->inner, place = i % job->inner;
        float x = log_prob[(image * job->classes + label) * job->inner + place];
        job->weight[i] = job->weights ? job->weights[label] : 1;
        job->loss[i] = -x * job->weight[i];
    }
    return FZ_OK;
}

/* ---- binary64: the same, image by image and place by place */

/* Log probabilities of a column of scores; ROOM has place for them twice. */
static void log_softmax_f64(const struct job *job, const double *x, double *y, double *room) {
    int64_t n = job->classes, step = job->inner;
    double m = -__builtin_inf(), sum;
    for (int64_t c = 0; c < n; c++) m = fzi_max_f64(m, x[c * step]);
    for (int64_t c = 0; c < n; c++) room[c] = x[c * step] - m;
    job->k->unary_f64(FZK_FN_EXP, room + n, room, n, 0, 0);
    sum = fzi_sum_f64(room + n, n);
    job->k->unary_f64(FZK_FN_LOG, &sum, &sum, 1, 0, 0);
    for (int64_t c = 0; c < n; c++) y[c * step] = room[c] - sum;
}

/* Scratch: losses and weights of all labels, log probabilities, then room. */
static fz_status_t run_f64(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    struct job job;
    set_job(call, &job);
    const double *x = call->in[SCORES]->data, *weights = (const void *)job.weights;
    double *loss = call->scratch, *weight = loss + job.n, *log_prob = weight + job.n;
    int64_t image = job.classes * job.inner, all = job.batch * image;
    for (int64_t i = 0; i < job.n && op->kind == CROSS_ENTROPY; i++) {
        int64_t at = i / job.inner * image + i % job.inner;
        log_softmax_f64(&job, x + at, log_prob + at, log_prob + all);
    }
    if (op->kind == CROSS_ENTROPY) x = log_prob;
    if (call->n_out > LOG_PROB && call->out[LOG_PROB] && call->out[LOG_PROB]->size)
        memcpy(call->out[LOG_PROB]->data, x, call->out[LOG_PROB]->size);
    for (int64_t i = 0; i < job.n; i++) {
        int64_t label = fzi_tensor_int(job.labels, i);
        loss[i] = weight[i] = 0;
        if (p->ignores && label == p->ignore) continue;
        FZ_TRY(check_label(op, &job, label));
        weight[i] = weights ? weights[label] : 1;
        loss[i] = -x[i / job.inner * image + label * job.inner + i % job.inner] * weight[i];
    }
    fz_tensor_t *out = call->out[LOSS];
    if (out && p->reduction == NONE && out->size) memcpy(out->data, loss, out->size);
    if (!out || p->reduction == NONE) return FZ_OK;
    double total = fzi_sum_f64(loss, job.n);
    if (p->reduction == MEAN) total /= fzi_sum_f64(weight, job.n);
    *(double *)out->data = total;
    return FZ_OK;
}

static void reduce(const struct params *p, const struct job *job, const fz_tensor_t *out) {
    float *y = out->data, total;
    if (p->reduction == NONE) {
        if (out->size) memcpy(y, job->loss, out->size);
        return;
    }
    job->k->reduce_f32(FZK_REDUCE_SUM, y, job->loss, 1, job->n, 1);
    if (p->reduction == SUM) return;
    job->k->reduce_f32(FZK_REDUCE_SUM, &total, job->weight, 1, job->n, 1);
    *y /= total;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const float *log_prob = call->in[SCORES]->data;
    struct job job;
    if (call->in[SCORES]->dtype == FZ_TYPE_F64) return run_f64(op, call);
    set_job(call, &job);
    if (op->kind == CROSS_ENTROPY) {
        find_log_prob(&job, log_prob);
        log_prob = job.log_prob;
    }
    if (call->n_out > LOG_PROB && call->out[LOG_PROB] && call->out[LOG_PROB]->size)
        memcpy(call->out[LOG_PROB]->data, log_prob, call->out[LOG_PROB]->size);
    FZ_TRY(find_losses(op, call->params, &job, log_prob));
    if (call->out[LOSS]) reduce(call->params, &job, call->out[LOSS]);
    return FZ_OK;
}

#define COMMON                                                                                     \
    .domain = "", .since = 12, .rev = 1, .min_in = 2, .max_in = 3, .min_out = 1,                   \
    .attrs = "ignore_index reduction", .params_size = sizeof(struct params), .lower = lower,       \
    .infer = infer, .scratch = scratch, .run = run

const struct fz_op fz_ops_loss[] = {
    {.name = "NegativeLogLikelihoodLoss", .kind = LIKELIHOOD, .max_out = 1, COMMON},
    {.name = "SoftmaxCrossEntropyLoss", .kind = CROSS_ENTROPY, .max_out = 2, COMMON},
    {0},
};
