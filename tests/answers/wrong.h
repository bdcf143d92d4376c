/* A host that computes other bits: the kernels are filled in as ever, then one of them is spoiled.
 * For programs linked with --wrap=fzk_table_fill. */
#ifndef ANSWERS_WRONG_H
#define ANSWERS_WRONG_H

/* From now on models are opened with this kernel spoiled: "gemm" and "qgemm" change the last bit of
 * the first number of each row, "rounding" multiplies as a host does whose floating-point unit
 * rounds up, "unary" gives functions of one number one unit in the last place more; NULL or
 * another word: none. */
void wrong_set(const char *kernel);

#endif
