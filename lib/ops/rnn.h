/* Recurrent operators: params and weight packing for LSTM, GRU, RNN and their frozen forms. */
#ifndef FZ_OPS_RNN_H
#define FZ_OPS_RNN_H

#include "ops/op.h"

enum { FZ_RNN_GATES_RNN = 1, FZ_RNN_GATES_GRU = 3, FZ_RNN_GATES_LSTM = 4 };

/* One activation: function KIND of kernels/numeric.h and its two numbers. */
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
 * hidden, input] and R [dirs, gates * hidden, hidden]: panels [dirs][panels][input or hidden][32]
 * of their transposes. GRU's R is two matrices behind each other, that of z and r and that of h.
 * PARAMS as lowered from the ONNX node; PACKED_PARAMS gets hidden and input filled in. All other
 * inputs keep their places. */
fz_status_t fzi_rnn_pack(struct fz_graph *graph, const struct fz_value *w, const struct fz_value *r,
                         const struct fz_rnn_params *params, struct fz_rnn_params *packed_params,
                         struct fz_value **packed_w, struct fz_value **packed_r);

/* ---- inside of the family */

/* Sizes of one call. */
struct fz_rnn_sizes {
    int64_t steps, batch, input, hidden, dirs, gates;
    int64_t columns;              /* gates * hidden */
    int64_t w_panels, r_panels;   /* of one direction */
};

fz_status_t fzi_rnn_lower(struct fz_lower *lower, struct fz_node *node, int64_t gates,
                          struct fz_rnn_params *p);
fz_status_t fzi_rnn_infer(const struct fz_op *op, const struct fz_call *call);
/* From params and known shapes. */
struct fz_rnn_sizes fzi_rnn_measure(const struct fz_op *op, const struct fz_call *call);
/* Panels of W and R in SIZES from hidden, gates and columns. */
void fzi_rnn_count_panels(struct fz_rnn_sizes *s);
/* Packs one direction: W and R as in the ONNX file. */
void fzi_rnn_pack_direction(const struct fz_rnn_sizes *s, const float *w, const float *r,
                            float *packed_w, float *packed_r);

/* A frozen form's op->kind is FZ_RNN_FROZEN + gates. */
enum { FZ_RNN_FROZEN = 16 };

/* Recurrent weights of bytes, packed by fzi_qmatmul_pack: each row of the state is quantised as by
 * DynamicQuantizeLinear before its product, which ends in
 * (float)acc * (h_scale * scale_c) + gx. */
struct fz_rnn_bytes {
    const int8_t *w;
    const int32_t *sums, *zeros; /* zeros: of the columns, or NULL */
    const float *scale;          /* n_scale numbers: one, or one for each column */
    int32_t n_scale;
    uint8_t *h;                  /* [batch][hidden]: the quantised state */
    float *h_scales;             /* [batch] each */
    int32_t *h_zeros;
};

/* One direction of one call: some rows of the batch through all time steps. */
struct fz_rnn_pass {
    const struct fzk_table *k;
    const struct fz_rnn_params *p;
    struct fz_rnn_sizes s;
    const struct fz_rnn_act *act; /* three */
    bool backwards;
    const float *r;               /* packed */
    const struct fz_rnn_bytes *bytes; /* not NULL: LSTM alone, in place of r */
    const float *r_bias;          /* of GRU's h with linear_before_reset, or NULL */
    const float *peephole;        /* LSTM: i, o, f; or NULL */
    const float *gx;              /* chain(W, x) + bias, a row for each row of X */
    int64_t t_step, b_step;       /* rows of X between time steps and between batch rows */
    const int64_t *lens;          /* of the batch rows */
    float *gates, *h, *c, *t, *u; /* [batch][columns], then [batch][hidden] each */
    float *y;                     /* or NULL */
    int64_t y_t, y_b;             /* elements between time steps and between batch rows */
};
/* The same operators in binary64, LENS of the batch rows at the start of the scratch memory. */
size_t fzi_rnn_scratch_f64(const struct fz_rnn_sizes *s);
void fzi_rnn_run_f64(const struct fz_call *call, const struct fz_rnn_sizes *s);
/* Batch rows [BEGIN, END), which all are LENS[BEGIN] steps long. */
void fzi_rnn_rows(const struct fz_rnn_pass *pass, int64_t begin, int64_t end);
/* The same of rows of any lengths, for fzi_run_range: ARG is the pass. */
void fzi_rnn_range(void *arg, int64_t begin, int64_t end);

/* FZ_E_FORMAT unless P is what lower may have made; a frozen form has a hidden state. */
fz_status_t fzi_rnn_check(const struct fz_op *op, const struct fz_rnn_params *p);
/* Input I, if present, is of DTYPE and of these dims, as far as both are known (-1: any). */
fz_status_t fzi_rnn_expect(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           int32_t dtype, int32_t rank, const int64_t *dims);
/* Everything that a run allocates for these sizes fits a size_t with room to spare. */
bool fzi_rnn_fits(const struct fz_rnn_sizes *s);
/* What lengths input I gives the rows: all steps if it is absent. FZ_E_VALUE. */
fz_status_t fzi_rnn_lengths(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            const struct fz_rnn_sizes *s, int64_t *lens);

#endif
