/* frozen.QMatMul: 8-bit x [..., k] times packed 8-bit weights [k, n]. Inputs are FZ_Q_...: x,
 * weights, column sums, weights' zero points, scale, bias, x's zero point, x's scale, residual. x
 * has one scale and zero point, or with int32 zero points one of each for every row. */
#include "ops/integer.h"

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_packed_params *p = call->params;
    const fz_tensor_t *x = call->in[FZ_Q_X], *w = call->in[FZ_Q_W];
    fz_tensor_t out = *x;
    if (p->k < 1 || p->n < 1 || p->n > INT32_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: bad sizes", op->name);
    FZ_TRY(fzi_integer_depth(op, 0, 0, p->k));
    struct fzk_segment segment = {0, p->k};
    int64_t panels = fzi_ceil_div(p->n, FZK_PANEL);
    FZ_TRY(fzi_packed_check(op, call, p->n, panels * FZK_PANEL, x->rank - 1));
    if (w->dtype != FZ_TYPE_I8 || !fzi_shape_known(w) || w->rank != 4 || w->dims[0] != panels ||
        w->dims[1] != fzk_qpack_kq(&segment, 1) || w->dims[2] != FZK_PANEL ||
        w->dims[3] != FZK_QUAD)
        return fzi_error(FZ_E_FORMAT, "%s: the packed weights do not fit", op->name);
    if (x->rank >= 0) {
        if (x->rank < 1 || (x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != p->k))
            return fzi_error(FZ_E_SHAPE, "%s: the input has not %lld columns", op->name,
                             (long long)p->k);
        out.dims[x->rank - 1] = p->n;
    }
    const fz_tensor_t *r = call->n_in > FZ_Q_RESIDUAL ? call->in[FZ_Q_RESIDUAL] : NULL;
    if (r && (r->dtype != FZ_TYPE_F32 || p->out.kind != FZK_QOUT_F32 ||
              (fzi_shape_known(r) && fzi_shape_known(&out) && !fzi_shape_equal(r, &out))))
        return fzi_error(FZ_E_SHAPE, "%s: the residual does not fit", op->name);
    fzi_infer_like(call, 0, fzi_packed_type(p), &out);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    int64_t m, rows, panels, columns; /* rows of a task; of all panels; tasks along the columns */
};

static void task(void *arg, size_t i) {
    const struct job *j = arg;
    const struct fz_packed_params *p = j->call->params;
    const fz_tensor_t *zeros = j->call->in[FZ_Q_WZERO];
    int64_t row = (int64_t)i / j->columns * j->rows;
    int64_t part = (int64_t)i % j->columns, panel = j->panels * part / j->columns;
    int64_t column = panel * FZK_PANEL, end = j->panels * (part + 1) / j->columns * FZK_PANEL;
    int64_t kq = fzi_ceil_div(p->k, FZK_QUAD);
    struct fzk_segment segment = {0, p->k};
    struct fzk_qgemm g = {
        .m = fzi_min_i64(j->rows, j->m - row),
        .n = fzi_min_i64(end, p->n) - column,
        .k = p->k, .a = (const char *)j->call->in[FZ_Q_X]->data + row * p->k, .lda = p->k,
        .segments = &segment, .n_segments = 1,
        .b = (const int8_t *)j->call->in[FZ_Q_W]->data + panel * kq * FZK_PANEL * FZK_QUAD,
        .col_sum = (const int32_t *)j->call->in[FZ_Q_SUMS]->data + column,
        .zb = zeros ? (const int32_t *)zeros->data + column : NULL,
        .za = fzi_packed_zero(j->call), .za_rows = fzi_packed_zeros(j->call, row),
        .a_signed = p->x_signed != 0,
        .out = fzi_packed_out(j->call, column, row * p->n + column, p->n)};
    g.out.row_scale = fzi_packed_scales(j->call, row);
    j->call->env->k->qgemm_u8s8(&g);
}

/* Multiply-accumulates that are worth a task of their own, some 5 us: products of several rows are
 * bound by arithmetic, those of few by the weights, which come from far. */
enum { TASK_MACS = 4000000, FEW_ROWS = 4 };

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_packed_params *p = call->params;
    (void)op;
    int64_t m = fzi_tensor_count(call->in[FZ_Q_X]) / p->k, all = fzi_ceil_div(p->n, FZK_PANEL);
    struct job j = {call, m, m, all, 1};
    if (!call->out[0]->size) return FZ_OK;
    uint64_t macs = (uint64_t)(fzi_max_i64(m, FEW_ROWS) * p->n * p->k);
    int64_t tasks = fzi_run_tasks(call->env, macs, TASK_MACS);
    if (tasks <= 1) {
        task(&j, 0);
        return FZ_OK;
    }
    /* Columns, each of which one task reads, unless x is larger than the weights. 112 rows are
     * whole tiles of 14 and of 16. */
    if (m > p->n && m >= 32 * tasks) {
        j.rows = fzi_ceil_div(fzi_ceil_div(m, tasks), 112) * 112;
    } else {
        j.columns = fzi_min_i64(all, tasks);
    }
    call->env->parallel(call->env, (size_t)(fzi_ceil_div(m, j.rows) * j.columns), task, &j);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_packed_params *p = call->params;
    (void)op;
    return (uint64_t)fzi_tensor_count(call->in[FZ_Q_X]) * (uint64_t)p->n;
}

const struct fz_op fz_ops_frozen_qmatmul[] = {
    {.name = "QMatMul", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = FZ_Q_SUMS + 1, .max_in = FZ_Q_INPUTS, .min_out = 1, .max_out = 1, .attrs = "",
     .params_size = sizeof(struct fz_packed_params), .infer = infer, .run = run, .macs = macs},
    {0},
};
