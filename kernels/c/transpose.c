/* Transposition of matrices of 1, 2, 4 or 8 byte elements, which is also NCHW to NHWC and back for
 * each image. */
#include "kernel.h"
#include "loop.h"

enum { TILE = 16 };

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

void FZK_NAME(transpose_2d)(int32_t width, void *y, const void *x, int64_t rows, int64_t cols,
                            int64_t ldx, int64_t ldy) {
    switch (width) {
    case 1: transpose_uint8_t(y, x, rows, cols, ldx, ldy); return;
    case 2: transpose_uint16_t(y, x, rows, cols, ldx, ldy); return;
    case 4: transpose_uint32_t(y, x, rows, cols, ldx, ldy); return;
    case 8: transpose_uint64_t(y, x, rows, cols, ldx, ldy); return;
    default: return;
    }
}
