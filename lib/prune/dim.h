/* What a dimension of a tensor is made of, so that tensors which must shrink together do.
 *
 * A dimension is whole, or a product of dimensions (64 channels are 4 heads of 16), or a
 * concatenation (192 columns are queries, keys, values). Operators say which dimensions are the
 * same one; Reshape, Slice and Split refine them. Whole dimensions that nothing has fixed are
 * what pruning chooses from: index i of one goes or stays in every tensor that has it. */
#ifndef FZ_PRUNE_DIM_H
#define FZ_PRUNE_DIM_H

#include "base/base.h"

enum fz_dim_form { FZ_DIM_WHOLE, FZ_DIM_PRODUCT, FZ_DIM_CONCAT };

struct fz_dim {
    int64_t size;
    struct fz_dim *same;       /* another one that this one is; NULL: the representative */
    enum fz_dim_form form;
    bool fixed;                /* must keep its size; so are its parts then */
    uint32_t n_parts;
    struct fz_dim **parts;     /* outermost or first one first */
    uint8_t *gone;             /* of a whole one: size bytes, 1 for an index that goes; or NULL */
    void *note;                /* of whoever chooses */
};

/* A list of dimensions in an arena. */
struct fz_dims {
    struct fz_dim **items;
    uint32_t n, capacity;
};

/* All of these give NULL (or false) only for lack of memory. */
struct fz_dim *fzi_dim_new(struct fz_arena *arena, int64_t size);
struct fz_dim *fzi_dim_of(struct fz_arena *arena, enum fz_dim_form form,
                          struct fz_dim *const *parts, uint32_t n);
/* The representative. */
struct fz_dim *fzi_dim_find(struct fz_dim *dim);
void fzi_dim_fix(struct fz_dim *dim);
/* A and B are one dimension from now on. Where their parts don't fit both are fixed. */
bool fzi_dim_unify(struct fz_arena *arena, struct fz_dim *a, struct fz_dim *b);
/* [FIRST, FIRST + SIZE) of DIM as a dimension of its own. Where its parts don't allow it DIM and
 * the result are fixed. */
struct fz_dim *fzi_dim_cut(struct fz_arena *arena, struct fz_dim *dim, int64_t first, int64_t size);
/* The elements of IN in the same order as N dimensions of SIZES: out[i] is dimension i. */
bool fzi_dim_reshape(struct fz_arena *arena, const struct fz_dims *in, const int64_t *sizes,
                     uint32_t n, struct fz_dim **out);

bool fzi_dims_add(struct fz_arena *arena, struct fz_dims *list, struct fz_dim *dim);
/* Adds the whole dimensions below DIM, outermost first. */
bool fzi_dims_add_leaves(struct fz_arena *arena, struct fz_dims *list, struct fz_dim *dim);

/* How many indices of DIM stay, and which: GONE (size bytes) gets a 1 for each that goes. */
int64_t fzi_dim_kept(struct fz_dim *dim);
void fzi_dim_gone(struct fz_dim *dim, uint8_t *gone);
/* The indices of DIM that go when index I of the whole dimension LEAF does: sets 1 in HIT (size
 * bytes), which is otherwise left alone. */
void fzi_dim_hit(struct fz_dim *dim, const struct fz_dim *leaf, int64_t i, uint8_t *hit);

#endif
