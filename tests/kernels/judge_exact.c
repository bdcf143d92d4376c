/* One result against MPFR. */
#include <float.h>
#include <math.h>

#include "judge.h"

/* The precision doubles until every value within the error bound rounds to the same number. A
 * result that is no number of binary32 but halfway between two is never told so: what is still
 * undecided at 3,000 bits is exact. */
float correct_f32(const struct judged *f, float x) {
    mpfr_t a, y, lo, hi;
    float result, other;
    mpfr_init2(a, 24);
    mpfr_set_flt(a, x, MPFR_RNDN);
    for (mpfr_prec_t p = 96;; p *= 2) {
        mpfr_inits2(p, y, lo, hi, (mpfr_ptr)0);
        f->exact(y, a);
        mpfr_set_ui_2exp(hi, 1, 30 - p, MPFR_RNDN);
        mpfr_mul(hi, hi, y, MPFR_RNDN);
        mpfr_sub(lo, y, hi, MPFR_RNDN);
        mpfr_add(hi, y, hi, MPFR_RNDN);
        result = mpfr_get_flt(lo, MPFR_RNDN);
        other = mpfr_get_flt(hi, MPFR_RNDN);
        if (p > 3000) result = other = mpfr_get_flt(y, MPFR_RNDN);
        mpfr_clears(y, lo, hi, (mpfr_ptr)0);
        if (bits_of(result) == bits_of(other)) break;
    }
    mpfr_clear(a);
    return result;
}

/* An overflow counts from 2^128, where the numbers would go on. */
double error_f32(double y, double r, double x, bool absolute) {
    if (!(r == r) || !(y == y)) return (r == r) == (y == y) ? 0 : INFINITY;
    if (fabs(r) > FLT_MAX && fabs(y) > FLT_MAX) return (r > 0) == (y > 0) ? 0 : INFINITY;
    double at = absolute ? fmax(1, fabs(x)) : fabs(r);
    uint64_t e = bits64_of(fmin(at, FLT_MAX)) & 0x7FF0000000000000;
    double spacing = fmax(double_of(e) * 0x1p-23, 0x1p-149);
    double limit = fmin(fabs(y), 0x1p128);
    return fabs(copysign(limit, y) - r) / spacing;
}

double error_f64(const struct judged *f, double x, double y) {
    mpfr_t a, r, d;
    mpfr_inits2(160, a, r, d, (mpfr_ptr)0);
    mpfr_set_d(a, x, MPFR_RNDN);
    f->exact(r, a);
    double near = mpfr_get_d(r, MPFR_RNDN), error;
    if (!(near == near) || !(y == y)) {
        error = (near == near) == (y == y) ? 0 : INFINITY;
    } else if (fabs(near) > DBL_MAX) {
        error = y == near ? 0 : INFINITY;
    } else {
        double at = f->absolute ? fmax(1, fabs(x)) : fabs(near);
        int e = -1021;
        if (at > 0) frexp(at, &e);
        mpfr_sub_d(d, r, fabs(y) > DBL_MAX ? copysign(DBL_MAX, y) : y, MPFR_RNDN);
        mpfr_mul_2si(d, d, 53 - (e < -1021 ? -1021 : e), MPFR_RNDN);
        error = fabs(mpfr_get_d(d, MPFR_RNDN));
    }
    mpfr_clears(a, r, d, (mpfr_ptr)0);
    return error;
}
