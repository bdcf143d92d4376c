/* Cases of the depthwise integer convolution. */
#include "harness.h"

static void *bytes(struct kt *t, int64_t n, int byte) {
    uint8_t *p = kt_buffer(t, n, 1);
    if (byte < 0) kt_fill_bytes(t, p, n);
    else if (n) memset(p, byte, (size_t)n);
    return p;
}

static void pack(struct kt *t, struct fzk_qdwconv *d, int byte) {
    int64_t rows = d->twice ? 2 * d->kh : d->kh;
    struct fzk_qpack_dw p = {.tap_step = d->c, .c_step = 1, .c = d->c, .kh = rows, .kw = d->kw};
    p.data = bytes(t, d->c * rows * d->kw, byte);
    p.w = kt_buffer_aligned(t, fzk_qpack_depthwise_size(d->c, rows, d->kw), 1);
    p.col_sum = kt_buffer(t, (d->c + 31) / 32 * 32, 4);
    fzk_qpack_depthwise(&p);
    d->w = p.w;
    d->col_sum = p.col_sum;
}

static void set_out(struct kt *t, struct fzk_qdwconv *d, int kind) {
    struct fzk_qout *o = &d->out;
    bool s8 = kt_range(t, 0, 1);
    o->kind = kind;
    o->ldc = d->c + kt_range(t, 0, 1) * 3;
    o->c_run_stride = d->m_cols * o->ldc + kt_range(t, 0, 1) * 5;
    o->n_scale = (int32_t)(kt_range(t, 0, 1) ? d->c : 1);
    o->scale = kt_f32(t, o->n_scale, KT_UNIFORM);
    for (int64_t i = 0; i < o->n_scale; i++) ((float *)o->scale)[i] *= 0.004f;
    if (kt_range(t, 0, 3) == 0) kt_fill_f32(t, (float *)o->scale, 1, KT_FINITE);
    o->a_scale = 0.75f;
    o->lo = s8 ? -128 : 0;
    o->hi = o->lo + 255;
    o->zp = (int32_t)kt_range(t, o->lo, o->hi);
    if (kt_range(t, 0, 2) == 0) o->hi -= 100;
    if (kt_range(t, 0, 1)) {
        int32_t *bias = kt_buffer(t, d->c, 4);
        for (int64_t i = 0; i < d->c; i++) bias[i] = (int32_t)kt_range(t, -9999, 9999);
        o->bias_i32 = bias;
    }
    if (kind != FZK_QOUT_F32 || kt_range(t, 0, 1)) return;
    o->bias_f32 = kt_f32(t, d->c, KT_WIDE);
    o->clip = 1;
    o->lo_f = -1;
    o->hi_f = 2;
    o->ldr = d->c + 1;
    o->r_run_stride = d->m_cols * o->ldr;
    o->residual = kt_f32(t, d->m_rows * o->r_run_stride, KT_FINITE);
    if (kt_range(t, 0, 1)) o->row_scale = kt_f32(t, d->m_rows * d->m_cols, KT_UNIFORM);
}

static void set_image(struct kt *t, struct fzk_qdwconv *d, int byte, int64_t gap) {
    int64_t cols = (d->m_cols - 1) * d->stride_x + (d->kw - 1) * d->dilation_x + 1;
    int64_t rows = (d->m_rows - 1) * d->stride_y + (d->kh - 1) * d->dilation_y + 1;
    d->a_col = d->c + gap * 4;
    d->a_row = cols * d->a_col + gap * 9;
    d->a = bytes(t, (rows - 1) * d->a_row + (cols - 1) * d->a_col + d->c, byte);
}

