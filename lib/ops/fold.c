/* Folding a shape by its reduced dimensions. */
#include "ops/fold.h"

/* A run of neighbouring dimensions, all reduced or all kept. */
struct group {
    int64_t size, step;
    bool reduced;
};

static int32_t find_groups(const fz_tensor_t *t, uint32_t mask, struct group *group) {
    int32_t n = 0;
    int64_t step = 1;
    for (int32_t d = t->rank - 1; d >= 0; d--) {
        bool reduced = mask >> d & 1;
        if (t->dims[d] != 1) {
            if (n && group[n - 1].reduced == reduced) group[n - 1].size *= t->dims[d];
            else group[n++] = (struct group){t->dims[d], step, reduced};
        }
        step *= t->dims[d];
    }
    return n; /* innermost first */
}

static void append(struct fz_fold *fold, const struct group *group) {
    fold->dims[fold->rank] = group->size;
    fold->step[fold->rank++] = group->step;
}

/* Kept groups but the innermost, then the reduced ones, then the innermost if it is kept. */
void fzi_fold_init(struct fz_fold *fold, const fz_tensor_t *t, uint32_t mask) {
    struct group group[FZ_RANK_MAX];
    int32_t n = find_groups(t, mask, group), n_reduced = 0;
    memset(fold, 0, sizeof *fold);
    fold->outer = fold->n = fold->inner = 1;
    int32_t last = n && !group[0].reduced;
    for (int32_t i = n - 1; i >= last; i--)
        if (!group[i].reduced) append(fold, &group[i]), fold->outer *= group[i].size;
    for (int32_t i = n - 1; i >= last; i--)
        if (group[i].reduced) append(fold, &group[i]), fold->n *= group[i].size, n_reduced++;
    if (last) append(fold, &group[0]), fold->inner = group[0].size;
    fold->direct = n_reduced < 2;
}

/* Rows of the innermost dimension are copied whole where their elements are neighbours. */
static void move(const struct fz_fold *fold, size_t width, char *packed, char *tensor, bool gather) {
    int64_t index[FZ_RANK_MAX] = {0}, at = 0;
    int32_t last = fold->rank - 1;
    bool whole = fold->rank == 0 || fold->step[last] == 1;
    int64_t run = fold->rank && whole ? fold->dims[last] : 1;
    int64_t rows = fold->outer * fold->n * fold->inner / (run ? run : 1);
    size_t size = (size_t)run * width;
    if (whole) last--;
    for (int64_t i = 0; i < rows; i++, packed += size) {
        char *place = tensor + at * (int64_t)width;
        if (gather) memcpy(packed, place, size);
        else memcpy(place, packed, size);
        for (int32_t d = last; d >= 0; d--) {
            at += fold->step[d];
            if (++index[d] < fold->dims[d]) break;
            at -= fold->step[d] * fold->dims[d];
            index[d] = 0;
        }
    }
}

void fzi_fold_gather(const struct fz_fold *fold, size_t width, void *y, const void *x) {
    move(fold, width, y, (char *)(uintptr_t)x, true);
}

void fzi_fold_scatter(const struct fz_fold *fold, size_t width, void *y, const void *x) {
    move(fold, width, (char *)(uintptr_t)x, y, false);
}
