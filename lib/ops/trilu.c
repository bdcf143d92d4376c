/* Trilu: the upper or lower triangle of matrices, zero elsewhere. */
#include "ops/move.h"

struct params {
    int64_t upper;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "upper", 1, &p->upper);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    int64_t k;
    bool known;
    FZ_TRY(fzi_move_type(op, call, 0));
    if (in->rank >= 0 && in->rank < 2)
        return fzi_error(FZ_E_SHAPE, "%s: an input of rank %d, where 2 at least is needed",
                         op->name, in->rank);
    if (fzi_move_has(call, 1)) FZ_TRY(fzi_move_scalar(op, call, 1, &k, &known));
    fzi_infer_like(call, 0, in->dtype, in);
    return FZ_OK;
}

/* Row r keeps columns from r + k on, or up to r + k. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t k = 0, width = (int64_t)fzi_type_width(in->dtype);
    bool known;
    if (fzi_move_has(call, 1)) FZ_TRY(fzi_move_scalar(op, call, 1, &k, &known));
    if (call->out[0]->size == 0) return FZ_OK;
    int64_t rows = in->dims[in->rank - 2], columns = in->dims[in->rank - 1];
    k = fzi_min_i64(fzi_max_i64(k, -rows), columns);
    int64_t n = fzi_tensor_count(in) / columns;
    for (int64_t r = 0; r < n; r++) {
        int64_t edge = r % rows + k + (p->upper ? 0 : 1);
        edge = fzi_min_i64(fzi_max_i64(edge, 0), columns);
        int64_t begin = p->upper ? edge : 0, end = p->upper ? columns : edge;
        char *to = fzi_move_at(call->out[0], r * columns);
        memset(to, 0, (size_t)(begin * width));
        memcpy(to + begin * width, fzi_move_at(in, r * columns + begin),
               (size_t)((end - begin) * width));
        memset(to + end * width, 0, (size_t)((columns - end) * width));
    }
    return FZ_OK;
}

const struct fz_op fz_ops_trilu[] = {
    {.name = "Trilu", .domain = "", .since = 14, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "upper",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
