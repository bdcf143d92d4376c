/* Cases of the float GEMM. */
#include "harness.h"
#include "kernel.h"

/* Element (I, J) by the rule, in plain scalars. RESIDUAL is what stood there before. */
static float oracle(const struct fzk_gemm_f32 *g, int64_t i, int64_t j, float residual) {
    int64_t run = g->run ? g->run : g->m, k = 0;
    const float *a = g->a + i / run * g->run_stride + i % run * g->lda;
    const float *b = g->b + j / FZK_PANEL * FZK_PANEL * g->k + j % FZK_PANEL;
    float s = 0, y = 0;
    for (int64_t t = 0; t < g->n_segments; t++)
        for (int64_t l = 0; l < g->segments[t].len; l++, k++) {
            if (k % FZK_K_BLOCK == 0 && k) {
                y = k == FZK_K_BLOCK ? s : y + s;
                s = 0;
            }
            s = fzk_fma(a[g->segments[t].off + l], b[k * FZK_PANEL], s);
        }
    y = k > FZK_K_BLOCK ? y + s : s;
    if (g->bias) y += g->bias[j];
    if (g->residual) y += residual;
    if (!g->clip) return y;
    y = g->lo > y ? g->lo : y;
    return g->hi < y ? g->hi : y;
}

/* On the baseline: C against the oracle. BEFORE: what C held, if residual is C itself. */
static void compare(struct kt *t, const struct fzk_gemm_f32 *g, const float *before) {
    const float *residual = before ? before : g->residual;
    for (int64_t n = 0; t->baseline && n < g->m * g->n; n++) {
        int64_t i = n / g->n, j = n % g->n;
        float want = oracle(g, i, j, residual ? residual[i * g->ldr + j] : 0);
        float got = g->c[i * g->ldc + j];
        if (fzk_bits(got) != fzk_bits(want) && (got == got || want == want))
            kt_fail(t, "c[%d][%d] is %08x instead of %08x", (int)i, (int)j, fzk_bits(got),
                    fzk_bits(want));
    }
}

/* M x N x K, one segment, with everything of the epilogue that FLAGS asks for. */
static void product(struct kt *t, int64_t m, int64_t n, int64_t k, int flags,
                    enum kt_values values) {
    kt_step(t, "m=%d n=%d k=%d flags=%d values=%d", (int)m, (int)n, (int)k, flags, (int)values);
    int64_t pad = flags >> 3 & 1;
    struct fzk_segment segment = {.off = 0, .len = k};
    struct fzk_gemm_f32 g = {.m = m, .n = n, .k = k, .lda = k + 3 * pad, .ldc = n + 5 * pad,
                             .ldr = n + 2 * pad, .segments = &segment, .n_segments = 1};
    g.a = kt_f32(t, m ? (m - 1) * g.lda + k : 0, values);
    int64_t panels = (n + FZK_PANEL - 1) / FZK_PANEL;
    float *b = kt_f32(t, panels * k * FZK_PANEL, values);
    for (int64_t p = 0; p < panels; p++)
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = n - p * FZK_PANEL; j < FZK_PANEL; j++)
                b[(p * k + i) * FZK_PANEL + j] = 0;
    g.b = b;
    g.bias = flags & 1 ? kt_f32(t, n, values) : NULL;
    g.residual = flags & 2 ? kt_f32(t, m ? (m - 1) * g.ldr + n : 0, values) : NULL;
    g.clip = flags >> 2 & 1;
    g.down = flags >> 4 & 1;
    g.lo = 0;
    g.hi = 6;
    kt_protect(t);
    int64_t n_c = m ? (m - 1) * g.ldc + n : 0;
    g.c = kt_buffer(t, n_c, 4);
    t->k->gemm_f32(&g);
    kt_check_f32(t, g.c, n_c);
    compare(t, &g, NULL);
}

static void shapes(struct kt *t) {
    static const int64_t ms[] = {0, 1, 2, 3, 5, 6, 7, 13, 14, 15, 29, 49};
    static const int64_t ns[] = {0, 1, 15, 16, 17, 31, 32, 33, 64, 100, 129};
    static const int64_t ks[] = {0, 1, 2, 9, 255, 256, 257, 600};
    for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
        for (size_t j = 0; j < sizeof ns / sizeof ns[0]; j += t->brief ? 3 : 1)
            for (size_t l = 0; l < sizeof ks / sizeof ks[0]; l += t->quick ? 3 : 1)
                product(t, ms[i], ns[j], ks[l], (int)(i + j + l) & 15,
                        (i + j + l) % 3 ? KT_WIDE : KT_SPECIAL);
}

