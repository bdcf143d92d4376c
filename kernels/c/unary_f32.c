/* Elementwise functions of one binary32 argument. Y may be X; otherwise they do not overlap. */
#include "functions.h"
#include "loop.h"

/* One loop per function. */
#define LOOP1(NAME, name)                                                                          \
    static void loop_##name(float *y, const float *x, int64_t n) {                                 \
        EACH for (int64_t i = 0; i < n; i++) y[i] = f32_##name(x[i]);                              \
    }
#define LOOP2(NAME, name)                                                                          \
    static void loop_##name(float *y, const float *x, int64_t n, float a, float b) {               \
        EACH for (int64_t i = 0; i < n; i++) y[i] = f32_##name(x[i], a, b);                        \
    }

/* The trigonometric functions take blocks through the reduction without branches and repeat the few
 * arguments that need the other one: the result is that of f32_name for each. */
enum { BLOCK = 64 };
#define LOOPR(NAME, name)                                                                          \
    static void loop_##name(float *y, const float *x, int64_t n) {                                 \
        for (; n > 0; n -= BLOCK, x += BLOCK, y += BLOCK) {                                        \
            float t[BLOCK];                                                                        \
            int32_t m = n < BLOCK ? (int32_t)n : BLOCK, n_large = 0;                               \
            for (int32_t i = 0; i < m; i++) {                                                      \
                t[i] = f32_##name##_rounded(x[i], f64_##name##_small(x[i]));                       \
                n_large += !(f32_abs(x[i]) <= (float)F64_TRIG_SMALL);                              \
            }                                                                                      \
            for (int32_t i = 0; n_large && i < m; i++)                                             \
                if (!(f32_abs(x[i]) <= (float)F64_TRIG_SMALL)) t[i] = f32_##name(x[i]);            \
            memcpy(y, t, (size_t)m * 4);                                                           \
        }                                                                                          \
    }
FZK_FUNCTIONS(LOOP1, LOOPR, LOOP2)

void FZK_NAME(unary_f32)(int32_t fn, float *y, const float *x, int64_t n, float a, float b) {
    switch (fn) {
#define CASE1(NAME, name) case FZK_FN_##NAME: loop_##name(y, x, n); return;
#define CASE2(NAME, name) case FZK_FN_##NAME: loop_##name(y, x, n, a, b); return;
    FZK_FUNCTIONS(CASE1, CASE1, CASE2)
    default: return;
    }
}
