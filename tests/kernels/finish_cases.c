/* Cases of what is rounded to half precision on its way out. */
#include "harness.h"
#include "kernel.h"

/* Every combination of types and stages is one of these. */
enum { ROUNDINGS = 24 };
static int64_t rounding(int i) {
    return (i % 3) | (i % 3 ? (int64_t)(i / 3 % 8) * FZK_ROUND_SUM : 0);
}

/* X through the type of ROUND, by the conversions. */
static float through(struct kt *t, float x, int64_t round) {
    uint16_t h;
    float y = x;
    if ((round & FZK_ROUND_TYPE) == FZK_ROUND_F16) {
        t->k->f32_to_f16(&h, &x, 1);
        t->k->f16_to_f32(&y, &h, 1);
    } else if ((round & FZK_ROUND_TYPE) == FZK_ROUND_BF16) {
        t->k->f32_to_bf16(&h, &x, 1);
        t->k->bf16_to_f32(&y, &h, 1);
    }
    return y;
}

/* What stands at (I, J) instead of X. */
static float oracle(struct kt *t, const struct fzk_finish_f32 *f, float x, int64_t i, int64_t j) {
    if (f->round & FZK_ROUND_SUM) x = through(t, x, f->round);
    if (f->bias) x += f->bias[j];
    if (f->round & FZK_ROUND_BIAS) x = through(t, x, f->round);
    if (f->residual) x += f->residual[i * f->ldr + j];
    if (f->round & FZK_ROUND_RESIDUAL) x = through(t, x, f->round);
    if (!f->clip) return x;
    x = f->lo > x ? f->lo : x;
    return f->hi < x ? f->hi : x;
}

static void finish(struct kt *t, int64_t m, int64_t n, int flags, enum kt_values values) {
    kt_step(t, "m=%d n=%d flags=%d values=%d", (int)m, (int)n, flags, (int)values);
    struct fzk_finish_f32 f = {.m = m, .n = n, .ldc = n + 5, .ldr = n + 2, .clip = flags & 1,
                               .lo = -0.5f, .hi = 6, .round = rounding(flags / 8)};
    f.bias = flags & 2 ? kt_f32(t, n, values) : NULL;
    f.residual = flags & 4 ? kt_f32(t, m ? (m - 1) * f.ldr + n : 0, values) : NULL;
    int64_t n_c = m ? (m - 1) * f.ldc + n : 0;
    float *before = kt_f32(t, n_c, values);
    kt_protect(t);
    f.c = kt_buffer(t, n_c, 4);
    for (int64_t i = 0; i < m * n; i++)
        f.c[i / n * f.ldc + i % n] = before[i / n * f.ldc + i % n];
    t->k->finish_f32(&f);
    kt_check_f32(t, f.c, n_c);
    for (int64_t i = 0; t->baseline && i < m * n; i++) {
        int64_t at = i / n * f.ldc + i % n;
        float want = oracle(t, &f, before[at], i / n, i % n);
        if (fzk_bits(f.c[at]) != fzk_bits(want) && (f.c[at] == f.c[at] || want == want))
            kt_fail(t, "%08x instead of %08x", fzk_bits(f.c[at]), fzk_bits(want));
    }
}

static void shapes(struct kt *t) {
    static const int64_t ns[] = {0, 1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 100};
    int flags = 0;
    for (int64_t m = 0; m < 4; m++)
        for (size_t j = 0; j < sizeof ns / sizeof ns[0]; j++)
            for (int i = 0; i < (t->quick ? 5 : 29); i++, flags += 5)
                finish(t, m, ns[j], flags % (8 * ROUNDINGS), (enum kt_values)(i % KT_CLASSES));
}

/* One row of any bits, long enough for every loop. */
static void bits(struct kt *t) {
    for (int i = 0; i < (t->quick ? 4 : 64); i++) {
        kt_step(t, "i=%d", i);
        enum { N = 4096 };
        float *x = kt_f32(t, N, i & 2 ? KT_BITS : KT_UNIFORM);
        kt_protect(t);
        struct fzk_finish_f32 f = {.m = 1, .n = N, .c = kt_buffer(t, N, 4),
                                   .round = FZK_ROUND_SUM | (1 + (i & 1))};
        memcpy(f.c, x, N * sizeof *x);
        t->k->finish_f32(&f);
        kt_check_f32(t, f.c, N);
        for (int j = 0; t->baseline && j < N; j++)
            if (fzk_bits(f.c[j]) != fzk_bits(through(t, x[j], f.round)))
                kt_fail(t, "%08x for %08x", fzk_bits(f.c[j]), fzk_bits(x[j]));
    }
}

