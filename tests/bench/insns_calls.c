/* Calls kernels once each, reference and best version, between count_begin() and count_end(): see
 * insns_plugin.c. Each line says what was called and how many vectors of four results (of
 * multiply-adds, for products) that makes; the plugin's line with the counts follows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

void count_begin(void);
void count_end(void);
__attribute__((noinline)) void count_begin(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) void count_end(void) { __asm__ volatile("" ::: "memory"); }

enum { FLOATS = 1 << 20, N = 4096, WIDE = 64 };
static float x[FLOATS], y[FLOATS], z[FLOATS];
static uint16_t half[N];
static uint8_t bytes[N];
static int32_t words[N];
static const struct fzk_table *k;
static const char *version;

static void head(const char *name, double vectors) {
    printf("%-30s %-5s %.0f ", name, version, vectors);
    fflush(stdout);
    count_begin();
}

static void gemm(int64_t m, int64_t n, int64_t depth) {
    struct fzk_segment segment = {.len = depth};
    struct fzk_gemm_f32 g = {.m = m, .n = n, .k = depth, .a = x, .lda = depth, .b = y, .c = z,
                             .ldc = n, .segments = &segment, .n_segments = 1, .bias = x, .clip = 1,
                             .hi = 6};
    char name[64];
    snprintf(name, sizeof name, "gemm_f32 %dx%dx%d", (int)m, (int)n, (int)depth);
    head(name, (double)(m * n * depth) / 4);
    k->gemm_f32(&g);
    count_end();
}

static void dwconv(int64_t size, int64_t kernel, int64_t stride) {
    int64_t in = (size - 1) * stride + kernel;
    struct fzk_dwconv_f32 d = {.in = x, .in_row = in * WIDE, .in_pixel = WIDE, .weights = y,
                               .bias = y, .out = z, .out_row = size * WIDE, .out_pixel = WIDE,
                               .channels = WIDE, .width = size, .row_end = size,
                               .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride,
                               .stride_w = stride, .dilation_h = 1, .dilation_w = 1, .clip = 1,
                               .hi = 6};
    char name[64];
    snprintf(name, sizeof name, "dwconv_f32 %dx%d kernel %d/%d", (int)size, (int)size, (int)kernel,
             (int)stride);
    head(name, (double)(size * size * WIDE * kernel * kernel) / 4);
    k->dwconv_f32(&d);
    count_end();
}

static void pack(void) {
    struct fzk_pack_b_f32 p = {.to = z, .b = x, .k = WIDE, .n = WIDE, .row_stride = 1,
                               .col_stride = WIDE};
    head("pack_b_f32 transposed", WIDE * WIDE / 4);
    k->pack_b_f32(&p);
    count_end();
}

static void winograd(void) {
    struct fzk_winograd_input_f32 in = {.in = x, .in_row = 30 * WIDE, .in_pixel = WIDE,
                                        .height = 30, .width = 30, .v = z, .v_matrix = 196 * WIDE,
                                        .v_row = WIDE, .channels = WIDE, .tiles_x = 14,
                                        .tile_end = 196};
    head("winograd_input_f32", 196 * 16 * WIDE / 4);
    k->winograd_input_f32(&in);
    count_end();
    struct fzk_winograd_output_f32 out = {.m = x, .m_matrix = 196 * WIDE, .m_row = WIDE, .bias = y,
                                          .out = z, .out_row = 28 * WIDE, .out_pixel = WIDE,
                                          .height = 28, .width = 28, .channels = WIDE,
                                          .tiles_x = 14, .tile_end = 196, .clip = 1, .hi = 6};
    head("winograd_output_f32", 196 * 4 * WIDE / 4);
    k->winograd_output_f32(&out);
    count_end();
}

static void pool(void) {
    struct fzk_pool_f32 p = {.in = x, .in_row = 28 * WIDE, .in_pixel = WIDE, .height = 28,
                             .width = 28, .out = z, .out_row = 14 * WIDE, .out_pixel = WIDE,
                             .out_width = 14, .channels = WIDE, .row_end = 14, .kernel_h = 2,
                             .kernel_w = 2, .stride_h = 2, .stride_w = 2, .dilation_h = 1,
                             .dilation_w = 1};
    head("maxpool_f32 2x2", 14 * 14 * WIDE / 4);
    k->maxpool_f32(&p);
    count_end();
    head("avgpool_f32 2x2", 14 * 14 * WIDE / 4);
    k->avgpool_f32(&p);
    count_end();
}

static void elementwise(void) {
    static const struct {
        const char *name;
        int32_t fn;
    } unary[] = {
#define ROW(NAME, name) {"unary_f32 " #name, FZK_FN_##NAME},
        FZK_FUNCTIONS(ROW, ROW, ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof unary / sizeof unary[0]; i++) {
        head(unary[i].name, N / 4);
        k->unary_f32(unary[i].fn, z, x, N, 0.5f, 2);
        count_end();
    }
    static const char *const binary[FZK_BINARY_COUNT] = {
        "binary_f32 add", "binary_f32 sub", "binary_f32 mul", "binary_f32 div", "binary_f32 max",
        "binary_f32 min", "binary_f32 pow", "binary_f32 fmod", "binary_f32 mod",
        "binary_f32 prelu"};
    for (int32_t fn = 0; fn < FZK_BINARY_COUNT; fn++) {
        head(binary[fn], N / 4);
        k->binary_f32(fn, z, x, y, N, 1, 1);
        count_end();
    }
}

static void rows(void) {
    static const char *const reduce[FZK_REDUCE_COUNT] = {
        "reduce_f32 sum", "reduce_f32 square", "reduce_f32 abs", "reduce_f32 mean",
        "reduce_f32 prod", "reduce_f32 max", "reduce_f32 min"};
    char name[64];
    for (int32_t op = 0; op < FZK_REDUCE_COUNT; op++) {
        head(reduce[op], N / 4);
        k->reduce_f32(op, z, x, 1, N, 1);
        count_end();
        snprintf(name, sizeof name, "%s, columns", reduce[op]);
        head(name, N / 4);
        k->reduce_f32(op, z, x, 1, N / WIDE, WIDE);
        count_end();
    }
    head("minmax_f32", N / 4);
    k->minmax_f32(z, x, N);
    count_end();
    head("softmax_f32 rows of 256", N / 4);
    k->softmax_f32(z, x, N / 256, 256);
    count_end();
    head("logsoftmax_f32 rows of 256", N / 4);
    k->logsoftmax_f32(z, x, N / 256, 256);
    count_end();
    struct fzk_norm_f32 g = {.rows = N / 256, .n = 256, .x = x, .y = z, .gain = y, .bias = y,
                             .eps = 1e-5f};
    head("norm_f32 rows of 256", N / 4);
    k->norm_f32(&g);
    count_end();
    struct fzk_norm_half_f32 h = {.rows = N / 256, .n = 256, .x = x, .y = z, .gain = y, .bias = y,
                                  .eps = 1e-5f, .round = FZK_ROUND_F16};
    head("norm_half_f32 rows of 256", N / 4);
    k->norm_half_f32(&h);
    count_end();
}

static void conversions(void) {
#define CALL(call)                                                                                 \
    head(#call, N / 4);                                                                            \
    k->call;                                                                                       \
    count_end();
    CALL(f32_to_f16(half, x, N))
    CALL(f16_to_f32(z, half, N))
    CALL(f32_to_bf16(half, x, N))
    CALL(bf16_to_f32(z, half, N))
    CALL(f32_to_u8(bytes, x, N))
    CALL(u8_to_f32(z, bytes, N))
    CALL(f32_to_i32(words, x, N))
    CALL(i32_to_f32(z, words, N))
    CALL(quantize_f32_u8(bytes, x, N, 0.1f, 3))
    CALL(dequantize_u8_f32(z, bytes, N, 0.1f, 3))
    CALL(transpose_2d(4, z, x, WIDE, WIDE, WIDE, WIDE))
}

static void all(void) {
    gemm(96, 128, 256);
    gemm(49, 64, 576);
    gemm(96, 24, 144);
    gemm(3, 256, 512);
    gemm(2, 256, 512);
    gemm(1, 256, 512);
    dwconv(14, 3, 1);
    dwconv(14, 3, 2);
    dwconv(14, 5, 1);
    dwconv(14, 5, 2);
    dwconv(14, 7, 1);
    dwconv(14, 4, 1);
    pack();
    winograd();
    pool();
    elementwise();
    rows();
    conversions();
}

/* The argument: a mask of features, all of the CPU's without one. */
int main(int argc, char **argv) {
    struct fzk_table reference, best;
    fzk_table_fill(&reference, 0);
    fzk_table_fill(&best, argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : fzk_cpu_mask());
    for (int64_t i = 0; i < FLOATS; i++) {
        x[i] = (float)(i * 7919 % 1000) / 250 - 2;
        y[i] = (float)(i * 104729 % 1000) / 250 - 2;
    }
    k = &reference;
    version = "c";
    all();
    k = &best;
    version = "best";
    all();
    return 0;
}
