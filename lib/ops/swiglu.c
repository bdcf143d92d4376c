/* SwiGLU: swish(a) * b, the swish as a function of its own, rounded, and one product. */
#include "ops/wide.h"

enum { GRAIN = 8192 };

struct params {
    double alpha; /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_float(node, "alpha", 1, &p->alpha);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *a = call->in[0], *b = call->in[1];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_FLOAT));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << a->dtype));
    if (fzi_shape_known(a) && fzi_shape_known(b) && !fzi_shape_equal(a, b))
        return fzi_error(FZ_E_SHAPE, "%s: the inputs differ in shape", op->name);
    fzi_infer_like(call, 0, a->dtype, a->rank >= 0 ? a : b);
    return FZ_OK;
}

static void block(const struct fz_call *call, int64_t first, int64_t n) {
    union fz_wide_block wide[2], sum;
    const struct fzk_table *k = call->env->k;
    const struct params *p = call->params;
    int32_t type = call->in[0]->dtype;
    const void *a = fzi_wide_load(k, type, call->in[0]->data, first, n, &wide[0]);
    const void *b = fzi_wide_load(k, type, call->in[1]->data, first, n, &wide[1]);
    if (type == FZ_TYPE_F64) {
        k->unary_f64(FZK_FN_SWISH, sum.f64, a, n, p->alpha, 0);
        k->binary_f64(FZK_BINARY_MUL, sum.f64, sum.f64, b, n, 1, 1);
    } else {
        k->unary_f32(FZK_FN_SWISH, sum.f32, a, n, (float)p->alpha, 0);
        k->binary_f32(FZK_BINARY_MUL, sum.f32, sum.f32, b, n, 1, 1);
    }
    fzi_wide_store(k, type, call->out[0]->data, first, n, &sum);
}

static void range(void *arg, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += FZ_WIDE_BLOCK)
        block(arg, i, fzi_min_i64(FZ_WIDE_BLOCK, end - i));
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_call copy = *call;
    (void)op;
    fzi_run_range(call->env, fzi_tensor_count(call->out[0]), GRAIN, range, &copy);
    return FZ_OK;
}

const struct fz_op fz_ops_swiglu[] = {
    {.name = "SwiGLU", .domain = "", .since = 28, .rev = 1, .flags = FZ_OP_IN_PLACE | FZ_OP_HALF,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "alpha",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
