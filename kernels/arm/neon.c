/* The hand-written NEON kernels, put into a table. */
#include "arm.h"

FZK_RARE void fzk_fill_neon(struct fzk_table *table);

void fzk_fill_neon(struct fzk_table *table) {
    table->dwconv_f32 = fzk_dwconv_f32_neon;
    table->gemm_f32 = fzk_gemm_f32_neon;
    table->ngemm_f32 = fzk_ngemm_f32_neon;
    table->narrow_to_f32 = fzk_narrow_to_f32_neon;
    table->pack_b_f32 = fzk_pack_b_f32_neon;
    table->winograd_input_f32 = fzk_winograd_input_f32_neon;
    table->winograd_output_f32 = fzk_winograd_output_f32_neon;
    table->unary_f32 = fzk_unary_f32_neon;
    table->binary_f32 = fzk_binary_f32_neon;
    table->reduce_f32 = fzk_reduce_f32_neon;
    table->minmax_f32 = fzk_minmax_f32_neon;
    table->softmax_f32 = fzk_softmax_f32_neon;
    table->logsoftmax_f32 = fzk_logsoftmax_f32_neon;
    table->f16_to_f32 = fzk_f16_to_f32_neon;
    table->f32_to_f16 = fzk_f32_to_f16_neon;
    table->maxpool_f32 = fzk_maxpool_f32_neon;
    table->avgpool_f32 = fzk_avgpool_f32_neon;
    table->qgemm_u8s8 = fzk_qgemm_u8s8_neon;
    table->qdwconv_u8s8 = fzk_qdwconv_u8s8_neon;
    table->qadd_u8 = fzk_qadd_u8_neon;
    table->qmul_u8 = fzk_qmul_u8_neon;
    table->lut_u8 = fzk_lut_u8_neon;
    table->qmaxpool_u8 = fzk_qmaxpool_u8_neon;
    table->qavgpool_u8 = fzk_qavgpool_u8_neon;
    table->f32_to_u8 = fzk_f32_to_u8_neon;
    table->f32_to_i8 = fzk_f32_to_i8_neon;
    table->f32_to_i32 = fzk_f32_to_i32_neon;
    table->quantize_f32_u8 = fzk_quantize_f32_u8_neon;
    table->quantize_f32_i8 = fzk_quantize_f32_i8_neon;
    table->requantize_u8 = fzk_requantize_u8_neon;
    table->requantize_i8 = fzk_requantize_i8_neon;
}
