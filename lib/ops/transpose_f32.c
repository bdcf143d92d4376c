/* Transposing a dense float matrix, in blocks that stay in the first-level cache. */
#include "ops/conv.h"

struct transposition {
    const float *from;
    int64_t rows, cols;
    float *to;
};

enum { BLOCK = 16 };

/* Writes run along rows of the result, reads jump: the block's lines stay in the cache. */
static void block(const struct transposition *t, int64_t i0, int64_t j0, int64_t rows,
                  int64_t cols) {
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++)
            t->to[(j0 + j) * t->rows + i0 + i] = t->from[(i0 + i) * t->cols + j0 + j];
}

/* Blocks of columns [begin, end). */
static void range(void *arg, int64_t begin, int64_t end) {
    const struct transposition *t = arg;
    for (int64_t b = begin; b < end; b++)
        for (int64_t i = 0; i < t->rows; i += BLOCK)
            block(t, i, b * BLOCK, fzi_min_i64(BLOCK, t->rows - i),
                  fzi_min_i64(BLOCK, t->cols - b * BLOCK));
}

void fzi_transpose_f32(const struct fz_env *env, const float *from, int64_t rows, int64_t cols,
                       float *to) {
    if (rows == 1 || cols == 1) {
        memcpy(to, from, (size_t)(rows * cols) * sizeof *to);
        return;
    }
    struct transposition t = {from, rows, cols, to};
    int64_t grain = fzi_max_i64(1, 32768 / (rows * BLOCK));
    fzi_run_range(env, fzi_ceil_div(cols, BLOCK), grain, range, &t);
}
