/* GatherND and ScatterND: a tuple of indices for each run of elements. Where several updates meet
 * one element they are combined in row-major order of the tuples. */
#include "ops/combine.h"
#include "ops/move.h"

struct params {
    int64_t batch, how;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "batch_dims", 0, &p->batch));
    return fzi_combine_lower(node, &p->how);
}

/* The length of a tuple, or -1 while it is not known. */
static fz_status_t tuple_length(const struct fz_op *op, const struct fz_call *call, int64_t *n) {
    const struct params *p = call->params;
    const fz_tensor_t *data = call->in[0], *index = call->in[1];
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I32) | FZ_T(I64)));
    *n = -1;
    if (p->batch < 0 || p->batch > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: %lld batch dims", op->name, (long long)p->batch);
    if (data->rank < 0 || index->rank < 0) return FZ_OK;
    if (p->batch >= index->rank || p->batch >= data->rank)
        return fzi_error(FZ_E_SHAPE, "%s: %lld batch dims of data of rank %d, indices of rank %d",
                         op->name, (long long)p->batch, data->rank, index->rank);
    for (int32_t d = 0; d < p->batch; d++)
        if (data->dims[d] >= 0 && index->dims[d] >= 0 && data->dims[d] != index->dims[d])
            return fzi_error(FZ_E_SHAPE, "%s: batch dimension %d is %lld and %lld", op->name, d,
                             (long long)data->dims[d], (long long)index->dims[d]);
    *n = index->dims[index->rank - 1];
    if (*n == 0 || *n > data->rank - p->batch)
        return fzi_error(FZ_E_SHAPE, "%s: tuples of %lld indices into data of rank %d", op->name,
                         (long long)*n, data->rank);
    if (*n < 0) *n = -1;
    return FZ_OK;
}

/* The shape of one run for each tuple. */
static fz_status_t runs_shape(const struct fz_op *op, const struct fz_call *call, int64_t tuple,
                              fz_tensor_t *out) {
    const struct params *p = call->params;
    const fz_tensor_t *data = call->in[0], *index = call->in[1];
    int64_t inner = data->rank - p->batch - tuple;
    if (index->rank - 1 + inner > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: rank %lld is over %d", op->name,
                         (long long)(index->rank - 1 + inner), FZ_RANK_MAX);
    out->rank = 0;
    for (int32_t d = 0; d < index->rank - 1; d++) out->dims[out->rank++] = index->dims[d];
    for (int64_t d = p->batch + tuple; d < data->rank; d++)
        out->dims[out->rank++] = data->dims[d];
    return FZ_OK;
}

static fz_status_t infer_gather(const struct fz_op *op, const struct fz_call *call) {
    fz_tensor_t out;
    int64_t tuple;
    FZ_TRY(tuple_length(op, call, &tuple));
    if (tuple < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(runs_shape(op, call, tuple, &out));
    fzi_infer_like(call, 0, call->in[0]->dtype, &out);
    return FZ_OK;
}

static fz_status_t infer_scatter(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *update = call->in[2];
    fz_tensor_t want;
    int64_t tuple;
    FZ_TRY(tuple_length(op, call, &tuple));
    FZ_TRY(fzi_combine_check(op, call, p->how));
    if (p->batch != 0) return fzi_error(FZ_E_FORMAT, "%s: batch_dims is out of range", op->name);
    if (update->dtype != call->in[0]->dtype)
        return fzi_error(FZ_E_TYPE, "%s: updates of %s for data of %s", op->name,
                         fz_type_name(update->dtype), fz_type_name(call->in[0]->dtype));
    if (tuple > 0) {
        FZ_TRY(runs_shape(op, call, tuple, &want));
        if (fzi_shape_known(&want) && fzi_shape_known(update) && !fzi_shape_equal(&want, update))
            return fzi_error(FZ_E_SHAPE, "%s: the updates' shape does not fit", op->name);
    }
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[0]);
    return FZ_OK;
}

static int64_t n_tuples(const struct fz_call *call) {
    return fzi_move_span(call->in[1], 0, call->in[1]->rank - 1);
}

