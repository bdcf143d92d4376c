/* From histograms to ranges. */

#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { STEPS = 64, LEVELS = 256 };

struct range {
    double low, high;
};

/* ---- the number format */

static struct fz_scale scale_for(const fz_quantize_options_t *o, struct range r) {
    struct fz_scale s = {1, 0, 0, 0};
    double low = r.low < 0 ? r.low : 0, high = r.high > 0 ? r.high : 0;
    bool symmetric = o->flags & FZ_QUANTIZE_SYMMETRIC;
    double size = high > -low ? high : -low;
    double step = symmetric ? size / 127 : (high - low) / 255;
    if (!(step > 0)) return s;
    s.scale = (float)step;
    /* A step that binary32 has no normal number for cannot be divided by. */
    if (s.scale < 1.1754944e-38F) s.scale = 1.1754944e-38F;
    if (!symmetric) {
        double zero = fzi_nearest(-low / (double)s.scale);
        s.zero = (int32_t)(zero < 0 ? 0 : zero > 255 ? 255 : zero);
    }
    s.low = ((symmetric ? -128 : 0) - s.zero) * (double)s.scale;
    s.high = ((symmetric ? 127 : 255) - s.zero) * (double)s.scale;
    return s;
}

/* The mean squared error of the histogram in the numbers of S. */
static double squared_error(const struct fz_stat *stat, const struct fz_scale *s) {
    double width = fzi_power(stat->exponent), sum = 0, step = (double)s->scale;
    for (int32_t i = 0; i < 2 * FZ_STAT_HALF; i++) {
        if (!stat->bins[i]) continue;
        double x = (i - FZ_STAT_HALF + 0.5) * width, y = fzi_nearest(x / step) * step;
        if (y < s->low) y = s->low;
        if (y > s->high) y = s->high;
        sum += (double)stat->bins[i] * (x - y) * (x - y);
    }
    return sum;
}

/* ---- the methods */

static struct range percentile(const struct fz_stat *stat, double share) {
    struct range r = {stat->low, stat->high};
    double width = fzi_power(stat->exponent);
    double allowed = (double)stat->n * (1 - share) / 2, seen = 0;
    int32_t i = 0;
    for (; i < 2 * FZ_STAT_HALF && seen + (double)stat->bins[i] <= allowed; i++)
        seen += (double)stat->bins[i];
    double low = (i - FZ_STAT_HALF) * width;
    for (i = 2 * FZ_STAT_HALF, seen = 0; i > 0 && seen + (double)stat->bins[i - 1] <= allowed; i--)
        seen += (double)stat->bins[i - 1];
    double high = (i - FZ_STAT_HALF) * width;
    if (low > r.low) r.low = low;
    if (high < r.high) r.high = high;
    return r;
}

/* First both ends together, then each by itself. */
static struct range least_squares(const fz_quantize_options_t *o, const struct fz_stat *stat) {
    struct range full = {stat->low, stat->high}, best = full;
    struct fz_scale s = scale_for(o, full);
    double least = squared_error(stat, &s);
    for (int which = 0; which < 3; which++) {
        struct range from = best;
        for (int i = 1; i < STEPS; i++) {
            double f = (double)i / STEPS;
            struct range r = {which == 2 ? from.low : from.low * f,
                              which == 1 ? from.high : from.high * f};
            s = scale_for(o, r);
            double error = squared_error(stat, &s);
            if (error >= least) continue;
            least = error;
            best = r;
        }
    }
    return best;
}

/* The divergence of the bins [FIRST, LAST), all beyond them put on the ends, from what is left of
 * them in LEVELS levels: P log(P / Q), Q spreading each level over its bins that are not empty
 * (Migacz, "8-bit inference with TensorRT", 2017). */
static double divergence(const struct fz_stat *stat, int32_t first, int32_t last) {
    double below = 0, above = 0, all = (double)stat->n, sum = 0;
    for (int32_t i = 0; i < first; i++) below += (double)stat->bins[i];
    for (int32_t i = last; i < 2 * FZ_STAT_HALF; i++) above += (double)stat->bins[i];
    int32_t n = last - first;
    for (int32_t level = 0; level < LEVELS; level++) {
        int32_t from = first + (int32_t)((int64_t)n * level / LEVELS);
        int32_t to = first + (int32_t)((int64_t)n * (level + 1) / LEVELS), used = 0;
        double inside = 0;
        for (int32_t i = from; i < to; i++) {
            inside += (double)stat->bins[i];
            used += stat->bins[i] != 0;
        }
        for (int32_t i = from; i < to; i++) {
            double p = (double)stat->bins[i];
            if (i == first) p += below;
            if (i == last - 1) p += above;
            /* What was clipped onto an empty level is as good as lost. */
            if (p > 0) sum += p / all * fzi_logarithm(inside > 0 ? p * used / inside : p * 1e3);
        }
    }
    return sum;
}

static struct range least_divergence(const struct fz_stat *stat) {
    struct range best = {stat->low, stat->high};
    double width = fzi_power(stat->exponent), least = FZ_INFINITY;
    int32_t first = 0, last = 2 * FZ_STAT_HALF;
    while (first < FZ_STAT_HALF && !stat->bins[first]) first++;
    while (last > FZ_STAT_HALF + 1 && !stat->bins[last - 1]) last--;
    for (int32_t reach = FZ_STAT_HALF; reach >= LEVELS / 2; reach -= 16) {
        int32_t a = FZ_STAT_HALF - reach > first ? FZ_STAT_HALF - reach : first;
        int32_t b = FZ_STAT_HALF + reach < last ? FZ_STAT_HALF + reach : last;
        double d = b - a >= LEVELS ? divergence(stat, a, b) : FZ_INFINITY;
        if (d >= least) continue;
        least = d;
        double low = (a - FZ_STAT_HALF) * width, high = (b - FZ_STAT_HALF) * width;
        best = (struct range){low > stat->low ? low : stat->low,
                              high < stat->high ? high : stat->high};
    }
    return best;
}

void fzi_range_choose(const fz_quantize_options_t *o, const struct fz_stat *stat,
                      struct fz_scale *out) {
    struct range r = {stat->low, stat->high};
    if (stat->low < 0 || stat->high > 0) {
        if (o->calibration == FZ_CALIBRATE_PERCENTILE) r = percentile(stat, o->percentile / 100);
        else if (o->calibration == FZ_CALIBRATE_ENTROPY) r = least_divergence(stat);
        else if (o->calibration == FZ_CALIBRATE_MSE) r = least_squares(o, stat);
    }
    *out = scale_for(o, r);
    /* Everything that was seen is 0 to what a method has left: keep what is there. */
    if (out->scale == 1 && out->low == 0 && out->high == 0)
        *out = scale_for(o, (struct range){stat->low, stat->high});
}
