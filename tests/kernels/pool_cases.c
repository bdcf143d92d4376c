/* Cases of float pooling, held against plain loops on the baseline. */
#include "harness.h"
#include "kernel.h"

struct shape {
    int64_t kernel, stride, dilation, pad, end;
};

static bool real_tap(const struct fzk_pool_f32 *p, int64_t y, int64_t x) {
    return y >= 0 && x >= 0 && y < p->height && x < p->width;
}

/* The maximum by its definition: NaN if there is one, else the larger, +0 over -0. */
static float larger(float a, float b) {
    if (a != a || b != b) return a != a ? a : b;
    if (a == b) return fzk_bits(a) >> 31 ? b : a;
    return a > b ? a : b;
}

static float oracle(const struct fzk_pool_f32 *p, bool average, int64_t oy, int64_t ox, int64_t c) {
    float best = -__builtin_inff(), sum = 0;
    int64_t inside = 0, padded = 0;
    for (int64_t i = 0; i < p->kernel_h * p->kernel_w; i++) {
        int64_t y = oy * p->stride_h + i / p->kernel_w * p->dilation_h - p->pad_h;
        int64_t x = ox * p->stride_w + i % p->kernel_w * p->dilation_w - p->pad_w;
        padded += y < p->height + p->end_h && x < p->width + p->end_w;
        if (!real_tap(p, y, x)) continue;
        inside++;
        best = larger(best, p->in[y * p->in_row + x * p->in_pixel + c]);
        sum += p->in[y * p->in_row + x * p->in_pixel + c];
    }
    return average ? sum / (float)(p->count_pad ? padded : inside) : best;
}

/* HEIGHT x WIDTH pixels; the last window may hang over the end by less than a stride, as ceil_mode
 * allows. */
static void pool(struct kt *t, bool average, const struct shape *s, int64_t height, int64_t width,
                 int64_t channels, int64_t count_pad) {
    int64_t extent = (s->kernel - 1) * s->dilation + 1;
    int64_t out_h = (height + s->pad + s->end - extent) / s->stride + 1;
    int64_t out_w = (width + s->pad + s->end - extent + s->stride - 1) / s->stride + 1;
    if ((out_w - 1) * s->stride - s->pad >= width) out_w--;
    kt_step(t, "kernel=%d stride=%d dilation=%d pad=%d in=%dx%d c=%d", (int)s->kernel,
            (int)s->stride, (int)s->dilation, (int)s->pad, (int)height, (int)width, (int)channels);
    struct fzk_pool_f32 p = {
        .in_row = width * (channels + 1), .in_pixel = channels + 1, .height = height,
        .width = width, .out_row = out_w * channels, .out_pixel = channels, .out_width = out_w,
        .channels = channels, .row_end = out_h, .kernel_h = s->kernel, .kernel_w = s->kernel,
        .stride_h = s->stride, .stride_w = s->stride, .dilation_h = s->dilation,
        .dilation_w = s->dilation, .pad_h = s->pad, .pad_w = s->pad, .end_h = s->end,
        .end_w = s->end, .count_pad = count_pad};
    p.in = kt_f32(t, height * p.in_row - 1, KT_SPECIAL);
    kt_protect(t);
    p.out = kt_buffer(t, out_h * p.out_row, 4);
    (average ? t->k->avgpool_f32 : t->k->maxpool_f32)(&p);
    kt_check_f32(t, p.out, out_h * p.out_row);
    for (int64_t i = 0; t->baseline && i < out_h * out_w * channels; i++) {
        float want = oracle(&p, average, i / channels / out_w, i / channels % out_w, i % channels);
        if (fzk_bits(p.out[i]) != fzk_bits(want) && (p.out[i] == p.out[i] || want == want))
            kt_fail(t, "element %d is %08x instead of %08x", (int)i, fzk_bits(p.out[i]),
                    fzk_bits(want));
    }
}

static void pools(struct kt *t, bool average) {
    static const struct shape shapes[] = {{2, 2, 1, 0, 0}, {3, 2, 1, 1, 1}, {3, 1, 1, 1, 1},
                                          {3, 2, 1, 0, 1}, {2, 1, 2, 1, 1}, {5, 3, 1, 2, 2},
                                          {1, 1, 1, 0, 0}, {4, 4, 1, 0, 0}, {9, 1, 1, 4, 4}};
    static const int64_t channels[] = {1, 7, 16, 32, 33, 70};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (size_t j = 0; j < sizeof channels / sizeof channels[0]; j++)
            pool(t, average, &shapes[i], 5 + (int64_t)j, 12 - (int64_t)j, channels[j], j & 1);
}

static void maxpools(struct kt *t) { pools(t, false); }
static void avgpools(struct kt *t) { pools(t, true); }

static void max_call(const struct fzk_table *k, void *arg) { k->maxpool_f32(arg); }
static void average_call(const struct fzk_table *k, void *arg) { k->avgpool_f32(arg); }

static void bench(struct kt *t, bool average) {
    int64_t c = 64, size = 112, out = 56;
    struct fzk_pool_f32 p = {.in_row = size * c, .in_pixel = c, .height = size, .width = size,
                             .out_row = out * c, .out_pixel = c, .out_width = out, .channels = c,
                             .row_end = out, .kernel_h = 3, .kernel_w = 3, .stride_h = 2,
                             .stride_w = 2, .dilation_h = 1, .dilation_w = 1, .pad_h = 1,
                             .pad_w = 1, .end_h = 1, .end_w = 1};
    p.in = kt_f32(t, size * size * c, KT_UNIFORM);
    p.out = kt_buffer(t, out * out * c, 4);
    kt_bench(t, (double)(out * out * c * 9), average ? average_call : max_call, &p,
             "112x112x64 kernel=3/2, taps");
}
static void max_bench(struct kt *t) { bench(t, false); }
static void average_bench(struct kt *t) { bench(t, true); }

const struct kt_case pool_cases[] = {
    {"maxpool_f32/shapes", KT_KERNEL(maxpool_f32), maxpools, max_bench},
    {"avgpool_f32/shapes", KT_KERNEL(avgpool_f32), avgpools, average_bench},
    {0}};
