/* Pow: base to the power of an exponent of any number type; the result has the base's type. Float
 * bases use the kernels' pow in their own width, the exponent converted to it. Integer bases with
 * integer exponents are multiplied modulo 2^n; a negative exponent gives the truncated reciprocal,
 * 0 of base 0. Integer bases with float exponents go through binary64 and are truncated. */
#include "ops/pairs.h"

/* Exponents of one block as the type of the base. */
#define POW_FLOAT(name, kernel, tx, tb)                                                            \
    static void name(const struct fzk_table *k, int64_t n, const void *a, int64_t a_step,          \
                     const void *b, int64_t b_step, void *y) {                                     \
        tx block[FZ_WIDE_BLOCK];                                                                   \
        for (int64_t i = 0, m; i < n; i += m) {                                                    \
            m = fzi_min_i64(FZ_WIDE_BLOCK, n - i);                                                 \
            for (int64_t j = 0; j < m; j++) block[j] = (tx)((const tb *)b)[(i + j) * b_step];      \
            k->kernel(FZK_BINARY_POW, (tx *)y + i, (const tx *)a + i * a_step, block, m, a_step,   \
                      b_step);                                                                     \
        }                                                                                          \
    }
FZ_PAIR_KERNEL(pow, FZK_BINARY_POW)
POW_FLOAT(pow_f32_f64, binary_f32, float, double)
POW_FLOAT(pow_f32_i64, binary_f32, float, int64_t)
POW_FLOAT(pow_f32_u64, binary_f32, float, uint64_t)
POW_FLOAT(pow_f64_f32, binary_f64, double, float)
POW_FLOAT(pow_f64_i64, binary_f64, double, int64_t)
POW_FLOAT(pow_f64_u64, binary_f64, double, uint64_t)

static uint64_t power_u64(uint64_t base, uint64_t exponent) {
    uint64_t y = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) y *= base;
    return y;
}

static int64_t power_i64(int64_t base, int64_t exponent) {
    if (exponent >= 0) return (int64_t)power_u64((uint64_t)base, (uint64_t)exponent);
    if (base == 1) return 1;
    return base == -1 ? (exponent & 1 ? -1 : 1) : 0;
}
FZ_PAIR(pow_i64, int64_t, int64_t, int64_t, power_i64(a, b))
FZ_PAIR(pow_i64_u64, int64_t, uint64_t, int64_t, power_u64((uint64_t)a, b))
FZ_PAIR(pow_u64_i64, uint64_t, int64_t, uint64_t,
        b < 0 ? a == 1 : power_u64(a, (uint64_t)b))
FZ_PAIR(pow_u64, uint64_t, uint64_t, uint64_t, power_u64(a, b))

/* Truncated, saturated at 64 bits. */
static int64_t to_i64(double x) {
    if (x != x) return 0;
    if (x <= -0x1p63) return INT64_MIN;
    return x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}

/* Integer bases and float exponents, a power at a time. */
#define POW_INT(name, ta, tb)                                                                      \
    static void name(const struct fzk_table *k, int64_t n, const void *pa, int64_t a_step,         \
                     const void *pb, int64_t b_step, void *py) {                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            double a = (double)((const ta *)pa)[i * a_step];                                       \
            double b = (double)((const tb *)pb)[i * b_step], y;                                    \
            k->binary_f64(FZK_BINARY_POW, &y, &a, &b, 1, 1, 1);                                    \
            ((int64_t *)py)[i] = to_i64(y);                                                        \
        }                                                                                          \
    }
POW_INT(pow_i64_f32, int64_t, float)
POW_INT(pow_i64_f64, int64_t, double)
POW_INT(pow_u64_f32, uint64_t, float)
POW_INT(pow_u64_f64, uint64_t, double)

/* By the wide types of base and exponent. */
static const fz_pair_fn rows[FZ_WIDE_COUNT][FZ_WIDE_COUNT] = {
    [FZ_WIDE_F32] = {NULL, pow_f32, pow_f32_f64, pow_f32_i64, pow_f32_u64, NULL},
    [FZ_WIDE_F64] = {NULL, pow_f64_f32, pow_f64, pow_f64_i64, pow_f64_u64, NULL},
    [FZ_WIDE_I64] = {NULL, pow_i64_f32, pow_i64_f64, pow_i64, pow_i64_u64, NULL},
    [FZ_WIDE_U64] = {NULL, pow_u64_f32, pow_u64_f64, pow_u64_i64, pow_u64, NULL},
};

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    fz_tensor_t out = {0};
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T_NUMBER));
    FZ_TRY(fzi_pairs_shape(op, call, call->params, &out));
    fzi_infer_like(call, 0, call->in[0]->dtype, &out);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    enum fz_wide a = fzi_wide_of(call->in[0]->dtype), b = fzi_wide_of(call->in[1]->dtype);
    (void)op;
    return fzi_pairs_run(call, call->params, rows[a][b], false);
}

#define ROW(first, last, known)                                                                    \
    {.name = "Pow", .domain = "", .since = first, .until = last, .rev = 1,                         \
     .flags = FZ_OP_IN_PLACE | FZ_OP_HALF, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,   \
     .attrs = known, .params_size = sizeof(struct fz_pairs_params), .lower = fzi_pairs_lower,      \
     .round_at = offsetof(struct fz_pairs_params, round),                                          \
     .infer = infer, .run = run}

const struct fz_op fz_ops_pow[] = {
    ROW(1, 6, "axis broadcast"),
    ROW(7, 0, NULL),
    {0},
};
