/* Slice: every step-th element from start to end, along some axes. */
#include "ops/move.h"

struct params {
    struct fz_list starts, ends, axes; /* before opset 10; then inputs 1 to 3, and steps 4 */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_move_list(node, "starts", &p->starts));
    FZ_TRY(fzi_move_list(node, "ends", &p->ends));
    return fzi_move_list(node, "axes", &p->axes);
}

/* What is taken from each dimension: COUNT elements from START on, STEP apart; COUNT is negative
 * while it is not known. */
struct window {
    int64_t start[FZ_RANK_MAX], step[FZ_RANK_MAX], count[FZ_RANK_MAX];
};

/* The lists as they are given; n[i] is their length, or -2 while the values are not known. */
struct lists {
    int64_t starts[FZ_RANK_MAX], ends[FZ_RANK_MAX], axes[FZ_RANK_MAX], steps[FZ_RANK_MAX];
    int32_t n_starts, n_ends, n_axes, n_steps;
};

static fz_status_t read_lists(const struct fz_op *op, const struct fz_call *call,
                              struct lists *l) {
    const struct params *p = call->params;
    FZ_TRY(fzi_move_values(op, call, 1, &p->starts, l->starts, &l->n_starts));
    FZ_TRY(fzi_move_values(op, call, 2, &p->ends, l->ends, &l->n_ends));
    FZ_TRY(fzi_move_values(op, call, 3, &p->axes, l->axes, &l->n_axes));
    FZ_TRY(fzi_move_values(op, call, 4, NULL, l->steps, &l->n_steps));
    if (l->n_starts >= 0 && l->n_ends >= 0 && l->n_starts != l->n_ends)
        return fzi_error(FZ_E_SHAPE, "%s: %d starts but %d ends", op->name, l->n_starts,
                         l->n_ends);
    return FZ_OK;
}

/* Clamps in the manner of NumPy and counts. */
static void take(int64_t dim, int64_t start, int64_t end, int64_t step, struct window *w,
                 int32_t d) {
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
    if (start < 0) start += dim;
    if (end < 0) end += dim;
    start = fzi_min_i64(fzi_max_i64(start, fzi_max_i64(low, 0)), high);
    end = fzi_min_i64(fzi_max_i64(end, low), high);
    w->start[d] = start;
    w->step[d] = step;
    if (step > 0) w->count[d] = end > start ? (end - start - 1) / step + 1 : 0;
    else w->count[d] = start > end ? (start - end - 1) / -step + 1 : 0;
}

/* Axis D of a dimension that is not known stays what it is if all of it is taken. */
static void take_unknown(int64_t dim, int64_t start, int64_t end, int64_t step, struct window *w,
                         int32_t d) {
    bool all = step == 1 && start == 0 && end >= INT32_MAX;
    w->count[d] = all ? dim : FZ_DIM_UNKNOWN;
}

static fz_status_t cut(const struct fz_op *op, const fz_tensor_t *in, const struct lists *l,
                       int32_t i, int32_t d, struct window *w) {
    bool known = l->n_starts >= 0 && l->n_ends >= 0 && l->n_steps >= 0;
    int64_t step = l->n_steps > 0 ? l->steps[i] : 1;
    if (known && step == 0) return fzi_error(FZ_E_VALUE, "%s: a step of 0", op->name);
    step = fzi_max_i64(step, -INT64_MAX);
    if (!known) w->count[d] = FZ_DIM_UNKNOWN;
    else if (in->dims[d] < 0) take_unknown(in->dims[d], l->starts[i], l->ends[i], step, w, d);
    else take(in->dims[d], l->starts[i], l->ends[i], step, w, d);
    return FZ_OK;
}

/* The window of an input of known rank. *N is how many axes are cut; if even that is not known, no
 * count is. */
static fz_status_t find_window(const struct fz_op *op, const struct fz_call *call,
                               struct window *w) {
    const fz_tensor_t *in = call->in[0];
    struct lists l;
    uint32_t seen = 0;
    FZ_TRY(read_lists(op, call, &l));
    int64_t n = l.n_starts >= 0 ? l.n_starts : fzi_move_length(call, 1);
    if (n > FZ_RANK_MAX || (n >= 0 && l.n_axes > 0 && l.n_axes != n) ||
        (n >= 0 && l.n_steps > 0 && l.n_steps != n))
        return fzi_error(FZ_E_SHAPE, "%s: %lld starts, %d axes and %d steps", op->name,
                         (long long)n, l.n_axes, l.n_steps);
    bool blind = n < 0 || l.n_axes == -2;
    for (int32_t d = 0; d < in->rank; d++) {
        w->start[d] = 0;
        w->step[d] = 1;
        w->count[d] = blind ? FZ_DIM_UNKNOWN : in->dims[d];
    }
    for (int32_t i = 0; i < n && !blind; i++) {
        int32_t d;
        FZ_TRY(fzi_move_axis(op, l.n_axes > 0 ? l.axes[i] : i, in->rank, &d));
        if (seen >> d & 1)
            return fzi_error(FZ_E_SHAPE, "%s: axis %d is named twice", op->name, d);
        seen |= 1u << d;
        FZ_TRY(cut(op, in, &l, i, d, w));
    }
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    struct window w;
    FZ_TRY(fzi_move_type(op, call, 0));
    if (call->in[0]->rank < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(find_window(op, call, &w));
    fzi_infer_shape(call, 0, call->in[0]->dtype, call->in[0]->rank, w.count);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0], *out = call->out[0];
    struct fz_move move = {.width = fzi_type_width(in->dtype)};
    struct window w;
    int64_t from[FZ_RANK_MAX], to[FZ_RANK_MAX], at = 0;
    if (out->size == 0) return FZ_OK;
    FZ_TRY(find_window(op, call, &w));
    fzi_move_strides(in->rank, in->dims, from);
    fzi_move_strides(out->rank, out->dims, to);
    for (int32_t d = 0; d < out->rank; d++) {
        if (w.count[d] != out->dims[d])
            return fzi_error(FZ_E_SHAPE, "%s: dimension %d has changed", op->name, d);
        at += w.start[d] * from[d];
        /* A step past the end is never taken; it may be too large to multiply. */
        fzi_move_dim(&move, out->dims[d], w.count[d] > 1 ? w.step[d] * from[d] : 0, to[d]);
    }
    fzi_move_run(call->env, &move, fzi_move_at(in, at), out->data);
    return FZ_OK;
}

const struct fz_op fz_ops_slice[] = {
    {.name = "Slice", .domain = "", .since = 1, .until = 9, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "starts ends axes",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "Slice", .domain = "", .since = 10, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 3, .max_in = 5, .min_out = 1, .max_out = 1,
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
