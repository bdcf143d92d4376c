/* Element types and shapes. */
#include "tensor/tensor.h"

#include <stdio.h>

struct type_row {
    const char *name; /* as NumPy and ml_dtypes write it */
    uint8_t bits;
    char kind; /* f float, i signed, u unsigned, b bool, c complex, s string */
};

static const struct type_row types[] = {
    [FZ_TYPE_F32] = {"float32", 32, 'f'},
    [FZ_TYPE_U8] = {"uint8", 8, 'u'},
    [FZ_TYPE_I8] = {"int8", 8, 'i'},
    [FZ_TYPE_U16] = {"uint16", 16, 'u'},
    [FZ_TYPE_I16] = {"int16", 16, 'i'},
    [FZ_TYPE_I32] = {"int32", 32, 'i'},
    [FZ_TYPE_I64] = {"int64", 64, 'i'},
    [FZ_TYPE_STRING] = {"string", 0, 's'},
    [FZ_TYPE_BOOL] = {"bool", 8, 'b'},
    [FZ_TYPE_F16] = {"float16", 16, 'f'},
    [FZ_TYPE_F64] = {"float64", 64, 'f'},
    [FZ_TYPE_U32] = {"uint32", 32, 'u'},
    [FZ_TYPE_U64] = {"uint64", 64, 'u'},
    [FZ_TYPE_C64] = {"complex64", 64, 'c'},
    [FZ_TYPE_C128] = {"complex128", 128, 'c'},
    [FZ_TYPE_BF16] = {"bfloat16", 16, 'f'},
    [FZ_TYPE_F8E4M3FN] = {"float8_e4m3fn", 8, 'f'},
    [FZ_TYPE_F8E4M3FNUZ] = {"float8_e4m3fnuz", 8, 'f'},
    [FZ_TYPE_F8E5M2] = {"float8_e5m2", 8, 'f'},
    [FZ_TYPE_F8E5M2FNUZ] = {"float8_e5m2fnuz", 8, 'f'},
    [FZ_TYPE_U4] = {"uint4", 4, 'u'},
    [FZ_TYPE_I4] = {"int4", 4, 'i'},
    [FZ_TYPE_F4E2M1] = {"float4_e2m1fn", 4, 'f'},
    [FZ_TYPE_F8E8M0] = {"float8_e8m0fnu", 8, 'f'},
    [FZ_TYPE_U2] = {"uint2", 2, 'u'},
    [FZ_TYPE_I2] = {"int2", 2, 'i'},
};

static const struct type_row *row(int32_t dtype) {
    static const struct type_row none = {"unknown", 0, 0};
    return dtype > 0 && (size_t)dtype < FZ_COUNT(types) ? &types[dtype] : &none;
}

bool fzi_type_is_float(int32_t dtype) { return row(dtype)->kind == 'f'; }
bool fzi_type_is_signed(int32_t dtype) { return row(dtype)->kind == 'i'; }
bool fzi_type_is_integer(int32_t dtype) {
    return row(dtype)->kind == 'i' || row(dtype)->kind == 'u';
}

/* ---- types of sequences, optionals and maps */

enum { KEY_SHIFT = 8, KIND_SHIFT = 16, KIND_BITS = 4 };

static int32_t kind_at(int32_t dtype, int32_t level) {
    return dtype >> (KIND_SHIFT + KIND_BITS * level) & ((1 << KIND_BITS) - 1);
}

static int32_t n_kinds(int32_t dtype) {
    int32_t n = 0;
    while (n < FZ_KINDS_MAX && kind_at(dtype, n)) n++;
    return n;
}

static bool is_key(int32_t dtype) {
    return dtype == FZ_TYPE_STRING || (fzi_type_is_integer(dtype) && row(dtype)->bits >= 8);
}

/* A map holds elements, so that only the innermost kind can be one. */
static bool nested_valid(int32_t dtype) {
    int32_t n = n_kinds(dtype), key = dtype >> KEY_SHIFT & 255;
    if (n == 0 || dtype >> (KIND_SHIFT + KIND_BITS * n) || !row(dtype & 255)->kind) return false;
    for (int32_t i = 0; i < n; i++)
        if (kind_at(dtype, i) > (i ? FZ_KIND_OPTIONAL : FZ_KIND_MAP)) return false;
    return kind_at(dtype, 0) == FZ_KIND_MAP ? is_key(key) : key == 0;
}

int32_t fz_type_kind(int32_t dtype) {
    if (!fzi_type_is_nested(dtype) || !nested_valid(dtype)) return FZ_KIND_TENSOR;
    return kind_at(dtype, n_kinds(dtype) - 1);
}

