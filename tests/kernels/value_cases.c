/* Every kernel over every class of values at every length around the vector widths: 0, 1 and one
 * less, one more than 4, 8, 16, 32 and 64. What the results must be, other cases say; here all
 * versions must agree. */
#include "harness.h"
#include "kernel.h"

struct visit {
    int64_t n;
    enum kt_values values;
    int i; /* counts visits, so that what else a case varies takes turns */
};

/* The next pair of a length and a class, as a step of its own. */
static bool next(struct kt *t, struct visit *v) {
    static const int64_t lengths[] = {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65};
    enum { N = sizeof lengths / sizeof lengths[0] };
    if (v->i == N * KT_CLASSES) return false;
    v->n = lengths[v->i % N];
    v->values = (enum kt_values)(v->i / N);
    v->i++;
    kt_step(t, "n=%d values=%d", (int)v->n, (int)v->values);
    return true;
}

/* ---- products and convolutions: n outputs or channels */

static float *panels(struct kt *t, int64_t n, int64_t taps, enum kt_values values) {
    float *p = kt_f32(t, (n + FZK_PANEL - 1) / FZK_PANEL * taps * FZK_PANEL, values);
    for (int64_t c = n; c % FZK_PANEL; c++)
        for (int64_t i = 0; i < taps; i++)
            p[(c / FZK_PANEL * taps + i) * FZK_PANEL + c % FZK_PANEL] = 0;
    return p;
}

static void gemm_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        int64_t m = 1 + v.i % 15, k = v.i % 5 * 16 + v.i % 3;
        struct fzk_segment segment = {.off = 0, .len = k};
        struct fzk_gemm_f32 g = {.m = m, .n = v.n, .k = k, .lda = k, .ldc = v.n, .ldr = v.n,
                                 .segments = &segment, .n_segments = 1, .clip = v.i & 1,
                                 .lo = -1, .hi = 1e30f};
        g.a = kt_f32(t, m * k, v.values);
        g.b = panels(t, v.n, k, v.values);
        g.bias = v.i & 2 ? kt_f32(t, v.n, v.values) : NULL;
        g.residual = v.i & 4 ? kt_f32(t, m * v.n, v.values) : NULL;
        kt_protect(t);
        g.c = kt_buffer(t, m * v.n, 4);
        t->k->gemm_f32(&g);
        kt_check_f32(t, g.c, m * v.n);
    }
}

static void finish_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        struct fzk_finish_f32 f = {.m = 2, .n = v.n, .ldc = v.n, .ldr = v.n, .clip = v.i & 1,
                                   .lo = -1, .hi = 1e30f, .round = 1 + (v.i & 1)};
        f.round |= v.i * FZK_ROUND_SUM & 7 * FZK_ROUND_SUM;
        f.bias = v.i & 2 ? kt_f32(t, v.n, v.values) : NULL;
        f.residual = v.i & 4 ? kt_f32(t, 2 * v.n, v.values) : NULL;
        float *from = kt_f32(t, 2 * v.n, v.values);
        kt_protect(t);
        f.c = kt_buffer(t, 2 * v.n, 4);
        for (int64_t i = 0; i < 2 * v.n; i++) f.c[i] = from[i];
        t->k->finish_f32(&f);
        kt_check_f32(t, f.c, 2 * v.n);
    }
}

static void pack_b_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        int64_t k = 1 + v.i % 9, to = (v.n + FZK_PANEL - 1) / FZK_PANEL * k * FZK_PANEL;
        struct fzk_pack_b_f32 p = {.k = k, .n = v.n, .row_stride = v.n, .col_stride = 1};
        if (v.i & 1) p.row_stride = 1, p.col_stride = k;
        p.b = kt_f32(t, k * v.n, v.values);
        kt_protect(t);
        p.to = kt_buffer(t, to, 4);
        t->k->pack_b_f32(&p);
        kt_check(t, p.to, to, 4);
    }
}

