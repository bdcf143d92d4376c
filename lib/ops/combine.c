/* Scatter's reductions for every element type: one operation, rounded to it, for each update. The
 * operators take updates one after the other in the order of their indices, by one thread. */
#include "ops/combine.h"

static double larger(double a, double b) {
    if (a != a || b != b) return a != a ? a : b;
    if (a == b) return __builtin_signbit(a) ? b : a;
    return a > b ? a : b;
}

static double smaller(double a, double b) {
    if (a != a || b != b) return a != a ? a : b;
    if (a == b) return __builtin_signbit(a) ? a : b;
    return a < b ? a : b;
}

/* A function NAME for elements of TYPE, given an expression of A and B. Sums and products of
 * integers are taken as uint64_t, whose low bits are those of the wrapped result. */
#define COMBINE(name, type, expression)                                                            \
    static void name(void *dst, const void *update, int64_t n) {                                   \
        type *to = dst;                                                                            \
        const type *from = update;                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                          \
            type a = to[i], b = from[i];                                                           \
            to[i] = (type)(expression);                                                            \
        }                                                                                          \
    }
#define INTEGER(type)                                                                              \
    COMBINE(add_##type, type##_t, (uint64_t)a + (uint64_t)b)                                       \
    COMBINE(mul_##type, type##_t, (uint64_t)a * (uint64_t)b)                                       \
    COMBINE(min_##type, type##_t, a < b ? a : b)                                                   \
    COMBINE(max_##type, type##_t, a > b ? a : b)
#define FLOAT(type)                                                                                \
    COMBINE(add_##type, type, a + b)                                                               \
    COMBINE(mul_##type, type, a * b)                                                               \
    COMBINE(min_##type, type, smaller((double)a, (double)b))                                       \
    COMBINE(max_##type, type, larger((double)a, (double)b))

INTEGER(int8)
INTEGER(int16)
INTEGER(int32)
INTEGER(int64)
INTEGER(uint8)
INTEGER(uint16)
INTEGER(uint32)
INTEGER(uint64)
FLOAT(float)
FLOAT(double)
COMBINE(or_bool, uint8_t, a | b)
COMBINE(and_bool, uint8_t, a & b)

fz_combine_fn fzi_combine_find(int32_t dtype, enum fz_combine how) {
#define ROW(name) {NULL, add_##name, mul_##name, min_##name, max_##name}
    static const fz_combine_fn table[][FZ_COMBINES] = {
        [FZ_TYPE_F32] = ROW(float), [FZ_TYPE_F64] = ROW(double), [FZ_TYPE_I8] = ROW(int8),
        [FZ_TYPE_I16] = ROW(int16), [FZ_TYPE_I32] = ROW(int32), [FZ_TYPE_I64] = ROW(int64),
        [FZ_TYPE_U8] = ROW(uint8), [FZ_TYPE_U16] = ROW(uint16), [FZ_TYPE_U32] = ROW(uint32),
        [FZ_TYPE_U64] = ROW(uint64),
        [FZ_TYPE_BOOL] = {NULL, or_bool, and_bool, and_bool, or_bool}};
    if (dtype <= 0 || (size_t)dtype >= FZ_COUNT(table)) return NULL;
    return table[dtype][how];
}

fz_status_t fzi_combine_lower(const struct fz_node *node, int64_t *how) {
    static const char *const names[] = {"none", "add", "mul", "min", "max", NULL};
    return fzi_attr_choice(node, "reduction", names, FZ_COMBINE_NONE, how);
}

fz_status_t fzi_combine_check(const struct fz_op *op, const struct fz_call *call, int64_t how) {
    if (how < 0 || how >= FZ_COMBINES)
        return fzi_error(FZ_E_FORMAT, "%s: there is no reduction %lld", op->name, (long long)how);
    if (how == FZ_COMBINE_NONE || fzi_combine_find(call->in[0]->dtype, (enum fz_combine)how))
        return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: no such reduction for %s", op->name,
                     fz_type_name(call->in[0]->dtype));
}