static void convolve(struct kt *t, struct fzk_qdwconv *d, int a_byte, int w_byte) {
    int kind = (int)kt_range(t, 0, 2);
    kt_step(t, "%dx%dx%d kernel %dx%d stride %d dilation %d kind %d s8 %d", (int)d->m_rows,
            (int)d->m_cols, (int)d->c, (int)d->kh, (int)d->kw, (int)d->stride_x,
            (int)d->dilation_x, kind, (int)d->a_signed);
    d->za = (int32_t)kt_range(t, 0, 255) - (d->a_signed ? 128 : 0);
    set_image(t, d, a_byte, kt_range(t, 0, 1));
    pack(t, d, w_byte);
    set_out(t, d, kind);
    kt_protect(t);
    int64_t n = (d->m_rows - 1) * d->out.c_run_stride + (d->m_cols - 1) * d->out.ldc + d->c;
    d->out.c = kt_buffer(t, n, kind == FZK_QOUT_8 ? 1 : 4);
    t->k->qdwconv_u8s8(d);
    if (kind == FZK_QOUT_F32) kt_check_f32(t, d->out.c, n);
    else kt_check(t, d->out.c, n, kind == FZK_QOUT_8 ? 1 : 4);
}

static void shapes(struct kt *t) {
    for (int i = 0; i < (t->quick ? 300 : 3000); i++) {
        struct fzk_qdwconv d = {0};
        d.m_rows = kt_range(t, 1, 5);
        d.m_cols = kt_range(t, 1, 9);
        d.c = kt_range(t, 1, 100);
        d.a_signed = (int32_t)kt_range(t, 0, 1);
        d.kh = i % 3 ? 3 : kt_range(t, 1, 5);
        d.kw = i % 3 ? 3 : kt_range(t, 1, 9);
        d.stride_y = d.stride_x = kt_range(t, 1, 2);
        d.dilation_y = d.dilation_x = kt_range(t, 0, 5) ? 1 : 2;
        if (kt_range(t, 0, 5) == 0) d.stride_x = 3;
        convolve(t, &d, -1, -1);
    }
}

/* Weights of two summands: the sums are those of two convolutions. */
static void twice(struct kt *t) {
    for (int i = 0; i < (t->quick ? 150 : 1500); i++) {
        struct fzk_qdwconv d = {.m_rows = kt_range(t, 1, 5), .m_cols = kt_range(t, 1, 40),
                                .c = kt_range(t, 1, 70), .a_signed = (int32_t)kt_range(t, 0, 1),
                                .kh = kt_range(t, 1, 5), .kw = kt_range(t, 1, 7),
                                .stride_y = 1, .stride_x = kt_range(t, 1, 2), .dilation_y = 1,
                                .dilation_x = kt_range(t, 1, 2), .twice = 1};
        convolve(t, &d, i % 5 ? -1 : 0xFF, i % 7 ? -1 : 0x7F);
    }
}

