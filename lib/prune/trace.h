/* Runs an imported graph node by node and keeps every value: shapes for the analysis, numbers for
 * importance and repair. The graph is left as it is: nodes are lowered in copies.
 *
 * What depends on data only has the bits of a frozen model, so all that is made from it is the same
 * on every machine. */
#ifndef FZ_PRUNE_TRACE_H
#define FZ_PRUNE_TRACE_H

#include "ops/op.h"

struct fz_trace {
    struct fz_graph *graph;
    struct fzk_table kernels;
    struct fz_node *lowered;   /* by node->mark: op NULL if the node must be lowered anew */
    fz_tensor_t *values;       /* by value->id: dtype 0 if the last run has not made it */
    struct fz_value **ids;     /* by id */
    uint32_t n_nodes, n_values;
    struct fz_arena memory;    /* of the last run */
    uint64_t max_memory;       /* of a run; 0: no limit */
};

/* Numbers nodes (mark) and values (id) of GRAPH and its subgraphs, which must outlive TRACE.
 * FZ_E_UNSUPPORTED for operators that the library lacks, random ones and SequenceMap. */
fz_status_t fzi_trace_open(struct fz_trace *trace, struct fz_graph *graph);
void fzi_trace_close(struct fz_trace *trace);
/* Computes all values, those of LAST (NULL: the last node) and before, from INPUTS in the order of
 * the graph's. Data of an input must live until the next run. */
fz_status_t fzi_trace_run(struct fz_trace *trace, const fz_tensor_t *inputs,
                          const struct fz_node *last);
/* V in the last run; a constant is itself. */
const fz_tensor_t *fzi_trace_value(const struct fz_trace *trace, const struct fz_value *v);
/* Attributes, inputs or constants of NODE have changed. */
void fzi_trace_changed(struct fz_trace *trace, const struct fz_node *node);

/* ---- inside of the trace */
/* The nodes of GRAPH up to LAST (NULL: all); its inputs have their values. */
fz_status_t fzi_trace_graph(struct fz_trace *trace, const struct fz_graph *graph,
                            const struct fz_node *last);
/* Runs an If, Loop or Scan. */
fz_status_t fzi_trace_control(struct fz_trace *trace, const struct fz_node *lowered,
                              const fz_tensor_t *const *in, fz_tensor_t *out);

#endif
