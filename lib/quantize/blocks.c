/* Weights in blocks of 4 bits: to the nearest number, or with error feedback.
 *
 * Error feedback is that of GPTQ (Frantar et al., 2023): inputs are rounded one after the other,
 * and what rounding input i has done to the output is taken out by those that are still real,
 * w_m -= U[i][m] / U[i][i] * (w_i - rounded w_i), where U is upper triangular with U^T U = H^-1 and
 * H the second moments of the inputs. */

#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { HIGHEST = 15, SHRINKS = 20 };

static double rounded(double w, double scale, int zero, uint8_t *number) {
    double y = fzi_nearest(w / scale) + zero;
    y = y < 0 ? 0 : y > HIGHEST ? HIGHEST : y;
    *number = (uint8_t)y;
    return (y - zero) * scale;
}

/* The squared error of column C's rows [FROM, TO) in the numbers of a range. */
static double error_of(const struct fz_blocks *b, int64_t from, int64_t to, int64_t c, double scale,
                       int zero) {
    double sum = 0;
    uint8_t number;
    for (int64_t i = from; i < to; i++) {
        double w = b->w[i * b->n + c], d = w - rounded(w, scale, zero, &number);
        sum += d * d;
    }
    return sum;
}

static void set_range(double low, double high, float *scale, int *zero) {
    *scale = (float)((high - low) / HIGHEST);
    if (!(*scale >= 1.1754944e-38F)) *scale = 1;
    double z = fzi_nearest(-low / (double)*scale);
    *zero = (int)(z < 0 ? 0 : z > HIGHEST ? HIGHEST : z);
}

/* The range of a column's block that rounds it best: its own, or a smaller one that clips. */
static void choose_range(const struct fz_blocks *b, int64_t from, int64_t to, int64_t c) {
    double low = 0, high = 0, least = FZ_INFINITY;
    int64_t at = from / b->block * b->n + c;
    for (int64_t i = from; i < to; i++) {
        low = fzi_least(low, b->w[i * b->n + c]);
        high = fzi_most(high, b->w[i * b->n + c]);
    }
    for (int i = 0; i < SHRINKS; i++) {
        double f = 1 - 0.025 * i;
        float scale;
        int zero;
        set_range(low * f, high * f, &scale, &zero);
        double error = error_of(b, from, to, c, (double)scale, zero);
        if (error >= least) continue;
        least = error;
        b->scales[at] = scale;
        b->zeros[at] = (uint8_t)zero;
    }
}

static void choose_ranges(const struct fz_blocks *b, int64_t from) {
    int64_t to = fzi_min_i64(from + b->block, b->k);
    for (int64_t c = 0; c < b->n; c++) choose_range(b, from, to, c);
}

void fzi_blocks_nearest(const struct fz_blocks *b) {
    for (int64_t i = 0; i < b->k; i++) {
        if (i % b->block == 0) choose_ranges(b, i);
        int64_t at = i / b->block * b->n;
        for (int64_t c = 0; c < b->n; c++)
            rounded(b->w[i * b->n + c], (double)b->scales[at + c], b->zeros[at + c],
                    &b->numbers[i * b->n + c]);
    }
}

/* ---- error feedback */

static double dot(const double *a, const double *b, int64_t n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
        s2 += a[i + 2] * b[i + 2];
        s3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

/* H = R R^T with R upper triangular, in the place of H's upper half. False if H is not positive
 * definite. */
static bool factor(double *h, int64_t k) {
    for (int64_t j = k - 1; j >= 0; j--) {
        const double *row = h + j * k;
        double d = row[j] - dot(row + j + 1, row + j + 1, k - j - 1);
        if (!(d > 0)) return false;
        h[j * k + j] = fzi_root(d);
        for (int64_t i = 0; i < j; i++)
            h[i * k + j] = (h[i * k + j] - dot(h + i * k + j + 1, row + j + 1, k - j - 1)) /
                           h[j * k + j];
    }
    return true;
}

/* U = R^-1, which is upper triangular with U^T U = H^-1, row by row from the last. */
static void invert(double *r, int64_t k, double *row) {
    for (int64_t i = k - 1; i >= 0; i--) {
        double d = 1 / r[i * k + i];
        memset(row, 0, (size_t)k * sizeof *row);
        for (int64_t m = i + 1; m < k; m++) {
            double f = -d * r[i * k + m];
            for (int64_t j = m; j < k; j++) row[j] += f * r[m * k + j];
        }
        row[i] = d;
        memcpy(r + i * k + i, row + i, (size_t)(k - i) * sizeof *row);
    }
}

/* Inputs that were always 0 are worth nothing; the diagonal is raised by 1 % of its mean. */
static void damp(const struct fz_blocks *b, double *h) {
    double mean = 0;
    for (int64_t i = 0; i < b->k; i++) mean += h[i * b->k + i];
    mean /= (double)b->k;
    for (int64_t i = 0; i < b->k; i++) {
        double *d = &h[i * b->k + i];
        *d = *d > 0 ? *d + 0.01 * mean : mean > 0 ? mean : 1;
    }
}

static void feed_back(const struct fz_blocks *b, const double *u, double *error) {
    for (int64_t i = 0; i < b->k; i++) {
        if (i % b->block == 0) choose_ranges(b, i);
        int64_t at = i / b->block * b->n;
        const double *row = u + i * b->k;
        for (int64_t c = 0; c < b->n; c++) {
            double w = b->w[i * b->n + c];
            error[c] = (w - rounded(w, (double)b->scales[at + c], b->zeros[at + c],
                                    &b->numbers[i * b->n + c])) / row[i];
        }
        for (int64_t m = i + 1; m < b->k; m++)
            for (int64_t c = 0; c < b->n; c++) b->w[m * b->n + c] -= row[m] * error[c];
    }
}

fz_status_t fzi_blocks_feedback(const struct fz_blocks *b, double *h) {
    int64_t longest = b->k > b->n ? b->k : b->n;
    double *row = fzi_calloc((size_t)longest, sizeof *row);
    if (!row) return fzi_error(FZ_E_NOMEM, "no memory for error feedback");
    damp(b, h);
    bool good = factor(h, b->k);
    if (good) {
        invert(h, b->k, row);
        feed_back(b, h, row);
    }
    fzi_free(row);
    return good ? FZ_OK : fzi_error(FZ_E_VALUE, "the samples' second moments are degenerate");
}
