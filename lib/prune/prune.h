/* Pruning from a file to a smaller graph. */
#ifndef FZ_PRUNE_PRUNE_H
#define FZ_PRUNE_PRUNE_H

#include <frozen/prune.h>

#include "import/import.h"
#include "prune/choose.h"
#include "prune/sample.h"

/* One copy of the model. */
struct fz_prune_copy {
    struct fz_arena arena;
    struct fz_source source;
    struct fz_graph *graph;
    struct fz_trace trace;
};

/* What a run of pruning needs and leaves. Zero-initialised but for the first block. */
struct fz_prune {
    const char *path;
    const fz_freeze_options_t *options; /* of the import */
    const fz_prune_options_t *request;
    struct fz_samples samples;          /* set after fzi_prune_open */

    struct fz_prune_copy before, after;
    struct fz_arena arena;
    fz_tensor_t *other;
    struct fz_depend depend;
    struct fz_linear *linears;
    uint32_t n_linears;
    struct fz_choice choice;
    fz_prune_result_t result;
};

/* Reads the model and finds its inputs, so that samples can be checked against them. */
fz_status_t fzi_prune_open(struct fz_prune *prune);
/* Prunes: then after.graph is the smaller model. */
fz_status_t fzi_prune_run(struct fz_prune *prune);
void fzi_prune_close(struct fz_prune *prune);

/* Tells how far the work is; FZ_E_CANCELLED if it is to stop. */
fz_status_t fzi_prune_progress(const struct fz_prune *prune, double done, const char *phase);
/* A line of the report. */
void fzi_prune_say(const struct fz_prune *prune, const char *format, ...) FZ_PRINTF(2, 3);

#endif
