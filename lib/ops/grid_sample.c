/* GridSample: values of an image at places that a grid names, nearest, linear or cubic, in
 * binary32 if both are of it, else in binary64. Places are denormalised, (x + 1) / 2 * (n - 1) or
 * ((x + 1) * n - 1) / 2, brought inside by the padding mode, and mixed dimension by dimension from
 * the last to the first, the terms of each in order, two roundings a term. Cubic weights go by
 * Horner's rule with a = -0.75. NaN places count as -1. */
#include "ops/wide.h"

enum { NEAREST, LINEAR, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
enum { MAX_DIMS = 3, MAX_TAPS = 4 };

struct params {
    int64_t mode, padding, align;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic", NULL};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_choice(node, "mode", modes, LINEAR, &p->mode));
    if (p->mode > CUBIC) p->mode -= 2;
    FZ_TRY(fzi_attr_choice(node, "padding_mode", paddings, ZEROS, &p->padding));
    return fzi_attr_int(node, "align_corners", 0, &p->align);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *grid = call->in[1];
    int64_t dims[FZ_RANK_MAX], size;
    if (p->mode < 0 || p->mode > CUBIC || p->padding < 0 || p->padding > REFLECTION)
        return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64) | FZ_T_INT | FZ_T_UINT | FZ_T(BOOL)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(F32) | FZ_T(F64)));
    int32_t rank = x->rank >= 0 ? x->rank : grid->rank;
    if (rank < 0) {
        fzi_infer_unknown(call, 0, x->dtype);
        return FZ_OK;
    }
    if (rank < 3 || rank > 2 + MAX_DIMS || (grid->rank >= 0 && grid->rank != rank) ||
        (p->mode == CUBIC && rank != 4))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: an input of rank %d with a grid of rank %d",
                         op->name, x->rank, grid->rank);
    if (grid->rank >= 0 && grid->dims[rank - 1] >= 0 && grid->dims[rank - 1] != rank - 2)
        return fzi_error(FZ_E_SHAPE, "%s: places have %lld coordinates", op->name,
                         (long long)grid->dims[rank - 1]);
    if (fzi_shape_known(x) && fzi_shape_known(grid) && x->dims[0] != grid->dims[0])
        return fzi_error(FZ_E_SHAPE, "%s: the grid is for another number of images", op->name);
    if (fzi_shape_known(x) && (!fzi_dims_count(x->dims, 1, rank, &size) || size == 0))
        return fzi_error(FZ_E_SHAPE, "%s: an image without points", op->name);
    dims[0] = x->rank >= 0 ? x->dims[0] : grid->dims[0];
    dims[1] = x->rank >= 0 ? x->dims[1] : FZ_DIM_UNKNOWN;
    for (int32_t d = 2; d < rank; d++)
        dims[d] = grid->rank >= 0 ? grid->dims[d - 1] : FZ_DIM_UNKNOWN;
    fzi_infer_shape(call, 0, x->dtype, rank, dims);
    return FZ_OK;
}

struct job {
    const struct fzk_table *k;
    const struct params *p;
    const fz_tensor_t *x, *grid;
    fz_tensor_t *y;
    int32_t n_dims;
    int64_t in[MAX_DIMS]; /* of the image */
    int64_t channels, in_size, out_size;
};

/* ---- binary32 */
#define REAL float
#define NAME(f) f##_f32
#define ELEMENT(job, i) ((const float *)(job)->x->data)[i]
#define PLACE(job, i) ((const float *)(job)->grid->data)[i]
#define PUT(job, i, v) ((float *)(job)->y->data)[i] = (v)
#include "ops/grid_sample_body.h"
#undef REAL
#undef NAME
#undef ELEMENT
#undef PLACE
#undef PUT

/* ---- everything else by way of binary64: integers truncate, as ONNX's own results do */

static double element(const struct job *job, int64_t i) {
    if (fzi_type_is_float(job->x->dtype)) return fzi_tensor_float(job->x, i);
    int64_t n = fzi_tensor_int(job->x, i);
    return job->x->dtype == FZ_TYPE_U64 ? (double)(uint64_t)n : (double)n;
}

static void put(const struct job *job, int64_t i, double v) {
    float narrow = (float)v;
    int64_t whole = v > -0x1p63 && v < 0x1p63 ? (int64_t)v : 0;
    const void *from = &whole;
    if (v >= 0x1p63 && v < 0x1p64) whole = (int64_t)(uint64_t)v;
    if (job->y->dtype == FZ_TYPE_F32) from = &narrow;
    else if (job->y->dtype == FZ_TYPE_F64) from = &v;
    if (job->y->dtype == FZ_TYPE_BOOL) ((uint8_t *)job->y->data)[i] = v != 0;
    else fzi_wide_store(job->k, job->y->dtype, job->y->data, i, 1, from);
}

#define REAL double
#define NAME(f) f##_f64
#define ELEMENT(job, i) element(job, i)
#define PLACE(job, i) fzi_tensor_float((job)->grid, i)
#define PUT(job, i, v) put(job, i, v)
#include "ops/grid_sample_body.h"

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *out = call->out[0];
    (void)op;
    if (out->size == 0) return FZ_OK;
    struct job job = {.k = call->env->k, .p = call->params, .x = x, .grid = call->in[1],
                      .y = call->out[0], .n_dims = x->rank - 2, .channels = x->dims[1],
                      .in_size = 1, .out_size = 1};
    for (int32_t d = 0; d < job.n_dims; d++) {
        job.in[d] = x->dims[2 + d];
        job.in_size *= job.in[d];
        job.out_size *= out->dims[2 + d];
    }
    fzi_run_range(call->env, x->dims[0] * job.out_size, fzi_max_i64(1, 256 / job.channels),
                  x->dtype == FZ_TYPE_F32 && call->in[1]->dtype == FZ_TYPE_F32 ? point_range_f32
                                                                               : point_range_f64,
                  &job);
    return FZ_OK;
}

#define ROW(first, last)                                                                           \
    {.name = "GridSample", .domain = "", .since = first, .until = last, .rev = 1, .min_in = 2,     \
     .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "mode padding_mode align_corners",          \
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run}

const struct fz_op fz_ops_grid_sample[] = {
    ROW(16, 0),
    {0},
};
