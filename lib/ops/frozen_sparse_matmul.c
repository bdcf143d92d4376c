/* frozen.SparseMatMul: frozen.MatMul whose weights are zero but in blocks of FZ_SPARSE_K inputs and
 * a panel of 32 outputs. Only those blocks are stored.
 *
 * A chain runs over the stored inputs of its panel, upwards, in blocks of FZK_K_BLOCK of them: what
 * is not stored takes no part. So an infinite input times a weight that is not there gives no NaN,
 * and blocks of the chain end elsewhere than with dense weights: that is why it is an operator of
 * its own and put into a plan only where freezing was told so. */
#include "ops/conv.h"
#include "ops/matmul.h"

/* Inputs. SEGMENTS: runs of inputs as pairs of the first one and how many. PANELS: for each panel,
 * and for the end, the numbers of its first segment and of its first stored row. */
enum { X, VALUES, BIAS, RESIDUAL, SEGMENTS, PANELS };

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_frozen_matmul_params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "k", 0, &p->k));
    FZ_TRY(fzi_attr_int(node, "n", 0, &p->n));
    return fzi_act_lower(node, &p->act);
}

/* Input I is a matrix of COLUMNS, and of ROWS rows if that is not negative. */
static fz_status_t check_table(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                               int64_t rows, int64_t columns) {
    const fz_tensor_t *t = call->in[i];
    if (!t) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
    if (t->rank < 0) return FZ_OK;
    if (t->rank != 2 || (t->dims[1] >= 0 && t->dims[1] != columns) ||
        (rows >= 0 && t->dims[0] >= 0 && t->dims[0] != rows))
        return fzi_frozen_matmul_misfit(op, call, i);
    return FZ_OK;
}

static fz_status_t check_types(const struct fz_op *op, const struct fz_call *call) {
    for (uint32_t i = X; i <= RESIDUAL; i++) FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
    FZ_TRY(fzi_infer_type(op, call, SEGMENTS, FZ_T(I64)));
    return fzi_infer_type(op, call, PANELS, FZ_T(I64));
}

static fz_status_t check_residual(const struct fz_op *op, const struct fz_call *call,
                                  const fz_tensor_t *out) {
    const fz_tensor_t *residual = call->in[RESIDUAL];
    if (!residual || residual->rank < 0) return FZ_OK;
    if (residual->rank != out->rank) return fzi_frozen_matmul_misfit(op, call, RESIDUAL);
    for (int32_t i = 0; i < out->rank; i++)
        if (residual->dims[i] >= 0 && out->dims[i] >= 0 && residual->dims[i] != out->dims[i])
            return fzi_frozen_matmul_misfit(op, call, RESIDUAL);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_frozen_matmul_params *p = call->params;
    const fz_tensor_t *x = call->in[X];
    if (p->k < 0 || p->n < 1 || p->k >= 1ll << 40 || p->n >= 1ll << 40 || p->blas)
        return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    if (call->n_in != PANELS + 1)
        return fzi_error(FZ_E_FORMAT, "%s: it takes %d inputs", op->name, PANELS + 1);
    FZ_TRY(fzi_act_check(op, &p->act, false));
    FZ_TRY(check_types(op, call));
    FZ_TRY(check_table(op, call, VALUES, -1, FZK_PANEL));
    FZ_TRY(check_table(op, call, SEGMENTS, -1, 2));
    FZ_TRY(check_table(op, call, PANELS, fzi_ceil_div(p->n, FZK_PANEL) + 1, 2));
    FZ_TRY(fzi_infer_bias(op, call, BIAS, p->n));
    if (x->rank < 0) {
        fzi_infer_unknown(call, 0, FZ_TYPE_F32);
        return FZ_OK;
    }
    fz_tensor_t out = *x;
    if (x->rank < 1 || (x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != p->k))
        return fzi_frozen_matmul_misfit(op, call, X);
    out.dims[x->rank - 1] = p->n;
    FZ_TRY(check_residual(op, call, &out));
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    return FZ_OK;
}

/* ---- run */

struct job {
    const struct fz_call *call;
    const struct fz_frozen_matmul_params *p;
    const struct fzk_segment *segments;
    const int64_t *panels;
    int64_t rows, chunk, n_chunks; /* rows of one task */
};