/* Few rows, by panels upwards and downwards, few and many. */
static void skinny(struct kt *t) {
    for (int64_t m = 1; m <= 5; m++)
        for (int64_t n = 20; n <= 400; n += 76)
            for (int flags = 0; flags < 32; flags += 16) {
                product(t, m, n, 12, flags + (int)m, KT_WIDE);
                if (!t->brief || n == 400) product(t, m, n, 400, flags + (int)m, KT_FINITE);
            }
}

/* A convolution over a padded NHWC image: OH runs of OW rows, a segment for every kernel row or, if
 * dilated, for every tap. */
static void conv(struct kt *t, int64_t oh, int64_t ow, int64_t channels, int64_t kernel,
                 int64_t stride, int64_t dilation, int64_t n) {
    kt_step(t, "oh=%d ow=%d c=%d kernel=%d stride=%d dilation=%d n=%d", (int)oh, (int)ow,
            (int)channels, (int)kernel, (int)stride, (int)dilation, (int)n);
    int64_t height = (oh - 1) * stride + (kernel - 1) * dilation + 1;
    int64_t width = (ow - 1) * stride + (kernel - 1) * dilation + 1;
    struct fzk_segment segments[64];
    int64_t n_segments = 0;
    for (int64_t y = 0; y < kernel; y++)
        for (int64_t x = 0; x < (dilation > 1 ? kernel : 1); x++)
            segments[n_segments++] = (struct fzk_segment){
                .off = (y * width + x) * dilation * channels,
                .len = dilation > 1 ? channels : kernel * channels};
    int64_t panels = (n + FZK_PANEL - 1) / FZK_PANEL;
    struct fzk_gemm_f32 g = {.m = oh * ow, .n = n, .k = kernel * kernel * channels,
                             .lda = stride * channels, .run = ow,
                             .run_stride = stride * width * channels, .ldc = n, .ldr = n,
                             .segments = segments, .n_segments = n_segments};
    g.a = kt_f32(t, height * width * channels, KT_WIDE);
    g.b = kt_f32(t, panels * g.k * FZK_PANEL, KT_WIDE);
    g.bias = kt_f32(t, n, KT_WIDE);
    float *before = kt_f32(t, g.m * n, KT_WIDE);
    kt_protect(t);
    g.c = kt_buffer(t, g.m * n, 4);
    memcpy(g.c, before, (size_t)(g.m * n) * sizeof *g.c);
    g.residual = ow == 9 ? NULL : g.c; /* in place */
    t->k->gemm_f32(&g);
    kt_check_f32(t, g.c, g.m * n);
    compare(t, &g, g.residual ? before : NULL);
}

static void convs(struct kt *t) {
    static const int64_t ows[] = {1, 2, 3, 4, 7, 10, 14, 15, 28};
    for (size_t i = 0; i < sizeof ows / sizeof ows[0]; i += t->brief ? 4 : 1) {
        conv(t, 3, ows[i], 3, 3, 2, 1, 33);
        conv(t, 2, ows[i], 3, 7, 2, 1, 16);
        conv(t, 4, ows[i], 40, 3, 1, 1, 40);
        conv(t, 3, ows[i], 5, 3, 1, 2, 64);
        conv(t, 3, ows[i], 30, 1, 2, 1, 20);
    }
    conv(t, 2, 9, 350, 3, 1, 1, 40); /* a panel in parts, which end inside of segments */
}

/* Long chains around multiples of the block, with in-place residual and without. */
static void residual(struct kt *t) {
    for (int64_t k = 254; k <= 1026; k += t->quick ? 257 : 64)
        for (int64_t m = 1; m <= 15; m += t->brief ? 7 : 1)
            product(t, m, 40, k, (int)(k + m) & 15, KT_FINITE);
    /* So long that a panel is cut into parts. */
    for (int64_t k = 1535; k <= 6400; k += t->quick ? 2500 : 700)
        for (int64_t m = 7; m <= 16; m += 8) product(t, m, 38, k, (int)(k + m) & 15, KT_UNIFORM);
}

