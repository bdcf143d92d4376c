/* Cholesky's factorisation, row by row (Golub and Van Loan, Matrix Computations, 4.2). */
#include "prune/solve.h"

#include <math.h>

void fzi_solve_damp(double *a, int64_t n, double share) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i * n + i];
    double damp = n ? share * (sum / (double)n) : 0;
    if (!(damp > 0)) damp = 1;
    for (int64_t i = 0; i < n; i++) a[i * n + i] += damp;
}

/* Columns to the right of J lose what J explains: the inner loop runs along a row. The factor is
 * built as its transpose in the upper triangle, then mirrored. */
bool fzi_solve_factor(double *a, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double *row = a + j * n;
        if (!(row[j] > 0) || !isfinite(row[j])) return false;
        double pivot = sqrt(row[j]);
        row[j] = pivot;
        for (int64_t i = j + 1; i < n; i++) row[i] /= pivot;
        for (int64_t i = j + 1; i < n; i++) {
            double factor = row[i], *restrict below = a + i * n;
            const double *restrict from = row;
            for (int64_t c = i; c < n; c++) below[c] -= factor * from[c];
        }
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i];
    return true;
}

void fzi_solve_with(const double *l, int64_t n, double *b, int64_t m) {
    for (int64_t i = 0; i < n; i++) {
        double *restrict row = b + i * m;
        for (int64_t j = 0; j < i; j++) {
            double factor = l[i * n + j];
            const double *restrict from = b + j * m;
            for (int64_t c = 0; c < m; c++) row[c] -= factor * from[c];
        }
        for (int64_t c = 0; c < m; c++) row[c] /= l[i * n + i];
    }
    for (int64_t i = n; i-- > 0;) {
        double *restrict row = b + i * m;
        for (int64_t j = i + 1; j < n; j++) {
            double factor = l[j * n + i];
            const double *restrict from = b + j * m;
            for (int64_t c = 0; c < m; c++) row[c] -= factor * from[c];
        }
        for (int64_t c = 0; c < m; c++) row[c] /= l[i * n + i];
    }
}

bool fzi_solve_invert(double *a, int64_t n, double *work) {
    memcpy(work, a, (size_t)(n * n) * sizeof *a);
    if (!fzi_solve_factor(work, n)) return false;
    memset(a, 0, (size_t)(n * n) * sizeof *a);
    for (int64_t i = 0; i < n; i++) a[i * n + i] = 1;
    fzi_solve_with(work, n, a, n);
    return true;
}
