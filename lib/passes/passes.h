/* From an imported graph to one that can be flattened: an ordered list of rewrites. */
#ifndef FZ_PASSES_H
#define FZ_PASSES_H

#include <frozen/freeze.h>

#include "ops/op.h"

/* What every pass gets. */
struct fz_pass {
    struct fz_graph *graph;              /* the main graph */
    const fz_freeze_options_t *options;
    const struct fzk_table *k;           /* for constant folding */
    uint32_t n_changes;                  /* raised by the pass for each rewrite */
};

/* A pass over one graph; the driver calls it for subgraphs too. */
typedef fz_status_t (*fz_pass_fn)(struct fz_pass *pass, struct fz_graph *graph);

/* Runs all passes in order on GRAPH. LOG gets a line for each: name, rewrites, nodes left. */
fz_status_t fzi_passes_run(struct fz_graph *graph, const fz_freeze_options_t *options,
                           const struct fzk_table *k, struct fz_text *log);
/* Runs the single pass NAME (for tests); FZ_E_USAGE if there is none. */
fz_status_t fzi_passes_run_one(const char *name, struct fz_pass *pass);

/* The passes, in the folder's files of these names. */
fz_status_t fzi_pass_resolve(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_infer(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_fold(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_branch(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_clean(struct fz_pass *pass, struct fz_graph *graph);

/* Makes a lowered node of the operator DOMAIN.NAME before BEFORE with PARAMS (params_size bytes,
 * copied); NULL with the thread's error set. */
struct fz_node *fzi_pass_node(struct fz_graph *graph, struct fz_node *before, const char *domain,
                              const char *name, const char *label, const void *params,
                              uint32_t n_in, uint32_t n_out);
/* True if NODE is the operator NAME of ONNX's own domain. */
bool fzi_pass_is(const struct fz_node *node, const char *name);
/* True if V is a float constant of one element; its value in *OUT. */
bool fzi_pass_scalar(const struct fz_value *v, double *out);

#endif
