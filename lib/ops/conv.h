/* Convolution: params, geometry, weight packing and the body that Conv and frozen.Conv share.
 *
 * The body works on NHWC memory (N, depth, height, width, channels; a 1-D image has depth and
 * height 1). Each output is one chain over (kernel depth, row, column, input channel of the group),
 * padding taps included with +0, in blocks of FZK_K_BLOCK; then bias, residual, activation. */
#ifndef FZ_OPS_CONV_H
#define FZ_OPS_CONV_H

#include "ops/act.h"

enum { FZ_CONV_GEMM = 0, FZ_CONV_DEPTHWISE = 1, FZ_CONV_WINOGRAD = 2 };
enum { FZ_PAD_GIVEN = 0, FZ_PAD_SAME_UPPER = 1, FZ_PAD_SAME_LOWER = 2, FZ_PAD_VALID = 3 };

/* Of Conv, frozen.Conv and the ConvTranspose forms. Lists of three are depth, height, width; with
 * fewer spatial dimensions the first ones are 1 (pads 0). */
struct fz_conv_params {
    int64_t spatial;        /* 1 to 3; the tensors' rank minus 2 */
    int64_t kernel[3];      /* 0 in a Conv: taken from the weights' shape */
    int64_t stride[3], dilation[3];
    int64_t before[3], after[3]; /* padding, for FZ_PAD_GIVEN */
    int64_t auto_pad;
    int64_t group, cin, cout;    /* channels of all groups; 0 in a Conv: from the shapes */
    int64_t algorithm;           /* FZ_CONV_...; frozen.Conv only */
    int64_t blas;                /* 1: weights are [group][K][N/group], for the profile blas */
    struct fz_act act;           /* frozen forms only */
    int64_t output_padding[3], output_shape[3]; /* ConvTranspose; output_shape 0: not given */
};

/* Reads the attributes of a Conv (or, with TRANSPOSE, of a ConvTranspose). */
fz_status_t fzi_conv_lower(struct fz_lower *lower, const struct fz_node *node, bool transpose,
                           struct fz_conv_params *p);

/* The params of the frozen.Conv that computes CONV (params as lowered) with constant weights W
 * (OIHW, float32): channels and kernel filled in, the algorithm chosen from channel counts, kernel
 * and stride alone. WINOGRAD false forbids that one. The caller sets `act` and `blas`. */
fz_status_t fzi_conv_choose(const struct fz_conv_params *conv, const fz_tensor_t *w, bool winograd,
                            struct fz_conv_params *out);

/* Makes the constant input 1 of frozen.Conv from weights W (OIHW, OIW or OIDHW, float32):
 *   GEMM       [group][ceil(cout/group / 32)][K][32], k in the order of the chain
 *   depthwise  [ceil(cout / 32)][taps][32]
 *   winograd   [16][ceil(cout / 32)][cin][32]
 *   blas       [group][K][cout / group]
 * PARAMS are those of fzi_conv_choose. */
fz_status_t fzi_conv_pack(struct fz_graph *graph, const struct fz_value *w,
                          const struct fz_conv_params *params, struct fz_value **packed);

/* The same for a ConvTranspose's weights (IOHW) and frozen.ConvTranspose:
 * [group][panels][K][32]. */
fz_status_t fzi_conv_transpose_choose(const struct fz_conv_params *conv, const fz_tensor_t *w,
                                      struct fz_conv_params *out);
fz_status_t fzi_conv_transpose_pack(struct fz_graph *graph, const struct fz_value *w,
                                    const struct fz_conv_params *params, struct fz_value **packed);

/* ---- inside of the family */

/* For the frozen forms' tests: reads kernel_shape, cin, cout, algorithm, act, a, b beside Conv's
 * own attributes. Passes write the params themselves. */
fz_status_t fzi_conv_lower_frozen(struct fz_lower *lower, const struct fz_node *node,
                                  bool transpose, struct fz_conv_params *p);
/* FZ_E_FORMAT unless channels, groups, kernel and algorithm of a frozen form are sound. */
fz_status_t fzi_conv_check_frozen(const struct fz_op *op, const struct fz_conv_params *p);
/* The inputs of a frozen form beside x: weights of the packed dims, bias [cout], and a residual
 * that may equal OUT. */
fz_status_t fzi_conv_check_inputs(const struct fz_op *op, const struct fz_call *call,
                                  const struct fz_conv_params *p, const fz_tensor_t *out);
/* FZ_E_SHAPE unless input I, if present, is a tensor of N elements in one dimension, of the type of
 * input 0. */
fz_status_t fzi_infer_bias(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           int64_t n);