static const float *optional(const struct fz_call *call, uint32_t i) {
    return call->in[i] ? call->in[i]->data : NULL;
}

/* Panel I of the chunk of rows that begins at FIRST. */
static void panel(const struct job *job, int64_t i, int64_t first) {
    const struct fz_call *call = job->call;
    const struct fz_frozen_matmul_params *p = job->p;
    const int64_t *at = job->panels + 2 * i, column = i * FZK_PANEL;
    const float *bias = optional(call, BIAS), *residual = optional(call, RESIDUAL);
    float *y = (float *)call->out[0]->data + first * p->n + column;
    struct fzk_gemm_f32 g = {
        .m = fzi_min_i64(job->chunk, job->rows - first),
        .n = fzi_min_i64(FZK_PANEL, p->n - column),
        .k = at[3] - at[1],
        .a = (const float *)call->in[X]->data + first * p->k,
        .lda = p->k,
        .segments = job->segments + at[0],
        .n_segments = at[2] - at[0],
        .b = (const float *)call->in[VALUES]->data + at[1] * FZK_PANEL,
        .c = y,
        .ldc = p->n,
        .bias = bias ? bias + column : NULL,
        .residual = residual ? residual + first * p->n + column : NULL,
        .ldr = p->n};
    fzi_act_clip(&p->act, &g);
    call->env->k->gemm_f32(&g);
    for (int64_t r = 0; fzi_act_runs(&p->act) && r < g.m; r++)
        fzi_act_run(call->env->k, &p->act, y + r * p->n, g.n);
}

static void range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t t = begin; t < end; t++)
        panel(job, t / job->n_chunks, t % job->n_chunks * job->chunk);
}

static fz_status_t damaged(const struct fz_op *op) {
    return fzi_error(FZ_E_VALUE, "%s: the tables of the weights contradict one another", op->name);
}

/* The tables lead to memory: every run looks at each of their numbers. */
static fz_status_t check_values(const struct fz_op *op, const struct job *job) {
    const struct fz_call *call = job->call;
    int64_t n_panels = fzi_ceil_div(job->p->n, FZK_PANEL), n = call->in[SEGMENTS]->dims[0];
    const int64_t *at = job->panels;
    if (at[0] || at[1] || at[2 * n_panels] != n ||
        at[2 * n_panels + 1] != call->in[VALUES]->dims[0])
        return damaged(op);
    for (int64_t i = 0; i < n_panels; i++, at += 2) {
        int64_t rows = at[1];
        if (at[2] < at[0] || at[2] > n) return damaged(op);
        for (int64_t s = at[0]; s < at[2]; s++) {
            const struct fzk_segment *run = &job->segments[s];
            if (run->off < 0 || run->len < 1 || run->off > job->p->k ||
                run->len > job->p->k - run->off)
                return damaged(op);
            rows += run->len;
            if (rows > at[3]) return damaged(op);
        }
        if (rows != at[3]) return damaged(op);
    }
    return FZ_OK;
}

/* A task is a panel of up to ROWS rows: the panel's weights stay in a near cache for them. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    enum { ROWS = 256, GRAIN = 1 << 20 };
    struct job job = {.call = call, .p = call->params, .segments = call->in[SEGMENTS]->data,
                      .panels = call->in[PANELS]->data};
    if (!call->out[0]->size) return FZ_OK;
    FZ_TRY(check_values(op, &job));
    job.rows = fzi_tensor_count(call->out[0]) / job.p->n;
    job.n_chunks = fzi_ceil_div(job.rows, ROWS);
    job.chunk = fzi_ceil_div(job.rows, job.n_chunks);
    int64_t tasks = fzi_ceil_div(job.p->n, FZK_PANEL) * job.n_chunks;
    int64_t work = call->in[VALUES]->dims[0] / fzi_ceil_div(job.p->n, FZK_PANEL) * FZK_PANEL *
                   job.chunk;
    fzi_run_range(call->env, tasks, GRAIN / (work + 1) + 1, range, &job);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    int64_t rows;
    (void)op;
    if (!fzi_dims_count(call->in[X]->dims, 0, call->in[X]->rank - 1, &rows)) return 0;
    return (uint64_t)rows * (uint64_t)call->in[VALUES]->dims[0] * FZK_PANEL;
}

/* ---- packing, at freeze */

