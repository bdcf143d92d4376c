/* Element types and shapes. A tensor is the public fz_tensor_t: dense, row-major, somebody else's
 * memory. Inside of the library a negative dimension is one that is not known yet: FZ_DIM_UNKNOWN,
 * or a symbol of the ONNX file, the same one wherever the same negative number stands. */
#ifndef FZ_TENSOR_H
#define FZ_TENSOR_H

#include "base/base.h"

enum {
    FZ_DIM_UNKNOWN = -1,
    FZ_DIM_SYMBOL = -2,  /* symbol s is FZ_DIM_SYMBOL - s */
    FZ_RANK_UNKNOWN = -1
};

/* Bytes of N elements of DTYPE, sub-byte types rounded up to whole bytes. False on overflow or for
 * an unknown type. */
bool fzi_type_size(int32_t dtype, int64_t n, size_t *out);
/* Bytes of one element; 1 for sub-byte types. */
size_t fzi_type_width(int32_t dtype);
bool fzi_type_valid(int32_t dtype);
bool fzi_type_is_float(int32_t dtype);   /* f16, bf16, f32, f64, f8 forms, f4 */
bool fzi_type_is_integer(int32_t dtype); /* signed or unsigned, 2 to 64 bits */
bool fzi_type_is_signed(int32_t dtype);  /* i2 ... i64 */
/* True for a sequence, an optional or a map: the elements are fz_tensor_t. Such types are numbers
 * from 256 on: the element type, in bits 8 to 15 the type of a map's keys, and from bit 16 on a
 * kind in each 4 bits, the outermost last. */
static inline bool fzi_type_is_nested(int32_t dtype) { return dtype > 255; }
/* True if elements hold pointers. */
static inline bool fzi_type_has_pointers(int32_t dtype) {
    return fzi_type_is_nested(dtype) || dtype == FZ_TYPE_STRING;
}
/* The type of a KIND of values of DTYPE; 0 if there is none, because it would be nested deeper than
 * FZ_KINDS_MAX say. */
enum { FZ_KINDS_MAX = 3 };
int32_t fzi_type_nest(int32_t kind, int32_t dtype);
int32_t fzi_type_map(int32_t key, int32_t dtype); /* likewise */

/* A set of element types, for checks. */
#define FZ_T(name) (1ull << FZ_TYPE_##name)
#define FZ_T_FLOAT (FZ_T(F16) | FZ_T(BF16) | FZ_T(F32) | FZ_T(F64))
#define FZ_T_INT (FZ_T(I8) | FZ_T(I16) | FZ_T(I32) | FZ_T(I64))
#define FZ_T_UINT (FZ_T(U8) | FZ_T(U16) | FZ_T(U32) | FZ_T(U64))
#define FZ_T_NUMBER (FZ_T_FLOAT | FZ_T_INT | FZ_T_UINT)
#define FZ_T_ANY (~1ull) /* any tensor */

/* Product of dims [first, last); false on overflow or if one is negative. With a zero: 0. */
bool fzi_dims_count(const int64_t *dims, int32_t first, int32_t last, int64_t *out);

/* True if rank and all dims are known. */
bool fzi_shape_known(const fz_tensor_t *t);
/* True if both have the same rank and dims; unknown dims differ from everything, symbols from
 * others. */
bool fzi_shape_equal(const fz_tensor_t *a, const fz_tensor_t *b);
void fzi_shape_copy(fz_tensor_t *to, const fz_tensor_t *from); /* rank and dims only */
void fzi_shape_set(fz_tensor_t *t, int32_t rank, const int64_t *dims);
/* "float32[2,3,?]": for messages. Writes at most SIZE bytes and returns BUFFER. */
const char *fzi_shape_text(const fz_tensor_t *t, char *buffer, size_t size);

/* Elements of a tensor with known shape (the caller has checked that it does not overflow). */
int64_t fzi_tensor_count(const fz_tensor_t *t);
/* Sets t->size from dtype and dims; FZ_E_SHAPE if it overflows. */
fz_status_t fzi_tensor_measure(fz_tensor_t *t);
/* Makes T's data of its shape in ARENA, zeroed. */
fz_status_t fzi_tensor_alloc(struct fz_arena *arena, fz_tensor_t *t);

/* Reads element I of an integer or bool tensor as int64, of a float one as double. The tensor must
 * be of such a type. */
int64_t fzi_tensor_int(const fz_tensor_t *t, int64_t i);
double fzi_tensor_float(const fz_tensor_t *t, int64_t i);

/* Resolves a possibly negative AXIS against RANK; false if out of range. */
bool fzi_axis(int64_t axis, int32_t rank, int32_t *out);

/* Half precision storage types to and from binary32, nearest even. */
float fzi_f16_to_f32(uint16_t h);
uint16_t fzi_f32_to_f16(float f);
static inline float fzi_bf16_to_f32(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
uint16_t fzi_f32_to_bf16(float f);

#endif
