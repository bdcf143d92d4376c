/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool, and the average over channels-last images. They
 * reduce as ReduceMean and its like do: sums in 16 lanes. Of GlobalLpPool, squares enter by fma and
 * the square root ends; with p neither 1 nor 2 |x|^p is rounded, summed, and the sum's power 1 / p
 * taken, 1 / p rounded to binary32. */
#include "ops/op.h"

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
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    if (!(p->power > 0)) return fzi_error(FZ_E_FORMAT, "%s: p must be above 0", op->name);
    fz_tensor_t out = *x;
    if (x->rank >= 0 && x->rank < 2)
        return fzi_error(FZ_E_SHAPE, "%s: the input has no channels", op->name);
    if (fzi_shape_known(x) && !fzi_dims_count(x->dims, 1, x->rank, &size))
        return fzi_error(FZ_E_SHAPE, "%s: an image is too large", op->name);
    for (int32_t d = 0; d < x->rank - 2; d++) out.dims[first + d] = 1;
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
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

/* Powers but 1 and 2 are taken here first. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    if (op->kind != POWER || p->power == 1 || p->power == 2) return 0;
    return (size_t)fzi_tensor_count(call->in[0]) * 4;
}

static int32_t kernel_of(const struct fz_op *op, const struct params *p) {
    if (op->kind == MAX) return FZK_REDUCE_MAX;
    if (op->kind != POWER) return FZK_REDUCE_MEAN;
    if (p->power == 1) return FZK_REDUCE_SUM_ABS;
    return p->power == 2 ? FZK_REDUCE_SUM_SQUARE : FZK_REDUCE_SUM;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    const struct fzk_table *k = call->env->k;
    bool last = op->kind == AVERAGE_LAST, powers = scratch(op, call) > 0;
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
