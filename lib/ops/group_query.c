/* GroupQueryAttention and RotaryEmbedding of com.microsoft, and GatedRelativePositionBias. */
#include "ops/compose.h"

static struct fz_value *two(struct fz_compose *e, const char *type, struct fz_value *a,
                            struct fz_value *b) {
    return fzi_compose(e, type, FZ_IN(a, b), FZ_NO_ATTRS);
}

static struct fz_value *zero_to(struct fz_compose *e, struct fz_value *n) {
    return fzi_compose(e, "Range", FZ_IN(fzi_compose_int(e, 0), n, fzi_compose_int(e, 1)),
                       FZ_NO_ATTRS);
}

/* ---- rotary embedding */

/* X turned by the angles of POSITIONS, [batch, tokens]. */
static struct fz_value *turn(struct fz_compose *e, struct fz_value *x, struct fz_value *cosines,
                             struct fz_value *sines, struct fz_value *positions, int64_t heads,
                             int64_t interleaved, int64_t size) {
    return fzi_compose(e, "RotaryEmbedding", FZ_IN(x, cosines, sines, positions),
                       FZ_ATTRS(FZ_ATTR_OF_INT("interleaved", interleaved),
                                FZ_ATTR_OF_INT("num_heads", heads),
                                FZ_ATTR_OF_INT("rotary_embedding_dim", size)));
}

/* One position is that of the first token of each of the batch. */
static struct fz_value *spread(struct fz_compose *e, struct fz_value *x, int32_t rank,
                               struct fz_value *first) {
    static const int64_t front[] = {0}, all[] = {-1};
    struct fz_value *tokens = fzi_compose_dim(e, x, rank == 3 ? 1 : 2);
    struct fz_value *row = two(e, "Add", zero_to(e, tokens), first);
    struct fz_value *shape[2] = {fzi_compose_dim(e, x, 0), tokens};
    for (int i = 0; i < 2; i++) shape[i] = fzi_compose_reshape(e, shape[i], all, 1);
    struct fz_value *dims = fzi_compose(e, "Concat", shape, 2, FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0)));
    return two(e, "Expand", fzi_compose_unsqueeze(e, row, front, 1), dims);
}

static fz_status_t rotary(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value *x = node->in[0], *ids = node->in[1], *cosines = node->in[2];
    int64_t interleaved, heads, size, packed;
    double scale;
    FZ_TRY(fzi_attr_int(node, "interleaved", 0, &interleaved));
    FZ_TRY(fzi_attr_int(node, "num_heads", 0, &heads));
    FZ_TRY(fzi_attr_int(node, "rotary_embedding_dim", 0, &size));
    FZ_TRY(fzi_attr_int(node, "is_packed_batching", 0, &packed));
    FZ_TRY(fzi_attr_float(node, "scale", 1, &scale)); /* of both ONNX Runtime makes no use */
    int32_t rank = fzi_compose_rank(&e, x, "the input");
    FZ_TRY(e.status);
    if (rank == 3 && !heads) {
        int64_t half = cosines->t.rank == 2 ? cosines->t.dims[1] : 0, all = x->t.dims[2];
        if (half < 1 || all < 1 || all % (2 * half))
            return fzi_error(FZ_E_UNSUPPORTED, "%s: the number of heads is not known at freeze",
                             node->type);
        heads = all / (2 * half);
    }
    if (fzi_compose_rank(&e, ids, "the positions") == 1) ids = spread(&e, x, rank, ids);
    e.out[0] = turn(&e, x, cosines, node->in[3], ids, heads, interleaved, size);
    return fzi_compose_done(&e);
}

/* ---- grouped queries */

enum { QUERY, KEY, VALUE, PAST_KEY, PAST_VALUE, LAST, TOTAL, COSINES, SINES, POSITIONS, BIAS,
       SINK, UNKNOWN };

struct grouped {
    struct fz_compose e;
    int64_t heads, kv_heads, window, causal, smooth, scores;
    struct fz_value *q, *k, *v;
    struct fz_value *tokens; /* new ones, a scalar */
    struct fz_value *start;  /* [batch, 1]: how many tokens of the past count */
    struct fz_value *total;  /* keys of the cache, a scalar */
};

