/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool, and the average over channels-last images. They
 * reduce as ReduceMean and its like do: sums in 16 lanes. Of GlobalLpPool, squares enter by fma and
 * the square root ends; with p neither 1 nor 2 |x|^p is rounded, summed, and the sum's power 1 / p
 * taken, 1 / p rounded to binary32. */
#include "ops/op.h"
#include "ops/sum.h"
#include "ops/wide.h"

enum { AVERAGE, AVERAGE_LAST, MAX, POWER };

struct params {
    double power; /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const struct fz_attr *attr = fzi_attr(node, "p");
    (void)lower;
    p->power = 2;
    if (attr && attr->kind == FZ_ATTR_FLOAT) p->power = (double)attr->f;
    else if (attr && attr->kind == FZ_ATTR_INT) p->power = (double)(float)attr->i;
    else if (attr) return fzi_error(FZ_E_FORMAT, "attribute 'p' is of the wrong kind");
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int32_t first = op->kind == AVERAGE_LAST ? 1 : 2;
    int64_t size;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | (first == 1 ? 0 : FZ_T(F64))));
    if (!(p->power > 0)) return fzi_error(FZ_E_FORMAT, "%s: p must be above 0", op->name);
    fz_tensor_t out = *x;
    if (x->rank >= 0 && x->rank < 2)
        return fzi_error(FZ_E_SHAPE, "%s: the input has no channels", op->name);
    if (fzi_shape_known(x) && !fzi_dims_count(x->dims, 1, x->rank, &size))
        return fzi_error(FZ_E_SHAPE, "%s: an image is too large", op->name);
    for (int32_t d = 0; d < x->rank - 2; d++) out.dims[first + d] = 1;
    fzi_infer_like(call, 0, x->dtype, &out);
    return FZ_OK;
}

struct job {
    const struct fzk_table *k;
    int32_t op;
    const float *x;
    float *y;
    int64_t n, inner;
};

static void reduce_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    job->k->reduce_f32(job->op, job->y + begin * job->inner, job->x + begin * job->n * job->inner,
                       end - begin, job->n, job->inner);
}

/* Powers but 1 and 2 are taken here first; of binary64 all. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    if (call->in[0]->dtype == FZ_TYPE_F64) return (size_t)fzi_tensor_count(call->in[0]) * 8;
    if (op->kind != POWER || p->power == 1 || p->power == 2) return 0;
    return (size_t)fzi_tensor_count(call->in[0]) * 4;
}

static int32_t kernel_of(const struct fz_op *op, const struct params *p) {
    if (op->kind == MAX) return FZK_REDUCE_MAX;
    if (op->kind != POWER) return FZK_REDUCE_MEAN;
    if (p->power == 1) return FZK_REDUCE_SUM_ABS;
    return p->power == 2 ? FZK_REDUCE_SUM_SQUARE : FZK_REDUCE_SUM;
}

/* ---- binary64: rows one by one */

struct job_f64 {
    const struct fzk_table *k;
    int64_t kind, n;
    double power;
    const double *x;
    double *y, *room;
};

static double row_f64(const struct job_f64 *job, const double *x, double *room) {
    double y = -__builtin_inf(), inverse = 1 / job->power;
    int64_t n = job->n;
    if (job->kind == AVERAGE) return fzi_sum_f64(x, n) / (double)n;
    if (job->kind == MAX) {
        for (int64_t i = 0; i < n; i++) y = fzi_max_f64(y, x[i]);
        return y;
    }
    if (job->power == 2) return __builtin_sqrt(fzi_sum_squares_f64(x, n));
    for (int64_t i = 0; i < n; i++) room[i] = __builtin_fabs(x[i]);
    if (job->power == 1) return fzi_sum_f64(room, n);
    job->k->binary_f64(FZK_BINARY_POW, room, room, &job->power, n, 1, 0);
    y = fzi_sum_f64(room, n);
    job->k->binary_f64(FZK_BINARY_POW, &y, &y, &inverse, 1, 1, 1);
    return y;
}

static void range_f64(void *arg, int64_t begin, int64_t end) {
    const struct job_f64 *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->y[i] = row_f64(job, job->x + i * job->n, job->room + i * job->n);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    const struct fzk_table *k = call->env->k;
    bool last = op->kind == AVERAGE_LAST, powers = x->dtype != FZ_TYPE_F64 && scratch(op, call) > 0;
    struct job job = {k, kernel_of(op, p), x->data, call->out[0]->data, 1, 1};
    for (int32_t d = last ? 1 : 2; d < (last ? x->rank - 1 : x->rank); d++) job.n *= x->dims[d];
    int64_t rows = last ? x->dims[0] : x->dims[0] * x->dims[1];
    if (last) job.inner = x->dims[x->rank - 1];
    if (powers) {
        float *power = call->scratch, exponent = (float)p->power;
        k->unary_f32(FZK_FN_ABS, power, job.x, rows * job.n, 0, 0);
        k->binary_f32(FZK_BINARY_POW, power, power, &exponent, rows * job.n, 1, 0);
        job.x = power;
    }
    int64_t work = fzi_max_i64(1, job.n * job.inner);
    if (x->dtype == FZ_TYPE_F64) {
        struct job_f64 wide = {k, op->kind, job.n, p->power, x->data, call->out[0]->data,
                               call->scratch};
        fzi_run_range(call->env, rows, fzi_max_i64(1, 4096 / work), range_f64, &wide);
        return FZ_OK;
    }
    fzi_run_range(call->env, rows, fzi_max_i64(1, 16384 / work), reduce_range, &job);
    const float inverse = 1 / (float)p->power;
    if (powers) k->binary_f32(FZK_BINARY_POW, job.y, job.y, &inverse, rows, 1, 0);
    else if (op->kind == POWER && p->power == 2)
        k->unary_f32(FZK_FN_SQRT, job.y, job.y, rows, 0, 0);
    return FZ_OK;
}

#define ROW(family, onnx, row, known)                                                              \
    {.name = onnx, .domain = family, .since = 1, .rev = 1, .min_in = 1, .max_in = 1, .min_out = 1, \
     .max_out = 1, .attrs = known, .params_size = sizeof(struct params), .kind = row,              \
     .lower = lower, .infer = infer, .scratch = scratch, .run = run}

const struct fz_op fz_ops_global_pool[] = {
    ROW("", "GlobalAveragePool", AVERAGE, NULL),
    ROW("frozen", "GlobalAveragePool", AVERAGE_LAST, NULL),
    ROW("", "GlobalMaxPool", MAX, NULL),
    ROW("", "GlobalLpPool", POWER, "p"),
    {0},
};
