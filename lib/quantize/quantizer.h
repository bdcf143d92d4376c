/* What the files of quantisation share.
 *
 * The way of a model: prepare (import, fold, equalise, raise) gives the *base*, a float ONNX model
 * in memory; calibrate runs it over the samples and notes what its values are like; insert builds
 * the quantised graph from the base, the notes and the list of layers that are to be quantised,
 * which the budget may do many times; export writes it. */
#ifndef FZ_QUANTIZER_H
#define FZ_QUANTIZER_H

#include <frozen/quantize.h>

#include "import/import.h"
#include "import/names.h"
#include "passes/passes.h"
#include "quantize/data.h"

/* Scale and zero point of an activation: real = (number - zero) * scale. */
struct fz_scale {
    float scale;
    int32_t zero;
    double low, high; /* what can be expressed */
};

/* ---- what a value was like over all samples */

enum { FZ_STAT_HALF = 2048 };

/* Bin i of the histogram holds the values in [i, i + 1) * 2^exponent, i from -FZ_STAT_HALF on.
 * Ranges that grow merge bins in pairs: the result is that of the last width from the start, and
 * does not depend on the order of the values. */
struct fz_stat {
    const char *name;
    double low, high;      /* 0 belongs to every range */
    int32_t exponent;
    uint64_t bins[2 * FZ_STAT_HALF];
    uint64_t n;            /* elements seen */
    int32_t axis;          /* of the channels; -1: the last */
    int64_t n_channels;
    double *sums, *squares, *peaks; /* per channel: sum, sum of squares, largest size */
    uint64_t per_channel;  /* elements of each channel */
    bool chosen;           /* SCALE is what the options make of it */
    struct fz_scale scale;
    double *rounded;       /* per channel: sum of the values as numbers of ROUNDED_SCALE; or NULL */
    struct fz_scale rounded_scale;
};

void fzi_stat_init(struct fz_stat *stat, const char *name, int32_t axis);
/* Adds the elements of the binary32 tensor T. FZ_E_VALUE for a NaN or an infinity. */
fz_status_t fzi_stat_add(struct fz_stat *stat, struct fz_arena *arena, const fz_tensor_t *t);
/* Adds those of T to the sums of rounded values. */
void fzi_stat_add_rounded(struct fz_stat *stat, const fz_tensor_t *t);
/* Adds FROM's range and histogram to TO. */
void fzi_stat_merge(struct fz_stat *to, const struct fz_stat *from);

/* By OPTIONS' calibration, for uint8 or, with FZ_QUANTIZE_SYMMETRIC, int8. */
void fzi_range_choose(const fz_quantize_options_t *options, const struct fz_stat *stat,
                      struct fz_scale *out);

/* ---- layers */

struct fz_blocks;

enum fz_layer_state { FZ_LAYER_QUANTISED, FZ_LAYER_EXCLUDED, FZ_LAYER_BUDGET };

struct fz_layer {
    const char *name, *type; /* of the node */
    const char *in, *out;    /* names of its activation and of its result */
    enum fz_layer_state state;
    bool can;                /* it may be quantised as far as the user is concerned */
    double sensitivity;      /* dB of the outputs with this layer alone quantised; budget only */
    double sqnr;             /* dB of its result in the quantised model */
    bool measured;
    uint64_t weights;        /* elements */
    struct fz_blocks *blocks; /* int4: its numbers, once they are known */
};

/* ---- one run over the samples */

enum { FZ_SCORE_OUTPUTS = 32 };

struct fz_score {
    /* Sums of squares of each output: of the float model's, of the differences. Outputs beyond the
     * last share it. */
    double signal[FZ_SCORE_OUTPUTS], noise[FZ_SCORE_OUTPUTS];
    uint32_t n_outputs;
    uint64_t right, right_float, rows;
    double seconds, seconds_float;
};
/* That of the worst output, in dB; 200 for no difference. */
double fzi_score_sqnr(const struct fz_score *score);

struct fz_quantizer {
    const fz_quantize_options_t *options;
    struct fz_arena arena;   /* lives until the end */
    struct fzk_table k;
    int32_t opset;
    void *base;              /* the float model, prepared */
    size_t base_size;
    struct fz_arena keep;    /* holds the base's graph ... */
    struct fz_source source;
    struct fz_graph *graph;  /* ... which is never rewritten: inputs, names, shapes */
    struct fz_data *data;    /* NULL: the caller's function gives samples */
    size_t n_samples;
    struct fz_layer *layers;
    size_t n_layers;
    struct fz_names layer_names; /* value name of the result -> struct fz_layer */
    struct fz_names stats;   /* value name -> struct fz_stat */
    struct fz_stat **stat_list;
    size_t n_stats;
    int64_t *labels;
    size_t n_labels;
    uint64_t original_size;
    struct fz_score score;   /* of the final model */
    bool scored;
    struct fz_reference *reference; /* the float model and its outputs (score.c); or NULL */
    const char *phase;       /* a longer task, of which what reports its progress is a part ... */
    double phase_done, phase_part; /* ... the share that lies before it, and its own; or NULL */
    const char *why;         /* why the budget kept what it kept; or NULL */
    double started;
};

