/* Sums of binary64 values by the rule of the reduction kernels. */
#ifndef FZ_OPS_SUM_H
#define FZ_OPS_SUM_H

#include <stdint.h>

/* 16 lanes, element i in lane i modulo 16, each lane in blocks of 256, then the tree. */
double fzi_sum_f64(const double *x, int64_t n);

#endif
