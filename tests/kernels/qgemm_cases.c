/* Cases of the integer GEMM. */
#include "harness.h"

enum { FULL_RANGE = -1 };

/* What a step varies. */
struct what {
    int64_t m, n;
    struct fzk_segment segments[8];
    int64_t n_segments;
    int kind;
    bool a_signed, za_rows, zb, bias, options; /* options: of the output's kind */
    int64_t run;                               /* rows in a run, 0: one */
    int64_t lda, gap;                          /* 0: any; rows between the runs of A */
    int a_byte, b_byte;                        /* FULL_RANGE or one value everywhere */
};

static int64_t end_of(const struct what *w) {
    int64_t end = 0;
    for (int64_t s = 0; s < w->n_segments; s++)
        if (w->segments[s].off + w->segments[s].len > end)
            end = w->segments[s].off + w->segments[s].len;
    return end;
}

static int64_t total(const struct what *w) {
    int64_t k = 0;
    for (int64_t s = 0; s < w->n_segments; s++) k += w->segments[s].len;
    return k;
}

/* The last element of M rows by runs, plus one. */
static int64_t span(int64_t m, int64_t run, int64_t ld, int64_t run_stride, int64_t row) {
    if (m == 0) return 0;
    if (!run) return (m - 1) * ld + row;
    int64_t longest = m < run ? m : run;
    int64_t a = (m - 1) / run * run_stride + (m - 1) % run * ld + row;
    int64_t b = m / run ? (m / run - 1) * run_stride + (longest - 1) * ld + row : 0;
    return a > b ? a : b;
}

static void *bytes(struct kt *t, int64_t n, int byte) {
    uint8_t *p = kt_buffer(t, n, 1);
    if (byte == FULL_RANGE) kt_fill_bytes(t, p, n);
    else if (n) memset(p, byte, (size_t)n);
    return p;
}

static int32_t *ints(struct kt *t, int64_t n, int64_t lo, int64_t hi) {
    int32_t *p = kt_buffer(t, n, 4);
    for (int64_t i = 0; i < n; i++) p[i] = (int32_t)kt_range(t, lo, hi);
    return p;
}

/* Scales that put sums of K terms around the range of 8 bits, now and then far beyond. */
static float *scales(struct kt *t, int64_t n, int64_t k, bool special) {
    float *p = kt_buffer(t, n, 4);
    for (int64_t i = 0; i < n; i++) {
        p[i] = (float)kt_range(t, 1, 1 << 20) * 0x1p-20f / (float)(k * 16 + 1);
        if (kt_range(t, 0, 7) == 0) p[i] = 0.5f;
        if (special && kt_range(t, 0, 5) == 0) kt_fill_f32(t, p + i, 1, KT_SPECIAL);
    }
    return p;
}

static void pack(struct kt *t, const struct what *w, struct fzk_qgemm *g) {
    int64_t k = total(w);
    int8_t *data = bytes(t, k * w->n, w->b_byte);
    int64_t size = fzk_qpack_b_size(w->segments, w->n_segments, w->n);
    int8_t *b = kt_buffer_aligned(t, size, 1);
    int32_t *col_sum = kt_buffer(t, (w->n + 31) / 32 * 32, 4);
    struct fzk_qpack p = {.data = data, .k_step = w->n, .n_step = 1, .n = w->n, .b = b,
                          .segments = w->segments, .n_segments = w->n_segments,
                          .col_sum = col_sum};
    fzk_qpack_b(&p);
    g->b = b;
    g->col_sum = col_sum;
}

static void set_out(struct kt *t, const struct what *w, struct fzk_qgemm *g) {
    struct fzk_qout *o = &g->out;
    o->kind = w->kind;
    o->ldc = w->n + (w->run ? 3 : 0);
    o->c_run_stride = w->run * o->ldc + 7;
    o->bias_i32 = w->bias ? ints(t, w->n, -100000, 100000) : NULL;
    if (w->kind == FZK_QOUT_I32) return;
    o->n_scale = (int32_t)(w->n == 1 || kt_range(t, 0, 3) == 0 ? 1 : w->n);
    o->scale = scales(t, o->n_scale, g->k, w->options && w->kind == FZK_QOUT_8);
    o->a_scale = 0.037f;
    if (w->kind == FZK_QOUT_8) {
        bool s8 = kt_range(t, 0, 1);
        o->lo = s8 ? -128 : 0;
        o->hi = s8 ? 127 : 255;
        o->zp = (int32_t)kt_range(t, o->lo, o->hi);
        if (w->options) o->lo = o->zp;
        if (w->options && o->hi > o->zp + 60) o->hi = o->zp + 60;
        if (w->options && s8 && o->lo >= 0) o->lo = -1;
    } else if (w->options) {
        o->row_scale = scales(t, w->m, 1, false);
        o->bias_f32 = kt_f32(t, w->n, KT_WIDE);
        o->ldr = w->n + 1;
        o->r_run_stride = w->run * o->ldr + 2;
        o->residual =
            kt_f32(t, span(w->m, w->run, o->ldr, o->r_run_stride, w->n), KT_FINITE);
        o->clip = 1;
        o->lo_f = -0.5f;
        o->hi_f = 3.25f;
    }
}

