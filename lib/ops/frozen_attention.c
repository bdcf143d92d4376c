/* frozen.Attention: scores, mask, softmax and values of attention in one step, with the bits of the
 * nodes that it stands for. Transposes around it are permutations of its params: inputs and output
 * are read and written where they lie. Dimensions of 1 are repeated as in a MatMul and an Add. */
#include "ops/attention.h"
#include "ops/matmul.h"

enum { QUERY, KEY, VALUE, MASK };

static fz_status_t read_perm(const struct fz_node *node, const char *name,
                             struct fz_frozen_attention_params *p, int which) {
    const int64_t *list = NULL;
    size_t n = 0;
    FZ_TRY(fzi_attr_ints(node, name, &list, &n));
    if (n > FZ_ATTENTION_RANK)
        return fzi_error(FZ_E_FORMAT, "%s: %s is too long", node->type, name);
    for (size_t i = 0; i < n; i++) p->perm[which][i] = list[i];
    p->rank = (int64_t)n;
    return FZ_OK;
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const kinds[] = {"q_kind", "k_kind", "kind"};
    static const char *const factors[] = {"q_factor", "k_factor", "factor"};
    struct fz_frozen_attention_params *p = params;
    (void)lower;
    FZ_TRY(read_perm(node, "k_perm", p, FZ_ATTENTION_K));
    FZ_TRY(read_perm(node, "v_perm", p, FZ_ATTENTION_V));
    FZ_TRY(read_perm(node, "y_perm", p, FZ_ATTENTION_Y));
    FZ_TRY(read_perm(node, "q_perm", p, FZ_ATTENTION_Q));
    for (int i = 0; i < 3; i++) {
        FZ_TRY(fzi_attr_int(node, kinds[i], 0, &p->kind[i]));
        FZ_TRY(fzi_attr_float(node, factors[i], 1, &p->factor[i]));
    }
    return fzi_attr_int(node, "round", 0, &p->round);
}

static const fz_tensor_t *mask_of(const struct fz_call *call) {
    return call->n_in > MASK ? call->in[MASK] : NULL;
}

/* Every perm holds each dimension once; rows of q and y have their elements side by side. */
static fz_status_t check_params(const struct fz_op *op,
                                const struct fz_frozen_attention_params *p) {
    bool good = p->rank >= 2 && p->rank <= FZ_ATTENTION_RANK;
    for (int i = 0; good && i < FZ_ATTENTION_PERMS; i++) {
        uint32_t seen = 0;
        for (int64_t d = 0; good && d < p->rank; d++) {
            good = p->perm[i][d] >= 0 && p->perm[i][d] < p->rank;
            if (good) seen |= 1u << p->perm[i][d];
        }
        good = good && seen == (1u << p->rank) - 1;
    }
    for (int i = 0; i < 3; i++)
        good = good && p->kind[i] >= FZ_SCALE_NONE && p->kind[i] <= FZ_SCALE_DIV;
    good = good && (p->round == 0 || p->round == FZK_ROUND_F16 || p->round == FZK_ROUND_BF16);
    good = good && p->perm[FZ_ATTENTION_Q][p->rank - 1] == p->rank - 1 &&
           p->perm[FZ_ATTENTION_Y][p->rank - 1] == p->rank - 1;
    return good ? FZ_OK : fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
}

/* T as the product reads it. */
static fz_tensor_t permuted(const struct fz_frozen_attention_params *p, int which,
                            const fz_tensor_t *t) {
    fz_tensor_t out = {.dtype = FZ_TYPE_F32, .rank = t->rank};
    for (int32_t d = 0; d < t->rank; d++) out.dims[d] = t->dims[p->perm[which][d]];
    return out;
}

static fz_status_t misfit(const struct fz_op *op) {
    return fzi_error(FZ_E_SHAPE, "%s: queries, keys and values do not fit together", op->name);
}

static bool agree(int64_t x, int64_t y) { return x < 0 || y < 0 || x == y; }

/* The shapes of a call, permuted; ranks are known. */
struct shapes {
    fz_tensor_t q, k, v;
    fz_tensor_t scores; /* [.., queries, keys], as the mask leaves it */
    fz_tensor_t y;      /* [.., queries, v_size] */
};

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct shapes *s) {
    const struct fz_frozen_attention_params *p = call->params;
    int32_t last = (int32_t)p->rank - 1;
    s->q = permuted(p, FZ_ATTENTION_Q, call->in[QUERY]);
    s->k = permuted(p, FZ_ATTENTION_K, call->in[KEY]);
    s->v = permuted(p, FZ_ATTENTION_V, call->in[VALUE]);
    if (!agree(s->q.dims[last], s->k.dims[last - 1])) return misfit(op);
    fz_tensor_t rows = s->q, columns = s->k, values = s->v;
    rows.dims[last] = columns.dims[last - 1] = values.dims[last - 1] = 1;
    const fz_tensor_t *scores[] = {&rows, &columns, mask_of(call)};
    FZ_TRY(fzi_infer_broadcast(op, scores, mask_of(call) ? 3 : 2, &s->scores));
    if (s->scores.rank != p->rank || !agree(s->scores.dims[last], s->v.dims[last - 1]))
        return misfit(op);
    rows = s->scores;
    rows.dims[last] = 1;
    return fzi_infer_broadcast(op, (const fz_tensor_t *[]){&rows, &values}, 2, &s->y);
}

