/* RoiAlign: means or maxima over a grid of points in each bin of a region, sampled bilinearly. The
 * coordinates are computed in the type of the input, every step rounded; weights and sums are
 * binary64, rounded once at the end. Of the maximum's four weighted pixels the largest counts. */
#include "ops/move.h"

enum { IMAGE, REGIONS, BATCH };
enum { AVERAGE, MAXIMUM };

struct params {
    int64_t mode, height, width, samples, shift; /* shift: half a pixel is taken off */
    double scale;                                /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"avg", "max", NULL};
    static const char *const shifts[] = {"output_half_pixel", "half_pixel", NULL};
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_choice(node, "mode", modes, AVERAGE, &p->mode));
    FZ_TRY(fzi_attr_choice(node, "coordinate_transformation_mode", shifts, node->op->until == 0,
                           &p->shift));
    FZ_TRY(fzi_attr_int(node, "output_height", 1, &p->height));
    FZ_TRY(fzi_attr_int(node, "output_width", 1, &p->width));
    FZ_TRY(fzi_attr_int(node, "sampling_ratio", 0, &p->samples));
    return fzi_attr_float(node, "spatial_scale", 1, &p->scale);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[IMAGE], *roi = call->in[REGIONS], *batch = call->in[BATCH];
    FZ_TRY(fzi_infer_type(op, call, IMAGE, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, BATCH, FZ_T(I64)));
    if (roi->dtype != x->dtype)
        return fzi_error(FZ_E_TYPE, "%s: regions of %s for images of %s", op->name,
                         fz_type_name(roi->dtype), fz_type_name(x->dtype));
    if (p->height < 1 || p->width < 1 || p->height > INT32_MAX || p->width > INT32_MAX ||
        p->samples < 0 || p->samples > INT16_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: sizes out of range", op->name);
    if ((x->rank >= 0 && x->rank != 4) || (roi->rank >= 0 && roi->rank != 2) ||
        (batch->rank >= 0 && batch->rank != 1))
        return fzi_error(FZ_E_SHAPE, "%s: an input has the wrong rank", op->name);
    if (roi->rank == 2 && roi->dims[1] >= 0 && roi->dims[1] != 4)
        return fzi_error(FZ_E_SHAPE, "%s: regions of %lld numbers", op->name,
                         (long long)roi->dims[1]);
    int64_t n = roi->rank == 2 ? roi->dims[0] : FZ_DIM_UNKNOWN;
    if (batch->rank == 1 && batch->dims[0] >= 0) {
        if (n >= 0 && n != batch->dims[0])
            return fzi_error(FZ_E_SHAPE, "%s: not one image for each region", op->name);
        n = batch->dims[0];
    }
    int64_t dims[4] = {n, x->rank == 4 ? x->dims[1] : FZ_DIM_UNKNOWN, p->height, p->width};
    fzi_infer_shape(call, 0, x->dtype, 4, dims);
    return FZ_OK;
}

/* A region along one axis: bins of SIZE from START on, COUNT samples each. */
struct span {
    double start, size;
    int64_t count;
};

struct job {
    const fz_tensor_t *x, *roi, *batch, *y;
    const struct params *p;
    const struct fz_env *env;
};

static double number(const fz_tensor_t *t, int64_t i) {
    return t->dtype == FZ_TYPE_F32 ? (double)((const float *)t->data)[i]
                                   : ((const double *)t->data)[i];
}

/* A result of one operation on binary32 numbers is theirs if it is rounded to binary32. */
static double as(const fz_tensor_t *t, double x) {
    return t->dtype == FZ_TYPE_F32 ? (double)(float)x : x;
}

/* The samples of a bin are limited: a region may be any number. */
enum { SAMPLES_MAX = 1 << 15 };

static struct span span_of(const struct job *job, int64_t region, int axis, int64_t bins) {
    const fz_tensor_t *t = job->roi;
    double shift = job->p->shift ? 0.5 : 0;
    double from = as(t, as(t, number(t, region * 4 + axis) * job->p->scale) - shift);
    double to = as(t, as(t, number(t, region * 4 + axis + 2) * job->p->scale) - shift);
    double length = as(t, to - from);
    if (!job->p->shift && !(length > 1)) length = 1;
    struct span s = {from, as(t, length / (double)bins), job->p->samples};
    if (s.count) return s;
    s.count = s.size > SAMPLES_MAX ? SAMPLES_MAX : s.size > 0 ? (int64_t)s.size : 0;
    if ((double)s.count < s.size && s.count < SAMPLES_MAX) s.count++;
    return s;
}

