/* Calibration samples, by number: what reads them is somebody else's. */
#ifndef FZ_PRUNE_SAMPLE_H
#define FZ_PRUNE_SAMPLE_H

#include "tensor/tensor.h"

struct fz_samples {
    uint64_t n; /* 0: no data */
    /* *INPUTS: the graph's inputs in order, valid until the next call. */
    fz_status_t (*get)(void *context, uint64_t i, const fz_tensor_t **inputs);
    void *context;
};

#endif
