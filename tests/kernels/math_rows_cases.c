/* Cases of reductions, softmax, normalisations, conversions, quantisation and transposition, each
 * also against a scalar loop that follows the rule word by word. */
#include "harness.h"
#include "kernel.h"

#define INF __builtin_inff()
#define NAN_ __builtin_nanf("")

static bool same(float x, float y) { return memcmp(&x, &y, 4) == 0 || (x != x && y != y); }
static void expect(struct kt *t, float y, float exact) {
    if (!same(y, exact)) kt_fail(t, "%a instead of %a", (double)y, (double)exact);
}

/* ---- reductions */

/* The rule of sums: element i to lane i mod 16, blocks of 256 of a lane, then the tree. */
static float lanes(const float *x, int64_t n, int64_t step, int32_t op) {
    float lane[16];
    for (int64_t l = 0; l < 16; l++) {
        float y = 0, s = 0;
        int64_t in_block = 0, blocks = 0;
        for (int64_t i = l; i < n; i += 16) {
            if (in_block == 256) {
                y = blocks++ ? y + s : s;
                s = 0;
                in_block = 0;
            }
            float v = x[i * step];
            if (op == FZK_REDUCE_SUM_SQUARE) s = fzk_fma(v, v, s);
            else s = s + (op == FZK_REDUCE_SUM_ABS ? __builtin_fabsf(v) : v);
            in_block++;
        }
        lane[l] = blocks ? y + s : s;
    }
    for (int half = 8; half; half /= 2)
        for (int l = 0; l < half; l++) lane[l] = lane[l] + lane[l + half];
    return op == FZK_REDUCE_MEAN ? lane[0] / (float)n : lane[0];
}

static void reduce_shape(struct kt *t, int32_t op, int64_t outer, int64_t n, int64_t inner,
                         enum kt_values values) {
    kt_step(t, "op=%d outer=%d n=%d inner=%d", op, (int)outer, (int)n, (int)inner);
    float *x = kt_f32(t, outer * n * inner, values);
    kt_protect(t);
    float *y = kt_buffer(t, outer * inner, 4);
    t->k->reduce_f32(op, y, x, outer, n, inner);
    kt_check_f32(t, y, outer * inner);
    if (!t->baseline || op == FZK_REDUCE_PROD || op == FZK_REDUCE_MAX || op == FZK_REDUCE_MIN)
        return;
    for (int64_t i = 0; i < outer; i++)
        for (int64_t j = 0; j < inner; j++)
            expect(t, y[i * inner + j], lanes(x + i * n * inner + j, n, inner, op));
}

static void reduce_shapes(struct kt *t) {
    static const int64_t ns[] = {0, 1, 2, 15, 16, 17, 31, 33, 100, 255, 4095, 4096, 4097, 9000};
    static const int64_t inners[] = {1, 2, 3, 16, 17, 63, 64, 65, 130};
    for (int32_t op = 0; op < FZK_REDUCE_COUNT; op++)
        for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++)
            for (size_t j = 0; j < sizeof inners / sizeof inners[0]; j += t->quick ? 2 : 1) {
                if (ns[i] > 4000 && inners[j] > 65) continue;
                if (t->quick && ns[i] > 4000 && inners[j] > 3) continue;
                static const enum kt_values values[] = {KT_WIDE, KT_UNIFORM, KT_SPECIAL};
                reduce_shape(t, op, ns[i] > 300 ? 1 : 2, ns[i], inners[j], values[(i + j) % 3]);
            }
}

static void reduce_known(struct kt *t) {
    float x[6] = {1, -0.0f, 3, NAN_, -2, INF}, z[2] = {-0.0f, 0}, y;
    t->k->reduce_f32(FZK_REDUCE_MAX, &y, x, 1, 3, 1);
    expect(t, y, 3);
    t->k->reduce_f32(FZK_REDUCE_MAX, &y, x, 1, 6, 1);
    expect(t, y, NAN_);
    t->k->reduce_f32(FZK_REDUCE_MIN, &y, x, 1, 6, 1);
    expect(t, y, NAN_);
    t->k->reduce_f32(FZK_REDUCE_MAX, &y, z, 1, 2, 1);
    expect(t, y, 0);
    t->k->reduce_f32(FZK_REDUCE_MIN, &y, z, 1, 2, 1);
    expect(t, y, -0.0f);
    t->k->reduce_f32(FZK_REDUCE_SUM, &y, z, 1, 1, 1);
    expect(t, y, 0); /* a lane starts at +0 */
    t->k->reduce_f32(FZK_REDUCE_MAX, &y, z, 1, 0, 1);
    expect(t, y, -INF);
    t->k->reduce_f32(FZK_REDUCE_MIN, &y, z, 1, 0, 1);
    expect(t, y, INF);
    t->k->reduce_f32(FZK_REDUCE_PROD, &y, z, 1, 0, 1);
    expect(t, y, 1);
}

static void minmax(struct kt *t) {
    for (int64_t n = 0; n < 70; n++) {
        kt_step(t, "n=%d", (int)n);
        float *x = kt_f32(t, n, n % 2 ? KT_UNIFORM : KT_SPECIAL), lo = 0, hi = 0;
        kt_protect(t);
        float *y = kt_buffer(t, 2, 4);
        t->k->minmax_f32(y, x, n);
        kt_check_f32(t, y, 2);
        bool nan = false;
        for (int64_t i = 0; i < n; i++) {
            nan = nan || x[i] != x[i];
            lo = x[i] < lo ? x[i] : lo;
            hi = x[i] > hi ? x[i] : hi;
        }
        expect(t, y[0], nan ? NAN_ : lo);
        expect(t, y[1], nan ? NAN_ : hi);
    }
}

