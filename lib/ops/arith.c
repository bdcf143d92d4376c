/* Add, Sub, Mul, Div and Mod with broadcasting. Integers wrap modulo 2^n; an integer divided by 0
 * gives 0, the least one by -1 itself. Remainders of floats are exact. */
#include "ops/pairs.h"

FZ_PAIR_KERNEL(add, FZK_BINARY_ADD)
FZ_PAIR_KERNEL(sub, FZK_BINARY_SUB)
FZ_PAIR_KERNEL(mul, FZK_BINARY_MUL)
FZ_PAIR_KERNEL(div, FZK_BINARY_DIV)
FZ_PAIR_KERNEL(fmod, FZK_BINARY_FMOD)
FZ_PAIR_KERNEL(mod, FZK_BINARY_MOD)
FZ_PAIR(add_int, uint64_t, uint64_t, uint64_t, a + b)
FZ_PAIR(sub_int, uint64_t, uint64_t, uint64_t, a - b)
FZ_PAIR(mul_int, uint64_t, uint64_t, uint64_t, a * b)
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

enum { ADD, SUB, MUL, DIV, MOD, MOD_28, FMOD };

static const fz_pair_fn rows[][FZ_WIDE_COUNT] = {
    [ADD] = {NULL, add_f32, add_f64, add_int, add_int, NULL},
    [SUB] = {NULL, sub_f32, sub_f64, sub_int, sub_int, NULL},
    [MUL] = {NULL, mul_f32, mul_f64, mul_int, mul_int, NULL},
    [DIV] = {NULL, div_f32, div_f64, div_i64, div_u64, NULL},
    [MOD] = {NULL, NULL, NULL, mod_i64, mod_u64, NULL},
    [MOD_28] = {NULL, mod_f32, mod_f64, mod_i64, mod_u64, NULL},
    [FMOD] = {NULL, fmod_f32, fmod_f64, fmod_i64, mod_u64, NULL},
};

/* The row of an operator; Mod's option says which of the two it is. */
static const fz_pair_fn *row_of(const struct fz_op *op, const struct fz_pairs_params *params) {
    return rows[params->option ? FMOD : op->kind];
}

static fz_status_t lower_mod(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_pairs_params *p = params;
    (void)lower;
    return fzi_attr_int(node, "fmod", 0, &p->option);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_pairs_params *params = call->params;
    if (params->option && op->kind != MOD && op->kind != MOD_28)
        return fzi_error(FZ_E_FORMAT, "%s: unknown option", op->name);
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << call->in[0]->dtype));
    if (!row_of(op, call->params)[fzi_wide_of(call->in[0]->dtype)])
        return fzi_error(FZ_E_TYPE, "%s: floats need fmod=1 before opset 28", op->name);
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
     .round_at = offsetof(struct fz_pairs_params, round),                                          \
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
    ROW("Mod", 10, 27, "fmod", MOD, lower_mod),
    ROW("Mod", 28, 0, "fmod", MOD_28, lower_mod),
    {0},
};
