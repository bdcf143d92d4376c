/* The integer GEMM for Arm's i8mm: usmmla multiplies two rows of eight u8 by two columns of eight
 * s8 and adds the products, exactly modulo 2^32. A enters as u8. 12 x 8 outputs: 24 sums of 2 x 2.
 *
 * Panels are four deep, not eight: zipping the dwords of two quads gives columns of eight, at the
 * cost of one zip for 2 * rows * 16 products. A single row takes sudot, on panels as they are. */
#include "arm.h"

#define QISA i8mm
enum { A_AS_S8 = 0, R_MAX = 12, EVEN = 1 };
#define TILES(X)                                                                                   \
    X(1, 8) X(2, 4) X(3, 4) X(4, 4) X(5, 2) X(6, 2) X(7, 2) X(8, 2) X(9, 2) X(10, 2) X(11, 2)      \
    X(12, 2)

#include "qgemm_rows.h"

/* Rows made ready are [pair of quads][rows, rounded up to two][8]. */
FZK_INLINE int64_t rows_size(int64_t rows) { return (rows + 1) / 2 * 16; }
FZK_INLINE int64_t a_size(int64_t rows, int64_t kq) { return (kq + 1) / 2 * rows_size(rows); }

FZK_INLINE struct place place_of(uint8_t *tile, int64_t r, int64_t rows) {
    return (struct place){tile + r * 8, rows_size(rows)};
}
FZK_INLINE uint32_t put_quad(struct place w, int64_t q, uint32_t x) {
    memcpy(w.to + q / 2 * w.step + q % 2 * FZK_QUAD, &x, FZK_QUAD);
    return 0;
}
FZK_INLINE uint32_t put_quads(struct place w, int64_t q, uint8x16_t x) {
    const uint32x4_t quads = vreinterpretq_u32_u8(x);
    uint8_t *to = w.to + q / 2 * w.step;
    if (q % 2) {
        vst1q_lane_u32((uint32_t *)(to + FZK_QUAD), quads, 0);
        vst1_u32((uint32_t *)(to + w.step), vget_low_u32(vextq_u32(quads, quads, 1)));
        vst1q_lane_u32((uint32_t *)(to + 2 * w.step), quads, 3);
    } else {
        vst1_u8(to, vget_low_u8(x));
        vst1_u8(to + w.step, vget_high_u8(x));
    }
    return 0;
}

/* Two quads of two rows or more. Sums are acc[pair of rows][pair of columns]. */
FZK_INLINE void quads(int32x4_t acc[R_MAX / 2][16], const uint8_t *a, const int8_t *b0,
                      const int8_t *b1, const int pairs, const int nv) {
    int32x4_t y[16];
    FZK_UNROLL
    for (int v = 0; v < nv; v++) {
        int32x4_t y0 = vreinterpretq_s32_s8(vld1q_s8(b0 + 16 * v));
        int32x4_t y1 = vreinterpretq_s32_s8(vld1q_s8(b1 + 16 * v));
        y[2 * v] = vzip1q_s32(y0, y1);
        y[2 * v + 1] = vzip2q_s32(y0, y1);
    }
    FZK_UNROLL
    for (int r = 0; r < pairs; r++) {
        uint8x16_t x = vld1q_u8(a + 16 * r);
        FZK_UNROLL
        for (int v = 0; v < 2 * nv; v++)
            acc[r][v] = vusmmlaq_s32(acc[r][v], x, vreinterpretq_s8_s32(y[v]));
    }
}

/* Two rows of two vectors each from two pairs of columns, and back. */
FZK_INLINE int32x4_t first(int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}
FZK_INLINE int32x4_t second(int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

/* Four columns times NV from column J on. */
FZK_INLINE void columns(const struct tile *t, int64_t j, const int rows, const int nv) {
    const int pairs = (rows + 1) / 2;
    int32x4_t acc[R_MAX / 2][16];
    FZK_UNROLL
    for (int r = 0; r < pairs; r++) {
        const int32_t *init = t->init + 2 * r * t->init_step + j;
        const int32_t *next = init + (2 * r + 1 < rows ? t->init_step : 0);
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            int32x4_t x0 = vld1q_s32(init + 4 * v), x1 = vld1q_s32(next + 4 * v);
            acc[r][2 * v] = first(x0, x1);
            acc[r][2 * v + 1] = second(x0, x1);
        }
    }
    const int64_t step = rows_size(rows);
    const uint8_t *a = t->a, *end = a + t->kq / 2 * step;
    const int8_t *b = t->b + j * FZK_QUAD;
    FZK_NO_UNROLL
    for (; a < end; a += step, b += 2 * QUAD_STEP) quads(acc, a, b, b + QUAD_STEP, pairs, nv);
    if (t->kq % 2) quads(acc, a, b, b, pairs, nv); /* the second quad of A is 0 */
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            int32x4_t x0 = acc[r / 2][2 * v], x1 = acc[r / 2][2 * v + 1];
            vst1q_s32(t->sums[r] + j + 4 * v, r % 2 ? second(x0, x1) : first(x0, x1));
        }
    }
}

/* One row: a quad, lane 0 or 1 of X, of its NV vectors of columns. */
FZK_INLINE void row_quad(int32x4_t acc[8], uint8x8_t x, const int8_t *b, const int lane,
                         const int nv) {
    FZK_UNROLL
    for (int v = 0; v < nv; v++) {
        int8x16_t y = vld1q_s8(b + 16 * v);
        acc[v] = lane ? vsudotq_lane_s32(acc[v], y, x, 1) : vsudotq_lane_s32(acc[v], y, x, 0);
    }
}

FZK_INLINE void row_columns(const struct tile *t, int64_t j, const int nv) {
    int32x4_t acc[8];
    FZK_UNROLL
    for (int v = 0; v < nv; v++) acc[v] = vld1q_s32(t->init + j + 4 * v);
    const uint8_t *a = t->a, *end = a + t->kq / 2 * rows_size(1);
    const int8_t *b = t->b + j * FZK_QUAD;
    FZK_NO_UNROLL
    for (; a < end; a += rows_size(1), b += 2 * QUAD_STEP) {
        uint8x8_t x = vld1_u8(a);
        row_quad(acc, x, b, 0, nv);
        row_quad(acc, x, b + QUAD_STEP, 1, nv);
    }
    if (t->kq % 2) row_quad(acc, vld1_u8(a), b, 0, nv);
    FZK_UNROLL
    for (int v = 0; v < nv; v++) vst1q_s32(t->sums[0] + j + 4 * v, acc[v]);
}

FZK_INLINE void tile(const struct tile *t, const int rows, const int nv) {
    const int64_t n = t->n;
    for (int64_t j = 0; j < n; j += 4 * nv) {
        if (rows == 1) row_columns(t, j, nv);
        else columns(t, j, rows, nv);
    }
}

#include "qgemm_tile.h"