/* ---- softmax and norms */

/* Softmax and its logarithm out of their parts: unary_f32 and the sum above. */
static void softmax_parts(struct kt *t, const float *x, const float *y, const float *l, int64_t n) {
    float m = -INF, e[5000] = {0}, s;
    for (int64_t i = 0; i < n; i++) m = x[i] != x[i] || x[i] > m ? x[i] : m;
    for (int64_t i = 0; i < n; i++) e[i] = x[i] - m;
    t->k->unary_f32(FZK_FN_EXP, e, e, n, 0, 0);
    s = lanes(e, n, 1, FZK_REDUCE_SUM);
    for (int64_t i = 0; i < n; i++) expect(t, y[i], e[i] / s);
    t->k->unary_f32(FZK_FN_LOG, &s, &s, 1, 0, 0);
    for (int64_t i = 0; i < n; i++) expect(t, l[i], (x[i] - m) - s);
}

static void softmax(struct kt *t) {
    for (int64_t n = 0; n <= 4600; n += n > 1000 ? 3500 : n > 70 ? 907 : t->quick && n > 2 ? 5 : 1)
        for (int rows = 0; rows <= 3; rows += n > 70 ? 3 : 1) {
            kt_step(t, "rows=%d n=%d", rows, (int)n);
            float *x = kt_f32(t, rows * n, n % 3 ? KT_UNIFORM : KT_FINITE);
            for (int64_t i = 0; i < rows * n && n % 3; i++) x[i] *= n % 2 ? 8 : 90;
            kt_protect(t);
            float *y = kt_buffer(t, rows * n, 4), *l = kt_buffer(t, rows * n, 4);
            t->k->softmax_f32(y, x, rows, n);
            t->k->logsoftmax_f32(l, x, rows, n);
            kt_check_f32(t, y, rows * n);
            kt_check_f32(t, l, rows * n);
            if (t->baseline)
                for (int i = 0; i < rows; i++) softmax_parts(t, x + i * n, y + i * n, l + i * n, n);
            if (n) memcpy(y, x, (size_t)(rows * n) * 4); /* in place */
            t->k->softmax_f32(y, y, rows, n);
            kt_check_f32(t, y, rows * n);
        }
}

static void softmax_infinite(struct kt *t) {
    float x[3] = {-INF, 1, -INF}, y[3];
    t->k->softmax_f32(y, x, 1, 3);
    expect(t, y[0], 0);
    expect(t, y[1], 1);
    x[1] = -INF;
    t->k->softmax_f32(y, x, 1, 3);
    expect(t, y[0], NAN_);
    x[1] = INF;
    t->k->softmax_f32(y, x, 1, 3);
    expect(t, y[1], NAN_);
}

static void norm(struct kt *t) {
    for (int64_t n = 1; n <= 5000; n += n > 80 ? 2400 : t->quick && n > 2 ? 7 : 1)
        for (int flags = 0; flags < 16; flags++) {
            int64_t rows = 3, width = flags & 8 ? 2 : n;
            kt_step(t, "n=%d flags=%d", (int)n, flags);
            struct fzk_norm_f32 g = {.rows = rows, .n = n, .eps = 1e-5f, .rms = flags >> 2 & 1};
            g.channels = flags & 8 ? 2 : 0;
            g.x = kt_f32(t, rows * n, flags == 5 ? KT_SPECIAL : KT_UNIFORM);
            g.gain = flags & 1 ? kt_f32(t, width, KT_UNIFORM) : NULL;
            g.bias = flags & 2 ? kt_f32(t, width, KT_UNIFORM) : NULL;
            kt_protect(t);
            g.y = kt_buffer(t, rows * n, 4);
            g.mean = kt_buffer(t, rows, 4);
            g.inv_std = kt_buffer(t, rows, 4);
            t->k->norm_f32(&g);
            kt_check_f32(t, g.y, rows * n);
            kt_check_f32(t, g.mean, rows);
            kt_check_f32(t, g.inv_std, rows);
            if (flags != 3 || !t->baseline) continue;
            for (int64_t i = 0; i < rows; i++) {
                float mean = lanes(g.x + i * n, n, 1, FZK_REDUCE_MEAN), d[5000];
                for (int64_t j = 0; j < n; j++) d[j] = g.x[i * n + j] - mean;
                float var = lanes(d, n, 1, FZK_REDUCE_SUM_SQUARE) / (float)n;
                float r = 1 / __builtin_sqrtf(var + g.eps);
                for (int64_t j = 0; j < n; j++)
                    expect(t, g.y[i * n + j], fzk_fma(d[j] * r, g.gain[j], g.bias[j]));
            }
        }
}

static void round_half(struct kt *t, int64_t round, float *x, int64_t n) {
    struct fzk_finish_f32 f = {.m = 1, .n = n, .c = x, .round = round | FZK_ROUND_SUM};
    t->k->finish_f32(&f);
}