/* fma(A1, B1, A0 * B0), where A0 * B0 is exact, in every element of a 5 x 33 product. */
static void round_once(struct kt *t, const float a[2], const float b[2], float want) {
    enum { M = 5, N = 33 };
    struct fzk_segment segment = {.off = 0, .len = 2};
    struct fzk_gemm_f32 g = {.m = M, .n = N, .k = 2, .lda = 2, .ldc = N, .segments = &segment,
                             .n_segments = 1};
    float *x = kt_buffer(t, M * 2, 4), *y = kt_buffer(t, 2 * 2 * FZK_PANEL, 4);
    for (int i = 0; i < M * 2; i++) x[i] = a[i % 2];
    for (int i = 0; i < 4 * FZK_PANEL; i++) y[i] = b[i / FZK_PANEL % 2];
    g.a = x;
    g.b = y;
    kt_protect(t);
    g.c = kt_buffer(t, M * N, 4);
    t->k->gemm_f32(&g);
    for (int i = 0; i < M * N; i++)
        if (fzk_bits(g.c[i]) != fzk_bits(want))
            kt_fail(t, "%08x instead of %08x", fzk_bits(g.c[i]), fzk_bits(want));
    kt_check_f32(t, g.c, M * N);
}

/* 2^e, also as a subnormal number. */
static float power(int e) {
    return fzk_float(e < -126 ? 1u << (e + 149) : (uint32_t)(e + 127) << 23);
}

/* Sums so close to the middle of two floats that a double cannot tell: rounding twice goes to the
 * even one. Near: an odd c plus a product of half its unit times 1 - u^2, which gives c. Middle: a
 * product that lies in the middle plus a tiny number, which decides. */
static void rounding(struct kt *t) {
    for (int i = 1; i < 64; i += t->quick ? 20 : 2)
        for (int e = -120; e < 120; e += t->quick ? 23 : 5)
            for (int sign = 0; sign < 4; sign++) {
                kt_step(t, "near, i=%d e=%d sign=%d", i, e, sign);
                float u = (float)i * 0x1p-23f, s = sign & 1 ? -1.0f : 1.0f;
                float c = power(e) * (1 + u), half = sign & 2 ? -0.5f : 0.5f;
                int low = (e - 23) / 2;
                float a[2] = {c, power(low) * (1 + u) * half};
                round_once(t, a, (float[]){s, s * power(e - 23 - low) * (1 - u)}, c * s);
                kt_step(t, "middle, i=%d e=%d sign=%d", i, e, sign);
                float v = 1 + (float)i * 0x1p-12f, p = fzk_float(fzk_bits(v * v) & ~0u << 1);
                float tiny = power(e - 60 < -149 ? -149 : e - 60) * (sign & 2 ? -1.0f : 1.0f);
                float down = (double)v * (double)v > (double)p ? p : p - 0x1p-23f;
                float want = power(e) * (sign & 2 ? down : down + 0x1p-23f);
                round_once(t, (float[]){tiny, v * power(e / 2)},
                           (float[]){s, s * v * power(e - e / 2)}, want * s);
            }
}

static void call(const struct fzk_table *k, void *arg) { k->gemm_f32(arg); }

/* 16 elements more to a row: rows 4096 bytes apart would fight for one cache set. */
static void bench_product(struct kt *t, int64_t m, int64_t n, int64_t k) {
    int64_t panels = (n + FZK_PANEL - 1) / FZK_PANEL;
    struct fzk_segment segment = {.off = 0, .len = k};
    struct fzk_gemm_f32 g = {.m = m, .n = n, .k = k, .lda = k + 16, .ldc = n + 16,
                             .segments = &segment, .n_segments = 1};
    g.a = kt_f32(t, m * g.lda, KT_UNIFORM);
    g.b = kt_f32(t, panels * k * FZK_PANEL, KT_UNIFORM);
    g.bias = kt_f32(t, n, KT_UNIFORM);
    g.c = kt_buffer(t, m * g.ldc, 4);
    kt_bench(t, 2.0 * (double)(m * n * k), call, &g, "%dx%dx%d", (int)m, (int)n, (int)k);
}