/* Sizes of one call, all known. */
struct fz_conv_geometry {
    int64_t n, in[3], out[3], before[3]; /* images; depth, height, width */
    int64_t extent[3];                   /* (kernel - 1) * dilation + 1 */
    int64_t cin_g, cout_g, panels;       /* per group */
    int64_t taps, k;                     /* kernel points; taps * cin_g */
    bool padded;                         /* some tap lies outside of the image */
};

/* True if the weights are those of the profile blas: GEMM forms only. */
static inline bool fzi_conv_uses_blas(const struct fz_conv_params *p) {
    return p->blas && p->algorithm == FZ_CONV_GEMM;
}
/* Checks every member of P but cin and cout. */
fz_status_t fzi_conv_check(const struct fz_op *op, const struct fz_conv_params *p);
/* Output size along axis D (0 to 2) for an input of IN (may be unknown) and the padding before. */
fz_status_t fzi_conv_dim(const struct fz_op *op, const struct fz_conv_params *p, int d, int64_t in,
                         int64_t *out, int64_t *before);
/* The geometry for N images of IN; P checked, channels known. */
fz_status_t fzi_conv_measure(const struct fz_op *op, const struct fz_conv_params *p, int64_t n,
                             const int64_t in[3], struct fz_conv_geometry *g);
/* The geometry of CALL's NHWC tensors, which have two spatial dimensions, for a band of rows. */
fz_status_t fzi_conv_measure_band(const struct fz_op *op, const struct fz_conv_params *p,
                                  const struct fz_call *call, struct fz_conv_geometry *g);
/* Rank and dims of packed weights. */
int32_t fzi_conv_packed_dims(const struct fz_conv_params *p, int64_t dims[FZ_RANK_MAX]);
/* Packs OIHW weights for P's algorithm into OUT, which holds as many floats as the packed dims
 * say. */
void fzi_conv_pack_into(const struct fz_conv_params *p, const float *w, float *out);
/* Bytes of that; false on overflow. */
bool fzi_conv_packed_size(const struct fz_conv_params *p, size_t *size);

/* One convolution. Residual has y's shape. */
struct fz_conv_job {
    const struct fz_conv_params *p;
    const struct fz_conv_geometry *g;
    const float *x, *w, *bias, *residual;
    float *y;
    int64_t y_pixel; /* elements between pixels of y; 0: they are dense. Of fzi_conv_run only */
    void *scratch;   /* fzi_conv_scratch bytes */
    const struct fz_env *env;
};
static inline int64_t fzi_conv_pixel(const struct fz_conv_job *job) {
    return job->y_pixel ? job->y_pixel : job->p->cout;
}
size_t fzi_conv_scratch(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                        const struct fz_env *env);
fz_status_t fzi_conv_run(const struct fz_conv_job *job);
uint64_t fzi_conv_macs(const struct fz_conv_geometry *g, const struct fz_conv_params *p);
/* Conv, or with TRANSPOSE ConvTranspose, of binary64 tensors in ONNX's layout. */
void fzi_conv_f64(const struct fz_call *call, const struct fz_conv_params *p,
                  const struct fz_conv_geometry *g, bool transpose);

/* to[j][i] = from[i][j] for i < rows, j < cols; dense. */
void fzi_transpose_f32(const struct fz_env *env, const float *from, int64_t rows, int64_t cols,
                       float *to);

/* ---- ConvTranspose: x and y are NHWC, w is packed [group][panels][K][32] in the order (kernel
 * depth, row, column, input channel) of all taps. Uses fz_conv_geometry with out and before of its
 * own. */
fz_status_t fzi_conv_transpose_dim(const struct fz_op *op, const struct fz_conv_params *p, int d,
                                   int64_t in, int64_t *out, int64_t *before);
fz_status_t fzi_conv_transpose_measure(const struct fz_op *op, const struct fz_conv_params *p,
                                       int64_t n, const int64_t in[3], struct fz_conv_geometry *g);
size_t fzi_conv_transpose_scratch(const struct fz_conv_params *p, const struct fz_conv_geometry *g);
void fzi_conv_transpose_run(const struct fz_conv_job *job);
/* The same, but for activations that are no clip, where blocks of outputs do not overlap and fit
 * one panel. */
bool fzi_conv_transpose_in_blocks(const struct fz_conv_job *job);
void fzi_conv_transpose_blocks(const struct fz_conv_job *job);
/* Packs IOHW weights; OUT holds as many floats as fzi_conv_packed_dims says for FZ_CONV_GEMM. */
void fzi_conv_transpose_pack_into(const struct fz_conv_params *p, const float *w, float *out);

#endif