static fz_status_t read_attributes(struct grouped *g, int64_t *rotary, int64_t *interleaved) {
    static const char *const odd[] = {"kv_cache_bit_width", "sliding_window_cache"};
    const struct fz_node *node = g->e.node;
    int64_t value;
    FZ_TRY(fzi_attr_int(node, "num_heads", 0, &g->heads));
    FZ_TRY(fzi_attr_int(node, "kv_num_heads", 0, &g->kv_heads));
    FZ_TRY(fzi_attr_int(node, "local_window_size", -1, &g->window));
    FZ_TRY(fzi_attr_int(node, "causal", 1, &g->causal));
    FZ_TRY(fzi_attr_int(node, "smooth_softmax", 0, &g->smooth));
    FZ_TRY(fzi_attr_int(node, "qk_output", 0, &g->scores));
    FZ_TRY(fzi_attr_int(node, "do_rotary", 0, rotary));
    FZ_TRY(fzi_attr_int(node, "rotary_interleaved", 0, interleaved));
    for (size_t i = 0; i < FZ_COUNT(odd); i++) {
        FZ_TRY(fzi_attr_int(node, odd[i], 0, &value));
        if (value > 0) return fzi_error(FZ_E_UNSUPPORTED, "%s: %s", node->type, odd[i]);
    }
    for (uint32_t i = UNKNOWN; i < node->n_in; i++)
        if (node->in[i])
            return fzi_error(FZ_E_UNSUPPORTED, "%s: input %u is not taken", node->type, i);
    if (g->heads < 1 || g->kv_heads < 1 || g->heads % g->kv_heads)
        return fzi_error(FZ_E_FORMAT, "%s: %lld heads for %lld", node->type, (long long)g->heads,
                         (long long)g->kv_heads);
    if (*rotary && (!fzi_in(node, COSINES) || !fzi_in(node, SINES)))
        return fzi_error(FZ_E_FORMAT, "%s: do_rotary without caches", node->type);
    return FZ_OK;
}

/* Queries that hold keys and values, too: heads, then both numbers of the others. */
static void unpack(struct grouped *g) {
    struct fz_compose *e = &g->e;
    struct fz_node *node = e->node;
    g->q = node->in[QUERY];
    g->k = fzi_in(node, KEY);
    g->v = fzi_in(node, VALUE);
    if (g->k) return;
    int64_t width = g->q->t.rank == 3 ? g->q->t.dims[2] : -1, all = g->heads + 2 * g->kv_heads;
    if (width < 0 || width % all) {
        fzi_compose_fail(e, fzi_error(FZ_E_UNSUPPORTED, "%s: joined queries, keys and values of "
                                      "%lld numbers", node->type, (long long)width));
        return;
    }
    int64_t size = width / all;
    int64_t sizes[3] = {g->heads * size, g->kv_heads * size, g->kv_heads * size};
    struct fz_value *list = fzi_compose_ints(e, sizes, 3);
    struct fz_node *made = fzi_compose_node(e, "", "Split", FZ_COMPOSE_OPSET, FZ_IN(g->q, list), 3,
                                            FZ_ATTRS(FZ_ATTR_OF_INT("axis", -1)));
    if (!made) return;
    g->q = made->out[0];
    g->k = made->out[1];
    g->v = made->out[2];
}

/* Tokens of the past that count: none where all tokens are new, else the last key's number and one,
 * less the new ones. */
static void find_start(struct grouped *g) {
    static const int64_t column[] = {-1, 1};
    struct fz_compose *e = &g->e;
    struct fz_value *last = fzi_compose_cast(e, e->node->in[LAST], FZ_TYPE_I64);
    struct fz_value *total = fzi_compose_cast(e, e->node->in[TOTAL], FZ_TYPE_I64);
    g->tokens = fzi_compose_dim(e, g->q, 1);
    total = fzi_compose_reshape(e, total, NULL, 0);
    g->total = total;
    struct fz_value *length = two(e, "Add", fzi_compose_reshape(e, last, column, 2),
                                  fzi_compose_int(e, 1));
    struct fz_value *start = two(e, "Sub", length, g->tokens);
    struct fz_value *fresh = two(e, "Equal", g->tokens, total);
    g->start = fzi_compose(e, "Where", FZ_IN(fresh, fzi_compose_int(e, 0), start), FZ_NO_ATTRS);
}

/* Positions of the new tokens, [batch, tokens]. */
static struct fz_value *places(struct grouped *g) {
    return two(&g->e, "Add", g->start, zero_to(&g->e, g->tokens));
}

