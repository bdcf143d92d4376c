/* Gemm: alpha * (A' times B') + beta * C, with A and B transposed or not and C broadcast: the
 * chain, its product with alpha, the product beta * C, their sum, each rounded; a factor of 1 is
 * left out. */
#include "ops/matmul.h"

#include "ops/conv.h"

struct params {
    int64_t trans_a, trans_b;
    double alpha, beta;
};

static const uint64_t types = FZ_T(F32) | FZ_T(F64) | FZ_T(I32) | FZ_T(I64) | FZ_T(U32) | FZ_T(U64);

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    int64_t broadcast; /* opset 6: C's shape says the same */
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "transA", 0, &p->trans_a));
    FZ_TRY(fzi_attr_int(node, "transB", 0, &p->trans_b));
    FZ_TRY(fzi_attr_int(node, "broadcast", 0, &broadcast));
    p->trans_a = p->trans_a != 0;
    p->trans_b = p->trans_b != 0;
    FZ_TRY(fzi_attr_float(node, "alpha", 1, &p->alpha));
    return fzi_attr_float(node, "beta", 1, &p->beta);
}

static const fz_tensor_t *addend(const struct fz_call *call) {
    return call->n_in > 2 ? call->in[2] : NULL;
}

static bool is_whole(double x) { return x > -1e9 && x < 1e9 && (double)(int64_t)x == x; }

/* Types and params. Integers have no fractions, so alpha and beta must be whole for them. */
static fz_status_t check(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int32_t dtype = call->in[0]->dtype;
    if (p->trans_a < 0 || p->trans_a > 1 || p->trans_b < 0 || p->trans_b > 1)
        return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    FZ_TRY(fzi_infer_type(op, call, 0, types));
    for (uint32_t i = 1; i < call->n_in; i++)
        if (call->in[i] && call->in[i]->dtype != dtype)
            return fzi_error(FZ_E_TYPE, "%s: inputs of different types", op->name);
    if (!fzi_type_is_float(dtype) && (!is_whole(p->alpha) || !is_whole(p->beta)))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: alpha and beta of integers must be whole",
                         op->name);
    return FZ_OK;
}

/* C must broadcast to [m, n]; unknown sizes are left for later. */
static bool c_fits(const fz_tensor_t *c, const int64_t mn[2]) {
    if (!c || c->rank < 0) return true;
    if (c->rank > 2) return false;
    for (int32_t i = 0; i < c->rank; i++) {
        int64_t have = c->dims[i], want = mn[2 - c->rank + i];
        if (have >= 0 && have != 1 && want >= 0 && have != want) return false;
    }
    return true;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *a = call->in[0], *b = call->in[1], *c = addend(call);
    char text[2][160];
    FZ_TRY(check(op, call));
    int64_t mn[2] = {FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN}, ka = -1, kb = -1;
    size_t size;
    bool good = (a->rank < 0 || a->rank == 2) && (b->rank < 0 || b->rank == 2);
    if (good && a->rank == 2) mn[0] = a->dims[p->trans_a], ka = a->dims[1 - p->trans_a];
    if (good && b->rank == 2) mn[1] = b->dims[1 - p->trans_b], kb = b->dims[p->trans_b];
    if ((ka >= 0 && kb >= 0 && ka != kb) || !c_fits(c, mn)) good = false;
    if (good && kb >= 0 && mn[1] >= 0) good = fzi_product_packed_size(1, kb, mn[1], &size);
    if (!good)
        return fzi_error(FZ_E_SHAPE, "%s: %s and %s do not fit each other or C", op->name,
                         fzi_shape_text(a, text[0], sizeof text[0]),
                         fzi_shape_text(b, text[1], sizeof text[1]));
    fzi_infer_shape(call, 0, a->dtype, 2, mn);
    return FZ_OK;
}

/* K, by A's shape. */
static int64_t inner(const struct fz_call *call) {
    const struct params *p = call->params;
    return call->in[0]->dims[1 - p->trans_a];
}

/* Packed B, then A transposed. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    size_t packed = 0;
    (void)op;
    if (call->in[0]->dtype != FZ_TYPE_F32) return 0;
    fzi_product_packed_size(1, inner(call), call->out[0]->dims[1], &packed);
    size_t left = p->trans_a ? (size_t)(call->out[0]->dims[0] * inner(call)) * sizeof(float) : 0;
    return fzi_align(packed, 64) + left;
}

/* Steps of C's elements along rows and columns of the result. */
static void c_steps(const fz_tensor_t *c, int64_t *row, int64_t *col) {
    int64_t n = c->rank > 0 ? c->dims[c->rank - 1] : 1;
    *col = n == 1 ? 0 : 1;
    *row = c->rank == 2 && c->dims[0] != 1 ? n : 0;
}

