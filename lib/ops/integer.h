/* Products of quantised numbers: what the ONNX operators and their frozen forms share.
 *
 * Every form computes acc = sum (a - za) * (b - zb), exact modulo 2^32, and then ends in one of
 * three ways (kernels/qgemm.h): the int32, a requantised 8-bit number, or a float. */
#ifndef FZ_OPS_INTEGER_H
#define FZ_OPS_INTEGER_H

#include "ops/conv.h"
#include "ops/quant.h"

/* Part of params structs. */
struct fz_integer_params {
    int64_t kind;         /* FZK_QOUT_ */
    int64_t low, high;    /* FZK_QOUT_8: the activation's clamp within the output type's range */
    int64_t clip;         /* FZK_QOUT_F32: 1: clip by a and b */
    double a, b;
};

/* The numbers of one ending, read from scalar and per-channel inputs; NULL: not there. */
struct fz_integer_out {
    int32_t kind;
    const float *a_scale;            /* one number */
    const float *b_scale;            /* n_scale numbers */
    int64_t n_scale;
    const float *y_scale;            /* FZK_QOUT_8 */
    int64_t y_zero, low, high;
    const fz_tensor_t *bias;         /* int32 (FZK_QOUT_8) or float32 (FZK_QOUT_F32) */
};

/* The value of output channel C for the sum ACC: the kernels equal it. */
int64_t fzi_integer_requantise(const struct fz_integer_out *out, int32_t acc, int64_t c);
float fzi_integer_dequantise(const struct fz_integer_out *out, int32_t acc, int64_t c);
/* Ends ACC of channel C into element I of Y as OUT says. */
void fzi_integer_finish(const struct fz_integer_out *out, const fz_tensor_t *y, int64_t i,
                        int32_t acc, int64_t c);

/* Where the inputs of the forms lie; -1: not there. */
struct fz_integer_inputs {
    int8_t x, w, x_zero, w_zero, x_scale, w_scale, y_scale, y_zero, bias;
};
enum fz_integer_form { FZ_INTEGER_PLAIN, FZ_INTEGER_QLINEAR, FZ_INTEGER_FLOAT };
extern const struct fz_integer_inputs fzi_matmul_inputs[5], fzi_conv_inputs[5];
/* More kinds of operators, by index of the same tables. frozen.QLinearGemm: a QLinearMatMul with a
 * bias. frozen.MatMulIntegerRows, frozen.ConvIntegerRows: the float forms of a quantised x that has
 * a scale and an int32 zero point for each row (all dimensions but the last) or each image. */
enum { FZ_INTEGER_GEMM = 3, FZ_INTEGER_ROWS = 4 };
static inline enum fz_integer_form fzi_integer_form(const struct fz_op *op) {
    return op->kind == FZ_INTEGER_GEMM   ? FZ_INTEGER_QLINEAR
           : op->kind == FZ_INTEGER_ROWS ? FZ_INTEGER_FLOAT
                                         : (enum fz_integer_form)op->kind;
}

/* Input I of the call, NULL for -1 or an absent one. */
static inline const fz_tensor_t *fzi_integer_in(const struct fz_call *call, int8_t i) {
    return i >= 0 && (uint32_t)i < call->n_in ? call->in[i] : NULL;
}
/* Checks types and shapes of everything but x and w themselves, for N output channels (-1: not
 * known). */
fz_status_t fzi_integer_check(const struct fz_op *op, const struct fz_call *call,
                              const struct fz_integer_inputs *at, enum fz_integer_form form,
                              int64_t n);
/* FZ_E_SHAPE unless scales and zero points are one for each index of x's first OUTER dimensions. */
fz_status_t fzi_integer_check_rows(const struct fz_op *op, const fz_tensor_t *x,
                                   const fz_tensor_t *scale, const fz_tensor_t *zero,
                                   int32_t outer);
/* Fills OUT from the call. */
void fzi_integer_read(const struct fz_call *call, const struct fz_integer_inputs *at,
                      enum fz_integer_form form, const struct fz_integer_params *p,
                      struct fz_integer_out *out);
/* The type of the output. */
int32_t fzi_integer_type(const struct fz_call *call, const struct fz_integer_inputs *at,
                         enum fz_integer_form form);
/* FZ_E_LIMIT unless K products of these two types fit 31 bits with the zero points' ranges. */
fz_status_t fzi_integer_depth(const struct fz_op *op, int32_t a, int32_t b, int64_t k);

/* The convolution params of a QLinearConv, ConvInteger or frozen.ConvIntegerToFloat, lowered. */
const struct fz_conv_params *fzi_integer_conv_params(const struct fz_node *node);

/* fzi_conv_choose for weights of bytes. */
fz_status_t fzi_integer_conv_choose(const struct fz_conv_params *conv, const fz_tensor_t *w,
                                    struct fz_conv_params *out);

/* The segments of a chain over an image whose rows are PITCH bytes apart: one per kernel row, or
 * one per tap where taps do not lie side by side. Returns how many; at most one per tap. */
int64_t fzi_qconv_segments(const struct fz_conv_params *p, int64_t pitch, struct fzk_segment *out);

/* ---- packed forms: frozen.QMatMul and frozen.QConv */
enum { FZ_Q_X, FZ_Q_W, FZ_Q_SUMS, FZ_Q_WZERO, FZ_Q_SCALE, FZ_Q_BIAS, FZ_Q_XZERO, FZ_Q_XSCALE,
       FZ_Q_RESIDUAL, FZ_Q_INPUTS };

struct fz_packed_params {
    struct fz_integer_params out;
    int64_t x_signed, y_signed, y_zero;
    int64_t k, n;              /* QMatMul */
    struct fz_conv_params conv; /* QConv; algorithm GEMM or DEPTHWISE */
};

/* Makes FZ_Q_W, FZ_Q_SUMS and, where weights have zero points, FZ_Q_WZERO from constant weights (W,
 * W_ZERO or NULL). For QMatMul W is [k, n], or [n, k] with TRANS. */
fz_status_t fzi_qmatmul_pack(struct fz_graph *graph, const struct fz_value *w, bool trans,
                             const struct fz_value *w_zero, struct fz_packed_params *p,
                             struct fz_value **in);
fz_status_t fzi_qconv_pack(struct fz_graph *graph, const struct fz_value *w,
                           const struct fz_value *w_zero, struct fz_packed_params *p,
                           struct fz_value **in);
/* Checks everything but x and w of a packed form with N columns. With an int32 zero point x has a
 * scale and a zero point for each row: each index of its first OUTER dimensions. */
fz_status_t fzi_packed_check(const struct fz_op *op, const struct fz_call *call, int64_t n,
                             int64_t sums, int32_t outer);
/* The kernel's ending for columns from FIRST on; C and residual at element offset AT. */
struct fzk_qout fzi_packed_out(const struct fz_call *call, int64_t first, int64_t at, int64_t ldc);
/* True if x has a scale and a zero point for each row. */
bool fzi_packed_has_rows(const struct fz_call *call);
/* x's zero points and scales from row ROW on, or NULL if there is one of each: fzi_packed_zero(),
 * and a_scale of fzi_packed_out(). */
const int32_t *fzi_packed_zeros(const struct fz_call *call, int64_t row);
const float *fzi_packed_scales(const struct fz_call *call, int64_t row);
int32_t fzi_packed_zero(const struct fz_call *call);
int32_t fzi_packed_type(const struct fz_packed_params *p);

#endif
