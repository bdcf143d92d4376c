/* And, Or, Xor on bools; BitwiseAnd, BitwiseOr, BitwiseXor and BitShift on integers. A shift by the
 * width of the type or more gives 0 (-1 for a negative number shifted right). */
#include "ops/pairs.h"

FZ_PAIR(and_bool, uint8_t, uint8_t, uint8_t, a && b)
FZ_PAIR(or_bool, uint8_t, uint8_t, uint8_t, a || b)
FZ_PAIR(xor_bool, uint8_t, uint8_t, uint8_t, !a != !b)
FZ_PAIR(and_int, uint64_t, uint64_t, uint64_t, a & b)
FZ_PAIR(or_int, uint64_t, uint64_t, uint64_t, a | b)
FZ_PAIR(xor_int, uint64_t, uint64_t, uint64_t, a ^ b)
FZ_PAIR(shift_left, uint64_t, uint64_t, uint64_t, b < 64 ? a << b : 0)
FZ_PAIR(shift_right, uint64_t, uint64_t, uint64_t, b < 64 ? a >> b : 0)
/* Of signed types; a negative or too large distance leaves the sign alone. */
FZ_PAIR(shift_sign, int64_t, uint64_t, int64_t, a >> (b < 64 ? b : 63))

enum { AND, OR, XOR, BIT_AND, BIT_OR, BIT_XOR, SHIFT, SHIFT_28 };

static const struct {
    uint64_t types;
    fz_pair_fn fn[2]; /* the second for option 1 */
} rows[] = {
    [AND] = {FZ_T(BOOL), {and_bool, NULL}},
    [OR] = {FZ_T(BOOL), {or_bool, NULL}},
    [XOR] = {FZ_T(BOOL), {xor_bool, NULL}},
    [BIT_AND] = {FZ_T_INT | FZ_T_UINT, {and_int, NULL}},
    [BIT_OR] = {FZ_T_INT | FZ_T_UINT, {or_int, NULL}},
    [BIT_XOR] = {FZ_T_INT | FZ_T_UINT, {xor_int, NULL}},
    [SHIFT] = {FZ_T_UINT, {shift_left, shift_right}},
    [SHIFT_28] = {FZ_T_INT | FZ_T_UINT, {shift_left, shift_right}},
};

static fz_status_t lower_shift(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const directions[] = {"LEFT", "RIGHT", NULL};
    struct fz_pairs_params *p = params;
    (void)lower;
    if (!fzi_attr(node, "direction"))
        return fzi_error(FZ_E_FORMAT, "attribute 'direction' is missing");
    return fzi_attr_choice(node, "direction", directions, 0, &p->option);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_pairs_params *params = call->params;
    if (params->option < 0 || params->option > 1 || !rows[op->kind].fn[params->option])
        return fzi_error(FZ_E_FORMAT, "%s: unknown option", op->name);
    FZ_TRY(fzi_infer_type(op, call, 0, rows[op->kind].types));
    FZ_TRY(fzi_infer_type(op, call, 1, 1ull << call->in[0]->dtype));
    fz_tensor_t out = {0};
    FZ_TRY(fzi_pairs_shape(op, call, params, &out));
    fzi_infer_like(call, 0, call->in[0]->dtype, &out);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_pairs_params *params = call->params;
    fz_pair_fn fn = rows[op->kind].fn[params->option];
    if (fn == shift_right && fzi_type_is_signed(call->in[0]->dtype)) fn = shift_sign;
    return fzi_pairs_run(call, params, fn, false);
}

#define ROW(onnx, first, last, known, row, lowering)                                               \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1, .flags = FZ_OP_IN_PLACE, \
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = known,                         \
     .params_size = sizeof(struct fz_pairs_params), .kind = row, .lower = lowering,                \
     .infer = infer, .run = run}

const struct fz_op fz_ops_logic[] = {
    ROW("And", 1, 6, "axis broadcast", AND, fzi_pairs_lower),
    ROW("And", 7, 0, NULL, AND, fzi_pairs_lower),
    ROW("Or", 1, 6, "axis broadcast", OR, fzi_pairs_lower),
    ROW("Or", 7, 0, NULL, OR, fzi_pairs_lower),
    ROW("Xor", 1, 6, "axis broadcast", XOR, fzi_pairs_lower),
    ROW("Xor", 7, 0, NULL, XOR, fzi_pairs_lower),
    ROW("BitwiseAnd", 18, 0, NULL, BIT_AND, fzi_pairs_lower),
    ROW("BitwiseOr", 18, 0, NULL, BIT_OR, fzi_pairs_lower),
    ROW("BitwiseXor", 18, 0, NULL, BIT_XOR, fzi_pairs_lower),
    ROW("BitShift", 11, 27, "direction", SHIFT, lower_shift),
    ROW("BitShift", 28, 0, "direction", SHIFT_28, lower_shift),
    {0},
};
