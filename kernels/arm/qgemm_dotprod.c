/* The integer GEMM for Arm's dotprod: sdot multiplies four s8 by four s8 in each lane and adds the
 * products, exactly modulo 2^32. A enters as s8. 12 x 8 outputs: 24 sums, three vectors of A (a
 * quad of four rows each) and two of B. */
#include "arm.h"

#define QISA dotprod
enum { A_AS_S8 = 1, R_MAX = 12, EVEN = 0 };
#define TILES(X)                                                                                   \
    X(1, 8) X(2, 8) X(3, 8) X(4, 4) X(5, 4) X(6, 4) X(7, 2) X(8, 2) X(9, 2) X(10, 2) X(11, 2)      \
    X(12, 2)

#include "qgemm_rows.h"

/* Rows made ready are [quad][rows, rounded up to four][4]. */
FZK_INLINE int64_t rows_size(int64_t rows) { return (rows + 3) / 4 * 16; }
FZK_INLINE int64_t a_size(int64_t rows, int64_t kq) { return rows_size(rows) * kq; }

FZK_INLINE struct place place_of(uint8_t *tile, int64_t r, int64_t rows) {
    return (struct place){tile + r * FZK_QUAD, rows_size(rows)};
}
FZK_INLINE uint32_t put_quad(struct place w, int64_t q, uint32_t x) {
    memcpy(w.to + q * w.step, &x, FZK_QUAD);
    return 0;
}
FZK_INLINE uint32_t put_quads(struct place w, int64_t q, uint8x16_t x) {
    const uint32x4_t quads = vreinterpretq_u32_u8(x);
    uint8_t *to = w.to + q * w.step;
    vst1q_lane_u32((uint32_t *)to, quads, 0);
    vst1q_lane_u32((uint32_t *)(to + w.step), quads, 1);
    vst1q_lane_u32((uint32_t *)(to + 2 * w.step), quads, 2);
    vst1q_lane_u32((uint32_t *)(to + 3 * w.step), quads, 3);
    return 0;
}

FZK_INLINE int32x4_t dot(int32x4_t acc, int8x16_t b, int8x16_t a, int lane) {
#define DOT(lane) vdotq_laneq_s32(acc, b, a, lane)
    EACH_LANE(lane, DOT)
#undef DOT
}

FZK_INLINE void quad(int32x4_t acc[R_MAX][8], const uint8_t *a, const int8_t *b, const int rows,
                     const int nv) {
    int8x16_t x[R_MAX / 4];
    FZK_UNROLL
    for (int i = 0; i < (rows + 3) / 4; i++) x[i] = vld1q_s8((const int8_t *)a + 16 * i);
    FZK_UNROLL
    for (int v = 0; v < nv; v++) {
        int8x16_t y = vld1q_s8(b + 16 * v);
        FZK_UNROLL
        for (int r = 0; r < rows; r++) acc[r][v] = dot(acc[r][v], y, x[r / 4], r % 4);
    }
}

FZK_INLINE void tile(const struct tile *t, const int rows, const int nv) {
    const int64_t a_step = rows_size(rows), n = t->n;
    for (int64_t j = 0; j < n; j += 4 * nv) {
        int32x4_t acc[R_MAX][8];
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            FZK_UNROLL
            for (int v = 0; v < nv; v++)
                acc[r][v] = vld1q_s32(t->init + r * t->init_step + j + 4 * v);
        }
        const uint8_t *a = t->a;
        const int8_t *b = t->b + j * FZK_QUAD;
        FZK_NO_UNROLL
        for (const uint8_t *end = a + a_step * t->kq; a < end; a += a_step, b += QUAD_STEP)
            quad(acc, a, b, rows, nv);
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            FZK_UNROLL
            for (int v = 0; v < nv; v++) vst1q_s32(t->sums[r] + j + 4 * v, acc[r][v]);
        }
    }
}

#include "qgemm_tile.h"