/* Tells the caller that DONE of PHASE, or of this part of q->phase, is done. */
fz_status_t fzi_quantize_report_progress(struct fz_quantizer *q, double done, const char *phase);

/* ---- stages (stage.c): a graph of its own, imported from memory */
struct fz_stage {
    struct fz_arena arena;
    struct fz_source source;
    struct fz_graph *graph;
    struct fz_pass pass;
};
/* Imports the base, operators resolved and shapes known. */
fz_status_t fzi_stage_open(struct fz_quantizer *q, const void *data, size_t size,
                           struct fz_stage *out);
void fzi_stage_close(struct fz_stage *stage);
/* USE with the stage of Q's base, which is closed behind it. */
fz_status_t fzi_stage_of_base(struct fz_quantizer *q,
                              fz_status_t (*use)(struct fz_quantizer *q, struct fz_stage *stage));
/* A node of ai.onnx at the stage's opset before BEFORE, its output named NAME. */
struct fz_node *fzi_stage_node(struct fz_quantizer *q, struct fz_stage *stage,
                               struct fz_node *before, const char *type, const char *name,
                               uint32_t n_in, const char *out);
fz_status_t fzi_stage_attr(struct fz_stage *stage, struct fz_node *node, const char *name,
                           int64_t value);
/* A constant of T's type and shape named NAME, zeroed. */
struct fz_value *fzi_stage_constant(struct fz_stage *stage, const char *name, int32_t dtype,
                                    int32_t rank, const int64_t *dims);
struct fz_value *fzi_stage_scalar(struct fz_stage *stage, const char *name, int32_t dtype,
                                  double value);
/* Makes every value in NAMES that nothing else makes public an output of the graph. INDEX[i] is
 * then where the output is, or -1 - input for what is an input. */
fz_status_t fzi_stage_observe(struct fz_stage *stage, const char *const *names, size_t n,
                              int64_t *index);
/* Freezes the stage's graph and opens it. */
fz_status_t fzi_stage_run(struct fz_quantizer *q, struct fz_stage *stage, fz_model_t **model,
                          fz_session_t **session);

/* ---- the parts */
fz_status_t fzi_quantize_prepare(struct fz_quantizer *q, const char *path);
fz_status_t fzi_quantize_equalise(struct fz_quantizer *q, struct fz_pass *pass);
fz_status_t fzi_quantize_smooth(struct fz_quantizer *q);
/* Gives the channels of what convolutions read a like reach, by the statistics. */
fz_status_t fzi_quantize_level(struct fz_quantizer *q);
/* The layers that KIND can quantise, with what the options say about them. */
fz_status_t fzi_quantize_select(struct fz_quantizer *q);
fz_status_t fzi_quantize_calibrate(struct fz_quantizer *q, const char *const *names, size_t n);
/* Calls SEE on the samples' values NAMES of the float model, sample by sample. */
typedef fz_status_t (*fz_see_fn)(struct fz_quantizer *q, void *arg, size_t i,
                                 const fz_tensor_t *t);
fz_status_t fzi_quantize_observe(struct fz_quantizer *q, const char *const *names, size_t n,
                                 fz_see_fn see, void *arg);
/* Reads sample INDEX; 0 inputs are left when there are no more. */
fz_status_t fzi_quantize_sample(struct fz_quantizer *q, size_t index, fz_tensor_t *inputs,
                                bool *found);
/* The quantised model in OUT, from the base; layers of state QUANTISED are quantised. */
fz_status_t fzi_quantize_build(struct fz_quantizer *q, struct fz_stage *out);
fz_status_t fzi_quantize_static(struct fz_quantizer *q, struct fz_stage *stage);
/* The names of the values that static quantisation needs the ranges of. */
fz_status_t fzi_quantize_wanted(struct fz_quantizer *q, struct fz_stage *stage,
                                const char ***names, size_t *n);