static void dwconv_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        int64_t kernel = v.i & 1 ? 3 : 5, stride = 1 + (v.i >> 1 & 1), width = 1 + v.i % 7;
        int64_t in_w = (width - 1) * stride + kernel;
        struct fzk_dwconv_f32 d = {
            .in_pixel = v.n, .in_row = in_w * v.n, .out_pixel = v.n, .out_row = width * v.n,
            .channels = v.n, .width = width, .row_end = 1, .kernel_h = kernel, .kernel_w = kernel,
            .stride_h = stride, .stride_w = stride, .dilation_h = 1, .dilation_w = 1,
            .clip = v.i >> 2 & 1, .lo = 0, .hi = 6};
        d.in = kt_f32(t, kernel * in_w * v.n, v.values);
        d.weights = panels(t, v.n, kernel * kernel, v.values);
        d.bias = v.i & 8 ? NULL : kt_f32(t, v.n, v.values);
        kt_protect(t);
        d.out = kt_buffer(t, width * v.n, 4);
        t->k->dwconv_f32(&d);
        kt_check_f32(t, d.out, width * v.n);
    }
}

static void winograd_input_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        int64_t height = 3 + v.i % 3, width = 3 + v.i % 4, tiles_x = (width - 1) / 2;
        int64_t tiles = (height - 1) / 2 * tiles_x;
        struct fzk_winograd_input_f32 w = {
            .in_row = width * v.n, .in_pixel = v.n, .height = height, .width = width,
            .v_row = v.n, .v_matrix = tiles * v.n, .channels = v.n, .tiles_x = tiles_x,
            .tile_end = tiles};
        w.in = kt_f32(t, height * width * v.n, v.values);
        kt_protect(t);
        w.v = kt_buffer(t, 16 * w.v_matrix, 4);
        t->k->winograd_input_f32(&w);
        kt_check_f32(t, w.v, 16 * w.v_matrix);
    }
}

static void winograd_output_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        int64_t height = 1 + v.i % 3, width = 1 + v.i % 4, n_out = height * width * v.n;
        int64_t tiles_x = (width + 1) / 2, tiles = (height + 1) / 2 * tiles_x;
        struct fzk_winograd_output_f32 w = {
            .m_row = v.n, .m_matrix = tiles * v.n, .out_pixel = v.n, .out_row = width * v.n,
            .height = height, .width = width, .channels = v.n, .tiles_x = tiles_x,
            .tile_end = tiles, .clip = v.i & 1, .lo = -2, .hi = 1e30f, .residual_pixel = v.n,
            .residual_row = width * v.n};
        w.m = kt_f32(t, 16 * w.m_matrix, v.values);
        w.bias = v.i & 2 ? kt_f32(t, v.n, v.values) : NULL;
        w.residual = v.i & 4 ? kt_f32(t, n_out, v.values) : NULL;
        kt_protect(t);
        w.out = kt_buffer(t, n_out, 4);
        t->k->winograd_output_f32(&w);
        kt_check_f32(t, w.out, n_out);
    }
}

static void pool(struct kt *t, bool average) {
    for (struct visit v = {0}; next(t, &v);) {
        int64_t size = 3 + v.i % 3, out = size - 1;
        struct fzk_pool_f32 p = {
            .in_row = size * v.n, .in_pixel = v.n, .height = size, .width = size,
            .out_row = out * v.n, .out_pixel = v.n, .out_width = out, .channels = v.n,
            .row_end = out, .kernel_h = 2, .kernel_w = 2, .stride_h = 1, .stride_w = 1,
            .dilation_h = 1, .dilation_w = 1};
        p.in = kt_f32(t, size * size * v.n, v.values);
        kt_protect(t);
        p.out = kt_buffer(t, out * out * v.n, 4);
        (average ? t->k->avgpool_f32 : t->k->maxpool_f32)(&p);
        kt_check_f32(t, p.out, out * out * v.n);
    }
}
static void maxpool_f32(struct kt *t) { pool(t, false); }
static void avgpool_f32(struct kt *t) { pool(t, true); }

/* ---- functions: the parameters are of the class, too */

static void unary_f32(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_FN_COUNT; fn++)
        for (struct visit v = {0}; next(t, &v);) {
            float *x = kt_f32(t, v.n, v.values), p[2];
            kt_fill_f32(t, p, 2, v.values);
            kt_protect(t);
            float *y = kt_buffer(t, v.n, 4);
            t->k->unary_f32(fn, y, x, v.n, p[0], p[1]);
            kt_check_f32(t, y, v.n);
        }
}

