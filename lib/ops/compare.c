/* Equal, Less, Greater and their like: two operands of one type that broadcast, bool out. A NaN is
 * equal to nothing and in no order. Strings, which have no wide type, are only told apart. */
#include "ops/pairs.h"

FZ_PAIR(equal_f32, float, float, uint8_t, a == b)
FZ_PAIR(equal_f64, double, double, uint8_t, a == b)
FZ_PAIR(equal_int, int64_t, int64_t, uint8_t, a == b)
FZ_PAIR(equal_bool, uint8_t, uint8_t, uint8_t, !a == !b)
FZ_PAIR(equal_text, struct fz_string, struct fz_string, uint8_t,
        a.size == b.size && (a.size == 0 || memcmp(a.text, b.text, a.size) == 0))
FZ_PAIR(less_f32, float, float, uint8_t, a < b)
FZ_PAIR(less_f64, double, double, uint8_t, a < b)
FZ_PAIR(less_i64, int64_t, int64_t, uint8_t, a < b)
FZ_PAIR(less_u64, uint64_t, uint64_t, uint8_t, a < b)
FZ_PAIR(upto_f32, float, float, uint8_t, a <= b)
FZ_PAIR(upto_f64, double, double, uint8_t, a <= b)
FZ_PAIR(upto_i64, int64_t, int64_t, uint8_t, a <= b)
FZ_PAIR(upto_u64, uint64_t, uint64_t, uint8_t, a <= b)

enum { EQUAL, LESS, UPTO, GREATER, FROM };

static const struct {
    fz_pair_fn fn[FZ_WIDE_COUNT];
    bool swap;
} rows[] = {
    [EQUAL] = {{equal_text, equal_f32, equal_f64, equal_int, equal_int, equal_bool}, false},
    [LESS] = {{NULL, less_f32, less_f64, less_i64, less_u64, NULL}, false},
    [UPTO] = {{NULL, upto_f32, upto_f64, upto_i64, upto_u64, NULL}, false},
    [GREATER] = {{NULL, less_f32, less_f64, less_i64, less_u64, NULL}, true},
    [FROM] = {{NULL, upto_f32, upto_f64, upto_i64, upto_u64, NULL}, true},
};

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    uint64_t types = FZ_T_NUMBER | (op->kind == EQUAL ? FZ_T(BOOL) | FZ_T(STRING) : 0);
    FZ_TRY(fzi_infer_type(op, call, 0, types));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << call->in[0]->dtype));
    fz_tensor_t out = {.dtype = FZ_TYPE_BOOL};
    FZ_TRY(fzi_pairs_shape(op, call, call->params, &out));
    fzi_infer_like(call, 0, FZ_TYPE_BOOL, &out);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    enum fz_wide wide = fzi_wide_of(call->in[0]->dtype);
    return fzi_pairs_run(call, call->params, rows[op->kind].fn[wide], rows[op->kind].swap);
}

#define ROW(onnx, first, last, known, row)                                                         \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1, .flags = FZ_OP_HALF,     \
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = known,                         \
     .params_size = sizeof(struct fz_pairs_params), .kind = row, .lower = fzi_pairs_lower,         \
     .infer = infer, .run = run}

const struct fz_op fz_ops_compare[] = {
    ROW("Equal", 1, 6, "axis broadcast", EQUAL),
    ROW("Equal", 7, 0, NULL, EQUAL),
    ROW("Less", 1, 6, "axis broadcast", LESS),
    ROW("Less", 7, 0, NULL, LESS),
    ROW("Greater", 1, 6, "axis broadcast", GREATER),
    ROW("Greater", 7, 0, NULL, GREATER),
    ROW("LessOrEqual", 12, 0, NULL, UPTO),
    ROW("GreaterOrEqual", 12, 0, NULL, FROM),
    {0},
};