/* True if the block of W at input K and panel J holds a number that is not 0. W (by ROW and COLUMN
 * steps) has K_ALL inputs and N outputs. */
static bool occupied(const struct fz_sparse_source *s, int64_t k, int64_t j) {
    for (int64_t i = k; i < fzi_min_i64(k + FZ_SPARSE_K, s->k); i++)
        for (int64_t c = j; c < fzi_min_i64(j + FZK_PANEL, s->n); c++)
            if (s->w[i * s->row + c * s->column] != 0) return true;
    return false;
}

int64_t fzi_sparse_rows(const struct fz_sparse_source *s) {
    int64_t rows = 0;
    for (int64_t j = 0; j < s->n; j += FZK_PANEL)
        for (int64_t k = 0; k < s->k; k += FZ_SPARSE_K)
            if (occupied(s, k, j)) rows += fzi_min_i64(FZ_SPARSE_K, s->k - k);
    return rows;
}

bool fzi_sparse_wins(const struct fz_sparse_source *s) {
    int64_t all = s->k * fzi_ceil_div(s->n, FZK_PANEL);
    return s->k >= 64 && s->n >= FZK_PANEL &&
           fzi_sparse_rows(s) * 100 <= all * FZ_SPARSE_PERCENT;
}

/* Appends the stored rows of panel J. Runs that touch are one segment. */
static void pack_panel(const struct fz_sparse_source *s, int64_t j, float *values,
                       struct fzk_segment *segments, int64_t at[2]) {
    bool open = false;
    for (int64_t k = 0; k < s->k; k += FZ_SPARSE_K) {
        int64_t len = fzi_min_i64(FZ_SPARSE_K, s->k - k);
        bool stored = occupied(s, k, j);
        if (stored && open) segments[at[0] - 1].len += len;
        else if (stored) segments[at[0]++] = (struct fzk_segment){k, len};
        open = stored;
        for (int64_t i = k; stored && i < k + len; i++, at[1]++)
            for (int64_t c = 0; c < FZK_PANEL && j + c < s->n; c++)
                values[at[1] * FZK_PANEL + c] = s->w[i * s->row + (j + c) * s->column];
    }
}

fz_status_t fzi_sparse_pack(struct fz_graph *graph, const char *name,
                            const struct fz_sparse_source *s, struct fz_value *in[3]) {
    int64_t rows = fzi_sparse_rows(s), n_panels = fzi_ceil_div(s->n, FZK_PANEL);
    int64_t values[2] = {rows, FZK_PANEL}, panels[2] = {n_panels + 1, 2}, at[2] = {0, 0};
    struct fzk_segment *segments = fzi_calloc((size_t)rows + 1, sizeof *segments);
    in[0] = fzi_graph_new_constant(graph, name, FZ_TYPE_F32, 2, values);
    in[2] = fzi_graph_new_constant(graph, name, FZ_TYPE_I64, 2, panels);
    if (segments && in[0] && in[2]) {
        int64_t *starts = in[2]->t.data;
        for (int64_t j = 0; j < n_panels; j++) {
            pack_panel(s, j * FZK_PANEL, in[0]->t.data, segments, at);
            memcpy(starts + 2 * (j + 1), at, sizeof at);
        }
    }
    int64_t pairs[2] = {at[0], 2};
    in[1] = segments ? fzi_graph_new_constant(graph, name, FZ_TYPE_I64, 2, pairs) : NULL;
    bool ok = in[0] && in[1] && in[2];
    if (ok && at[0]) memcpy(in[1]->t.data, segments, (size_t)at[0] * sizeof *segments);
    fzi_free(segments);
    return ok ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for sparse weights");
}

const struct fz_op fz_ops_frozen_sparse_matmul[] = {
    {.name = "SparseMatMul", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 6, .min_out = 1, .max_out = 1, .attrs = "k n act a b",
     .params_size = sizeof(struct fz_frozen_matmul_params), .lower = lower, .infer = infer,
     .run = run, .macs = macs},
    {0},
};
