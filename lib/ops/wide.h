/* Element types seen through four wide ones. Operators compute on blocks of wide elements, so that
 * one loop serves all types: half precision is widened to binary32 (one rounding on the way out),
 * integers to 64 bits (arithmetic modulo 2^64 is right modulo 2^n). */
#ifndef FZ_OPS_WIDE_H
#define FZ_OPS_WIDE_H

#include "ops/op.h"

enum fz_wide {
    FZ_WIDE_NONE,
    FZ_WIDE_F32,  /* f32, f16, bf16 */
    FZ_WIDE_F64,  /* f64 */
    FZ_WIDE_I64,  /* i8 ... i64, u8 ... u32 */
    FZ_WIDE_U64,  /* u64 */
    FZ_WIDE_BOOL, /* bool, one byte */
    FZ_WIDE_COUNT
};

enum { FZ_WIDE_BLOCK = 512 }; /* elements of a buffer */

/* Room for a block of any wide type. */
union fz_wide_block {
    float f32[FZ_WIDE_BLOCK];
    double f64[FZ_WIDE_BLOCK];
    int64_t i64[FZ_WIDE_BLOCK];
    uint64_t u64[FZ_WIDE_BLOCK];
    uint8_t u8[FZ_WIDE_BLOCK];
};

/* FZ_WIDE_NONE for types that are not computed on (strings, complex, below 16-bit floats, below
 * 8-bit integers). */
enum fz_wide fzi_wide_of(int32_t dtype);
size_t fzi_wide_width(enum fz_wide wide);
/* True if DTYPE is its own wide type, so that no copy is needed. */
bool fzi_wide_native(int32_t dtype);

/* N elements of DTYPE at DATA + OFF elements as wide ones: DATA itself if native, else copied to
 * BUFFER. N <= FZ_WIDE_BLOCK unless native. */
const void *fzi_wide_load(const struct fzk_table *k, int32_t dtype, const void *data, int64_t off,
                          int64_t n, void *buffer);
/* Where to compute N wide elements that go to DATA + OFF: the place itself if native, else BUFFER;
 * then fzi_wide_store puts them there, integers modulo 2^n, floats to nearest even. */
void *fzi_wide_target(int32_t dtype, void *data, int64_t off, void *buffer);
void fzi_wide_store(const struct fzk_table *k, int32_t dtype, void *data, int64_t off, int64_t n,
                    const void *buffer);

/* 8- and 4-bit floats, one code a byte: true for their types; N codes to binary32, exact, and back,
 * SATURATE and ROUND_MODE (FZK_E8M0_) as ONNX's Cast has them. */
bool fzi_wide_is_small(int32_t dtype);
void fzi_wide_from_small(const struct fzk_table *k, int32_t dtype, const uint8_t *codes, int64_t n,
                         float *y);
void fzi_wide_to_small(const struct fzk_table *k, int32_t dtype, const float *x, int64_t n,
                       bool saturate, int64_t round_mode, uint8_t *codes);

/* NaN wins and +0 > -0, as IEEE 754-2019 maximum and minimum. */
static inline double fzi_max_f64(double a, double b) {
    if (a != a || b != b) return a + b;
    if (a == b) return __builtin_signbit(a) ? b : a;
    return a > b ? a : b;
}
static inline double fzi_min_f64(double a, double b) {
    if (a != a || b != b) return a + b;
    if (a == b) return __builtin_signbit(a) ? a : b;
    return a < b ? a : b;
}
static inline float fzi_max_f32(float a, float b) {
    if (a != a || b != b) return a + b;
    if (a == b) return __builtin_signbit(a) ? b : a;
    return a > b ? a : b;
}
static inline float fzi_min_f32(float a, float b) {
    if (a != a || b != b) return a + b;
    if (a == b) return __builtin_signbit(a) ? a : b;
    return a < b ? a : b;
}

#endif
