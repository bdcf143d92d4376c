/* Cases of the elementwise functions: all lengths around the vector widths, special values, known
 * exact results, and arguments in place. */
#include "harness.h"

#define INF __builtin_inff()
#define NAN_ __builtin_nanf("")

/* Arguments where functions change: bounds of reductions, clamps, integers, halves. */
static const float edges[] = {
    0,       -0.0f,    1,       -1,       0.5f,    -0.5f,   1.5f,      2.5f,     -2.5f,  3,
    0.5625f, -0.5625f, 0.562f,  88.7f,    88.73f,  89,      90,        -87.3f,   -88,    -103.9f,
    -104,    -105,     9.01f,   10,       20,      -20,     3.92f,     3.93f,    4,      1e-8f,
    0x1p-25f, 0x1p23f, 0x1p22f, 8388607.5f, 4194303.5f, 0x1p20f, 1048577, 1e10f, 3e38f,  -3e38f,
    0x1p-126f, 0x1p-149f, -0x1p-149f, 1e-40f, 0.70710677f, 0.70710684f, 1.4142135f, 0.41421357f,
    2.4142137f, 3.1415927f, 1.5707964f, 6.2831855f, 127, 128, 129, -126, -149, -150, -151, 7.5f};

static float *arguments(struct kt *t, int64_t n, enum kt_values values) {
    float *x = kt_f32(t, n, values);
    for (int64_t i = 0; i < n; i++) {
        uint64_t r = kt_random(t) % 4;
        if (r == 0) x[i] = edges[kt_random(t) % (sizeof edges / sizeof edges[0])];
        if (r == 1) x[i] = (float)kt_range(t, -200000, 200000) / 10000;
    }
    return x;
}

static void unary_lengths(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_FN_COUNT; fn++)
        for (int64_t n = 0; n <= 140; n += n > 34 ? 21 : t->quick && n > 1 ? 4 : 1) {
            kt_step(t, "fn=%d n=%d", fn, (int)n);
            float *x = arguments(t, n, KT_SPECIAL);
            kt_protect(t);
            float *y = kt_buffer(t, n, 4);
            t->k->unary_f32(fn, y, x, n, 0.7f, 1.3f);
            kt_check_f32(t, y, n);
        }
}

/* Many bit patterns, in place; parameters of any kind. */
static void unary_bits(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_FN_COUNT; fn++) {
        kt_step(t, "fn=%d", fn);
        int64_t n = t->quick ? 2000 : 20000;
        float *y = kt_f32(t, n, KT_BITS), p[2];
        kt_fill_f32(t, p, 2, KT_WIDE);
        t->k->unary_f32(fn, y, y, n, p[0], p[1]);
        kt_check_f32(t, y, n);
    }
}

static void unary_f64_bits(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_FN_COUNT; fn++)
        for (int64_t n = 0; n < 1200; n += n < 20 ? 1 : 1000) {
            kt_step(t, "fn=%d n=%d", fn, (int)n);
            double *x = kt_buffer(t, n, 8);
            kt_fill_f64(t, x, n, kt_random(t) & 1 ? KT_BITS : KT_SPECIAL);
            for (int64_t i = 0; i < n; i++)
                if (kt_random(t) & 1) x[i] = (double)kt_range(t, -9000000, 9000000) / 100000;
            kt_protect(t);
            double *y = kt_buffer(t, n, 8);
            t->k->unary_f64(fn, y, x, n, 0.7, 1.3);
            kt_check_f64(t, y, n);
        }
}

/* ---- exact results */