/* Y of a row by the nine operators. */
static void nine_operators(struct kt *t, const struct fzk_norm_half_f32 *g, const float *x,
                           float *y) {
    const struct fzk_table *k = t->k;
    const float eps = g->eps;
    float *s = kt_buffer(t, g->n, 4), mean, var;
    k->reduce_f32(FZK_REDUCE_MEAN, &mean, x, 1, g->n, 1);
    round_half(t, g->round, &mean, 1);
    k->binary_f32(FZK_BINARY_SUB, y, x, &mean, g->n, 1, 0);
    round_half(t, g->round, y, g->n);
    k->binary_f32(FZK_BINARY_MUL, s, y, y, g->n, 1, 1);
    round_half(t, g->round, s, g->n);
    k->reduce_f32(FZK_REDUCE_MEAN, &var, s, 1, g->n, 1);
    round_half(t, g->round, &var, 1);
    k->binary_f32(FZK_BINARY_ADD, &var, &var, &eps, 1, 1, 1);
    round_half(t, g->round, &var, 1);
    k->unary_f32(FZK_FN_SQRT, &var, &var, 1, 0, 0);
    round_half(t, g->round, &var, 1);
    k->binary_f32(FZK_BINARY_DIV, y, y, &var, g->n, 1, 0);
    round_half(t, g->round, y, g->n);
    k->binary_f32(FZK_BINARY_MUL, y, y, g->gain, g->n, 1, 1);
    round_half(t, g->round, y, g->n);
    k->binary_f32(FZK_BINARY_ADD, y, y, g->bias, g->n, 1, 1);
    round_half(t, g->round, y, g->n);
}

static void norm_half(struct kt *t) {
    for (int64_t n = 1; n <= 10000; n += n > 80 ? 4100 : t->quick && n > 2 ? 7 : 1)
        for (int flags = 0; flags < 8; flags++) {
            int64_t rows = 3;
            kt_step(t, "n=%d flags=%d", (int)n, flags);
            struct fzk_norm_half_f32 g = {.rows = rows, .n = n, .eps = 1e-5f,
                                          .round = flags & 1 ? FZK_ROUND_F16 : FZK_ROUND_BF16};
            float *x = kt_f32(t, rows * n, flags & 4 ? KT_SPECIAL : KT_UNIFORM);
            g.gain = kt_f32(t, n, KT_UNIFORM);
            g.bias = kt_f32(t, n, KT_UNIFORM);
            float *z = kt_buffer(t, rows * n, 4);
            for (int64_t i = 0; i < rows; i++) nine_operators(t, &g, x + i * n, z + i * n);
            g.x = x;
            if (!(flags & 2)) kt_protect(t);
            g.y = flags & 2 ? x : kt_buffer(t, rows * n, 4);
            t->k->norm_half_f32(&g);
            kt_check_f32(t, g.y, rows * n);
            for (int64_t i = 0; i < rows * n; i++) expect(t, g.y[i], z[i]);
        }
}

/* ---- conversions: every 16-bit and 8-bit value there and back, all lengths, known roundings */