int32_t fz_type_element(int32_t dtype) {
    int32_t kind = fz_type_kind(dtype), n = n_kinds(dtype);
    if (kind == FZ_KIND_TENSOR) return 0;
    if (n == 1) return dtype & 255;
    return dtype & ((1 << (KIND_SHIFT + KIND_BITS * (n - 1))) - 1);
}

int32_t fz_type_key(int32_t dtype) {
    return fz_type_kind(dtype) == FZ_KIND_MAP ? dtype >> KEY_SHIFT & 255 : 0;
}

int32_t fzi_type_nest(int32_t kind, int32_t dtype) {
    int32_t n = n_kinds(dtype);
    if (n == FZ_KINDS_MAX || !fzi_type_valid(dtype)) return 0;
    return dtype | kind << (KIND_SHIFT + KIND_BITS * n);
}

int32_t fzi_type_map(int32_t key, int32_t dtype) {
    if (!is_key(key) || dtype > 255 || !fzi_type_valid(dtype)) return 0;
    return dtype | key << KEY_SHIFT | FZ_KIND_MAP << KIND_SHIFT;
}

/* ---- all types */

const char *fz_type_name(int32_t dtype) {
    switch (fz_type_kind(dtype)) {
    case FZ_KIND_SEQUENCE: return "sequence";
    case FZ_KIND_OPTIONAL: return "optional";
    case FZ_KIND_MAP: return "map";
    default: return row(dtype)->name;
    }
}

int32_t fz_type_bits(int32_t dtype) { return row(dtype)->bits; }
bool fzi_type_valid(int32_t dtype) {
    return fzi_type_is_nested(dtype) ? nested_valid(dtype) : row(dtype)->kind != 0;
}

size_t fzi_type_width(int32_t dtype) {
    if (dtype == FZ_TYPE_STRING) return sizeof(struct fz_string);
    if (fzi_type_is_nested(dtype)) return sizeof(fz_tensor_t);
    return row(dtype)->bits < 8 ? 1 : row(dtype)->bits / 8u;
}

bool fzi_type_size(int32_t dtype, int64_t n, size_t *out) {
    if (n < 0 || !fzi_type_valid(dtype)) return false;
    size_t bits = row(dtype)->bits;
    if (bits && bits < 8) {
        size_t per_byte = 8 / bits;
        *out = (size_t)n / per_byte + ((size_t)n % per_byte != 0);
        return true;
    }
    return fzi_mul_size((size_t)n, fzi_type_width(dtype), out);
}

bool fzi_dims_count(const int64_t *dims, int32_t first, int32_t last, int64_t *out) {
    bool zero = false;
    int64_t n = 1;
    for (int32_t i = first; i < last; i++) {
        if (dims[i] < 0) return false;
        if (dims[i] == 0) zero = true;
    }
    for (int32_t i = first; i < last && !zero; i++)
        if (!fzi_mul_i64(n, dims[i], &n)) return false;
    *out = zero ? 0 : n;
    return true;
}

bool fzi_shape_known(const fz_tensor_t *t) {
    if (t->rank < 0) return false;
    for (int32_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) return false;
    return true;
}

bool fzi_shape_equal(const fz_tensor_t *a, const fz_tensor_t *b) {
    if (a->rank != b->rank || a->rank < 0) return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || a->dims[i] == FZ_DIM_UNKNOWN) return false;
    return true;
}

void fzi_shape_copy(fz_tensor_t *to, const fz_tensor_t *from) {
    to->rank = from->rank;
    memcpy(to->dims, from->dims, sizeof to->dims);
}

void fzi_shape_set(fz_tensor_t *t, int32_t rank, const int64_t *dims) {
    t->rank = rank;
    for (int32_t i = 0; i < rank; i++) t->dims[i] = dims[i];
}

const char *fzi_shape_text(const fz_tensor_t *t, char *buffer, size_t size) {
    size_t at = (size_t)snprintf(buffer, size, "%s[", fz_type_name(t->dtype));
    if (t->rank < 0) at += (size_t)snprintf(buffer + at, at < size ? size - at : 0, "...");
    for (int32_t i = 0; i < t->rank && at < size; i++) {
        const char *comma = i ? "," : "";
        int n = t->dims[i] < 0 ? snprintf(buffer + at, size - at, "%s?", comma)
                               : snprintf(buffer + at, size - at, "%s%lld", comma,
                                          (long long)t->dims[i]);
        at += (size_t)n;
    }
    if (at < size) snprintf(buffer + at, size - at, "]");
    return buffer;
}

