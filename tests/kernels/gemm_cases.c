/* Cases of the float GEMM. */
#include "harness.h"

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
    g.lo = 0;
    g.hi = 6;
    kt_protect(t);
    int64_t n_c = m ? (m - 1) * g.ldc + n : 0;
    g.c = kt_buffer(t, n_c, 4);
    t->k->gemm_f32(&g);
    kt_check_f32(t, g.c, n_c);
}

static void shapes(struct kt *t) {
    static const int64_t ms[] = {0, 1, 2, 3, 5, 6, 7, 13, 14, 15, 29, 49};
    static const int64_t ns[] = {0, 1, 15, 16, 17, 31, 32, 33, 64, 100, 129};
    static const int64_t ks[] = {0, 1, 2, 9, 255, 256, 257, 600};
    for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
        for (size_t j = 0; j < sizeof ns / sizeof ns[0]; j++)
            for (size_t l = 0; l < sizeof ks / sizeof ks[0]; l += t->quick ? 3 : 1)
                product(t, ms[i], ns[j], ks[l], (int)(i + j + l) & 15,
                        (i + j + l) % 3 ? KT_WIDE : KT_SPECIAL);
}

static void call(const struct fzk_table *k, void *arg) { k->gemm_f32(arg); }

static void bench(struct kt *t) {
    static const int64_t shape[][3] = {{128, 128, 128}, {512, 512, 512}, {3136, 64, 576},
                                       {49, 512, 4608}, {1, 1000, 2048}, {128, 768, 768},
                                       {128, 768, 3072}, {128, 3072, 768}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        int64_t m = shape[i][0], n = shape[i][1], k = shape[i][2];
        int64_t panels = (n + FZK_PANEL - 1) / FZK_PANEL;
        struct fzk_segment segment = {.off = 0, .len = k};
        /* 16 elements more: rows 4096 bytes apart would fight for one cache set. */
        struct fzk_gemm_f32 g = {.m = m, .n = n, .k = k, .lda = k + 16, .ldc = n + 16,
                                 .segments = &segment, .n_segments = 1};
        g.a = kt_f32(t, m * g.lda, KT_UNIFORM);
        g.b = kt_f32(t, panels * k * FZK_PANEL, KT_UNIFORM);
        g.bias = kt_f32(t, n, KT_UNIFORM);
        g.c = kt_buffer(t, m * g.ldc, 4);
        kt_bench(t, 2.0 * (double)(m * n * k), call, &g, "%dx%dx%d", (int)m, (int)n, (int)k);
    }
}

const struct kt_case gemm_cases[] = {
    {"gemm_f32/shapes", KT_KERNEL(gemm_f32), shapes, bench},
    {0}};
