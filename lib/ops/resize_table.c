/* Where each output of Resize comes from. Coordinates are computed in binary32 in the order that
 * ONNX writes them, weights in binary64 and rounded once. */
#include "ops/resize.h"

/* floor of a coordinate; what is far outside of every tensor saturates. */
static int64_t floor_of(float x) {
    if (!(x > -0x1p62f)) return -(1ll << 62);
    if (x >= 0x1p62f) return 1ll << 62;
    int64_t n = (int64_t)x;
    return (float)n > x ? n - 1 : n;
}

static float symmetric_offset(const struct fz_resize_axis *a) {
    float adjustment = (float)a->out / a->width, center = (float)a->in / 2;
    return center * (1 - adjustment);
}

static float cropped(const struct fz_resize_axis *a, int64_t out) {
    float last = (float)(a->in - 1);
    if (a->out <= 1) return 0.5f * (a->begin + a->end) * last;
    return a->begin * last + (float)out * (a->end - a->begin) * last / (float)(a->out - 1);
}

/* The place in the input of output OUT. */
static float origin(const struct fz_resize_params *p, const struct fz_resize_axis *a, int64_t out) {
    float x = (float)out;
    switch (p->coord) {
    case FZ_COORD_HALF_PIXEL_SYMMETRIC:
        return symmetric_offset(a) + (x + 0.5f) / a->scale - 0.5f;
    case FZ_COORD_PYTORCH_HALF_PIXEL: return a->out > 1 ? (x + 0.5f) / a->scale - 0.5f : 0;
    case FZ_COORD_ALIGN_CORNERS:
        return a->width == 1 ? 0 : x * (float)(a->in - 1) / (a->width - 1);
    case FZ_COORD_ASYMMETRIC: return x / a->scale;
    case FZ_COORD_TF_HALF_PIXEL_FOR_NN: return (x + 0.5f) / a->scale;
    case FZ_COORD_TF_CROP_AND_RESIZE: return cropped(a, out);
    default: return (x + 0.5f) / a->scale - 0.5f;
    }
}

/* The whole number that stands for X. */
static int64_t nearest(const struct fz_resize_params *p, const struct fz_resize_axis *a, float x) {
    int64_t low = floor_of(x);
    float rest = x - (float)low;
    int64_t up = rest > 0 ? low + 1 : low;
    switch (p->nearest) {
    case FZ_NEAREST_FLOOR: return low;
    case FZ_NEAREST_CEIL: return up;
    case FZ_NEAREST_SIMPLE: return a->scale < 1 ? up : low;
    case FZ_NEAREST_PREFER_CEIL: return rest >= 0.5f ? up : low;
    default: return rest > 0.5f ? up : low;
    }
}

static double cubic(double x, double a) {
    x = __builtin_fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double linear(double x) {
    x = __builtin_fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* How much the filter is stretched: 1 unless antialiasing shrinks. */
static double stretch(const struct fz_resize_params *p, const struct fz_resize_axis *a) {
    return p->antialias && a->scale < 1 ? (double)a->scale : 1;
}

/* The first tap, counted from the floor of the coordinate; the taps lie as far on both sides. */
static int64_t first_tap(const struct fz_resize_params *p, const struct fz_resize_axis *a) {
    if (p->mode == FZ_RESIZE_NEAREST) return 0;
    return floor_of((float)(-(p->mode == FZ_RESIZE_CUBIC ? 2 : 1) / stretch(p, a))) + 1;
}

int64_t fzi_resize_taps(const struct fz_resize_params *p, const struct fz_resize_axis *axis) {
    return p->mode == FZ_RESIZE_NEAREST ? 1 : 2 - 2 * first_tap(p, axis);
}

size_t fzi_resize_table_size(const struct fz_resize_params *p, const struct fz_resize_axis *axis) {
    size_t n = (size_t)(fzi_resize_taps(p, axis) * axis->out);
    return fzi_align(n * 8, 64) + fzi_align(n * 4, 64) + fzi_align((size_t)axis->out, 64);
}

static int64_t inside(int64_t i, int64_t n) { return i < 0 ? 0 : i < n ? i : n - 1; }

/* Indices and weights of one output at X; weights are divided by their sum where ONNX says so. */
static void fill(const struct fz_resize_params *p, const struct fz_resize_axis *a, float x,
                 int64_t taps, int64_t *index, float *weight) {
    int64_t base = floor_of(x), first = first_tap(p, a);
    double ratio = (double)(x - (float)base), scale = stretch(p, a), sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t t = 0; t < taps; t++) {
            double place = ((double)(first + t) - ratio) * scale;
            double w = p->mode == FZ_RESIZE_CUBIC ? cubic(place, p->cubic_a) : linear(place);
            int64_t i = base + first + t;
            if (p->exclude_outside && (i < 0 || i >= a->in)) w = 0;
            if (pass == 0) sum += w;
            bool divide = (p->exclude_outside || p->antialias) && sum != 0;
            index[t] = inside(i, a->in);
            weight[t] = (float)(divide ? w / sum : w);
        }
}

void fzi_resize_table(const struct fz_resize_params *p, const struct fz_resize_axis *axis,
                      void *room, struct fz_resize_table *table) {
    int64_t taps = fzi_resize_taps(p, axis);
    size_t n = (size_t)(taps * axis->out);
    char *at = room;
    void *weight = at + fzi_align(n * 8, 64);
    void *outside = at + fzi_align(n * 8, 64) + fzi_align(n * 4, 64);
    *table = (struct fz_resize_table){taps, room, weight, outside};
    for (int64_t o = 0; o < axis->out; o++) {
        float x = origin(p, axis, o);
        bool crops = p->coord == FZ_COORD_TF_CROP_AND_RESIZE;
        table->outside[o] = crops && !(x >= 0 && x <= (float)(axis->in - 1));
        if (p->mode == FZ_RESIZE_NEAREST) {
            table->index[o] = inside(nearest(p, axis, x), axis->in);
            table->weight[o] = 1;
        } else {
            fill(p, axis, x, taps, table->index + o * taps, table->weight + o * taps);
        }
    }
}
