/* What values are like: range, histogram, sums and peaks by channel. */

#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { NO_EXPONENT = INT32_MIN };

void fzi_stat_init(struct fz_stat *stat, const char *name, int32_t axis) {
    *stat = (struct fz_stat){.name = name, .exponent = NO_EXPONENT, .axis = axis};
}

/* Merges bins until they are 2^EXPONENT wide. */
static void widen(struct fz_stat *s, int32_t exponent) {
    int32_t shift = exponent - s->exponent;
    if (s->exponent == NO_EXPONENT || shift <= 0) {
        if (s->exponent == NO_EXPONENT) s->exponent = exponent;
        return;
    }
    if (shift > 31) shift = 31;
    uint64_t old[2 * FZ_STAT_HALF];
    memcpy(old, s->bins, sizeof old);
    memset(s->bins, 0, sizeof s->bins);
    for (int32_t i = -FZ_STAT_HALF; i < FZ_STAT_HALF; i++)
        s->bins[(i >> shift) + FZ_STAT_HALF] += old[i + FZ_STAT_HALF];
    s->exponent = exponent;
}

/* The width of bins that reach up to SIZE. */
static int32_t exponent_for(double size) {
    return fzi_exponent(size, NULL) - 11;
}

static fz_status_t find_range(struct fz_stat *s, const float *x, int64_t n) {
    float low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        /* False for a NaN too. */
        if (!(x[i] <= 3.402823466e38F && x[i] >= -3.402823466e38F))
            return fzi_error(FZ_E_VALUE, "'%s' is %s there", s->name,
                             x[i] != x[i] ? "not a number" : "infinite");
        if (x[i] < low) low = x[i];
        if (x[i] > high) high = x[i];
    }
    if ((double)low < s->low) s->low = (double)low;
    if ((double)high > s->high) s->high = (double)high;
    double size = (double)(high > -low ? high : -low);
    if (size > 0) widen(s, exponent_for(size));
    return FZ_OK;
}

/* Elements before and behind AXIS. */
static void around(const fz_tensor_t *t, int32_t axis, int64_t *outer, int64_t *inner) {
    *outer = *inner = 1;
    for (int32_t d = 0; d < axis; d++) *outer *= t->dims[d];
    for (int32_t d = axis + 1; d < t->rank; d++) *inner *= t->dims[d];
}

static void add_channels(struct fz_stat *s, struct fz_arena *arena, const fz_tensor_t *t) {
    int32_t axis = s->axis < 0 ? t->rank - 1 : s->axis;
    if (axis < 0 || axis >= t->rank || s->n_channels < 0) return;
    if (!s->n_channels) {
        s->n_channels = t->dims[axis];
        s->sums = fzi_arena_array(arena, (size_t)s->n_channels, sizeof *s->sums);
        s->squares = fzi_arena_array(arena, (size_t)s->n_channels, sizeof *s->squares);
        s->peaks = fzi_arena_array(arena, (size_t)s->n_channels, sizeof *s->peaks);
    }
    if (s->n_channels != t->dims[axis] || !s->sums || !s->squares || !s->peaks) {
        s->n_channels = -1;
        return;
    }
    int64_t outer, inner;
    around(t, axis, &outer, &inner);
    const float *x = t->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < s->n_channels; c++)
            for (int64_t i = 0; i < inner; i++, x++) {
                double v = (double)*x, size = v < 0 ? -v : v;
                s->sums[c] += v;
                s->squares[c] += v * v;
                if (size > s->peaks[c]) s->peaks[c] = size;
            }
    s->per_channel += (uint64_t)(outer * inner);
}

static double rounded(double x, const struct fz_scale *s) {
    double y = fzi_nearest(x / (double)s->scale) * (double)s->scale;
    return y < s->low ? s->low : y > s->high ? s->high : y;
}

void fzi_stat_add_rounded(struct fz_stat *s, const fz_tensor_t *t) {
    int32_t axis = s->axis < 0 ? t->rank - 1 : s->axis;
    if (s->n_channels <= 0 || axis < 0 || axis >= t->rank || t->dims[axis] != s->n_channels) return;
    int64_t outer, inner;
    around(t, axis, &outer, &inner);
    const float *x = t->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < s->n_channels; c++)
            for (int64_t i = 0; i < inner; i++, x++)
                s->rounded[c] += rounded((double)*x, &s->rounded_scale);
}

/* The integer below X, which is small. */
static int32_t bin(double x) {
    int32_t i = (int32_t)x;
    return i > x ? i - 1 : i;
}

fz_status_t fzi_stat_add(struct fz_stat *s, struct fz_arena *arena, const fz_tensor_t *t) {
    const float *x = t->data;
    int64_t n = fzi_tensor_count(t);
    FZ_TRY(find_range(s, x, n));
    s->n += (uint64_t)n;
    add_channels(s, arena, t);
    if (s->exponent == NO_EXPONENT) {
        s->bins[FZ_STAT_HALF] += (uint64_t)n;
        return FZ_OK;
    }
    double factor = fzi_power(-s->exponent);
    for (int64_t i = 0; i < n; i++)
        s->bins[bin((double)x[i] * factor) + FZ_STAT_HALF]++;
    return FZ_OK;
}

void fzi_stat_merge(struct fz_stat *to, const struct fz_stat *from) {
    if (from->low < to->low) to->low = from->low;
    if (from->high > to->high) to->high = from->high;
    to->n += from->n;
    if (from->exponent != NO_EXPONENT) widen(to, from->exponent);
    int32_t shift = from->exponent == NO_EXPONENT ? 0 : to->exponent - from->exponent;
    if (shift > 31) shift = 31;
    for (int32_t i = -FZ_STAT_HALF; i < FZ_STAT_HALF; i++)
        to->bins[(i >> shift) + FZ_STAT_HALF] += from->bins[i + FZ_STAT_HALF];
}
