/* AffineGrid: where the points of an image or a volume come from under an affine map. All in
 * binary64: coordinates -1 + 2 i / (n - 1) with aligned corners, else -1 + (2 i + 1) / n; their
 * products with a row of theta, summed from x on; one rounding at the end. */
#include "ops/move.h"

struct params {
    int64_t align;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "align_corners", 0, &p->align);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *theta = call->in[0];
    int64_t size[FZ_RANK_MAX], dims[5];
    int32_t n;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I64)));
    FZ_TRY(fzi_infer_list(op, call, 1, size, FZ_RANK_MAX, &n));
    fzi_infer_unknown(call, 0, theta->dtype);
    if (theta->rank >= 0 && theta->rank != 3)
        return fzi_error(FZ_E_SHAPE, "%s: theta has rank %d, not 3", op->name, theta->rank);
    if (n < 0) return FZ_OK;
    if (n != 4 && n != 5)
        return fzi_error(FZ_E_SHAPE, "%s: a size of %d numbers, not 4 or 5", op->name, n);
    for (int32_t d = 0; d < n; d++)
        if (size[d] < 0 || size[d] > INT32_MAX)
            return fzi_error(FZ_E_VALUE, "%s: a size of %lld", op->name, (long long)size[d]);
    if (fzi_shape_known(theta) && (theta->dims[0] != size[0] || theta->dims[1] != n - 2 ||
                                   theta->dims[2] != n - 1))
        return fzi_error(FZ_E_SHAPE, "%s: theta does not fit the size", op->name);
    dims[0] = size[0];
    for (int32_t d = 2; d < n; d++) dims[d - 1] = size[d];
    dims[n - 1] = n - 2;
    fzi_infer_shape(call, 0, theta->dtype, n, dims);
    return FZ_OK;
}

struct job {
    const fz_tensor_t *theta, *out;
    int64_t points; /* of an image */
    int32_t n;      /* dimensions */
    bool align;
};

static double coordinate(const struct job *job, int64_t i, int64_t n) {
    if (!job->align) return -1 + (double)(2 * i + 1) / (double)n;
    return n > 1 ? -1 + (double)(2 * i) / (double)(n - 1) : -1;
}

static void point_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t rest = i % job->points, row = i / job->points * job->n * (job->n + 1);
        double at[3];
        for (int32_t d = job->n - 1; d >= 0; d--) { /* x belongs to the last dimension */
            int64_t size = job->out->dims[d + 1];
            at[job->n - 1 - d] = coordinate(job, rest % size, size);
            rest /= size;
        }
        for (int32_t r = 0; r < job->n; r++, row += job->n + 1) {
            double sum = 0;
            for (int32_t c = 0; c < job->n; c++)
                sum = sum + fzi_tensor_float(job->theta, row + c) * at[c];
            sum = sum + fzi_tensor_float(job->theta, row + job->n);
            if (job->out->dtype == FZ_TYPE_F32)
                ((float *)job->out->data)[i * job->n + r] = (float)sum;
            else ((double *)job->out->data)[i * job->n + r] = sum;
        }
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *out = call->out[0];
    struct job job = {call->in[0], out, 1, out->rank - 2, p->align == 1};
    (void)op;
    if (out->size == 0) return FZ_OK;
    for (int32_t d = 1; d <= job.n; d++) job.points *= out->dims[d];
    fzi_run_range(call->env, out->dims[0] * job.points, 1024, point_range, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_affine_grid[] = {
    {.name = "AffineGrid", .domain = "", .since = 20, .rev = 1, .min_in = 2, .max_in = 2,
     .min_out = 1, .max_out = 1, .attrs = "align_corners", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .run = run},
    {0},
};
