/* Storing binary64 numbers as any type. */
#include "ops/generate.h"

fz_status_t fzi_generate_type(const struct fz_op *op, int64_t dtype, uint64_t set) {
    if (dtype > 0 && dtype < 64 && (set >> dtype & 1)) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: the output cannot be of type %lld", op->name,
                     (long long)dtype);
}

/* Both ends of a type are exact in binary64, or, for 64 bits, HIGH is the power of two above. */
#define STORE(NAME, TYPE, LOW, HIGH, MOST)                                                         \
    static void NAME(void *to, int64_t n, const double *x) {                                       \
        TYPE *y = to;                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = x[i] != x[i] ? 0                                                                \
                 : x[i] <= (LOW) ? (TYPE)(LOW) : x[i] >= (HIGH) ? (TYPE)(MOST) : (TYPE)x[i];       \
    }
STORE(store_i8, int8_t, -0x1p7, 0x1p7, INT8_MAX)
STORE(store_i16, int16_t, -0x1p15, 0x1p15, INT16_MAX)
STORE(store_i32, int32_t, -0x1p31, 0x1p31, INT32_MAX)
STORE(store_i64, int64_t, -0x1p63, 0x1p63, INT64_MAX)
STORE(store_u8, uint8_t, 0.0, 0x1p8, UINT8_MAX)
STORE(store_u16, uint16_t, 0.0, 0x1p16, UINT16_MAX)
STORE(store_u32, uint32_t, 0.0, 0x1p32, UINT32_MAX)
STORE(store_u64, uint64_t, 0.0, 0x1p64, UINT64_MAX)

static void store_half(uint16_t *y, int64_t n, const double *x, bool brain) {
    for (int64_t i = 0; i < n; i++)
        y[i] = brain ? fzi_f32_to_bf16((float)x[i]) : fzi_f32_to_f16((float)x[i]);
}

void fzi_generate_store(const fz_tensor_t *t, int64_t first, int64_t n, const double *x) {
    void *to = (char *)t->data + first * (int64_t)fzi_type_width(t->dtype);
    switch (t->dtype) {
    case FZ_TYPE_F32: for (int64_t i = 0; i < n; i++) ((float *)to)[i] = (float)x[i]; break;
    case FZ_TYPE_F64: memcpy(to, x, (size_t)n * 8); break;
    case FZ_TYPE_F16: store_half(to, n, x, false); break;
    case FZ_TYPE_BF16: store_half(to, n, x, true); break;
    case FZ_TYPE_BOOL: for (int64_t i = 0; i < n; i++) ((uint8_t *)to)[i] = x[i] != 0; break;
    case FZ_TYPE_I8: store_i8(to, n, x); break;
    case FZ_TYPE_I16: store_i16(to, n, x); break;
    case FZ_TYPE_I32: store_i32(to, n, x); break;
    case FZ_TYPE_I64: store_i64(to, n, x); break;
    case FZ_TYPE_U8: store_u8(to, n, x); break;
    case FZ_TYPE_U16: store_u16(to, n, x); break;
    case FZ_TYPE_U32: store_u32(to, n, x); break;
    default: store_u64(to, n, x); break;
    }
}
