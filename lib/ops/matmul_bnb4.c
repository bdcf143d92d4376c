/* MatMulBnb4 of com.microsoft: x [..., K] times W [N, K] in codes of 4 bits, two to a byte, the
 * first one in the high bits. A code stands for one of 16 numbers of a table; each is multiplied
 * by the absolute maximum of its block, rounded once. Blocks run over all of W, row by row. Then
 * a product by the rule of MatMul. Without transB x is [..., N], and the product goes over N. */
#include "ops/matmul.h"

enum { X, CODES, ABSMAX };

struct params {
    int64_t k, n, block, table, trans;
};

/* FP4 as bitsandbytes has it: a sign, and a table of its own. NF4: the 16 quantiles of the normal
 * distribution of QLoRA's appendix E. */
static const float tables[2][16] = {
    {0.0f, 5.208333333e-03f, 0.66666667f, 1.0f, 0.33333333f, 0.5f, 0.16666667f, 0.25f,
     -0.0f, -5.208333333e-03f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f},
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
     -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
     0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
     0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f}};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    int64_t unused;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "K", 0, &p->k));
    FZ_TRY(fzi_attr_int(node, "N", 0, &p->n));
    FZ_TRY(fzi_attr_int(node, "block_size", 0, &p->block));
    FZ_TRY(fzi_attr_int(node, "quant_type", 0, &p->table));
    FZ_TRY(fzi_attr_int(node, "training_mode", 0, &unused)); /* of no effect on the result */
    return fzi_attr_int(node, "transB", 1, &p->trans);
}

static int64_t inner(const struct params *p) { return p->trans ? p->k : p->n; }
static int64_t outer(const struct params *p) { return p->trans ? p->n : p->k; }

static fz_status_t check_params(const struct fz_op *op, const struct params *p) {
    const int64_t limit = 1ll << 30;
    size_t size;
    if (p->k >= 1 && p->n >= 1 && p->k < limit && p->n < limit && p->block >= 16 &&
        p->block < limit && !(p->block & (p->block - 1)) && (p->table == 0 || p->table == 1) &&
        (p->trans == 0 || p->trans == 1) &&
        fzi_product_packed_size(1, inner(p), outer(p), &size))
        return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: K %lld, N %lld, blocks of %lld, quant_type %lld",
                     op->name, (long long)p->k, (long long)p->n, (long long)p->block,
                     (long long)p->table);
}

static fz_status_t expect(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                          uint64_t types, int64_t count) {
    const fz_tensor_t *t = call->in[i];
    char text[160];
    if (!t) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
    FZ_TRY(fzi_infer_type(op, call, i, types));
    if (count < 0 || !fzi_shape_known(t) || fzi_tensor_count(t) == count) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: input %u is %s and not %lld elements", op->name, i,
                     fzi_shape_text(t, text, sizeof text), (long long)count);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[X];
    int64_t m;
    FZ_TRY(check_params(op, p));
    FZ_TRY(expect(op, call, X, FZ_T(F32), -1));
    FZ_TRY(expect(op, call, CODES, FZ_T(U8), fzi_ceil_div(p->n * p->k, 2)));
    FZ_TRY(expect(op, call, ABSMAX, FZ_T(F32), fzi_ceil_div(p->n * p->k, p->block)));
    if (x->rank < 0) {
        fzi_infer_unknown(call, 0, FZ_TYPE_F32);
        return FZ_OK;
    }
    int64_t last = x->rank ? x->dims[x->rank - 1] : 0;
    if (last >= 0 && last != inner(p))
        return fzi_error(FZ_E_SHAPE, "%s: the last dimension is not %lld", op->name,
                         (long long)inner(p));
    if (fzi_shape_known(x) && !fzi_dims_count(x->dims, 0, x->rank, &m))
        return fzi_error(FZ_E_SHAPE, "%s: the product is too large", op->name);
    fz_tensor_t out = *x;
    out.dims[x->rank - 1] = outer(p);
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    return FZ_OK;
}

struct job {
    const struct params *p;
    const uint8_t *codes;
    const float *absmax;
    float *panels;
};

/* Rows [BEGIN, END) of W as real numbers, each to a column (or without transB a row) of the
 * panels. */
static void widen(void *arg, int64_t begin, int64_t end) {
    const struct job *j = arg;
    const struct params *p = j->p;
    const float *table = tables[p->table];
    for (int64_t n = begin; n < end; n++)
        for (int64_t k = 0; k < p->k; k++) {
            int64_t i = n * p->k + k, column = p->trans ? n : k, row = p->trans ? k : n;
            float x = table[j->codes[i / 2] >> (i & 1 ? 0 : 4) & 15] * j->absmax[i / p->block];
            int64_t panel = column / FZK_PANEL;
            j->panels[(panel * inner(p) + row) * FZK_PANEL + column % FZK_PANEL] = x;
        }
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    size_t size = 0;
    (void)op;
    return fzi_product_packed_size(1, inner(p), outer(p), &size) ? size : 0;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    if (!call->out[0]->size) return FZ_OK;
    struct job job = {p, call->in[CODES]->data, call->in[ABSMAX]->data, call->scratch};
    memset(call->scratch, 0, scratch(op, call));
    fzi_run_range(call->env, p->n, 1 + 8192 / p->k, widen, &job);
    struct fz_product product = {
        .env = call->env, .m = fzi_tensor_count(call->in[X]) / inner(p), .n = outer(p),
        .k = inner(p), .batch = 1, .a = call->in[X]->data, .b = job.panels,
        .c = call->out[0]->data};
    fzi_product_run(&product);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    (void)op;
    return (uint64_t)fzi_tensor_count(call->in[X]) * (uint64_t)outer(p);
}

const struct fz_op fz_ops_matmul_bnb4[] = {
    {.name = "MatMulBnb4", .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = 3,
     .max_in = 3, .min_out = 1, .max_out = 1,
     .attrs = "K N block_size quant_type training_mode transB",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,
     .run = run, .macs = macs},
    {0},
};
