/* prune.h: take out of a model what it can do without. Library libfrozen-
 * freeze.
 *
 * Structured pruning takes out whole channels, neurons and attention heads:
 * the model that comes out has smaller tensors and needs nothing special to
 * run. Sparse pruning sets weights to zero in a pattern and keeps all
 * shapes. Neither trains: what is left makes up, by least squares on
 * calibration data, for what went. The same model, options and data give the
 * same bytes on every machine. The rules at the top of frozen.h hold here
 * too. */
#ifndef FROZEN_PRUNE_H
#define FROZEN_PRUNE_H

#include <frozen/freeze.h>
#include <frozen/quantize.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called with a line of the report, without an end of line. */
typedef void (*fz_prune_line_fn)(void *context, const char *line);

typedef struct fz_prune_options {
    size_t size;              /* sizeof(fz_prune_options_t) */
    double structured;        /* share of the multiply-accumulates to take out,
                                 at least; 0: none, below 1 */
    const char *sparse;       /* "2:4": of 4 neighbouring inputs of a product 2
                                 keep their weight, for each output;
                                 "block:0.3": that share of all blocks of 4
                                 inputs and 32 outputs does; NULL: nothing */
    const char *const *exclude; /* names of nodes whose weights stay */
    size_t n_exclude;
    const char *calib;        /* calibration data: FILE.npz or a folder with
                                 NAME.npy, NAME/ANY.npy or test_data_set_N;
                                 NULL: none, or SAMPLE */
    fz_sample_fn sample;      /* gives samples, as for fz_quantize_file() */
    void *sample_context;
    const fz_dim_binding_t *dims; /* symbolic dimensions that become fixed */
    size_t n_dims;
    fz_prune_line_fn report;  /* NULL: none */
    void *report_context;
    fz_progress_fn progress;
    void *progress_context;
    double time;              /* share of a run's time to take out, at least, as
                                 far as sizes foretell it (see below); with
                                 STRUCTURED: both; 0: none, below 1 */
} fz_prune_options_t;

/* TIME counts what a run takes beside multiply-accumulates as well, and that
 * kernels work on whole vectors of 16 outputs: of two ways to take out half of
 * the multiply-accumulates one may save half of the time, the other a third.
 * It is an estimate from sizes alone, the same on every machine. */

/* What a model was and what it became. */
typedef struct fz_prune_result {
    size_t size;              /* sizeof(fz_prune_result_t), set by the caller */
    uint64_t macs_before, macs_after;     /* of one run of the first sample */
    uint64_t weights_before, weights_after; /* bytes of float constants */
    uint64_t zeros_after;     /* of those weights, bytes that are zeros */
    uint64_t n_samples;
    uint64_t time_before, time_after; /* as foretold, in a unit of its own */
} fz_prune_result_t;

/* Prunes the float32 ONNX model at ONNX_PATH and writes it to OUT_PATH: an ONNX
 * model, or a frozen one if the name ends in ".fz". The file appears whole or
 * not at all. RESULT may be NULL.
 *
 * Dimensions that depend on one another shrink together; inputs and outputs of
 * the model, and what a norm or a softmax goes over, keep their sizes. Without
 * calibration data the choice is by the weights alone and nothing is repaired.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_NOMEM, FZ_E_IO, FZ_E_CANCELLED, FZ_E_FORMAT,
 * FZ_E_TYPE, FZ_E_SHAPE  a sample does not fit its input,
 * FZ_E_VALUE        there is less to take out than was asked for, or the data
 *                   hold NaN or infinity,
 * FZ_E_UNSUPPORTED  operators that the library lacks, and models with loops or
 *                   branches.                                      Since 0.1 */
FZ_API fz_status_t fz_prune_file(const char *onnx_path, const char *out_path,
                                 const fz_prune_options_t *options,
                                 fz_prune_result_t *result);

#ifdef __cplusplus
}
#endif

#endif
