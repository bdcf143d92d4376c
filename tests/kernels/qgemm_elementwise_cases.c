/* Cases of the 8-bit elementwise kernels and pooling. */
#include "harness.h"

static uint8_t *bytes(struct kt *t, int64_t n) {
    uint8_t *p = kt_buffer(t, n, 1);
    kt_fill_bytes(t, p, n);
    return p;
}

static float scale(struct kt *t) { return (float)kt_range(t, 1, 1 << 16) * 0x1p-18f; }

static struct fzk_qbinary operands(struct kt *t, int64_t n, bool is_signed, int64_t a_step,
                                   int64_t b_step) {
    int lo = is_signed ? -128 : 0, hi = lo + 255;
    struct fzk_qbinary q = {.n = n, .a_step = a_step, .b_step = b_step, .is_signed = is_signed,
                            .lo = lo, .hi = hi};
    q.sa = scale(t);
    q.sb = scale(t);
    q.sc = scale(t);
    q.za = (int32_t)kt_range(t, lo, hi);
    q.zb = (int32_t)kt_range(t, lo, hi);
    q.zc = (int32_t)kt_range(t, lo, hi);
    q.a = bytes(t, n && !a_step ? 1 : n);
    q.b = bytes(t, n && !b_step ? 1 : n);
    if (kt_range(t, 0, 4) == 0) q.lo = q.zc;
    if (kt_range(t, 0, 9) == 0) q.sc = 0;
    return q;
}

static void binary(struct kt *t, bool add) {
    for (int i = 0; i < (t->quick ? 200 : 1500); i++) {
        int64_t n = i % 3 ? i / 3 % 150 : kt_range(t, 0, 1000);
        int steps = (int)kt_range(t, 0, 3);
        kt_step(t, "n=%d steps=%d", (int)n, steps);
        struct fzk_qbinary q = operands(t, n, i & 1, steps != 1, steps != 2);
        if (steps == 3) q.a_step = q.b_step = n <= 1 ? 0 : 1;
        kt_protect(t);
        q.c = kt_buffer(t, n, 1);
        (add ? t->k->qadd_u8 : t->k->qmul_u8)(&q);
        kt_check(t, q.c, n, 1);
    }
}
static void add(struct kt *t) { binary(t, true); }
static void mul(struct kt *t) { binary(t, false); }

/* All pairs of bytes, with scales whose sums lie halfway between two integers, or next to it. */
static void pairs(struct kt *t) {
    static const float ratios[][2] = {
        {0.5f, 0.5f}, {0.5f, 0.25f}, {1, 1}, {0x1.fffffep-2f, 0.5f}, {1.5f, -0.5f}, {8, 8.1f},
        {7.5f, 0.1f}, {0x1p-20f, 0x1.000002p-1f}, {0.01f, 0.49f}, {100, 3}};
    for (size_t i = 0; i < (t->quick ? 6 : 4 * sizeof ratios / sizeof ratios[0]); i++) {
        const float *r = ratios[i % (sizeof ratios / sizeof ratios[0])];
        kt_step(t, "ratios %d", (int)i);
        struct fzk_qbinary q = operands(t, 65536, i & 1, 1, 1);
        uint8_t *a = kt_buffer(t, q.n, 1), *b = kt_buffer(t, q.n, 1);
        for (int64_t l = 0; l < q.n; l++) a[l] = (uint8_t)l, b[l] = (uint8_t)(l >> 8);
        q.a = a;
        q.b = b;
        q.sc = scale(t);
        q.sa = r[0] * q.sc;
        q.sb = r[1] * q.sc;
        kt_protect(t);
        q.c = kt_buffer(t, q.n, 1);
        t->k->qadd_u8(&q);
        kt_check(t, q.c, q.n, 1);
    }
}

static void call_add(const struct fzk_table *k, void *arg) { k->qadd_u8(arg); }
static void bench_add(struct kt *t) {
    struct fzk_qbinary q = operands(t, 20000, false, 1, 1);
    q.c = kt_buffer(t, q.n, 1);
    kt_bench(t, (double)q.n, call_add, &q, "n=%d", (int)q.n);
}

static void lut(struct kt *t) {
    for (int64_t n = 0; n < 300; n += t->quick ? 7 : 1) {
        kt_step(t, "n=%d", (int)n);
        struct fzk_qlut l = {.n = n};
        l.x = bytes(t, n);
        l.table = bytes(t, 256);
        kt_protect(t);
        l.y = kt_buffer(t, n, 1);
        t->k->lut_u8(&l);
        kt_check(t, l.y, n, 1);
    }
}

static void call_lut(const struct fzk_table *k, void *arg) { k->lut_u8(arg); }
static void bench_lut(struct kt *t) {
    struct fzk_qlut l = {.n = 20000, .x = bytes(t, 20000), .table = bytes(t, 256)};
    l.y = kt_buffer(t, l.n, 1);
    kt_bench(t, (double)l.n, call_lut, &l, "n=%d", (int)l.n);
}

/* Pixels of the output along one dimension when every window must hold a pixel. */
static int64_t outputs(int64_t size, int64_t pad, int64_t stride) {
    return (size - 1 + pad) / stride + 1;
}