static void halves(struct kt *t) {
    kt_step(t, "all");
    uint16_t *h = kt_buffer(t, 65536, 2), *b = kt_buffer(t, 65536, 2);
    float *f = kt_buffer(t, 65536, 4), *g = kt_buffer(t, 65536, 4);
    for (int i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    t->k->f16_to_f32(f, h, 65536);
    t->k->bf16_to_f32(g, h, 65536);
    kt_check_f32(t, f, 65536);
    kt_check_f32(t, g, 65536);
    t->k->f32_to_f16(b, f, 65536);
    for (int i = 0; i < 65536; i++) {
        uint16_t exact = (i & 0x7FFF) > 0x7C00 ? 0x7E00 : (uint16_t)i;
        if (b[i] != exact) kt_fail(t, "f16 %04x became %04x", i, b[i]);
        int e = i >> 10 & 31, m = i & 1023;
        float v = e ? __builtin_ldexpf((float)(m + 1024), e - 25) : __builtin_ldexpf((float)m, -24);
        if (e < 31) expect(t, f[i], i & 0x8000 ? -v : v);
    }
    t->k->f32_to_bf16(b, g, 65536);
    for (int i = 0; i < 65536; i++) {
        uint16_t exact = (i & 0x7FFF) > 0x7F80 ? 0x7FC0 : (uint16_t)i;
        if (b[i] != exact) kt_fail(t, "bf16 %04x became %04x", i, b[i]);
    }
    static const struct { float x; uint16_t f16, bf16; } known[] = {
        {1 + 0x1p-11f, 0x3C00, 0x3F80}, {1 + 3 * 0x1p-11f, 0x3C02, 0x3F80},
        {65519, 0x7BFF, 0x4780}, {65520, 0x7C00, 0x4780}, {-1e30f, 0xFC00, 0xF14A},
        {0x1p-25f, 0, 0x3300}, {0x1.000002p-25f, 1, 0x3300}, {0x1.8p-24f, 2, 0x33C0},
        {0x1.ffbp-15f, 0x03FF, 0x3880}, {0x1.ffep-15f, 0x0400, 0x3880}, {3.4e38f, 0x7C00, 0x7F80},
        {-NAN_, 0x7E00, 0x7FC0}, {1 + 0x1p-8f, 0x3C04, 0x3F80}, {1 + 3 * 0x1p-8f, 0x3C0C, 0x3F82}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        kt_step(t, "x=%a", (double)known[i].x);
        uint16_t y;
        t->k->f32_to_f16(&y, &known[i].x, 1);
        if (y != known[i].f16) kt_fail(t, "f16 %04x", y);
        t->k->f32_to_bf16(&y, &known[i].x, 1);
        if (y != known[i].bf16) kt_fail(t, "bf16 %04x", y);
    }
}

static void half_bits(struct kt *t) {
    for (int64_t n = 0; n < 20000; n = n < 70 ? n + 1 : n * 7) {
        kt_step(t, "n=%d", (int)n);
        float *x = kt_f32(t, n, n % 2 ? KT_BITS : KT_WIDE);
        kt_protect(t);
        uint16_t *y = kt_buffer(t, n, 2), *z = kt_buffer(t, n, 2);
        t->k->f32_to_f16(y, x, n);
        t->k->f32_to_bf16(z, x, n);
        kt_check(t, y, n, 2);
        kt_check(t, z, n, 2);
    }
}

static void small_floats(struct kt *t) {
    static const struct { int32_t form, saturate; float x; uint8_t y; } known[] = {
        {FZK_F8E4M3FN, 1, 464, 0x7E}, {FZK_F8E4M3FN, 1, 465, 0x7E}, {FZK_F8E4M3FN, 0, 464, 0x7E},
        {FZK_F8E4M3FN, 0, 465, 0x7F}, {FZK_F8E4M3FN, 1, INF, 0x7E}, {FZK_F8E4M3FN, 0, -INF, 0x7F},
        {FZK_F8E4M3FN, 1, NAN_, 0x7F}, {FZK_F8E4M3FN, 1, -0.0f, 0x80}, {FZK_F8E4M3FN, 1, 1, 0x38},
        {FZK_F8E4M3FN, 1, 0x1p-10f, 0}, {FZK_F8E4M3FN, 1, 0x1.8p-9f, 2},
        {FZK_F8E4M3FNUZ, 1, -0.0f, 0}, {FZK_F8E4M3FNUZ, 1, NAN_, 0x80},
        {FZK_F8E4M3FNUZ, 0, INF, 0x80}, {FZK_F8E4M3FNUZ, 1, -INF, 0xFF},
        {FZK_F8E4M3FNUZ, 1, -1e-9f, 0}, {FZK_F8E4M3FNUZ, 0, 248, 0x80}, {FZK_F8E5M2, 1, INF, 0x7B},
        {FZK_F8E5M2, 0, INF, 0x7C}, {FZK_F8E5M2, 0, -INF, 0xFC}, {FZK_F8E5M2, 0, 61440, 0x7C},
        {FZK_F8E5M2, 0, 61439, 0x7B}, {FZK_F8E5M2, 1, 1e9f, 0x7B}, {FZK_F8E5M2FNUZ, 0, 1e9f, 0x80},
        {FZK_F8E5M2FNUZ, 1, -1e9f, 0xFF}, {FZK_F4E2M1, 1, 5, 6}, {FZK_F4E2M1, 1, -7, 15},
        {FZK_F4E2M1, 1, 0.25f, 0}, {FZK_F4E2M1, 1, 0.75f, 2}, {FZK_F4E2M1, 1, INF, 7},
        {FZK_F4E2M1, 1, -0.0f, 8}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        kt_step(t, "form=%d x=%a", known[i].form, (double)known[i].x);
        uint8_t y;
        t->k->f32_to_f8(known[i].form, known[i].saturate, &y, &known[i].x, 1);
        if (y != known[i].y) kt_fail(t, "%02x instead of %02x", y, known[i].y);
    }
    for (int32_t form = 0; form < FZK_F8_COUNT; form++) {
        kt_step(t, "form=%d", form);
        int n = form == FZK_F4E2M1 ? 16 : 256;
        uint8_t x[256], y[256];
        float f[256];
        for (int i = 0; i < n; i++) x[i] = (uint8_t)i;
        t->k->f8_to_f32(form, f, x, n);
        t->k->f32_to_f8(form, 0, y, f, n);
        kt_check_f32(t, f, n);
        for (int i = 0; i < n; i++)
            if (f[i] == f[i] && y[i] != i) kt_fail(t, "%02x became %02x", i, y[i]);
        for (int i = 1; i < n / 2; i++)
            if (f[i] == f[i] && !(f[i] > f[i - 1])) kt_fail(t, "not increasing at %02x", i);
        float *b = kt_f32(t, 3000, KT_BITS);
        uint8_t *z = kt_buffer(t, 3000, 1);
        for (int s = 0; s < 2; s++) {
            t->k->f32_to_f8(form, s, z, b, 3000);
            kt_check(t, z, 3000, 1);
        }
    }
}

static void e8m0(struct kt *t) {
    static const struct { int32_t round, saturate; float x; uint8_t y; } known[] = {
        {FZK_E8M0_UP, 1, 1, 127}, {FZK_E8M0_UP, 1, 1.1f, 128}, {FZK_E8M0_DOWN, 1, 1.9f, 127},
        {FZK_E8M0_NEAREST, 1, 1.5f, 128}, {FZK_E8M0_NEAREST, 1, 1.4f, 127},
        {FZK_E8M0_UP, 1, 0, 0}, {FZK_E8M0_NEAREST, 0, 0, 255}, {FZK_E8M0_UP, 1, INF, 254},
        {FZK_E8M0_NEAREST, 0, INF, 255}, {FZK_E8M0_UP, 1, NAN_, 255}, {FZK_E8M0_UP, 1, 3e38f, 254},
        {FZK_E8M0_NEAREST, 0, 3e38f, 255}, {FZK_E8M0_DOWN, 0, 0x1p-127f, 0},
        {FZK_E8M0_DOWN, 0, 0x1p-128f, 255}, {FZK_E8M0_DOWN, 1, 0x1p-149f, 0}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        kt_step(t, "round=%d x=%a", known[i].round, (double)known[i].x);
        uint8_t y;
        t->k->f32_to_e8m0(known[i].round, known[i].saturate, &y, &known[i].x, 1);
        if (y != known[i].y) kt_fail(t, "%d instead of %d", y, known[i].y);
    }
    for (int i = 0; i < 256; i++) {
        uint8_t x = (uint8_t)i;
        float y;
        t->k->e8m0_to_f32(&y, &x, 1);
        expect(t, y, i == 255 ? NAN_ : __builtin_ldexpf(1, i - 127));
    }
}

static void integers(struct kt *t) {
    for (int64_t n = 0; n < 3000; n = n < 70 ? n + 1 : n * 9) {
        kt_step(t, "n=%d", (int)n);
        float *x = kt_f32(t, n, n % 2 ? KT_BITS : KT_SPECIAL);
        for (int64_t i = 0; i < n; i += 3) x[i] = (float)kt_range(t, -4000, 4000) / 8;
        int32_t *v = kt_buffer(t, n, 4);
        kt_fill_integers(t, v, n, 4);
        uint8_t *u = kt_buffer(t, n, 1);
        for (int64_t i = 0; i < n; i++) u[i] = (uint8_t)(v[i / 4] >> i % 4 * 8);
        kt_protect(t);
        uint8_t *a = kt_buffer(t, n, 1);
        int8_t *b = kt_buffer(t, n, 1);
        int32_t *c = kt_buffer(t, n, 4);
        int64_t *d = kt_buffer(t, n, 8);
        float *e = kt_buffer(t, n, 4), *f = kt_buffer(t, n, 4), *g = kt_buffer(t, n, 4);
        t->k->f32_to_u8(a, x, n);
        t->k->f32_to_i8(b, x, n);
        t->k->f32_to_i32(c, x, n);
        t->k->f32_to_i64(d, x, n);
        t->k->u8_to_f32(e, u, n);
        t->k->i8_to_f32(f, (int8_t *)u, n);
        t->k->i32_to_f32(g, v, n);
        kt_check(t, a, n, 1);
        kt_check(t, b, n, 1);
        kt_check(t, c, n, 4);
        kt_check(t, d, n, 8);
        kt_check_f32(t, e, n);
        kt_check_f32(t, f, n);
        kt_check_f32(t, g, n);
        for (int64_t i = 0; i < n; i++) {
            double w = x[i] == x[i] ? (double)x[i] : 0;
            double u8 = w < 0 ? 0 : w > 255 ? 255 : w, i8 = w < -128 ? -128 : w > 127 ? 127 : w;
            double i32 = w < -0x1p31 ? -0x1p31 : w > 0x1p31 - 1 ? 0x1p31 - 1 : w;
            int64_t i64 = w >= 0x1p63 ? INT64_MAX : w < -0x1p63 ? INT64_MIN : (int64_t)w;
            if (a[i] != (uint8_t)u8 || b[i] != (int8_t)i8 || c[i] != (int32_t)i32 || d[i] != i64)
                kt_fail(t, "%a became %d %d %d %lld", (double)x[i], a[i], b[i], c[i],
                        (long long)d[i]);
        }
    }
}

/* ---- quantisation */

static int exact(float v, int zero, int lo, int hi) {
    double w = v != v ? 0 : v < -1e6f ? -1e6 : v > 1e6f ? 1e6 : (double)v;
    int q = (int)w; /* truncated; |w - q| < 1 is exact */
    double rest = w - q;
    if (rest > 0.5 || (rest == 0.5 && q % 2 != 0)) q++;
    if (rest < -0.5 || (rest == -0.5 && q % 2 != 0)) q--;
    return q + zero < lo ? lo : q + zero > hi ? hi : q + zero;
}

/* Quotients at halfway between two integers, and some units in the last place around: a product
 * with the reciprocal of the scale may round to the wrong side. */
static void quantize_halfway(struct kt *t) {
    enum { N = 511 * 9 };
    for (int i = 0; i < (t->quick ? 60 : 2000); i++) {
        float scale, *x = kt_buffer(t, N, 4);
        kt_fill_f32(t, &scale, 1, KT_FINITE);
        if (i % 4) scale = (float)kt_range(t, 1, 1 << 24) * 0x1p-20f;
        kt_step(t, "scale %a", (double)scale);
        for (int64_t l = 0; l < N; l++) {
            uint32_t bits;
            float half = ((float)(l / 9 - 255) + 0.5f) * scale;
            memcpy(&bits, &half, 4);
            bits += (uint32_t)(l % 9 - 4);
            memcpy(&x[l], &bits, 4);
        }
        kt_protect(t);
        uint8_t *a = kt_buffer(t, N, 1);
        int8_t *b = kt_buffer(t, N, 1);
        t->k->quantize_f32_u8(a, x, N, scale, 128);
        t->k->quantize_f32_i8(b, x, N, scale, -3);
        kt_check(t, a, N, 1);
        kt_check(t, b, N, 1);
    }
}

static void quantize(struct kt *t) {
    for (int64_t n = 0; n < 3000; n = n < 70 ? n + 1 : n * 9) {
        kt_step(t, "n=%d", (int)n);
        float *x = kt_f32(t, n, n % 2 ? KT_BITS : KT_SPECIAL), scale = n % 3 ? 0.5f : 0.1f;
        for (int64_t i = 0; i < n; i += 2) x[i] = (float)kt_range(t, -700, 700) / 4;
        kt_protect(t);
        uint8_t *a = kt_buffer(t, n, 1);
        int8_t *b = kt_buffer(t, n, 1);
        float *c = kt_buffer(t, n, 4), *d = kt_buffer(t, n, 4);
        int za = (int)(n % 256), zb = (int)(n % 256) - 128;
        t->k->quantize_f32_u8(a, x, n, scale, za);
        t->k->quantize_f32_i8(b, x, n, scale, zb);
        t->k->dequantize_u8_f32(c, a, n, scale, za);
        t->k->dequantize_i8_f32(d, b, n, scale, zb);
        kt_check(t, a, n, 1);
        kt_check(t, b, n, 1);
        kt_check_f32(t, c, n);
        kt_check_f32(t, d, n);
        for (int64_t i = 0; i < n; i++) {
            float v = x[i] / scale;
            if (a[i] != exact(v, za, 0, 255) || b[i] != exact(v, zb, -128, 127))
                kt_fail(t, "%a became %d %d", (double)v, a[i], b[i]);
            expect(t, c[i], (float)(a[i] - za) * scale);
            expect(t, d[i], (float)(b[i] - zb) * scale);
        }
    }
}

static void requantize(struct kt *t) {
    for (int64_t n = 0; n < 70; n++)
        for (int64_t step = 0; step < 2; step++) {
            kt_step(t, "n=%d m_step=%d", (int)n, (int)step);
            int64_t rows = n % 4, ld = n + 3, count = rows ? (rows - 1) * ld + n : 0;
            int32_t *acc = kt_buffer(t, count, 4);
            for (int64_t i = 0; i < count; i++) acc[i] = (int32_t)kt_range(t, -90000, 90000);
            if (count > 5) kt_fill_integers(t, acc, 5, 4);
            float *m = kt_buffer(t, step ? n : 1, 4);
            for (int64_t i = 0; i < (step ? n : 1); i++)
                m[i] = (float)kt_range(t, 1, 64) * 0x1p-14f;
            kt_protect(t);
            uint8_t *y = kt_buffer(t, count, 1);
            int8_t *z = kt_buffer(t, count, 1);
            struct fzk_requantize g = {.rows = rows, .n = n, .acc = acc, .ldacc = ld, .y = y,
                                       .ldy = ld, .m = m, .m_step = step, .zero = 77};
            t->k->requantize_u8(&g);
            g.y = z;
            g.zero = -5;
            t->k->requantize_i8(&g);
            kt_check(t, y, count, 1);
            kt_check(t, z, count, 1);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < n; j++) {
                    float v = (float)acc[i * ld + j] * m[j * step];
                    if (y[i * ld + j] != exact(v, 77, 0, 255) ||
                        z[i * ld + j] != exact(v, -5, -128, 127))
                        kt_fail(t, "%a became %d %d", (double)v, y[i * ld + j], z[i * ld + j]);
                }
        }
}

