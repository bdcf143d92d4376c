/* Sizes and windows of pooling, channels first or last. */
#ifndef FZ_OPS_POOL_H
#define FZ_OPS_POOL_H

#include "ops/conv.h"

struct fz_pool_params {
    struct fz_conv_params conv; /* kernel, stride, dilation, padding; no channels */
    int64_t ceil_mode;
    int64_t include_pad;  /* AveragePool: padding counts */
    int64_t column_major; /* MaxPool: how Indices count the points of an image */
    double power;         /* LpPool; a binary32 value */
};

fz_status_t fzi_pool_lower(struct fz_lower *lower, struct fz_node *node, void *params);
/* Checks params and input 0 and gives the shape of output I. LAST: channels come last. */
fz_status_t fzi_pool_infer(const struct fz_op *op, const struct fz_call *call, bool last,
                           uint32_t i, int32_t dtype);

/* Sizes of one call. Lists are depth, height, width. */
struct fz_pool {
    int64_t n, c, in[3], out[3];
    int64_t kernel[3], stride[3], dilation[3], before[3];
    int64_t end[3]; /* where padding ends behind the image */
    int64_t in_size, out_size; /* points of an image */
};
/* Infer has accepted the call. */
void fzi_pool_measure(const struct fz_op *op, const struct fz_call *call, bool last,
                      struct fz_pool *pool);

/* The taps of a window that meet the image along one axis: COUNT from FIRST on, STEP apart. */
struct fz_span {
    int64_t first, count, step;
};
struct fz_span fzi_pool_span(const struct fz_pool *pool, int d, int64_t out);
/* Taps of that window that lie in the image or its padding. */
int64_t fzi_pool_reach(const struct fz_pool *pool, int d, int64_t out);
/* Runs KERNEL (maxpool_f32 or avgpool_f32) over channels-last images. False, and nothing done, if
 * they have depth or a window meets no point: the kernels know neither. */
bool fzi_pool_run_last(const struct fz_env *env, const struct fz_pool *pool, bool include_pad,
                       void (*kernel)(const struct fzk_pool_f32 *p), const float *x, float *y);
/* MaxPool of channels-last images of bytes. False, and nothing done, as above. */
bool fzi_pool_run_bytes(const struct fz_env *env, const struct fz_pool *pool, bool is_signed,
                        const void *x, void *y);
/* MaxPool of IMAGES images of [points][inner] binary32 elements. False if a window does not fit its
 * buffers: nothing is done then. */
bool fzi_max_tile(const struct fz_env *env, const struct fz_pool *pool, int64_t images,
                  int64_t inner, const float *x, float *y);
/* The spans of output point POINT of an image. */
void fzi_pool_window(const struct fz_pool *pool, int64_t point, struct fz_span span[3]);

#endif
