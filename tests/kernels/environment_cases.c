/* Kernels of integers, tables and copies owe nothing to the floating-point environment: the same
 * bits, whatever the rounding, and whether subnormal numbers are flushed. (Kernels of floats run in
 * the environment that the executor enters; tests/exec and tests/invariance hold the library to
 * that.) */
#include "harness.h"

/* CALL in the plain environment into buffer Y of N elements, then in every hostile one: the bytes
 * must be the same. */
#define IN_EVERY_ENVIRONMENT(t, y, n, width, call)                                                 \
    for (int e = -1; e < kt_hostile_count(); e++) {                                                \
        memset(y, 0x5A, (size_t)(n) * (width));                                                    \
        if (e >= 0) kt_hostile_enter(t, e);                                                        \
        call;                                                                                      \
        if (e >= 0) kt_hostile_leave(t, e);                                                        \
        if (e < 0) memcpy(plain, y, (size_t)(n) * (width));                                        \
        else if (memcmp(plain, y, (size_t)(n) * (width)) != 0)                                     \
            kt_fail(t, "other bits in environment %d", e);                                         \
    }                                                                                              \
    kt_check(t, y, n, width)

static char plain[1 << 16];

static uint8_t *bytes(struct kt *t, int64_t n) {
    uint8_t *p = kt_buffer(t, n, 1);
    kt_fill_bytes(t, p, n);
    return p;
}

static int32_t *ints(struct kt *t, int64_t n) {
    int32_t *p = kt_buffer(t, n, 4);
    for (int64_t i = 0; i < n; i++) p[i] = (int32_t)kt_range(t, -128, 127);
    return p;
}

static void qgemm(struct kt *t) {
    for (int i = 0; i < (t->quick ? 40 : 200); i++) {
        int64_t m = kt_range(t, 1, 33);
        int64_t n = kt_range(t, 1, 70), k = kt_range(t, 1, 200);
        kt_step(t, "m=%d n=%d k=%d", (int)m, (int)n, (int)k);
        struct fzk_segment segment = {0, k};
        struct fzk_qpack p = {.k_step = n, .n_step = 1, .n = n, .segments = &segment,
                              .n_segments = 1};
        struct fzk_qgemm g = {.m = m, .n = n, .k = k, .lda = k, .segments = &segment,
                              .n_segments = 1, .a_signed = i & 1, .za = i & 1 ? -3 : 3,
                              .out = {.ldc = n, .kind = FZK_QOUT_I32}};
        g.a = bytes(t, m * k);
        p.data = bytes(t, k * n);
        p.b = kt_buffer_aligned(t, fzk_qpack_b_size(&segment, 1, n), 1);
        p.col_sum = kt_buffer(t, (n + 31) / 32 * 32, 4);
        fzk_qpack_b(&p);
        g.b = p.b;
        g.col_sum = p.col_sum;
        g.zb = i & 2 ? ints(t, n) : NULL;
        g.out.bias_i32 = i & 4 ? ints(t, n) : NULL;
        kt_protect(t);
        g.out.c = kt_buffer(t, m * n, 4);
        IN_EVERY_ENVIRONMENT(t, g.out.c, m * n, 4, t->k->qgemm_u8s8(&g));
    }
}

static void qdwconv(struct kt *t) {
    for (int i = 0; i < (t->quick ? 40 : 200); i++) {
        int64_t c = kt_range(t, 1, 100), width = kt_range(t, 1, 9), kernel = i & 1 ? 3 : 5;
        kt_step(t, "c=%d width=%d kernel=%d", (int)c, (int)width, (int)kernel);
        int64_t in_w = width + kernel - 1;
        struct fzk_qpack_dw p = {.tap_step = c, .c_step = 1, .c = c, .kh = kernel, .kw = kernel};
        struct fzk_qdwconv d = {.m_rows = 1, .m_cols = width, .c = c, .kh = kernel, .kw = kernel,
                                .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1,
                                .a_col = c, .a_row = in_w * c, .a_signed = i >> 1 & 1, .za = 5,
                                .out = {.ldc = c, .c_run_stride = width * c,
                                        .kind = FZK_QOUT_I32}};
        d.a = bytes(t, kernel * in_w * c);
        p.data = bytes(t, c * kernel * kernel);
        p.w = kt_buffer_aligned(t, fzk_qpack_depthwise_size(c, kernel, kernel), 1);
        p.col_sum = kt_buffer(t, (c + 31) / 32 * 32, 4);
        fzk_qpack_depthwise(&p);
        d.w = p.w;
        d.col_sum = p.col_sum;
        kt_protect(t);
        d.out.c = kt_buffer(t, width * c, 4);
        IN_EVERY_ENVIRONMENT(t, d.out.c, width * c, 4, t->k->qdwconv_u8s8(&d));
    }
}