/* Every half around zero, each once to an even and once to an odd number; and what is no number. */
static void requantize_ties(struct kt *t) {
    static const struct { float m; uint8_t u8; int8_t i8; } special[] = {
        {NAN_, 128, 3}, {-NAN_, 128, 3}, {INF, 255, 127}, {-INF, 0, -128}, {0, 128, 3},
        {-0.0f, 128, 3}, {3e38f, 255, 127}, {0x1p-149f, 128, 3}};
    for (int zero = 0; zero < 2; zero++) {
        kt_step(t, "zero=%d", zero);
        int64_t n = 1201;
        int32_t *acc = kt_buffer(t, n, 4);
        float *m = kt_buffer(t, 1, 4);
        *m = 0.5f;
        for (int64_t i = 0; i < n; i++) acc[i] = (int32_t)i - 600;
        kt_protect(t);
        uint8_t *y = kt_buffer(t, n, 1);
        int8_t *z = kt_buffer(t, n, 1);
        struct fzk_requantize g = {.rows = 1, .n = n, .acc = acc, .ldacc = n, .y = y, .ldy = n,
                                   .m = m, .zero = 127 + zero};
        t->k->requantize_u8(&g);
        g.y = z;
        g.zero = zero;
        t->k->requantize_i8(&g);
        for (int64_t i = 0; i < n; i++) {
            float v = (float)acc[i] * 0.5f;
            if (y[i] != exact(v, 127 + zero, 0, 255) || z[i] != exact(v, zero, -128, 127))
                kt_fail(t, "%a became %d %d", (double)v, y[i], z[i]);
        }
        kt_check(t, y, n, 1);
        kt_check(t, z, n, 1);
    }
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        kt_step(t, "m=%a", (double)special[i].m);
        int32_t acc[20];
        uint8_t y[20];
        int8_t z[20];
        for (int j = 0; j < 20; j++) acc[j] = 7;
        struct fzk_requantize g = {.rows = 1, .n = 20, .acc = acc, .y = y, .m = &special[i].m,
                                   .zero = 128};
        t->k->requantize_u8(&g);
        g.y = z;
        g.zero = 3;
        t->k->requantize_i8(&g);
        for (int j = 0; j < 20; j++)
            if (y[j] != special[i].u8 || z[j] != special[i].i8)
                kt_fail(t, "became %d %d", y[j], z[j]);
    }
}