/* The means of what static quantisation makes of the activations, for bias correction. */
fz_status_t fzi_quantize_round_means(struct fz_quantizer *q);
fz_status_t fzi_quantize_dynamic(struct fz_quantizer *q, struct fz_stage *stage);
fz_status_t fzi_quantize_weights(struct fz_quantizer *q, struct fz_stage *stage);
fz_status_t fzi_quantize_half(struct fz_quantizer *q, struct fz_stage *stage);
/* Runs float and quantised models side by side over at most LIMIT samples. LAYERS: measures each
 * layer's result as well. */
fz_status_t fzi_quantize_score(struct fz_quantizer *q, struct fz_stage *stage, size_t limit,
                               bool layers, struct fz_score *out);
/* Releases the float model that fzi_quantize_score() keeps. */
void fzi_quantize_forget(struct fz_quantizer *q);
fz_status_t fzi_quantize_budget(struct fz_quantizer *q);
fz_status_t fzi_quantize_report(struct fz_quantizer *q, uint64_t size);
/* The whole way; HEX as fz_quantize_file() has it. */
fz_status_t fzi_quantize(const char *onnx_path, const char *out_path,
                         const fz_quantize_options_t *options, char hex[65]);

/* ---- weights (weight.c) */

/* The layer that NODE is, quantised; NULL if it is none or stays float. */
struct fz_layer *fzi_layer_of(struct fz_quantizer *q, const struct fz_node *node);
struct fz_stat *fzi_stat_of(struct fz_quantizer *q, const char *name);
/* The axis of NODE's output channels in its weights, input 1. */
int32_t fzi_weight_axis(const struct fz_node *node);
/* int8 weights of W along AXIS, with their scales (binary32); BIAS (or NULL) and X_SCALE keep
 * scales large enough for an int32 bias. */
fz_status_t fzi_weight_int8(struct fz_stage *stage, const struct fz_value *w, int32_t axis,
                            const float *bias, double x_scale, bool per_tensor,
                            struct fz_value **numbers, struct fz_value **scales);
/* Puts a DequantizeLinear of NUMBERS, SCALES and ZEROS (or NULL) before NODE as its input I.
 * BLOCK 0: none. */
fz_status_t fzi_weight_dequantize(struct fz_quantizer *q, struct fz_stage *stage,
                                  struct fz_node *node, uint32_t i, struct fz_value *numbers,
                                  struct fz_value *scales, struct fz_value *zeros, int32_t axis,
                                  int32_t block);
/* Error feedback: quantises the K x N weights W (row k is input k) by QUANTISE column of inputs by
 * column, H (K x K, destroyed) being the samples' second moments. Blocks are of BLOCK inputs; LOW,
 * HIGH are the limits; NUMBERS, SCALES, ZEROS as K x N, blocks x N. */
struct fz_blocks {
    int64_t k, n, block;
    double *w;          /* k x n, row-major; destroyed */
    uint8_t *numbers;   /* k x n, 0 to 15 */
    float *scales;      /* blocks x n */
    uint8_t *zeros;     /* blocks x n */
};
void fzi_blocks_nearest(const struct fz_blocks *b);
/* FZ_E_VALUE if H is not positive definite even when its diagonal is raised. */
fz_status_t fzi_blocks_feedback(const struct fz_blocks *b, double *h);

/* ---- biases (bias.c) */

/* A layer's weights W and the int8 NUMBERS and SCALES (along AXIS) that stand for them; X: the
 * scale of its input, NULL where that stays float. */
struct fz_rounded {
    const struct fz_value *w, *numbers, *scales;
    int32_t axis;
    const struct fz_scale *x;
};
/* Takes out of BIAS, a number for each output of NODE, what rounding adds to its mean, as far as
 * the means of its input are known. */
void fzi_bias_correct(struct fz_quantizer *q, const struct fz_node *node,
                      const struct fz_layer *layer, const struct fz_rounded *rounded, float *bias);
/* A copy of the bias of a Conv or Gemm of N outputs, zeros for none; *OUT is NULL if it has another
 * form. */
fz_status_t fzi_bias_values(struct fz_stage *stage, const struct fz_node *node, int64_t n,
                            float **out);
/* Room for input 2. */
fz_status_t fzi_bias_append(struct fz_stage *stage, struct fz_node *node);
/* Makes BIAS the bias of NODE, named by BASE if it had none. */
fz_status_t fzi_bias_set(struct fz_stage *stage, struct fz_node *node, const char *base,
                         const float *bias, int64_t n);
/* The constant row of N that ADD, the only reader of MatMul NODE or NULL, adds to its result, as
 * values to change; or NULL. */
float *fzi_bias_behind(struct fz_stage *stage, const struct fz_node *node, struct fz_node *add,
                       int64_t n);

#endif