static void extremes(struct kt *t) {
    static const int pairs[][3] = {{0, 0xFF, 0x7F}, {0, 0xFF, 0x80}, {1, 0x80, 0x80},
                                   {1, 0x80, 0x7F}, {1, 0x7F, 0x80}, {0, 0, 0x80}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        for (int64_t k = 1; k <= 7; k++) {
            struct fzk_qdwconv d = {.m_rows = 2, .m_cols = 3, .c = 40, .kh = k, .kw = k,
                                    .stride_y = 1, .stride_x = 1, .dilation_y = 1,
                                    .dilation_x = 1, .a_signed = pairs[i][0]};
            convolve(t, &d, pairs[i][1], pairs[i][2]);
        }
}

/* The largest sums, -128 x -128 among them, against their known values: A_BYTE - ZA times W_BYTE
 * for each tap. */
static void limit(struct kt *t, int64_t kh, int64_t kw, bool a_signed, int a_byte, int za,
                  int w_byte, bool two) {
    kt_step(t, "kernel %dx%d a %d za %d w %d s8 %d", (int)kh, (int)kw, a_byte, za, w_byte,
            a_signed);
    struct fzk_qdwconv d = {.m_rows = 2, .m_cols = 5, .c = 47, .kh = kh, .kw = kw, .stride_y = 1,
                            .stride_x = 1, .dilation_y = 1, .dilation_x = 1, .za = za,
                            .a_signed = a_signed, .twice = two};
    set_image(t, &d, a_byte & 0xFF, 0);
    pack(t, &d, w_byte & 0xFF);
    kt_protect(t);
    int64_t n = d.m_rows * d.m_cols * d.c;
    int32_t *c = kt_buffer(t, n, 4), want = (int32_t)(kh * kw) * (a_byte - za) * w_byte;
    if (two) want *= 2;
    d.out = (struct fzk_qout){.kind = FZK_QOUT_I32, .c = c, .ldc = d.c,
                              .c_run_stride = d.m_cols * d.c};
    t->k->qdwconv_u8s8(&d);
    for (int64_t i = 0; i < n; i++)
        if (c[i] != want) kt_fail(t, "sum %d is %d, not %d", (int)i, (int)c[i], (int)want);
    kt_check(t, c, n, 4);
}

static void limits(struct kt *t) {
    static const int values[][4] = {{0, 255, 0, 127}, {0, 255, 0, -128}, {0, 0, 255, 127},
                                    {0, 0, 255, -128}, {1, -128, 127, -128}, {1, -128, 0, -128},
                                    {1, 127, -128, 127}, {1, 127, -128, -128}};
    static const int64_t kernels[][2] = {{1, 1}, {3, 3}, {2, 5}, {7, 7}, {32, 8}, {65, 1}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (size_t j = 0; j < sizeof kernels / sizeof kernels[0]; j++)
            limit(t, kernels[j][0], kernels[j][1], values[i][0], values[i][1], values[i][2],
                  values[i][3], false);
}

static void limits_twice(struct kt *t) {
    static const int values[][4] = {{0, 255, 0, 127}, {0, 0, 255, -128}, {1, -128, 127, -128}};
    for (int i = 0; i < 3; i++)
        for (int64_t k = 1; k <= 6; k++)
            limit(t, k, k, values[i][0], values[i][1], values[i][2], values[i][3], true);
}

static void call(const struct fzk_table *k, void *arg) { k->qdwconv_u8s8(arg); }

static void bench(struct kt *t) {
    static const int64_t shape[][4] = {{112, 32, 3, 1}, {112, 96, 3, 2}, {56, 144, 3, 1},
                                       {28, 192, 3, 1}, {14, 384, 3, 1}, {7, 960, 3, 1},
                                       {14, 240, 5, 1}, {14, 672, 5, 2}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        kt_step(t, "qdwconv_u8s8");
        int64_t size = shape[i][0] / shape[i][3], k = shape[i][2];
        struct fzk_qdwconv d = {.m_rows = size, .m_cols = size, .c = shape[i][1], .kh = k, .kw = k,
                                .stride_y = shape[i][3], .stride_x = shape[i][3], .dilation_y = 1,
                                .dilation_x = 1, .za = 7};
        set_image(t, &d, -1, 0);
        pack(t, &d, -1);
        float *scale = kt_f32(t, d.c, KT_UNIFORM);
        d.out = (struct fzk_qout){.kind = FZK_QOUT_8, .scale = scale, .n_scale = (int32_t)d.c,
                                  .ldc = d.c, .c_run_stride = d.c * size, .hi = 255};
        d.out.c = kt_buffer(t, size * size * d.c, 1);
        kt_bench(t, 2.0 * (double)(size * size * d.c * k * k), call, &d, "%dx%dx%d k %d stride %d",
                 (int)size, (int)size, (int)d.c, (int)k, (int)shape[i][3]);
    }
}

const struct kt_case qdwconv_cases[] = {
    {"qdwconv_u8s8/shapes", KT_KERNEL(qdwconv_u8s8), shapes, bench},
    {"qdwconv_u8s8/extremes", KT_KERNEL(qdwconv_u8s8), extremes, NULL},
    {"qdwconv_u8s8/limits", KT_KERNEL(qdwconv_u8s8), limits, NULL},
    {"qdwconv_u8s8/twice", KT_KERNEL(qdwconv_u8s8), twice, NULL},
    {"qdwconv_u8s8/limits_twice", KT_KERNEL(qdwconv_u8s8), limits_twice, NULL},
    {0}};
