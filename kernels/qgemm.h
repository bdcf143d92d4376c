/* Integer GEMM and depthwise convolution over packed int8 weights, and the 8-bit elementwise
 * kernels.
 *
 * All integer sums are exact modulo 2^32, so the order of k is free and every version agrees. The
 * bits that follow the sum (requantise, float output) are written in c/qgemm_out.h. */
#ifndef FZ_KERNELS_QGEMM_H
#define FZ_KERNELS_QGEMM_H

#include <stdint.h>

#include "gemm.h"

enum { FZK_QUAD = 4 /* k are packed by four: one dword of A meets one dword of B */ };

enum {
    FZK_QOUT_I32, /* the int32 itself */
    FZK_QOUT_8,   /* requantised to u8 or s8: lo and hi say which */
    FZK_QOUT_F32  /* dequantised to float */
};

/* What becomes of ACC, the int32 sum of row i and column j:
 *
 *     acc = acc + bias_i32[j]                                        (modulo 2^32, every kind)
 * FZK_QOUT_I32:
 *     c = acc
 * FZK_QOUT_8:
 *     t = (float)acc * scale[j];  NaN counts as 0
 *     c = min(max(rne(t) + zp, lo), hi)                              (exact, no wrap)
 * FZK_QOUT_F32: each step one binary32 rounding
 *     y = (float)acc * (row_scale[i] * scale[j])
 *     y = y + bias_f32[j];  y = y + residual[i][j]
 *     c = clip(y): t = lo_f > y ? lo_f : y; hi_f < t ? hi_f : t
 *
 * (float) rounds to nearest even. Pointers that may be NULL leave their step out. */
struct fzk_qout {
    void *c;               /* elements of 4, 1, 4 bytes; may not overlap any input but residual */
    int64_t ldc;           /* elements from row to row of C */
    int64_t c_run_stride;  /* elements from run to run of rows: see struct fzk_qgemm */
    const int32_t *bias_i32; /* n or NULL */
    const float *scale;    /* n_scale values; not read for FZK_QOUT_I32 */
    const float *row_scale; /* m, or NULL: a_scale for every row */
    const float *bias_f32; /* n or NULL */
    const float *residual; /* NULL: none; may be C itself, with C's strides */
    int64_t ldr, r_run_stride;
    int32_t kind;
    int32_t n_scale;       /* n, or 1: one for all columns */
    int32_t zp, lo, hi;    /* -128 <= zp <= 255, -128 <= lo <= hi <= (lo < 0 ? 127 : 255) */
    float a_scale;
    float lo_f, hi_f;
    int32_t clip;          /* 1: clip by lo_f, hi_f */
};

/* C[i][j] = out(sum over k of (A[i][k] - za_i) * (B[k][j] - zb_j)), 0 <= i < m, 0 <= j < n.
 *
 * A holds bytes, u8 or s8. Its rows come in runs (the pixels of a convolution's output row): row i
 * begins at
 *     a + i / run * run_stride + i % run * lda;
 * run = 0 means one run of all m rows. So do the rows of C and of the residual, with strides of
 * their own. Within a row k runs through the SEGMENTS in order: a plain GEMM has one {0, k}; a
 * convolution over an NHWC image, padded with the zero point, one per kernel row, or one per tap
 * when dilated. No byte before the first or behind the last of all rows' segments is read, and none
 * outside of them counts. m, n >= 0; k is the sum of the lengths;
 * k = 0 gives a sum of 0.
 *
 * B holds s8 in panels [ceil(n/32)][kq][32][4], as written by fzk_qpack_b: the k of each segment
 * are padded with zero weights to a multiple of four, kq is fzk_qpack_kq(). col_sum[j] is the sum
 * of column j's weights modulo 2^32; it has ceil(n/32)*32 values. B is best aligned to 64 bytes.
 *
 * How operators use it (zero struct members are the defaults):
 *   QLinearConv, NHWC: m = outputs of the image, run = output width, lda = stride_x * c, run_stride
 *     = stride_y * bytes of a padded image row, segment r = {r * dilation_y * image row, kw * c},
 *     weights packed with k in the order (kernel row, column, channel); 1 x 1 without stride is one
 *     run of all pixels. FZK_QOUT_8, scale[j] = x_scale * w_scale[j] / y_scale; Relu is lo = zp.
 *   MatMulInteger: FZK_QOUT_I32, za or za_rows, zb.
 *   Dynamically quantised MatMul: FZK_QOUT_F32, za = DynamicQuantizeLinear's zero point, a_scale
 *     its scale (per row: za_rows, row_scale), scale = w_scale, bias_f32 the Add behind it.
 * Threads take ranges of rows (a, c, residual and the row arrays move on) or of whole panels. With
 * runs, a range of rows is whole runs. */
struct fzk_qgemm {
    int64_t m, n, k;
    const void *a;
    int64_t lda;
    int64_t run, run_stride;
    const struct fzk_segment *segments;
    int64_t n_segments;
    const int8_t *b;
    const int32_t *col_sum;
    const int32_t *zb;      /* n zero points of the packed (s8) weights, or NULL: all 0 */
    const int32_t *za_rows; /* m zero points, or NULL: za for every row */
    int32_t za;             /* in the numbers of A's type: 0..255 or -128..127 */
    int32_t a_signed;       /* 1: A is s8 */
    struct fzk_qout out;
};

