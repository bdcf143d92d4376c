/* Float convolutions that are no GEMM: depthwise, the transforms around Winograd's products, and
 * pooling. All images are NHWC; strides are in elements. */
#ifndef FZ_KERNELS_CONV_H
#define FZ_KERNELS_CONV_H

#include <stdint.h>

/* Depthwise convolution over a zero-padded image, output rows [row_begin, row_end):
 *
 * out[y][x][c] = act(chain over (ky, kx) of
 *                    in[y * stride_h + ky * dilation_h][x * stride_w + kx * dilation_w][c]
 *                    * weights[c][ky][kx]  + bias[c])
 * in is the top left pixel of output (0, 0)'s window. Weights are
 * [ceil(c/32)][kernel_h * kernel_w][32], zero past c. A caller may also take channels [32 i, 32 j)
 * alone by moving in, out, weights and bias. out overlaps no input. The chain is that of the GEMM:
 * blocks of 256 taps. */
struct fzk_dwconv_f32 {
    const float *in;
    int64_t in_row, in_pixel;
    const float *weights;
    const float *bias; /* c values or NULL */
    float *out;
    int64_t out_row, out_pixel;
    int64_t channels, width; /* width: output pixels of a row */
    int64_t row_begin, row_end;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int64_t clip; /* 1: t = lo > x ? lo : x; y = hi < t ? hi : t */
    float lo, hi;
    int64_t round; /* FZK_ROUND_ bits */
};

/* Winograd F(2x2, 3x3), stride 1: output tile (ty, tx) is pixels (2 ty .. 2 ty + 1, 2 tx .. 2 tx +
 * 1) and sees input pixels (2 ty .. 2 ty + 3, 2 tx .. 2 tx + 3) of the padded image. Tiles have
 * the number ty * tiles_x + tx; a call does [tile_begin, tile_end).
 *
 * winograd_input_f32: v[t][tile - tile_begin][c] = (B^T d B)[t / 4][t % 4], 0 <= t < 16; pixels at
 * or past height or width count as +0. Then 16 GEMMs, A = v[t] (m = tiles, lda = v_row, k =
 * channels) and B = U[t]. winograd_output_f32: out = act(A^T M A + bias + residual) from their
 * results; pixels past height or width are not written. */
struct fzk_winograd_input_f32 {
    const float *in;
    int64_t in_row, in_pixel, height, width; /* of the padded image */
    float *v;
    int64_t v_matrix, v_row; /* from one of the 16 to the next, from tile to tile */
    int64_t channels, tiles_x, tile_begin, tile_end;
};

struct fzk_winograd_output_f32 {
    const float *m;
    int64_t m_matrix, m_row;
    const float *bias;     /* channels values or NULL */
    const float *residual; /* NULL: none; out itself only if nothing is rounded */
    int64_t residual_row, residual_pixel;
    float *out;
    int64_t out_row, out_pixel, height, width; /* of the output */
    int64_t channels, tiles_x, tile_begin, tile_end;
    int64_t clip;
    float lo, hi;
    int64_t round; /* FZK_ROUND_ bits */
};

/* Pooling over windows of an unpadded image, output rows [row_begin, row_end). Output (y, x) takes
 * the taps (y * stride_h + ky * dilation_h - pad_h, ...) that lie inside of the image; at least
 * one does.
 *
 * maxpool_f32: the maximum; NaN wins, +0 > -0. avgpool_f32: one chain s = s + tap from +0, row by
 * row, divided once by the number of taps inside, or, if count_pad is 1, of those inside of the
 * image with pad_h, pad_w zeros before and end_h, end_w zeros behind it. */
struct fzk_pool_f32 {
    const float *in;
    int64_t in_row, in_pixel, height, width;
    float *out;
    int64_t out_row, out_pixel, out_width;
    int64_t channels, row_begin, row_end;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_h, pad_w, end_h, end_w, count_pad;
};

/* U = G g G^T of a 3 x 3 kernel G in row-major order, in binary64, rounded once. For freeze; the
 * same for every instruction set. */
void fzk_winograd_weights(float u[16], const float g[9]);

#endif
