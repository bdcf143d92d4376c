/* Max, Min, Sum and Mean of any number of operands, folded from left to right. Mean divides the sum
 * by the number of operands. */
#include "ops/pairs.h"

FZ_PAIR_KERNEL(sum, FZK_BINARY_ADD)
FZ_PAIR_KERNEL(max, FZK_BINARY_MAX)
FZ_PAIR_KERNEL(min, FZK_BINARY_MIN)
FZ_PAIR_KERNEL(div, FZK_BINARY_DIV)
FZ_PAIR(max_i64, int64_t, int64_t, int64_t, a > b ? a : b)
FZ_PAIR(max_u64, uint64_t, uint64_t, uint64_t, a > b ? a : b)
FZ_PAIR(min_i64, int64_t, int64_t, int64_t, a < b ? a : b)
FZ_PAIR(min_u64, uint64_t, uint64_t, uint64_t, a < b ? a : b)
/* The only operand's bits, repeated to the output's shape. */
FZ_PAIR(copy_f32, float, float, float, ((void)b, a))
FZ_PAIR(copy_f64, double, double, double, ((void)b, a))
FZ_PAIR(copy_int, uint64_t, uint64_t, uint64_t, ((void)b, a))

enum { MAX, MIN, SUM, MEAN };

static const fz_pair_fn rows[][FZ_WIDE_COUNT] = {
    [MAX] = {NULL, max_f32, max_f64, max_i64, max_u64, NULL},
    [MIN] = {NULL, min_f32, min_f64, min_i64, min_u64, NULL},
    [SUM] = {NULL, sum_f32, sum_f64, NULL, NULL, NULL},
    [MEAN] = {NULL, sum_f32, sum_f64, NULL, NULL, NULL},
};
static const fz_pair_fn copies[FZ_WIDE_COUNT] = {NULL, copy_f32, copy_f64, copy_int, copy_int,
                                                 NULL};

/* Opsets before 8 take operands of one shape only. */
static fz_status_t check_equal(const struct fz_op *op, const struct fz_call *call) {
    for (uint32_t i = 1; i < call->n_in; i++)
        if (fzi_shape_known(call->in[0]) && fzi_shape_known(call->in[i]) &&
            !fzi_shape_equal(call->in[0], call->in[i]))
            return fzi_error(FZ_E_SHAPE, "%s: shapes differ before opset 8", op->name);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    uint64_t types = op->kind == MAX || op->kind == MIN ? FZ_T_NUMBER : FZ_T(F32) | FZ_T(F64);
    for (uint32_t i = 0; i < call->n_in; i++)
        if (!call->in[i]) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
    FZ_TRY(fzi_infer_type(op, call, 0, types));
    for (uint32_t i = 1; i < call->n_in; i++)
        FZ_TRY(fzi_infer_type(op, call, i, 1ull << call->in[0]->dtype));
    if (op->until == 7) FZ_TRY(check_equal(op, call));
    fz_tensor_t out = {0};
    FZ_TRY(fzi_infer_broadcast(op, call->in, call->n_in, &out));
    fzi_infer_like(call, 0, call->in[0]->dtype, &out);
    return FZ_OK;
}

/* Output 0 = FN(A, B). */
static fz_status_t fold(const struct fz_call *call, fz_pair_fn fn, const fz_tensor_t *a,
                        const fz_tensor_t *b) {
    static const struct fz_pairs_params plain = {0};
    const fz_tensor_t *const in[2] = {a, b};
    const struct fz_call step = {.n_in = 2, .n_out = 1, .in = in, .out = call->out,
                                 .env = call->env};
    return fzi_pairs_run(&step, &plain, fn, false);
}

static fz_status_t divide(const struct fz_call *call) {
    float n32 = (float)call->n_in;
    double n64 = (double)call->n_in;
    bool wide = call->out[0]->dtype == FZ_TYPE_F64;
    const fz_tensor_t n = {.dtype = call->out[0]->dtype, .data = wide ? (void *)&n64 : &n32,
                           .size = wide ? 8 : 4};
    return fold(call, wide ? div_f64 : div_f32, call->out[0], &n);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    enum fz_wide wide = fzi_wide_of(call->in[0]->dtype);
    fz_pair_fn fn = rows[op->kind][wide];
    if (call->n_in == 1) return fold(call, copies[wide], call->in[0], call->in[0]);
    FZ_TRY(fold(call, fn, call->in[0], call->in[1]));
    for (uint32_t i = 2; i < call->n_in; i++) FZ_TRY(fold(call, fn, call->out[0], call->in[i]));
    return op->kind == MEAN ? divide(call) : FZ_OK;
}

#define ROW(onnx, first, last, known, row, extra)                                                  \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1, .flags = extra,          \
     .min_in = 1, .max_in = 255, .min_out = 1, .max_out = 1, .attrs = known, .kind = row,          \
     .infer = infer, .run = run}

/* Max and Min never round, so half precision needs no widening around them; a sum would be rounded
 * after each operand. */
const struct fz_op fz_ops_variadic[] = {
    ROW("Max", 1, 7, "consumed_inputs", MAX, FZ_OP_HALF),
    ROW("Max", 8, 0, NULL, MAX, FZ_OP_HALF),
    ROW("Min", 1, 7, "consumed_inputs", MIN, FZ_OP_HALF),
    ROW("Min", 8, 0, NULL, MIN, FZ_OP_HALF),
    ROW("Sum", 1, 7, "consumed_inputs", SUM, 0),
    ROW("Sum", 8, 0, NULL, SUM, 0),
    ROW("Mean", 1, 7, "consumed_inputs", MEAN, 0),
    ROW("Mean", 8, 0, NULL, MEAN, 0),
    {0},
};