/* Byte offsets of the runs. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return (size_t)n_tuples(call) * sizeof(int64_t);
}

struct job {
    const int64_t *offsets;
    char *indexed, *dense; /* memory of the data's shape; of the runs */
    int64_t n, size;       /* runs; bytes of one */
};

static fz_status_t locate(const struct fz_op *op, const struct fz_call *call, int64_t *offsets) {
    const struct params *p = call->params;
    const fz_tensor_t *data = call->in[0], *index = call->in[1];
    int64_t tuple = index->dims[index->rank - 1], n = n_tuples(call);
    int64_t strides[FZ_RANK_MAX], width = (int64_t)fzi_type_width(data->dtype);
    int64_t per_batch = fzi_move_span(index, (int32_t)p->batch, index->rank - 1);
    int64_t batch_size = fzi_move_span(data, (int32_t)p->batch, data->rank);
    fzi_move_strides(data->rank, data->dims, strides);
    for (int64_t t = 0; t < n; t++) {
        int64_t at = t / per_batch * batch_size;
        for (int64_t j = 0; j < tuple; j++) {
            int64_t dim = data->dims[p->batch + j];
            int64_t i = fzi_move_index(index, t * tuple + j, dim);
            if (i < 0 || i >= dim)
                return fzi_error(FZ_E_VALUE, "%s: index %lld is outside of [-%lld, %lld)",
                                 op->name, (long long)fzi_tensor_int(index, t * tuple + j),
                                 (long long)dim, (long long)dim);
            at += i * strides[p->batch + j];
        }
        offsets[t] = at * width;
    }
    return FZ_OK;
}

static fz_status_t prepare(const struct fz_op *op, const struct fz_call *call, struct job *job) {
    const struct params *p = call->params;
    const fz_tensor_t *data = call->in[0], *index = call->in[1];
    int32_t first = (int32_t)(p->batch + index->dims[index->rank - 1]);
    job->offsets = call->scratch;
    job->n = n_tuples(call);
    job->size = fzi_move_span(data, first, data->rank) * (int64_t)fzi_type_width(data->dtype);
    return locate(op, call, call->scratch);
}

static void gather_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t t = begin; t < end; t++)
        memcpy(job->dense + t * job->size, job->indexed + job->offsets[t], (size_t)job->size);
}

static fz_status_t run_gather(const struct fz_op *op, const struct fz_call *call) {
    struct job job;
    FZ_TRY(prepare(op, call, &job));
    job.indexed = call->in[0]->data;
    job.dense = call->out[0]->data;
    if (call->out[0]->size)
        fzi_run_range(call->env, job.n, 131072 / (job.size + 8) + 1, gather_range, &job);
    return FZ_OK;
}

/* Updates are taken in order, by one thread. */
static fz_status_t run_scatter(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    struct job job;
    FZ_TRY(prepare(op, call, &job));
    job.indexed = call->out[0]->data;
    job.dense = call->in[2]->data;
    fzi_move_bytes(call->env, call->in[0]->data, call->out[0]->data, call->out[0]->size);
    fz_combine_fn combine = fzi_combine_find(call->in[0]->dtype, (enum fz_combine)p->how);
    int64_t n = job.size / (int64_t)fzi_type_width(call->in[0]->dtype);
    for (int64_t t = 0; t < job.n && job.size; t++) {
        char *to = job.indexed + job.offsets[t];
        if (combine) combine(to, job.dense + t * job.size, n);
        else memcpy(to, job.dense + t * job.size, (size_t)job.size);
    }
    return FZ_OK;
}

#define COMMON                                                                                     \
    .domain = "", .rev = 1, .min_out = 1, .max_out = 1, .params_size = sizeof(struct params),      \
    .lower = lower, .scratch = scratch

const struct fz_op fz_ops_tuples[] = {
    {.name = "GatherND", .since = 11, .flags = FZ_OP_ANY_TYPE, .min_in = 2, .max_in = 2,
     .attrs = "batch_dims", .infer = infer_gather, .run = run_gather, COMMON},
    {.name = "ScatterND", .since = 11, .min_in = 3, .max_in = 3, .attrs = "reduction",
     .infer = infer_scatter, .run = run_scatter, COMMON},
    {0},
};
