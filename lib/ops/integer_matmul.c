/* MatMulInteger, QLinearMatMul and com.microsoft.MatMulIntegerToFloat as they are written: plain
 * loops, the reference for frozen.QMatMul, which takes over where weights are constant. So is
 * frozen.MatMulIntegerRows, where each row of A has a scale and a zero point of its own. */
#include "ops/integer.h"

struct shape {
    int64_t m, n, k, batch;
    int32_t rank;                 /* of the batch */
    int64_t dims[FZ_RANK_MAX];
    int64_t a_step[FZ_RANK_MAX], b_step[FZ_RANK_MAX]; /* in matrices */
};

static const struct fz_integer_inputs *inputs_of(const struct fz_op *op) {
    return &fzi_matmul_inputs[op->kind];
}

/* Splits the last two dimensions off; a vector is a row (LEFT) or a column. */
static void matrix(const fz_tensor_t *t, bool left, fz_tensor_t *batch, int64_t *rows,
                   int64_t *cols) {
    *batch = *t;
    *rows = t->rank >= 2 ? t->dims[t->rank - 2] : left ? 1 : t->dims[0];
    *cols = t->rank >= 2 ? t->dims[t->rank - 1] : left ? t->dims[0] : 1;
    batch->rank = t->rank >= 2 ? t->rank - 2 : 0;
}

static fz_status_t product_shape(const struct fz_op *op, const fz_tensor_t *a,
                                 const fz_tensor_t *b, fz_tensor_t *out, struct shape *s) {
    fz_tensor_t a_batch, b_batch;
    int64_t k;
    char text[2][160];
    if (a->rank < 1 || b->rank < 1) return fzi_error(FZ_E_SHAPE, "%s: a scalar", op->name);
    matrix(a, true, &a_batch, &s->m, &s->k);
    matrix(b, false, &b_batch, &k, &s->n);
    if (s->k >= 0 && k >= 0 && s->k != k)
        return fzi_error(FZ_E_SHAPE, "%s: %s times %s", op->name,
                         fzi_shape_text(a, text[0], sizeof text[0]),
                         fzi_shape_text(b, text[1], sizeof text[1]));
    if (s->k < 0) s->k = k;
    const fz_tensor_t *both[] = {&a_batch, &b_batch};
    FZ_TRY(fzi_infer_broadcast(op, both, 2, out));
    s->rank = out->rank;
    memcpy(s->dims, out->dims, sizeof s->dims);
    if (out->rank + 2 > FZ_RANK_MAX) return fzi_error(FZ_E_SHAPE, "%s: too many dims", op->name);
    if (a->rank >= 2) out->dims[out->rank++] = s->m;
    if (b->rank >= 2) out->dims[out->rank++] = s->n;
    return FZ_OK;
}

static void set_steps(const fz_tensor_t *t, const struct shape *s, int64_t *step) {
    int32_t rank = t->rank >= 2 ? t->rank - 2 : 0;
    int64_t size = 1;
    for (int32_t d = s->rank - 1; d >= 0; d--) {
        int32_t at = d - (s->rank - rank);
        step[d] = at < 0 || t->dims[at] == 1 ? 0 : size;
        if (at >= 0) size *= t->dims[at];
    }
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_integer_params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "act_low", INT32_MIN, &p->low));
    return fzi_attr_int(node, "act_high", INT32_MAX, &p->high);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_integer_inputs *at = inputs_of(op);
    const fz_tensor_t *a = call->in[at->x], *b = call->in[at->w];
    fz_tensor_t out = {0};
    struct shape s;
    int64_t n = b->rank >= 1 ? b->rank >= 2 ? b->dims[b->rank - 1] : 1 : -1;
    FZ_TRY(fzi_integer_check(op, call, at, fzi_integer_form(op), n));
    if (op->kind == FZ_INTEGER_ROWS)
        FZ_TRY(fzi_integer_check_rows(op, a, fzi_integer_in(call, at->x_scale),
                                      fzi_integer_in(call, at->x_zero), a->rank - 1));
    int32_t dtype = fzi_integer_type(call, at, fzi_integer_form(op));
    if (a->rank < 0 || b->rank < 0) {
        fzi_infer_unknown(call, 0, dtype);
        return FZ_OK;
    }
    FZ_TRY(product_shape(op, a, b, &out, &s));
    if (s.k >= 0) FZ_TRY(fzi_integer_depth(op, a->dtype, b->dtype, s.k));
    fzi_infer_like(call, 0, dtype, &out);
    return FZ_OK;
}