static struct fzk_qpool image(struct kt *t, bool average) {
    struct fzk_qpool p = {.dilation_y = 1, .dilation_x = 1};
    p.h = kt_range(t, 1, 9);
    p.w = kt_range(t, 1, 9);
    p.c = kt_range(t, 1, 140);
    p.kh = kt_range(t, 1, 4);
    p.kw = kt_range(t, 1, 4);
    p.stride_y = kt_range(t, 1, 3);
    p.stride_x = kt_range(t, 1, 3);
    if (kt_range(t, 0, 3) == 0) p.dilation_y = p.dilation_x = kt_range(t, 1, 2);
    p.is_signed = (int32_t)kt_range(t, 0, 1);
    /* Padding below the dilated kernel's last tap: a window begins at most that far outside. */
    p.pad_y = p.dilation_y == 1 ? kt_range(t, 0, p.kh - 1) : 0;
    p.pad_x = p.dilation_x == 1 ? kt_range(t, 0, p.kw - 1) : 0;
    p.a_col = p.c + kt_range(t, 0, 1) * 5;
    p.a_row = p.w * p.a_col;
    p.y1 = outputs(p.h, p.pad_y, p.stride_y);
    p.y0 = kt_range(t, 0, 3) == 0 ? p.y1 - 1 : 0;
    p.out_w = outputs(p.w, p.pad_x, p.stride_x);
    p.out_col = p.c + 2;
    p.out_row = p.out_w * p.out_col + 3;
    p.lo = p.is_signed ? -128 : 0;
    p.hi = p.lo + 255;
    p.za = (int32_t)kt_range(t, p.lo, p.hi);
    p.zp = (int32_t)kt_range(t, p.lo, p.hi);
    p.count_pad = (int32_t)kt_range(t, 0, 1);
    p.scale = average ? 0.25f + 4 * scale(t) : 0;
    p.a = bytes(t, (p.h - 1) * p.a_row + (p.w - 1) * p.a_col + p.c);
    return p;
}

static void pool(struct kt *t, bool average) {
    for (int i = 0; i < (t->quick ? 150 : 1500); i++) {
        kt_step(t, "image %d", i);
        struct fzk_qpool p = image(t, average);
        kt_protect(t);
        int64_t size = (p.y1 - 1) * p.out_row + (p.out_w - 1) * p.out_col + p.c;
        p.out = kt_buffer(t, size, 1);
        (average ? t->k->qavgpool_u8 : t->k->qmaxpool_u8)(&p);
        kt_check(t, p.out, size, 1);
    }
}
static void max_pool(struct kt *t) { pool(t, false); }
static void average_pool(struct kt *t) { pool(t, true); }

/* One window over the whole image: the largest sums, and more taps than 16 bits hold sums of. */
static void global_pool(struct kt *t) {
    static const int64_t sizes[][2] = {{7, 7}, {16, 16}, {1, 256}, {1, 257}, {17, 16}, {40, 40}};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        const int64_t h = sizes[i / 2][0], w = sizes[i / 2][1], c = 91;
        kt_step(t, "%dx%d", (int)h, (int)w);
        struct fzk_qpool p = {.h = h, .w = w, .c = c, .a_row = w * c, .a_col = c, .y1 = 1,
                              .out_w = 1, .out_row = c, .out_col = c, .kh = h, .kw = w,
                              .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1,
                              .hi = 255, .za = 3, .zp = 5, .scale = 0.75f};
        uint8_t *a = bytes(t, h * w * c);
        if (i % 2) memset(a, 0xFF, (size_t)(h * w * c));
        p.a = a;
        kt_protect(t);
        p.out = kt_buffer(t, c, 1);
        t->k->qavgpool_u8(&p);
        if (i % 2 && *(uint8_t *)p.out != (255 - 3) * 3 / 4 + 5)
            kt_fail(t, "the mean is %d", *(uint8_t *)p.out);
        kt_check(t, p.out, c, 1);
    }
}

static void call_max(const struct fzk_table *k, void *arg) { k->qmaxpool_u8(arg); }
static void bench_max(struct kt *t) {
    struct fzk_qpool p = {.h = 112, .w = 112, .c = 64, .a_row = 112 * 64, .a_col = 64, .y1 = 56,
                          .out_w = 56, .out_row = 56 * 64, .out_col = 64, .kh = 3, .kw = 3,
                          .stride_y = 2, .stride_x = 2, .dilation_y = 1, .dilation_x = 1,
                          .pad_y = 1, .pad_x = 1};
    p.a = bytes(t, 112 * 112 * 64);
    p.out = kt_buffer(t, 56 * 56 * 64, 1);
    kt_bench(t, 56 * 56 * 64 * 9, call_max, &p, "3x3/2 112x112x64, taps");
}

const struct kt_case qgemm_elementwise_cases[] = {
    {"qadd_u8/lengths", KT_KERNEL(qadd_u8), add, bench_add},
    {"qadd_u8/pairs", KT_KERNEL(qadd_u8), pairs, NULL},
    {"qmul_u8/lengths", KT_KERNEL(qmul_u8), mul, NULL},
    {"lut_u8/lengths", KT_KERNEL(lut_u8), lut, bench_lut},
    {"qmaxpool_u8/windows", KT_KERNEL(qmaxpool_u8), max_pool, bench_max},
    {"qavgpool_u8/windows", KT_KERNEL(qavgpool_u8), average_pool, NULL},
    {"qavgpool_u8/global", KT_KERNEL(qavgpool_u8), global_pool, NULL},
    {0}};
