/* Det: determinants of square matrices by elimination with partial pivoting, in binary64, row by
 * row from the top; the first of equal pivots is taken. The pivots are multiplied in order and the
 * product is rounded once. */
#include "ops/op.h"

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0];
    fz_tensor_t batch = *x;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    fzi_infer_unknown(call, 0, x->dtype);
    if (x->rank < 0) return FZ_OK;
    int64_t rows = x->rank >= 2 ? x->dims[x->rank - 2] : 0, n = 0;
    int64_t cols = x->rank >= 2 ? x->dims[x->rank - 1] : 0;
    if (x->rank < 2 || (rows >= 0 && cols >= 0 && rows != cols) ||
        (rows >= 0 && !fzi_mul_i64(rows, rows, &n)) || n > INT64_MAX >> 8)
        return fzi_error(FZ_E_SHAPE, "%s: the input is not of square matrices", op->name);
    batch.rank -= 2;
    fzi_infer_like(call, 0, x->dtype, &batch);
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    int64_t n = call->in[0]->dims[call->in[0]->rank - 1];
    (void)op;
    return (size_t)(n * n) * 8;
}

static int64_t find_pivot(const double *a, int64_t n, int64_t column) {
    int64_t best = column;
    double most = __builtin_fabs(a[column * n + column]);
    for (int64_t i = column + 1; i < n; i++) {
        double x = __builtin_fabs(a[i * n + column]);
        if (x > most || x != x) most = x, best = i;
        if (x != x) break;
    }
    return best;
}

static void swap_rows(double *a, double *b, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double t = a[j];
        a[j] = b[j];
        b[j] = t;
    }
}

/* A is overwritten. */
static fz_status_t determinant(const struct fz_env *env, double *a, int64_t n, double *det) {
    *det = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = find_pivot(a, n, c);
        if (pivot != c) {
            swap_rows(a + pivot * n, a + c * n, n);
            *det = -*det;
        }
        double p = a[c * n + c];
        *det = *det * p;
        if (p == 0) return FZ_OK;
        FZ_TRY(env->poll(env));
        for (int64_t i = c + 1; i < n; i++) {
            double factor = a[i * n + c] / p;
            for (int64_t j = c + 1; j < n; j++) a[i * n + j] = a[i * n + j] - factor * a[c * n + j];
        }
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *out = call->out[0];
    int64_t n = x->dims[x->rank - 1], count = fzi_tensor_count(out);
    double *a = call->scratch, det;
    (void)op;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < n * n; j++)
            a[j] = x->dtype == FZ_TYPE_F32 ? (double)((const float *)x->data)[i * n * n + j]
                                           : ((const double *)x->data)[i * n * n + j];
        FZ_TRY(determinant(call->env, a, n, &det));
        if (x->dtype == FZ_TYPE_F32) ((float *)out->data)[i] = (float)det;
        else ((double *)out->data)[i] = det;
    }
    return FZ_OK;
}

const struct fz_op fz_ops_det[] = {
    {.name = "Det", .domain = "", .since = 11, .rev = 1, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = 1, .infer = infer, .scratch = scratch, .run = run},
    {0},
};