/* Sets STEP: how far the permuted dimensions of T lie apart, 0 for one that is repeated. */
static void strides(const struct fz_frozen_attention_params *p, int which, const fz_tensor_t *t,
                    int64_t step[FZ_ATTENTION_RANK]) {
    int64_t at[FZ_ATTENTION_RANK], size = 1;
    for (int32_t d = t->rank - 1; d >= 0; d--) {
        at[d] = t->dims[d] == 1 ? 0 : size;
        size *= t->dims[d];
    }
    for (int32_t d = 0; d < t->rank; d++) step[d] = at[p->perm[which][d]];
}

/* Steps over the last four dimensions of RANK; absent ones in front have none. */
static struct fz_heads heads_of(const fz_tensor_t *t, const int64_t *step) {
    int32_t n = t->rank;
    struct fz_heads h = {.data = t->data, .token = step[n - 2], .element = step[n - 1]};
    if (n >= 3) h.head = step[n - 3];
    if (n >= 4) h.batch = step[n - 4];
    return h;
}

/* Where the output's rows go: dimension i of it is dimension perm[i] of y. */
static struct fz_heads output_heads(const struct fz_frozen_attention_params *p,
                                    const fz_tensor_t *y, void *data) {
    int64_t step[FZ_ATTENTION_RANK], size = 1;
    fz_tensor_t t = {.rank = y->rank, .data = data};
    for (int32_t d = y->rank - 1; d >= 0; d--) {
        step[p->perm[FZ_ATTENTION_Y][d]] = size;
        size *= y->dims[p->perm[FZ_ATTENTION_Y][d]];
    }
    return heads_of(&t, step);
}

static void set_mask(const struct fz_call *call, struct fz_attention *a) {
    const fz_tensor_t *m = mask_of(call);
    int64_t size = 1;
    if (!m) return;
    a->mask = m;
    for (int32_t d = m->rank - 1; d >= 0; d--) {
        a->mask_step[4 - m->rank + d] = m->dims[d] == 1 ? 0 : size;
        size *= m->dims[d];
    }
}

static void set_up(const struct fz_call *call, const struct shapes *s, struct fz_attention *a) {
    const struct fz_frozen_attention_params *p = call->params;
    int32_t n = (int32_t)p->rank;
    int64_t q[FZ_ATTENTION_RANK], k[FZ_ATTENTION_RANK], v[FZ_ATTENTION_RANK], key[2];
    *a = (struct fz_attention){
        .dtype = FZ_TYPE_F32, .plain = true, .batch = n >= 4 ? s->y.dims[n - 4] : 1,
        .heads = n >= 3 ? s->y.dims[n - 3] : 1, .queries = s->y.dims[n - 2],
        .keys = s->scores.dims[n - 1], .size = s->q.dims[n - 1], .v_size = s->v.dims[n - 1],
        .left = -1, .right = -1, .round = p->round, .q_by = {p->kind[0], (float)p->factor[0]},
        .k_by = {p->kind[1], (float)p->factor[1]}, .score_by = {p->kind[2], (float)p->factor[2]}};
    a->kv_heads = fzi_max_i64(1, a->heads);
    strides(p, FZ_ATTENTION_Q, call->in[QUERY], q);
    strides(p, FZ_ATTENTION_K, call->in[KEY], k);
    strides(p, FZ_ATTENTION_V, call->in[VALUE], v);
    key[0] = k[n - 2]; /* keys come transposed */
    key[1] = k[n - 1];
    k[n - 2] = key[1];
    k[n - 1] = key[0];
    a->q = heads_of(call->in[QUERY], q);
    a->k = heads_of(call->in[KEY], k);
    a->v = heads_of(call->in[VALUE], v);
    a->y = output_heads(p, &s->y, call->out[0] ? call->out[0]->data : NULL);
    set_mask(call, a);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_frozen_attention_params *p = call->params;
    struct shapes s;
    struct fz_attention a;
    bool known = true;
    FZ_TRY(check_params(op, p));
    fzi_infer_unknown(call, 0, FZ_TYPE_F32);
    for (uint32_t i = 0; i < call->n_in; i++) {
        if (!call->in[i]) continue;
        FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
        if (call->in[i]->rank >= 0 && i < MASK && call->in[i]->rank != p->rank) return misfit(op);
        known = known && fzi_shape_known(call->in[i]);
        if (call->in[i]->rank < 0) return FZ_OK;
    }
    FZ_TRY(measure(op, call, &s));
    fz_tensor_t out = permuted(p, FZ_ATTENTION_Y, &s.y);
    fzi_infer_like(call, 0, FZ_TYPE_F32, &out);
    if (!known) return FZ_OK;
    set_up(call, &s, &a);
    a.mask = NULL; /* it fits */
    return fzi_attention_check(op, &a);
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct shapes s;
    struct fz_attention a;
    if (measure(op, call, &s) != FZ_OK) return 0;
    set_up(call, &s, &a);
    return fzi_attention_scratch(call->env, &a);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct shapes s;
    struct fz_attention a;
    FZ_TRY(measure(op, call, &s));
    set_up(call, &s, &a);
    fzi_attention_run(call->env, &a, call->scratch);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct shapes s;
    struct fz_attention a;
    if (measure(op, call, &s) != FZ_OK) return 0;
    set_up(call, &s, &a);
    return fzi_attention_macs(&a);
}

const struct fz_op fz_ops_frozen_attention[] = {
    {.name = "Attention", .domain = "frozen", .since = 1, .rev = 1, .min_in = 3, .max_in = 4,
     .min_out = 1, .max_out = 1,
     .attrs = "q_perm k_perm v_perm y_perm q_kind k_kind kind q_factor k_factor factor round",
     .params_size = sizeof(struct fz_frozen_attention_params), .lower = lower, .infer = infer,
     .scratch = scratch, .run = run, .macs = macs},
    {0},
};
