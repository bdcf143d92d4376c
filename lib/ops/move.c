/* Strided copies of boxes of elements. */
#include "ops/move.h"

enum { TILE = 16, UNIT_SIZE = 32768, GRAIN_SIZE = 131072 };

#define INLINE static inline __attribute__((always_inline))

void fzi_move_dim(struct fz_move *move, int64_t n, int64_t from, int64_t to) {
    int32_t d = move->rank++;
    move->dims[d] = n;
    move->from[d] = from;
    move->to[d] = to;
}

void fzi_move_strides(int32_t rank, const int64_t *dims, int64_t *strides) {
    uint64_t n = 1;
    for (int32_t d = rank; d-- > 0; n *= (uint64_t)dims[d]) strides[d] = (int64_t)n;
}

/* The box that a task works on. All strides are bytes here. Dims [0, rank) are the planes, n1 x n0
 * is one plane; its rows are dealt out in blocks. */
struct plan {
    int32_t rank;
    size_t width;
    int64_t dims[FZ_MOVE_RANK], from[FZ_MOVE_RANK], to[FZ_MOVE_RANK];
    int64_t n1, from1, to1, n0, from0, to0;
    int64_t block, n_blocks; /* rows of a block; blocks of a plane */
    const char *src;
    char *dst;
    const struct fzk_table *k;
};

/* ---- one block of rows */

INLINE void strided(const struct plan *p, const char *src, char *dst, int64_t rows, size_t width) {
    for (int64_t i = 0; i < rows; i++, src += p->from1, dst += p->to1)
        for (int64_t j = 0; j < p->n0; j++)
            memcpy(dst + j * p->to0, src + j * p->from0, width);
}

INLINE void fill(char *dst, int64_t n, const char *value, size_t width) {
    char copy[16];
    memcpy(copy, value, width);
    for (int64_t j = 0; j < n; j++) memcpy(dst + j * (int64_t)width, copy, width);
}

void fzi_move_fill(void *dst, int64_t n, const void *value, size_t width) {
    switch (width) {
    case 1: fill(dst, n, value, 1); break;
    case 2: fill(dst, n, value, 2); break;
    case 4: fill(dst, n, value, 4); break;
    case 8: fill(dst, n, value, 8); break;
    default: fill(dst, n, value, 16); break;
    }
}

static void run_strided(const struct plan *p, const char *src, char *dst, int64_t rows) {
    switch (p->width) {
    case 1: strided(p, src, dst, rows, 1); break;
    case 2: strided(p, src, dst, rows, 2); break;
    case 4: strided(p, src, dst, rows, 4); break;
    case 8: strided(p, src, dst, rows, 8); break;
    default: strided(p, src, dst, rows, 16); break;
    }
}

/* Rows of the destination are contiguous, and so are columns of the source. */
static void run_transposed(const struct plan *p, const char *src, char *dst, int64_t rows) {
    int64_t w = (int64_t)p->width;
    p->k->transpose_2d((int32_t)w, dst, src, p->n0, rows, p->from0 / w, p->to1 / w);
}

static void run_rows(const struct plan *p, const char *src, char *dst, int64_t rows) {
    int64_t w = (int64_t)p->width;
    bool dense = p->to0 == w || p->n0 == 1;
    if (dense && (p->from0 == w || p->n0 == 1)) {
        for (int64_t i = 0; i < rows; i++)
            memcpy(dst + i * p->to1, src + i * p->from1, (size_t)(p->n0 * w));
    } else if (dense && p->from0 == 0) {
        for (int64_t i = 0; i < rows; i++)
            fzi_move_fill(dst + i * p->to1, p->n0, src + i * p->from1, p->width);
    } else if (dense && p->from1 == w && w <= 8) {
        run_transposed(p, src, dst, rows);
    } else {
        run_strided(p, src, dst, rows);
    }
}

/* ---- the planes of a range */

static void run_range(void *arg, int64_t begin, int64_t end) {
    const struct plan *p = arg;
    int64_t at[FZ_MOVE_RANK], rest = begin / p->n_blocks, block = begin % p->n_blocks;
    int64_t from = 0, to = 0;
    for (int32_t d = p->rank; d-- > 0; rest /= p->dims[d]) {
        at[d] = rest % p->dims[d];
        from += at[d] * p->from[d];
        to += at[d] * p->to[d];
    }
    for (int64_t u = begin; u < end; u++) {
        int64_t row = block * p->block;
        run_rows(p, p->src + from + row * p->from1, p->dst + to + row * p->to1,
                 fzi_min_i64(p->block, p->n1 - row));
        if (++block < p->n_blocks) continue;
        block = 0;
        for (int32_t d = p->rank; d-- > 0;) {
            from += p->from[d];
            to += p->to[d];
            if (++at[d] < p->dims[d]) break;
            from -= p->dims[d] * p->from[d];
            to -= p->dims[d] * p->to[d];
            at[d] = 0;
        }
    }
}

