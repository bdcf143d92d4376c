/* How far two tensors are apart. */
#ifndef FZ_CLI_DIFFERENCE_H
#define FZ_CLI_DIFFERENCE_H

#include "cli.h"

struct difference {
    bool shapes;       /* false: types or shapes differ, nothing else is set */
    bool equal;        /* all bytes are the same */
    double max_abs;    /* infinite where one is NaN and the other not */
    double max_ulp;    /* float32 only */
    double sqnr;       /* dB; infinite if equal */
    double range;      /* max(max |a|, max a - min a) of the first */
    int64_t n_wrong;   /* beyond the bound that was given */
};

/* Compares B with the reference A. Wrong is |a-b| > ATOL + RTOL |a| + SHARE * range. */
struct difference difference_of(const fz_tensor_t *a, const fz_tensor_t *b, double rtol,
                                double atol, double share);

#endif