/* A depthwise convolution over an NHWC image of bytes, padded with the zero point by its producer.
 *
 * Output pixel (y, x) of m_rows x m_cols, channel ch of c:
 *     sum over taps (r, s) of
 *     (A[(y * stride_y + r * dilation_y) * a_row + (x * stride_x + s * dilation_x) * a_col + ch]
 *      - za) * W[r][s][ch]
 * A_ROW and A_COL are bytes; a_col >= c. W is packed by fzk_qpack_depthwise as
 * [ceil(c/32)][kh][ceil(kw/4)][32][4]: four taps of a kernel row side by side per channel, taps
 * past kw and channels past c zero. With TWICE W has 2 * kh rows: row kh + r is added to row r, so
 * that a weight may need nine bits. col_sum[ch] is the sum of the channel's weights; it has
 * ceil(c/32)*32 values. Strides, dilations, m_cols, kh and kw are at least 1. In OUT a row is a
 * pixel: i = y * m_cols + x, run = m_cols, j is the channel. */
struct fzk_qdwconv {
    int64_t m_rows, m_cols, c;
    int64_t kh, kw, stride_y, stride_x, dilation_y, dilation_x;
    const void *a;
    int64_t a_row, a_col;
    const int8_t *w;
    const int32_t *col_sum;
    int32_t za;
    int32_t a_signed;
    int32_t twice;
    struct fzk_qout out;
};

/* ---- packing, at freeze and at run time (plain C, the same on every CPU) */

/* Quads of a packed column: the sum over segments of ceil(len / 4). */
int64_t fzk_qpack_kq(const struct fzk_segment *segments, int64_t n_segments);
/* Bytes of packed B. The caller has checked that this does not overflow. */
int64_t fzk_qpack_b_size(const struct fzk_segment *segments, int64_t n_segments, int64_t n);

/* Weights before packing: B[k][j] = data[k * k_step + j * n_step], bytes. */
struct fzk_qpack {
    const void *data;
    int64_t k_step, n_step;
    int64_t n;
    int64_t is_unsigned; /* 1: data are u8 */
    int64_t offset;      /* w - offset is stored, the low 8 bits: the caller has checked the range,
                            128 for u8 always fits, and takes offset from the zero point */
    const struct fzk_segment *segments; /* only lengths are read */
    int64_t n_segments;
    int8_t *b;        /* fzk_qpack_b_size() bytes */
    int32_t *col_sum; /* ceil(n/32)*32 values, of the stored s8 weights */
};
void fzk_qpack_b(const struct fzk_qpack *p);

/* Depthwise: W[r][s][ch] = data[(r * kw + s) * tap_step + ch * c_step]. */
struct fzk_qpack_dw {
    const void *data;
    int64_t tap_step, c_step;
    int64_t c, kh, kw;
    int64_t is_unsigned, offset; /* as above; here offset must be the whole zero point of W */
    int8_t *w;           /* fzk_qpack_depthwise_size() bytes */
    int32_t *col_sum;    /* ceil(c/32)*32 values */
};
int64_t fzk_qpack_depthwise_size(int64_t c, int64_t kh, int64_t kw);
void fzk_qpack_depthwise(const struct fzk_qpack_dw *p);

/* ---- elementwise, 8 bits */

/* c[i] = sat(rne(r / sc) + zc), a NaN quotient counts as 0, where in binary32, in this order,
 *     x = (float)(a - za) * sa;  y = (float)(b - zb) * sb;
 *     add: r = x + y;   mul: r = x * y.
 * A and B advance by a_step, b_step (1, or 0 for a scalar); C may be A or B. sat is [lo, hi], as in
 * struct fzk_qout. */
struct fzk_qbinary {
    int64_t n;
    const void *a, *b;
    void *c;
    int64_t a_step, b_step;
    int32_t is_signed; /* of a and b alike; lo and hi say what c is */
    int32_t za, zb, zc, lo, hi;
    float sa, sb, sc;
};

/* y[i] = table[x[i]]: every unary function of 8-bit values. Y may be X. */
struct fzk_qlut {
    int64_t n;
    const uint8_t *x, *table; /* table: 256 entries, by the byte's bits */
    uint8_t *y;
};

/* Pooling over an NHWC image of bytes. Output pixel (y, x), y0 <= y < y1, 0 <= x < out_w, takes
 * input rows y * stride_y - pad_y + r * dilation_y that lie in [0, h) and columns likewise; taps
 * outside take no part. Every window holds at least one pixel. Rows are a_row and out_row bytes
 * apart, pixels a_col and out_col. */
struct fzk_qpool {
    const void *a;
    void *out;
    int64_t h, w, c, a_row, a_col;
    int64_t y0, y1, out_w, out_row, out_col; /* OUT is where row 0 would be */
    int64_t kh, kw, stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    int32_t is_signed;
    /* Average only: t = (float)(sum of (a - za)) * (scale / (float)count), q = sat(rne(t) + zp)
     * as in struct fzk_qout; count is that of real taps, or kh * kw when count_pad is 1. A window
     * holds at most 2^22 pixels. */
    int32_t za, zp, lo, hi, count_pad;
    float scale; /* a's scale / the output's scale */
};

#endif