/* ---- preparation */

static void erase(struct plan *p, int32_t d) {
    p->rank--;
    for (; d < p->rank; d++) {
        p->dims[d] = p->dims[d + 1];
        p->from[d] = p->from[d + 1];
        p->to[d] = p->to[d + 1];
    }
}

/* Drops dimensions of one, and joins neighbours that step as one. */
static void collapse(struct plan *p) {
    for (int32_t d = p->rank; d-- > 0;)
        if (p->dims[d] == 1) erase(p, d);
    for (int32_t d = p->rank - 1; d-- > 0;) {
        if (p->from[d] != p->from[d + 1] * p->dims[d + 1]) continue;
        if (p->to[d] != p->to[d + 1] * p->dims[d + 1]) continue;
        p->dims[d + 1] *= p->dims[d];
        erase(p, d);
    }
}

/* A short contiguous run is one wide element: pairs of float32 move as 8 bytes. */
static void widen(struct plan *p) {
    int32_t last = p->rank - 1;
    int64_t w = (int64_t)p->width;
    if (p->rank < 2 || p->from[last] != w || p->to[last] != w || p->dims[last] > 16) return;
    int64_t wide = w * p->dims[last];
    if (wide != 2 && wide != 4 && wide != 8 && wide != 16) return;
    for (int32_t d = 0; d < last; d++)
        if (p->from[d] % wide || p->to[d] % wide) return;
    p->width = (size_t)wide;
    p->rank--;
}

/* Takes the dimension D out of the planes' dims. */
static void take(struct plan *p, int32_t d, int64_t *n, int64_t *from, int64_t *to) {
    *n = 1;
    *from = *to = 0;
    if (d < 0) return;
    *n = p->dims[d];
    *from = p->from[d];
    *to = p->to[d];
    erase(p, d);
}

/* The innermost dimension gives the columns. Rows are the next one, unless another one is
 * contiguous in the source. */
static void choose_plane(struct plan *p) {
    int64_t w = (int64_t)p->width;
    take(p, p->rank - 1, &p->n0, &p->from0, &p->to0);
    int32_t row = p->rank - 1;
    if (p->from0 != w && p->from0 != 0 && p->to0 == w)
        for (int32_t d = 0; d < p->rank; d++)
            if (p->from[d] == w) row = d;
    take(p, row, &p->n1, &p->from1, &p->to1);
}

struct bytes {
    const char *src;
    char *dst;
};

static void copy_range(void *arg, int64_t begin, int64_t end) {
    const struct bytes *b = arg;
    memcpy(b->dst + begin, b->src + begin, (size_t)(end - begin));
}

void fzi_move_bytes(const struct fz_env *env, const void *src, void *dst, size_t size) {
    if (!size || src == dst) return;
    struct bytes b = {src, dst};
    fzi_run_range(env, (int64_t)size, GRAIN_SIZE, copy_range, &b);
}

void fzi_move_run(const struct fz_env *env, const struct fz_move *move, const void *src,
                  void *dst) {
    struct plan p = {.rank = move->rank, .width = move->width, .src = src, .dst = dst,
                     .k = env->k};
    for (int32_t d = 0; d < move->rank; d++)
        if (move->dims[d] == 0) return;
    for (int32_t d = 0; d < move->rank; d++) {
        p.dims[d] = move->dims[d];
        p.from[d] = move->from[d] * (int64_t)move->width;
        p.to[d] = move->to[d] * (int64_t)move->width;
    }
    collapse(&p);
    widen(&p);
    choose_plane(&p);
    int64_t w = (int64_t)p.width, row_size = p.n0 * w, planes = 1;
    if (p.rank == 0 && p.n1 == 1 && p.from0 == w && p.to0 == w) {
        fzi_move_bytes(env, src, dst, (size_t)row_size);
        return;
    }
    for (int32_t d = 0; d < p.rank; d++) planes *= p.dims[d];
    p.block = fzi_max_i64(TILE, UNIT_SIZE / row_size / TILE * TILE);
    if (row_size >= UNIT_SIZE && p.from0 == w) p.block = 1;
    p.n_blocks = fzi_ceil_div(p.n1, p.block);
    int64_t unit_size = fzi_min_i64(p.block, p.n1) * row_size;
    fzi_run_range(env, planes * p.n_blocks, fzi_ceil_div(GRAIN_SIZE, unit_size), run_range, &p);
}

