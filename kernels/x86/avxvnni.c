/* The hand-written avxvnni kernels, put into a table. */
#include "x86.h"

FZK_RARE void fzk_fill_avxvnni(struct fzk_table *table);

void fzk_fill_avxvnni(struct fzk_table *table) {
    table->qgemm_u8s8 = fzk_qgemm_u8s8_avxvnni;
    table->qdwconv_u8s8 = fzk_qdwconv_u8s8_avxvnni;
}
