/* Fills a table with every kernel of c/ as compiled for this file's instruction set. */
#include "kernel.h"

FZK_RARE void FZK_NAME(fill)(struct fzk_table *table);

void FZK_NAME(fill)(struct fzk_table *table) {
#define FZK(member, prototype) table->member = FZK_NAME(member);
#include "kernels.def"
#undef FZK
}