static void bench(struct kt *t) {
    static const int64_t shape[][3] = {{128, 128, 128}, {512, 512, 512}, {3136, 64, 576},
                                       {49, 512, 4608}, {1, 1000, 2048}, {128, 768, 768},
                                       {128, 768, 3072}, {128, 3072, 768}, {12544, 96, 16},
                                       {3136, 24, 144}, {49, 320, 960}, {3136, 16, 96},
                                       {784, 40, 120}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++)
        bench_product(t, shape[i][0], shape[i][1], shape[i][2]);
}

/* Weights that no cache holds: each call takes the next of several copies. */
struct cold {
    struct fzk_gemm_f32 g;
    const float *b;
    int64_t copies, copy_size, at;
};

static void call_cold(const struct fzk_table *k, void *arg) {
    struct cold *c = arg;
    c->at = (c->at + 1) % c->copies;
    c->g.b = c->b + c->at * c->copy_size;
    k->gemm_f32(&c->g);
}

static void bench_cold(struct kt *t) {
    static const int64_t shape[][3] = {{1, 1024, 1024}, {1, 1000, 2048}, {2, 1000, 2048},
                                       {4, 1000, 2048}, {7, 1000, 2048}, {14, 1000, 2048},
                                       {49, 512, 4608}, {49, 2048, 512}, {196, 256, 2304}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        int64_t m = shape[i][0], n = shape[i][1], k = shape[i][2];
        struct fzk_segment segment = {.off = 0, .len = k};
        struct cold c = {.g = {.m = m, .n = n, .k = k, .lda = k + 16, .ldc = n + 16,
                               .segments = &segment, .n_segments = 1}};
        c.copy_size = (n + FZK_PANEL - 1) / FZK_PANEL * k * FZK_PANEL;
        c.copies = (128 << 18) / c.copy_size;
        c.b = kt_f32(t, c.copies * c.copy_size, KT_UNIFORM);
        c.g.a = kt_f32(t, m * c.g.lda, KT_UNIFORM);
        c.g.c = kt_buffer(t, m * c.g.ldc, 4);
        kt_bench(t, 2.0 * (double)(m * n * k), call_cold, &c, "cold %dx%dx%d", (int)m, (int)n,
                 (int)k);
    }
}

/* Convolutions as lib/ops calls them: {output size, channels, kernel, stride, outputs}. */
static void bench_conv(struct kt *t) {
    static const int64_t shape[][5] = {{112, 3, 7, 2, 64}, {112, 3, 3, 2, 32}, {56, 64, 3, 1, 64},
                                       {28, 128, 3, 1, 128}, {14, 256, 3, 1, 256},
                                       {7, 512, 3, 1, 512}, {13, 256, 3, 1, 384}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        int64_t o = shape[i][0], c = shape[i][1], kernel = shape[i][2], stride = shape[i][3];
        int64_t n = shape[i][4], width = (o - 1) * stride + kernel;
        struct fzk_segment segments[7];
        for (int64_t y = 0; y < kernel; y++)
            segments[y] = (struct fzk_segment){.off = y * width * c, .len = kernel * c};
        struct fzk_gemm_f32 g = {.m = o * o, .n = n, .k = kernel * kernel * c, .lda = stride * c,
                                 .run = o, .run_stride = stride * width * c, .ldc = n,
                                 .segments = segments, .n_segments = kernel, .clip = 1, .hi = 6};
        g.a = kt_f32(t, width * width * c, KT_UNIFORM);
        g.b = kt_f32(t, (n + 31) / 32 * g.k * FZK_PANEL, KT_UNIFORM);
        g.bias = kt_f32(t, n, KT_UNIFORM);
        g.c = kt_buffer(t, g.m * n, 4);
        kt_bench(t, 2.0 * (double)(g.m * n * g.k), call, &g, "%dx%d c=%d kernel=%d/%d n=%d", (int)o,
                 (int)o, (int)c, (int)kernel, (int)stride, (int)n);
    }
}

const struct kt_case gemm_cases[] = {
    {"gemm_f32/shapes", KT_KERNEL(gemm_f32), shapes, bench},
    {"gemm_f32/convolutions", KT_KERNEL(gemm_f32), convs, bench_conv},
    {"gemm_f32/residual", KT_KERNEL(gemm_f32), residual, bench_cold},
    {"gemm_f32/skinny", KT_KERNEL(gemm_f32), skinny, NULL},
    {"gemm_f32/rounding", KT_KERNEL(gemm_f32), rounding, NULL},
    {0}};