struct known {
    int32_t fn;
    float x, y, a, b;
};
static const struct known known[] = {
    {FZK_FN_ABS, -0.0f, 0, 0, 0}, {FZK_FN_NEG, 0, -0.0f, 0, 0}, {FZK_FN_SIGN, -3, -1, 0, 0},
    {FZK_FN_SIGN, -0.0f, 0, 0, 0}, {FZK_FN_SIGN, NAN_, NAN_, 0, 0},
    {FZK_FN_FLOOR, -0.5f, -1, 0, 0}, {FZK_FN_FLOOR, -0.0f, -0.0f, 0, 0},
    {FZK_FN_FLOOR, 8388607.5f, 8388607, 0, 0}, {FZK_FN_FLOOR, 0x1p-149f, 0, 0, 0},
    {FZK_FN_CEIL, -0.5f, -0.0f, 0, 0}, {FZK_FN_CEIL, 0.25f, 1, 0, 0},
    {FZK_FN_CEIL, 3e38f, 3e38f, 0, 0},
    {FZK_FN_ROUND, 0.5f, 0, 0, 0}, {FZK_FN_ROUND, 1.5f, 2, 0, 0}, {FZK_FN_ROUND, 2.5f, 2, 0, 0},
    {FZK_FN_ROUND, -0.5f, -0.0f, 0, 0}, {FZK_FN_ROUND, 8388609, 8388609, 0, 0},
    {FZK_FN_ROUND, -INF, -INF, 0, 0}, {FZK_FN_SQRT, -0.0f, -0.0f, 0, 0}, {FZK_FN_SQRT, 9, 3, 0, 0},
    {FZK_FN_SQRT, -1, NAN_, 0, 0}, {FZK_FN_RECIPROCAL, -0.0f, -INF, 0, 0},
    {FZK_FN_EXP, 0, 1, 0, 0}, {FZK_FN_EXP, -0.0f, 1, 0, 0}, {FZK_FN_EXP, INF, INF, 0, 0},
    {FZK_FN_EXP, -INF, 0, 0, 0}, {FZK_FN_EXP, 88.73f, INF, 0, 0}, {FZK_FN_EXP, -103.98f, 0, 0, 0},
    {FZK_FN_EXP, -103.9f, 0x1p-149f, 0, 0}, {FZK_FN_EXP, NAN_, NAN_, 0, 0},
    {FZK_FN_EXP2, 10, 1024, 0, 0}, {FZK_FN_EXP2, -149, 0x1p-149f, 0, 0},
    {FZK_FN_EXP2, -150, 0, 0, 0}, {FZK_FN_EXP2, 128, INF, 0, 0}, {FZK_FN_EXP2, -INF, 0, 0, 0},
    {FZK_FN_EXPM1, -0.0f, -0.0f, 0, 0}, {FZK_FN_EXPM1, -INF, -1, 0, 0},
    {FZK_FN_EXPM1, INF, INF, 0, 0}, {FZK_FN_EXPM1, 0x1p-149f, 0x1p-149f, 0, 0},
    {FZK_FN_LOG, 1, 0, 0, 0}, {FZK_FN_LOG, 0, -INF, 0, 0}, {FZK_FN_LOG, -0.0f, -INF, 0, 0},
    {FZK_FN_LOG, -1, NAN_, 0, 0}, {FZK_FN_LOG, INF, INF, 0, 0},
    {FZK_FN_LOG2, 0x1p-149f, -149, 0, 0},
    {FZK_FN_LOG2, 0x1p127f, 127, 0, 0}, {FZK_FN_LOG1P, -1, -INF, 0, 0},
    {FZK_FN_LOG1P, -0.0f, -0.0f, 0, 0}, {FZK_FN_LOG1P, -1.5f, NAN_, 0, 0},
    {FZK_FN_SIN, -0.0f, -0.0f, 0, 0}, {FZK_FN_SIN, INF, NAN_, 0, 0}, {FZK_FN_COS, 0, 1, 0, 0},
    {FZK_FN_COS, -INF, NAN_, 0, 0}, {FZK_FN_TAN, -0.0f, -0.0f, 0, 0},
    {FZK_FN_SIN, 0x1.921fb6p1f, -0x1.777a5cp-24f, 0, 0}, /* the distance from pi */
    {FZK_FN_SIN, 1e22f, -0x1.77d988p-1f, 0, 0}, {FZK_FN_COS, 1e22f, 0x1.5badeep-1f, 0, 0},
    {FZK_FN_ASIN, -0.0f, -0.0f, 0, 0}, {FZK_FN_ASIN, 1, 0x1.921fb6p0f, 0, 0},
    {FZK_FN_ASIN, 1.5f, NAN_, 0, 0}, {FZK_FN_ACOS, 1, 0, 0, 0},
    {FZK_FN_ACOS, -1, 0x1.921fb6p1f, 0, 0}, {FZK_FN_ACOS, -2, NAN_, 0, 0},
    {FZK_FN_ATAN, -INF, -0x1.921fb6p0f, 0, 0}, {FZK_FN_ATAN, -0.0f, -0.0f, 0, 0},
    {FZK_FN_SINH, -0.0f, -0.0f, 0, 0}, {FZK_FN_SINH, -INF, -INF, 0, 0},
    {FZK_FN_COSH, -INF, INF, 0, 0}, {FZK_FN_COSH, 0, 1, 0, 0}, {FZK_FN_TANH, -0.0f, -0.0f, 0, 0},
    {FZK_FN_TANH, -INF, -1, 0, 0}, {FZK_FN_TANH, 9.1f, 1, 0, 0}, {FZK_FN_TANH, NAN_, NAN_, 0, 0},
    {FZK_FN_TANH, 0x1p-149f, 0x1p-149f, 0, 0}, {FZK_FN_ASINH, -INF, -INF, 0, 0},
    {FZK_FN_ASINH, -0.0f, -0.0f, 0, 0}, {FZK_FN_ACOSH, 1, 0, 0, 0},
    {FZK_FN_ACOSH, 0.5f, NAN_, 0, 0}, {FZK_FN_ACOSH, -3e38f, NAN_, 0, 0},
    {FZK_FN_ACOSH, INF, INF, 0, 0}, {FZK_FN_ATANH, 1, INF, 0, 0}, {FZK_FN_ATANH, -1, -INF, 0, 0},
    {FZK_FN_ATANH, 1.5f, NAN_, 0, 0}, {FZK_FN_ATANH, -0.0f, -0.0f, 0, 0},
    {FZK_FN_ERF, -0.0f, -0.0f, 0, 0}, {FZK_FN_ERF, INF, 1, 0, 0}, {FZK_FN_ERF, -4, -1, 0, 0},
    {FZK_FN_ERF, NAN_, NAN_, 0, 0}, {FZK_FN_SIGMOID, 0, 0.5f, 0, 0}, {FZK_FN_SIGMOID, INF, 1, 0, 0},
    {FZK_FN_SIGMOID, -INF, 0, 0, 0}, {FZK_FN_SIGMOID, -103.9f, 0x1p-149f, 0, 0},
    {FZK_FN_SOFTPLUS, -INF, 0, 0, 0}, {FZK_FN_SOFTPLUS, INF, INF, 0, 0},
    {FZK_FN_SOFTSIGN, 1, 0.5f, 0, 0}, {FZK_FN_GELU, 0, 0, 0, 0}, {FZK_FN_GELU, 10, 10, 0, 0},
    {FZK_FN_GELU_TANH, 10, 10, 0, 0}, {FZK_FN_SILU, 0, 0, 0, 0}, {FZK_FN_MISH, 30, 30, 0, 0},
    {FZK_FN_HARD_SWISH_AFFINE, 3, 7, 2, 1}, {FZK_FN_HARD_SWISH_AFFINE, -4, 1, -2, 1},
    {FZK_FN_HARD_SWISH, 3, 3, 0, 0}, {FZK_FN_HARD_SWISH, -3, -0.0f, 0, 0},
    {FZK_FN_RELU, -0.0f, -0.0f, 0, 0}, {FZK_FN_RELU, NAN_, NAN_, 0, 0}, {FZK_FN_RELU, -5, 0, 0, 0},
    {FZK_FN_HARD_SIGMOID, 1, 0.75f, 0.25f, 0.5f}, {FZK_FN_HARD_SIGMOID, 9, 1, 0.25f, 0.5f},
    {FZK_FN_LEAKY_RELU, -4, -1, 0.25f, 0}, {FZK_FN_LEAKY_RELU, NAN_, NAN_, 0.25f, 0},
    {FZK_FN_THRESHOLDED_RELU, 1, 0, 1, 0}, {FZK_FN_THRESHOLDED_RELU, 2, 2, 1, 0},
    {FZK_FN_ELU, -INF, -2, 2, 0}, {FZK_FN_ELU, 3, 3, 2, 0}, {FZK_FN_SELU, -INF, -6, 2, 3},
    {FZK_FN_SELU, 2, 6, 2, 3}, {FZK_FN_CELU, -INF, -2, 2, 0}, {FZK_FN_CELU, 3, 3, 2, 0},
    {FZK_FN_CLIP, 5, 4, 1, 4}, {FZK_FN_CLIP, NAN_, NAN_, 1, 4}, {FZK_FN_CLIP, 2, 1, 3, 1},
    {FZK_FN_SHRINK, -3, -2.5f, 1, 0.5f}, {FZK_FN_SHRINK, 0.5f, 0, 1, 0.5f},
    {FZK_FN_AFFINE, 3, 7, 2, 1}, {FZK_FN_SCALED_TANH, 99, 3, 3, 1}, {FZK_FN_SWISH, 9, 9, 99, 0}};

