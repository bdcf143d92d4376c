/* Cases of the products with narrow weights: each weight by the rule, in plain scalars, and then
 * the bits of the float GEMM over these numbers. */
#include <math.h>

#include "harness.h"
#include "kernel.h"

/* What a half stands for, by its definition. */
static float half_value(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float sign = h & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31) return fraction ? fzk_float(0x7FC00000) : sign * INFINITY;
    if (!exponent) return sign * ldexpf((float)fraction, -24);
    return sign * ldexpf((float)(1024 + fraction), exponent - 25);
}

static float bhalf_value(uint16_t h) { return fzk_float((uint32_t)h << 16); }

/* Element J of row K of panel P. */
static float value(const struct fzk_narrow *w, int64_t p, int64_t k, int64_t j) {
    const char *b = (const char *)w->b + p * fzk_narrow_size(w->form, w->k);
    int64_t fields = fzk_narrow_fields(w->form), bits = 32 / fields, q;
    int64_t at = (p * fzk_narrow_blocks(w) + (w->scale ? k / w->block : 0)) * FZK_PANEL + j;
    uint16_t half;
    uint32_t word;
    memcpy(&half, b + (k * FZK_PANEL + j) * 2 * (w->form <= FZK_NARROW_BF16), 2);
    if (w->form == FZK_NARROW_F16) return half_value(half);
    if (w->form == FZK_NARROW_BF16) return bhalf_value(half);
    memcpy(&word, b + (k / fields * FZK_PANEL + j) * 4 * (w->form >= FZK_NARROW_4), 4);
    q = w->form == FZK_NARROW_8 ? (uint8_t)b[k * FZK_PANEL + j]
                                : (int64_t)(word >> k % fields * bits & ((1u << bits) - 1));
    return (float)(q - (w->zero ? w->zero[at] : w->middle)) * w->scale[at];
}

/* Any halves; NaN only as the canonical one. */
static uint16_t *random_halves(struct kt *t, int64_t n, int form) {
    uint16_t *h = kt_buffer(t, n, 2);
    for (int64_t i = 0; i < n; i++) {
        h[i] = (uint16_t)kt_random(t);
        if (form == FZK_NARROW_F16 && (h[i] & 0x7FFF) > 0x7C00) h[i] = 0x7E00;
        if (form == FZK_NARROW_BF16 && (h[i] & 0x7FFF) > 0x7F80) h[i] = 0x7FC0;
    }
    return h;
}

static struct fzk_narrow weights(struct kt *t, int form, int64_t panels, int64_t k, int64_t block,
                                 bool zeros) {
    struct fzk_narrow w = {.form = form, .k = k, .block = block};
    int64_t width = fzk_narrow_width(form), n = panels * fzk_narrow_size(form, k) / width;
    int64_t blocks = panels * ((k + block - 1) / block) * FZK_PANEL;
    if (form <= FZK_NARROW_BF16) {
        w.b = random_halves(t, n, form);
        return w;
    }
    void *b = kt_buffer(t, n, (size_t)width);
    kt_fill_integers(t, b, n, (size_t)width);
    w.b = b;
    w.scale = kt_f32(t, blocks, KT_WIDE);
    w.middle = (int32_t)kt_range(t, 0, form == FZK_NARROW_8 ? 255 : form == FZK_NARROW_4 ? 15 : 3);
    if (!zeros) return w;
    uint8_t *zero = kt_buffer(t, blocks, 1);
    for (int64_t i = 0; i < blocks; i++) zero[i] = (uint8_t)kt_range(t, 0, 255);
    w.zero = zero;
    return w;
}

static bool same(float a, float b) { return fzk_bits(a) == fzk_bits(b) || (a != a && b != b); }