/* Ties, the largest number and what overflows, subnormal numbers, NaN. */
static void known(struct kt *t) {
    static const struct {
        float x, f16;
    } table[] = {{0x1.002p0f, 1}, {0x1.006p0f, 0x1.008p0f}, {0x1.ffcp15f, 0x1.ffcp15f},
                 {0x1.ffdffep15f, 0x1.ffcp15f}, {0x1.ffep15f, __builtin_inff()},
                 {-0x1.ffep15f, -__builtin_inff()}, {0x1p-24f, 0x1p-24f}, {0x1p-25f, 0},
                 {-0x1p-25f, -0.0f}, {0x1.000002p-25f, 0x1p-24f}, {0x1.8p-24f, 0x1p-23f},
                 {-__builtin_inff(), -__builtin_inff()}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        float x = table[i].x;
        kt_step(t, "%a", (double)x);
        t->k->finish_f32(&(struct fzk_finish_f32){.m = 1, .n = 1, .c = &x,
                                                  .round = FZK_ROUND_F16 | FZK_ROUND_SUM});
        if (fzk_bits(x) != fzk_bits(table[i].f16)) kt_fail(t, "%a", (double)x);
    }
    float nan = fzk_float(0xFFC12345);
    t->k->finish_f32(&(struct fzk_finish_f32){.m = 1, .n = 1, .c = &nan,
                                              .round = FZK_ROUND_F16 | FZK_ROUND_SUM});
    if (fzk_bits(nan) != 0x7FC00000) kt_fail(t, "NaN %08x", fzk_bits(nan));
}

/* A kernel that rounds gives what its bare sums and finish_f32 give. */
static void compare(struct kt *t, const float *got, struct fzk_finish_f32 *f) {
    t->k->finish_f32(f);
    for (int64_t i = 0; i < f->m * f->n; i++) {
        int64_t at = i / f->n * f->ldc + i % f->n;
        bool nan = got[at] != got[at] && f->c[at] != f->c[at];
        if (!nan && memcmp(&got[at], &f->c[at], 4) != 0)
            kt_fail(t, "%08x instead of %08x", fzk_bits(got[at]), fzk_bits(f->c[at]));
    }
}

static float *panels(struct kt *t, int64_t n, int64_t taps) {
    float *p = kt_f32(t, (n + FZK_PANEL - 1) / FZK_PANEL * taps * FZK_PANEL, KT_SPECIAL);
    for (int64_t c = n; c % FZK_PANEL; c++)
        for (int64_t i = 0; i < taps; i++)
            p[(c / FZK_PANEL * taps + i) * FZK_PANEL + c % FZK_PANEL] = 0;
    return p;
}

static void gemm(struct kt *t, int64_t m, int64_t n, int64_t k, int flags) {
    kt_step(t, "m=%d n=%d k=%d flags=%d", (int)m, (int)n, (int)k, flags);
    struct fzk_segment segment = {.off = 0, .len = k};
    struct fzk_gemm_f32 g = {.m = m, .n = n, .k = k, .lda = k, .ldc = n, .ldr = n,
                             .segments = &segment, .n_segments = 1, .clip = flags & 1, .lo = 0,
                             .hi = 6, .round = rounding(flags / 8)};
    g.a = kt_f32(t, m * k, flags & 64 ? KT_SPECIAL : KT_UNIFORM);
    g.b = panels(t, n, k);
    g.bias = flags & 2 ? kt_f32(t, n, KT_UNIFORM) : NULL;
    g.residual = flags & 4 ? kt_f32(t, m * n, KT_UNIFORM) : NULL;
    kt_protect(t);
    float *got = g.c = kt_buffer(t, m * n, 4);
    t->k->gemm_f32(&g);
    kt_check_f32(t, got, m * n);
    struct fzk_finish_f32 f = {.m = m, .n = n, .ldc = n, .bias = g.bias, .residual = g.residual,
                               .ldr = n, .clip = g.clip, .hi = 6, .round = g.round};
    g.bias = g.residual = NULL;
    g.clip = g.round = 0;
    f.c = g.c = kt_buffer(t, m * n, 4);
    t->k->gemm_f32(&g);
    compare(t, got, &f);
}

static void gemms(struct kt *t) {
    static const int64_t ns[] = {1, 16, 24, 32, 33, 96, 260}, ks[] = {3, 256, 300};
    for (int i = 0; i < (t->quick ? 40 : 8 * ROUNDINGS); i++)
        gemm(t, 1 + i * 5 % 30, ns[i % 7], ks[i % 3], i * (t->quick ? 5 : 1));
    gemm(t, 16, 38, 6400, 15); /* a panel is cut into parts */
    gemm(t, 16, 38, 6400, 8 * 23 + 7);
}

