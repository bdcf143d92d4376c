/* From an imported graph to one that can be flattened: an ordered list of rewrites. */
#ifndef FZ_PASSES_H
#define FZ_PASSES_H

#include <frozen/freeze.h>

#include "base/faults.h"
#include "ops/op.h"

/* What every pass gets. */
struct fz_pass {
    struct fz_graph *graph;              /* the main graph */
    const fz_freeze_options_t *options;
    const struct fzk_table *k;           /* for constant folding */
    uint32_t n_changes;                  /* raised by the pass for each rewrite */
    struct fz_faults faults;             /* found so far: resolve and fold go on behind them */
    bool quantised;                      /* the qdq pass has run: fold may dequantise constants */
};

/* A pass over one graph; the driver calls it for subgraphs too. */
typedef fz_status_t (*fz_pass_fn)(struct fz_pass *pass, struct fz_graph *graph);

/* Runs all passes in order on GRAPH. LOG gets a line for each: name, rewrites, nodes left. ORIGIN
 * gets the graph's digest as it was, and for each pass that changed it the digest after. */
fz_status_t fzi_passes_run(struct fz_graph *graph, const fz_freeze_options_t *options,
                           const struct fzk_table *k, struct fz_text *log, struct fz_text *origin);
/* The SHA-256 over nodes, attributes, types, shapes and small constants of GRAPH, equal on every
 * host; names do not count. Uses the values' ids. */
void fzi_pass_digest(const struct fz_graph *graph, char hex[65]);
/* Runs the single pass NAME (for tests); FZ_E_USAGE if there is none. */
fz_status_t fzi_passes_run_one(const char *name, struct fz_pass *pass);

/* The passes, in the folder's files of these names. */
fz_status_t fzi_pass_resolve(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_infer(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_fold(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_branch(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_clean(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_merge(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_batchnorm(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_affine(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_activation(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_integer(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_qdq(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_narrow_weights(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_table(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_round(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_simplify(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_norm(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_layout(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_transpose(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_attend(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_attention(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_product(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_recurrent(struct fz_pass *pass, struct fz_graph *graph);
fz_status_t fzi_pass_epilogue(struct fz_pass *pass, struct fz_graph *graph);

/* Puts the branch that is taken in the place of NODE if that is an If whose condition is known;
 * *NEXT is then where a walk over GRAPH goes on. The fold pass does so at once: the other branch
 * may hold what cannot even be inferred, and exporters write such guards. */
bool fzi_pass_take_branch(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                          struct fz_node **next);

/* Puts what NODE stands for in its place if it is a FlexAttention, or a BatchNormalization
 * in training; *NEXT is then the first of the
 * new nodes, else it stays. */
fz_status_t fzi_pass_expand(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                            struct fz_node **next);

/* What the integer pass ends with if each row is to have a range (rows.c). */
fz_status_t fzi_pass_rows(struct fz_pass *pass, struct fz_graph *graph);

/* Puts a frozen.MatMulNarrow of P and IN (FZ_NARROW_INPUTS values) in the place of NODE. */
struct fz_narrow_params;
fz_status_t fzi_pass_narrow_product(struct fz_pass *pass, struct fz_graph *graph,
                                    struct fz_node *node, const struct fz_narrow_params *p,
                                    struct fz_value *const *in);

/* ---- types for storage (half.c): what the fold pass does when it meets a node that lacks one */

/* The type of half precision or below 8 bits that NODE reads but does not handle itself, or 0. */
int32_t fzi_pass_stored(struct fz_graph *graph, struct fz_node *node);
/* Lets NODE read the wider types by Casts before it; *INPUTS: the set of those that were cast. */
fz_status_t fzi_pass_widen(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                           uint64_t *inputs);
/* Casts NODE's wide outputs (inferred) to DTYPE behind it. */
fz_status_t fzi_pass_narrow(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                            int32_t dtype, uint64_t inputs);

/* ---- what passes share (pass.c) */

/* Notes the fault that the thread's message tells. */
void fzi_pass_fault(struct fz_pass *pass, fz_status_t status);

/* An attribute for fzi_pass_make. */
#define FZ_INT(key, value) {.name = key, .kind = FZ_ATTR_INT, .i = value}
#define FZ_FLOAT(key, value) {.name = key, .kind = FZ_ATTR_FLOAT, .f = value}
#define FZ_INTS(key, list, count) {.name = key, .kind = FZ_ATTR_INTS, .ints = list, .n = count}

/* Makes a node of the newest DOMAIN.NAME before BEFORE, reading N_IN values at IN, lowered from
 * N_ATTRS attributes (copied), with N_OUT fresh outputs. NULL with the thread's error set. */
struct fz_node *fzi_pass_make(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                              const char *domain, const char *name, const char *label,
                              const struct fz_attr *attrs, uint32_t n_attrs,
                              struct fz_value *const *in, uint32_t n_in, uint32_t n_out);
/* The same with ready PARAMS (op->params_size bytes, copied) instead of attributes. */
struct fz_node *fzi_pass_lowered(struct fz_graph *graph, struct fz_node *before,
                                 const char *domain, const char *name, const char *label,
                                 const void *params, struct fz_value *const *in, uint32_t n_in,
                                 uint32_t n_out);
/* Takes the notes of GRAPH's values away: a pass that notes begins and ends with it. */
void fzi_pass_clear_notes(struct fz_graph *graph);
/* A copy of NODE before BEFORE that reads IN instead (n_in values) and has the attribute CHANGED
 * (NULL: none) replaced; fresh outputs. */
struct fz_node *fzi_pass_copy(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                              const struct fz_node *node, struct fz_value *const *in,
                              const struct fz_attr *changed);
/* Calls infer on NODE with what is known and notes the results. */
fz_status_t fzi_pass_infer_node(struct fz_graph *graph, struct fz_node *node);
/* Gives every reader of OLD the value NEW; NEW takes OLD's name if it has a fresh one. */
void fzi_pass_replace(struct fz_pass *pass, struct fz_graph *graph, struct fz_value *old_value,
                      struct fz_value *new_value);

/* True if NODE is the operator NAME of ONNX's own domain, or of "frozen". */
bool fzi_pass_is(const struct fz_node *node, const char *name);
bool fzi_pass_is_frozen(const struct fz_node *node, const char *name);
/* The `round` of NODE if that is a frozen.RoundHalf, else 0. */
int64_t fzi_pass_rounding(const struct fz_node *node);
/* What V is before it is rounded as ROUND says: V itself for 0, NULL if V is not rounded so. */
struct fz_value *fzi_pass_exact(struct fz_value *v, int64_t round);
/* V's producer if it is the ONNX operator NAME, else NULL. */
struct fz_node *fzi_pass_from(const struct fz_value *v, const char *name);
/* True if V is a float constant of one element; its value in *OUT. */
bool fzi_pass_scalar(const struct fz_value *v, double *out);
/* For a node of two inputs, the second of which (of Add and Mul: either) is a scalar constant that
 * does not raise the rank of the other one: that other one, else NULL. */
struct fz_value *fzi_pass_with_scalar(const struct fz_node *node, double *scalar);
/* True if both are constants of the same type, shape and at most 4 KiB of equal bytes. */
bool fzi_pass_same_constant(const struct fz_value *a, const struct fz_value *b);
/* True if A and B are nearly the same number, as exporters write it. */
bool fzi_pass_close(double a, double b);

#endif
