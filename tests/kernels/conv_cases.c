/* Cases of the depthwise convolution, the Winograd transforms and run-time packing. On the baseline
 * each is also held against a plain scalar loop here. */
#include <stdio.h>

#include "harness.h"
#include "kernel.h"

/* Equal bits, or both NaN. */
static void expect(struct kt *t, float got, float want, const char *what) {
    if (fzk_bits(got) != fzk_bits(want) && (got == got || want == want))
        kt_fail(t, "%s: %08x instead of %08x", what, fzk_bits(got), fzk_bits(want));
}

static float clip(float x, float lo, float hi) {
    float t = lo > x ? lo : x;
    return hi < t ? hi : t;
}

/* ---- dwconv_f32 */

struct shape {
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
};

static float *panel_weights(struct kt *t, int64_t channels, int64_t taps, enum kt_values values) {
    int64_t panels = (channels + FZK_PANEL - 1) / FZK_PANEL;
    float *w = kt_f32(t, panels * taps * FZK_PANEL, values);
    for (int64_t c = channels; c < panels * FZK_PANEL; c++)
        for (int64_t i = 0; i < taps; i++)
            w[(c / FZK_PANEL * taps + i) * FZK_PANEL + c % FZK_PANEL] = 0;
    return w;
}

static float oracle(const struct fzk_dwconv_f32 *d, int64_t y, int64_t x, int64_t c) {
    float s = 0, sum = 0;
    int64_t taps = d->kernel_h * d->kernel_w;
    for (int64_t i = 0; i < taps; i++) {
        if (i % FZK_K_BLOCK == 0 && i) {
            sum = i == FZK_K_BLOCK ? s : sum + s;
            s = 0;
        }
        int64_t iy = y * d->stride_h + i / d->kernel_w * d->dilation_h;
        int64_t ix = x * d->stride_w + i % d->kernel_w * d->dilation_w;
        s = fzk_fma(d->in[iy * d->in_row + ix * d->in_pixel + c],
                    d->weights[(c / FZK_PANEL * taps + i) * FZK_PANEL + c % FZK_PANEL], s);
    }
    sum = taps > FZK_K_BLOCK ? sum + s : s;
    if (d->bias) sum += d->bias[c];
    return d->clip ? clip(sum, d->lo, d->hi) : sum;
}

static void depthwise(struct kt *t, const struct shape *s, int64_t height, int64_t width,
                      int64_t channels, int flags) {
    kt_step(t, "kernel=%dx%d stride=%dx%d dilation=%dx%d out=%dx%d c=%d flags=%d",
            (int)s->kernel_h, (int)s->kernel_w, (int)s->stride_h, (int)s->stride_w,
            (int)s->dilation_h, (int)s->dilation_w, (int)height, (int)width, (int)channels, flags);
    int64_t in_h = (height - 1) * s->stride_h + (s->kernel_h - 1) * s->dilation_h + 1;
    int64_t in_w = (width - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w + 1;
    struct fzk_dwconv_f32 d = {
        .in_pixel = channels + (flags & 1), .out_pixel = channels + (flags >> 1 & 1),
        .channels = channels, .width = width, .kernel_h = s->kernel_h, .kernel_w = s->kernel_w,
        .stride_h = s->stride_h, .stride_w = s->stride_w, .dilation_h = s->dilation_h,
        .dilation_w = s->dilation_w, .clip = flags >> 2 & 1, .lo = 0, .hi = 6};
    enum kt_values values = flags & 8 ? KT_SPECIAL : KT_WIDE;
    d.in_row = in_w * d.in_pixel;
    d.out_row = width * d.out_pixel;
    d.in = kt_f32(t, in_h * d.in_row - (d.in_pixel - channels), values);
    d.weights = panel_weights(t, channels, s->kernel_h * s->kernel_w, values);
    d.bias = flags & 16 ? NULL : kt_f32(t, channels, values);
    kt_protect(t);
    int64_t n_out = height * d.out_row - (d.out_pixel - channels);
    d.out = kt_buffer(t, n_out, 4);
    /* Two calls, as two threads would make. */
    d.row_end = height * 2 / 3;
    t->k->dwconv_f32(&d);
    d.row_begin = d.row_end;
    d.row_end = height;
    t->k->dwconv_f32(&d);
    kt_check_f32(t, d.out, n_out);
    for (int64_t i = 0; t->baseline && i < height * width * channels; i++) {
        int64_t c = i % channels, x = i / channels % width, y = i / channels / width;
        expect(t, d.out[y * d.out_row + x * d.out_pixel + c], oracle(&d, y, x, c), "dwconv");
    }
}

static void depthwise_shapes(struct kt *t) {
    static const struct shape shapes[] = {
        {3, 3, 1, 1, 1, 1}, {3, 3, 2, 2, 1, 1}, {5, 5, 1, 1, 1, 1}, {5, 5, 2, 2, 1, 1},
        {3, 3, 1, 1, 2, 2}, {1, 5, 1, 1, 1, 1}, {3, 3, 2, 1, 1, 1}, {7, 7, 1, 1, 1, 1},
        {3, 3, 1, 2, 1, 3}, {1, 1, 3, 3, 1, 1}, {2, 4, 2, 2, 3, 1}};
    static const int64_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 16, 22};
    static const int64_t channels[] = {1, 8, 13, 16, 24, 32, 33, 48, 70};
    int n = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (size_t j = 0; j < sizeof widths / sizeof widths[0]; j++, n++) {
            int64_t height = 1 + n % 5, c = channels[n % 9];
            depthwise(t, &shapes[i], height, widths[j], c, n & 31);
            if (t->quick) continue;
            depthwise(t, &shapes[i], 5, widths[j], channels[(n + 4) % 9], n / 2 & 31);
        }
    depthwise(t, &(struct shape){17, 31, 1, 1, 1, 1}, 3, 9, 20, 0); /* more than two blocks */
    depthwise(t, &(struct shape){16, 16, 1, 1, 1, 1}, 2, 8, 40, 4);
    depthwise(t, &(struct shape){1, 257, 1, 1, 1, 1}, 1, 3, 3, 0);
}