static bool same(float x, float y) { return memcmp(&x, &y, 4) == 0 || (x != x && y != y); }

static void unary_known(struct kt *t) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct known *k = &known[i];
        kt_step(t, "fn=%d x=%a", k->fn, (double)k->x);
        float x[20], y[20];
        for (int j = 0; j < 20; j++) x[j] = k->x;
        t->k->unary_f32(k->fn, y, x, 20, k->a, k->b);
        for (int j = 0; j < 20; j++)
            if (!same(y[j], k->y)) kt_fail(t, "%a instead of %a", (double)y[j], (double)k->y);
        /* The binary64 function rounds to the same number, or is exact where these are. */
        double d = (double)k->x, r;
        t->k->unary_f64(k->fn, &r, &d, 1, (double)k->a, (double)k->b);
        bool range = k->x > 100 || k->x < -100 || k->y == INF || k->y == 0 || k->y == 1;
        bool small = k->y > -0x1p-120f && k->y < 0x1p-120f;
        if (!same((float)r, k->y) && !range && !small)
            kt_fail(t, "f64: %a instead of %a", r, (double)k->y);
    }
}

/* Results next to the middle of two numbers, where a binary64 value rounds to the wrong one: all of
 * them that judge has found, by MPFR. */
static const struct known halfway[] = {
    {FZK_FN_ACOS, 0x1.110b46p-26f, 0x1.921fb6p0f, 0, 0},
    {FZK_FN_ACOS, 0x1.04c444p-12f, 0x1.920f6ap0f, 0, 0},
    {FZK_FN_ACOSH, 0x1.d1309cp61f, 0x1.5c9442p5f, 0, 0},
    {FZK_FN_ACOSH, 0x1.b121a6p75f, 0x1.a9a3f2p5f, 0, 0},
    {FZK_FN_ASINH, 0x1.bacb4ap24f, 0x1.1e0696p4f, 0, 0},
    {FZK_FN_ASINH, 0x1.d1309cp61f, 0x1.5c9442p5f, 0, 0},
    {FZK_FN_ASINH, 0x1.b121a6p75f, 0x1.a9a3f2p5f, 0, 0},
    {FZK_FN_ASINH, -0x1.bacb4ap24f, -0x1.1e0696p4f, 0, 0},
    {FZK_FN_ASINH, -0x1.d1309cp61f, -0x1.5c9442p5f, 0, 0},
    {FZK_FN_ASINH, -0x1.b121a6p75f, -0x1.a9a3f2p5f, 0, 0},
    {FZK_FN_ATAN, 0x1.1ad646p-4f, 0x1.1a6386p-4f, 0, 0},
    {FZK_FN_ATAN, -0x1.1ad646p-4f, -0x1.1a6386p-4f, 0, 0},
    {FZK_FN_COS, 0x1.3170fp63f, 0x1.fe2976p-1f, 0, 0},
    {FZK_FN_COS, 0x1.2b9622p67f, 0x1.f0285ep-1f, 0, 0},
    {FZK_FN_COS, -0x1.3170fp63f, 0x1.fe2976p-1f, 0, 0},
    {FZK_FN_COS, -0x1.2b9622p67f, 0x1.f0285ep-1f, 0, 0},
    {FZK_FN_EXP2, 0x1.853a6ep-9f, 0x1.00870ap0f, 0, 0},
    {FZK_FN_EXP2, -0x1.e7526ep-6f, 0x1.f58d62p-1f, 0, 0},
    {FZK_FN_LOG, 0x1.bacb4ap25f, 0x1.1e0696p4f, 0, 0},
    {FZK_FN_LOG, 0x1.b121a6p76f, 0x1.a9a3f2p5f, 0, 0},
    {FZK_FN_LOG, 0x1.6351d8p95f, 0x1.08b512p6f, 0, 0},
    {FZK_FN_LOG1P, 0x1.800006p-21f, 0x1.7ffffep-21f, 0, 0},
    {FZK_FN_LOG1P, 0x1.200036p-17f, 0x1.1fffe6p-17f, 0, 0},
    {FZK_FN_LOG1P, 0x1.fb035ap-2f, 0x1.9bddc2p-2f, 0, 0},
    {FZK_FN_LOG1P, 0x1.0f1fd6p3f, 0x1.1fcbcep1f, 0, 0},
    {FZK_FN_LOG1P, 0x1.b121a6p76f, 0x1.a9a3f2p5f, 0, 0},
    {FZK_FN_LOG1P, 0x1.6351d8p95f, 0x1.08b512p6f, 0, 0},
    {FZK_FN_LOG1P, -0x1.7ffffap-21f, -0x1.800002p-21f, 0, 0},
    {FZK_FN_LOG1P, -0x1.1fffcap-17f, -0x1.20001ap-17f, 0, 0},
    {FZK_FN_LOG1P, -0x1.1d9188p-9f, -0x1.1de14ap-9f, 0, 0},
    {FZK_FN_SIN, 0x1.33333p13f, -0x1.63f4bap-2f, 0, 0},
    {FZK_FN_SIN, -0x1.33333p13f, 0x1.63f4bap-2f, 0, 0},
    {FZK_FN_SINH, 0x1.250bfep-11f, 0x1.250bfep-11f, 0, 0},
    {FZK_FN_SINH, -0x1.250bfep-11f, -0x1.250bfep-11f, 0, 0},
    {FZK_FN_SOFTPLUS, 0x1.d483ap-12f, 0x1.63017ap-1f, 0, 0}};