static void unary_f64(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_FN_COUNT; fn++)
        for (struct visit v = {0}; next(t, &v);) {
            double *x = kt_buffer(t, v.n, 8), p[2];
            kt_fill_f64(t, x, v.n, v.values);
            kt_fill_f64(t, p, 2, v.values);
            kt_protect(t);
            double *y = kt_buffer(t, v.n, 8);
            t->k->unary_f64(fn, y, x, v.n, p[0], p[1]);
            kt_check_f64(t, y, v.n);
        }
}

static void binary_f32(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_BINARY_COUNT; fn++)
        for (struct visit v = {0}; next(t, &v);) {
            int64_t as = v.i % 3 != 1, bs = v.i % 3 != 2;
            float *a = kt_f32(t, as ? v.n : 1, v.values);
            float *b = kt_f32(t, bs ? v.n : 1, v.values);
            kt_protect(t);
            float *y = kt_buffer(t, v.n, 4);
            t->k->binary_f32(fn, y, a, b, v.n, as, bs);
            kt_check_f32(t, y, v.n);
        }
}

static void binary_f64(struct kt *t) {
    for (int32_t fn = 0; fn < FZK_BINARY_COUNT; fn++)
        for (struct visit v = {0}; next(t, &v);) {
            int64_t as = v.i % 3 != 1, bs = v.i % 3 != 2;
            double *a = kt_buffer(t, as ? v.n : 1, 8), *b = kt_buffer(t, bs ? v.n : 1, 8);
            kt_fill_f64(t, a, as ? v.n : 1, v.values);
            kt_fill_f64(t, b, bs ? v.n : 1, v.values);
            kt_protect(t);
            double *y = kt_buffer(t, v.n, 8);
            t->k->binary_f64(fn, y, a, b, v.n, as, bs);
            kt_check_f64(t, y, v.n);
        }
}

/* ---- rows of n */

static void reduce_f32(struct kt *t) {
    for (int32_t op = 0; op < FZK_REDUCE_COUNT; op++)
        for (struct visit v = {0}; next(t, &v);) {
            int64_t inner = v.i % 3 == 0 ? 1 : v.n, n = v.i % 3 == 2 ? 5 : v.n;
            float *x = kt_f32(t, 2 * n * inner, v.values);
            kt_protect(t);
            float *y = kt_buffer(t, 2 * inner, 4);
            t->k->reduce_f32(op, y, x, 2, n, inner);
            kt_check_f32(t, y, 2 * inner);
        }
}

static void minmax_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        float *x = kt_f32(t, v.n, v.values);
        kt_protect(t);
        float *y = kt_buffer(t, 2, 4);
        t->k->minmax_f32(y, x, v.n);
        kt_check_f32(t, y, 2);
    }
}

static void exponentials(struct kt *t, bool logarithm) {
    for (struct visit v = {0}; next(t, &v);) {
        float *x = kt_f32(t, 3 * v.n, v.values);
        kt_protect(t);
        float *y = kt_buffer(t, 3 * v.n, 4);
        (logarithm ? t->k->logsoftmax_f32 : t->k->softmax_f32)(y, x, 3, v.n);
        kt_check_f32(t, y, 3 * v.n);
    }
}
static void softmax_f32(struct kt *t) { exponentials(t, false); }
static void logsoftmax_f32(struct kt *t) { exponentials(t, true); }

static void norm_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        struct fzk_norm_f32 g = {.rows = 3, .n = v.n, .eps = 1e-5f, .rms = v.i & 1};
        g.x = kt_f32(t, 3 * v.n, v.values);
        g.gain = v.i & 2 ? kt_f32(t, v.n, v.values) : NULL;
        g.bias = v.i & 4 ? kt_f32(t, v.n, v.values) : NULL;
        kt_protect(t);
        g.y = kt_buffer(t, 3 * v.n, 4);
        t->k->norm_f32(&g);
        kt_check_f32(t, g.y, 3 * v.n);
    }
}

static void norm_half_f32(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        struct fzk_norm_half_f32 g = {.rows = 3, .n = v.n, .eps = 1e-5f, .round = 1 + (v.i & 1)};
        g.x = kt_f32(t, 3 * v.n, v.values);
        g.gain = kt_f32(t, v.n, v.values);
        g.bias = kt_f32(t, v.n, v.values);
        kt_protect(t);
        g.y = kt_buffer(t, 3 * v.n, 4);
        t->k->norm_half_f32(&g);
        kt_check_f32(t, g.y, 3 * v.n);
    }
}

/* ---- conversions: FROM is f32, or bytes of any value */