static void depthwise_call(const struct fzk_table *k, void *arg) { k->dwconv_f32(arg); }

/* {channels, output size, kernel, stride}: the layers of MobileNetV2 and of EfficientNet. */
static void depthwise_bench(struct kt *t) {
    static const int64_t shape[][4] = {{32, 112, 3, 1}, {96, 56, 3, 2}, {144, 56, 3, 1},
                                       {192, 28, 3, 1}, {384, 14, 3, 1}, {960, 7, 3, 1},
                                       {240, 28, 5, 1}, {672, 14, 5, 1}, {672, 7, 5, 2},
                                       {64, 56, 7, 1}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        int64_t c = shape[i][0], o = shape[i][1], kernel = shape[i][2], stride = shape[i][3];
        int64_t width = (o - 1) * stride + kernel;
        struct fzk_dwconv_f32 d = {.in_pixel = c, .in_row = width * c, .out_pixel = c,
                                   .out_row = o * c, .channels = c, .width = o, .row_end = o,
                                   .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride,
                                   .stride_w = stride, .dilation_h = 1, .dilation_w = 1, .clip = 1,
                                   .hi = 6};
        d.in = kt_f32(t, width * width * c, KT_UNIFORM);
        d.weights = panel_weights(t, c, kernel * kernel, KT_UNIFORM);
        d.bias = kt_f32(t, c, KT_UNIFORM);
        d.out = kt_buffer(t, o * o * c, 4);
        kt_bench(t, 2.0 * (double)(o * o * c * kernel * kernel), depthwise_call, &d,
                 "%dx%dx%d kernel=%d/%d", (int)o, (int)o, (int)c, (int)kernel, (int)stride);
    }
}

/* ---- Winograd */

