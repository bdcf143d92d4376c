/* Elementwise functions of two binary32 arguments, either of which may be one value for all (step
 * 0). Y may be A or B; otherwise they do not overlap. */
#include "extremes.h"
#include "functions.h"
#include "loop.h"

static inline float add(float a, float b) { return a + b; }
static inline float sub(float a, float b) { return a - b; }
static inline float mul(float a, float b) { return a * b; }
static inline float divide(float a, float b) { return a / b; }
static inline float power(float a, float b) { return f32_pow(a, b); }
/* The remainder of two binary32 numbers is one. */
static inline float fmod_(float a, float b) { return (float)f64_fmod(a, b); }
static inline float mod(float a, float b) {
    float r = fmod_(a, b);
    if (r == 0) return f32_with_sign(r, b);
    return (r < 0) != (b < 0) ? r + b : r;
}
static inline float prelu(float a, float b) { return a < 0 ? a * b : a; }

/* A broadcast scalar is a register, so each step pattern has its loop. */
#define LOOP(name, op)                                                                             \
    static void loop_##name(float *y, const float *a, const float *b, int64_t n, int64_t as,       \
                            int64_t bs) {                                                          \
        if (as && bs) {                                                                            \
            EACH for (int64_t i = 0; i < n; i++) y[i] = op(a[i], b[i]);                            \
        } else if (as && n > 0) {                                                                  \
            const float s = b[0];                                                                  \
            EACH for (int64_t i = 0; i < n; i++) y[i] = op(a[i], s);                               \
        } else if (bs && n > 0) {                                                                  \
            const float s = a[0];                                                                  \
            EACH for (int64_t i = 0; i < n; i++) y[i] = op(s, b[i]);                               \
        } else if (n > 0) {                                                                        \
            const float s = op(a[0], b[0]);                                                        \
            EACH for (int64_t i = 0; i < n; i++) y[i] = s;                                         \
        }                                                                                          \
    }
LOOP(add, add)
LOOP(sub, sub)
LOOP(mul, mul)
LOOP(div, divide)
LOOP(max, fzk_max)
LOOP(min, fzk_min)
LOOP(pow_any, power)
LOOP(fmod, fmod_)
LOOP(mod, mod)
LOOP(prelu, prelu)

/* One exponent for all: those with an expression of their own skip the general one. */
#define LOOP_POW(name)                                                                             \
    static void loop_##name(float *y, const float *a, int64_t n) {                                 \
        EACH for (int64_t i = 0; i < n; i++) y[i] = f32_##name(a[i]);                              \
    }
LOOP_POW(square)
LOOP_POW(cube)
LOOP_POW(root)

static void loop_pow(float *y, const float *a, const float *b, int64_t n, int64_t as, int64_t bs) {
    if (as && !bs && n > 0 && b[0] == 2) loop_square(y, a, n);
    else if (as && !bs && n > 0 && b[0] == 3) loop_cube(y, a, n);
    else if (as && !bs && n > 0 && b[0] == 0.5f) loop_root(y, a, n);
    else loop_pow_any(y, a, b, n, as, bs);
}

void FZK_NAME(binary_f32)(int32_t fn, float *y, const float *a, const float *b, int64_t n,
                          int64_t a_step, int64_t b_step) {
    switch (fn) {
    case FZK_BINARY_ADD: loop_add(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_SUB: loop_sub(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_MUL: loop_mul(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_DIV: loop_div(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_MAX: loop_max(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_MIN: loop_min(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_POW: loop_pow(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_FMOD: loop_fmod(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_MOD: loop_mod(y, a, b, n, a_step, b_step); return;
    case FZK_BINARY_PRELU: loop_prelu(y, a, b, n, a_step, b_step); return;
    default: return;
    }
}