/* ---- what operators that move elements check */

fz_status_t fzi_move_type(const struct fz_op *op, const struct fz_call *call, uint32_t i) {
    int32_t bits = fz_type_bits(call->in[i]->dtype);
    if (bits == 0 || bits >= 8) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: input %u cannot be packed %s", op->name, i,
                     fz_type_name(call->in[i]->dtype));
}

fz_status_t fzi_move_axis(const struct fz_op *op, int64_t axis, int32_t rank, int32_t *out) {
    if (fzi_axis(axis, rank, out)) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: axis %lld is outside of rank %d", op->name, (long long)axis,
                     rank);
}

fz_status_t fzi_move_scalar(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            int64_t *out, bool *known) {
    int32_t n;
    FZ_TRY(fzi_infer_list(op, call, i, out, 1, &n));
    if (n == 0 || n == -1)
        return fzi_error(FZ_E_SHAPE, "%s: input %u holds no number", op->name, i);
    *known = n == 1;
    return FZ_OK;
}

fz_status_t fzi_move_indices(const struct fz_op *op, const fz_tensor_t *t, int64_t limit) {
    int64_t n = fzi_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = t->dtype == FZ_TYPE_I32 ? ((const int32_t *)t->data)[i]
                                             : ((const int64_t *)t->data)[i];
        if (at >= -limit && at < limit) continue;
        return fzi_error(FZ_E_VALUE, "%s: index %lld at place %lld is outside of [-%lld, %lld)",
                         op->name, (long long)at, (long long)i, (long long)limit,
                         (long long)limit);
    }
    return FZ_OK;
}

fz_status_t fzi_move_view(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    fzi_move_bytes(call->env, call->in[0]->data, call->out[0]->data, call->out[0]->size);
    return FZ_OK;
}

fz_status_t fzi_move_list(const struct fz_node *node, const char *name, struct fz_list *list) {
    const int64_t *ints = NULL;
    size_t n = 0;
    FZ_TRY(fzi_attr_ints(node, name, &ints, &n));
    if (n > FZ_RANK_MAX) return fzi_error(FZ_E_FORMAT, "attribute '%s' has %zu values", name, n);
    for (size_t i = 0; i < n; i++) list->at[i] = ints[i];
    list->n = (int64_t)n;
    return FZ_OK;
}

fz_status_t fzi_move_values(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            const struct fz_list *list, int64_t *out, int32_t *n) {
    FZ_TRY(fzi_infer_list(op, call, i, out, FZ_RANK_MAX, n));
    if (*n != -1) return FZ_OK;
    *n = 0;
    if (!list) return FZ_OK;
    if (list->n < 0 || list->n > FZ_RANK_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: a list of %lld values", op->name, (long long)list->n);
    for (int64_t j = 0; j < list->n; j++) out[j] = list->at[j];
    *n = (int32_t)list->n;
    return FZ_OK;
}

int64_t fzi_move_length(const struct fz_call *call, uint32_t i) {
    const fz_tensor_t *t = call->in[i];
    if (t->rank == 0) return 1;
    return t->rank == 1 && t->dims[0] >= 0 ? t->dims[0] : -1;
}

fz_status_t fzi_move_infer_rank(const struct fz_call *call, int64_t rank) {
    int64_t dims[FZ_RANK_MAX];
    if (rank < 0 || rank > FZ_RANK_MAX) {
        fzi_infer_unknown(call, 0, call->in[0]->dtype);
        return FZ_OK;
    }
    for (int64_t d = 0; d < rank; d++) dims[d] = FZ_DIM_UNKNOWN;
    fzi_infer_shape(call, 0, call->in[0]->dtype, (int32_t)rank, dims);
    return FZ_OK;
}

int64_t fzi_move_product(const fz_tensor_t *t, int32_t first, int32_t last) {
    int64_t n = 1, symbol = 1;
    for (int32_t d = first; d < last; d++)
        if (t->dims[d] == 0) return 0;
    for (int32_t d = first; d < last; d++) {
        if (t->dims[d] < 0) symbol = symbol == 1 ? t->dims[d] : FZ_DIM_UNKNOWN;
        else if (!fzi_mul_i64(n, t->dims[d], &n)) return FZ_DIM_UNKNOWN;
    }
    if (symbol == 1) return n;
    return n == 1 ? symbol : FZ_DIM_UNKNOWN;
}
