/* MatMulNBits of com.microsoft: x [..., K] times W [N, K] in integers of 8, 4 or 2 bits, with a
 * scale and maybe a zero point for each block of a row of W. Each weight is (float)(q - zero) *
 * scale, rounded once; then a product by the rule of MatMul, and the bias.
 *
 * Zero points are packed as the weights are, or floats. Constant weights become frozen.MatMulNarrow
 * at freeze; what is here widens them at each run. */
#include "ops/matmul.h"
#include "ops/narrow.h"

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_nbits_params *p = params;
    int64_t unused;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "K", 0, &p->k));
    FZ_TRY(fzi_attr_int(node, "N", 0, &p->n));
    FZ_TRY(fzi_attr_int(node, "bits", 4, &p->bits));
    FZ_TRY(fzi_attr_int(node, "accuracy_level", 0, &unused)); /* allows less than is done here */
    FZ_TRY(fzi_attr_int(node, "weight_prepacked", 0, &unused));
    if (unused) return fzi_error(FZ_E_UNSUPPORTED, "weights packed for one device");
    return fzi_attr_int(node, "block_size", 0, &p->block);
}

static int64_t blocks_of(const struct fz_nbits_params *p) { return fzi_ceil_div(p->k, p->block); }
static int64_t bytes_of(const struct fz_nbits_params *p) { return p->block * p->bits / 8; }
/* Bytes of the packed zero points of a row. */
static int64_t zero_bytes(const struct fz_nbits_params *p) {
    return fzi_ceil_div(blocks_of(p) * p->bits, 8);
}

static fz_status_t check_params(const struct fz_op *op, const struct fz_nbits_params *p) {
    const int64_t limit = 1ll << 30;
    if (p->k >= 1 && p->n >= 1 && p->k < limit && p->n < limit && p->block >= 16 &&
        p->block < limit && !(p->block & (p->block - 1)) &&
        (p->bits == 2 || p->bits == 4 || p->bits == 8))
        return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: K %lld, N %lld, %lld bits, blocks of %lld", op->name,
                     (long long)p->k, (long long)p->n, (long long)p->bits, (long long)p->block);
}

/* Input I, if present, has one of TYPES and COUNT elements. */
static fz_status_t expect(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                          uint64_t types, int64_t count) {
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    char text[160];
    if (!t) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, i, types));
    if (!fzi_shape_known(t) || fzi_tensor_count(t) == count) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: input %u is %s and not %lld elements", op->name, i,
                     fzi_shape_text(t, text, sizeof text), (long long)count);
}