static void lut(struct kt *t) {
    for (int64_t n = 1; n < 300; n += t->quick ? 13 : 1) {
        kt_step(t, "n=%d", (int)n);
        struct fzk_qlut l = {.n = n};
        l.x = bytes(t, n);
        l.table = bytes(t, 256);
        kt_protect(t);
        l.y = kt_buffer(t, n, 1);
        IN_EVERY_ENVIRONMENT(t, l.y, n, 1, t->k->lut_u8(&l));
    }
}

static void qmaxpool(struct kt *t) {
    for (int64_t c = 1; c < 140; c += t->quick ? 7 : 1) {
        kt_step(t, "c=%d", (int)c);
        struct fzk_qpool p = {.h = 4, .w = 5, .c = c, .a_row = 5 * c, .a_col = c, .y1 = 3,
                              .out_w = 4, .out_row = 4 * c, .out_col = c, .kh = 2, .kw = 2,
                              .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1,
                              .is_signed = c & 1, .lo = c & 1 ? -128 : 0, .hi = c & 1 ? 127 : 255};
        p.a = bytes(t, 20 * c);
        kt_protect(t);
        p.out = kt_buffer(t, 12 * c, 1);
        IN_EVERY_ENVIRONMENT(t, p.out, 12 * c, 1, t->k->qmaxpool_u8(&p));
    }
}

static void transpose(struct kt *t) {
    for (int32_t width = 1; width <= 8; width *= 2)
        for (int64_t rows = 1; rows < 40; rows += t->quick ? 5 : 1) {
            kt_step(t, "width=%d rows=%d", width, (int)rows);
            int64_t cols = 43 - rows, n = rows * cols;
            /* Subnormal numbers, if they were numbers. */
            uint8_t *x = kt_buffer(t, n, (size_t)width);
            kt_fill_bytes(t, x, n * width);
            for (int64_t i = 1; i <= n && width > 1; i++) x[i * width - 1] &= 0x80;
            kt_protect(t);
            uint8_t *y = kt_buffer(t, n, (size_t)width);
            IN_EVERY_ENVIRONMENT(t, y, n * width, 1,
                                 t->k->transpose_2d(width, y, x, rows, cols, cols, rows));
        }
}

static void pack(struct kt *t) {
    for (int64_t n = 1; n < 70; n += t->quick ? 6 : 1) {
        kt_step(t, "n=%d", (int)n);
        int64_t k = 1 + n % 17, to = (n + FZK_PANEL - 1) / FZK_PANEL * k * FZK_PANEL;
        struct fzk_pack_b_f32 p = {.k = k, .n = n, .row_stride = n, .col_stride = 1};
        if (n & 2) p.row_stride = 1, p.col_stride = k;
        p.b = kt_f32(t, k * n, KT_TINY);
        kt_protect(t);
        p.to = kt_buffer(t, to, 4);
        IN_EVERY_ENVIRONMENT(t, p.to, to, 4, t->k->pack_b_f32(&p));
    }
}

const struct kt_case environment_cases[] = {
    {"qgemm_u8s8/environments", KT_KERNEL(qgemm_u8s8), qgemm, NULL},
    {"qdwconv_u8s8/environments", KT_KERNEL(qdwconv_u8s8), qdwconv, NULL},
    {"lut_u8/environments", KT_KERNEL(lut_u8), lut, NULL},
    {"qmaxpool_u8/environments", KT_KERNEL(qmaxpool_u8), qmaxpool, NULL},
    {"transpose_2d/environments", KT_KERNEL(transpose_2d), transpose, NULL},
    {"pack_b_f32/environments", KT_KERNEL(pack_b_f32), pack, NULL},
    {0}};