static void unary_halfway(struct kt *t) {
    for (size_t i = 0; i < sizeof halfway / sizeof halfway[0]; i++) {
        const struct known *k = &halfway[i];
        kt_step(t, "fn=%d x=%a", k->fn, (double)k->x);
        float x[20], y[20];
        for (int j = 0; j < 20; j++) x[j] = k->x;
        t->k->unary_f32(k->fn, y, x, 20, 0, 0);
        for (int j = 0; j < 20; j++)
            if (!same(y[j], k->y)) kt_fail(t, "%a instead of %a", (double)y[j], (double)k->y);
    }
}

/* ---- binary functions */

static void binary_lengths(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_BINARY_COUNT; fn++)
        for (int steps = 0; steps < 4; steps++)
            for (int64_t n = 0; n <= 70; n += t->quick && n > 1 ? 5 : 1) {
                int64_t as = steps & 1, bs = steps >> 1;
                kt_step(t, "fn=%d n=%d a_step=%d b_step=%d", fn, (int)n, (int)as, (int)bs);
                float *a = arguments(t, as ? n : 1, KT_SPECIAL);
                float *b = arguments(t, bs ? n : 1, KT_SPECIAL);
                kt_protect(t);
                float *y = kt_buffer(t, n, 4);
                t->k->binary_f32(fn, y, a, b, n, as, bs);
                kt_check_f32(t, y, n);
            }
}

