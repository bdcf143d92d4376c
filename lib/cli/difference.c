/* How far two tensors are apart. */
#include "difference.h"

#include <math.h>
#include <string.h>

static bool same_shape(const fz_tensor_t *a, const fz_tensor_t *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

static double range_of(const fz_tensor_t *t) {
    double low = INFINITY, high = -INFINITY, largest = 0;
    for (int64_t i = 0; i < count_of(t); i++) {
        double x = element(t, i);
        if (!isfinite(x)) continue;
        low = fmin(low, x);
        high = fmax(high, x);
        largest = fmax(largest, fabs(x));
    }
    return high >= low ? fmax(largest, high - low) : 0;
}

/* Distance of two floats in the order of their bits. */
static double ulps(double a, double b) {
    float x = (float)a, y = (float)b;
    int32_t i, j;
    memcpy(&i, &x, 4);
    memcpy(&j, &y, 4);
    if (i < 0) i = INT32_MIN - i;
    if (j < 0) j = INT32_MIN - j;
    return fabs((double)i - (double)j);
}

static double distance(double a, double b) {
    if (a == b || (isnan(a) && isnan(b))) return 0;
    double d = fabs(a - b);
    return isnan(d) ? INFINITY : d;
}

static bool is_nested(const fz_tensor_t *t) { return fz_type_kind(t->dtype) != FZ_KIND_TENSOR; }

/* Elements that are different are infinitely far apart. */
static struct difference difference_of_strings(const fz_tensor_t *a, const fz_tensor_t *b) {
    const fz_string_t *x = a->data, *y = b->data;
    struct difference d = {.shapes = true};
    for (int64_t i = 0; i < count_of(a); i++)
        if (x[i].size != y[i].size || (x[i].size && memcmp(x[i].text, y[i].text, x[i].size) != 0))
            d.n_wrong++;
    d.equal = d.n_wrong == 0;
    d.max_abs = d.equal ? 0 : INFINITY;
    d.sqnr = d.equal ? INFINITY : 0;
    return d;
}

/* The largest difference of what two sequences, optionals or maps hold. */
static struct difference difference_of_values(const fz_tensor_t *a, const fz_tensor_t *b,
                                              double rtol, double atol, double share) {
    const fz_tensor_t *x = a->data, *y = b->data;
    struct difference all = {.shapes = true, .equal = true, .sqnr = INFINITY};
    for (int64_t i = 0; i < count_of(a) && all.shapes; i++) {
        struct difference d = difference_of(&x[i], &y[i], rtol, atol, share);
        all.shapes = d.shapes;
        all.equal = all.equal && d.equal;
        all.n_wrong += d.n_wrong;
        all.range = fmax(all.range, d.range);
        all.max_abs = fmax(all.max_abs, d.max_abs);
        all.max_ulp = fmax(all.max_ulp, d.max_ulp);
        all.sqnr = fmin(all.sqnr, d.sqnr);
    }
    return all;
}

struct difference difference_of(const fz_tensor_t *a, const fz_tensor_t *b, double rtol,
                                double atol, double share) {
    struct difference d = {.shapes = same_shape(a, b)};
    if (!d.shapes) return d;
    if (a->dtype == FZ_TYPE_STRING) return difference_of_strings(a, b);
    if (is_nested(a)) return difference_of_values(a, b, rtol, atol, share);
    d.equal = a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
    d.range = range_of(a);
    double signal = 0, noise = 0;
    for (int64_t i = 0; i < count_of(a); i++) {
        double x = element(a, i), y = element(b, i), far = distance(x, y);
        d.max_abs = fmax(d.max_abs, far);
        if (far > 0 && !(far <= atol + rtol * fabs(x) + share * d.range)) d.n_wrong++;
        if (a->dtype == FZ_TYPE_F32 && far > 0) d.max_ulp = fmax(d.max_ulp, ulps(x, y));
        if (isfinite(x) && isfinite(y)) {
            signal += x * x;
            noise += far * far;
        }
    }
    d.sqnr = noise > 0 ? 10 * log10(signal / noise) : INFINITY;
    return d;
}