/* [batch, tokens, heads * size] as [batch, heads, tokens, size]. */
static struct fz_value *by_heads(struct fz_compose *e, struct fz_value *x, int64_t heads) {
    static const int64_t perm[] = {0, 2, 1, 3};
    const int64_t dims[] = {0, 0, heads, -1};
    return fzi_compose_transpose(e, fzi_compose_reshape(e, x, dims, 4), perm, 4);
}

/* The cache with the new tokens in it. It grows to hold all, never shrinks. */
static struct fz_value *write_cache(struct grouped *g, struct fz_value *past,
                                    struct fz_value *fresh) {
    static const int64_t all[] = {-1}, axis[] = {2};
    struct fz_compose *e = &g->e;
    if (!past) return fresh;
    struct fz_value *room = two(e, "Sub", g->total, fzi_compose_dim(e, past, 2));
    room = two(e, "Max", room, fzi_compose_int(e, 0));
    struct fz_value *zero[1] = {fzi_compose_int(e, 0)};
    struct fz_value *ends[2] = {fzi_compose_reshape(e, zero[0], all, 1),
                                fzi_compose_reshape(e, room, all, 1)};
    struct fz_value *pads = fzi_compose(e, "Concat", ends, 2,
                                        FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0)));
    past = fzi_compose(e, "Pad", FZ_IN(past, pads, NULL, fzi_compose_ints(e, axis, 1)),
                       FZ_NO_ATTRS);
    struct fz_value *at = fzi_compose_reshape(e, g->start, all, 1);
    return fzi_compose(e, "TensorScatter", FZ_IN(past, fresh, at),
                       FZ_ATTRS(FZ_ATTR_OF_INT("axis", 2)));
}

/* [batch, 1, tokens, keys]: whether a token sees a key, which is not behind it, or else not behind
 * the last token of its row, nor out of its window. */
static struct fz_value *seen(struct grouped *g, struct fz_value *keys) {
    static const int64_t last[] = {2}, head[] = {1};
    struct fz_compose *e = &g->e;
    struct fz_value *at = fzi_compose_unsqueeze(e, places(g), last, 1);
    struct fz_value *key = zero_to(e, fzi_compose_dim(e, keys, 2));
    if (!g->causal) {
        static const int64_t rows[] = {-1, 1, 1, 1};
        struct fz_value *end = fzi_compose_cast(e, e->node->in[LAST], FZ_TYPE_I64);
        return two(e, "LessOrEqual", key, fzi_compose_reshape(e, end, rows, 4));
    }
    struct fz_value *mask = two(e, "LessOrEqual", key, at);
    if (g->window > 0) {
        struct fz_value *edge = two(e, "Sub", at, fzi_compose_int(e, g->window));
        mask = two(e, "And", mask, two(e, "Greater", key, edge));
    }
    return fzi_compose_unsqueeze(e, mask, head, 1);
}

/* A number in the type of the queries. */
static struct fz_value *number(struct grouped *g, double value) {
    struct fz_value *x = fzi_compose_float(&g->e, value);
    int32_t dtype = g->e.node->in[QUERY]->t.dtype;
    return dtype == FZ_TYPE_F32 ? x : fzi_compose_cast(&g->e, x, dtype);
}

static struct fz_value *join(struct fz_compose *e, struct fz_value *a, struct fz_value *b,
                             int64_t axis) {
    return fzi_compose(e, "Concat", FZ_IN(a, b), FZ_ATTRS(FZ_ATTR_OF_INT("axis", axis)));
}

static struct fz_value *mask_and_bias(struct grouped *g, struct fz_value *mask) {
    struct fz_value *bias = fzi_in(g->e.node, BIAS);
    if (!bias && !g->smooth) return mask;
    return fzi_compose(&g->e, "Where", FZ_IN(mask, bias ? bias : number(g, 0),
                                             number(g, -__builtin_inf())), FZ_NO_ATTRS);
}

/* X, [batch, heads, keys, size], with a key of zeros behind the others. */
static struct fz_value *with_zeros(struct grouped *g, struct fz_value *x) {
    static const int64_t one[] = {0, 1}, axis[] = {2};
    struct fz_compose *e = &g->e;
    return fzi_compose(e, "Pad", FZ_IN(x, fzi_compose_ints(e, one, 2), NULL,
                                       fzi_compose_ints(e, axis, 1)), FZ_NO_ATTRS);
}