static void binary_f64(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_BINARY_COUNT; fn++)
        for (int steps = 0; steps < 4; steps++) {
            int64_t as = steps & 1, bs = steps >> 1, n = 500;
            kt_step(t, "fn=%d a_step=%d b_step=%d", fn, (int)as, (int)bs);
            double *a = kt_buffer(t, n, 8), *b = kt_buffer(t, n, 8);
            kt_fill_f64(t, a, n, KT_SPECIAL);
            kt_fill_f64(t, b, n, KT_SPECIAL);
            for (int64_t i = 0; i < n; i += 2) b[i] = (double)kt_range(t, -5000, 5000) / 256;
            kt_protect(t);
            double *y = kt_buffer(t, n, 8);
            t->k->binary_f64(fn, y, a, b, n, as, bs);
            kt_check_f64(t, y, n);
        }
}

struct known_pair {
    int32_t fn;
    float a, b, y;
};
static const struct known_pair pairs[] = {
    {FZK_BINARY_MAX, NAN_, 1, NAN_}, {FZK_BINARY_MAX, 1, -NAN_, NAN_},
    {FZK_BINARY_MAX, -0.0f, 0, 0}, {FZK_BINARY_MAX, -INF, -3, -3},
    {FZK_BINARY_MIN, 0, -0.0f, -0.0f},
    {FZK_BINARY_MIN, -NAN_, INF, NAN_}, {FZK_BINARY_MIN, INF, 2, 2},
    {FZK_BINARY_POW, 0, 0, 1}, {FZK_BINARY_POW, NAN_, 0, 1}, {FZK_BINARY_POW, 1, NAN_, 1},
    {FZK_BINARY_POW, -1, INF, 1}, {FZK_BINARY_POW, -1, -INF, 1}, {FZK_BINARY_POW, -2, 3, -8},
    {FZK_BINARY_POW, -2, 2, 4}, {FZK_BINARY_POW, -2, 0.5f, NAN_}, {FZK_BINARY_POW, -0.0f, 3, -0.0f},
    {FZK_BINARY_POW, -0.0f, -3, -INF}, {FZK_BINARY_POW, -0.0f, -2, INF},
    {FZK_BINARY_POW, -0.0f, 0.5f, 0}, {FZK_BINARY_POW, -INF, 3, -INF},
    {FZK_BINARY_POW, -INF, 2, INF}, {FZK_BINARY_POW, -INF, -3, -0.0f},
    {FZK_BINARY_POW, -INF, 0.5f, INF}, {FZK_BINARY_POW, 0.5f, INF, 0},
    {FZK_BINARY_POW, 0.5f, -INF, INF}, {FZK_BINARY_POW, 2, -149, 0x1p-149f},
    {FZK_BINARY_POW, 2, 128, INF}, {FZK_BINARY_POW, 2, -INF, 0}, {FZK_BINARY_POW, 9, 0.5f, 3},
    {FZK_BINARY_POW, 10, 10, 1e10f}, {FZK_BINARY_POW, -2, 0x1p30f, INF},
    {FZK_BINARY_POW, -1, 0x1p30f, 1}, {FZK_BINARY_POW, -1, 16777215, -1},
    {FZK_BINARY_POW, 0x1p-149f, 1, 0x1p-149f}, {FZK_BINARY_POW, NAN_, 1, NAN_},
    {FZK_BINARY_FMOD, 5.5f, -3, 2.5f}, {FZK_BINARY_FMOD, -5.5f, 3, -2.5f},
    {FZK_BINARY_FMOD, 1, 0, NAN_}, {FZK_BINARY_FMOD, INF, 1, NAN_}, {FZK_BINARY_FMOD, 3, INF, 3},
    {FZK_BINARY_FMOD, 3e38f, 0x1p-149f, 0}, {FZK_BINARY_FMOD, -6, 3, -0.0f},
    {FZK_BINARY_FMOD, 1e30f, 7, 1}, {FZK_BINARY_FMOD, 0x1.8p-148f, 0x1p-148f, 0x1p-149f},
    {FZK_BINARY_MOD, -5.5f, 3, 0.5f}, {FZK_BINARY_MOD, 5.5f, -3, -0.5f},
    {FZK_BINARY_MOD, 6, -3, -0.0f}, {FZK_BINARY_PRELU, -4, 0.25f, -1}, {FZK_BINARY_PRELU, 4, 9, 4}};

