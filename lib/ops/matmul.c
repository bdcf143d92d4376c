/* MatMul, and frozen.MatMulDyn, which reads B transposed and scales the result: one product or one
 * division, as the graph had it, after the chain. */
#include "ops/matmul.h"

static const uint64_t types = FZ_T(F32) | FZ_T(F64) | FZ_T(I32) | FZ_T(I64) | FZ_T(U32) | FZ_T(U64);

static fz_status_t lower_dyn(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_matmul_dyn_params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "trans_b", 0, &p->trans_b));
    FZ_TRY(fzi_attr_int(node, "scale_kind", 0, &p->scale_kind));
    return fzi_attr_float(node, "scale", 1, &p->scale);
}

/* Operands as matrices: T with a dimension of 1 added to a vector, in front (A) or behind (B). */
static fz_tensor_t as_matrix(const fz_tensor_t *t, bool behind) {
    fz_tensor_t m = *t;
    if (t->rank != 1) return m;
    m.rank = 2;
    m.dims[0] = behind ? t->dims[0] : 1;
    m.dims[1] = behind ? 1 : t->dims[0];
    return m;
}

/* What is known of the product of matrices A and B. */
struct sizes {
    int64_t m, n, k_a, k_b;
};

/* m, n and K as either operand tells it. */
static struct sizes measure(const struct fz_matmul_dyn_params *p, const fz_tensor_t *a,
                            const fz_tensor_t *b) {
    int64_t row = b->dims[b->rank - 2], col = b->dims[b->rank - 1];
    return (struct sizes){a->dims[a->rank - 2], p->trans_b ? row : col, a->dims[a->rank - 1],
                          p->trans_b ? col : row};
}

static fz_status_t misfit(const struct fz_op *op, const struct fz_call *call) {
    char text[2][160];
    return fzi_error(FZ_E_SHAPE, "%s: %s and %s cannot be multiplied", op->name,
                     fzi_shape_text(call->in[0], text[0], sizeof text[0]),
                     fzi_shape_text(call->in[1], text[1], sizeof text[1]));
}

/* The batch of the product: broadcast of all but the last two dimensions. */
static fz_status_t batch_of(const struct fz_op *op, const fz_tensor_t *a, const fz_tensor_t *b,
                            fz_tensor_t *out) {
    fz_tensor_t left = *a, right = *b;
    left.rank -= 2;
    right.rank -= 2;
    return fzi_infer_broadcast(op, (const fz_tensor_t *[]){&left, &right}, 2, out);
}

/* K must agree; the packed copy of B and both counts must be numbers. */
static fz_status_t check_sizes(const struct fz_op *op, const struct fz_call *call,
                               const fz_tensor_t *a, const fz_tensor_t *b) {
    const struct fz_matmul_dyn_params *p = call->params;
    struct sizes s = measure(p, a, b);
    size_t size;
    int64_t count, matrices;
    if (s.k_a >= 0 && s.k_b >= 0 && s.k_a != s.k_b) return misfit(op, call);
    if (!fzi_shape_known(a) || !fzi_shape_known(b)) return FZ_OK;
    if (!fzi_dims_count(b->dims, 0, b->rank - 2, &matrices) ||
        !fzi_product_packed_size(matrices, s.k_a, s.n, &size) ||
        !fzi_dims_count(a->dims, 0, a->rank, &count))
        return misfit(op, call);
    return FZ_OK;
}

static fz_status_t check_params(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_matmul_dyn_params *p = call->params;
    if ((p->trans_b == 0 || p->trans_b == 1) && p->scale_kind >= FZ_SCALE_NONE &&
        p->scale_kind <= FZ_SCALE_DIV)
        return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
}

/* A vector's added dimension is taken away again from the result. */
static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *y = call->in[1];
    const struct fz_matmul_dyn_params *p = call->params;
    bool dyn = op->kind;
    FZ_TRY(check_params(op, call));
    FZ_TRY(fzi_infer_type(op, call, 0, dyn ? FZ_T(F32) : types));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T_ANY));
    if (x->dtype != y->dtype)
        return fzi_error(FZ_E_TYPE, "%s: operands of different types", op->name);
    if (x->rank < 0 || y->rank < 0) {
        fzi_infer_unknown(call, 0, x->dtype);
        return FZ_OK;
    }
    if (x->rank < (dyn ? 2 : 1) || y->rank < (dyn ? 2 : 1)) return misfit(op, call);
    fz_tensor_t a = as_matrix(x, false), b = as_matrix(y, true), out = {0};
    FZ_TRY(batch_of(op, &a, &b, &out));
    FZ_TRY(check_sizes(op, call, &a, &b));
    struct sizes s = measure(p, &a, &b);
    if (out.rank + 2 > FZ_RANK_MAX) return misfit(op, call);
    if (x->rank > 1) out.dims[out.rank++] = s.m;
    if (y->rank > 1) out.dims[out.rank++] = s.n;
    fzi_infer_like(call, 0, x->dtype, &out);
    return FZ_OK;
}