static void transpose(struct kt *t) {
    static const int64_t sizes[] = {0, 1, 3, 15, 16, 17, 40, 65};
    enum { N = sizeof sizes / sizeof sizes[0] };
    for (int32_t width = 1; width <= 8; width *= 2)
        for (int i = 0; i < N * N; i++) {
            int64_t rows = sizes[i / N], cols = sizes[i % N];
            int64_t ldx = cols + i % 3, ldy = rows + i % 2;
            kt_step(t, "width=%d rows=%d cols=%d", width, (int)rows, (int)cols);
            int64_t n_x = rows ? (rows - 1) * ldx + cols : 0;
            int64_t n_y = cols ? (cols - 1) * ldy + rows : 0;
            uint8_t *x = kt_buffer(t, n_x, (size_t)width);
            kt_fill_integers(t, x, n_x, (size_t)width);
            kt_protect(t);
            uint8_t *y = kt_buffer(t, n_y, (size_t)width);
            t->k->transpose_2d(width, y, x, rows, cols, ldx, ldy);
            kt_check(t, y, n_y, (size_t)width);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < cols; c++)
                    if (memcmp(y + (c * ldy + r) * width, x + (r * ldx + c) * width, (size_t)width))
                        kt_fail(t, "element %d, %d", (int)r, (int)c);
        }
}

