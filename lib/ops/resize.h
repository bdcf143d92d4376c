/* Resize: sizes, and tables of which elements make an output and with what weights. */
#ifndef FZ_OPS_RESIZE_H
#define FZ_OPS_RESIZE_H

#include "ops/op.h"

enum { FZ_RESIZE_NEAREST, FZ_RESIZE_LINEAR, FZ_RESIZE_CUBIC };
enum { FZ_COORD_HALF_PIXEL, FZ_COORD_HALF_PIXEL_SYMMETRIC, FZ_COORD_PYTORCH_HALF_PIXEL,
       FZ_COORD_ALIGN_CORNERS, FZ_COORD_ASYMMETRIC, FZ_COORD_TF_HALF_PIXEL_FOR_NN,
       FZ_COORD_TF_CROP_AND_RESIZE, FZ_COORD_COUNT };
enum { FZ_NEAREST_PREFER_FLOOR, FZ_NEAREST_PREFER_CEIL, FZ_NEAREST_FLOOR, FZ_NEAREST_CEIL,
       FZ_NEAREST_SIMPLE /* of opsets before 11: floor, when shrinking ceil */, FZ_NEAREST_COUNT };
enum { FZ_ASPECT_STRETCH, FZ_ASPECT_NOT_LARGER, FZ_ASPECT_NOT_SMALLER };

struct fz_resize_params {
    int64_t mode, coord, nearest;
    int64_t antialias, exclude_outside;
    int64_t policy;        /* FZ_ASPECT_ */
    int64_t roi, scales, sizes; /* the inputs, -1: none */
    int64_t n_axes;        /* 0: all dimensions */
    int64_t axes[FZ_RANK_MAX];
    int64_t n_factors;     /* scales that are attributes */
    double factors[FZ_RANK_MAX];
    double cubic_a, extrapolation; /* binary32 values */
};

/* One dimension that changes. */
struct fz_resize_axis {
    int32_t dim;
    int64_t in, out;
    float scale;
    float width;      /* the output's size before it was rounded down */
    float begin, end; /* of the region of interest, as shares of the input */
};

struct fz_resize_plan {
    int32_t n;
    struct fz_resize_axis axis[FZ_RANK_MAX]; /* in the order of the dimensions */
    int64_t dims[FZ_RANK_MAX];               /* of the output; unknown ones negative */
};
/* Checks params and inputs and makes the plan; what depends on unknown values has unknown dims. */
fz_status_t fzi_resize_plan(const struct fz_op *op, const struct fz_call *call,
                            struct fz_resize_plan *plan);

/* For each output along an axis TAPS elements of the input, INDEX[o * taps + t], with weights. */
struct fz_resize_table {
    int64_t taps;
    int64_t *index;
    float *weight;
    uint8_t *outside; /* 1: the output is the extrapolation value */
};
/* Taps of AXIS, and the bytes of its table; then the table in ROOM, 64-byte aligned. */
int64_t fzi_resize_taps(const struct fz_resize_params *p, const struct fz_resize_axis *axis);
size_t fzi_resize_table_size(const struct fz_resize_params *p, const struct fz_resize_axis *axis);
void fzi_resize_table(const struct fz_resize_params *p, const struct fz_resize_axis *axis,
                      void *room, struct fz_resize_table *table);

#endif
