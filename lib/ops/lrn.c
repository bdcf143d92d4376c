/* LRN: x / (bias + alpha / size * s) ^ beta with s the sum of the squares of SIZE neighbouring
 * channels: squares are rounded and added in one chain from the first channel on; alpha / size
 * comes first, then its product with s, then the sum, the power and the division, each in
 * the precision of x. */
#include "ops/op.h"

struct params {
    int64_t size;
    double alpha, beta, bias; /* binary32 values */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    if (!fzi_attr(node, "size")) return fzi_error(FZ_E_FORMAT, "attribute 'size' is missing");
    FZ_TRY(fzi_attr_int(node, "size", 1, &p->size));
    FZ_TRY(fzi_attr_float(node, "alpha", 1e-4f, &p->alpha));
    FZ_TRY(fzi_attr_float(node, "beta", 0.75f, &p->beta));
    return fzi_attr_float(node, "bias", 1, &p->bias);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    if (p->size < 1 || p->size > 1 << 30)
        return fzi_error(FZ_E_FORMAT, "%s: a size of %lld", op->name, (long long)p->size);
    if (x->rank >= 0 && x->rank < 2)
        return fzi_error(FZ_E_SHAPE, "%s: the input has no channels", op->name);
    fzi_infer_like(call, 0, x->dtype, x);
    return FZ_OK;
}

/* The squares. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return call->in[0]->size;
}

struct job {
    const struct fzk_table *k;
    const struct params *p;
    const float *x;
    float *y, *square;
    int64_t channels, space;
};

static void square_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t at = begin * job->space, n = (end - begin) * job->space;
    job->k->binary_f32(FZK_BINARY_MUL, job->square + at, job->x + at, job->x + at, n, 1, 1);
}

/* Channels BEGIN to END, counted over all images. */
static void channel_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fzk_table *k = job->k;
    int64_t n = job->space, before = (job->p->size - 1) / 2, behind = job->p->size / 2;
    const float factor = (float)job->p->alpha / (float)job->p->size, beta = (float)job->p->beta;
    for (int64_t i = begin; i < end; i++) {
        int64_t c = i % job->channels, first = fzi_max_i64(0, c - before);
        int64_t last = fzi_min_i64(job->channels - 1, c + behind);
        const float *square = job->square + (i - c) * n;
        float *y = job->y + i * n;
        memcpy(y, square + first * n, (size_t)n * 4);
        for (int64_t j = first + 1; j <= last; j++)
            k->binary_f32(FZK_BINARY_ADD, y, y, square + j * n, n, 1, 1);
        k->unary_f32(FZK_FN_AFFINE, y, y, n, factor, (float)job->p->bias);
        k->binary_f32(FZK_BINARY_POW, y, y, &beta, n, 1, 0);
        k->binary_f32(FZK_BINARY_DIV, y, job->x + i * n, y, n, 1, 1);
    }
}

/* The same in binary64, element by element. */
static void run_f64(const struct fz_call *call, int64_t channels, int64_t space) {
    const struct params *p = call->params;
    const double *x = call->in[0]->data, factor = p->alpha / (double)p->size;
    double *y = call->out[0]->data;
    int64_t before = (p->size - 1) / 2, behind = p->size / 2;
    for (int64_t i = 0; i < fzi_tensor_count(call->in[0]); i++) {
        int64_t c = i / space % channels, last = fzi_min_i64(channels - 1, c + behind);
        double sum = 0;
        for (int64_t j = fzi_max_i64(0, c - before); j <= last; j++) {
            double v = x[i + (j - c) * space];
            sum = sum + v * v;
        }
        sum = sum * factor + p->bias;
        call->env->k->binary_f64(FZK_BINARY_POW, &sum, &sum, &p->beta, 1, 1, 1);
        y[i] = x[i] / sum;
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0];
    (void)op;
    if (x->size == 0) return FZ_OK;
    struct job job = {call->env->k, call->params, x->data, call->out[0]->data, call->scratch,
                      x->dims[1], 1};
    for (int32_t d = 2; d < x->rank; d++) job.space *= x->dims[d];
    if (x->dtype == FZ_TYPE_F64) {
        run_f64(call, job.channels, job.space);
        return FZ_OK;
    }
    int64_t rows = x->dims[0] * x->dims[1];
    fzi_run_range(call->env, rows, fzi_max_i64(1, 16384 / job.space), square_range, &job);
    fzi_run_range(call->env, rows, fzi_max_i64(1, 1024 / job.space), channel_range, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_lrn[] = {
    {.name = "LRN", .domain = "", .since = 1, .rev = 1, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = 1, .attrs = "size alpha beta bias", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .scratch = scratch, .run = run},
    {0},
};