static void product(struct kt *t, const struct what *w) {
    int64_t k = total(w);
    kt_step(t, "m=%d n=%d k=%d segments=%d kind=%d a_signed=%d za_rows=%d zb=%d options=%d run=%d",
            (int)w->m, (int)w->n, (int)k, (int)w->n_segments, w->kind, w->a_signed, w->za_rows,
            w->zb, w->options, (int)w->run);
    struct fzk_qgemm g = {.m = w->m, .n = w->n, .k = k, .segments = w->segments, .run = w->run,
                          .n_segments = w->n_segments, .a_signed = w->a_signed};
    int za_lo = w->a_signed ? -128 : 0, za_hi = w->a_signed ? 127 : 255;
    /* Rows overlap as those of a convolution do, unless there is only one segment. */
    g.lda = w->n_segments > 1 ? 3 : k + (w->bias ? 5 : 0);
    g.run_stride = w->run * g.lda + 11;
    if (w->lda) {
        g.lda = w->lda;
        g.run_stride = (w->run + w->gap) * g.lda;
    }
    g.a = bytes(t, span(w->m, w->run, g.lda, g.run_stride, end_of(w)), w->a_byte);
    g.za = (int32_t)kt_range(t, za_lo, za_hi);
    pack(t, w, &g);
    if (w->za_rows) g.za_rows = ints(t, w->m, za_lo, za_hi);
    if (w->zb) g.zb = ints(t, w->n, -128, 255);
    set_out(t, w, &g);
    kt_protect(t);
    size_t width = w->kind == FZK_QOUT_8 ? 1 : 4;
    int64_t n_c = span(w->m, w->run, g.out.ldc, g.out.c_run_stride, w->n);
    g.out.c = kt_buffer(t, n_c, width);
    t->k->qgemm_u8s8(&g);
    if (w->kind == FZK_QOUT_F32) kt_check_f32(t, g.out.c, n_c);
    else kt_check(t, g.out.c, n_c, width);
}

/* Everything that is not a size, at random. */
static struct what any(struct kt *t, int64_t m, int64_t n) {
    struct what w = {.m = m, .n = n, .a_byte = FULL_RANGE, .b_byte = FULL_RANGE};
    w.kind = (int)kt_range(t, 0, 2);
    w.a_signed = kt_range(t, 0, 1);
    w.za_rows = kt_range(t, 0, 3) == 0;
    w.zb = kt_range(t, 0, 3) == 0;
    w.bias = kt_range(t, 0, 1);
    w.options = kt_range(t, 0, 1);
    w.run = kt_range(t, 0, 2) ? 0 : kt_range(t, 1, 9);
    return w;
}

static void small(struct kt *t) {
    for (int i = 0; i < (t->quick ? 300 : 3000); i++) {
        int64_t n = kt_range(t, 0, 40), m = kt_range(t, 0, 40);
        struct what w = any(t, m, n);
        w.segments[0] = (struct fzk_segment){0, kt_range(t, 0, 40)};
        w.n_segments = 1;
        product(t, &w);
    }
}

/* Every number of rows of a tile with every width of a panel. */
static void tiles(struct kt *t) {
    for (int64_t m = 1; m <= 31; m++)
        for (int64_t n = 1; n <= 70; n += t->quick ? 7 : 1) {
            struct what w = any(t, m, n);
            w.segments[0] = (struct fzk_segment){0, kt_range(t, 1, 9)};
            w.n_segments = 1;
            product(t, &w);
        }
}