static void binary_known(struct kt *t) {
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const struct known_pair *k = &pairs[i];
        kt_step(t, "fn=%d a=%a b=%a", k->fn, (double)k->a, (double)k->b);
        float a[20], y[20];
        for (int j = 0; j < 20; j++) a[j] = k->a;
        t->k->binary_f32(k->fn, y, a, &k->b, 20, 1, 0);
        for (int j = 0; j < 20; j++)
            if (!same(y[j], k->y)) kt_fail(t, "%a instead of %a", (double)y[j], (double)k->y);
        double p = (double)k->a, q = (double)k->b, r;
        t->k->binary_f64(k->fn, &r, &p, &q, 1, 1, 1);
        if (!same((float)r, k->y)) kt_fail(t, "f64: %a instead of %a", r, (double)k->y);
    }
}

/* An exponent for all gives the bits of the same exponent for each. */
static void pow_exponents(struct kt *t) {
    static const float exponents[] = {2, 3, 0.5f, -1, 1.5f, 0, -0.0f, NAN_, INF};
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        kt_step(t, "y=%a", (double)exponents[i]);
        int64_t n = 3000;
        float *x = kt_f32(t, n, KT_BITS), *e = kt_buffer(t, n, 4);
        for (int64_t j = 0; j < n; j++) e[j] = exponents[i];
        for (int64_t j = 0; j < n; j += 3) x[j] = edges[(size_t)j % (sizeof edges / 4)];
        kt_protect(t);
        float *y = kt_buffer(t, n, 4), *z = kt_buffer(t, n, 4);
        t->k->binary_f32(FZK_BINARY_POW, y, x, e, n, 1, 1);
        t->k->binary_f32(FZK_BINARY_POW, z, x, e, n, 1, 0);
        kt_check_f32(t, y, n);
        for (int64_t j = 0; j < n; j++)
            if (!same(y[j], z[j]))
                kt_fail(t, "x=%a: %a, %a", (double)x[j], (double)y[j], (double)z[j]);
    }
}

