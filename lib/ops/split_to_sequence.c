/* SplitToSequence: the parts of a tensor along an axis. */
#include "ops/move.h"
#include "ops/nested.h"

struct params {
    int64_t axis, keepdims;
};

/* How an axis is cut. */
struct cut {
    int32_t axis;
    int64_t n, size; /* parts; of each if they are alike, but the last */
    const fz_tensor_t *sizes;
    bool drops; /* the axis, which is 1 in each part */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "axis", 0, &p->axis));
    return fzi_attr_int(node, "keepdims", 1, &p->keepdims);
}

/* Each part's size is given: they must add up. */
static fz_status_t check_sizes(const struct fz_op *op, const fz_tensor_t *sizes, int64_t dim) {
    int64_t sum = 0, n = fzi_tensor_count(sizes);
    for (int64_t i = 0; i < n; i++) {
        int64_t size = fzi_tensor_int(sizes, i);
        if (size < 0 || !fzi_add_i64(sum, size, &sum))
            return fzi_error(FZ_E_VALUE, "%s: a part of size %lld", op->name, (long long)size);
    }
    if (sum == dim) return FZ_OK;
    return fzi_error(FZ_E_VALUE, "%s: the parts are %lld together, the axis %lld", op->name,
                     (long long)sum, (long long)dim);
}

static fz_status_t read_sizes(const struct fz_op *op, const fz_tensor_t *sizes, int64_t dim,
                              struct cut *cut) {
    if (sizes->rank == 1) {
        cut->sizes = sizes;
        cut->n = sizes->dims[0];
        return check_sizes(op, sizes, dim);
    }
    cut->size = fzi_tensor_int(sizes, 0);
    if (cut->size <= 0) return fzi_error(FZ_E_VALUE, "%s: parts of size %lld", op->name,
                                         (long long)cut->size);
    cut->n = fzi_ceil_div(dim, cut->size);
    return FZ_OK;
}

/* *CUT's n is negative if the shape or the sizes are not known yet. */
static fz_status_t find_cut(const struct fz_op *op, const struct fz_call *call, struct cut *cut) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *sizes = fzi_move_has(call, 1) ? call->in[1] : NULL;
    *cut = (struct cut){.n = FZ_DIM_UNKNOWN, .size = 1, .drops = !sizes && !p->keepdims};
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I32) | FZ_T(I64)));
    if (sizes && sizes->rank > 1)
        return fzi_error(FZ_E_SHAPE, "%s: input 1 is neither a number nor a list", op->name);
    if (in->rank < 0) return FZ_OK;
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &cut->axis));
    int64_t dim = in->dims[cut->axis];
    if (dim < 0) return FZ_OK;
    if (!sizes) cut->n = dim;
    else if (fzi_shape_known(sizes) && (sizes->data || fzi_tensor_count(sizes) == 0))
        return read_sizes(op, sizes, dim, cut);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    struct cut cut;
    FZ_TRY(find_cut(op, call, &cut));
    return fzi_nested_infer(op, call, 0, FZ_KIND_SEQUENCE, call->in[0]->dtype, cut.n);
}

static int64_t part_size(const struct cut *cut, int64_t i, int64_t left) {
    if (cut->sizes) return fzi_tensor_int(cut->sizes, i);
    return fzi_min_i64(cut->size, left);
}

/* Describes a part of SIZE from place AT of the axis on and gives it memory. */
static fz_status_t make_part(const struct fz_call *call, const struct cut *cut, int64_t size,
                             fz_tensor_t *to) {
    const fz_tensor_t *in = call->in[0];
    *to = (fz_tensor_t){.dtype = in->dtype};
    for (int32_t d = 0; d < in->rank; d++)
        if (d != cut->axis || !cut->drops)
            to->dims[to->rank++] = d == cut->axis ? size : in->dims[d];
    FZ_TRY(fzi_tensor_measure(to));
    to->data = to->size ? fzi_arena_alloc(call->env->heap, to->size) : NULL;
    if (to->size && !to->data)
        return fzi_error(FZ_E_LIMIT, "the values of sequences need more memory than there is");
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    fz_tensor_t *items = call->out[0]->data;
    struct cut cut;
    FZ_TRY(find_cut(op, call, &cut));
    if (cut.n != call->out[0]->dims[0])
        return fzi_error(FZ_E_SHAPE, "%s: the number of parts has changed", op->name);
    int64_t dim = in->dims[cut.axis], inner = fzi_move_span(in, cut.axis + 1, in->rank), at = 0;
    for (int64_t i = 0; i < cut.n; i++) {
        struct fz_move move = {.width = fzi_type_width(in->dtype)};
        int64_t size = part_size(&cut, i, dim - at);
        FZ_TRY(call->env->poll(call->env));
        FZ_TRY(make_part(call, &cut, size, &items[i]));
        fzi_move_dim(&move, fzi_move_span(in, 0, cut.axis), dim * inner, size * inner);
        fzi_move_dim(&move, size * inner, 1, 1);
        if (items[i].size)
            fzi_move_run(call->env, &move, fzi_move_at(in, at * inner), items[i].data);
        at += size;
    }
    return FZ_OK;
}

const struct fz_op fz_ops_split_to_sequence[] = {
    {.name = "SplitToSequence", .domain = "", .since = 11, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "axis keepdims",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
