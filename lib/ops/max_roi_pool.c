/* MaxRoiPool: the largest pixel of each bin of a region, 0 in an empty bin. Corners are rounded to
 * whole pixels, half away from zero; bin b reaches from floor(b * size) to ceil((b + 1) * size),
 * where size is the region's length by the number of bins in binary32. */
#include "ops/wide.h"

struct params {
    int64_t height, width;
    double scale; /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const int64_t *shape = NULL;
    size_t n = 0;
    (void)lower;
    FZ_TRY(fzi_attr_ints(node, "pooled_shape", &shape, &n));
    if (n != 2) return fzi_error(FZ_E_FORMAT, "attribute 'pooled_shape' has not two values");
    p->height = shape[0];
    p->width = shape[1];
    return fzi_attr_float(node, "spatial_scale", 1, &p->scale);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *roi = call->in[1];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    if (roi->dtype != x->dtype)
        return fzi_error(FZ_E_TYPE, "%s: regions of %s for images of %s", op->name,
                         fz_type_name(roi->dtype), fz_type_name(x->dtype));
    if (p->height < 1 || p->width < 1 || p->height > INT32_MAX || p->width > INT32_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: pooled_shape is out of range", op->name);
    if ((x->rank >= 0 && x->rank != 4) || (roi->rank >= 0 && roi->rank != 2) ||
        (roi->rank == 2 && roi->dims[1] >= 0 && roi->dims[1] != 5))
        return fzi_error(FZ_E_SHAPE, "%s: images or regions have the wrong shape", op->name);
    int64_t dims[4] = {roi->rank == 2 ? roi->dims[0] : FZ_DIM_UNKNOWN,
                       x->rank == 4 ? x->dims[1] : FZ_DIM_UNKNOWN, p->height, p->width};
    fzi_infer_shape(call, 0, x->dtype, 4, dims);
    return FZ_OK;
}

static double number(const fz_tensor_t *t, int64_t i) {
    return t->dtype == FZ_TYPE_F32 ? (double)((const float *)t->data)[i]
                                   : ((const double *)t->data)[i];
}

/* Half away from zero, within numbers of pixels. */
static int64_t nearest(double x) {
    const double most = 0x1p40;
    x = x != x ? 0 : x > most ? most : x < -most ? -most : x;
    int64_t whole = (int64_t)x;
    double rest = x - (double)whole;
    return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}

/* The pixels [*FIRST, *LAST) of bin B of BINS along an axis of N pixels. */
static void bin_range(const struct fz_call *call, int64_t region, int axis, int64_t bins,
                      int64_t b, int64_t n, int64_t *first, int64_t *last) {
    const struct params *p = call->params;
    const fz_tensor_t *roi = call->in[1];
    int64_t from = nearest((double)(float)(number(roi, region * 5 + 1 + axis) * p->scale));
    int64_t to = nearest((double)(float)(number(roi, region * 5 + 3 + axis) * p->scale));
    float size = (float)fzi_max_i64(1, to - from + 1) / (float)bins;
    float low = (float)b * size, high = (float)(b + 1) * size;
    int64_t floor_low = (int64_t)low, ceil_high = (int64_t)high;
    if ((float)ceil_high < high) ceil_high++;
    *first = fzi_max_i64(0, fzi_min_i64(floor_low + from, n));
    *last = fzi_max_i64(0, fzi_min_i64(ceil_high + from, n));
}

static double largest(const struct fz_call *call, int64_t region, int64_t base, int64_t row,
                      int64_t column) {
    const fz_tensor_t *x = call->in[0], *y = call->out[0];
    int64_t top, bottom, left, right;
    bin_range(call, region, 1, y->dims[2], row, x->dims[2], &top, &bottom);
    bin_range(call, region, 0, y->dims[3], column, x->dims[3], &left, &right);
    if (top >= bottom || left >= right) return 0;
    double most = -__builtin_inf();
    for (int64_t i = top; i < bottom; i++)
        for (int64_t j = left; j < right; j++)
            most = fzi_max_f64(most, number(x, base + i * x->dims[3] + j));
    return most;
}

static void channel_range(void *arg, int64_t begin, int64_t end) {
    const struct fz_call *call = arg;
    const fz_tensor_t *x = call->in[0], *y = call->out[0];
    int64_t channels = x->dims[1], bins = y->dims[2] * y->dims[3];
    for (int64_t i = begin; i < end; i++) {
        int64_t region = i / channels, image = (int64_t)number(call->in[1], region * 5);
        int64_t base = (image * channels + i % channels) * x->dims[2] * x->dims[3];
        if (call->env->poll(call->env) != FZ_OK) return;
        for (int64_t b = 0; b < bins; b++) {
            double v = largest(call, region, base, b / y->dims[3], b % y->dims[3]);
            if (y->dtype == FZ_TYPE_F32) ((float *)y->data)[i * bins + b] = (float)v;
            else ((double *)y->data)[i * bins + b] = v;
        }
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *y = call->out[0];
    struct fz_call copy = *call;
    if (y->size == 0) return FZ_OK;
    for (int64_t i = 0; i < y->dims[0]; i++) {
        double image = number(call->in[1], i * 5);
        if (!(image >= 0 && image < (double)x->dims[0]))
            return fzi_error(FZ_E_VALUE, "%s: region %lld is of no image", op->name, (long long)i);
    }
    fzi_run_range(call->env, y->dims[0] * y->dims[1], 16, channel_range, &copy);
    return FZ_OK;
}

const struct fz_op fz_ops_max_roi_pool[] = {
    {.name = "MaxRoiPool", .domain = "", .since = 1, .rev = 1, .min_in = 2, .max_in = 2,
     .min_out = 1, .max_out = 1, .attrs = "pooled_shape spatial_scale",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