static fz_status_t check_inputs(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_nbits_params *p = call->params;
    int64_t blocks, bytes;
    if (!call->in[0] || !call->in[1] || !call->in[2])
        return fzi_error(FZ_E_FORMAT, "%s: an input is absent", op->name);
    if (!fzi_mul_i64(p->n, blocks_of(p), &blocks) || !fzi_mul_i64(blocks, bytes_of(p), &bytes))
        return fzi_error(FZ_E_SHAPE, "%s: the weights are too large", op->name);
    const fz_tensor_t *zero = call->n_in > FZ_NBITS_ZERO ? call->in[FZ_NBITS_ZERO] : NULL;
    bool real = zero && zero->dtype == FZ_TYPE_F32;
    FZ_TRY(expect(op, call, FZ_NBITS_X, FZ_T(F32), -1));
    FZ_TRY(expect(op, call, FZ_NBITS_W, FZ_T(U8), bytes));
    FZ_TRY(expect(op, call, FZ_NBITS_SCALE, FZ_T(F32), blocks));
    FZ_TRY(expect(op, call, FZ_NBITS_ZERO, FZ_T(F32) | FZ_T(U8),
                  real ? blocks : p->n * zero_bytes(p)));
    FZ_TRY(expect(op, call, FZ_NBITS_BIAS, FZ_T(F32), p->n));
    const fz_tensor_t *group = call->n_in > FZ_NBITS_GROUP ? call->in[FZ_NBITS_GROUP] : NULL;
    int64_t padded = blocks_of(p) * p->block;
    bool whole = group && fzi_shape_known(group) && fzi_tensor_count(group) == padded;
    return expect(op, call, FZ_NBITS_GROUP, FZ_T(I32), whole ? padded : p->k);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_nbits_params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    size_t size;
    int64_t m;
    FZ_TRY(check_params(op, p));
    FZ_TRY(x ? FZ_OK : fzi_error(FZ_E_FORMAT, "%s: input 0 is absent", op->name));
    fz_tensor_t out = *x;
    bool fits = x->rank < 0 || (x->rank > 0 && (x->dims[x->rank - 1] < 0 ||
                                                x->dims[x->rank - 1] == p->k));
    if (!fits) return fzi_error(FZ_E_SHAPE, "%s: the last dimension is not %lld", op->name,
                                (long long)p->k);
    struct fz_call rest = *call;
    const fz_tensor_t unknown = {.dtype = x->dtype, .rank = -1};
    const fz_tensor_t *in[FZ_NBITS_BIAS + 1] = {0};
    for (uint32_t i = 0; i < call->n_in && i <= FZ_NBITS_BIAS; i++) in[i] = call->in[i];
    in[0] = &unknown; /* x may have any number of elements */
    rest.in = in;
    FZ_TRY(check_inputs(op, &rest));
    if (x->rank < 0) {
        fzi_infer_unknown(call, 0, FZ_TYPE_F32);
        return FZ_OK;
    }
    if (!fzi_product_packed_size(1, p->k, p->n, &size) ||
        (fzi_shape_known(x) && !fzi_dims_count(x->dims, 0, x->rank, &m)))
        return fzi_error(FZ_E_SHAPE, "%s: the product is too large", op->name);
    out.dims[x->rank - 1] = p->n;
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    return FZ_OK;
}

/* The data of a node or of a call. */
struct nbits {
    struct fz_nbits_params p;
    const uint8_t *w, *zero;
    const float *scale, *real_zero;
};

static int64_t unpack(const uint8_t *bytes, int64_t i, int64_t bits) {
    return bytes[i * bits / 8] >> i * bits % 8 & ((1 << bits) - 1);
}

static int64_t get(const void *data, int64_t k, int64_t n) {
    const struct nbits *b = data;
    return unpack(b->w + n * blocks_of(&b->p) * bytes_of(&b->p), k, b->p.bits);
}

static int64_t zero(const void *data, int64_t block, int64_t n) {
    const struct nbits *b = data;
    if (!b->zero) return 1ll << (b->p.bits - 1);
    return unpack(b->zero + n * zero_bytes(&b->p), block, b->p.bits);
}

static float scale(const void *data, int64_t block, int64_t n) {
    const struct nbits *b = data;
    return b->scale[n * blocks_of(&b->p) + block];
}

static const void *optional(const fz_tensor_t *t, int32_t dtype) {
    return t && t->dtype == dtype ? t->data : NULL;
}

static struct nbits describe(const struct fz_nbits_params *p, const fz_tensor_t *w,
                             const fz_tensor_t *scales, const fz_tensor_t *zeros) {
    return (struct nbits){*p, w->data, optional(zeros, FZ_TYPE_U8), scales->data,
                          optional(zeros, FZ_TYPE_F32)};
}

