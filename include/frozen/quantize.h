/* quantize.h: turn a float ONNX model into a light one. Library
 * libfrozen-freeze.
 *
 * A quantised model keeps its weights, and with static and dynamic
 * quantisation its activations, in 8 bits or fewer. What is written is an ONNX
 * model in QDQ form of an opset that the caller names, with the names of the
 * original, or a frozen file of it. The same model, samples, options and
 * library version give the same bytes. The rules at the top of frozen.h hold
 * here too. */
#ifndef FROZEN_QUANTIZE_H
#define FROZEN_QUANTIZE_H

#include <frozen/freeze.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is quantised, and how. */
enum {
    FZ_QUANTIZE_STATIC = 1,      /* weights and activations, ranges measured */
    FZ_QUANTIZE_DYNAMIC = 2,     /* both, ranges taken from each run's input */
    FZ_QUANTIZE_WEIGHTS_INT8 = 3, /* weights only, a scale per channel; samples,
                                     if any, correct the biases */
    FZ_QUANTIZE_WEIGHTS_INT4 = 4, /* weights only, a scale per block; filters of
                                     convolutions keep 8 bits unless OP_TYPES
                                     names "Conv" */
    FZ_QUANTIZE_FP16 = 5         /* weights are stored in half precision */
};

/* How the range of an activation follows from the values that were seen. */
enum {
    FZ_CALIBRATE_DEFAULT = 0,    /* FZ_CALIBRATE_MSE */
    FZ_CALIBRATE_MINMAX = 1,     /* all of them */
    FZ_CALIBRATE_PERCENTILE = 2, /* all but a share of them */
    FZ_CALIBRATE_ENTROPY = 3,    /* the least loss of information */
    FZ_CALIBRATE_MSE = 4         /* the least mean squared error */
};

enum {
    FZ_QUANTIZE_SYMMETRIC = 1,   /* activations are int8 around 0, not uint8 */
    FZ_QUANTIZE_NO_BIAS_CORRECTION = 2,
    FZ_QUANTIZE_NO_EQUALISATION = 4, /* of channels: of weights across layers,
                                        of what convolutions read */
    FZ_QUANTIZE_SMOOTH = 8,      /* move outliers of activations into weights */
    FZ_QUANTIZE_NO_FEEDBACK = 16, /* int4: round to the nearest */
    FZ_QUANTIZE_PER_ROW = 32     /* dynamic, to a frozen file: range per row */
};

/* Gives sample INDEX: fills INPUTS[0 .. N_INPUTS-1], in the model's order, with
 * memory that stays valid until the next call. Indices ascend from 0 in each
 * pass over the samples; there are several passes. Return 1, or 0 behind the
 * last sample, or anything else to give up (FZ_E_CANCELLED). */
typedef int (*fz_sample_fn)(void *context, size_t index, fz_tensor_t *inputs,
                            size_t n_inputs);

/* An input of the original model that becomes a constant, as a rate that
 * chooses a branch: what depends on it is then decided. The quantised model
 * still takes the input, and ignores it. */
typedef struct fz_fixed_input {
    const char *name;
    int64_t value; /* of each element */
} fz_fixed_input_t;

typedef struct fz_quantize_options {
    size_t size;               /* sizeof(fz_quantize_options_t) */
    int32_t kind;              /* FZ_QUANTIZE_STATIC ... */
    int32_t calibration;       /* FZ_CALIBRATE_ */
    int32_t opset;             /* 13 to 28; 0: the oldest that will do */
    int32_t block_size;        /* of int4: 16 to 256, a power of 2; 0: 32 */
    const char *samples;       /* where they lie, see below; or NULL */
    fz_sample_fn sample;       /* the caller's samples instead; or NULL */
    void *sample_context;
    const char *labels;        /* .npy of integers: the right answers */
    double max_drop;           /* of accuracy, as a share; 0: no such budget */
    double min_sqnr;           /* of each output, in dB; 0: no such budget */
    double percentile;         /* 0: 99.99 */
    uint64_t flags;            /* FZ_QUANTIZE_ bits */
    const char *const *exclude; /* names of nodes that stay float */
    size_t n_exclude;
    const char *const *only;   /* if any: no node but these is quantised */
    size_t n_only;
    const char *const *op_types; /* "Conv" ...; none: what KIND is good at */
    size_t n_op_types;
    const fz_fixed_input_t *fixed;
    size_t n_fixed;
    const char *report;        /* an HTML page to write; or NULL */
    const char *json;          /* the same numbers as JSON; or NULL */
    int32_t threads;           /* of the runs; 0: as many as the host allows */
    uint32_t reserved;         /* must be 0 */
    fz_progress_fn progress;
    void *progress_context;
} fz_quantize_options_t;

/* SAMPLES is FILE.npz with an array for each input; or a folder with NAME.npy
 * for each input, or a folder NAME of .npy files, one for each sample; or a
 * folder of test_data_set_N with input_I.pb. An array of one dimension more
 * than the input has a sample in each row; one of as many is cut along the
 * first into batches of the input's size, of one where that is open. An input
 * with one sample keeps it. Names, types and shapes are checked before
 * anything is computed; one sample at a time is in memory.
 *
 * LABELS are compared with the index of the largest element of each row of the
 * first output. MAX_DROP 0.005 allows to lose one answer in 200 of those that
 * the float model has right. With a budget the layers are quantised one at a
 * time to see what each costs, and as few as possible of the most sensitive
 * stay float; the report says which. */

/* Quantises the ONNX model at ONNX_PATH and writes OUT_PATH, which ends in
 * .onnx or .fz, replacing a file that is there. All files appear whole or not
 * at all. HEX, if not NULL, gets the SHA-256 of what was written.
 *
 * FZ_OK, FZ_E_NOMEM, FZ_E_IO, FZ_E_CANCELLED, the errors of fz_freeze_file(),
 * FZ_E_USAGE        options that contradict each other, or a name in EXCLUDE
 *                   or ONLY that no node has,
 * FZ_E_UNSUPPORTED  an operator type that KIND cannot quantise, a node that
 *                   the opset cannot express, a model that has no layer to
 *                   quantise or is quantised already,
 * FZ_E_VALUE        no samples, a NaN or an infinity in a sample or behind it,
 *                   or a budget that not even the float model would meet.
 *                                                                 Since 0.1 */
FZ_API fz_status_t fz_quantize_file(const char *onnx_path,
                                    const char *out_path,
                                    const fz_quantize_options_t *options,
                                    char hex[65]);

#ifdef __cplusplus
}
#endif

#endif