static void segments(struct kt *t) {
    for (int i = 0; i < (t->quick ? 200 : 2000); i++) {
        int64_t n = kt_range(t, 1, 70), m = kt_range(t, 1, 33);
        struct what w = any(t, m, n);
        w.n_segments = kt_range(t, 2, 8);
        for (int64_t s = 0; s < w.n_segments; s++) {
            w.segments[s].off = kt_range(t, 0, 90);
            w.segments[s].len = kt_range(t, 0, 21);
        }
        product(t, &w);
    }
}

/* The largest sums that int8 can give: every path must hold them exactly. */
static void extremes(struct kt *t) {
    static const int pairs[][3] = {{0, 0xFF, 0x7F}, {0, 0xFF, 0x80}, {1, 0x80, 0x80},
                                   {1, 0x80, 0x7F}, {1, 0x7F, 0x80}, {0, FULL_RANGE, 0x80}};
    static const int64_t ks[] = {2, 4, 64, 4096, 4609, 65793, 131071};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        for (size_t j = 0; j < sizeof ks / sizeof ks[0]; j++) {
            int64_t n = kt_range(t, 1, 20), m = kt_range(t, 1, 5);
            struct what w = any(t, m, n);
            if (t->quick && j > 4 && i > 1) continue;
            w.a_signed = pairs[i][0];
            w.a_byte = pairs[i][1];
            w.b_byte = pairs[i][2];
            w.segments[0] = (struct fzk_segment){0, ks[j]};
            w.n_segments = 1;
            product(t, &w);
        }
}

/* The sums at the limits of K, against their known values: every product is A - ZA times B - ZB. */
static void limit(struct kt *t, int64_t m, int64_t n, int64_t k, const int value[5]) {
    const int a = value[1], za = value[2], b = value[3], zb = value[4];
    kt_step(t, "m=%d n=%d k=%d a=%d za=%d b=%d zb=%d", (int)m, (int)n, (int)k, a, za, b, zb);
    struct what w = {.m = m, .n = n, .segments = {{0, k}}, .n_segments = 1, .b_byte = b & 0xFF};
    struct fzk_qgemm g = {.m = m, .n = n, .k = k, .lda = k, .segments = w.segments,
                          .n_segments = 1, .za = za, .a_signed = value[0]};
    g.a = bytes(t, m * k, a & 0xFF);
    pack(t, &w, &g);
    if (zb) g.zb = ints(t, n, zb, zb);
    kt_protect(t);
    int32_t *c = kt_buffer(t, m * n, 4), want = (int32_t)(k * (a - za) * (b - zb));
    g.out = (struct fzk_qout){.kind = FZK_QOUT_I32, .c = c, .ldc = n};
    t->k->qgemm_u8s8(&g);
    for (int64_t i = 0; i < m * n; i++)
        if (c[i] != want) kt_fail(t, "sum %d is %d, not %d", (int)i, (int)c[i], (int)want);
    kt_check(t, c, m * n, 4);
}

/* 255 * 255 * 33,025, 255 * 128 * 65,793 and 128 * 128 * 131,071 are the last below 2^31. All K but
 * the last are one over a multiple of four. */
static void limits(struct kt *t) {
    static const int values[][5] = {
        {0, 255, 0, 127, 0},      {0, 255, 0, -128, 0},      {0, 0, 255, -128, 0},
        {0, 255, 0, 127, -128},   {0, 0, 255, -128, 127},    {0, 0, 255, 127, -128},
        {1, -128, 0, -128, 0},    {1, 127, 0, -128, 0},      {1, -128, 127, -128, 127},
        {1, 127, -128, 127, -128}};
    static const int64_t ks[] = {1, 5, 33, 33025, 65793, 131071};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (size_t j = 0; j < sizeof ks / sizeof ks[0]; j++) {
            int64_t a = values[i][1] - values[i][2], b = values[i][3] - values[i][4];
            int64_t most = (a < 0 ? -a : a) * (b < 0 ? -b : b);
            if (ks[j] * most >= (int64_t)1 << 31) continue;
            limit(t, j < 3 ? 29 : 1, j < 3 ? 71 : 9, ks[j], values[i]);
            if (j == 3 && i == 4) limit(t, 13, 37, ks[j], values[i]);
        }
}

/* Sizes that make several blocks of rows and many panels. */
static void blocks(struct kt *t) {
    static const int64_t shape[][3] = {{300, 40, 33}, {229, 97, 16}, {57, 33, 9000}, {1, 999, 513},
                                       {4, 513, 1111}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        struct what w = any(t, shape[i][0], shape[i][1]);
        w.segments[0] = (struct fzk_segment){0, shape[i][2]};
        w.n_segments = 1;
        product(t, &w);
    }
}

