/* HannWindow, HammingWindow and BlackmanWindow: sums of cosines in binary64, with t = i / n, or
 * i / (n - 1) if the window is symmetric:
 *   Hann 0.5 - 0.5 cos(2 pi t);   Hamming 25/46 - 21/46 cos(2 pi t);
 *   Blackman 0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t).
 * A symmetric window of one element is 1. */
#include "ops/generate.h"
#include "ops/move.h"

enum { HANN, HAMMING, BLACKMAN };
static const double terms[3][3] = {{0.5, 0.5, 0}, {25.0 / 46, 21.0 / 46, 0}, {0.42, 0.5, 0.08}};

struct params {
    int64_t dtype, periodic;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "output_datatype", FZ_TYPE_F32, &p->dtype));
    return fzi_attr_int(node, "periodic", 1, &p->periodic);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int64_t n = FZ_DIM_UNKNOWN, size;
    bool known;
    FZ_TRY(fzi_generate_type(op, p->dtype, FZ_T_NUMBER));
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(I32) | FZ_T(I64)));
    FZ_TRY(fzi_move_scalar(op, call, 0, &size, &known));
    if (known && (size < 0 || size > INT32_MAX))
        return fzi_error(FZ_E_VALUE, "%s: a window of %lld elements is out of range",
                         op->name, (long long)size);
    if (known) n = size;
    fzi_infer_shape(call, 0, (int32_t)p->dtype, 1, &n);
    return FZ_OK;
}

static void block(const struct fz_env *env, const double *term, int64_t first, int64_t n,
                  double period, double *x) {
    double angle[FZ_GENERATE_BLOCK];
    for (int64_t i = 0; i < n; i++)
        angle[i] = (double)(first + i) / period * (2 * 3.14159265358979323846);
    env->k->unary_f64(FZK_FN_COS, x, angle, n, 0, 0);
    for (int64_t i = 0; i < n; i++) x[i] = term[0] - term[1] * x[i];
    if (term[2] == 0) return;
    for (int64_t i = 0; i < n; i++) angle[i] = angle[i] * 2;
    env->k->unary_f64(FZK_FN_COS, angle, angle, n, 0, 0);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] + term[2] * angle[i];
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int64_t size = call->out[0]->dims[0], period = p->periodic ? size : size - 1;
    double x[FZ_GENERATE_BLOCK] = {1};
    if (period == 0 && size == 1) {
        fzi_generate_store(call->out[0], 0, 1, x);
        return FZ_OK;
    }
    for (int64_t i = 0; i < size; i += FZ_GENERATE_BLOCK) {
        int64_t n = fzi_min_i64(FZ_GENERATE_BLOCK, size - i);
        FZ_TRY(call->env->poll(call->env));
        block(call->env, terms[op->kind], i, n, (double)period, x);
        fzi_generate_store(call->out[0], i, n, x);
    }
    return FZ_OK;
}

#define ROW(onnx, row)                                                                             \
    {.name = onnx, .domain = "", .since = 17, .rev = 1, .min_in = 1, .max_in = 1, .min_out = 1,    \
     .max_out = 1, .attrs = "output_datatype periodic", .params_size = sizeof(struct params),      \
     .kind = row, .lower = lower, .infer = infer, .run = run}

const struct fz_op fz_ops_window[] = {
    ROW("HannWindow", HANN),
    ROW("HammingWindow", HAMMING),
    ROW("BlackmanWindow", BLACKMAN),
    {0},
};
