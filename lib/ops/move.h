/* Strided copies: the body that Transpose, Slice, Split, Concat, Expand, Tile, DepthToSpace and
 * others share, and small checks of operators that move elements without looking at them. */
#ifndef FZ_OPS_MOVE_H
#define FZ_OPS_MOVE_H

#include "ops/op.h"

enum { FZ_MOVE_RANK = 2 * FZ_RANK_MAX };

/* A box of elements: element (i, j, ...) lies at i * from[0] + j * from[1] + ... of the source and
 * likewise in the destination. Strides count elements; a source's may be negative or 0. */
struct fz_move {
    int32_t rank;
    size_t width; /* bytes of an element: 1, 2, 4, 8 or 16 */
    int64_t dims[FZ_MOVE_RANK], from[FZ_MOVE_RANK], to[FZ_MOVE_RANK];
};

/* Adds a dimension inside of those that are there. */
void fzi_move_dim(struct fz_move *move, int64_t n, int64_t from, int64_t to);
/* Copies the box; source and destination must not overlap. SRC and DST are where its first element
 * lies. A box without elements touches neither. */
void fzi_move_run(const struct fz_env *env, const struct fz_move *move, const void *src, void *dst);
/* Copies SIZE bytes unless both are the same memory. */
void fzi_move_bytes(const struct fz_env *env, const void *src, void *dst, size_t size);

/* Row-major strides of a known shape, in elements; wraps as fzi_move_span does. */
void fzi_move_strides(int32_t rank, const int64_t *dims, int64_t *strides);
/* Elements of dims [first, last) of a known shape whose size has been measured; it wraps, and means
 * nothing, only if another dimension is 0. */
static inline int64_t fzi_move_span(const fz_tensor_t *t, int32_t first, int32_t last) {
    uint64_t n = 1;
    for (int32_t d = first; d < last; d++) n *= (uint64_t)t->dims[d];
    return (int64_t)n;
}
/* Element OFFSET of T; T without data gives NULL. */
static inline char *fzi_move_at(const fz_tensor_t *t, int64_t offset) {
    return t->data ? (char *)t->data + offset * (int64_t)fzi_type_width(t->dtype) : NULL;
}
/* Writes N copies of the WIDTH bytes at VALUE. */
void fzi_move_fill(void *dst, int64_t n, const void *value, size_t width);

/* FZ_E_UNSUPPORTED if input I has elements below 8 bits. */
fz_status_t fzi_move_type(const struct fz_op *op, const struct fz_call *call, uint32_t i);
/* Resolves AXIS of an input of RANK; FZ_E_SHAPE names the operator. */
fz_status_t fzi_move_axis(const struct fz_op *op, int64_t axis, int32_t rank, int32_t *out);
/* Reads input I, one integer (rank 0, or a list of one). *KNOWN is false if its value is not known
 * yet; the caller makes sure that the input is there. */
fz_status_t fzi_move_scalar(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            int64_t *out, bool *known);
/* FZ_E_VALUE unless every element of index tensor T lies in [-LIMIT, LIMIT). */
fz_status_t fzi_move_indices(const struct fz_op *op, const fz_tensor_t *t, int64_t limit);
/* Reads an int32 or int64 index; negative ones count from LIMIT. */
static inline int64_t fzi_move_index(const fz_tensor_t *t, int64_t i, int64_t limit) {
    int64_t at = t->dtype == FZ_TYPE_I32 ? ((const int32_t *)t->data)[i]
                                         : ((const int64_t *)t->data)[i];
    return at < 0 ? at + limit : at;
}
/* run of every FZ_OP_VIEW operator: copies the bytes if they are not where they belong. */
fz_status_t fzi_move_view(const struct fz_op *op, const struct fz_call *call);

/* A list attribute in a params struct. */
struct fz_list {
    int64_t n, at[FZ_RANK_MAX];
};
/* Reads integer list attribute NAME; no attribute is an empty list. */
fz_status_t fzi_move_list(const struct fz_node *node, const char *name, struct fz_list *list);
/* The list that input I holds if it is there, else LIST (which may be NULL). *N is -2 if the
 * input's values are not known yet. OUT has room for FZ_RANK_MAX. */
fz_status_t fzi_move_values(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            const struct fz_list *list, int64_t *out, int32_t *n);
/* How many values input I holds, -1 if that is not known. */
int64_t fzi_move_length(const struct fz_call *call, uint32_t i);
/* Output 0 gets input 0's type and RANK unknown dims. */
fz_status_t fzi_move_infer_rank(const struct fz_call *call, int64_t rank);
/* The product of T's dims [first, last), a symbol if that is the product, or FZ_DIM_UNKNOWN. */
int64_t fzi_move_product(const fz_tensor_t *t, int32_t first, int32_t last);
static inline bool fzi_move_has(const struct fz_call *call, uint32_t i) {
    return i < call->n_in && call->in[i];
}

#endif
