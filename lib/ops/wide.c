/* Loading and storing blocks of elements through the wide types. */
#include "ops/wide.h"

enum fz_wide fzi_wide_of(int32_t dtype) {
    switch (dtype) {
    case FZ_TYPE_F32:
    case FZ_TYPE_F16:
    case FZ_TYPE_BF16: return FZ_WIDE_F32;
    case FZ_TYPE_F64: return FZ_WIDE_F64;
    case FZ_TYPE_U64: return FZ_WIDE_U64;
    case FZ_TYPE_BOOL: return FZ_WIDE_BOOL;
    case FZ_TYPE_I8:
    case FZ_TYPE_I16:
    case FZ_TYPE_I32:
    case FZ_TYPE_I64:
    case FZ_TYPE_U8:
    case FZ_TYPE_U16:
    case FZ_TYPE_U32: return FZ_WIDE_I64;
    default: return FZ_WIDE_NONE;
    }
}

size_t fzi_wide_width(enum fz_wide wide) {
    return wide == FZ_WIDE_BOOL ? 1 : wide == FZ_WIDE_F32 ? 4 : 8;
}

bool fzi_wide_native(int32_t dtype) {
    enum fz_wide wide = fzi_wide_of(dtype);
    return wide != FZ_WIDE_NONE && fzi_type_width(dtype) == fzi_wide_width(wide);
}

/* One function per narrow type and direction: the types, and the conversion of an element x. */
#define COPY(name, from, to, expr)                                                                 \
    static void name(const void *data, int64_t n, void *buffer) {                           \
        const from *p = data;                                                                      \
        to *q = buffer;                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                          \
            from x = p[i];                                                                         \
            q[i] = expr;                                                                           \
        }                                                                                          \
    }
COPY(load_i8, int8_t, int64_t, x)
COPY(load_u8, uint8_t, int64_t, x)
COPY(load_i16, int16_t, int64_t, x)
COPY(load_u16, uint16_t, int64_t, x)
COPY(load_i32, int32_t, int64_t, x)
COPY(load_u32, uint32_t, int64_t, x)
COPY(store_8, int64_t, uint8_t, (uint8_t)x)
COPY(store_16, int64_t, uint16_t, (uint16_t)x)
COPY(store_32, int64_t, uint32_t, (uint32_t)x)

const void *fzi_wide_load(const struct fzk_table *k, int32_t dtype, const void *data, int64_t off,
                          int64_t n, void *buffer) {
    const char *p = (const char *)data + off * (int64_t)fzi_type_width(dtype);
    switch (dtype) {
    case FZ_TYPE_I8: load_i8(p, n, buffer); break;
    case FZ_TYPE_U8: load_u8(p, n, buffer); break;
    case FZ_TYPE_I16: load_i16(p, n, buffer); break;
    case FZ_TYPE_U16: load_u16(p, n, buffer); break;
    case FZ_TYPE_I32: load_i32(p, n, buffer); break;
    case FZ_TYPE_U32: load_u32(p, n, buffer); break;
    case FZ_TYPE_F16: k->f16_to_f32(buffer, (const uint16_t *)(const void *)p, n); break;
    case FZ_TYPE_BF16: k->bf16_to_f32(buffer, (const uint16_t *)(const void *)p, n); break;
    default: return p;
    }
    return buffer;
}

void *fzi_wide_target(int32_t dtype, void *data, int64_t off, void *buffer) {
    if (!fzi_wide_native(dtype)) return buffer;
    return (char *)data + off * (int64_t)fzi_type_width(dtype);
}

void fzi_wide_store(const struct fzk_table *k, int32_t dtype, void *data, int64_t off, int64_t n,
                    const void *buffer) {
    char *p = (char *)data + off * (int64_t)fzi_type_width(dtype);
    switch (dtype) {
    case FZ_TYPE_I8:
    case FZ_TYPE_U8: store_8(buffer, n, p); break;
    case FZ_TYPE_I16:
    case FZ_TYPE_U16: store_16(buffer, n, p); break;
    case FZ_TYPE_I32:
    case FZ_TYPE_U32: store_32(buffer, n, p); break;
    case FZ_TYPE_F16: k->f32_to_f16((uint16_t *)(void *)p, buffer, n); break;
    case FZ_TYPE_BF16: k->f32_to_bf16((uint16_t *)(void *)p, buffer, n); break;
    default:
        if (p != buffer) memcpy(p, buffer, (size_t)n * fzi_type_width(dtype));
        break;
    }
}

/* The kernels' number of a small format; -1: none. */
static int32_t form_of(int32_t dtype) {
    switch (dtype) {
    case FZ_TYPE_F8E4M3FN: return FZK_F8E4M3FN;
    case FZ_TYPE_F8E4M3FNUZ: return FZK_F8E4M3FNUZ;
    case FZ_TYPE_F8E5M2: return FZK_F8E5M2;
    case FZ_TYPE_F8E5M2FNUZ: return FZK_F8E5M2FNUZ;
    case FZ_TYPE_F4E2M1: return FZK_F4E2M1;
    default: return -1;
    }
}

bool fzi_wide_is_small(int32_t dtype) { return form_of(dtype) >= 0 || dtype == FZ_TYPE_F8E8M0; }

void fzi_wide_from_small(const struct fzk_table *k, int32_t dtype, const uint8_t *codes, int64_t n,
                         float *y) {
    if (dtype == FZ_TYPE_F8E8M0) k->e8m0_to_f32(y, codes, n);
    else k->f8_to_f32(form_of(dtype), y, codes, n);
}

void fzi_wide_to_small(const struct fzk_table *k, int32_t dtype, const float *x, int64_t n,
                       bool saturate, int64_t round_mode, uint8_t *codes) {
    if (dtype == FZ_TYPE_F8E8M0) k->f32_to_e8m0((int32_t)round_mode, saturate, codes, x, n);
    else k->f32_to_f8(form_of(dtype), saturate, codes, x, n);
}
