/* frozen.QAdd and frozen.QMul: two tensors of bytes of the same shape, dequantised, combined and
 * requantised in one step, with the bits of the operators one by one:
 *   saturate(round(((a - za) * sa op (b - zb) * sb) / sc) + zc), each step in binary32. */
#include "ops/quant.h"

struct params {
    int64_t is_signed, za, zb, zc, low, high;
    double sa, sb, sc; /* binary32 values */
};

enum { GRAIN = 32768 };

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "signed", 0, &p->is_signed));
    FZ_TRY(fzi_attr_int(node, "za", 0, &p->za));
    FZ_TRY(fzi_attr_int(node, "zb", 0, &p->zb));
    FZ_TRY(fzi_attr_int(node, "zc", 0, &p->zc));
    FZ_TRY(fzi_attr_int(node, "low", 0, &p->low));
    FZ_TRY(fzi_attr_int(node, "high", 255, &p->high));
    FZ_TRY(fzi_attr_float(node, "sa", 1, &p->sa));
    FZ_TRY(fzi_attr_float(node, "sb", 1, &p->sb));
    return fzi_attr_float(node, "sc", 1, &p->sc);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *a = call->in[0], *b = call->in[1];
    uint64_t type = p->is_signed ? FZ_T(I8) : FZ_T(U8);
    int64_t low = p->is_signed ? -128 : 0, high = low + 255;
    if (p->is_signed >> 1 || p->low < low || p->high > high || p->low > p->high || p->za < low ||
        p->za > high || p->zb < low || p->zb > high || p->zc < low || p->zc > high)
        return fzi_error(FZ_E_FORMAT, "%s: a number outside of its type", op->name);
    FZ_TRY(fzi_infer_type(op, call, 0, type));
    FZ_TRY(fzi_infer_type(op, call, 1, type));
    if (fzi_shape_known(a) && fzi_shape_known(b) && !fzi_shape_equal(a, b))
        return fzi_error(FZ_E_SHAPE, "%s: the shapes differ", op->name);
    fzi_infer_like(call, 0, a->dtype, fzi_shape_known(b) ? b : a);
    return FZ_OK;
}

struct job {
    const struct fz_op *op;
    const struct fz_call *call;
};

static void run_part(void *arg, int64_t begin, int64_t end) {
    const struct job *j = arg;
    const struct params *p = j->call->params;
    const struct fzk_table *k = j->call->env->k;
    struct fzk_qbinary q = {.n = end - begin,
                            .a = (const char *)j->call->in[0]->data + begin,
                            .b = (const char *)j->call->in[1]->data + begin,
                            .c = (char *)j->call->out[0]->data + begin,
                            .a_step = 1, .b_step = 1, .is_signed = (int32_t)p->is_signed,
                            .za = (int32_t)p->za, .zb = (int32_t)p->zb, .zc = (int32_t)p->zc,
                            .lo = (int32_t)p->low, .hi = (int32_t)p->high,
                            .sa = (float)p->sa, .sb = (float)p->sb, .sc = (float)p->sc};
    if (j->op->kind) k->qmul_u8(&q);
    else k->qadd_u8(&q);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job j = {op, call};
    fzi_run_range(call->env, fzi_tensor_count(call->out[0]), GRAIN, run_part, &j);
    return FZ_OK;
}

#define COMMON .domain = "frozen", .since = 1, .rev = 1, .flags = FZ_OP_IN_PLACE, .min_in = 2,     \
    .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "signed za zb zc low high sa sb sc",         \
    .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run

const struct fz_op fz_ops_frozen_qadd[] = {
    {.name = "QAdd", .kind = 0, COMMON},
    {.name = "QMul", .kind = 1, COMMON},
    {0},
};