/* Calls with work enough for tiles of AMX: rows by runs, by all runs as one, and copied; chunks of k
 * that divide a segment and that do not. */
static void larger(struct kt *t) {
    for (int i = 0; i < (t->brief ? 30 : t->quick ? 120 : 1200); i++) {
        int64_t n = kt_range(t, 1, 100), least = 1 << 18, off = 0;
        int64_t len = kt_range(t, 0, 3) ? 4 * kt_range(t, 3, 50) : kt_range(t, 40, 700);
        struct what w = any(t, 0, n);
        w.n_segments = kt_range(t, 0, 1) ? 1 : kt_range(t, 2, 8);
        w.lda = w.n_segments > 1 ? kt_range(t, 1, 90) : len;
        for (int64_t s = 0; s < w.n_segments; s++, off += 70)
            w.segments[s] = (struct fzk_segment){off, len};
        if (kt_range(t, 0, 5) == 0) w.segments[0].len += 4;
        w.m = least / (n * total(&w)) + kt_range(t, 8, 50);
        if (w.run) w.run = kt_range(t, 1, 60);
        w.gap = kt_range(t, 0, 3);
        if (w.run && kt_range(t, 0, 1)) w.m = (w.m + w.run - 1) / w.run * w.run;
        product(t, &w);
    }
}

/* The largest sums in tiles. */
static void larger_extremes(struct kt *t) {
    static const int pairs[][3] = {{0, 0xFF, 0x7F}, {0, 0xFF, 0x80}, {1, 0x80, 0x80},
                                   {1, 0x80, 0x7F}, {1, 0x7F, 0x80}, {0, FULL_RANGE, 0x80}};
    static const int64_t ks[] = {512, 4608, 65792, 131068};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        for (size_t j = 0; j < sizeof ks / sizeof ks[0]; j++) {
            struct what w = any(t, 17, j < 1 ? 37 : 5);
            if (t->quick && j > 1 && (i > 2 || t->brief)) continue;
            w.a_signed = pairs[i][0];
            w.a_byte = pairs[i][1];
            w.b_byte = pairs[i][2];
            w.segments[0] = (struct fzk_segment){0, ks[j]};
            w.n_segments = 1;
            product(t, &w);
        }
    static const int last[][6] = {{0, 255, 0, 127, -128, 33024}, {0, 0, 255, -128, 127, 33024},
                                  {0, 255, 0, -128, 0, 65792},   {1, -128, 0, -128, 0, 131068},
                                  {1, 127, -128, -128, 0, 65792}};
    for (size_t i = 0; i < (t->brief ? 2 : sizeof last / sizeof last[0]); i++)
        limit(t, 19, 3, last[i][5], last[i]);
}

/* 255 x 127 over 64 k is 2,072,640: what saturating instructions miss. The baseline proves the
 * definition itself. */
static void known(struct kt *t) {
    kt_step(t, "255 x 127 x 64");
    uint8_t *a = bytes(t, 64, 0xFF);
    int8_t *data = bytes(t, 64, 0x7F), *b = kt_buffer_aligned(t, 64 * 32, 1);
    int32_t *col_sum = kt_buffer(t, 32, 4), *c = kt_buffer(t, 1, 4);
    struct fzk_segment segment = {0, 64};
    struct fzk_qpack p = {.data = data, .k_step = 1, .n = 1, .segments = &segment, .b = b,
                          .n_segments = 1, .col_sum = col_sum};
    fzk_qpack_b(&p);
    struct fzk_qgemm g = {.m = 1, .n = 1, .k = 64, .a = a, .lda = 64, .segments = &segment,
                          .n_segments = 1, .b = b, .col_sum = col_sum,
                          .out = {.c = c, .ldc = 1, .kind = FZK_QOUT_I32}};
    t->k->qgemm_u8s8(&g);
    if (*c != 2072640) kt_fail(t, "the sum is %d", (int)*c);
    g.za = 5;
    g.zb = ints(t, 1, -3, -3);
    t->k->qgemm_u8s8(&g);
    if (*c != 64 * 250 * 130) kt_fail(t, "with zero points the sum is %d", (int)*c);
    kt_check(t, c, 1, 4);
}

