/* Add, Sub, Mul, Div and Mod with broadcasting. Integers wrap modulo 2^n; an integer divided by 0
 * gives 0, the least one by -1 itself. Remainders of floats are exact. */
#include "ops/pairs.h"

FZ_PAIR(add_f32, float, float, float, a + b)
FZ_PAIR(add_f64, double, double, double, a + b)
FZ_PAIR(add_int, uint64_t, uint64_t, uint64_t, a + b)
FZ_PAIR(sub_f32, float, float, float, a - b)
FZ_PAIR(sub_f64, double, double, double, a - b)
FZ_PAIR(sub_int, uint64_t, uint64_t, uint64_t, a - b)
FZ_PAIR(mul_f32, float, float, float, a * b)
FZ_PAIR(mul_f64, double, double, double, a * b)
FZ_PAIR(mul_int, uint64_t, uint64_t, uint64_t, a * b)
FZ_PAIR(div_f32, float, float, float, a / b)
FZ_PAIR(div_f64, double, double, double, a / b)
FZ_PAIR(div_u64, uint64_t, uint64_t, uint64_t, b ? a / b : 0)

static int64_t quotient(int64_t a, int64_t b) {
    if (b == 0) return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
FZ_PAIR(div_i64, int64_t, int64_t, int64_t, quotient(a, b))

/* Sign of the dividend. */
static int64_t remainder_c(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
FZ_PAIR(fmod_i64, int64_t, int64_t, int64_t, remainder_c(a, b))

/* Sign of the divisor. */
static int64_t remainder_floor(int64_t a, int64_t b) {
    int64_t r = remainder_c(a, b);
    return r && (r < 0) != (b < 0) ? r + b : r;
}
FZ_PAIR(mod_i64, int64_t, int64_t, int64_t, remainder_floor(a, b))
FZ_PAIR(mod_u64, uint64_t, uint64_t, uint64_t, b ? a % b : 0)

/* |x| = mantissa * 2^exponent, for finite x. */
static uint64_t split(double x, int *exponent) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    int biased = (int)(bits >> 52 & 0x7FF);
    uint64_t mantissa = bits & 0xFFFFFFFFFFFFF;
    *exponent = (biased ? biased : 1) - 1075;
    return biased ? mantissa | 1ull << 52 : mantissa;
}

/* m * 2^e where the result is a double; in two steps, as 2^e itself may be too small for one. */
static double join(uint64_t m, int e) {
    int half = e < -1000 ? 100 : 0;
    uint64_t bits = (uint64_t)(e + half + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, 8);
    return (double)m * scale * (half ? 0x1p-100 : 1.0);
}

/* The exact remainder with the sign of A: long division of the mantissas, 11 bits a step (a 53-bit
 * remainder shifted by 11 fits 64). */
static double remainder_float(double a, double b) {
    double size_a = __builtin_fabs(a), size_b = __builtin_fabs(b);
    if (!(size_a <= 0x1.fffffffffffffp1023) || b != b || b == 0.0) return __builtin_nan("");
    if (size_a < size_b) return a;
    int ea, eb;
    uint64_t ma = split(a, &ea), mb = split(b, &eb);
    for (ma %= mb; ea > eb;) {
        int step = ea - eb < 11 ? ea - eb : 11;
        ma = (ma << step) % mb;
        ea -= step;
    }
    return __builtin_copysign(join(ma, eb), a);
}
FZ_PAIR(fmod_f32, float, float, float, remainder_float((double)a, (double)b))
FZ_PAIR(fmod_f64, double, double, double, remainder_float(a, b))

enum { ADD, SUB, MUL, DIV, MOD, FMOD };

static const fz_pair_fn rows[][FZ_WIDE_COUNT] = {
    [ADD] = {NULL, add_f32, add_f64, add_int, add_int, NULL},
    [SUB] = {NULL, sub_f32, sub_f64, sub_int, sub_int, NULL},
    [MUL] = {NULL, mul_f32, mul_f64, mul_int, mul_int, NULL},
    [DIV] = {NULL, div_f32, div_f64, div_i64, div_u64, NULL},
    [MOD] = {NULL, NULL, NULL, mod_i64, mod_u64, NULL},
    [FMOD] = {NULL, fmod_f32, fmod_f64, fmod_i64, mod_u64, NULL},
};

/* The row of an operator; Mod's option says which of the two it is. */
static const fz_pair_fn *row_of(const struct fz_op *op, const struct fz_pairs_params *params) {
    return rows[op->kind == MOD && params->option ? FMOD : op->kind];
}

static fz_status_t lower_mod(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_pairs_params *p = params;
    (void)lower;
    return fzi_attr_int(node, "fmod", 0, &p->option);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << call->in[0]->dtype));
    if (!row_of(op, call->params)[fzi_wide_of(call->in[0]->dtype)])
        return fzi_error(FZ_E_TYPE, "%s: floats need fmod=1", op->name);
    fz_tensor_t out = {0};
    FZ_TRY(fzi_pairs_shape(op, call, call->params, &out));
    fzi_infer_like(call, 0, call->in[0]->dtype, &out);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    enum fz_wide wide = fzi_wide_of(call->in[0]->dtype);
    return fzi_pairs_run(call, call->params, row_of(op, call->params)[wide], false);
}

#define ROW(onnx, first, last, known, row, lowering)                                               \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1,                          \
     .flags = FZ_OP_IN_PLACE | FZ_OP_HALF, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,   \
     .attrs = known, .params_size = sizeof(struct fz_pairs_params), .kind = row,                   \
     .lower = lowering, .infer = infer, .run = run}

const struct fz_op fz_ops_arith[] = {
    ROW("Add", 1, 6, "axis broadcast consumed_inputs", ADD, fzi_pairs_lower),
    ROW("Add", 7, 0, NULL, ADD, fzi_pairs_lower),
    ROW("Sub", 1, 6, "axis broadcast consumed_inputs", SUB, fzi_pairs_lower),
    ROW("Sub", 7, 0, NULL, SUB, fzi_pairs_lower),
    ROW("Mul", 1, 6, "axis broadcast consumed_inputs", MUL, fzi_pairs_lower),
    ROW("Mul", 7, 0, NULL, MUL, fzi_pairs_lower),
    ROW("Div", 1, 6, "axis broadcast consumed_inputs", DIV, fzi_pairs_lower),
    ROW("Div", 7, 0, NULL, DIV, fzi_pairs_lower),
    ROW("Mod", 10, 0, "fmod", MOD, lower_mod),
    {0},
};