/* V of one tile and channel by the definition. */
static void input_oracle(const struct fzk_winograd_input_f32 *w, int64_t y, int64_t x, int64_t c,
                         float v[4][4]) {
    float d[4][4], r[4][4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            d[i][j] = y + i < w->height && x + j < w->width
                          ? w->in[(y + i) * w->in_row + (x + j) * w->in_pixel + c] : 0.0f;
    for (int j = 0; j < 4; j++) {
        r[0][j] = d[0][j] - d[2][j];
        r[1][j] = d[1][j] + d[2][j];
        r[2][j] = d[2][j] - d[1][j];
        r[3][j] = d[1][j] - d[3][j];
    }
    for (int i = 0; i < 4; i++) {
        v[i][0] = r[i][0] - r[i][2];
        v[i][1] = r[i][1] + r[i][2];
        v[i][2] = r[i][2] - r[i][1];
        v[i][3] = r[i][1] - r[i][3];
    }
}

static void winograd_input(struct kt *t, int64_t height, int64_t width, int64_t channels) {
    kt_step(t, "in=%dx%d c=%d", (int)height, (int)width, (int)channels);
    int64_t tiles_x = (width - 1) / 2, tiles = (height - 1) / 2 * tiles_x;
    struct fzk_winograd_input_f32 w = {
        .in_row = width * (channels + 3), .in_pixel = channels + 3, .height = height,
        .width = width, .v_row = channels + 1, .channels = channels, .tiles_x = tiles_x,
        .tile_begin = tiles / 3, .tile_end = tiles};
    w.in = kt_f32(t, height * w.in_row - 3, KT_SPECIAL);
    kt_protect(t);
    w.v_matrix = (tiles - w.tile_begin) * w.v_row + 5;
    w.v = kt_buffer(t, 16 * w.v_matrix, 4);
    t->k->winograd_input_f32(&w);
    kt_check_f32(t, w.v, 16 * w.v_matrix);
    for (int64_t i = w.tile_begin * channels; t->baseline && i < tiles * channels; i++) {
        float v[4][4];
        int64_t tile = i / channels, c = i % channels;
        input_oracle(&w, tile / tiles_x * 2, tile % tiles_x * 2, c, v);
        for (int j = 0; j < 16; j++)
            expect(t, w.v[j * w.v_matrix + (tile - w.tile_begin) * w.v_row + c], v[j / 4][j % 4],
                   "V");
    }
}

static void winograd_inputs(struct kt *t) {
    static const int64_t channels[] = {1, 3, 15, 16, 17, 32, 40, 64};
    for (int64_t size = 3; size < 9; size++)
        for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
            winograd_input(t, size, 10 - size + (int64_t)i % 3, channels[i]);
}

/* One output pixel before bias. */
static float output_oracle(const struct fzk_winograd_output_f32 *w, int64_t y, int64_t x,
                           int64_t c) {
    const float *m = w->m + (y / 2 * w->tiles_x + x / 2 - w->tile_begin) * w->m_row + c;
    float s[4];
    for (int j = 0; j < 4; j++) {
        float d[4];
        for (int i = 0; i < 4; i++) d[i] = m[(i * 4 + j) * w->m_matrix];
        s[j] = y % 2 ? (d[1] - d[2]) - d[3] : (d[0] + d[1]) + d[2];
    }
    return x % 2 ? (s[1] - s[2]) - s[3] : (s[0] + s[1]) + s[2];
}

static void winograd_output(struct kt *t, int64_t height, int64_t width, int64_t channels,
                            int flags) {
    kt_step(t, "out=%dx%d c=%d flags=%d", (int)height, (int)width, (int)channels, flags);
    int64_t tiles_x = (width + 1) / 2, tiles = (height + 1) / 2 * tiles_x;
    struct fzk_winograd_output_f32 w = {
        .m_row = channels + 1, .m_matrix = tiles * (channels + 1) + 2, .out_pixel = channels + 1,
        .out_row = width * (channels + 1), .height = height, .width = width, .channels = channels,
        .tiles_x = tiles_x, .tile_end = tiles, .clip = flags & 1, .lo = -2, .hi = 3,
        .residual_pixel = channels, .residual_row = width * channels};
    w.m = kt_f32(t, 16 * w.m_matrix, KT_SPECIAL);
    w.bias = flags & 2 ? kt_f32(t, channels, KT_WIDE) : NULL;
    w.residual = flags & 4 ? kt_f32(t, height * width * channels, KT_WIDE) : NULL;
    kt_protect(t);
    int64_t n_out = height * w.out_row - 1;
    w.out = kt_buffer(t, n_out, 4);
    t->k->winograd_output_f32(&w);
    kt_check_f32(t, w.out, n_out);
    for (int64_t i = 0; t->baseline && i < height * width * channels; i++) {
        int64_t c = i % channels, x = i / channels % width, y = i / channels / width;
        float want = output_oracle(&w, y, x, c);
        if (w.bias) want += w.bias[c];
        if (w.residual) want += w.residual[i];
        if (w.clip) want = clip(want, w.lo, w.hi);
        expect(t, w.out[y * w.out_row + x * w.out_pixel + c], want, "Y");
    }
}

static void winograd_outputs(struct kt *t) {
    static const int64_t channels[] = {1, 3, 15, 16, 17, 32, 40, 64};
    for (int64_t size = 1; size < 7; size++)
        for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
            winograd_output(t, size, 8 - size + (int64_t)i % 3, channels[i], (int)i + (int)size);
}

/* Two values whose rounding is known: U has the kernel's corners, and half sums rounded once. */
static void winograd_weights(struct kt *t) {
    float g[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, u[16];
    fzk_winograd_weights(u, g);
    expect(t, u[0], 1, "U");
    expect(t, u[3], 3, "U");
    expect(t, u[12], 7, "U");
    expect(t, u[15], 9, "U");
    expect(t, u[5], 11.25f, "U");
    expect(t, u[10], 1.25f, "U");
    for (int i = 0; i < 100; i++) {
        kt_fill_f32(t, g, 9, KT_FINITE);
        fzk_winograd_weights(u, g);
        kt_check_f32(t, u, 16);
    }
}

static void input_call(const struct fzk_table *k, void *arg) { k->winograd_input_f32(arg); }
static void output_call(const struct fzk_table *k, void *arg) { k->winograd_output_f32(arg); }

static void winograd_input_bench(struct kt *t) {
    int64_t c = 64, size = 58, tiles = 128;
    struct fzk_winograd_input_f32 w = {.in_row = size * c, .in_pixel = c, .height = size,
                                       .width = size, .v_row = c, .v_matrix = tiles * c + 16,
                                       .channels = c, .tiles_x = 28, .tile_end = tiles};
    w.in = kt_f32(t, size * size * c, KT_UNIFORM);
    w.v = kt_buffer(t, 16 * w.v_matrix, 4);
    kt_bench(t, (double)(tiles * c * 16), input_call, &w, "128 tiles c=64, elements");
}

static void winograd_output_bench(struct kt *t) {
    int64_t c = 64, size = 56, tiles = 128;
    struct fzk_winograd_output_f32 w = {.out_row = size * c, .out_pixel = c, .height = size,
                                        .width = size, .m_row = c, .m_matrix = tiles * c + 16,
                                        .channels = c, .tiles_x = 28, .tile_end = tiles,
                                        .clip = 1, .hi = 6};
    w.m = kt_f32(t, 16 * w.m_matrix, KT_UNIFORM);
    w.bias = kt_f32(t, c, KT_UNIFORM);
    w.out = kt_buffer(t, size * size * c, 4);
    kt_bench(t, (double)(tiles * c * 16), output_call, &w, "128 tiles c=64, elements");
}

/* ---- pack_b_f32 */

static void pack(struct kt *t, int64_t k, int64_t n, int64_t row_stride, int64_t col_stride) {
    kt_step(t, "k=%d n=%d strides=%d,%d", (int)k, (int)n, (int)row_stride, (int)col_stride);
    int64_t panels = (n + FZK_PANEL - 1) / FZK_PANEL;
    int64_t n_b = k && n ? (k - 1) * row_stride + (n - 1) * col_stride + 1 : 0;
    struct fzk_pack_b_f32 p = {.k = k, .n = n, .row_stride = row_stride, .col_stride = col_stride};
    p.b = kt_f32(t, n_b, KT_BITS);
    kt_protect(t);
    p.to = kt_buffer(t, panels * k * FZK_PANEL, 4);
    t->k->pack_b_f32(&p);
    kt_check(t, p.to, panels * k * FZK_PANEL, 4);
    for (int64_t i = 0; t->baseline && i < panels * k * FZK_PANEL; i++) {
        int64_t j = i / (k * FZK_PANEL) * FZK_PANEL + i % FZK_PANEL, row = i / FZK_PANEL % k;
        float want = j < n ? p.b[row * row_stride + j * col_stride] : 0;
        if (memcmp(&want, &p.to[i], 4) != 0) kt_fail(t, "wrong element %d", (int)i);
    }
}

static void packs(struct kt *t) {
    static const int64_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 70};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            pack(t, sizes[i], sizes[j], sizes[j] + (int64_t)j % 3, 1);
            pack(t, sizes[i], sizes[j], 1, sizes[i] + (int64_t)i % 3);
            if ((i + j) % 4 == 0) pack(t, sizes[i], sizes[j], 2, 2 * sizes[i] + 1);
        }
}

