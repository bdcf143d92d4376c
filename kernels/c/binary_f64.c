/* Those elementwise functions of two binary64 arguments that plain C does not have. */
#include "functions.h"

void FZK_NAME(binary_f64)(int32_t fn, double *y, const double *a, const double *b, int64_t n,
                          int64_t a_step, int64_t b_step) {
    for (int64_t i = 0; i < n; i++) {
        double p = a[i * a_step], q = b[i * b_step], r;
        switch (fn) {
        case FZK_BINARY_ADD: r = p + q; break;
        case FZK_BINARY_SUB: r = p - q; break;
        case FZK_BINARY_MUL: r = p * q; break;
        case FZK_BINARY_DIV: r = p / q; break;
        case FZK_BINARY_POW: r = f64_pow(p, q); break;
        case FZK_BINARY_FMOD: r = f64_fmod(p, q); break;
        case FZK_BINARY_MOD: r = f64_mod(p, q); break;
        case FZK_BINARY_PRELU: r = p < 0 ? p * q : p; break;
        case FZK_BINARY_MAX: r = f64_max(p, q); break;
        case FZK_BINARY_MIN: r = f64_min(p, q); break;
        default: return;
        }
        y[i] = r;
    }
}
