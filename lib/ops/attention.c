/* Attention: heads of queries over keys and values, with a cache that grows inside of the operator
 * (past and present) or outside of it (lengths of the valid part). */
#include "ops/attention.h"
#include "ops/move.h"

enum { QUERY, KEY, VALUE, MASK, PAST_KEY, PAST_VALUE, LENGTHS };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

struct params {
    int64_t causal, heads, kv_heads, stage, precision, left, right;
    int64_t has_scale;
    double scale, softcap; /* binary32 values */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "is_causal", 0, &p->causal));
    FZ_TRY(fzi_attr_int(node, "q_num_heads", 0, &p->heads));
    FZ_TRY(fzi_attr_int(node, "kv_num_heads", 0, &p->kv_heads));
    FZ_TRY(fzi_attr_int(node, "qk_matmul_output_mode", 0, &p->stage));
    FZ_TRY(fzi_attr_int(node, "softmax_precision", 0, &p->precision));
    FZ_TRY(fzi_attr_int(node, "left_window_size", -1, &p->left));
    FZ_TRY(fzi_attr_int(node, "right_window_size", -1, &p->right));
    FZ_TRY(fzi_attr_float(node, "softcap", 0, &p->softcap));
    p->has_scale = fzi_attr(node, "scale") != NULL;
    return fzi_attr_float(node, "scale", 0, &p->scale);
}

static const fz_tensor_t *input(const struct fz_call *call, uint32_t i) {
    return fzi_move_has(call, i) ? call->in[i] : NULL;
}

static fz_tensor_t *output(const struct fz_call *call, uint32_t i) {
    return i < call->n_out ? call->out[i] : NULL;
}

static fz_status_t check_params(const struct fz_op *op, const struct params *p) {
    bool precise = p->precision == 0 || p->precision == FZ_TYPE_F32 ||
                   p->precision == FZ_TYPE_F64 || p->precision == FZ_TYPE_F16 ||
                   p->precision == FZ_TYPE_BF16;
    if (!precise)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: softmax_precision %lld is no float type", op->name,
                         (long long)p->precision);
    if (p->stage < 0 || p->stage > 3)
        return fzi_error(FZ_E_FORMAT, "%s: qk_matmul_output_mode is not 0 to 3", op->name);
    if (p->left < -1 || p->right < -1)
        return fzi_error(FZ_E_FORMAT, "%s: a window size is below -1", op->name);
    if (p->heads < 0 || p->kv_heads < 0)
        return fzi_error(FZ_E_FORMAT, "%s: a negative number of heads", op->name);
    return FZ_OK;
}

static fz_status_t check_types(const struct fz_op *op, const struct fz_call *call) {
    int32_t dtype = call->in[QUERY]->dtype;
    FZ_TRY(fzi_infer_type(op, call, QUERY, FZ_T(F32) | FZ_T(F64)));
    for (uint32_t i = KEY; i <= PAST_VALUE; i++)
        if (i != MASK && input(call, i) && call->in[i]->dtype != dtype)
            return fzi_error(FZ_E_TYPE, "%s: input %u is %s, the queries are %s", op->name, i,
                             fz_type_name(call->in[i]->dtype), fz_type_name(dtype));
    FZ_TRY(fzi_infer_type(op, call, MASK, FZ_T_NUMBER | FZ_T(BOOL)));
    FZ_TRY(fzi_infer_type(op, call, LENGTHS, FZ_T(I64)));
    if (!input(call, PAST_KEY) != !input(call, PAST_VALUE))
        return fzi_error(FZ_E_FORMAT, "%s: past keys and values come together", op->name);
    if (input(call, LENGTHS) && input(call, PAST_KEY))
        return fzi_error(FZ_E_FORMAT, "%s: a past and lengths exclude each other", op->name);
    return FZ_OK;
}

/* Tensor T of N heads as [batch, heads, tokens, size]; unknown stays unknown. */
static fz_status_t split(const struct fz_op *op, const fz_tensor_t *t, int64_t n,
                         int64_t dims[4]) {
    if (t->rank == 4) {
        memcpy(dims, t->dims, 4 * sizeof *dims);
        return FZ_OK;
    }
    if (t->rank != 3 || n < 1)
        return fzi_error(FZ_E_SHAPE, "%s: inputs need rank 4, or rank 3 and numbers of heads",
                         op->name);
    dims[0] = t->dims[0];
    dims[1] = n;
    dims[2] = t->dims[1];
    dims[3] = t->dims[2] < 0 ? FZ_DIM_UNKNOWN : t->dims[2] / n;
    if (t->dims[2] >= 0 && t->dims[2] % n)
        return fzi_error(FZ_E_SHAPE, "%s: %lld elements in %lld heads", op->name,
                         (long long)t->dims[2], (long long)n);
    return FZ_OK;
}

/* Shapes of a call, [batch, heads, tokens, size] each. */
struct shapes {
    int64_t q[4], k[4], v[4], past; /* past: tokens, 0 without */
};

