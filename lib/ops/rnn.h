/* Recurrent operators: params and weight packing for LSTM, GRU, RNN and their frozen forms. */
#ifndef FZ_OPS_RNN_H
#define FZ_OPS_RNN_H

#include "ops/op.h"

enum { FZ_RNN_GATES_RNN = 1, FZ_RNN_GATES_GRU = 3, FZ_RNN_GATES_LSTM = 4 };

/* One activation: an index into the family's list, and its two numbers. */
struct fz_rnn_act {
    int64_t kind;
    double alpha, beta;
};

struct fz_rnn_params {
    int64_t gates;        /* FZ_RNN_GATES_... */
    int64_t hidden;       /* 0: from the shapes */
    int64_t input;        /* frozen forms: input size; else 0 */
    int64_t directions;   /* 1 or 2 */
    int64_t reverse;      /* 1: the only direction runs backwards */
    int64_t layout;
    int64_t has_clip;
    int64_t linear_before_reset, input_forget;
    double clip;
    struct fz_rnn_act act[6]; /* three for each direction */
};

/* Makes the constant inputs 1 and 2 of frozen.LSTM, frozen.GRU or frozen.RNN from W [dirs, gates *
 * hidden, input] and R [dirs, gates * hidden, hidden]: panels [dirs][ceil(gates * hidden / 32)]
 * [input or hidden][32]. PARAMS as lowered from the ONNX node; PACKED_PARAMS gets hidden and input
 * filled in. All other inputs keep their places. */
fz_status_t fzi_rnn_pack(struct fz_graph *graph, const struct fz_value *w, const struct fz_value *r,
                         const struct fz_rnn_params *params, struct fz_rnn_params *packed_params,
                         struct fz_value **packed_w, struct fz_value **packed_r);

#endif
