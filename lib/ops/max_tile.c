/* The greatest element of every window, binary32, without indices: the rows of a window are joined
 * first, over many columns at once, then the columns. The maximum does not depend on the order. */
#include "ops/pool.h"

enum { ROOM = 4096 }; /* floats of a tile */

/* Images of [points][inner] elements. */
struct tiler {
    const struct fzk_table *k;
    const struct fz_pool *pool;
    int64_t inner;
    int64_t columns; /* outputs of a tile */
    const float *x;
    float *y;
};

static void join(const struct tiler *t, float *y, const float *x, int64_t n) {
    t->k->binary_f32(FZK_BINARY_MAX, y, y, x, n, 1, 1);
}

/* Joins the rows that the window rows Z and Y of IMAGE meet, columns FIRST on, into ROOM: SPAN
 * columns, -inf where there is no point. */
static void join_rows(const struct tiler *t, const float *image, struct fz_span z, struct fz_span y,
                      int64_t first, int64_t span, float *room) {
    const struct fz_pool *pool = t->pool;
    int64_t low = first < 0 ? fzi_min_i64(-first, span) : 0;
    int64_t high = fzi_max_i64(low, fzi_min_i64(span, pool->in[2] - first));
    int64_t n = (high - low) * t->inner;
    bool begun = false;
    for (int64_t i = 0; i < z.count; i++)
        for (int64_t j = 0; j < y.count; j++, begun = true) {
            int64_t row = (z.first + i * z.step) * pool->in[1] + y.first + j * y.step;
            const float *x = image + (row * pool->in[2] + first + low) * t->inner;
            if (begun) join(t, room + low * t->inner, x, n);
            else memcpy(room + low * t->inner, x, (size_t)n * 4);
        }
    if (!begun) low = high = span;
    for (int64_t i = 0; i < low * t->inner; i++) room[i] = -__builtin_inff();
    for (int64_t i = high * t->inner; i < span * t->inner; i++) room[i] = -__builtin_inff();
}

/* COUNT outputs from the joined rows in ROOM. */
static void join_columns(const struct tiler *t, const float *room, float *y, int64_t count) {
    const struct fz_pool *pool = t->pool;
    int64_t stride = pool->stride[2], step = pool->dilation[2] * t->inner;
    float dense[ROOM], *to = stride == 1 ? y : dense;
    if (stride == 1 || t->inner == 1) {
        int64_t n = ((count - 1) * stride + 1) * t->inner;
        memcpy(to, room, (size_t)n * 4);
        for (int64_t k = 1; k < pool->kernel[2]; k++) join(t, to, room + k * step, n);
        for (int64_t o = 0; o < count && to == dense; o++) y[o] = dense[o * stride];
        return;
    }
    for (int64_t o = 0; o < count; o++, y += t->inner, room += stride * t->inner) {
        if (step == t->inner) {
            t->k->reduce_f32(FZK_REDUCE_MAX, y, room, 1, pool->kernel[2], t->inner);
            continue;
        }
        memcpy(y, room, (size_t)t->inner * 4);
        for (int64_t k = 1; k < pool->kernel[2]; k++) join(t, y, room + k * step, t->inner);
    }
}

/* Rows of outputs, counted over all images. */
static void row_range(void *arg, int64_t begin, int64_t end) {
    const struct tiler *t = arg;
    const struct fz_pool *pool = t->pool;
    int64_t rows = pool->out[0] * pool->out[1];
    for (int64_t i = begin; i < end; i++) {
        float room[ROOM];
        const float *image = t->x + i / rows * pool->in_size * t->inner;
        struct fz_span z = fzi_pool_span(pool, 0, i % rows / pool->out[1]);
        struct fz_span y = fzi_pool_span(pool, 1, i % pool->out[1]);
        for (int64_t o = 0; o < pool->out[2]; o += t->columns) {
            int64_t count = fzi_min_i64(t->columns, pool->out[2] - o);
            int64_t span = (count - 1) * pool->stride[2] + 1 +
                           (pool->kernel[2] - 1) * pool->dilation[2];
            join_rows(t, image, z, y, o * pool->stride[2] - pool->before[2], span, room);
            join_columns(t, room, t->y + (i * pool->out[2] + o) * t->inner, count);
        }
    }
}

bool fzi_max_tile(const struct fz_env *env, const struct fz_pool *pool, int64_t images,
                  int64_t inner, const float *x, float *y) {
    int64_t extent = (pool->kernel[2] - 1) * pool->dilation[2] + 1;
    if (inner > ROOM || extent > ROOM / inner) return false;
    struct tiler t = {env->k, pool, inner, (ROOM / inner - extent) / pool->stride[2] + 1, x, y};
    int64_t work = pool->out[2] * inner * pool->kernel[0] * pool->kernel[1] * pool->kernel[2];
    fzi_run_range(env, images * pool->out[0] * pool->out[1], fzi_max_i64(1, 65536 / work),
                  row_range, &t);
    return true;
}