/* X and Y are one number, as far as they are known. */
static bool agree(int64_t x, int64_t y) { return x < 0 || y < 0 || x == y; }

static fz_status_t check_past(const struct fz_op *op, const struct fz_call *call,
                              struct shapes *s) {
    s->past = 0;
    if (!input(call, PAST_KEY)) return FZ_OK;
    s->past = FZ_DIM_UNKNOWN;
    for (uint32_t i = PAST_KEY; i <= PAST_VALUE; i++) {
        const fz_tensor_t *t = call->in[i];
        const int64_t *to = i == PAST_KEY ? s->k : s->v;
        if (t->rank < 0) continue;
        if (t->rank != 4 || !agree(t->dims[0], to[0]) || !agree(t->dims[1], to[1]) ||
            !agree(t->dims[3], to[3]) || !agree(t->dims[2], s->past))
            return fzi_error(FZ_E_SHAPE, "%s: input %u does not fit", op->name, i);
        if (t->dims[2] >= 0) s->past = t->dims[2];
    }
    return FZ_OK;
}

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct shapes *s) {
    const struct params *p = call->params;
    FZ_TRY(split(op, call->in[QUERY], p->heads, s->q));
    FZ_TRY(split(op, call->in[KEY], p->kv_heads, s->k));
    FZ_TRY(split(op, call->in[VALUE], p->kv_heads, s->v));
    if (call->in[QUERY]->rank != call->in[KEY]->rank ||
        call->in[KEY]->rank != call->in[VALUE]->rank)
        return fzi_error(FZ_E_SHAPE, "%s: inputs of different rank", op->name);
    if (!agree(s->q[0], s->k[0]) || !agree(s->k[0], s->v[0]) || !agree(s->k[1], s->v[1]) ||
        !agree(s->k[2], s->v[2]) || !agree(s->q[3], s->k[3]) || s->k[1] == 0 ||
        (s->q[1] > 0 && s->k[1] > 0 && s->q[1] % s->k[1]))
        return fzi_error(FZ_E_SHAPE, "%s: queries, keys and values do not fit together", op->name);
    return check_past(op, call, s);
}

