/* DepthToSpace and SpaceToDepth: squares of pixels from channels, and back. */
#include "ops/move.h"

enum { DCR, CRD };

struct params {
    int64_t block, mode;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {[DCR] = "DCR", [CRD] = "CRD", NULL};
    struct params *p = params;
    (void)lower;
    if (!fzi_attr(node, "blocksize"))
        return fzi_error(FZ_E_FORMAT, "%s needs the attribute 'blocksize'", node->type);
    FZ_TRY(fzi_attr_int(node, "blocksize", 1, &p->block));
    return fzi_attr_choice(node, "mode", modes, DCR, &p->mode);
}

static fz_status_t check(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    FZ_TRY(fzi_move_type(op, call, 0));
    if (p->block < 1 || p->block > 32768)
        return fzi_error(FZ_E_VALUE, "%s: blocks of %lld", op->name, (long long)p->block);
    if (call->in[0]->rank >= 0 && call->in[0]->rank != 4)
        return fzi_error(FZ_E_SHAPE, "%s: the input has rank %d, not 4", op->name,
                         call->in[0]->rank);
    return FZ_OK;
}

static fz_status_t grow(const struct fz_op *op, int64_t dim, int64_t by, int64_t *out) {
    *out = FZ_DIM_UNKNOWN;
    if (by == 1) *out = dim;
    else if (dim >= 0 && !fzi_mul_i64(dim, by, out))
        return fzi_error(FZ_E_SHAPE, "%s: dimension %lld is too large", op->name, (long long)dim);
    return FZ_OK;
}

static fz_status_t shrink(const struct fz_op *op, int64_t dim, int64_t by, int64_t *out) {
    *out = FZ_DIM_UNKNOWN;
    if (by == 1) *out = dim;
    else if (dim >= 0 && dim % by != 0)
        return fzi_error(FZ_E_SHAPE, "%s: dimension %lld is no multiple of %lld", op->name,
                         (long long)dim, (long long)by);
    else if (dim >= 0) *out = dim / by;
    return FZ_OK;
}

static fz_status_t infer_to_space(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const int64_t *in = call->in[0]->dims;
    int64_t dims[4], b = p->block;
    FZ_TRY(check(op, call));
    if (call->in[0]->rank < 0) return fzi_move_infer_rank(call, 4);
    dims[0] = in[0];
    FZ_TRY(shrink(op, in[1], b * b, &dims[1]));
    FZ_TRY(grow(op, in[2], b, &dims[2]));
    FZ_TRY(grow(op, in[3], b, &dims[3]));
    fzi_infer_shape(call, 0, call->in[0]->dtype, 4, dims);
    return FZ_OK;
}

static fz_status_t infer_to_depth(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const int64_t *in = call->in[0]->dims;
    int64_t dims[4], b = p->block;
    FZ_TRY(check(op, call));
    if (call->in[0]->rank < 0) return fzi_move_infer_rank(call, 4);
    dims[0] = in[0];
    FZ_TRY(grow(op, in[1], b * b, &dims[1]));
    FZ_TRY(shrink(op, in[2], b, &dims[2]));
    FZ_TRY(shrink(op, in[3], b, &dims[3]));
    fzi_infer_shape(call, 0, call->in[0]->dtype, 4, dims);
    return FZ_OK;
}

/* Copies in the output's order: its dimensions, split into six, are those of the input in ORDER. */
static void run_six(const struct fz_call *call, const int64_t dims[6], const int32_t order[6]) {
    struct fz_move move = {.width = fzi_type_width(call->in[0]->dtype)};
    int64_t from[6], to[6], out[6];
    for (int32_t d = 0; d < 6; d++) out[d] = dims[order[d]];
    fzi_move_strides(6, dims, from);
    fzi_move_strides(6, out, to);
    for (int32_t d = 0; d < 6; d++) fzi_move_dim(&move, out[d], from[order[d]], to[d]);
    fzi_move_run(call->env, &move, call->in[0]->data, call->out[0]->data);
}

static fz_status_t run_to_space(const struct fz_op *op, const struct fz_call *call) {
    static const int32_t orders[][6] = {[DCR] = {0, 3, 4, 1, 5, 2}, [CRD] = {0, 1, 4, 2, 5, 3}};
    const struct params *p = call->params;
    const int64_t *n = call->in[0]->dims;
    int64_t b = p->block, c = n[1] / (b * b);
    const int64_t dcr[6] = {n[0], b, b, c, n[2], n[3]}, crd[6] = {n[0], c, b, b, n[2], n[3]};
    (void)op;
    if (p->mode == CRD) run_six(call, crd, orders[CRD]);
    else run_six(call, dcr, orders[DCR]);
    return FZ_OK;
}

static fz_status_t run_to_depth(const struct fz_op *op, const struct fz_call *call) {
    static const int32_t orders[][6] = {[DCR] = {0, 3, 5, 1, 2, 4}, [CRD] = {0, 1, 3, 5, 2, 4}};
    const struct params *p = call->params;
    const int64_t *n = call->in[0]->dims;
    int64_t b = p->block;
    (void)op;
    run_six(call, (const int64_t[6]){n[0], n[1], n[2] / b, b, n[3] / b, b}, orders[p->mode == CRD]);
    return FZ_OK;
}

const struct fz_op fz_ops_depth_to_space[] = {
    {.name = "DepthToSpace", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "blocksize mode",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer_to_space,
     .run = run_to_space},
    {.name = "SpaceToDepth", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "blocksize mode",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer_to_depth,
     .run = run_to_depth},
    {0},
};
