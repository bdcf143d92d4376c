/* frozen.MatMulNarrow: x [..., k] times weights stored in 16, 8, 4 or 2 bits, then bias or none,
 * then residual or none, each sum rounded, then the activation. All dimensions but the last are
 * rows.
 *
 * Few rows meet the weights as they are stored. For many, some panels at a time are widened into
 * scratch memory that the near cache holds, for the float GEMM: the bits are the same. */
#include "ops/narrow.h"

enum {
    FEW_ROWS = 12,           /* that read the weights as they are stored */
    NEAR_SIZE = 128 * 1024,  /* bytes of panels that are widened together */
    TASK_WEIGHTS = 100000    /* with few rows: weights worth a task of their own, some 10 us */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_narrow_params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "k", 0, &p->k));
    FZ_TRY(fzi_attr_int(node, "n", 0, &p->n));
    FZ_TRY(fzi_attr_int(node, "form", 0, &p->form));
    FZ_TRY(fzi_attr_int(node, "block", 0, &p->block));
    FZ_TRY(fzi_attr_int(node, "middle", 0, &p->middle));
    return fzi_act_lower(node, &p->act);
}

static bool has_scale(const struct fz_narrow_params *p) { return p->form >= FZK_NARROW_8; }

/* A block that is no multiple of 16 would end inside of a word. */
static fz_status_t check_params(const struct fz_op *op, const struct fz_narrow_params *p) {
    const int64_t limit = 1ll << 30;
    bool good = p->k >= 1 && p->n >= 1 && p->k < limit && p->n < limit && p->form >= 0 &&
                p->form < FZK_NARROW_FORMS && p->middle >= 0 && p->middle <= 255;
    if (good && has_scale(p))
        good = p->block >= 1 && p->block < limit && (p->block % 16 == 0 || p->block >= p->k);
    if (!good) return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    return fzi_act_check(op, &p->act, true);
}

/* Input I must have DTYPE and three dims, as far as they are known. */
static fz_status_t check_panels(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                                int32_t dtype, int64_t rows) {
    const struct fz_narrow_params *p = call->params;
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    const int64_t dims[] = {fzi_ceil_div(p->n, FZK_PANEL), rows, FZK_PANEL};
    char text[160];
    if (!t) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, i, 1ull << dtype));
    bool good = t->rank == 3 || t->rank < 0;
    for (int32_t d = 0; good && d < t->rank; d++) good = t->dims[d] < 0 || t->dims[d] == dims[d];
    if (good) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: input %u is %s for k = %lld, n = %lld", op->name, i,
                     fzi_shape_text(t, text, sizeof text), (long long)p->k, (long long)p->n);
}

static fz_status_t check_weights(const struct fz_op *op, const struct fz_call *call) {
    static const int32_t types[] = {FZ_TYPE_F16, FZ_TYPE_BF16, FZ_TYPE_U8, FZ_TYPE_U32,
                                    FZ_TYPE_U32};
    const struct fz_narrow_params *p = call->params;
    int64_t rows = fzi_ceil_div(p->k, fzk_narrow_fields(p->form));
    bool scale = call->n_in > FZ_NARROW_SCALE && call->in[FZ_NARROW_SCALE];
    bool zero = call->n_in > FZ_NARROW_ZERO && call->in[FZ_NARROW_ZERO];
    if (!call->in[FZ_NARROW_W] || scale != has_scale(p) || (zero && !scale))
        return fzi_error(FZ_E_FORMAT, "%s: weights, scales or zero points are absent or too many",
                         op->name);
    FZ_TRY(check_panels(op, call, FZ_NARROW_W, types[p->form], rows));
    if (!scale) return FZ_OK;
    FZ_TRY(check_panels(op, call, FZ_NARROW_SCALE, FZ_TYPE_F32, fzi_ceil_div(p->k, p->block)));
    return check_panels(op, call, FZ_NARROW_ZERO, FZ_TYPE_U8, fzi_ceil_div(p->k, p->block));
}

static fz_status_t check_bias(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_narrow_params *p = call->params;
    const fz_tensor_t *t = call->n_in > FZ_NARROW_BIAS ? call->in[FZ_NARROW_BIAS] : NULL;
    if (!t) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, FZ_NARROW_BIAS, FZ_T(F32)));
    if (t->rank < 0 || (t->rank == 1 && (t->dims[0] < 0 || t->dims[0] == p->n))) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: the bias is no row of %lld", op->name, (long long)p->n);
}

static fz_status_t check_residual(const struct fz_op *op, const struct fz_call *call,
                                  const fz_tensor_t *out) {
    const fz_tensor_t *t = call->n_in > FZ_NARROW_RESIDUAL ? call->in[FZ_NARROW_RESIDUAL] : NULL;
    if (!t) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, FZ_NARROW_RESIDUAL, FZ_T(F32)));
    bool good = t->rank < 0 || t->rank == out->rank;
    for (int32_t d = 0; good && d < t->rank; d++)
        good = t->dims[d] < 0 || out->dims[d] < 0 || t->dims[d] == out->dims[d];
    if (good) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: a residual of another shape than the product", op->name);
}

