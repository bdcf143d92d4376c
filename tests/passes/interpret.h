/* Runs a graph node by node as its operators say, before and behind the passes. */
#ifndef PASSES_INTERPRET_H
#define PASSES_INTERPRET_H

#include "ops/op.h"

struct interpreter {
    struct fz_arena arena;   /* descriptions of what is computed */
    struct block *blocks;    /* the numbers, each tensor in memory of exactly its size */
    const struct fzk_table *k;
    uint32_t threads;        /* as operators are told; tasks run one by one, the last one first */
};

/* Runs GRAPH, whose inputs' notes point to tensors. The outputs' notes point to results in the
 * interpreter's arena. */
fz_status_t interpret(struct interpreter *in, struct fz_graph *graph);
/* Gives T memory of its size, filled with rubbish. */
fz_status_t interpreter_alloc(struct interpreter *in, fz_tensor_t *t);
void interpreter_free(struct interpreter *in);
/* The tensor that V is. */
const fz_tensor_t *interpreted(const struct fz_value *v);

#endif
