/* Transposition of matrices of 1, 2, 4 or 8 byte elements, which is also NCHW to NHWC and back for
 * each image. */
#include "kernel.h"
#include "loop.h"

enum { TILE = 16 };

typedef uint32_t v8 __attribute__((vector_size(32)));
static inline v8 load8(const uint32_t *p) {
    v8 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* 8 x 8 elements of 4 bytes in registers: pairs of rows are interleaved three times, by elements,
 * by pairs, by halves. */
static void square8(uint32_t *y, const uint32_t *x, int64_t ldx, int64_t ldy) {
    v8 r[8], s[8];
    for (int i = 0; i < 8; i++) r[i] = load8(x + i * ldx);
    for (int i = 0; i < 8; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i++) {
        int a = (i & 4) | (i & 1); /* rows a and a + 2 */
        r[i] = i & 2 ? __builtin_shufflevector(s[a], s[a + 2], 2, 3, 10, 11, 6, 7, 14, 15)
                     : __builtin_shufflevector(s[a], s[a + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    }
    for (int i = 0; i < 8; i++) {
        v8 v = i & 4 ? __builtin_shufflevector(r[i & 3], r[(i & 3) + 4], 4, 5, 6, 7, 12, 13, 14, 15)
                     : __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        memcpy(y + i * ldy, &v, sizeof v);
    }
}

/* Three rows, the colours of an image, become its pixels: a loop that compilers can turn into
 * vectors. */
#define INTERLEAVE(type)                                                                           \
    static void interleave_##type(type *restrict y, const type *restrict x, int64_t cols,          \
                                  int64_t ldx) {                                                   \
        const type *red = x, *green = x + ldx, *blue = x + 2 * ldx;                                \
        for (int64_t j = 0; j < cols; j++) {                                                       \
            y[3 * j] = red[j];                                                                     \
            y[3 * j + 1] = green[j];                                                               \
            y[3 * j + 2] = blue[j];                                                                \
        }                                                                                          \
    }
INTERLEAVE(uint8_t)
INTERLEAVE(uint32_t)

/* Tiles of 16 x 16: their lines of both matrices stay in the first-level cache. */
#define TRANSPOSE(type)                                                                            \
    INLINE void tile_##type(type *y, const type *x, int64_t rows, int64_t cols, int64_t ldx,       \
                            int64_t ldy) {                                                         \
        for (int64_t j = 0; j < cols; j++)                                                         \
            for (int64_t i = 0; i < rows; i++) y[j * ldy + i] = x[i * ldx + j];                    \
    }                                                                                              \
    static void transpose_##type(type *y, const type *x, int64_t rows, int64_t cols, int64_t ldx,  \
                                 int64_t ldy) {                                                    \
        for (int64_t i = 0; i < rows; i += TILE)                                                   \
            for (int64_t j = 0; j < cols; j += TILE) {                                             \
                int64_t h = rows - i < TILE ? rows - i : TILE;                                     \
                int64_t w = cols - j < TILE ? cols - j : TILE;                                     \
                if (h == TILE && w == TILE)                                                        \
                    tile_##type(y + j * ldy + i, x + i * ldx + j, TILE, TILE, ldx, ldy);           \
                else                                                                               \
                    tile_##type(y + j * ldy + i, x + i * ldx + j, h, w, ldx, ldy);                 \
            }                                                                                      \
    }
TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)
TRANSPOSE(uint64_t)

/* Bands of 8 rows or columns; what is left over goes element by element. */
static void transpose_4(uint32_t *y, const uint32_t *x, int64_t rows, int64_t cols, int64_t ldx,
                        int64_t ldy) {
    int64_t r = rows / 8 * 8, c = cols / 8 * 8;
    for (int64_t i = 0; i < r; i += 8)
        for (int64_t j = 0; j < c; j += 8) square8(y + j * ldy + i, x + i * ldx + j, ldx, ldy);
    transpose_uint32_t(y + c * ldy, x + c, r, cols - c, ldx, ldy);
    transpose_uint32_t(y + r, x + r * ldx, rows - r, cols, ldx, ldy);
}

void FZK_NAME(transpose_2d)(int32_t width, void *y, const void *x, int64_t rows, int64_t cols,
                            int64_t ldx, int64_t ldy) {
    if (cols > 0 && rows == 3 && ldy == 3 && width == 1) {
        interleave_uint8_t(y, x, cols, ldx);
        return;
    }
    if (cols > 0 && rows == 3 && ldy == 3 && width == 4) {
        interleave_uint32_t(y, x, cols, ldx);
        return;
    }
    switch (width) {
    case 1: transpose_uint8_t(y, x, rows, cols, ldx, ldy); return;
    case 2: transpose_uint16_t(y, x, rows, cols, ldx, ldy); return;
    case 4: transpose_4(y, x, rows, cols, ldx, ldy); return;
    case 8: transpose_uint64_t(y, x, rows, cols, ldx, ldy); return;
    default: return;
    }
}
