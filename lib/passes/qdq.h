/* What the files of the qdq pass share. */
#ifndef FZ_PASSES_QDQ_H
#define FZ_PASSES_QDQ_H

#include "passes/passes.h"

/* The DequantizeLinear of bytes with one scale, a constant, that gives V; or NULL. */
struct fz_node *fzi_qdq_scalar(const struct fz_value *v);
/* True for a QuantizeLinear to bytes with one scale, a constant. */
bool fzi_qdq_quantises(const struct fz_node *node);
/* True for an operator of ONNX on binary32 that is a function of one number. */
bool fzi_qdq_is_function(const struct fz_node *node);
/* NEW stands for OLD: readers, their count and the name. */
void fzi_qdq_take_over(struct fz_pass *pass, struct fz_graph *graph, struct fz_value *old_value,
                       struct fz_value *new_value);
/* The bytes that DQ reads, as Q would quantise what DQ gives: a constant, or a table before BEFORE;
 * NULL if DQ reads no bytes. */
fz_status_t fzi_qdq_requantise(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *dq,
                               const struct fz_node *q, struct fz_node *before,
                               struct fz_value **out);
/* Puts a table in the place of Q, of which fzi_qdq_quantises, if it ends a function of one byte. */
fz_status_t fzi_qdq_table(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *q);

#endif