/* A softmax that has one score more, 0 or that of the head in input SINK, whose key and value are
 * zeros: MASK, numbers, gets a column for it. */
static struct fz_value *with_sink(struct grouped *g, struct fz_value *mask) {
    static const int64_t all[] = {-1};
    const int64_t dims[] = {1, g->heads, 1, 1};
    struct fz_compose *e = &g->e;
    struct fz_value *sink = fzi_in(e->node, SINK), *shape[3];
    if (!sink) sink = fzi_compose(e, "Expand", FZ_IN(number(g, 0), fzi_compose_ints(e, dims, 4)),
                                  FZ_NO_ATTRS);
    sink = fzi_compose_reshape(e, sink, dims, 4);
    shape[0] = fzi_compose_reshape(e, fzi_compose_dim(e, g->q, 0), all, 1);
    shape[1] = fzi_compose_ints(e, &g->heads, 1);
    shape[2] = fzi_compose_reshape(e, g->tokens, all, 1);
    struct fz_value *rows = join(e, join(e, shape[0], shape[1], 0), shape[2], 0);
    struct fz_value *keys = fzi_compose_reshape(e, fzi_compose_dim(e, mask, 3), all, 1);
    const int64_t one = 1;
    mask = two(e, "Expand", mask, join(e, rows, keys, 0));
    sink = two(e, "Expand", sink, join(e, rows, fzi_compose_ints(e, &one, 1), 0));
    return join(e, mask, sink, 3);
}

/* Scores before or after the softmax: 0 where a token does not see a key. */
static struct fz_value *scores_of(struct grouped *g, struct fz_value *scores,
                                  struct fz_value *mask, struct fz_value *keys) {
    static const int64_t all[] = {-1}, from[] = {0}, axis[] = {3};
    struct fz_compose *e = &g->e;
    struct fz_value *n = fzi_compose_reshape(e, fzi_compose_dim(e, keys, 2), all, 1);
    if (g->smooth)
        scores = fzi_compose(e, "Slice", FZ_IN(scores, fzi_compose_ints(e, from, 1), n,
                                               fzi_compose_ints(e, axis, 1)), FZ_NO_ATTRS);
    return fzi_compose(e, "Where", FZ_IN(mask, scores, number(g, 0)), FZ_NO_ATTRS);
}

static fz_status_t attend(struct grouped *g, struct fz_value *keys, struct fz_value *values) {
    static const int64_t perm[] = {0, 2, 1, 3}, flat[] = {0, 0, -1};
    struct fz_compose *e = &g->e;
    struct fz_attr attrs[3] = {FZ_ATTR_OF_INT("qk_matmul_output_mode", g->scores == 2 ? 3 : 2)};
    size_t n = 1;
    double scale = 0;
    FZ_TRY(fzi_attr_float(e->node, "scale", 0, &scale));
    if (scale != 0) fzi_compose_keep(e, "scale", attrs, &n);
    fzi_compose_keep(e, "softcap", attrs, &n);
    struct fz_value *q = by_heads(e, g->q, g->heads), *mask = seen(g, keys);
    struct fz_value *added = mask_and_bias(g, mask), *k = keys, *v = values;
    if (g->smooth) {
        added = with_sink(g, added);
        k = with_zeros(g, k);
        v = with_zeros(g, v);
    }
    struct fz_node *made = fzi_compose_node(e, "", "Attention", FZ_COMPOSE_OPSET,
                                            FZ_IN(q, k, v, added), g->scores ? 4 : 1,
                                            g->scores ? attrs : attrs + 1, g->scores ? n : n - 1);
    if (!made) return e->status;
    e->out[0] = fzi_compose_reshape(e, fzi_compose_transpose(e, made->out[0], perm, 4), flat, 3);
    e->out[1] = keys;
    e->out[2] = values;
    if (g->scores) e->out[3] = scores_of(g, made->out[3], mask, keys);
    return fzi_compose_done(e);
}