#define FROM_F32(name, type, ...)                                                                  \
    static void name(struct kt *t) {                                                               \
        for (struct visit v = {0}; next(t, &v);) {                                             \
            float *x = kt_f32(t, v.n, v.values);                                                   \
            kt_protect(t);                                                                         \
            type *y = kt_buffer(t, v.n, sizeof(type));                                             \
            t->k->name(__VA_ARGS__);                                                               \
            kt_check(t, y, v.n, sizeof(type));                                                     \
        }                                                                                          \
    }
#define TO_F32(name, type, ...)                                                                    \
    static void name(struct kt *t) {                                                               \
        for (struct visit v = {0}; next(t, &v);) {                                             \
            type *x = kt_buffer(t, v.n, sizeof(type));                                             \
            for (int64_t i = 0; i < v.n; i++) x[i] = (type)kt_random(t);                           \
            kt_protect(t);                                                                         \
            float *y = kt_buffer(t, v.n, 4);                                                       \
            t->k->name(__VA_ARGS__);                                                               \
            kt_check_f32(t, y, v.n);                                                               \
        }                                                                                          \
    }
FROM_F32(f32_to_f16, uint16_t, y, x, v.n)
FROM_F32(f32_to_bf16, uint16_t, y, x, v.n)
FROM_F32(f32_to_u8, uint8_t, y, x, v.n)
FROM_F32(f32_to_i8, int8_t, y, x, v.n)
FROM_F32(f32_to_i32, int32_t, y, x, v.n)
FROM_F32(f32_to_i64, int64_t, y, x, v.n)
FROM_F32(f32_to_f8, uint8_t, v.i % FZK_F8_COUNT, v.i >> 3 & 1, y, x, v.n)
FROM_F32(f32_to_e8m0, uint8_t, v.i % 3, v.i >> 2 & 1, y, x, v.n)
FROM_F32(quantize_f32_u8, uint8_t, y, x, v.n, v.i & 1 ? 0.01f : 1e30f, v.i % 256)
FROM_F32(quantize_f32_i8, int8_t, y, x, v.n, v.i & 1 ? 0.01f : 1e-40f, v.i % 256 - 128)
TO_F32(f16_to_f32, uint16_t, y, x, v.n)
TO_F32(bf16_to_f32, uint16_t, y, x, v.n)
TO_F32(u8_to_f32, uint8_t, y, x, v.n)
TO_F32(i8_to_f32, int8_t, y, x, v.n)
TO_F32(i32_to_f32, int32_t, y, x, v.n)
TO_F32(f8_to_f32, uint8_t, v.i % FZK_F4E2M1, y, x, v.n)
TO_F32(e8m0_to_f32, uint8_t, y, x, v.n)
TO_F32(dequantize_u8_f32, uint8_t, y, x, v.n, v.i & 1 ? 3e38f : 1e-40f, v.i % 256)
TO_F32(dequantize_i8_f32, int8_t, y, x, v.n, v.i & 1 ? 0.1f : 1e-40f, v.i % 256 - 128)

static void requantize(struct kt *t, bool is_signed) {
    for (struct visit v = {0}; next(t, &v);) {
        struct fzk_requantize g = {.rows = 2, .n = v.n, .ldacc = v.n, .ldy = v.n,
                                   .m_step = v.i & 1, .zero = is_signed ? -7 : 77};
        int32_t *acc = kt_buffer(t, 2 * v.n, 4);
        for (int64_t i = 0; i < 2 * v.n; i++) acc[i] = (int32_t)kt_random(t);
        g.acc = acc;
        g.m = kt_f32(t, g.m_step ? v.n : 1, v.values);
        kt_protect(t);
        g.y = kt_buffer(t, 2 * v.n, 1);
        (is_signed ? t->k->requantize_i8 : t->k->requantize_u8)(&g);
        kt_check(t, g.y, 2 * v.n, 1);
    }
}
static void requantize_u8(struct kt *t) { requantize(t, false); }
static void requantize_i8(struct kt *t) { requantize(t, true); }

/* ---- bytes: the classes are those of the scales */

static uint8_t *bytes(struct kt *t, int64_t n) {
    uint8_t *p = kt_buffer(t, n, 1);
    kt_fill_bytes(t, p, n);
    return p;
}

