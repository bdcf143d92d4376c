/* Col2Im: blocks are added into an image, those of a pixel in the order of the kernel's points. */
#include "ops/combine.h"
#include "ops/move.h"

enum { COLUMNS, IMAGE, BLOCK };

struct params {
    struct fz_list dilations, pads, strides;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_move_list(node, "dilations", &p->dilations));
    FZ_TRY(fzi_move_list(node, "pads", &p->pads));
    return fzi_move_list(node, "strides", &p->strides);
}

enum { DIMS = FZ_RANK_MAX - 2 };

/* Sizes of a call. */
struct grid {
    int32_t n;
    int64_t image[DIMS], kernel[DIMS], blocks[DIMS], dilation[DIMS], stride[DIMS], before[DIMS];
    int64_t points, pixels, columns; /* of a block, an image, a row of blocks */
};

static fz_status_t out_of_range(const struct fz_op *op, const char *what) {
    return fzi_error(FZ_E_VALUE, "%s: %s are out of range", op->name, what);
}

static fz_status_t set_dim(const struct fz_op *op, const struct params *p, struct grid *g,
                           int32_t d) {
    int64_t behind = p->pads.n ? p->pads.at[g->n + d] : 0;
    g->dilation[d] = p->dilations.n ? p->dilations.at[d] : 1;
    g->stride[d] = p->strides.n ? p->strides.at[d] : 1;
    g->before[d] = p->pads.n ? p->pads.at[d] : 0;
    const int64_t all[6] = {g->image[d], g->kernel[d], g->dilation[d], g->stride[d],
                            g->before[d], behind}; /* pads may be 0 */
    for (int i = 0; i < 6; i++)
        if (all[i] < (i < 4) || all[i] > INT32_MAX >> 1)
            return out_of_range(op, "sizes or attributes");
    int64_t room = g->image[d] + g->before[d] + behind - g->dilation[d] * (g->kernel[d] - 1) - 1;
    if (room < 0) return out_of_range(op, "blocks");
    g->blocks[d] = room / g->stride[d] + 1;
    return FZ_OK;
}

/* *KNOWN is false while the sizes are not known. */
static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct grid *g,
                           bool *known) {
    const struct params *p = call->params;
    int64_t list[2][FZ_RANK_MAX];
    int32_t n[2];
    FZ_TRY(fzi_infer_list(op, call, IMAGE, list[0], FZ_RANK_MAX, &n[0]));
    FZ_TRY(fzi_infer_list(op, call, BLOCK, list[1], FZ_RANK_MAX, &n[1]));
    *known = n[0] >= 0 && n[1] >= 0;
    if (!*known) return FZ_OK;
    g->n = n[0];
    if (n[0] < 1 || n[0] > DIMS || n[1] != n[0] || (p->dilations.n && p->dilations.n != n[0]) ||
        (p->strides.n && p->strides.n != n[0]) || (p->pads.n && p->pads.n != 2 * n[0]) ||
        (p->pads.n > FZ_RANK_MAX))
        return fzi_error(FZ_E_SHAPE, "%s: the lists do not fit together", op->name);
    for (int32_t d = 0; d < g->n; d++) {
        g->image[d] = list[0][d];
        g->kernel[d] = list[1][d];
        FZ_TRY(set_dim(op, p, g, d));
    }
    if (!fzi_dims_count(g->kernel, 0, g->n, &g->points) ||
        !fzi_dims_count(g->image, 0, g->n, &g->pixels) ||
        !fzi_dims_count(g->blocks, 0, g->n, &g->columns))
        return out_of_range(op, "sizes");
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[COLUMNS];
    int64_t dims[FZ_RANK_MAX];
    struct grid g;
    bool known;
    FZ_TRY(fzi_infer_type(op, call, IMAGE, FZ_T(I64)));
    FZ_TRY(fzi_infer_type(op, call, BLOCK, FZ_T(I64)));
    FZ_TRY(fzi_infer_type(op, call, COLUMNS, FZ_T_NUMBER | FZ_T(BOOL)));
    FZ_TRY(fzi_combine_check(op, call, FZ_COMBINE_ADD));
    if (x->rank >= 0 && x->rank != 3)
        return fzi_error(FZ_E_SHAPE, "%s: columns of rank %d", op->name, x->rank);
    FZ_TRY(measure(op, call, &g, &known));
    fzi_infer_unknown(call, 0, x->dtype);
    if (!known) return FZ_OK;
    if (x->rank == 3 && ((x->dims[1] >= 0 && x->dims[1] % g.points) ||
                         (x->dims[2] >= 0 && x->dims[2] != g.columns)))
        return fzi_error(FZ_E_SHAPE, "%s: the columns do not fit the image and the block",
                         op->name);
    dims[0] = x->rank == 3 ? x->dims[0] : FZ_DIM_UNKNOWN;
    dims[1] = x->rank == 3 && x->dims[1] >= 0 ? x->dims[1] / g.points : FZ_DIM_UNKNOWN;
    for (int32_t d = 0; d < g.n; d++) dims[d + 2] = g.image[d];
    fzi_infer_shape(call, 0, x->dtype, g.n + 2, dims);
    return FZ_OK;
}

struct job {
    const struct grid *g;
    const fz_tensor_t *x, *y;
    fz_combine_fn add;
};

/* The pixel that point POINT of block COLUMN falls on; -1: none. */
static int64_t pixel_of(const struct grid *g, int64_t point, int64_t column) {
    int64_t at = 0, step = 1;
    for (int32_t d = g->n - 1; d >= 0; d--) {
        int64_t i = column % g->blocks[d] * g->stride[d] - g->before[d] +
                    point % g->kernel[d] * g->dilation[d];
        if (i < 0 || i >= g->image[d]) return -1;
        at += i * step;
        step *= g->image[d];
        column /= g->blocks[d];
        point /= g->kernel[d];
    }
    return at;
}

/* Images [begin, end), counted over batch and channels. */
static void image_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct grid *g = job->g;
    for (int64_t i = begin; i < end; i++)
        for (int64_t point = 0; point < g->points; point++)
            for (int64_t column = 0; column < g->columns; column++) {
                int64_t pixel = pixel_of(g, point, column);
                if (pixel < 0) continue;
                job->add(fzi_move_at(job->y, i * g->pixels + pixel),
                         fzi_move_at(job->x, (i * g->points + point) * g->columns + column), 1);
            }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *out = call->out[0];
    struct grid g;
    bool known;
    if (out->size == 0) return FZ_OK;
    FZ_TRY(measure(op, call, &g, &known));
    struct job job = {&g, call->in[COLUMNS], out,
                      fzi_combine_find(out->dtype, FZ_COMBINE_ADD)};
    memset(out->data, 0, out->size);
    fzi_run_range(call->env, out->dims[0] * out->dims[1],
                  fzi_max_i64(1, 4096 / fzi_max_i64(1, g.points * g.columns)), image_range, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_col2im[] = {
    {.name = "Col2Im", .domain = "", .since = 18, .rev = 1, .min_in = 3, .max_in = 3,
     .min_out = 1, .max_out = 1, .attrs = "dilations pads strides",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
