/* Which dimensions of a graph's values are one, and must shrink together: one analysis, by a rule
 * per operator. What no rule knows is fixed: it keeps its size. */
#ifndef FZ_PRUNE_DEPEND_H
#define FZ_PRUNE_DEPEND_H

#include "prune/dim.h"
#include "prune/trace.h"

struct fz_depend {
    struct fz_arena *arena;       /* of all that is made here */
    struct fz_trace *trace;       /* its last run is the one that sizes are taken from */
    const fz_tensor_t *other;     /* by value->id: a run with every symbolic dimension of the inputs
                                     doubled; data of small integer tensors only. NULL: none */
    struct fz_dim ***axes;        /* by value->id: the dimensions of the value, NULL until asked */
    const char *const *excluded;  /* names of nodes whose weights stay */
    size_t n_excluded;
};

/* Finds the dimensions of all values. ARENA, TRACE, OTHER and the excluded names are set.
 * FZ_E_USAGE for an excluded name that no node has. */
fz_status_t fzi_depend_analyse(struct fz_depend *depend);

/* Dimension I of V; NULL without memory. */
struct fz_dim *fzi_depend_axis(struct fz_depend *depend, const struct fz_value *v, int32_t i);
/* What the trace knows of V. */
const fz_tensor_t *fzi_depend_value(const struct fz_depend *depend, const struct fz_value *v);
/* True if the size of V's dimension I, or one of V's integers, depends on a symbolic dimension. */
bool fzi_depend_moves(const struct fz_depend *depend, const struct fz_value *v, int32_t i);
bool fzi_depend_varies(const struct fz_depend *depend, const struct fz_value *v);

/* ---- for rules. Each is false only for lack of memory. */
typedef bool (*fz_rule_fn)(struct fz_depend *depend, const struct fz_node *node);
/* The rule of NODE's operator, or NULL. */
fz_rule_fn fzi_depend_rule(const struct fz_node *node);
bool fzi_depend_unify(struct fz_depend *depend, const struct fz_value *a, int32_t i,
                      const struct fz_value *b, int32_t j);
/* Dimension I of V is DIM. */
bool fzi_depend_give(struct fz_depend *depend, const struct fz_value *v, int32_t i,
                     struct fz_dim *dim);
bool fzi_depend_fix(struct fz_depend *depend, const struct fz_value *v, int32_t i);
bool fzi_depend_fix_all(struct fz_depend *depend, const struct fz_value *v);
/* All of NODE's inputs and outputs keep their shapes. */
bool fzi_depend_fix_node(struct fz_depend *depend, const struct fz_node *node);
/* All dimensions of A and B, of one rank, are the same, but those of MASK. */
bool fzi_depend_same(struct fz_depend *depend, const struct fz_value *a, const struct fz_value *b,
                     uint32_t but);
int64_t fzi_depend_int(const struct fz_node *node, const char *name, int64_t otherwise);
bool fzi_rule_reshape(struct fz_depend *depend, const struct fz_node *node);
bool fzi_rule_transpose(struct fz_depend *depend, const struct fz_node *node);
bool fzi_rule_concat(struct fz_depend *depend, const struct fz_node *node);
bool fzi_rule_split(struct fz_depend *depend, const struct fz_node *node);
bool fzi_rule_slice(struct fz_depend *depend, const struct fz_node *node);
bool fzi_rule_gather(struct fz_depend *depend, const struct fz_node *node);
bool fzi_rule_shape(struct fz_depend *depend, const struct fz_node *node);

/* The bounds that a Slice of one run has along each dimension of its input: elements [first,
 * first + size of the output). False if a step is not 1. */
bool fzi_slice_bounds(const struct fz_depend *depend, const struct fz_node *node,
                      int64_t first[FZ_RANK_MAX]);

#endif
