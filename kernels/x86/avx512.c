/* The hand-written avx512 kernels, put into a table. */
#include "x86.h"

FZK_RARE void fzk_fill_avx512(struct fzk_table *table);

void fzk_fill_avx512(struct fzk_table *table) {
    table->gemm_f32 = fzk_gemm_f32_avx512;
    table->ngemm_f32 = fzk_ngemm_f32_avx512;
    table->narrow_to_f32 = fzk_narrow_to_f32_avx512;
    table->dwconv_f32 = fzk_dwconv_f32_avx512;
    table->pack_b_f32 = fzk_pack_b_f32_avx2;
    table->half_table_f32 = fzk_half_table_f32_avx512;
    table->binary_f32 = fzk_binary_f32_avx512;
    table->unary_f32 = fzk_unary_f32_avx512;
    table->softmax_f32 = fzk_softmax_f32_avx512;
    table->logsoftmax_f32 = fzk_logsoftmax_f32_avx512;
    table->qgemm_u8s8 = fzk_qgemm_u8s8_avx512;
    table->qdwconv_u8s8 = fzk_qdwconv_u8s8_avx2;
    table->tree_walk_f32 = fzk_tree_walk_f32_avx512;
    table->qadd_u8 = fzk_qadd_u8_avx512;
    table->qmul_u8 = fzk_qmul_u8_avx512;
    table->qmaxpool_u8 = fzk_qmaxpool_u8_avx512;
    table->lut_u8 = fzk_lut_u8_avx512;
    table->quantize_f32_u8 = fzk_quantize_f32_u8_avx512;
    table->quantize_f32_i8 = fzk_quantize_f32_i8_avx512;
    table->minmax_f32 = fzk_minmax_f32_avx512;
}
