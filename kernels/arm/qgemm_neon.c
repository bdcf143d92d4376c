/* The integer GEMM for NEON without dot products: products of s8 are 16 bits wide, and two of them
 * are added there before they enter the sums. A enters as s8. 4 x 8 outputs: 16 sums of pairs of k.
 *
 * a0 * b0 + a1 * b1 does not fit 16 bits where all four are -128. But
 *     a0 * b0 - a1 * ~b1    =    a0 * b0 + a1 * b1 + a1
 * lies in [-32640, 32640]: with ~b for every other quad of a panel, the sums are too large by the
 * sum of the row's bytes there, which is known when the row is made ready. */
#include "arm.h"

#define QISA neon
enum { A_AS_S8 = 1, R_MAX = 4, EVEN = 1 };
#define TILES(X) X(1, 2) X(2, 2) X(3, 2) X(4, 2)

#include "qgemm_rows.h"

/* Rows made ready are [pair of quads][rows][2][4 times the quad]. */
FZK_INLINE int64_t a_size(int64_t rows, int64_t kq) { return (kq + 1) / 2 * rows * 32; }

FZK_INLINE struct place place_of(uint8_t *tile, int64_t r, int64_t rows) {
    return (struct place){tile + r * 32, rows * 32};
}
FZK_INLINE uint32_t put_quad(struct place w, int64_t q, uint32_t x) {
    vst1q_u8(w.to + q / 2 * w.step + q % 2 * 16, vreinterpretq_u8_u32(vdupq_n_u32(x)));
    if (q % 2 == 0) return 0;
    return -(uint32_t)vaddlv_s8(vreinterpret_s8_u32(vset_lane_u32(x, vdup_n_u32(0), 0)));
}
FZK_INLINE uint32_t put_quads(struct place w, int64_t q, uint8x16_t x) {
    const uint32x4_t x4 = vreinterpretq_u32_u8(x);
    const uint64_t odd = q % 2 ? UINT32_MAX : (uint64_t)UINT32_MAX << 32;
    uint8_t *even = w.to + (q + 1) / 2 * w.step, *to = w.to + q / 2 * w.step + 16;
    vst1q_u8(even, vreinterpretq_u8_u32(q % 2 ? vdupq_laneq_u32(x4, 1) : vdupq_laneq_u32(x4, 0)));
    vst1q_u8(even + w.step,
             vreinterpretq_u8_u32(q % 2 ? vdupq_laneq_u32(x4, 3) : vdupq_laneq_u32(x4, 2)));
    vst1q_u8(to, vreinterpretq_u8_u32(q % 2 ? vdupq_laneq_u32(x4, 0) : vdupq_laneq_u32(x4, 1)));
    vst1q_u8(to + w.step,
             vreinterpretq_u8_u32(q % 2 ? vdupq_laneq_u32(x4, 2) : vdupq_laneq_u32(x4, 3)));
    return -(uint32_t)vaddlvq_s8(vreinterpretq_s8_u64(vandq_u64(vreinterpretq_u64_u8(x),
                                                                vdupq_n_u64(odd))));
}

/* Two quads. Sums are acc[row][vector][half]: two partial sums for each of two columns. */
FZK_INLINE void quads(int32x4_t acc[R_MAX][4][2], const uint8_t *a, const int8_t *b0,
                      const int8_t *b1, const int rows, const int nv) {
    int8x16_t y0[4], y1[4];
    FZK_UNROLL
    for (int v = 0; v < nv; v++) {
        y0[v] = vld1q_s8(b0 + 16 * v);
        y1[v] = vmvnq_s8(vld1q_s8(b1 + 16 * v));
    }
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        int8x16_t x0 = vld1q_s8((const int8_t *)a + 32 * r);
        int8x16_t x1 = vld1q_s8((const int8_t *)a + 32 * r + 16);
        int16x8_t low[4], high[4]; /* in steps, so that none waits for the one before */
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            low[v] = vmull_s8(vget_low_s8(x0), vget_low_s8(y0[v]));
            high[v] = vmull_high_s8(x0, y0[v]);
        }
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            low[v] = vmlsl_s8(low[v], vget_low_s8(x1), vget_low_s8(y1[v]));
            high[v] = vmlsl_high_s8(high[v], x1, y1[v]);
        }
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            acc[r][v][0] = vpadalq_s16(acc[r][v][0], low[v]);
            acc[r][v][1] = vpadalq_s16(acc[r][v][1], high[v]);
        }
    }
}

FZK_INLINE void columns(const struct tile *t, int64_t j, const int rows, const int nv) {
    int32x4_t acc[R_MAX][4][2];
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < nv; v++) acc[r][v][0] = acc[r][v][1] = vdupq_n_s32(0);
    }
    const int64_t step = rows * 32;
    const uint8_t *a = t->a, *end = a + t->kq / 2 * step;
    const int8_t *b = t->b + j * FZK_QUAD;
    FZK_NO_UNROLL
    for (; a < end; a += step, b += 2 * QUAD_STEP) quads(acc, a, b, b + QUAD_STEP, rows, nv);
    if (t->kq % 2) quads(acc, a, b, b, rows, nv); /* the second quad of A is 0 */
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        const int32_t *init = t->init + r * t->init_step + j;
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            int32x4_t sum = vpaddq_s32(acc[r][v][0], acc[r][v][1]);
            uint32x4_t x = vaddq_u32(vreinterpretq_u32_s32(sum), vdupq_n_u32(t->more[r]));
            x = vaddq_u32(x, vreinterpretq_u32_s32(vld1q_s32(init + 4 * v)));
            vst1q_s32(t->sums[r] + j + 4 * v, vreinterpretq_s32_u32(x));
        }
    }
}

FZK_INLINE void tile(const struct tile *t, const int rows, const int nv) {
    const int64_t n = t->n;
    for (int64_t j = 0; j < n; j += 4 * nv) columns(t, j, rows, nv);
}

#include "qgemm_tile.h"