static void pack_call(const struct fzk_table *k, void *arg) { k->pack_b_f32(arg); }

static void pack_bench(struct kt *t) {
    int64_t k = 64, n = 256;
    struct fzk_pack_b_f32 p = {.k = k, .n = n, .row_stride = n, .col_stride = 1};
    p.b = kt_f32(t, k * n, KT_UNIFORM);
    p.to = kt_buffer(t, k * n, 4);
    kt_bench(t, 4.0 * (double)(k * n), pack_call, &p, "B, bytes");
    p.row_stride = 1;
    p.col_stride = k;
    kt_bench(t, 4.0 * (double)(k * n), pack_call, &p, "B^T, bytes");
}

const struct kt_case conv_cases[] = {
    {"dwconv_f32/shapes", KT_KERNEL(dwconv_f32), depthwise_shapes, depthwise_bench},
    {"winograd_input_f32/shapes", KT_KERNEL(winograd_input_f32), winograd_inputs,
     winograd_input_bench},
    {"winograd_output_f32/shapes", KT_KERNEL(winograd_output_f32), winograd_outputs,
     winograd_output_bench},
    {"winograd_weights/values", KT_KERNEL(winograd_input_f32), winograd_weights, NULL},
    {"pack_b_f32/shapes", KT_KERNEL(pack_b_f32), packs, pack_bench},
    {0}};
