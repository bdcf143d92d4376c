/* FlexAttention becomes a row of nodes as soon as its types are known (lib/passes/expand.c):
 * frozen.FlexScores, the subgraph for scores, Softmax, the subgraph for probabilities,
 * frozen.FlexOutput. Scores are chain(q, k) * scale, the output is chain(p, v). Heads of keys and
 * values serve as many neighbouring heads of queries. */
#include "ops/matmul.h"

enum { SCORES, OUTPUT };

struct params {
    int64_t has_scale; /* 0: 1 / sqrt(size of a head) */
    double scale;      /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    p->has_scale = fzi_attr(node, "scale") != NULL;
    return fzi_attr_float(node, "scale", 0, &p->scale);
}

static fz_status_t infer_control(struct fz_node *node, bool inner) {
    (void)inner;
    return fzi_error(FZ_E_INTERNAL, "%s was not expanded", node->op->name);
}

/* No plan of ours names it, but a file may. */
static fz_status_t run_control(const struct fz_op *op, const struct fz_call *call) {
    (void)call;
    return fzi_error(FZ_E_UNSUPPORTED, "%s is no step", op->name);
}

/* Whether A and B agree where both are known. */
static bool agree(int64_t a, int64_t b) { return a < 0 || b < 0 || a == b; }

/* m, n, k of the product of heads A and B: keys are read transposed. */
static void sizes(const struct fz_op *op, const fz_tensor_t *a, const fz_tensor_t *b,
                  int64_t size[4]) {
    bool scores = op->kind == SCORES;
    size[0] = a->dims[2];
    size[1] = b->dims[scores ? 2 : 3];
    size[2] = a->dims[3];
    size[3] = b->dims[scores ? 3 : 2];
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *a = call->in[0], *b = call->in[1];
    int64_t s[4], n;
    size_t bytes;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    if (a->dtype != b->dtype)
        return fzi_error(FZ_E_TYPE, "%s: operands of different types", op->name);
    if ((a->rank >= 0 && a->rank != 4) || (b->rank >= 0 && b->rank != 4))
        return fzi_error(FZ_E_SHAPE, "%s: queries, keys and values need rank 4", op->name);
    fzi_infer_unknown(call, 0, a->dtype);
    if (a->rank < 0 || b->rank < 0) return FZ_OK;
    sizes(op, a, b, s);
    bool good = agree(a->dims[0], b->dims[0]) && agree(s[2], s[3]) && b->dims[1] != 0 &&
                (a->dims[1] < 0 || b->dims[1] < 0 || a->dims[1] % b->dims[1] == 0);
    if (good && fzi_shape_known(a) && fzi_shape_known(b))
        good = fzi_dims_count(a->dims, 0, 4, &n) && fzi_dims_count(b->dims, 0, 2, &n) &&
               fzi_product_packed_size(n, s[2], s[1], &bytes);
    if (!good)
        return fzi_error(FZ_E_SHAPE, "%s: queries, keys and values do not fit together", op->name);
    fzi_infer_shape(call, 0, a->dtype, 4, (int64_t[]){a->dims[0], a->dims[1], s[0], s[1]});
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *b = call->in[1];
    int64_t s[4];
    size_t size = 0;
    if (b->dtype != FZ_TYPE_F32) return 0;
    sizes(op, call->in[0], b, s);
    return fzi_product_packed_size(b->dims[0] * b->dims[1], s[2], s[1], &size) ? size : 0;
}

static float scale_of(const struct fz_call *call) {
    const struct params *p = call->params;
    return p->has_scale ? (float)p->scale
                        : (float)(1 / __builtin_sqrt((double)call->in[0]->dims[3]));
}

static void run_f64(const struct fz_op *op, const struct fz_call *call, const int64_t s[4]) {
    const fz_tensor_t *a = call->in[0], *b = call->in[1];
    int64_t heads = a->dims[1], group = heads / b->dims[1], m = s[0], n = s[1], k = s[2];
    double *c = call->out[0]->data;
    for (int64_t i = 0; i < a->dims[0] * heads; i++, c += m * n) {
        int64_t kv = i / heads * b->dims[1] + i % heads / group;
        struct fz_plain_product p = {FZ_TYPE_F64, m, n, k, (const double *)a->data + i * m * k,
                                     (const double *)b->data + kv * n * k, c, k, 1, n, 1};
        if (call->env->poll(call->env) != FZ_OK) return;
        if (op->kind == SCORES) p.b_row = 1, p.b_col = k;
        fzi_plain_product(&p);
        double scale = ((const struct params *)call->params)->has_scale
                           ? ((const struct params *)call->params)->scale
                           : 1 / __builtin_sqrt((double)k);
        for (int64_t j = 0; j < m * n && op->kind == SCORES; j++) c[j] = c[j] * scale;
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *a = call->in[0], *b = call->in[1];
    int64_t s[4], heads = a->dims[1], group = heads / b->dims[1];
    sizes(op, a, b, s);
    if (call->out[0]->size == 0) return FZ_OK;
    if (a->dtype == FZ_TYPE_F64) {
        run_f64(op, call, s);
        return FZ_OK;
    }
    struct fz_product p = {.env = call->env, .m = s[0], .n = s[1], .k = s[2],
                           .batch = a->dims[0] * heads, .rank = 3,
                           .dims = {a->dims[0], b->dims[1], group}, .a_step = {heads, group, 1},
                           .b_step = {b->dims[1], 1, 0}, .a = a->data, .b = call->scratch,
                           .c = call->out[0]->data};
    if (op->kind == SCORES) p.scale_kind = FZ_SCALE_MUL, p.scale = scale_of(call);
    fzi_product_pack(call->env, b->data, b->dims[0] * b->dims[1], p.k, p.n, op->kind == SCORES,
                     call->scratch);
    fzi_product_run(&p);
    return FZ_OK;
}

#define ROW(onnx, row)                                                                             \
    {.name = onnx, .domain = "frozen", .since = 1, .rev = 1, .min_in = 2, .max_in = 2,             \
     .min_out = 1, .max_out = 1, .attrs = "scale", .params_size = sizeof(struct params),           \
     .kind = row, .lower = lower, .infer = infer, .scratch = scratch, .run = run}

const struct fz_op fz_ops_flex_attention[] = {
    {.name = "FlexAttention", .domain = "ai.onnx.preview", .since = 1, .rev = 1,
     .flags = FZ_OP_CONTROL | FZ_OP_ANY_TYPE, .min_in = 3, .max_in = 3, .min_out = 1,
     .max_out = 1, .attrs = "prob_mod scale score_mod softmax_precision",
     .infer_control = infer_control, .run = run_control},
    ROW("FlexScores", SCORES),
    ROW("FlexOutput", OUTPUT),
    {0},
};
