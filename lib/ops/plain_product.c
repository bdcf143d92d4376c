/* Matrix products of float64 and of integers, in plain C: chains over k in blocks of 256 as those
 * of binary32, of float64 with a product and a sum, each rounded. */
#include "ops/matmul.h"

enum { WIDTH = 32 };

/* NAME(p, i, j, n): row i, columns [j, j + n). Integers wrap, for they are unsigned here; their
 * blocks change nothing. The addition of a block's sum follows the same rule as in gemm_f32. */
#define PRODUCT(NAME, TYPE)                                                                        \
    static void NAME(const struct fz_plain_product *p, int64_t i, int64_t j, int64_t n) {          \
        const TYPE *a = (const TYPE *)p->a + i * p->a_row;                                         \
        const TYPE *b = (const TYPE *)p->b + j * p->b_col;                                         \
        TYPE s[WIDTH] = {0}, y[WIDTH] = {0};                                                       \
        for (int64_t k = 0; k < p->k; k++) {                                                       \
            if (k && k % FZK_K_BLOCK == 0) {                                                       \
                for (int64_t c = 0; c < n; c++) {                                                  \
                    y[c] = k == FZK_K_BLOCK ? s[c] : y[c] + s[c];                                  \
                    s[c] = 0;                                                                      \
                }                                                                                  \
            }                                                                                      \
            const TYPE x = a[k * p->a_col], *row = b + k * p->b_row;                               \
            for (int64_t c = 0; c < n; c++) s[c] = s[c] + x * row[c * p->b_col];                   \
        }                                                                                          \
        TYPE *to = (TYPE *)p->c + i * p->n + j;                                                    \
        for (int64_t c = 0; c < n; c++) to[c] = p->k <= FZK_K_BLOCK ? s[c] : y[c] + s[c];          \
    }

PRODUCT(product_f64, double)
PRODUCT(product_u32, uint32_t)
PRODUCT(product_u64, uint64_t)

void fzi_plain_product(const struct fz_plain_product *p) {
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j += WIDTH) {
            int64_t n = fzi_min_i64(WIDTH, p->n - j);
            if (p->dtype == FZ_TYPE_F64) product_f64(p, i, j, n);
            else if (fzi_type_width(p->dtype) == 4) product_u32(p, i, j, n);
            else product_u64(p, i, j, n);
        }
    }
}