/* Round half to even of a double within +-2^31. */
static int64_t nearest_even(double x) {
    int64_t floor = (int64_t)x - (x < (double)(int64_t)x);
    double rest = x - (double)floor;
    return floor + (rest > 0.5 || (rest == 0.5 && (floor & 1)));
}

/* What a quantised convolution's definition says, in other words than the kernel's. */
static uint8_t oracle(const uint8_t *a, const uint8_t *w, int64_t k, int za, int zw, float scale,
                      int zp) {
    int64_t sum = 0;
    for (int64_t i = 0; i < k; i++) sum += (a[i] - za) * (w[i] - zw);
    int64_t q = nearest_even((double)((float)sum * scale)) + zp;
    return (uint8_t)(q < 0 ? 0 : q > 255 ? 255 : q);
}

/* u8 weights with zero points, stored as [n][k]. */
static void unsigned_weights(struct kt *t) {
    for (int i = 0; i < 100; i++) {
        int64_t m = kt_range(t, 1, 9), n = kt_range(t, 1, 50), k = kt_range(t, 1, 60);
        kt_step(t, "m=%d n=%d k=%d", (int)m, (int)n, (int)k);
        struct fzk_segment segment = {0, k};
        uint8_t *a = bytes(t, m * k, FULL_RANGE), *w = bytes(t, n * k, FULL_RANGE);
        uint8_t *c = kt_buffer(t, m * n, 1);
        int32_t *zw = ints(t, n, 0, 255), *zb = ints(t, n, 0, 0), za = 77;
        for (int64_t j = 0; j < n; j++) zb[j] = zw[j] - 128;
        struct fzk_qpack p = {.data = w, .k_step = 1, .n_step = k, .n = n, .is_unsigned = 1,
                              .offset = 128, .segments = &segment, .n_segments = 1};
        p.b = kt_buffer_aligned(t, fzk_qpack_b_size(&segment, 1, n), 1);
        p.col_sum = kt_buffer(t, (n + 31) / 32 * 32, 4);
        fzk_qpack_b(&p);
        float *scale = scales(t, n, k, false);
        struct fzk_qgemm g = {.m = m, .n = n, .k = k, .a = a, .lda = k, .segments = &segment,
                              .n_segments = 1, .b = p.b, .col_sum = p.col_sum, .zb = zb, .za = za,
                              .out = {.c = c, .ldc = n, .kind = FZK_QOUT_8, .scale = scale,
                                      .n_scale = (int32_t)n, .zp = 100, .hi = 255}};
        t->k->qgemm_u8s8(&g);
        for (int64_t r = 0; r < m; r++)
            for (int64_t j = 0; j < n; j++) {
                uint8_t want = oracle(a + r * k, w + j * k, k, za, zw[j], scale[j], 100);
                if (c[r * n + j] != want)
                    kt_fail(t, "%d, %d is %d, not %d", (int)r, (int)j, c[r * n + j], want);
            }
        kt_check(t, c, m * n, 1);
    }
}

/* ---- benchmarks */

static void call(const struct fzk_table *k, void *arg) { k->qgemm_u8s8(arg); }

static void bench_one(struct kt *t, const struct what *w, int64_t lda, const char *name) {
    int64_t k = total(w);
    struct fzk_qgemm g = {.m = w->m, .n = w->n, .k = k, .lda = lda, .segments = w->segments,
                          .n_segments = w->n_segments, .a_signed = w->a_signed, .za = 3};
    g.run = w->run;
    g.run_stride = (w->run + w->gap) * lda;
    g.a = bytes(t, span(w->m, w->run, lda, g.run_stride, end_of(w)), FULL_RANGE);
    pack(t, w, &g);
    set_out(t, w, &g);
    g.out.ldc = w->n;
    g.out.c_run_stride = w->run * w->n;
    g.out.c = kt_buffer(t, w->m * w->n, w->kind == FZK_QOUT_8 ? 1 : 4);
    kt_bench(t, 2.0 * (double)(w->m * w->n * k), call, &g, "%s %dx%dx%d kind %d%s", name,
             (int)w->m, (int)w->n, (int)k, w->kind, w->a_signed ? " s8" : "");
}

