/* Spoiled kernels. */
#include "wrong.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static const char *wrong;
static struct fzk_table good;

void __real_fzk_table_fill(struct fzk_table *table, uint32_t mask);
void __wrap_fzk_table_fill(struct fzk_table *table, uint32_t mask);

/* A row's first number is LDC elements behind that of the row before, or begins a run. */
static char *row_of(void *c, int64_t i, int64_t run, int64_t ldc, int64_t run_stride, int width) {
    int64_t at = run ? i / run * run_stride + i % run * ldc : i * ldc;
    return (char *)c + at * width;
}

static void spoiled_gemm(const struct fzk_gemm_f32 *g) {
    good.gemm_f32(g);
    for (int64_t i = 0; g->n && i < g->m; i++) g->c[i * g->ldc] *= 1.0000002f;
}

static void spoiled_rounding(const struct fzk_gemm_f32 *g) {
    int mode = fegetround();
    fesetround(FE_UPWARD);
    good.gemm_f32(g);
    fesetround(mode);
}

static void spoiled_qgemm(const struct fzk_qgemm *g) {
    int width = g->out.kind == FZK_QOUT_8 ? 1 : 4;
    good.qgemm_u8s8(g);
    for (int64_t i = 0; g->n && i < g->m; i++)
        *row_of(g->out.c, i, g->run, g->out.ldc, g->out.c_run_stride, width) ^= 1;
}

static void spoiled_unary(int32_t fn, float *y, const float *x, int64_t n, float a, float b) {
    good.unary_f32(fn, y, x, n, a, b);
    for (int64_t i = 0; i < n; i++) y[i] *= 1.0000002f;
}

void wrong_set(const char *kernel) { wrong = kernel; }

void __wrap_fzk_table_fill(struct fzk_table *table, uint32_t mask) {
    const char *how = wrong ? wrong : getenv("WRONG");
    __real_fzk_table_fill(table, mask);
    good = *table;
    if (!how) return;
    if (strcmp(how, "gemm") == 0) table->gemm_f32 = spoiled_gemm;
    if (strcmp(how, "rounding") == 0) table->gemm_f32 = spoiled_rounding;
    if (strcmp(how, "qgemm") == 0) table->qgemm_u8s8 = spoiled_qgemm;
    if (strcmp(how, "unary") == 0) table->unary_f32 = spoiled_unary;
}