/* The product of all dims but the last; -1 if it has no such number. */
static int64_t rows_of(const struct fz_call *call) {
    int64_t m, n;
    const fz_tensor_t *x = call->in[0];
    if (!fzi_dims_count(x->dims, 0, x->rank - 1, &m) || m >= 1ll << 30) return -1;
    const int64_t size[] = {m + 1, ((const struct fz_narrow_params *)call->params)->n, 4};
    return fzi_dims_count(size, 0, 3, &n) ? m : -1;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_narrow_params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    FZ_TRY(check_params(op, p));
    if (!x) return fzi_error(FZ_E_FORMAT, "%s: input 0 is absent", op->name);
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    FZ_TRY(check_weights(op, call));
    FZ_TRY(check_bias(op, call));
    if (x->rank < 0) {
        fzi_infer_unknown(call, 0, FZ_TYPE_F32);
        return FZ_OK;
    }
    fz_tensor_t out = *x;
    char text[160];
    if (x->rank < 1 || (x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != p->k))
        return fzi_error(FZ_E_SHAPE, "%s: an input of %s for k = %lld", op->name,
                         fzi_shape_text(x, text, sizeof text), (long long)p->k);
    out.dims[x->rank - 1] = p->n;
    FZ_TRY(check_residual(op, call, &out));
    if (fzi_shape_known(x) && rows_of(call) < 0)
        return fzi_error(FZ_E_SHAPE, "%s: the product is too large", op->name);
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    return FZ_OK;
}

/* How the product is cut: into COUNT tasks over panels, each of which widens GROUP panels at a
 * time (0: none) into SIZE bytes of its own. */
struct cut {
    const struct fz_call *call;
    int64_t m, panels, count, group;
    size_t size;
};

static struct cut make_cut(const struct fz_call *call) {
    const struct fz_narrow_params *p = call->params;
    struct cut cut = {.call = call, .m = rows_of(call), .panels = fzi_ceil_div(p->n, FZK_PANEL),
                      .count = 1};
    double weights = (double)p->k * (double)p->n;
    bool few = cut.m <= FEW_ROWS;
    if (call->env->threads > 1) {
        double tasks = few ? weights / TASK_WEIGHTS : weights * (double)cut.m / FZ_TASK_MACS;
        int64_t most = (few ? 2 : 8) * (int64_t)call->env->threads;
        cut.count = fzi_min_i64(cut.panels, tasks < (double)most ? (int64_t)tasks + 1 : most);
    }
    if (few) return cut;
    cut.group = fzi_max_i64(1, NEAR_SIZE / (p->k * FZK_PANEL * (int64_t)sizeof(float)));
    cut.group = fzi_min_i64(cut.group, fzi_ceil_div(cut.panels, cut.count));
    cut.size = (size_t)(cut.group * p->k * FZK_PANEL) * sizeof(float);
    return cut;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct cut cut = make_cut(call);
    (void)op;
    return (size_t)cut.count * cut.size;
}

static const void *data(const struct fz_call *call, uint32_t i) {
    return i < call->n_in && call->in[i] ? call->in[i]->data : NULL;
}

/* The weights from panel FIRST on. */
static struct fzk_narrow weights_at(const struct fz_call *call, int64_t first) {
    const struct fz_narrow_params *p = call->params;
    const float *scale = data(call, FZ_NARROW_SCALE);
    const uint8_t *zero = data(call, FZ_NARROW_ZERO);
    int64_t at = scale ? first * fzi_ceil_div(p->k, p->block) * FZK_PANEL : 0;
    return (struct fzk_narrow){
        .form = (int32_t)p->form, .middle = (int32_t)p->middle, .k = p->k, .block = p->block,
        .b = (const uint8_t *)data(call, FZ_NARROW_W) + first * fzk_narrow_size(p->form, p->k),
        .scale = scale ? scale + at : NULL, .zero = zero ? zero + at : NULL};
}

/* Product G with its sums rounded, which that kernel does not know. */
static void finish_few(const struct fzk_table *k, const struct fzk_ngemm_f32 *g, int64_t round) {
    struct fzk_ngemm_f32 sums = *g;
    struct fzk_finish_f32 f = {.m = g->m, .n = g->n, .c = g->c, .ldc = g->ldc, .bias = g->bias,
                               .residual = g->residual, .ldr = g->ldr, .clip = g->clip,
                               .lo = g->lo, .hi = g->hi, .round = round & ~(int64_t)FZ_ACT_ROUND};
    sums.bias = sums.residual = NULL;
    sums.clip = 0;
    k->ngemm_f32(&sums);
    k->finish_f32(&f);
}

