/* Elementwise functions for NEON: those that look into tables, and rounding, for which there are
 * instructions. */
#include "functions_neon.h"

static void rest(int32_t fn, float *y, const float *x, int64_t n, float a, float b);

#define NAME fzk_unary_f32_neon
#define REST rest
#include "tiles/unary_f32_tile.h"

FZK_INLINE VEC v_floor(VEC x) { return vrndmq_f32(x); }
FZK_INLINE VEC v_ceil(VEC x) { return vrndpq_f32(x); }
FZK_INLINE VEC v_round(VEC x) { return vrndnq_f32(x); }
WIDE1(floor) WIDE1(ceil) WIDE1(round)
LOOP(floor, w_floor(x))
LOOP(ceil, w_ceil(x))
LOOP(round, w_round(x))

static void rest(int32_t fn, float *y, const float *x, int64_t n, float a, float b) {
    switch (fn) {
    case FZK_FN_FLOOR: loop_floor(y, x, n, a, b); return;
    case FZK_FN_CEIL: loop_ceil(y, x, n, a, b); return;
    case FZK_FN_ROUND: loop_round(y, x, n, a, b); return;
    default: fzk_unary_f32_c(fn, y, x, n, a, b);
    }
}