static fz_status_t group_query(struct fz_lower *lower, struct fz_node *node) {
    struct grouped g = {.e = {.lower = lower, .node = node}};
    int64_t rotary, interleaved;
    FZ_TRY(read_attributes(&g, &rotary, &interleaved));
    if (fzi_in(node, SINK)) g.smooth = 1;
    if (g.scores < 0 || g.scores > 2 || (!g.causal && g.window > 0))
        return fzi_error(FZ_E_FORMAT, "%s: qk_output, or a window without causal", node->type);
    fzi_compose_need(&g.e, 1 << LAST | 1 << TOTAL);
    FZ_TRY(g.e.status);
    unpack(&g);
    find_start(&g);
    if (rotary) {
        struct fz_value *c = node->in[COSINES], *s = node->in[SINES];
        struct fz_value *at = fzi_in(node, POSITIONS) ? node->in[POSITIONS] : places(&g);
        int64_t size = c->t.rank == 2 && c->t.dims[1] > 0 ? 2 * c->t.dims[1] : 0;
        g.q = turn(&g.e, g.q, c, s, at, g.heads, interleaved, size);
        g.k = turn(&g.e, g.k, c, s, at, g.kv_heads, interleaved, size);
    }
    struct fz_value *k = by_heads(&g.e, g.k, g.kv_heads), *v = by_heads(&g.e, g.v, g.kv_heads);
    k = write_cache(&g, fzi_in(node, PAST_KEY), k);
    v = write_cache(&g, fzi_in(node, PAST_VALUE), v);
    return attend(&g, k, v);
}

/* ---- gated relative position bias */

/* With x = queries + bias by heads, and u, r = sigmoid of the sums of both halves of x W + b:
 * (u * (r * a - 1) + 2) * positions. */
static fz_status_t gated(struct fz_lower *lower, struct fz_node *node) {
    static const int64_t last[] = {-1};
    struct fz_compose e = {.lower = lower, .node = node};
    int64_t heads;
    FZ_TRY(fzi_attr_int(node, "num_heads", 0, &heads));
    if (heads < 1) return fzi_error(FZ_E_FORMAT, "%s: there are no heads", node->type);
    if (fzi_in(node, 6))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: tokens without padding", node->type);
    struct fz_value *x = by_heads(&e, two(&e, "Add", node->in[0], node->in[1]), heads);
    x = two(&e, "Add", two(&e, "MatMul", x, node->in[3]), node->in[4]);
    const int64_t halves[] = {0, heads, -1, 2, node->in[4]->t.rank == 1 ? node->in[4]->t.dims[0] / 2
                                                                         : 0};
    if (halves[4] < 1) return fzi_error(FZ_E_UNSUPPORTED, "%s: a bias of unknown size", node->type);
    x = fzi_compose_reshape(&e, x, halves, 5);
    x = fzi_compose(&e, "ReduceSum", FZ_IN(x, fzi_compose_ints(&e, last, 1)),
                    FZ_ATTRS(FZ_ATTR_OF_INT("keepdims", 0)));
    struct fz_node *gates = fzi_compose_node(
        &e, "", "Split", FZ_COMPOSE_OPSET,
        FZ_IN(fzi_compose(&e, "Sigmoid", FZ_IN(x), FZ_NO_ATTRS)), 2,
        FZ_ATTRS(FZ_ATTR_OF_INT("axis", -1), FZ_ATTR_OF_INT("num_outputs", 2)));
    if (!gates) return e.status;
    struct fz_value *y = two(&e, "Mul", gates->out[1], node->in[5]);
    y = two(&e, "Sub", y, fzi_compose_float(&e, 1));
    y = two(&e, "Add", two(&e, "Mul", gates->out[0], y), fzi_compose_float(&e, 2));
    e.out[0] = two(&e, "Mul", y, node->in[2]);
    return fzi_compose_done(&e);
}

#define ROW(onnx, least, most, outs, known, how)                                                   \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = least,               \
     .max_in = most, .min_out = 1, .max_out = outs, .attrs = known, .compose = how}

const struct fz_op fz_ops_group_query[] = {
    ROW("GroupQueryAttention", 1, 17, 4, "causal do_rotary k_norm_epsilon k_quant_type "
        "kv_cache_bit_width kv_num_heads local_window_size num_heads q_norm_epsilon "
        "qk_norm_epsilon qk_output rotary_interleaved scale sliding_window_cache smooth_softmax "
        "softcap v_quant_type", group_query),
    ROW("RotaryEmbedding", 4, 4, 1, "interleaved is_packed_batching num_heads "
        "rotary_embedding_dim scale", rotary),
    ROW("GatedRelativePositionBias", 6, 7, 1, "num_heads", gated),
    {0},
};
