/* The hand-written dotprod kernels, put into a table. */
#include "arm.h"

FZK_RARE void fzk_fill_dotprod(struct fzk_table *table);

void fzk_fill_dotprod(struct fzk_table *table) {
    table->qgemm_u8s8 = fzk_qgemm_u8s8_dotprod;
    table->qdwconv_u8s8 = fzk_qdwconv_u8s8_dotprod;
}
