/* The hand-written NEON kernels, put into a table. */
#include "arm.h"

void fzk_fill_neon(struct fzk_table *table);

void fzk_fill_neon(struct fzk_table *table) {
    table->gemm_f32 = fzk_gemm_f32_neon;
    table->qgemm_u8s8 = fzk_qgemm_u8s8_neon;
}
