/* The hand-written avx2 kernels, put into a table. */
#include "x86.h"

FZK_RARE void fzk_fill_avx2(struct fzk_table *table);

void fzk_fill_avx2(struct fzk_table *table) {
    table->gemm_f32 = fzk_gemm_f32_avx2;
    table->ngemm_f32 = fzk_ngemm_f32_avx2;
    table->narrow_to_f32 = fzk_narrow_to_f32_avx2;
    table->dwconv_f32 = fzk_dwconv_f32_avx2;
    table->pack_b_f32 = fzk_pack_b_f32_avx2;
    table->unary_f32 = fzk_unary_f32_avx2;
    table->softmax_f32 = fzk_softmax_f32_avx2;
    table->logsoftmax_f32 = fzk_logsoftmax_f32_avx2;
    table->qgemm_u8s8 = fzk_qgemm_u8s8_avx2;
    table->qdwconv_u8s8 = fzk_qdwconv_u8s8_avx2;
}