/* Numbers whose quotients by D lie next to the middle of two others, of any size. */
static void hard_dividends(struct kt *t, float d, float *x, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double middle = (double)((kt_range(t, 1 << 23, (1 << 24) - 1) << 1) + 1);
        float near = (float)(middle * (double)d);
        uint32_t bits;
        memcpy(&bits, &near, sizeof bits);
        bits += (uint32_t)kt_range(t, 0, 2) - 1;
        memcpy(&near, &bits, sizeof near);
        x[j] = __builtin_scalbnf(near, (int)kt_range(t, -90, 40)) * (j & 1 ? -1 : 1);
        if (kt_range(t, 0, 40) == 0) x[j] = edges[j % (int64_t)(sizeof edges / 4)];
    }
}

/* A divisor for all gives the bits of the same divisor for each. */
static void divisors(struct kt *t) {
    static const float few[] = {0x1.fffffep0f, 0x1.000002p0f, 0x1.6ap0f, 0x1.6ap2f, 3, -7, 0x1p-30f,
                                0x1.fffffep-31f, 0x1p30f, 0x1.000002p30f, 0, -0.0f, NAN_, INF};
    const int64_t n_few = sizeof few / sizeof few[0], n = 2000;
    for (int64_t i = 0; i < (t->quick ? n_few + 20 : n_few + 500); i++) {
        float d = i < n_few ? few[i] : *kt_f32(t, 1, KT_UNIFORM) * 8;
        kt_step(t, "d=%a", (double)d);
        float *x = kt_buffer(t, n, 4), *each = kt_buffer(t, n, 4);
        for (int64_t j = 0; j < n; j++) each[j] = d;
        hard_dividends(t, d, x, n);
        kt_protect(t);
        float *y = kt_buffer(t, n, 4), *z = kt_buffer(t, n, 4);
        t->k->binary_f32(FZK_BINARY_DIV, y, x, each, n, 1, 1);
        t->k->binary_f32(FZK_BINARY_DIV, z, x, &d, n, 1, 0);
        kt_check_f32(t, z, n);
        for (int64_t j = 0; j < n; j++)
            if (!same(y[j], z[j]))
                kt_fail(t, "x=%a: %a, %a", (double)x[j], (double)y[j], (double)z[j]);
    }
}