static struct fz_heads heads_of(const fz_tensor_t *t, const int64_t dims[4]) {
    struct fz_heads h = {t->data, dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
    if (t->rank == 3) h.head = dims[3], h.token = dims[1] * dims[3];
    return h;
}

/* The call as the body sees it; keys and values lie in the inputs. */
static void set_up(const struct fz_call *call, const struct shapes *s, struct fz_attention *a) {
    const struct params *p = call->params;
    fz_tensor_t *y = output(call, Y), *scores = output(call, SCORES);
    int64_t out[4] = {s->q[0], s->q[1], s->q[2], s->v[3]};
    fz_tensor_t like = {.rank = call->in[QUERY]->rank, .data = y ? y->data : NULL};
    *a = (struct fz_attention){
        .dtype = call->in[QUERY]->dtype, .batch = s->q[0], .heads = s->q[1], .kv_heads = s->k[1],
        .queries = s->q[2], .keys = s->past + s->k[2], .size = s->q[3], .v_size = s->v[3],
        .scores = scores ? scores->data : NULL, .scores_stage = p->stage, .softcap = p->softcap,
        .precision = (int32_t)p->precision, .causal = p->causal != 0, .left = p->left,
        .right = p->right, .past = s->past, .lengths = input(call, LENGTHS),
        .mask = input(call, MASK)};
    a->q = heads_of(call->in[QUERY], s->q);
    a->k = heads_of(call->in[KEY], s->k);
    a->v = heads_of(call->in[VALUE], s->v);
    a->y = heads_of(&like, out);
    a->scale = p->has_scale ? p->scale : 1 / __builtin_sqrt((double)s->q[3]);
}

static fz_status_t infer_outputs(const struct fz_op *op, const struct fz_call *call,
                                 const struct shapes *s) {
    int32_t dtype = call->in[QUERY]->dtype;
    int64_t keys = FZ_DIM_UNKNOWN;
    if (s->past == 0) keys = s->k[2];
    else if (s->past > 0 && s->k[2] >= 0 && __builtin_add_overflow(s->past, s->k[2], &keys))
        return fzi_error(FZ_E_SHAPE, "%s: too many keys", op->name);
    int64_t y[4] = {s->q[0], s->q[1], s->q[2], s->v[3]};
    int64_t key[4] = {s->k[0], s->k[1], keys, s->k[3]};
    int64_t value[4] = {s->v[0], s->v[1], keys, s->v[3]};
    int64_t scores[4] = {s->q[0], s->q[1], s->q[2], keys};
    if (call->in[QUERY]->rank == 3) {
        y[1] = s->q[2];
        y[2] = FZ_DIM_UNKNOWN;
        if (s->v[3] >= 0 && __builtin_mul_overflow(s->q[1], s->v[3], &y[2]))
            return fzi_error(FZ_E_SHAPE, "%s: the output is too large", op->name);
    }
    fzi_infer_shape(call, Y, dtype, call->in[QUERY]->rank, y);
    fzi_infer_shape(call, PRESENT_KEY, dtype, 4, key);
    fzi_infer_shape(call, PRESENT_VALUE, dtype, 4, value);
    fzi_infer_shape(call, SCORES, dtype, 4, scores);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    struct shapes s;
    struct fz_attention a;
    int32_t dtype = call->in[QUERY]->dtype;
    FZ_TRY(check_params(op, call->params));
    FZ_TRY(check_types(op, call));
    for (uint32_t i = 0; i < 4; i++) fzi_infer_unknown(call, i, dtype);
    for (uint32_t i = QUERY; i <= VALUE; i++)
        if (call->in[i]->rank < 0) return FZ_OK;
    FZ_TRY(measure(op, call, &s));
    FZ_TRY(infer_outputs(op, call, &s));
    for (int i = 0; i < 4; i++)
        if (s.q[i] < 0 || s.k[i] < 0 || s.v[i] < 0 || s.past < 0) return FZ_OK;
    if (s.past > INT32_MAX || s.k[2] > INT32_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: too many keys", op->name);
    set_up(call, &s, &a);
    return fzi_attention_check(op, &a);
}

/* ---- past and present */

/* Bytes of the joined keys and values where nobody reads them. */
static size_t joined(const struct fz_call *call, const struct shapes *s, uint32_t i) {
    const int64_t *dims = i == PRESENT_KEY ? s->k : s->v;
    if (!input(call, PAST_KEY) || output(call, i)) return 0;
    return fzi_align((size_t)(dims[0] * dims[1] * (s->past + dims[2]) * dims[3]) *
                     fzi_type_width(call->in[QUERY]->dtype), 64);
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct shapes s;
    struct fz_attention a;
    if (measure(op, call, &s) != FZ_OK) return 0;
    set_up(call, &s, &a);
    return fzi_attention_scratch(call->env, &a) + joined(call, &s, PRESENT_KEY) +
           joined(call, &s, PRESENT_VALUE);
}

/* Copies N tokens of every head into TO, a dense [batch][heads][total][size], from token AT on. */
static void join(const struct fz_call *call, const struct fz_heads *from, const int64_t dims[4],
                 int64_t n, int64_t total, int64_t at, char *to) {
    struct fz_move move = {.width = fzi_type_width(call->in[QUERY]->dtype)};
    fzi_move_dim(&move, dims[0], from->batch, dims[1] * total * dims[3]);
    fzi_move_dim(&move, dims[1], from->head, total * dims[3]);
    fzi_move_dim(&move, n, from->token, dims[3]);
    fzi_move_dim(&move, dims[3], 1, 1);
    fzi_move_run(call->env, &move, from->data, to + (size_t)(at * dims[3]) * move.width);
}

/* Writes output I, or SPARE if it is absent, and points H to it. */
static void present(const struct fz_call *call, const struct shapes *s, uint32_t i, char *spare,
                    struct fz_heads *h) {
    const int64_t *dims = i == PRESENT_KEY ? s->k : s->v;
    const fz_tensor_t *past = input(call, i == PRESENT_KEY ? PAST_KEY : PAST_VALUE);
    fz_tensor_t *out = output(call, i);
    int64_t total = s->past + dims[2];
    char *to = out ? out->data : spare;
    if (!out && !past) return;
    if (dims[0] * dims[1] * total * dims[3] == 0) return;
    if (past && s->past) {
        struct fz_heads old = {past->data, dims[1] * s->past * dims[3], s->past * dims[3], dims[3],
                               1};
        join(call, &old, dims, s->past, total, 0, to);
    }
    if (dims[2]) join(call, h, dims, dims[2], total, s->past, to);
    *h = (struct fz_heads){to, dims[1] * total * dims[3], total * dims[3], dims[3], 1};
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct shapes s;
    struct fz_attention a;
    char *spare = call->scratch;
    FZ_TRY(measure(op, call, &s));
    set_up(call, &s, &a);
    present(call, &s, PRESENT_KEY, spare, &a.k);
    spare += joined(call, &s, PRESENT_KEY);
    present(call, &s, PRESENT_VALUE, spare, &a.v);
    spare += joined(call, &s, PRESENT_VALUE);
    if (output(call, Y)) fzi_attention_run(call->env, &a, spare);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct shapes s;
    struct fz_attention a;
    if (measure(op, call, &s) != FZ_OK) return 0;
    set_up(call, &s, &a);
    return fzi_attention_macs(&a);
}

#define ATTRS "is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap "            \
              "softmax_precision"
#define ROW(first, last, inputs, known)                                                            \
    {.name = "Attention", .domain = "", .since = first, .until = last, .rev = 1, .min_in = 3,      \
     .max_in = inputs, .min_out = 1, .max_out = 4, .attrs = known,                                 \
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,     \
     .run = run, .macs = macs}

const struct fz_op fz_ops_attention[] = {
    ROW(23, 23, 6, ATTRS),
    ROW(24, 24, 7, ATTRS),
    ROW(25, 0, 7, ATTRS " left_window_size right_window_size"),
    {0},
};