static void lut_u8(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        struct fzk_qlut l = {.n = v.n};
        l.x = bytes(t, v.n);
        l.table = bytes(t, 256);
        kt_protect(t);
        l.y = kt_buffer(t, v.n, 1);
        t->k->lut_u8(&l);
        kt_check(t, l.y, v.n, 1);
    }
}

static void transpose_2d(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        int32_t width = 1 << v.i % 4;
        int64_t cols = 1 + v.i % 37;
        uint8_t *x = kt_buffer(t, v.n * cols, (size_t)width);
        kt_fill_bytes(t, x, v.n * cols * width);
        kt_protect(t);
        uint8_t *y = kt_buffer(t, v.n * cols, (size_t)width);
        t->k->transpose_2d(width, y, x, v.n, cols, cols, v.n);
        kt_check(t, y, v.n * cols * width, 1);
    }
}

static void qpool(struct kt *t, bool average) {
    for (struct visit v = {0}; next(t, &v);) {
        struct fzk_qpool p = {.h = 3, .w = 4, .c = v.n, .a_row = 4 * v.n, .a_col = v.n, .y1 = 2,
                              .out_w = 3, .out_row = 3 * v.n, .out_col = v.n, .kh = 2, .kw = 2,
                              .stride_y = 1, .stride_x = 1, .dilation_y = 1, .dilation_x = 1,
                              .is_signed = v.i & 1, .za = 3, .zp = 5, .scale = 0.25f};
        p.lo = p.is_signed ? -128 : 0;
        p.hi = p.lo + 255;
        p.a = bytes(t, 12 * v.n);
        kt_protect(t);
        p.out = kt_buffer(t, 6 * v.n, 1);
        (average ? t->k->qavgpool_u8 : t->k->qmaxpool_u8)(&p);
        kt_check(t, p.out, 6 * v.n, 1);
    }
}
static void qmaxpool_u8(struct kt *t) { qpool(t, false); }
static void qavgpool_u8(struct kt *t) { qpool(t, true); }

static void qbinary(struct kt *t, bool add) {
    for (struct visit v = {0}; next(t, &v);) {
        float s[3];
        kt_fill_f32(t, s, 3, v.values);
        struct fzk_qbinary q = {.n = v.n, .a_step = v.i % 3 != 1, .b_step = v.i % 3 != 2,
                                .is_signed = v.i & 1, .sa = s[0], .sb = s[1], .sc = s[2],
                                .za = 3, .zb = -2, .zc = 5, .lo = v.i & 1 ? -128 : 0};
        q.hi = q.lo + 255;
        q.a = bytes(t, q.a_step ? v.n : 1);
        q.b = bytes(t, q.b_step ? v.n : 1);
        kt_protect(t);
        q.c = kt_buffer(t, v.n, 1);
        (add ? t->k->qadd_u8 : t->k->qmul_u8)(&q);
        kt_check(t, q.c, v.n, 1);
    }
}
static void qadd_u8(struct kt *t) { qbinary(t, true); }
static void qmul_u8(struct kt *t) { qbinary(t, false); }

/* Bytes or floats out of M rows of N sums. */
static struct fzk_qout out_of(struct kt *t, const struct visit *v, int64_t m) {
    struct fzk_qout o = {.kind = v->i & 1 ? FZK_QOUT_8 : FZK_QOUT_F32, .ldc = v->n, .ldr = v->n,
                         .c_run_stride = m * v->n, .r_run_stride = m * v->n, .a_scale = 0.5f,
                         .n_scale = v->i & 2 && v->n ? (int32_t)v->n : 1, .zp = 100, .hi = 255};
    o.scale = kt_f32(t, o.n_scale, v->values);
    if (o.kind == FZK_QOUT_8) return o;
    o.bias_f32 = v->i & 4 ? kt_f32(t, v->n, v->values) : NULL;
    o.residual = v->i & 8 ? kt_f32(t, m * v->n, v->values) : NULL;
    o.row_scale = v->i & 16 ? kt_f32(t, m, v->values) : NULL;
    o.clip = v->i >> 5 & 1;
    o.lo_f = -1;
    o.hi_f = 1e30f;
    return o;
}

static void check_out(struct kt *t, const struct fzk_qout *o, int64_t n) {
    if (o->kind == FZK_QOUT_8) kt_check(t, o->c, n, 1);
    else kt_check_f32(t, o->c, n);
}

