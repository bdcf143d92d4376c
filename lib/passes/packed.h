/* From an integer product with constant weights to the inputs and params of its packed form. */
#ifndef FZ_PASSES_PACKED_H
#define FZ_PASSES_PACKED_H

#include "ops/integer.h"
#include "passes/passes.h"

/* Fills P and IN (FZ_Q_INPUTS values, NULL on entry) from NODE, an integer product of N columns,
 * but for the packed weights themselves. *READY is false, and nothing filled, if something that
 * would have to be constant is not. */
fz_status_t fzi_pass_pack(struct fz_graph *graph, const struct fz_node *node, bool conv, int64_t n,
                          struct fz_packed_params *p, struct fz_value **in, bool *ready);

#endif
