/* One-shot sparsity.
 *
 * N of M: row by row of W, what goes is made up for by the rows behind (Frantar and Alistarh,
 * "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot", 2023, algorithm 1):
 * with U the upper Cholesky factor of H^-1, of each M inputs those with the least w^2 / U_ii^2 go,
 * and W_j -= (W_i / U_ii) U_ij for all j > i.
 *
 * Blocks: those with the least sum of w^2 / [H^-1]_ii go (Hassibi and Stork, "Optimal Brain
 * Surgeon", 1993). All outputs of a panel then have the inputs S in common, and the best weights
 * for them are W_S + (H_SS)^-1 H_SR W_R, R being the inputs that are gone: no approximation. */
#include "prune/sparse.h"

#include <stdlib.h>

#include "ops/matmul.h"
#include "prune/solve.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for sparse weights"); }

fz_status_t fzi_sparse_parse(const char *text, struct fz_sparse *out) {
    char *end;
    *out = (struct fz_sparse){0};
    if (!text) return FZ_OK;
    if (strncmp(text, "block:", 6) == 0) {
        out->kind = FZ_SPARSE_BLOCKS;
        out->density = strtod(text + 6, &end);
        if (end != text + 6 && !*end && out->density > 0 && out->density < 1) return FZ_OK;
    } else {
        out->kind = FZ_SPARSE_N_OF_M;
        out->n = strtoll(text, &end, 10);
        out->m = *end == ':' ? strtoll(end + 1, &end, 10) : 0;
        if (!*end && out->n > 0 && out->m > out->n && out->m <= 64) return FZ_OK;
    }
    return fzi_error(FZ_E_USAGE, "a sparse pattern is N:M, as 2:4, or block:DENSITY, not '%s'",
                     text);
}

bool fzi_sparse_fits(const struct fz_sparse *s, const struct fz_linear *l) {
    if (l->shared || l->groups > 1 || l->k > FZ_LINEAR_MAX_K) return false;
    if (s->kind == FZ_SPARSE_N_OF_M) return l->k >= s->m;
    return s->kind == FZ_SPARSE_BLOCKS && !l->conv && l->n >= FZK_PANEL && l->k >= 64;
}

/* ---- N of M */

/* Marks the M - N rows from FIRST on whose weight for output O costs least. SCALE: 1 / U_ii^2. */
static void mark_least(const struct fz_sparse *s, const double *w, const double *scale,
                       int64_t first, int64_t o, int64_t n, uint8_t *gone) {
    for (int64_t count = s->n; count < s->m; count++) {
        int64_t best = -1;
        double least = 0;
        for (int64_t i = 0; i < s->m; i++) {
            double v = w[(first + i) * n + o], cost = v * v * scale[first + i];
            if (gone[i * n + o] || (best >= 0 && !(cost < least))) continue;
            best = i;
            least = cost;
        }
        gone[best * n + o] = 1;
    }
}

/* Row I loses what GONE marks; the rows behind take it over. */
static void drop_row(double *w, const double *u, int64_t i, int64_t k, int64_t n,
                     const uint8_t *gone, double *error) {
    for (int64_t o = 0; o < n; o++) {
        error[o] = gone[o] && u ? w[i * n + o] / u[i * k + i] : 0;
        if (gone[o]) w[i * n + o] = 0;
    }
    for (int64_t j = i + 1; u && j < k; j++) {
        double factor = u[i * k + j], *restrict row = w + j * n;
        for (int64_t o = 0; o < n; o++) row[o] -= factor * error[o];
    }
}

/* U: the factor of H^-1 as fzi_solve_factor leaves it, rows to the right; NULL: none. */
static fz_status_t n_of_m(const struct fz_sparse *s, double *w, const double *u, int64_t k,
                          int64_t n) {
    uint8_t *gone = fzi_alloc((size_t)(s->m * n));
    double *error = fzi_calloc((size_t)n, sizeof *error);
    double *scale = fzi_calloc((size_t)k, sizeof *scale);
    bool ok = gone && error && scale;
    for (int64_t i = 0; ok && i < k; i++) scale[i] = u ? 1 / (u[i * k + i] * u[i * k + i]) : 1;
    for (int64_t i = 0; ok && i + s->m <= k; i += s->m) {
        memset(gone, 0, (size_t)(s->m * n));
        for (int64_t o = 0; o < n; o++) mark_least(s, w, scale, i, o, n, gone);
        for (int64_t j = 0; j < s->m; j++) drop_row(w, u, i + j, k, n, gone + j * n, error);
    }
    fzi_free(gone);
    fzi_free(error);
    fzi_free(scale);
    return ok ? FZ_OK : no_memory();
}

/* ---- blocks */

struct block {
    double cost;
    int64_t k, panel;
};

static int by_cost(const void *a, const void *b) {
    const struct block *x = a, *y = b;
    if (x->cost != y->cost) return x->cost < y->cost ? 1 : -1;
    if (x->panel != y->panel) return x->panel < y->panel ? -1 : 1;
    return x->k < y->k ? -1 : x->k > y->k;
}