static void depthwise(struct kt *t, int64_t n, int64_t width, int64_t kernel, int flags) {
    kt_step(t, "c=%d width=%d kernel=%d flags=%d", (int)n, (int)width, (int)kernel, flags);
    int64_t in_w = width + kernel - 1, rows = 3;
    struct fzk_dwconv_f32 d = {
        .in_pixel = n, .in_row = in_w * n, .out_pixel = n, .out_row = width * n, .channels = n,
        .width = width, .row_end = rows, .kernel_h = kernel, .kernel_w = kernel, .stride_h = 1,
        .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .clip = flags & 1, .hi = 6,
        .round = rounding(flags / 8)};
    d.in = kt_f32(t, (rows + kernel - 1) * in_w * n, KT_UNIFORM);
    d.weights = panels(t, n, kernel * kernel);
    d.bias = flags & 2 ? kt_f32(t, n, KT_UNIFORM) : NULL;
    kt_protect(t);
    float *got = d.out = kt_buffer(t, rows * width * n, 4);
    t->k->dwconv_f32(&d);
    kt_check_f32(t, got, rows * width * n);
    struct fzk_finish_f32 f = {.m = rows * width, .n = n, .ldc = n, .bias = d.bias,
                               .clip = d.clip, .hi = 6, .round = d.round};
    d.bias = NULL;
    d.clip = d.round = 0;
    f.c = d.out = kt_buffer(t, rows * width * n, 4);
    t->k->dwconv_f32(&d);
    compare(t, got, &f);
}

static void depthwises(struct kt *t) {
    static const int64_t ns[] = {1, 16, 24, 33, 70};
    for (int i = 0; i < (t->quick ? 30 : 8 * ROUNDINGS); i++)
        depthwise(t, ns[i % 5], 1 + i % 17, i % 3 ? 3 : 4, i * (t->quick ? 7 : 1));
}

static void winograd(struct kt *t, int64_t size, int64_t n, int flags) {
    kt_step(t, "size=%d c=%d flags=%d", (int)size, (int)n, flags);
    int64_t tiles_x = (size + 1) / 2, tiles = tiles_x * tiles_x, n_out = size * size * n;
    struct fzk_winograd_output_f32 w = {
        .m_row = n, .m_matrix = tiles * n, .residual_row = size * n, .residual_pixel = n,
        .out_row = size * n, .out_pixel = n, .height = size, .width = size, .channels = n,
        .tiles_x = tiles_x, .tile_end = tiles, .clip = flags & 1, .hi = 6,
        .round = rounding(flags / 8)};
    w.m = kt_f32(t, 16 * tiles * n, KT_SPECIAL);
    w.bias = flags & 2 ? kt_f32(t, n, KT_UNIFORM) : NULL;
    w.residual = flags & 4 ? kt_f32(t, n_out, KT_UNIFORM) : NULL;
    kt_protect(t);
    float *got = w.out = kt_buffer(t, n_out, 4);
    t->k->winograd_output_f32(&w);
    kt_check_f32(t, got, n_out);
    struct fzk_finish_f32 f = {.m = size * size, .n = n, .ldc = n, .bias = w.bias, .ldr = n,
                               .residual = w.residual, .clip = w.clip, .hi = 6, .round = w.round};
    w.bias = w.residual = NULL;
    w.clip = w.round = 0;
    f.c = w.out = kt_buffer(t, n_out, 4);
    t->k->winograd_output_f32(&w);
    compare(t, got, &f);
}

static void winograds(struct kt *t) {
    static const int64_t ns[] = {1, 16, 24, 33, 70};
    for (int i = 0; i < (t->quick ? 30 : 8 * ROUNDINGS); i++)
        winograd(t, 1 + i % 6, ns[i % 5], i * (t->quick ? 7 : 1));
}

static void call(const struct fzk_table *k, void *arg) { k->finish_f32(arg); }

static void bench(struct kt *t) {
    for (int flags = 0; flags < 4; flags++) {
        struct fzk_finish_f32 f = {.m = 64, .n = 96, .ldc = 96, .clip = 1, .hi = 6,
                                   .round = FZK_ROUND_F16 | FZK_ROUND_BIAS, .ldr = 96};
        f.bias = kt_f32(t, f.n, KT_UNIFORM);
        if (flags & 1) f.residual = kt_f32(t, f.m * f.n, KT_UNIFORM), f.round |= FZK_ROUND_RESIDUAL;
        if (flags & 2) f.round ^= FZK_ROUND_TYPE;
        f.c = kt_f32(t, f.m * f.n, KT_UNIFORM);
        kt_bench(t, (double)(f.m * f.n), call, &f, "64 x 96, round %d, elements", (int)f.round);
    }
}

#define CONVERSIONS                                                                                \
    KT_KERNEL(f32_to_f16), KT_KERNEL(f16_to_f32), KT_KERNEL(f32_to_bf16), KT_KERNEL(bf16_to_f32)

const struct kt_case finish_cases[] = {
    {"finish_f32/shapes", KT_KERNEL(finish_f32), shapes, bench, {CONVERSIONS}},
    {"finish_f32/bits", KT_KERNEL(finish_f32), bits, NULL, {CONVERSIONS}},
    {"finish_f32/known", KT_KERNEL(finish_f32), known, NULL, {0}},
    {"gemm_f32/rounded", KT_KERNEL(gemm_f32), gemms, NULL, {KT_KERNEL(finish_f32)}},
    {"dwconv_f32/rounded", KT_KERNEL(dwconv_f32), depthwises, NULL, {KT_KERNEL(finish_f32)}},
    {"winograd_output_f32/rounded", KT_KERNEL(winograd_output_f32), winograds, NULL,
     {KT_KERNEL(finish_f32)}},
    {0}};
