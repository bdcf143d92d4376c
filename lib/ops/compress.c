/* Compress and NonZero: what a condition selects, and where elements are not zero. Only run knows
 * how many there are. */
#include "ops/move.h"

struct params {
    int64_t axis, flat; /* flat: no axis, the input is taken as one row */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    p->flat = !fzi_attr(node, "axis");
    return fzi_attr_int(node, "axis", 0, &p->axis);
}

static fz_status_t infer_compress(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(BOOL)));
    if (call->in[1]->rank > 1)
        return fzi_error(FZ_E_SHAPE, "%s: the condition is not a list", op->name);
    if (p->flat) return fzi_move_infer_rank(call, 1);
    if (in->rank < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    fzi_infer_like(call, 0, in->dtype, in);
    if (call->out[0]) call->out[0]->dims[axis] = FZ_DIM_UNKNOWN;
    return FZ_OK;
}

/* A condition longer than the axis must not hold behind its end; a shorter one selects no more. */
static fz_status_t count_selected(const struct fz_op *op, const fz_tensor_t *condition,
                                  int64_t dim, int64_t *n) {
    const uint8_t *holds = condition->data;
    int64_t length = fzi_tensor_count(condition);
    *n = 0;
    for (int64_t i = 0; i < length; i++) {
        if (holds[i] && i >= dim)
            return fzi_error(FZ_E_VALUE, "%s: selects place %lld of %lld", op->name, (long long)i,
                             (long long)dim);
        *n += holds[i] != 0;
    }
    return FZ_OK;
}

static fz_status_t run_compress(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *condition = call->in[1];
    fz_tensor_t row = {.dtype = in->dtype, .rank = 1, .data = in->data};
    int64_t dims[FZ_RANK_MAX], n, to = 0;
    int32_t axis = 0;
    row.dims[0] = fzi_tensor_count(in);
    if (p->flat) in = &row;
    else FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    FZ_TRY(count_selected(op, condition, in->dims[axis], &n));
    for (int32_t d = 0; d < in->rank; d++) dims[d] = d == axis ? n : in->dims[d];
    FZ_TRY(call->env->resize(call, 0, in->rank, dims));
    fz_tensor_t *out = call->out[0];
    if (!out || out->size == 0) return FZ_OK;
    int64_t inner = fzi_move_span(in, axis + 1, in->rank), outer = fzi_move_span(in, 0, axis);
    for (int64_t i = 0; i < fzi_tensor_count(condition); i++) {
        struct fz_move move = {.width = fzi_type_width(in->dtype)};
        if (!((const uint8_t *)condition->data)[i]) continue;
        fzi_move_dim(&move, outer, in->dims[axis] * inner, n * inner);
        fzi_move_dim(&move, inner, 1, 1);
        fzi_move_run(call->env, &move, fzi_move_at(in, i * inner), fzi_move_at(out, to++ * inner));
    }
    return FZ_OK;
}

/* ---- NonZero */

static fz_status_t infer_nonzero(const struct fz_op *op, const struct fz_call *call) {
    int32_t rank = call->in[0]->rank;
    int64_t dims[2] = {rank < 0 ? FZ_DIM_UNKNOWN : rank, FZ_DIM_UNKNOWN};
    uint64_t types = FZ_T_NUMBER | FZ_T(BOOL) | FZ_T(STRING) | FZ_T(C64) | FZ_T(C128);
    FZ_TRY(fzi_infer_type(op, call, 0, types));
    fzi_infer_shape(call, 0, FZ_TYPE_I64, 2, dims);
    return FZ_OK;
}

/* Element I is zero if no bit but a float's sign is set: -0 is zero, NaN is not. */
static inline __attribute__((always_inline)) bool is_nonzero(const char *data, int64_t i,
                                                             size_t width, uint64_t mask) {
    uint64_t bits = 0;
    uint8_t b8;
    uint16_t b16;
    uint32_t b32;
    switch (width) {
    case 1: memcpy(&b8, data + i, 1); bits = b8; break;
    case 2: memcpy(&b16, data + 2 * i, 2); bits = b16; break;
    case 4: memcpy(&b32, data + 4 * i, 4); bits = b32; break;
    default: memcpy(&bits, data + 8 * i, 8); break;
    }
    return (bits & mask) != 0;
}

struct search {
    const fz_tensor_t *in;
    int64_t n;    /* nonzero elements */
    int64_t *out; /* NULL while they are counted; then a row of n for each dimension */
    uint64_t mask;
};

/* A string that is not empty, a complex number with a part that is not 0. */
static bool is_there(const fz_tensor_t *t, int64_t i) {
    const double *pair = (const double *)t->data + 2 * i;
    if (t->dtype == FZ_TYPE_STRING) return ((const struct fz_string *)t->data)[i].size > 0;
    return is_nonzero((const char *)pair, 0, 8, INT64_MAX) ||
           is_nonzero((const char *)pair, 1, 8, INT64_MAX);
}

/* Row by row of the last dimension, whose other coordinates are found once. */
static inline __attribute__((always_inline)) int64_t find(const struct search *s, size_t width) {
    const fz_tensor_t *in = s->in;
    int64_t columns = in->rank ? in->dims[in->rank - 1] : 1, found = 0;
    int64_t rows = columns ? fzi_tensor_count(in) / columns : 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t before = found, rest = r;
        for (int64_t j = 0; j < columns; j++) {
            if (width > 8 ? !is_there(in, r * columns + j)
                          : !is_nonzero(in->data, r * columns + j, width, s->mask))
                continue;
            if (s->out && in->rank) s->out[(in->rank - 1) * s->n + found] = j;
            found++;
        }
        for (int32_t d = in->rank - 1; s->out && d-- > 0; rest /= in->dims[d])
            for (int64_t i = before; i < found; i++) s->out[d * s->n + i] = rest % in->dims[d];
    }
    return found;
}

static int64_t find_all(const struct search *s) {
    switch (fzi_type_width(s->in->dtype)) {
    case 1: return find(s, 1);
    case 2: return find(s, 2);
    case 4: return find(s, 4);
    case 8: return find(s, 8);
    default: return find(s, 16);
    }
}

static fz_status_t run_nonzero(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    struct search s = {.in = in, .mask = UINT64_MAX};
    (void)op;
    if (fzi_type_is_float(in->dtype)) s.mask = (1ull << (fz_type_bits(in->dtype) - 1)) - 1;
    if (in->dtype == FZ_TYPE_C64) s.mask = INT64_MAX ^ 1ull << 31; /* both signs */
    s.n = find_all(&s);
    FZ_TRY(call->env->resize(call, 0, 2, (const int64_t[2]){in->rank, s.n}));
    if (!call->out[0] || !s.n) return FZ_OK;
    s.out = call->out[0]->data;
    find_all(&s);
    return FZ_OK;
}

const struct fz_op fz_ops_compress[] = {
    {.name = "Compress", .domain = "", .since = 9, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 2, .max_in = 2, .min_out = 1,
     .max_out = 1, .attrs = "axis", .params_size = sizeof(struct params), .lower = lower,
     .infer = infer_compress, .run = run_compress},
    {.name = "NonZero", .domain = "", .since = 9, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = 1, .infer = infer_nonzero, .run = run_nonzero},
    {0},
};