int64_t fzi_tensor_count(const fz_tensor_t *t) {
    /* Unsigned: beside a dimension of 0 the others may be too large to multiply. */
    uint64_t n = 1;
    for (int32_t i = 0; i < t->rank; i++) n *= (uint64_t)t->dims[i];
    return (int64_t)n;
}

fz_status_t fzi_tensor_measure(fz_tensor_t *t) {
    int64_t n;
    char text[160];
    if (t->rank < 0 || t->rank > FZ_RANK_MAX || !fzi_dims_count(t->dims, 0, t->rank, &n) ||
        !fzi_type_size(t->dtype, n, &t->size) || t->size > (SIZE_MAX >> 8))
        return fzi_error(FZ_E_SHAPE, "a tensor of %s is too large, or its shape is open",
                         fzi_shape_text(t, text, sizeof text));
    return FZ_OK;
}

fz_status_t fzi_tensor_alloc(struct fz_arena *arena, fz_tensor_t *t) {
    FZ_TRY(fzi_tensor_measure(t));
    t->data = fzi_arena_alloc(arena, t->size);
    return t->data ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for a tensor of %zu bytes", t->size);
}

/* Element I of a 2- or 4-bit array: the first element lies in the low bits. */
static unsigned packed(const fz_tensor_t *t, int64_t i, int bits) {
    int per_byte = 8 / bits;
    unsigned byte = ((const uint8_t *)t->data)[i / per_byte];
    return byte >> (i % per_byte * bits) & ((1u << bits) - 1);
}

int64_t fzi_tensor_int(const fz_tensor_t *t, int64_t i) {
    const void *p = t->data;
    switch (t->dtype) {
    case FZ_TYPE_BOOL:
    case FZ_TYPE_U8: return ((const uint8_t *)p)[i];
    case FZ_TYPE_I8: return ((const int8_t *)p)[i];
    case FZ_TYPE_U16: return ((const uint16_t *)p)[i];
    case FZ_TYPE_I16: return ((const int16_t *)p)[i];
    case FZ_TYPE_U32: return ((const uint32_t *)p)[i];
    case FZ_TYPE_I32: return ((const int32_t *)p)[i];
    case FZ_TYPE_U64: return (int64_t)((const uint64_t *)p)[i];
    case FZ_TYPE_I64: return ((const int64_t *)p)[i];
    case FZ_TYPE_U4: return packed(t, i, 4);
    case FZ_TYPE_U2: return packed(t, i, 2);
    case FZ_TYPE_I4: return (int64_t)(packed(t, i, 4) ^ 8) - 8;
    case FZ_TYPE_I2: return (int64_t)(packed(t, i, 2) ^ 2) - 2;
    default: return 0;
    }
}

double fzi_tensor_float(const fz_tensor_t *t, int64_t i) {
    const void *p = t->data;
    switch (t->dtype) {
    case FZ_TYPE_F32: return (double)((const float *)p)[i];
    case FZ_TYPE_F64: return ((const double *)p)[i];
    case FZ_TYPE_F16: return (double)fzi_f16_to_f32(((const uint16_t *)p)[i]);
    case FZ_TYPE_BF16: return (double)fzi_bf16_to_f32(((const uint16_t *)p)[i]);
    default: return (double)fzi_tensor_int(t, i);
    }
}

bool fzi_axis(int64_t axis, int32_t rank, int32_t *out) {
    if (axis < -(int64_t)rank || axis >= rank) return false;
    *out = (int32_t)(axis < 0 ? axis + rank : axis);
    return true;
}

float fzi_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    uint32_t bits;
    if (exponent == 31) bits = sign | 0x7F800000 | mantissa << 13;
    else if (exponent) bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else {
        /* A subnormal half is mantissa * 2^-24, exact in binary32. */
        float f = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &f, 4);
        bits |= sign;
    }
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t fzi_f32_to_f16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return 0x7E00; /* the canonical NaN */
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7C00);
    if (magnitude < 0x38800000) {
        /* Subnormal: adding 0.5 leaves the value in units of 2^-24, rounded to nearest even. */
        float scaled;
        memcpy(&scaled, &magnitude, 4);
        scaled += 0.5f;
        uint32_t sum;
        memcpy(&sum, &scaled, 4);
        return (uint16_t)(sign | (sum - 0x3F000000));
    }
    uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded - 0x38000000) >> 13);
}

uint16_t fzi_f32_to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FC0;
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