/* Lists the blocks, the dearest first. DIAGONAL: [H^-1]_ii or NULL. */
static void list_blocks(const double *w, const double *diagonal, int64_t k, int64_t n,
                        struct block *list) {
    int64_t count = 0;
    for (int64_t j = 0; j < n; j += FZK_PANEL)
        for (int64_t i = 0; i < k; i += FZ_SPARSE_K) {
            struct block *b = &list[count++];
            *b = (struct block){0, i, j / FZK_PANEL};
            for (int64_t r = i; r < fzi_min_i64(i + FZ_SPARSE_K, k); r++)
                for (int64_t c = j; c < fzi_min_i64(j + FZK_PANEL, n); c++)
                    b->cost += w[r * n + c] * w[r * n + c] / (diagonal ? diagonal[r] : 1);
        }
    qsort(list, (size_t)count, sizeof *list, by_cost);
}

/* The columns [J, J + WIDTH) of W for the inputs that STAY. WORK holds K x K and K x WIDTH. */
static bool refit(double *w, const double *h, int64_t k, int64_t n, int64_t j, int64_t width,
                  const uint8_t *stays, double *work, double *rows) {
    int64_t s = 0;
    for (int64_t i = 0; i < k; i++) {
        if (!stays[i]) continue;
        int64_t c = 0;
        for (int64_t l = 0; l < k; l++)
            if (stays[l]) work[s * k + c++] = h[i * k + l];
        double *row = rows + s * width;
        memset(row, 0, (size_t)width * sizeof *row);
        for (int64_t l = 0; l < k; l++)
            for (int64_t o = 0; !stays[l] && o < width; o++)
                row[o] += h[i * k + l] * w[l * n + j + o];
        s++;
    }
    for (int64_t i = 1; i < s; i++) memmove(work + i * s, work + i * k, (size_t)s * sizeof *work);
    if (s && !fzi_solve_factor(work, s)) return false;
    fzi_solve_with(work, s, rows, width);
    for (int64_t i = 0, at = 0; i < k; i++) {
        for (int64_t o = 0; o < width; o++)
            w[i * n + j + o] = stays[i] ? w[i * n + j + o] + rows[at * width + o] : 0;
        at += stays[i];
    }
    return true;
}

static bool refit_all(double *w, const double *h, int64_t k, int64_t n, const uint8_t *stays,
                      double *work) {
    double *rows = fzi_calloc((size_t)(k * FZK_PANEL), sizeof *rows);
    bool ok = rows != NULL;
    for (int64_t j = 0; ok && j < n; j += FZK_PANEL) {
        int64_t width = fzi_min_i64(FZK_PANEL, n - j);
        ok = refit(w, h, k, n, j, width, stays + j / FZK_PANEL * k, work, rows);
    }
    fzi_free(rows);
    return ok;
}

static void drop_blocks(double *w, int64_t k, int64_t n, const uint8_t *stays) {
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++)
            if (!stays[j / FZK_PANEL * k + i]) w[i * n + j] = 0;
}

/* WORK: K x K, or NULL without H. */
static fz_status_t blocks(const struct fz_sparse *s, double *w, const double *h,
                          const double *diagonal, int64_t k, int64_t n, double *work) {
    int64_t n_panels = fzi_ceil_div(n, FZK_PANEL), all = n_panels * fzi_ceil_div(k, FZ_SPARSE_K);
    int64_t stay = (int64_t)(s->density * (double)all + 0.5);
    struct block *list = fzi_calloc((size_t)all, sizeof *list);
    uint8_t *stays = fzi_calloc((size_t)(n_panels * k), 1);
    bool ok = list && stays;
    if (ok) list_blocks(w, diagonal, k, n, list);
    for (int64_t i = 0; ok && i < stay; i++)
        for (int64_t r = list[i].k; r < fzi_min_i64(list[i].k + FZ_SPARSE_K, k); r++)
            stays[list[i].panel * k + r] = 1;
    if (ok && h) ok = refit_all(w, h, k, n, stays, work);
    else if (ok) drop_blocks(w, k, n, stays);
    fzi_free(list);
    fzi_free(stays);
    return ok ? FZ_OK : no_memory();
}

fz_status_t fzi_sparse_apply(const struct fz_sparse *s, double *w, const double *h, int64_t k,
                             int64_t n) {
    bool of_m = s->kind == FZ_SPARSE_N_OF_M;
    if (!h) return of_m ? n_of_m(s, w, NULL, k, n) : blocks(s, w, NULL, NULL, k, n, NULL);
    size_t size = (size_t)(k * k) * sizeof *h;
    double *inverse = fzi_alloc(size), *work = fzi_alloc(size);
    double *diagonal = fzi_calloc((size_t)k, sizeof *diagonal);
    fz_status_t status = inverse && work && diagonal ? FZ_OK : no_memory();
    if (status == FZ_OK) {
        memcpy(inverse, h, size);
        if (!fzi_solve_invert(inverse, k, work))
            status = fzi_error(FZ_E_VALUE, "the calibration data give NaN or infinity");
    }
    for (int64_t i = 0; status == FZ_OK && i < k; i++) diagonal[i] = inverse[i * k + i];
    if (status == FZ_OK && of_m)
        status = fzi_solve_factor(inverse, k)
                     ? n_of_m(s, w, inverse, k, n)
                     : fzi_error(FZ_E_VALUE, "the calibration data are too alike");
    else if (status == FZ_OK)
        status = blocks(s, w, h, diagonal, k, n, work);
    fzi_free(inverse);
    fzi_free(work);
    fzi_free(diagonal);
    return status;
}