/* The two pixels beside a place along an axis of N, with their weights; false: it lies outside. */
struct pair {
    int64_t at[2];
    double weight[2];
};

static bool beside(double place, int64_t n, struct pair *pair) {
    if (!(place >= -1 && place <= (double)n)) return false;
    if (place < 0) place = 0;
    int64_t low = (int64_t)place;
    if (low >= n - 1) {
        low = n - 1;
        place = (double)low;
    }
    pair->at[0] = low;
    pair->at[1] = low + (low < n - 1);
    pair->weight[1] = place - (double)low;
    pair->weight[0] = 1 - pair->weight[1];
    return true;
}

static double place_of(const fz_tensor_t *t, const struct span *s, int64_t bin, int64_t i) {
    double offset = as(t, as(t, ((double)i + 0.5) * s->size) / (double)s->count);
    return as(t, as(t, s->start + as(t, (double)bin * s->size)) + offset);
}

/* One bin of the image at element BASE. */
static double bin_of(const struct job *job, const struct span s[2], int64_t base, int64_t row,
                     int64_t column) {
    int64_t height = job->x->dims[2], width = job->x->dims[3];
    double sum = 0, most = 0;
    bool any = false;
    for (int64_t i = 0; i < s[0].count; i++) {
        struct pair y, x;
        bool inside = beside(place_of(job->roi, &s[0], row, i), height, &y);
        for (int64_t j = 0; j < s[1].count; j++) {
            double value[4] = {0};
            if (inside && beside(place_of(job->roi, &s[1], column, j), width, &x))
                for (int v = 0; v < 4; v++)
                    value[v] = y.weight[v / 2] * x.weight[v % 2] *
                               number(job->x, base + y.at[v / 2] * width + x.at[v % 2]);
            sum = sum + (((value[0] + value[1]) + value[2]) + value[3]);
            for (int v = 0; v < 4; v++)
                if (!any || value[v] > most || value[v] != value[v]) most = value[v], any = true;
        }
    }
    if (job->p->mode == MAXIMUM) return most;
    return sum / (double)fzi_max_i64(1, s[0].count * s[1].count);
}

/* Channels of regions, counted through. */
static void channel_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t channels = job->x->dims[1], size = job->x->dims[2] * job->x->dims[3];
    int64_t rows = job->p->height, columns = job->p->width;
    for (int64_t i = begin; i < end; i++) {
        int64_t region = i / channels;
        int64_t base = (((const int64_t *)job->batch->data)[region] * channels + i % channels) *
                       size;
        struct span s[2] = {span_of(job, region, 1, rows), span_of(job, region, 0, columns)};
        for (int64_t b = 0; b < rows * columns; b++) {
            if (job->env->poll(job->env) != FZ_OK) return;
            double v = size ? bin_of(job, s, base, b / columns, b % columns) : 0;
            if (job->y->dtype == FZ_TYPE_F32)
                ((float *)job->y->data)[i * rows * columns + b] = (float)v;
            else ((double *)job->y->data)[i * rows * columns + b] = v;
        }
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {call->in[IMAGE], call->in[REGIONS], call->in[BATCH], call->out[0],
                      call->params, call->env};
    const int64_t *batch = job.batch->data;
    if (call->out[0]->size == 0) return FZ_OK;
    for (int64_t i = 0; i < job.y->dims[0]; i++)
        if (batch[i] < 0 || batch[i] >= job.x->dims[0])
            return fzi_error(FZ_E_VALUE, "%s: there is no image %lld", op->name,
                             (long long)batch[i]);
    fzi_run_range(call->env, job.y->dims[0] * job.y->dims[1],
                  1 + 256 / (job.y->dims[2] * job.y->dims[3]), channel_range, &job);
    return FZ_OK;
}

#define ROW(first, last, more)                                                                     \
    {.name = "RoiAlign", .domain = "", .since = first, .until = last, .rev = 1, .min_in = 3,       \
     .max_in = 3, .min_out = 1, .max_out = 1,                                                      \
     .attrs = "mode output_height output_width sampling_ratio spatial_scale" more,                 \
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run}

const struct fz_op fz_ops_roi_align[] = {
    ROW(10, 15, ""),
    ROW(16, 0, " coordinate_transformation_mode"),
    {0},
};
