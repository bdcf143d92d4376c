/* GatherElements, ScatterElements and Scatter: one index for each element, along an axis. Where
 * several updates meet one element they are combined in row-major order of the indices. */
#include "ops/combine.h"
#include "ops/move.h"

struct params {
    int64_t axis, how;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "axis", 0, &p->axis));
    return fzi_combine_lower(node, &p->how);
}

/* The index must reach no further than the data in the other dimensions. */
static fz_status_t check(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *data = call->in[0], *index = call->in[1];
    int32_t axis;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I32) | FZ_T(I64)));
    FZ_TRY(fzi_combine_check(op, call, p->how));
    if (data->rank == 0) return fzi_error(FZ_E_SHAPE, "%s: a scalar has no axis", op->name);
    if (data->rank > 0) FZ_TRY(fzi_move_axis(op, p->axis, data->rank, &axis));
    if (data->rank < 0 || index->rank < 0) return FZ_OK;
    if (data->rank != index->rank)
        return fzi_error(FZ_E_SHAPE, "%s: indices of rank %d for data of rank %d", op->name,
                         index->rank, data->rank);
    for (int32_t d = 0; d < data->rank; d++)
        if (d != axis && data->dims[d] >= 0 && index->dims[d] > data->dims[d])
            return fzi_error(FZ_E_SHAPE, "%s: dimension %d of indices is %lld, of data %lld",
                             op->name, d, (long long)index->dims[d], (long long)data->dims[d]);
    return FZ_OK;
}

static fz_status_t infer_gather(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(check(op, call));
    if (call->in[1]->rank < 0) return fzi_move_infer_rank(call, call->in[0]->rank);
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[1]);
    return FZ_OK;
}

static fz_status_t infer_scatter(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *index = call->in[1], *update = call->in[2];
    FZ_TRY(check(op, call));
    if (update->dtype != call->in[0]->dtype)
        return fzi_error(FZ_E_TYPE, "%s: updates of %s for data of %s", op->name,
                         fz_type_name(update->dtype), fz_type_name(call->in[0]->dtype));
    if (fzi_shape_known(index) && fzi_shape_known(update) && !fzi_shape_equal(index, update))
        return fzi_error(FZ_E_SHAPE, "%s: updates and indices differ in shape", op->name);
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[0]);
    return FZ_OK;
}

/* Element j of a row of indices means element base + j * step + index * stride of the data, where
 * base follows from the row's place. */
struct job {
    const fz_tensor_t *data, *index;
    char *indexed;          /* memory of the data's shape */
    char *dense;            /* memory of the index's shape */
    int64_t n, dim, step, stride;
    int64_t strides[FZ_RANK_MAX]; /* of the data; 0 along the axis */
    int32_t rank;           /* dims before the last */
    fz_combine_fn combine;
};

static int64_t base(const struct job *job, int64_t row) {
    int64_t at = 0;
    for (int32_t d = job->rank; d-- > 0; row /= job->index->dims[d])
        at += row % job->index->dims[d] * job->strides[d];
    return at;
}

static inline __attribute__((always_inline)) void gather_row(const struct job *job, int64_t row,
                                                             size_t width) {
    const char *src = job->indexed + base(job, row) * (int64_t)width;
    char *dst = job->dense + row * job->n * (int64_t)width;
    for (int64_t j = 0; j < job->n; j++) {
        int64_t i = fzi_move_index(job->index, row * job->n + j, job->dim);
        memcpy(dst + j * (int64_t)width, src + (j * job->step + i * job->stride) * (int64_t)width,
               width);
    }
}

static void gather_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    size_t width = fzi_type_width(job->data->dtype);
    for (int64_t row = begin; row < end; row++)
        switch (width) {
        case 1: gather_row(job, row, 1); break;
        case 2: gather_row(job, row, 2); break;
        case 4: gather_row(job, row, 4); break;
        case 8: gather_row(job, row, 8); break;
        default: gather_row(job, row, width); break;
        }
}

/* Updates are taken in row-major order of the indices, by one thread: the last one stays. */
static void scatter(const struct job *job, int64_t rows) {
    int64_t width = (int64_t)fzi_type_width(job->data->dtype);
    for (int64_t row = 0; row < rows; row++) {
        char *to = job->indexed + base(job, row) * width;
        const char *from = job->dense + row * job->n * width;
        for (int64_t j = 0; j < job->n; j++, from += width) {
            int64_t i = fzi_move_index(job->index, row * job->n + j, job->dim);
            char *at = to + (j * job->step + i * job->stride) * width;
            if (job->combine) job->combine(at, from, 1);
            else memcpy(at, from, (size_t)width);
        }
    }
}

static fz_status_t prepare(const struct fz_op *op, const struct fz_call *call, struct job *job,
                           int64_t *rows) {
    const struct params *p = call->params;
    const fz_tensor_t *data = call->in[0], *index = call->in[1];
    int32_t axis;
    FZ_TRY(fzi_move_axis(op, p->axis, data->rank, &axis));
    FZ_TRY(fzi_move_indices(op, index, data->dims[axis]));
    *job = (struct job){.data = data, .index = index, .dim = data->dims[axis],
                        .rank = data->rank - 1, .n = index->dims[data->rank - 1],
                        .combine = fzi_combine_find(data->dtype, (enum fz_combine)p->how)};
    fzi_move_strides(data->rank, data->dims, job->strides);
    job->stride = job->strides[axis];
    job->strides[axis] = 0;
    job->step = axis == data->rank - 1 ? 0 : 1;
    *rows = fzi_tensor_count(index) ? fzi_move_span(index, 0, data->rank - 1) : 0;
    return FZ_OK;
}

static fz_status_t run_gather(const struct fz_op *op, const struct fz_call *call) {
    struct job job;
    int64_t rows;
    FZ_TRY(prepare(op, call, &job, &rows));
    job.indexed = call->in[0]->data;
    job.dense = call->out[0]->data;
    fzi_run_range(call->env, rows, 16384 / (job.n + 1) + 1, gather_range, &job);
    return FZ_OK;
}

static fz_status_t run_scatter(const struct fz_op *op, const struct fz_call *call) {
    struct job job;
    int64_t rows;
    FZ_TRY(prepare(op, call, &job, &rows));
    job.indexed = call->out[0]->data;
    job.dense = call->in[2]->data;
    fzi_move_bytes(call->env, call->in[0]->data, call->out[0]->data, call->out[0]->size);
    scatter(&job, rows);
    return FZ_OK;
}

#define COMMON                                                                                     \
    .domain = "", .rev = 1, .min_out = 1, .max_out = 1, .params_size = sizeof(struct params),      \
    .lower = lower

const struct fz_op fz_ops_elements[] = {
    {.name = "GatherElements", .since = 11, .flags = FZ_OP_ANY_TYPE, .min_in = 2, .max_in = 2,
     .attrs = "axis", .infer = infer_gather, .run = run_gather, COMMON},
    {.name = "Scatter", .since = 9, .until = 10, .min_in = 3, .max_in = 3, .attrs = "axis",
     .infer = infer_scatter, .run = run_scatter, COMMON},
    {.name = "ScatterElements", .since = 11, .min_in = 3, .max_in = 3, .attrs = "axis reduction",
     .infer = infer_scatter, .run = run_scatter, COMMON},
    {0},
};
