/* Random small graphs as text: products and convolutions in every form that the passes know. */
#ifndef PASSES_RANDOM_H
#define PASSES_RANDOM_H

#include "base/base.h"

enum random_kind {
    RANDOM_FLOAT,    /* Conv, ConvTranspose, MatMul, Gemm and what may follow */
    RANDOM_INTEGER,  /* QLinear*, *Integer, DynamicQuantizeLinear chains: exact */
    RANDOM_QDQ,      /* the same between DequantizeLinear and QuantizeLinear: within one unit */
    RANDOM_NET,      /* many float layers */
    RANDOM_BYTES,    /* many layers of bytes: exact */
    N_RANDOM_KINDS
};

/* Writes graph number SEED of KIND. */
void random_graph(enum random_kind kind, uint64_t seed, struct fz_text *out);

#endif
