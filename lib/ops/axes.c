/* A shape seen by its reduced dimensions. */
#include "ops/axes.h"

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

static void append(struct fz_axes *axes, const struct group *group) {
    axes->dims[axes->rank] = group->size;
    axes->step[axes->rank++] = group->step;
}

/* Kept groups but the innermost, then the reduced ones, then the innermost if it is kept. */
void fzi_axes_init(struct fz_axes *axes, const fz_tensor_t *t, uint32_t mask) {
    struct group group[FZ_RANK_MAX];
    int32_t n = find_groups(t, mask, group), n_reduced = 0;
    memset(axes, 0, sizeof *axes);
    axes->outer = axes->n = axes->inner = 1;
    int32_t last = n && !group[0].reduced;
    for (int32_t i = n - 1; i >= last; i--)
        if (!group[i].reduced) append(axes, &group[i]), axes->outer *= group[i].size;
    for (int32_t i = n - 1; i >= last; i--)
        if (group[i].reduced) append(axes, &group[i]), axes->n *= group[i].size, n_reduced++;
    if (last) append(axes, &group[0]), axes->inner = group[0].size;
    axes->direct = n_reduced < 2;
}

/* Rows of the innermost dimension are copied whole where their elements are neighbours. */
static void move(const struct fz_axes *axes, size_t width, char *packed, char *tensor,
                 bool gather) {
    int64_t index[FZ_RANK_MAX] = {0}, at = 0;
    int32_t last = axes->rank - 1;
    bool whole = axes->rank == 0 || axes->step[last] == 1;
    int64_t run = axes->rank && whole ? axes->dims[last] : 1;
    int64_t rows = axes->outer * axes->n * axes->inner / (run ? run : 1);
    size_t size = (size_t)run * width;
    if (whole) last--;
    for (int64_t i = 0; i < rows; i++, packed += size) {
        char *place = tensor + at * (int64_t)width;
        if (gather) memcpy(packed, place, size);
        else memcpy(place, packed, size);
        for (int32_t d = last; d >= 0; d--) {
            at += axes->step[d];
            if (++index[d] < axes->dims[d]) break;
            at -= axes->step[d] * axes->dims[d];
            index[d] = 0;
        }
    }
}

void fzi_axes_gather(const struct fz_axes *axes, size_t width, void *y, const void *x) {
    move(axes, width, y, (char *)(uintptr_t)x, true);
}

void fzi_axes_scatter(const struct fz_axes *axes, size_t width, void *y, const void *x) {
    move(axes, width, (char *)(uintptr_t)x, y, false);
}
