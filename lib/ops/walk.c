/* Walking several tensors in step under broadcasting. */
#include "ops/walk.h"

/* The step of T along dimension D of an output of RANK dims; right-aligned, 0 where T repeats. */
static int64_t operand_step(const fz_tensor_t *t, int32_t rank, int32_t d) {
    int32_t at = d - (rank - t->rank);
    if (at < 0 || t->dims[at] == 1) return 0;
    int64_t step = 1;
    for (int32_t i = at + 1; i < t->rank; i++) step *= t->dims[i];
    return step;
}

/* True if dimension D, seen from the merged one behind it, continues every operand's stride. */
static bool continues(const struct fz_walk *walk, const int64_t *step) {
    int32_t last = walk->rank - 1;
    for (uint32_t i = 0; i < walk->n; i++)
        if (step[i] != walk->step[i][last] * walk->dims[last]) return false;
    return true;
}

/* Dimensions are collected innermost first; this puts them into their order. */
static void reverse(int64_t *list, int32_t n) {
    for (int32_t i = 0; i < n / 2; i++) {
        int64_t t = list[i];
        list[i] = list[n - 1 - i];
        list[n - 1 - i] = t;
    }
}

void fzi_walk_init(struct fz_walk *walk, const fz_tensor_t *out, const fz_tensor_t *const *in,
                   uint32_t n) {
    walk->rank = 0;
    walk->n = n;
    for (int32_t d = out->rank - 1; d >= 0; d--) {
        int64_t step[FZ_WALK_MAX];
        if (out->dims[d] == 1) continue;
        for (uint32_t i = 0; i < n; i++) step[i] = operand_step(in[i], out->rank, d);
        if (walk->rank && continues(walk, step)) {
            walk->dims[walk->rank - 1] *= out->dims[d];
            continue;
        }
        walk->dims[walk->rank] = out->dims[d];
        for (uint32_t i = 0; i < n; i++) walk->step[i][walk->rank] = step[i];
        walk->rank++;
    }
    if (walk->rank == 0) {
        walk->dims[0] = 1;
        for (uint32_t i = 0; i < n; i++) walk->step[i][0] = 1;
        walk->rank = 1;
    }
    reverse(walk->dims, walk->rank);
    for (uint32_t i = 0; i < n; i++) reverse(walk->step[i], walk->rank);
}

void fzi_walk_seek(const struct fz_walk *walk, struct fz_walk_at *at, int64_t begin) {
    memset(at, 0, sizeof *at);
    for (int32_t d = walk->rank - 1; d >= 0; d--) {
        at->index[d] = begin % walk->dims[d];
        begin /= walk->dims[d];
        for (uint32_t i = 0; i < walk->n; i++) at->off[i] += at->index[d] * walk->step[i][d];
    }
}

int64_t fzi_walk_run(const struct fz_walk *walk, const struct fz_walk_at *at, int64_t most) {
    int32_t last = walk->rank - 1;
    return fzi_min_i64(walk->dims[last] - at->index[last], most);
}

void fzi_walk_next(const struct fz_walk *walk, struct fz_walk_at *at, int64_t n) {
    int32_t d = walk->rank - 1;
    at->index[d] += n;
    for (uint32_t i = 0; i < walk->n; i++) at->off[i] += n * walk->step[i][d];
    while (d > 0 && at->index[d] == walk->dims[d]) {
        at->index[d] = 0;
        at->index[d - 1]++;
        for (uint32_t i = 0; i < walk->n; i++)
            at->off[i] += walk->step[i][d - 1] - walk->dims[d] * walk->step[i][d];
        d--;
    }
}