static int32_t accumulate(const fz_tensor_t *a, const fz_tensor_t *b, int64_t i, int64_t j,
                          int64_t za, int64_t zb, const struct shape *s) {
    uint32_t acc = 0;
    for (int64_t k = 0; k < s->k; k++)
        acc += (uint32_t)((fzi_tensor_int(a, i + k) - za) *
                          (fzi_tensor_int(b, j + k * s->n) - zb));
    return (int32_t)acc;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_integer_inputs *at = inputs_of(op);
    const fz_tensor_t *a = call->in[at->x], *b = call->in[at->w];
    const fz_tensor_t *b_zero = fzi_integer_in(call, at->w_zero);
    const fz_tensor_t *a_zero = fzi_integer_in(call, at->x_zero);
    bool rows = b_zero && fzi_tensor_count(b_zero) > 1;
    fz_tensor_t shape = {0};
    struct shape s;
    struct fz_integer_out out;
    FZ_TRY(product_shape(op, a, b, &shape, &s));
    set_steps(a, &s, s.a_step);
    set_steps(b, &s, s.b_step);
    fzi_integer_read(call, at, fzi_integer_form(op), call->params, &out);
    const float *a_scale = out.a_scale;
    fzi_dims_count(s.dims, 0, s.rank, &s.batch);
    for (int64_t e = 0; e < s.batch * s.m * s.n; e++) {
        int64_t j = e % s.n, i = e / s.n % s.m, rest = e / (s.m * s.n), ai = 0, bi = 0;
        for (int32_t d = s.rank - 1; d >= 0; rest /= s.dims[d], d--) {
            ai += rest % s.dims[d] * s.a_step[d];
            bi += rest % s.dims[d] * s.b_step[d];
        }
        int64_t zb = fzi_quant_zero(b_zero, rows ? j : 0);
        int64_t range = op->kind == FZ_INTEGER_ROWS ? ai * s.m + i : 0;
        int64_t za = fzi_quant_zero(a_zero, range);
        if (a_scale) out.a_scale = a_scale + range;
        int32_t acc = accumulate(a, b, (ai * s.m + i) * s.k, bi * s.k * s.n + j, za, zb, &s);
        fzi_integer_finish(&out, call->out[0], e, acc, j);
    }
    return FZ_OK;
}

#define COMMON .rev = 1, .min_out = 1, .max_out = 1,                                               \
    .params_size = sizeof(struct fz_integer_params), .lower = lower, .infer = infer, .run = run

const struct fz_op fz_ops_integer_matmul[] = {
    {.name = "MatMulInteger",
     .domain = "",
     .since = 10,
     .min_in = 2,
     .max_in = 4,
     .attrs = "",
     .kind = FZ_INTEGER_PLAIN,
     COMMON},
    {.name = "QLinearMatMul",
     .domain = "",
     .since = 10,
     .min_in = 8,
     .max_in = 8,
     .attrs = "",
     .kind = FZ_INTEGER_QLINEAR,
     COMMON},
    {.name = "QLinearGemm",
     .domain = "frozen",
     .since = 1,
     .min_in = 8,
     .max_in = 9,
     .attrs = "act_low act_high",
     .kind = FZ_INTEGER_GEMM,
     COMMON},
    {.name = "MatMulIntegerToFloat",
     .domain = "com.microsoft",
     .since = 1,
     .min_in = 4,
     .max_in = 7,
     .attrs = "",
     .kind = FZ_INTEGER_FLOAT,
     COMMON},
    {.name = "MatMulIntegerRows",
     .domain = "frozen",
     .since = 1,
     .min_in = 5,
     .max_in = 7,
     .attrs = "",
     .kind = FZ_INTEGER_ROWS,
     COMMON},
    {0},
};