fz_status_t fzi_nbits_pack(struct fz_graph *graph, const struct fz_node *node,
                           struct fz_narrow_params *p, struct fz_value **in, bool *ready) {
    const struct fz_nbits_params *own = node->params;
    const struct fz_value *zeros = fzi_in(node, FZ_NBITS_ZERO);
    *ready = fzi_is_constant(node->in[FZ_NBITS_W]) && fzi_is_constant(node->in[FZ_NBITS_SCALE]) &&
             (!zeros || (fzi_is_constant(zeros) && zeros->t.dtype == FZ_TYPE_U8)) &&
             !fzi_in(node, FZ_NBITS_GROUP);
    if (!*ready) return FZ_OK;
    struct nbits b = describe(own, &node->in[FZ_NBITS_W]->t, &node->in[FZ_NBITS_SCALE]->t,
                              zeros ? &zeros->t : NULL);
    const struct fz_narrow_source source = {&b, get, zero, scale};
    p->k = own->k, p->n = own->n, p->block = own->block;
    p->form = own->bits == 8 ? FZK_NARROW_8 : own->bits == 4 ? FZK_NARROW_4 : FZK_NARROW_2;
    in[FZ_NARROW_X] = node->in[0];
    in[FZ_NARROW_BIAS] = fzi_in(node, FZ_NBITS_BIAS);
    return fzi_narrow_pack(graph, node->in[FZ_NBITS_W]->name, &source, p, in);
}

/* Row I of W, to a column of the panels at TO. */
static void widen(const struct nbits *b, const int32_t *group, int64_t i, float *to) {
    for (int64_t k = 0; k < b->p.k; k++, to += FZK_PANEL) {
        int64_t block = group ? group[k] : k / b->p.block, q = get(b, k, i);
        float x = b->real_zero ? (float)q - b->real_zero[i * blocks_of(&b->p) + block]
                               : (float)(q - zero(b, block, i));
        *to = x * scale(b, block, i);
    }
}

static fz_status_t check_groups(const struct fz_op *op, const struct fz_nbits_params *p,
                                const int32_t *group) {
    for (int64_t k = 0; group && k < p->k; k++)
        if (group[k] < 0 || group[k] >= blocks_of(p))
            return fzi_error(FZ_E_VALUE, "%s: there is no block %d", op->name, (int)group[k]);
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_nbits_params *p = call->params;
    size_t size = 0;
    (void)op;
    return fzi_product_packed_size(1, p->k, p->n, &size) ? size : 0;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_nbits_params *p = call->params;
    const fz_tensor_t *x = call->in[0], *in[FZ_NBITS_BIAS + 1] = {0};
    if (!call->out[0]->size) return FZ_OK;
    for (uint32_t i = 0; i < call->n_in; i++) in[i] = call->in[i];
    const int32_t *group = in[FZ_NBITS_GROUP] ? in[FZ_NBITS_GROUP]->data : NULL;
    struct nbits b = describe(p, in[FZ_NBITS_W], in[FZ_NBITS_SCALE], in[FZ_NBITS_ZERO]);
    float *panels = call->scratch;
    FZ_TRY(check_groups(op, p, group));
    memset(panels, 0, scratch(op, call));
    for (int64_t j = 0; j < p->n; j++)
        widen(&b, group, j, panels + j / FZK_PANEL * FZK_PANEL * p->k + j % FZK_PANEL);
    struct fz_product product = {
        .env = call->env, .m = fzi_tensor_count(x) / p->k, .n = p->n, .k = p->k, .batch = 1,
        .a = x->data, .b = panels, .c = call->out[0]->data,
        .bias = in[FZ_NBITS_BIAS] ? in[FZ_NBITS_BIAS]->data : NULL};
    fzi_product_run(&product);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_nbits_params *p = call->params;
    (void)op;
    return (uint64_t)fzi_tensor_count(call->in[0]) * (uint64_t)p->n;
}

const struct fz_op fz_ops_matmul_nbits[] = {
    {.name = "MatMulNBits", .domain = "com.microsoft", .since = 1, .rev = 1,
     .min_in = 3, .max_in = 6, .min_out = 1, .max_out = 1,
     .attrs = "K N bits block_size accuracy_level weight_prepacked",
     .params_size = sizeof(struct fz_nbits_params), .lower = lower, .infer = infer,
     .scratch = scratch, .run = run, .macs = macs},
    {0},
};
