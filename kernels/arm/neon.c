/* The hand-written NEON kernels, put into a table. */
#include "arm.h"

void fzk_fill_neon(struct fzk_table *table);

void fzk_fill_neon(struct fzk_table *table) {
    table->dwconv_f32 = fzk_dwconv_f32_neon;
    table->gemm_f32 = fzk_gemm_f32_neon;
    table->pack_b_f32 = fzk_pack_b_f32_neon;
    table->qgemm_u8s8 = fzk_qgemm_u8s8_neon;
    table->qdwconv_u8s8 = fzk_qdwconv_u8s8_neon;
}
