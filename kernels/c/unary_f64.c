/* Elementwise functions of one binary64 argument. Y may be X; otherwise they do not overlap. */
#include "functions.h"

#define LOOP1(NAME, name)                                                                          \
    static void loop_##name(double *y, const double *x, int64_t n) {                               \
        for (int64_t i = 0; i < n; i++) y[i] = f64_##name(x[i]);                                   \
    }
#define LOOP2(NAME, name)                                                                          \
    static void loop_##name(double *y, const double *x, int64_t n, double a, double b) {           \
        for (int64_t i = 0; i < n; i++) y[i] = f64_##name(x[i], a, b);                             \
    }
FZK_FUNCTIONS(LOOP1, LOOP1, LOOP2)

void FZK_NAME(unary_f64)(int32_t fn, double *y, const double *x, int64_t n, double a, double b) {
    switch (fn) {
#define CASE1(NAME, name) case FZK_FN_##NAME: loop_##name(y, x, n); return;
#define CASE2(NAME, name) case FZK_FN_##NAME: loop_##name(y, x, n, a, b); return;
    FZK_FUNCTIONS(CASE1, CASE1, CASE2)
    default: return;
    }
}