static void product(struct kt *t, int form, int64_t m, int64_t n, int64_t k, int64_t block,
                    int flags) {
    kt_step(t, "form=%d m=%d n=%d k=%d block=%d flags=%d", form, (int)m, (int)n, (int)k, (int)block,
            flags);
    int64_t panels = (n + FZK_PANEL - 1) / FZK_PANEL, pad = flags >> 3 & 1;
    struct fzk_ngemm_f32 g = {.m = m, .n = n, .lda = k + 3 * pad, .ldc = n + 5 * pad,
                              .ldr = n + 2 * pad, .clip = flags >> 2 & 1, .lo = -1, .hi = 6};
    g.w = weights(t, form, panels, k, block, flags & 1);
    g.a = kt_f32(t, (m - 1) * g.lda + k, KT_WIDE);
    if (flags & 1) g.bias = kt_f32(t, n, KT_WIDE);
    if (flags & 2) g.residual = kt_f32(t, (m - 1) * g.ldr + n, KT_WIDE);
    kt_protect(t);
    float *wide = kt_buffer(t, panels * k * FZK_PANEL, 4);
    t->k->narrow_to_f32(wide, &g.w, panels);
    kt_check_f32(t, wide, panels * k * FZK_PANEL);
    for (int64_t i = 0; t->baseline && i < panels * k * FZK_PANEL; i++) {
        int64_t row = i / FZK_PANEL;
        float want = value(&g.w, row / k, row % k, i % FZK_PANEL);
        if (!same(wide[i], want)) kt_fail(t, "element %d is %a, not %a", (int)i, (double)wide[i],
                                          (double)want);
    }
    struct fzk_segment segment = {.off = 0, .len = k};
    struct fzk_gemm_f32 f = {.m = m, .n = n, .k = k, .a = g.a, .lda = g.lda, .b = wide, .ldc = n,
                             .segments = &segment, .n_segments = 1, .bias = g.bias,
                             .residual = g.residual, .ldr = g.ldr, .clip = g.clip, .lo = g.lo,
                             .hi = g.hi};
    g.c = kt_buffer(t, (m - 1) * g.ldc + n, 4);
    f.c = kt_buffer(t, m * n, 4);
    t->k->ngemm_f32(&g);
    kt_check_f32(t, g.c, (m - 1) * g.ldc + n);
    if (!t->baseline) return;
    t->k->gemm_f32(&f);
    for (int64_t i = 0; i < m * n; i++)
        if (!same(f.c[i], g.c[i / n * g.ldc + i % n]))
            kt_fail(t, "c[%d] is not that of the float product", (int)i);
}

static void shapes(struct kt *t) {
    static const int64_t ms[] = {1, 2, 3, 4, 5, 7}, ns[] = {1, 15, 32, 33, 64, 97};
    static const int64_t ks[] = {1, 7, 16, 33, 100, 256, 257, 600};
    static const int64_t blocks[] = {16, 32, 48, 128, 1024};
    int flags = 0;
    for (int form = 0; form < FZK_NARROW_FORMS; form++)
        for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
            for (size_t j = 0; j < sizeof ns / sizeof ns[0]; j += t->brief ? 3 : 1)
                for (size_t l = 0; l < sizeof ks / sizeof ks[0]; l += t->quick ? 3 : 1, flags++)
                    product(t, form, ms[i], ns[j], ks[l], blocks[(i + j + l) % 5],
                            (flags * 7 + (int)i) & 15);
}

static void call(const struct fzk_table *k, void *arg) { k->ngemm_f32(arg); }

/* Work is counted in bytes of weights, scales and zero points. */
static void bench_product(struct kt *t, int form, int64_t m, int64_t n, int64_t k, bool zeros) {
    kt_step(t, "bench");
    struct fzk_ngemm_f32 g = {.m = m, .n = n, .lda = k + 16, .ldc = n + 16};
    g.w = weights(t, form, n / FZK_PANEL, k, 32, zeros);
    g.a = kt_f32(t, m * g.lda, KT_UNIFORM);
    g.c = kt_buffer(t, m * g.ldc, 4);
    int64_t size = n / FZK_PANEL * fzk_narrow_size(form, k);
    size += n * fzk_narrow_blocks(&g.w) * (zeros ? 5 : 4);
    kt_bench(t, (double)size, call, &g, "form %d%s %dx%dx%d, bytes", form, zeros ? "z" : "", (int)m,
             (int)n, (int)k);
}

static void bench(struct kt *t) {
    for (int form = 0; form < FZK_NARROW_FORMS; form++)
        for (int64_t m = 1; m <= 4; m += 3)
            for (int zeros = 0; zeros <= (form > FZK_NARROW_BF16); zeros++)
                bench_product(t, form, m, 512, 1024, zeros);
}

static void widen_call(const struct fzk_table *k, void *arg) {
    struct fzk_ngemm_f32 *g = arg;
    k->narrow_to_f32(g->c, &g->w, g->n / FZK_PANEL);
}

static void bench_widen(struct kt *t) {
    for (int form = 0; form < FZK_NARROW_FORMS; form++) {
        struct fzk_ngemm_f32 g = {.n = 64};
        kt_step(t, "bench");
        g.w = weights(t, form, 2, 512, 32, false);
        g.c = kt_buffer(t, 64 * 512, 4);
        kt_bench(t, 64 * 512, widen_call, &g, "form %d, elements", form);
    }
}

const struct kt_case narrow_cases[] = {
    {"ngemm_f32/shapes", KT_KERNEL(ngemm_f32), shapes, bench,
     {KT_KERNEL(narrow_to_f32), KT_KERNEL(gemm_f32)}},
    {"narrow_to_f32/shapes", KT_KERNEL(narrow_to_f32), shapes, bench_widen,
     {KT_KERNEL(ngemm_f32), KT_KERNEL(gemm_f32)}},
    {0}};