static void qgemm_u8s8(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        int64_t m = 1 + v.i % 15, k = 1 + v.i % 67;
        struct fzk_segment segment = {0, k};
        struct fzk_qpack p = {.k_step = v.n, .n_step = 1, .n = v.n, .segments = &segment,
                              .n_segments = 1};
        struct fzk_qgemm g = {.m = m, .n = v.n, .k = k, .lda = k, .segments = &segment,
                              .n_segments = 1, .a_signed = v.i >> 1 & 1, .za = 9};
        g.a = bytes(t, m * k);
        p.data = bytes(t, k * v.n);
        p.b = kt_buffer_aligned(t, fzk_qpack_b_size(&segment, 1, v.n), 1);
        p.col_sum = kt_buffer(t, (v.n + 31) / 32 * 32, 4);
        fzk_qpack_b(&p);
        g.b = p.b;
        g.col_sum = p.col_sum;
        g.out = out_of(t, &v, m);
        kt_protect(t);
        g.out.c = kt_buffer(t, m * v.n, g.out.kind == FZK_QOUT_8 ? 1 : 4);
        t->k->qgemm_u8s8(&g);
        check_out(t, &g.out, m * v.n);
    }
}

static void qdwconv_u8s8(struct kt *t) {
    for (struct visit v = {0}; next(t, &v);) {
        if (v.n == 0) continue; /* a convolution has a channel */
        int64_t kernel = v.i & 8 ? 3 : 5, width = 1 + v.i % 6, in_w = width + kernel - 1;
        struct fzk_qpack_dw p = {.tap_step = v.n, .c_step = 1, .c = v.n, .kh = kernel,
                                 .kw = kernel};
        struct fzk_qdwconv d = {.m_rows = 1, .m_cols = width, .c = v.n, .kh = kernel,
                                .kw = kernel, .stride_y = 1, .stride_x = 1, .dilation_y = 1,
                                .dilation_x = 1, .a_col = v.n, .a_row = in_w * v.n,
                                .a_signed = v.i >> 1 & 1, .za = 9};
        d.a = bytes(t, kernel * in_w * v.n);
        p.data = bytes(t, v.n * kernel * kernel);
        p.w = kt_buffer_aligned(t, fzk_qpack_depthwise_size(v.n, kernel, kernel), 1);
        p.col_sum = kt_buffer(t, (v.n + 31) / 32 * 32, 4);
        fzk_qpack_depthwise(&p);
        d.w = p.w;
        d.col_sum = p.col_sum;
        d.out = out_of(t, &v, width);
        kt_protect(t);
        d.out.c = kt_buffer(t, width * v.n, d.out.kind == FZK_QOUT_8 ? 1 : 4);
        t->k->qdwconv_u8s8(&d);
        check_out(t, &d.out, width * v.n);
    }
}

#define ROW(name) {#name "/values", KT_KERNEL(name), name, NULL},
const struct kt_case value_cases[] = {
    ROW(gemm_f32) ROW(finish_f32) ROW(pack_b_f32) ROW(dwconv_f32) ROW(winograd_input_f32) ROW(winograd_output_f32)
    ROW(maxpool_f32) ROW(avgpool_f32) ROW(unary_f32) ROW(unary_f64) ROW(binary_f32)
    ROW(binary_f64) ROW(reduce_f32) ROW(minmax_f32) ROW(softmax_f32) ROW(logsoftmax_f32)
    ROW(norm_f32) ROW(norm_half_f32) ROW(f16_to_f32) ROW(f32_to_f16) ROW(bf16_to_f32) ROW(f32_to_bf16)
    ROW(f32_to_u8) ROW(f32_to_i8) ROW(f32_to_i32) ROW(f32_to_i64) ROW(u8_to_f32) ROW(i8_to_f32)
    ROW(i32_to_f32) ROW(f32_to_f8) ROW(f8_to_f32) ROW(f32_to_e8m0) ROW(e8m0_to_f32)
    ROW(quantize_f32_u8) ROW(quantize_f32_i8) ROW(dequantize_u8_f32) ROW(dequantize_i8_f32)
    ROW(requantize_u8) ROW(requantize_i8) ROW(lut_u8) ROW(transpose_2d) ROW(qmaxpool_u8)
    ROW(qavgpool_u8) ROW(qadd_u8) ROW(qmul_u8) ROW(qgemm_u8s8) ROW(qdwconv_u8s8)
    {0}};