/* Any table: each result is what the conversions and one look give. */
static void half_tables(struct kt *t) {
    uint16_t *table = kt_buffer(t, 65536, 2), h;
    for (int i = 0; i < 65536; i++) table[i] = (uint16_t)kt_range(t, 0, 65535);
    for (int64_t n = 0; n <= 5000; n += n > 70 ? 2450 : 1)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            kt_step(t, "n=%d bf16=%d", (int)n, bf16);
            float *x = kt_f32(t, n, n & 1 ? KT_SPECIAL : KT_BITS), z;
            kt_protect(t);
            struct fzk_half_table q = {.n = n, .x = x, .y = kt_buffer(t, n, 4), .table = table,
                                       .bf16 = bf16};
            t->k->half_table_f32(&q);
            kt_check_f32(t, q.y, n);
            for (int64_t i = 0; i < n; i++) {
                (bf16 ? t->k->f32_to_bf16 : t->k->f32_to_f16)(&h, &x[i], 1);
                (bf16 ? t->k->bf16_to_f32 : t->k->f16_to_f32)(&z, &table[h], 1);
                expect(t, q.y[i], z);
            }
        }
}

/* ---- benchmarks: 4,096 elements, or rows of 1,024 */

struct bench {
    float *x, *y;
    void *z;
};
enum { N = 4096 };
#define CALL(name, ...)                                                                            \
    static void call_##name(const struct fzk_table *k, void *arg) {                                \
        struct bench *b = arg;                                                                     \
        k->__VA_ARGS__;                                                                            \
    }
CALL(sum, reduce_f32(FZK_REDUCE_SUM, b->y, b->x, 4, 1024, 1))
CALL(sum_columns, reduce_f32(FZK_REDUCE_SUM, b->y, b->x, 1, 64, 64))
CALL(max, reduce_f32(FZK_REDUCE_MAX, b->y, b->x, 4, 1024, 1))
CALL(minmax, minmax_f32(b->y, b->x, N))
CALL(softmax, softmax_f32(b->y, b->x, 4, 1024))
CALL(logsoftmax, logsoftmax_f32(b->y, b->x, 4, 1024))
CALL(norm, norm_f32(&(struct fzk_norm_f32){.rows = 4, .n = 1024, .x = b->x, .y = b->y}))
CALL(norm_half, norm_half_f32(&(struct fzk_norm_half_f32){.rows = 4, .n = 1024, .x = b->x,
     .y = b->y, .gain = b->x, .bias = b->x, .round = FZK_ROUND_F16}))
CALL(f16_to_f32, f16_to_f32(b->y, b->z, N))
CALL(f32_to_f16, f32_to_f16(b->z, b->x, N))
CALL(half_table, half_table_f32(&(struct fzk_half_table){.n = N, .x = b->x, .y = b->y,
     .table = b->z}))
CALL(f32_to_bf16, f32_to_bf16(b->z, b->x, N))
CALL(bf16_to_f32, bf16_to_f32(b->y, b->z, N))
CALL(f32_to_u8, f32_to_u8(b->z, b->x, N))
CALL(f32_to_i32, f32_to_i32(b->z, b->x, N))
CALL(f32_to_i64, f32_to_i64(b->z, b->x, N))
CALL(f32_to_f8, f32_to_f8(FZK_F8E4M3FN, 1, b->z, b->x, N))
CALL(quantize, quantize_f32_u8(b->z, b->x, N, 0.01f, 128))
CALL(dequantize, dequantize_u8_f32(b->y, b->z, N, 0.01f, 128))
CALL(requantize, requantize_u8(&(struct fzk_requantize){.rows = 4, .n = 1024, .acc = (void *)b->x,
     .ldacc = 1024, .y = b->z, .ldy = 1024, .m = b->y, .m_step = 1, .zero = 3}))