/* Panels [FIRST, LAST) as they are stored. */
static void multiply_few(const struct cut *cut, int64_t first, int64_t last) {
    const struct fz_call *call = cut->call;
    const struct fz_narrow_params *p = call->params;
    const float *bias = data(call, FZ_NARROW_BIAS), *residual = data(call, FZ_NARROW_RESIDUAL);
    int64_t at = first * FZK_PANEL;
    struct fzk_ngemm_f32 g = {
        .w = weights_at(call, first), .m = cut->m, .n = fzi_min_i64(last * FZK_PANEL, p->n) - at,
        .a = data(call, 0), .lda = p->k, .c = (float *)call->out[0]->data + at, .ldc = p->n,
        .bias = bias ? bias + at : NULL, .residual = residual ? residual + at : NULL, .ldr = p->n,
        .clip = p->act.kind == FZ_ACT_CLIP, .lo = (float)p->act.a, .hi = (float)p->act.b};
    if (p->act.round) finish_few(call->env->k, &g, p->act.round);
    else call->env->k->ngemm_f32(&g);
}

/* Panels [FIRST, LAST), widened into WIDE. Panel NEXT, which is narrow still, and what comes behind
 * it are fetched meanwhile; -1: none. */
static void multiply_many(const struct cut *cut, int64_t first, int64_t last, int64_t next,
                          float *wide) {
    const struct fz_call *call = cut->call;
    const struct fz_narrow_params *p = call->params;
    const float *bias = data(call, FZ_NARROW_BIAS), *residual = data(call, FZ_NARROW_RESIDUAL);
    struct fzk_narrow w = weights_at(call, first);
    struct fzk_segment segment = {0, p->k};
    int64_t at = first * FZK_PANEL;
    struct fzk_gemm_f32 g = {
        .m = cut->m, .n = fzi_min_i64(last * FZK_PANEL, p->n) - at, .k = p->k, .a = data(call, 0),
        .lda = p->k, .segments = &segment, .n_segments = 1, .b = wide,
        .c = (float *)call->out[0]->data + at, .ldc = p->n, .bias = bias ? bias + at : NULL,
        .residual = residual ? residual + at : NULL, .ldr = p->n};
    if (next >= 0) g.ahead = weights_at(call, next).b;
    fzi_act_clip(&p->act, &g);
    call->env->k->narrow_to_f32(wide, &w, last - first);
    call->env->k->gemm_f32(&g);
}

/* Other activations than clip, on columns of panels [FIRST, LAST). */
static void activate(const struct cut *cut, int64_t first, int64_t last) {
    const struct fz_narrow_params *p = cut->call->params;
    int64_t at = first * FZK_PANEL, n = fzi_min_i64(last * FZK_PANEL, p->n) - at;
    float *y = (float *)cut->call->out[0]->data + at;
    if (!fzi_act_runs(&p->act)) return;
    for (int64_t i = 0; i < cut->m; i++)
        fzi_act_run(cut->call->env->k, &p->act, y + i * p->n, n);
}

/* The first panel of task I. */
static int64_t begin_of(const struct cut *cut, int64_t i) {
    return cut->panels * i / cut->count;
}

static void task(void *arg, size_t i) {
    const struct cut *cut = arg;
    const struct fz_env *env = cut->call->env;
    int64_t n = (int64_t)i, end = begin_of(cut, n + 1);
    int64_t then = fzi_next_task(env, n, cut->count), after = then < 0 ? -1 : begin_of(cut, then);
    int64_t step = cut->group ? cut->group : end;
    float *wide = cut->group ? (void *)((char *)cut->call->scratch + i * cut->size) : NULL;
    for (int64_t p = begin_of(cut, n); p < end; p += step) {
        int64_t last = fzi_min_i64(p + step, end);
        if (env->poll(env) != FZ_OK) return; /* the run is to end */
        if (cut->group) multiply_many(cut, p, last, last < end ? last : after, wide);
        else multiply_few(cut, p, last);
        activate(cut, p, last);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct cut cut = make_cut(call);
    (void)op;
    if (!call->out[0]->size) return FZ_OK;
    if (cut.count == 1) task(&cut, 0);
    else call->env->parallel(call->env, (size_t)cut.count, task, &cut);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_narrow_params *p = call->params;
    (void)op;
    return (uint64_t)rows_of(call) * (uint64_t)p->k * (uint64_t)p->n;
}

const struct fz_op fz_ops_frozen_matmul_narrow[] = {
    {.name = "MatMulNarrow", .domain = "frozen", .since = 1, .rev = 1, .flags = FZ_OP_HALF,
     .min_in = 2, .max_in = FZ_NARROW_INPUTS, .min_out = 1, .max_out = 1,
     .attrs = "k n form block middle act a b round", .params_size = sizeof(struct fz_narrow_params),
     .lower = lower, .infer = infer, .scratch = scratch, .run = run, .macs = macs},
    {0},
};
