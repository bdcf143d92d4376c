/* PRelu: x where it is not negative, else x times a slope that broadcasts to x, rounded once. */
#include "ops/pairs.h"

FZ_PAIR_KERNEL(prelu, FZK_BINARY_PRELU)
FZ_PAIR(prelu_i64, int64_t, uint64_t, int64_t, a < 0 ? (int64_t)((uint64_t)a * b) : a)
FZ_PAIR(prelu_u64, uint64_t, uint64_t, uint64_t, ((void)b, a))

/* Before opset 7 a slope of one dimension belongs to the channels. */
static fz_status_t lower_old(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_pairs_params *p = params;
    (void)lower, (void)node;
    p->legacy = p->broadcast = p->has_axis = p->axis = 1;
    return FZ_OK;
}

/* A slope of one element is shared by all channels, whatever the rank. */
static struct fz_pairs_params adjust(const struct fz_call *call) {
    struct fz_pairs_params p = *(const struct fz_pairs_params *)call->params;
    if (call->in[1]->rank == 1 && (call->in[1]->dims[0] == 1 || call->in[0]->rank < 2))
        p.has_axis = 0;
    return p;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_pairs_params params = adjust(call);
    fz_tensor_t out = {0};
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << call->in[0]->dtype));
    FZ_TRY(fzi_pairs_shape(op, call, &params, &out));
    if (fzi_shape_known(&out) && fzi_shape_known(call->in[0]) &&
        !fzi_shape_equal(&out, call->in[0]))
        return fzi_error(FZ_E_SHAPE, "%s: the slope is larger than the input", op->name);
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[0]);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    static const fz_pair_fn fn[FZ_WIDE_COUNT] = {NULL, prelu_f32, prelu_f64, prelu_i64, prelu_u64,
                                                 NULL};
    const struct fz_pairs_params params = adjust(call);
    enum fz_wide wide = fzi_wide_of(call->in[0]->dtype);
    bool sign = fzi_type_is_signed(call->in[0]->dtype);
    (void)op;
    return fzi_pairs_run(call, &params, wide == FZ_WIDE_I64 && !sign ? prelu_u64 : fn[wide], false);
}

#define ROW(first, last, known, lowering)                                                          \
    {.name = "PRelu", .domain = "", .since = first, .until = last, .rev = 1,                       \
     .flags = FZ_OP_IN_PLACE | FZ_OP_HALF, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,   \
     .attrs = known, .params_size = sizeof(struct fz_pairs_params), .lower = lowering,             \
     .infer = infer, .run = run}

const struct fz_op fz_ops_prelu[] = {
    ROW(1, 6, "consumed_inputs", lower_old),
    ROW(7, 0, NULL, fzi_pairs_lower),
    {0},
};
