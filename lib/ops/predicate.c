/* Not, BitwiseNot, IsNaN and IsInf: one operand, looked at as bits. */
#include "ops/wide.h"

enum { NOT, BIT_NOT, IS_NAN, IS_INF, GRAIN = 16384 };

struct params {
    int64_t negative, positive; /* of IsInf: which infinities count */
};

static fz_status_t lower_inf(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "detect_negative", 1, &p->negative));
    return fzi_attr_int(node, "detect_positive", 1, &p->positive);
}

#define FLOAT_8                                                                                    \
    (FZ_T(F8E4M3FN) | FZ_T(F8E4M3FNUZ) | FZ_T(F8E5M2) | FZ_T(F8E5M2FNUZ) | FZ_T(F8E8M0))

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    static const uint64_t types[] = {FZ_T(BOOL), FZ_T_INT | FZ_T_UINT, FZ_T_FLOAT | FLOAT_8,
                                     FZ_T_FLOAT | FLOAT_8};
    FZ_TRY(fzi_infer_type(op, call, 0, types[op->kind]));
    int32_t dtype = op->kind == BIT_NOT ? call->in[0]->dtype : FZ_TYPE_BOOL;
    fzi_infer_like(call, 0, dtype, call->in[0]);
    return FZ_OK;
}

struct job {
    const struct fzk_table *k;
    const struct fz_op *op;
    const struct params *p;
    const fz_tensor_t *in;
    uint8_t *y;
};

/* A float type's class of value, told by comparisons. */
static bool matches(const struct job *job, double x) {
    if (job->op->kind == IS_NAN) return x != x;
    if (x == __builtin_inf()) return job->p->positive != 0;
    return x == -__builtin_inf() && job->p->negative;
}

static void float_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const fz_tensor_t *t = job->in;
    if (fzi_wide_is_small(t->dtype)) {
        float x;
        for (int64_t i = begin; i < end; i++) {
            fzi_wide_from_small(job->k, t->dtype, (const uint8_t *)t->data + i, 1, &x);
            job->y[i] = matches(job, (double)x);
        }
        return;
    }
    if (t->dtype == FZ_TYPE_F32) {
        const float *x = t->data;
        for (int64_t i = begin; i < end; i++) job->y[i] = matches(job, (double)x[i]);
        return;
    }
    for (int64_t i = begin; i < end; i++) job->y[i] = matches(job, fzi_tensor_float(t, i));
}

static void byte_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const uint8_t *x = job->in->data;
    uint8_t *y = job->y;
    if (job->op->kind == NOT)
        for (int64_t i = begin; i < end; i++) y[i] = !x[i];
    else
        for (int64_t i = begin; i < end; i++) y[i] = (uint8_t)~x[i];
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {call->env->k, op, call->params, call->in[0], call->out[0]->data};
    bool bytes = op->kind == NOT || op->kind == BIT_NOT;
    int64_t n = bytes ? (int64_t)call->out[0]->size : fzi_tensor_count(call->in[0]);
    fzi_run_range(call->env, n, GRAIN, bytes ? byte_range : float_range, &job);
    return FZ_OK;
}

#define ROW(onnx, first, row, extra, known, size, lowering)                                        \
    {.name = onnx, .domain = "", .since = first, .rev = 1, .flags = extra, .min_in = 1,            \
     .max_in = 1, .min_out = 1, .max_out = 1, .attrs = known, .params_size = size, .kind = row,    \
     .lower = lowering, .infer = infer, .run = run}

const struct fz_op fz_ops_predicate[] = {
    ROW("Not", 1, NOT, FZ_OP_IN_PLACE, NULL, 0, NULL),
    ROW("BitwiseNot", 18, BIT_NOT, FZ_OP_IN_PLACE, NULL, 0, NULL),
    ROW("IsNaN", 9, IS_NAN, FZ_OP_HALF, NULL, 0, NULL),
    ROW("IsInf", 10, IS_INF, FZ_OP_HALF, "detect_negative detect_positive", sizeof(struct params),
        lower_inf),
    {0},
};