/* Steps of T's matrices through the batch dimensions of OUT; 0 where T is repeated. */
static void set_steps(const fz_tensor_t *t, const fz_tensor_t *out, int64_t step[FZ_RANK_MAX]) {
    int64_t size = 1;
    for (int32_t d = out->rank - 1; d >= 0; d--) {
        int32_t at = d - (out->rank - (t->rank - 2));
        step[d] = at < 0 || t->dims[at] == 1 ? 0 : size;
        if (at >= 0) size *= t->dims[at];
    }
}

/* The product without its operands' data. One B for all of A makes a single matrix of A. */
static void set_up(const struct fz_op *op, const struct fz_call *call, struct fz_product *p,
                   int64_t *matrices) {
    const struct fz_matmul_dyn_params *params = call->params;
    fz_tensor_t a = as_matrix(call->in[0], false), b = as_matrix(call->in[1], true), out = {0};
    struct sizes s = measure(params, &a, &b);
    (void)batch_of(op, &a, &b, &out);
    *p = (struct fz_product){.env = call->env, .m = s.m, .n = s.n, .k = s.k_a, .batch = 1,
                             .rank = out.rank, .scale_kind = params->scale_kind,
                             .scale = (float)params->scale};
    memcpy(p->dims, out.dims, sizeof p->dims);
    set_steps(&a, &out, p->a_step);
    set_steps(&b, &out, p->b_step);
    *matrices = 1;
    int64_t matrices_a = 1;
    for (int32_t d = 0; d < out.rank; d++) p->batch *= out.dims[d];
    for (int32_t d = 0; d < b.rank - 2; d++) *matrices *= b.dims[d];
    for (int32_t d = 0; d < a.rank - 2; d++) matrices_a *= a.dims[d];
    if (*matrices == 1 && matrices_a == p->batch) p->m *= p->batch, p->batch = 1, p->rank = 0;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_product p;
    int64_t matrices;
    size_t size = 0;
    if (call->in[0]->dtype != FZ_TYPE_F32 || call->env->blas) return 0;
    set_up(op, call, &p, &matrices);
    return fzi_product_packed_size(matrices, p.k, p.n, &size) ? size : 0;
}

static void run_plain(const struct fz_product *p, const struct fz_call *call) {
    size_t width = fzi_type_width(call->in[0]->dtype);
    const char *a = call->in[0]->data, *b = call->in[1]->data;
    char *c = call->out[0]->data;
    for (int64_t i = 0; i < p->batch; i++) {
        int64_t rest = i, at = 0, bt = 0;
        for (int32_t d = p->rank - 1; d >= 0; d--) {
            at += rest % p->dims[d] * p->a_step[d];
            bt += rest % p->dims[d] * p->b_step[d];
            rest /= p->dims[d];
        }
        struct fz_plain_product plain = {
            call->in[0]->dtype, p->m, p->n, p->k, a + (size_t)(at * p->m * p->k) * width,
            b + (size_t)(bt * p->k * p->n) * width, c + (size_t)(i * p->m * p->n) * width, p->k, 1,
            p->n, 1};
        fzi_plain_product(&plain);
    }
}

/* A is used in place; B is packed, which only few rows of A would notice. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_matmul_dyn_params *params = call->params;
    struct fz_product p;
    int64_t matrices;
    if (!call->out[0]->size) return FZ_OK;
    set_up(op, call, &p, &matrices);
    if (call->in[0]->dtype != FZ_TYPE_F32) {
        run_plain(&p, call);
        return FZ_OK;
    }
    p.a = call->in[0]->data;
    p.c = call->out[0]->data;
    if (call->env->blas) return fzi_product_blas(&p, call->in[1]->data, params->trans_b);
    fzi_product_pack(call->env, call->in[1]->data, matrices, p.k, p.n, params->trans_b,
                     call->scratch);
    p.b = call->scratch;
    fzi_product_run(&p);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct fz_product p;
    int64_t matrices;
    set_up(op, call, &p, &matrices);
    return (uint64_t)p.batch * (uint64_t)p.m * (uint64_t)p.n * (uint64_t)p.k;
}

const struct fz_op fz_ops_matmul[] = {
    {.name = "MatMul", .domain = "", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "",
     .params_size = sizeof(struct fz_matmul_dyn_params), .kind = 0, .infer = infer,
     .scratch = scratch, .run = run, .macs = macs},
    {.name = "MatMulDyn", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "trans_b scale_kind scale",
     .params_size = sizeof(struct fz_matmul_dyn_params), .kind = 1, .lower = lower_dyn,
     .infer = infer, .scratch = scratch, .run = run, .macs = macs},
    {0},
};