/* y = alpha * y + beta * c; a factor of 1 changes nothing and is left out. */
#define COMBINE(NAME, TYPE, FACTOR)                                                                \
    static void NAME(const struct params *p, const fz_tensor_t *ct, fz_tensor_t *yt) {             \
        TYPE *y = yt->data, alpha = (FACTOR)p->alpha, beta = (FACTOR)p->beta;                      \
        int64_t m = yt->dims[0], n = yt->dims[1], row = 0, col = 0;                                \
        for (int64_t i = 0; p->alpha != 1 && i < m * n; i++) y[i] = alpha * y[i];                  \
        if (!ct) return;                                                                           \
        c_steps(ct, &row, &col);                                                                   \
        for (int64_t i = 0; i < m; i++) {                                                          \
            const TYPE *c = (const TYPE *)ct->data + i * row;                                      \
            for (int64_t j = 0; j < n; j++, y++) *y = *y + beta * c[j * col];                      \
        }                                                                                          \
    }
COMBINE(combine_f32, float, float)
COMBINE(combine_f64, double, double)
COMBINE(combine_u32, uint32_t, int64_t)
COMBINE(combine_u64, uint64_t, int64_t)

/* The kernel adds C itself where it is a row or the whole matrix and both factors are 1. */
static bool fused(const struct params *p, const fz_tensor_t *c, struct fz_product *product) {
    int64_t row, col;
    if (!c) return p->alpha == 1;
    if (p->alpha != 1 || p->beta != 1) return false;
    c_steps(c, &row, &col);
    if (product->n > 1 && !col) return false;
    if (product->m > 1 && row) product->residual = c->data;
    else product->bias = c->data;
    return true;
}

/* The chain is that of every product; what follows it is fused where the kernel can. */
static fz_status_t run_f32(const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *a = call->in[0], *c = addend(call);
    int64_t k = inner(call), n = call->out[0]->dims[1];
    size_t packed = 0;
    fzi_product_packed_size(1, k, n, &packed);
    float *left = (float *)((char *)call->scratch + fzi_align(packed, 64));
    struct fz_product product = {.env = call->env, .m = call->out[0]->dims[0], .n = n, .k = k,
                                 .batch = 1, .a = p->trans_a ? left : a->data,
                                 .b = call->scratch, .c = call->out[0]->data};
    if (p->trans_a) fzi_transpose_f32(call->env, a->data, a->dims[0], a->dims[1], left);
    bool done = fused(p, c, &product);
    if (call->env->blas) FZ_TRY(fzi_product_blas(&product, call->in[1]->data, p->trans_b));
    else {
        fzi_product_pack(call->env, call->in[1]->data, 1, k, n, p->trans_b, call->scratch);
        fzi_product_run(&product);
    }
    if (!done) combine_f32(p, c, call->out[0]);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *a = call->in[0], *b = call->in[1];
    fz_tensor_t *y = call->out[0];
    (void)op;
    if (!y->size) return FZ_OK;
    if (a->dtype == FZ_TYPE_F32) return run_f32(call);
    struct fz_plain_product plain = {
        a->dtype, y->dims[0], y->dims[1], inner(call), a->data, b->data, y->data,
        p->trans_a ? 1 : a->dims[1], p->trans_a ? a->dims[1] : 1, p->trans_b ? 1 : b->dims[1],
        p->trans_b ? b->dims[1] : 1};
    fzi_plain_product(&plain);
    if (a->dtype == FZ_TYPE_F64) combine_f64(p, addend(call), y);
    else if (fzi_type_width(a->dtype) == 4) combine_u32(p, addend(call), y);
    else combine_u64(p, addend(call), y);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return (uint64_t)inner(call) * (uint64_t)call->out[0]->dims[0] *
           (uint64_t)call->out[0]->dims[1];
}

const struct fz_op fz_ops_gemm[] = {
    {.name = "Gemm", .domain = "", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
     .attrs = "alpha beta transA transB broadcast", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .scratch = scratch, .run = run, .macs = macs},
    {0},
};
