/* Shape and Size: a tensor's dims, or the number of its elements, as int64. */
#include "ops/op.h"

struct params {
    int64_t start, end;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "start", 0, &p->start));
    return fzi_attr_int(node, "end", INT64_MAX, &p->end);
}

/* Negative ends count from RANK; both are clamped into the shape. */
static int32_t clamp(int64_t at, int32_t rank) {
    if (at < 0) at += rank;
    return (int32_t)fzi_min_i64(fzi_max_i64(at, 0), rank);
}

static void bounds(const struct fz_call *call, int32_t *first, int32_t *last) {
    const struct params *p = call->params;
    *first = clamp(p->start, call->in[0]->rank);
    *last = (int32_t)fzi_max_i64(*first, clamp(p->end, call->in[0]->rank));
}

static fz_status_t infer_shape(const struct fz_op *op, const struct fz_call *call) {
    int64_t n = FZ_DIM_UNKNOWN;
    (void)op;
    if (call->in[0]->rank >= 0) {
        int32_t first, last;
        bounds(call, &first, &last);
        n = last - first;
    }
    fzi_infer_shape(call, 0, FZ_TYPE_I64, 1, &n);
    return FZ_OK;
}

static fz_status_t run_shape(const struct fz_op *op, const struct fz_call *call) {
    int32_t first, last;
    int64_t *out = call->out[0]->data;
    (void)op;
    bounds(call, &first, &last);
    for (int32_t d = first; d < last; d++) out[d - first] = call->in[0]->dims[d];
    return FZ_OK;
}

static fz_status_t infer_size(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    fzi_infer_shape(call, 0, FZ_TYPE_I64, 0, NULL);
    return FZ_OK;
}

static fz_status_t run_size(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    *(int64_t *)call->out[0]->data = fzi_tensor_count(call->in[0]);
    return FZ_OK;
}

const struct fz_op fz_ops_shape[] = {
    {.name = "Shape",
     .domain = "",
     .since = 1,
     .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_SHAPE_INPUT,
     .min_in = 1,
     .max_in = 1,
     .min_out = 1,
     .max_out = 1,
     .attrs = "start end",
     .params_size = sizeof(struct params),
     .lower = lower,
     .infer = infer_shape,
     .run = run_shape},
    {.name = "Size",
     .domain = "",
     .since = 1,
     .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_SHAPE_INPUT,
     .min_in = 1,
     .max_in = 1,
     .min_out = 1,
     .max_out = 1,
     .infer = infer_size,
     .run = run_size},
    {0},
};
