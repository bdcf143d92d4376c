/* Gather: slices of an axis, chosen by a tensor of indices. ArrayFeatureExtractor (ai.onnx.ml): the
 * same along the last axis. */
#include "ops/move.h"

struct params {
    int64_t axis;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "axis", 0, &p->axis);
}

static fz_status_t lower_last(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower, (void)node;
    p->axis = -1;
    return FZ_OK;
}

/* All indices are one list; a vector counts as a matrix of one row. */
static fz_status_t infer_features(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *index = call->in[1];
    fz_tensor_t out = {.rank = 2, .dims = {1}};
    if (p->axis != -1)
        return fzi_error(FZ_E_FORMAT, "%s: axis %lld is out of range",
                         op->name, (long long)p->axis);
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I64)));
    if (in->rank < 0) return fzi_move_infer_rank(call, -1);
    if (in->rank == 0) return fzi_error(FZ_E_SHAPE, "%s: a scalar has no axis", op->name);
    if (in->rank > 1) fzi_shape_copy(&out, in);
    out.dims[out.rank - 1] =
        index->rank < 0 ? FZ_DIM_UNKNOWN : fzi_move_product(index, 0, index->rank);
    fzi_infer_like(call, 0, in->dtype, &out);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *index = call->in[1];
    int64_t dims[FZ_RANK_MAX];
    int32_t axis, rank = 0;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I32) | FZ_T(I64)));
    if (in->rank < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    if (index->rank < 0) return fzi_move_infer_rank(call, -1);
    if (in->rank - 1 + index->rank > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: rank %d is over %d", op->name,
                         in->rank - 1 + index->rank, FZ_RANK_MAX);
    for (int32_t d = 0; d < axis; d++) dims[rank++] = in->dims[d];
    for (int32_t d = 0; d < index->rank; d++) dims[rank++] = index->dims[d];
    for (int32_t d = axis + 1; d < in->rank; d++) dims[rank++] = in->dims[d];
    fzi_infer_shape(call, 0, in->dtype, rank, dims);
    return FZ_OK;
}

/* Rows of the output: N of them for each of the outer positions, SIZE bytes each. */
struct job {
    const char *src;
    char *dst;
    const fz_tensor_t *index;
    int64_t n, dim, size;
};

static inline __attribute__((always_inline)) void copy(const struct job *job, int64_t begin,
                                                       int64_t end, size_t size) {
    int64_t outer = begin / job->n, i = begin % job->n, width = (int64_t)size;
    for (int64_t row = begin; row < end; row++) {
        int64_t at = outer * job->dim + fzi_move_index(job->index, i, job->dim);
        memcpy(job->dst + row * width, job->src + at * width, size);
        if (++i == job->n) i = 0, outer++;
    }
}

static void range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    switch (job->size) {
    case 1: copy(job, begin, end, 1); break;
    case 2: copy(job, begin, end, 2); break;
    case 4: copy(job, begin, end, 4); break;
    case 8: copy(job, begin, end, 8); break;
    case 16: copy(job, begin, end, 16); break;
    default: copy(job, begin, end, (size_t)job->size); break;
    }
}

/* Proves the rows of IN that JOB takes: of a table of embeddings, a few. */
static fz_status_t prove(const struct fz_call *call, const struct job *job, int32_t axis) {
    const struct fz_env *env = call->env;
    size_t size = (size_t)job->size;
    if (!env->prove) return FZ_OK;
    if (axis != 0) return env->prove(env, job->src, call->in[0]->size);
    for (int64_t i = 0; i < job->n; i++) {
        size_t row = (size_t)fzi_move_index(job->index, i, job->dim);
        FZ_TRY(env->prove(env, job->src + row * size, size));
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis;
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    FZ_TRY(fzi_move_indices(op, call->in[1], in->dims[axis]));
    if (call->out[0]->size == 0) return FZ_OK;
    int64_t width = (int64_t)fzi_type_width(in->dtype);
    struct job job = {.src = in->data, .dst = call->out[0]->data, .index = call->in[1],
                      .n = fzi_tensor_count(call->in[1]), .dim = in->dims[axis],
                      .size = fzi_move_span(in, axis + 1, in->rank) * width};
    FZ_TRY(prove(call, &job, axis));
    int64_t rows = fzi_move_span(in, 0, axis) * job.n;
    fzi_run_range(call->env, rows, fzi_ceil_div(131072, job.size + 8), range, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_gather[] = {
    {.name = "Gather", .domain = "", .since = 1, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_PROVES,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "axis",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "ArrayFeatureExtractor", .domain = "ai.onnx.ml", .since = 1, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_PROVES, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
     .params_size = sizeof(struct params), .lower = lower_last, .infer = infer_features,
     .run = run},
    {0},
};