/* ---- benchmarks */

struct bench {
    int32_t fn;
    int64_t n;
    float *y;
    const float *a, *b;
    int64_t b_step;
};
static void unary_call(const struct fzk_table *k, void *arg) {
    struct bench *b = arg;
    k->unary_f32(b->fn, b->y, b->a, b->n, 1, 2);
}
static void unary_bench(struct kt *t) {
#define NAME(NAME, name) #name,
    static const char *const names[] = {FZK_FUNCTIONS(NAME, NAME, NAME)};
    struct bench b = {.n = 4096};
    float *x = kt_f32(t, b.n, KT_UNIFORM);
    for (int64_t i = 0; i < b.n; i++) x[i] *= 10;
    b.a = x;
    b.y = kt_buffer(t, b.n, 4);
    for (b.fn = 0; b.fn < FZK_FN_COUNT; b.fn++)
        kt_bench(t, (double)b.n, unary_call, &b, "%s", names[b.fn]);
}
static void binary_call(const struct fzk_table *k, void *arg) {
    struct bench *b = arg;
    k->binary_f32(b->fn, b->y, b->a, b->b, b->n, 1, b->b_step);
}
static void binary_bench(struct kt *t) {
    struct bench b = {.n = 4096, .b_step = 1};
    b.a = kt_f32(t, b.n, KT_UNIFORM);
    b.b = kt_f32(t, b.n, KT_UNIFORM);
    b.y = kt_buffer(t, b.n, 4);
    for (b.fn = 0; b.fn < FZK_BINARY_COUNT; b.fn++)
        kt_bench(t, (double)b.n, binary_call, &b, "fn=%d", b.fn);
    b.fn = FZK_BINARY_DIV;
    b.b_step = 0;
    kt_bench(t, (double)b.n, binary_call, &b, "one divisor");
}

const struct kt_case math_cases[] = {
    {"unary_f32/lengths", KT_KERNEL(unary_f32), unary_lengths, unary_bench},
    {"unary_f32/bits", KT_KERNEL(unary_f32), unary_bits, NULL},
    {"unary_f32/known", KT_KERNEL(unary_f32), unary_known, NULL,
     {KT_KERNEL(unary_f64)}},
    {"unary_f32/halfway", KT_KERNEL(unary_f32), unary_halfway, NULL},
    {"unary_f64/bits", KT_KERNEL(unary_f64), unary_f64_bits, NULL},
    {"binary_f32/lengths", KT_KERNEL(binary_f32), binary_lengths, binary_bench},
    {"binary_f32/known", KT_KERNEL(binary_f32), binary_known, NULL,
     {KT_KERNEL(binary_f64)}},
    {"binary_f32/exponents", KT_KERNEL(binary_f32), pow_exponents, NULL},
    {"binary_f32/divisors", KT_KERNEL(binary_f32), divisors, NULL},
    {"binary_f64/steps", KT_KERNEL(binary_f64), binary_f64, NULL},
    {0}};