static void bench(struct kt *t) {
    static const int64_t shape[][3] = {{512, 512, 512}, {3136, 64, 64}, {784, 192, 32},
                                       {3136, 96, 24}, {49, 960, 160}, {128, 768, 3072},
                                       {128, 768, 768}, {1, 1000, 2048}, {4, 1000, 2048}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        kt_step(t, "qgemm_u8s8");
        struct what w = {.m = shape[i][0], .n = shape[i][1], .segments = {{0, shape[i][2]}},
                         .n_segments = 1, .kind = FZK_QOUT_8, .bias = true,
                         .a_byte = FULL_RANGE, .b_byte = FULL_RANGE};
        bench_one(t, &w, shape[i][2], "gemm");
        if (i > 1) continue;
        w.a_signed = true;
        bench_one(t, &w, shape[i][2], "gemm");
        w.a_signed = false;
        w.kind = FZK_QOUT_F32;
        w.options = true;
        bench_one(t, &w, shape[i][2], "gemm");
        w.kind = FZK_QOUT_I32;
        bench_one(t, &w, shape[i][2], "gemm");
    }
    /* Products that the operators make: whole images of 3 x 3 convolutions, large matrices. */
    static const int64_t image[][3] = {{56, 64, 64}, {28, 128, 128}, {14, 256, 256}, {40, 80, 80}};
    for (size_t i = 0; i < sizeof image / sizeof image[0]; i++) {
        kt_step(t, "qgemm_u8s8");
        int64_t side = image[i][0], c = image[i][1], row = (side + 2) * c;
        struct what w = {.m = side * side, .n = image[i][2], .n_segments = 3, .run = side,
                         .lda = c, .gap = 2, .kind = FZK_QOUT_8, .bias = true,
                         .a_byte = FULL_RANGE, .b_byte = FULL_RANGE};
        for (int64_t s = 0; s < 3; s++) w.segments[s] = (struct fzk_segment){s * row, 3 * c};
        bench_one(t, &w, c, "conv 3x3");
    }
    static const int64_t large[][3] = {{1024, 1024, 1024}, {256, 1024, 4096}};
    for (size_t i = 0; i < 2; i++) {
        kt_step(t, "qgemm_u8s8");
        struct what w = {.m = large[i][0], .n = large[i][1], .segments = {{0, large[i][2]}},
                         .n_segments = 1, .kind = FZK_QOUT_8, .bias = true,
                         .a_byte = FULL_RANGE, .b_byte = FULL_RANGE};
        bench_one(t, &w, large[i][2], "gemm");
    }
    /* Output rows of 3 x 3 convolutions: 56 x 64 x 64, 14 x 256 x 256, 112 x 3 x 32 (7 x 7). */
    static const int64_t conv[][4] = {{56, 64, 64, 3}, {14, 256, 256, 3}, {112, 3, 64, 7}};
    for (size_t i = 0; i < sizeof conv / sizeof conv[0]; i++) {
        kt_step(t, "qgemm_u8s8");
        int64_t taps = conv[i][3], c = conv[i][1], row = (conv[i][0] + taps - 1) * c;
        struct what w = {.m = conv[i][0], .n = conv[i][2], .n_segments = taps,
                         .kind = FZK_QOUT_8, .bias = true, .a_byte = FULL_RANGE,
                         .b_byte = FULL_RANGE};
        for (int64_t s = 0; s < taps; s++) w.segments[s] = (struct fzk_segment){s * row, taps * c};
        bench_one(t, &w, c, "conv row");
    }
}

const struct kt_case qgemm_cases[] = {
    {"qgemm_u8s8/small", KT_KERNEL(qgemm_u8s8), small, bench},
    {"qgemm_u8s8/tiles", KT_KERNEL(qgemm_u8s8), tiles, NULL},
    {"qgemm_u8s8/segments", KT_KERNEL(qgemm_u8s8), segments, NULL},
    {"qgemm_u8s8/extremes", KT_KERNEL(qgemm_u8s8), extremes, NULL},
    {"qgemm_u8s8/limits", KT_KERNEL(qgemm_u8s8), limits, NULL},
    {"qgemm_u8s8/blocks", KT_KERNEL(qgemm_u8s8), blocks, NULL},
    {"qgemm_u8s8/larger", KT_KERNEL(qgemm_u8s8), larger, NULL},
    {"qgemm_u8s8/larger_extremes", KT_KERNEL(qgemm_u8s8), larger_extremes, NULL},
    {"qgemm_u8s8/known", KT_KERNEL(qgemm_u8s8), known, NULL},
    {"qgemm_u8s8/unsigned_weights", KT_KERNEL(qgemm_u8s8), unsigned_weights, NULL},
    {0}};
