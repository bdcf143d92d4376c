/* Walking several tensors in step under NumPy's broadcasting: which element of each operand belongs
 * to which element of the output, in runs of the innermost dimension. */
#ifndef FZ_OPS_WALK_H
#define FZ_OPS_WALK_H

#include "tensor/tensor.h"

enum { FZ_WALK_MAX = 4 };

/* Dimensions of 1 are dropped and neighbours that every operand steps through alike are merged, so
 * equal shapes become one long run. rank >= 1; the innermost step of each operand is 0 or 1. */
struct fz_walk {
    int32_t rank;
    uint32_t n;
    int64_t dims[FZ_RANK_MAX];
    int64_t step[FZ_WALK_MAX][FZ_RANK_MAX]; /* in elements; 0 where the operand is repeated */
};

/* A place in the walk. */
struct fz_walk_at {
    int64_t index[FZ_RANK_MAX];
    int64_t off[FZ_WALK_MAX]; /* element of each operand */
};

/* OUT is the shape that the N shapes IN broadcast to (infer has checked that they do). */
void fzi_walk_init(struct fz_walk *walk, const fz_tensor_t *out, const fz_tensor_t *const *in,
                   uint32_t n);
/* Puts AT to element BEGIN of the output, in row-major order. */
void fzi_walk_seek(const struct fz_walk *walk, struct fz_walk_at *at, int64_t begin);
/* Elements that are left in the innermost dimension at AT: at least 1, at most MOST. */
int64_t fzi_walk_run(const struct fz_walk *walk, const struct fz_walk_at *at, int64_t most);
/* Moves AT on by N elements, at most what fzi_walk_run gave. */
void fzi_walk_next(const struct fz_walk *walk, struct fz_walk_at *at, int64_t n);
/* The innermost step of operand I: 0 or 1. */
static inline int64_t fzi_walk_step(const struct fz_walk *walk, uint32_t i) {
    return walk->step[i][walk->rank - 1];
}

#endif