CALL(transpose_4, transpose_2d(4, b->y, b->x, 64, 64, 64, 64))
CALL(transpose_1, transpose_2d(1, b->y, b->x, 64, 64, 64, 64))

static void rows_bench(struct kt *t) {
    static const struct {
        const char *name;
        void (*call)(const struct fzk_table *, void *);
    } rows[] = {
        {"sum", call_sum}, {"sum of columns", call_sum_columns}, {"max", call_max},
        {"minmax", call_minmax}, {"softmax", call_softmax}, {"logsoftmax", call_logsoftmax},
        {"norm", call_norm}, {"norm of halves", call_norm_half},
        {"f16_to_f32", call_f16_to_f32}, {"f32_to_f16", call_f32_to_f16},
        {"table of halves", call_half_table},
        {"f32_to_bf16", call_f32_to_bf16}, {"bf16_to_f32", call_bf16_to_f32},
        {"f32_to_u8", call_f32_to_u8}, {"f32_to_i32", call_f32_to_i32},
        {"f32_to_i64", call_f32_to_i64}, {"f32_to_f8", call_f32_to_f8}, {"quantize", call_quantize},
        {"dequantize", call_dequantize}, {"requantize", call_requantize},
        {"transpose 4 bytes", call_transpose_4}, {"transpose 1 byte", call_transpose_1}};
    struct bench b = {kt_f32(t, N, KT_UNIFORM), kt_buffer(t, N, 4), kt_buffer(t, 65536, 2)};
    memset(b.y, 0, N * 4);
    memset(b.z, 0, 65536 * 2);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        kt_bench(t, N, rows[i].call, &b, "%s", rows[i].name);
}

const struct kt_case math_rows_cases[] = {
    {"reduce_f32/shapes", KT_KERNEL(reduce_f32), reduce_shapes, rows_bench},
    {"reduce_f32/known", KT_KERNEL(reduce_f32), reduce_known, NULL},
    {"minmax_f32/lengths", KT_KERNEL(minmax_f32), minmax, NULL},
    {"softmax_f32/rows", KT_KERNEL(softmax_f32), softmax, NULL,
     {KT_KERNEL(logsoftmax_f32)}},
    {"softmax_f32/infinite", KT_KERNEL(softmax_f32), softmax_infinite, NULL},
    {"norm_f32/rows", KT_KERNEL(norm_f32), norm, NULL},
    {"half_table_f32/lengths", KT_KERNEL(half_table_f32), half_tables, NULL,
     {KT_KERNEL(f32_to_f16), KT_KERNEL(f16_to_f32), KT_KERNEL(f32_to_bf16),
      KT_KERNEL(bf16_to_f32)}},
    {"norm_half_f32/rows", KT_KERNEL(norm_half_f32), norm_half, NULL,
     {KT_KERNEL(reduce_f32), KT_KERNEL(binary_f32), KT_KERNEL(unary_f32), KT_KERNEL(finish_f32)}},
    {"f16_to_f32/halves", KT_KERNEL(f16_to_f32), halves, NULL,
     {KT_KERNEL(bf16_to_f32), KT_KERNEL(f32_to_f16), KT_KERNEL(f32_to_bf16)}},
    {"f32_to_f16/bits", KT_KERNEL(f32_to_f16), half_bits, NULL,
     {KT_KERNEL(f32_to_bf16)}},
    {"f32_to_f8/known", KT_KERNEL(f32_to_f8), small_floats, NULL,
     {KT_KERNEL(f8_to_f32)}},
    {"f32_to_e8m0/known", KT_KERNEL(f32_to_e8m0), e8m0, NULL,
     {KT_KERNEL(e8m0_to_f32)}},
    {"f32_to_i32/integers", KT_KERNEL(f32_to_i32), integers, NULL,
     {KT_KERNEL(f32_to_u8), KT_KERNEL(f32_to_i8), KT_KERNEL(f32_to_i64), KT_KERNEL(u8_to_f32),
      KT_KERNEL(i8_to_f32), KT_KERNEL(i32_to_f32)}},
    {"quantize_f32_u8/lengths", KT_KERNEL(quantize_f32_u8), quantize, NULL,
     {KT_KERNEL(quantize_f32_i8), KT_KERNEL(dequantize_u8_f32), KT_KERNEL(dequantize_i8_f32)}},
    {"quantize_f32_u8/halfway", KT_KERNEL(quantize_f32_u8), quantize_halfway, NULL,
     {KT_KERNEL(quantize_f32_i8)}},
    {"requantize_u8/rows", KT_KERNEL(requantize_u8), requantize, NULL,
     {KT_KERNEL(requantize_i8)}},
    {"requantize_u8/ties", KT_KERNEL(requantize_u8), requantize_ties, NULL,
     {KT_KERNEL(requantize_i8)}},
    {"transpose_2d/sizes", KT_KERNEL(transpose_2d), transpose, NULL},
    {0}};
