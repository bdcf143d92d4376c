/* Attention, QAttention and MultiHeadAttention of com.microsoft: a projection or biases, masks of
 * several forms as numbers that are added to the scores, and Attention of ai.onnx. */
#include "ops/compose.h"

/* What has become of a node's inputs: [batch, tokens, heads * size]; pasts [batch, heads, tokens,
 * size] or NULL. */
struct fused {
    struct fz_compose e;
    struct fz_value *q, *k, *v, *past_k, *past_v;
    struct fz_value *mask; /* numbers that are added to the scores, or NULL */
    int64_t heads, causal;
    double filter; /* for keys that are masked */
};

static fz_status_t read_attributes(struct fused *f) {
    const struct fz_node *node = f->e.node;
    int64_t shared, rotary;
    FZ_TRY(fzi_attr_int(node, "num_heads", 0, &f->heads));
    FZ_TRY(fzi_attr_int(node, "unidirectional", 0, &f->causal));
    FZ_TRY(fzi_attr_float(node, "mask_filter_value", -10000, &f->filter));
    FZ_TRY(fzi_attr_int(node, "past_present_share_buffer", 0, &shared));
    FZ_TRY(fzi_attr_int(node, "do_rotary", 0, &rotary));
    if (f->heads < 1) return fzi_error(FZ_E_FORMAT, "%s: there are no heads", node->type);
    if (shared || rotary)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: %s", node->type,
                         shared ? "past_present_share_buffer" : "do_rotary");
    return FZ_OK;
}

/* ---- masks */

static struct fz_value *zero_to(struct fz_compose *e, struct fz_value *n) {
    return fzi_compose(e, "Range", FZ_IN(fzi_compose_int(e, 0), n, fzi_compose_int(e, 1)),
                       FZ_NO_ATTRS);
}

/* Keys, those of the past among them, as a scalar. */
static struct fz_value *count_keys(struct fused *f) {
    struct fz_value *n = fzi_compose_dim(&f->e, f->k, 1);
    if (!f->past_k) return n;
    return fzi_compose(&f->e, "Add", FZ_IN(n, fzi_compose_dim(&f->e, f->past_k, 2)), FZ_NO_ATTRS);
}

/* [batch, keys]: whether keys lie before the ends of the list LENGTHS, [batch]. */
static struct fz_value *before(struct fused *f, struct fz_value *keys, struct fz_value *lengths) {
    static const int64_t one[] = {1};
    struct fz_value *ends = fzi_compose_cast(&f->e, lengths, FZ_TYPE_I64);
    return fzi_compose(&f->e, "Less", FZ_IN(keys, fzi_compose_unsqueeze(&f->e, ends, one, 1)),
                       FZ_NO_ATTRS);
}

/* A list: an end for each of the batch, or the ends and then the starts. */
static struct fz_value *seen_by_lengths(struct fused *f, struct fz_value *mask) {
    static const int64_t pairs[] = {2, -1};
    struct fz_compose *e = &f->e;
    int64_t batch = f->e.node->in[0]->t.rank > 0 ? f->e.node->in[0]->t.dims[0] : FZ_DIM_UNKNOWN;
    int64_t n = mask->t.dims[0];
    struct fz_value *keys = zero_to(e, count_keys(f));
    if (batch > 0 && n == 3 * batch + 2) {
        const int64_t from[] = {0}, to[] = {batch}; /* what follows adds lengths up */
        mask = fzi_compose(e, "Slice", FZ_IN(mask, fzi_compose_ints(e, from, 1),
                                             fzi_compose_ints(e, to, 1)), FZ_NO_ATTRS);
        n = batch;
    }
    if (n == batch) return before(f, keys, mask);
    if (batch < 0 || n != 2 * batch) {
        fzi_compose_fail(e, fzi_error(FZ_E_UNSUPPORTED, "%s: a mask of %lld numbers for a batch "
                                      "of %lld; fix both dimensions or give a mask of a number "
                                      "for each key", e->node->type, (long long)n,
                                      (long long)batch));
        return NULL;
    }
    struct fz_value *both = fzi_compose_reshape(e, mask, pairs, 2);
    struct fz_value *ends = before(f, keys, fzi_compose_pick(e, both, 0));
    struct fz_value *starts = before(f, keys, fzi_compose_pick(e, both, 1));
    return fzi_compose(e, "And", FZ_IN(ends, fzi_compose(e, "Not", FZ_IN(starts), FZ_NO_ATTRS)),
                       FZ_NO_ATTRS);
}

/* Adds what MASK says to f->mask: f->filter for every key that it hides. */
static void add_padding(struct fused *f, struct fz_value *mask) {
    static const int64_t two[] = {1, 2}, one[] = {1};
    struct fz_compose *e = &f->e;
    if (!mask) return;
    int32_t rank = fzi_compose_rank(e, mask, "the mask");
    if (e->status != FZ_OK) return;
    if (rank < 1 || rank > 3) {
        fzi_compose_fail(e, fzi_error(FZ_E_UNSUPPORTED, "%s: a mask of rank %d, not 1 to 3",
                                      e->node->type, rank));
        return;
    }
    if (rank == 2 && mask->t.dims[1] == 1) return; /* a dummy */
    struct fz_value *seen = rank == 1 ? seen_by_lengths(f, mask)
                                      : fzi_compose_cast(e, mask, FZ_TYPE_BOOL);
    seen = fzi_compose_unsqueeze(e, seen, rank == 3 ? one : two, rank == 3 ? 1 : 2);
    struct fz_value *zero = fzi_compose_float(e, 0), *filter = fzi_compose_float(e, f->filter);
    f->mask = fzi_compose(e, "Where", FZ_IN(seen, zero, filter), FZ_NO_ATTRS);
}

/* Of keys that hold the past, too, the last query sees all. */
static void add_order(struct fused *f) {
    static const int64_t column[] = {1};
    struct fz_compose *e = &f->e;
    if (!f->causal) return;
    struct fz_value *keys = count_keys(f), *queries = fzi_compose_dim(e, f->q, 1);
    struct fz_value *shift = fzi_compose(e, "Sub", FZ_IN(keys, queries), FZ_NO_ATTRS);
    struct fz_value *last = fzi_compose(e, "Add", FZ_IN(zero_to(e, queries), shift), FZ_NO_ATTRS);
    struct fz_value *seen = fzi_compose(
        e, "LessOrEqual", FZ_IN(zero_to(e, keys), fzi_compose_unsqueeze(e, last, column, 1)),
        FZ_NO_ATTRS);
    struct fz_value *added = f->mask ? f->mask : fzi_compose_float(e, 0);
    struct fz_value *hidden = fzi_compose_float(e, -__builtin_inf());
    f->mask = fzi_compose(e, "Where", FZ_IN(seen, added, hidden), FZ_NO_ATTRS);
    f->causal = 0;
}

static void add_bias(struct fused *f, struct fz_value *bias) {
    if (!bias) return;
    f->mask = f->mask ? fzi_compose(&f->e, "Add", FZ_IN(f->mask, bias), FZ_NO_ATTRS) : bias;
}

/* ---- the product */

static struct fz_node *attend(struct fused *f) {
    struct fz_attr attrs[4] = {FZ_ATTR_OF_INT("is_causal", f->causal),
                               FZ_ATTR_OF_INT("q_num_heads", f->heads),
                               FZ_ATTR_OF_INT("kv_num_heads", f->heads)};
    size_t n = 3;
    double scale = 0;
    fzi_compose_fail(&f->e, fzi_attr_float(f->e.node, "scale", 0, &scale));
    if (scale != 0) fzi_compose_keep(&f->e, "scale", attrs, &n);
    return fzi_compose_node(&f->e, "", "Attention", FZ_COMPOSE_OPSET,
                            FZ_IN(f->q, f->k, f->v, f->mask, f->past_k, f->past_v), 3, attrs, n);
}

/* Attention and QAttention keep keys and values in one tensor, [2, batch, heads, tokens, size]. */
static void split_past(struct fused *f, struct fz_value *past) {
    if (!past) return;
    f->past_k = fzi_compose_pick(&f->e, past, 0);
    f->past_v = fzi_compose_pick(&f->e, past, 1);
}

static fz_status_t finish_joined(struct fused *f) {
    static const int64_t front[] = {0};
    struct fz_node *made = attend(f);
    if (!made) return f->e.status;
    f->e.out[0] = made->out[0];
    if (fzi_out(f->e.node, 1)) {
        struct fz_value *k = fzi_compose_unsqueeze(&f->e, made->out[1], front, 1);
        struct fz_value *v = fzi_compose_unsqueeze(&f->e, made->out[2], front, 1);
        f->e.out[1] = fzi_compose(&f->e, "Concat", FZ_IN(k, v),
                                  FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0)));
    }
    return fzi_compose_done(&f->e);
}

/* ---- projections */

/* Cuts the last dimension of X into queries, keys and values: by SIZES, or equally. */
static void cut(struct fused *f, struct fz_value *x, const int64_t *sizes, int64_t axis) {
    struct fz_compose *e = &f->e;
    struct fz_attr attrs[2] = {FZ_ATTR_OF_INT("axis", axis), FZ_ATTR_OF_INT("num_outputs", 3)};
    struct fz_value *list = sizes ? fzi_compose_ints(e, sizes, 3) : NULL;
    struct fz_node *made = fzi_compose_node(e, "", "Split", FZ_COMPOSE_OPSET, FZ_IN(x, list), 3,
                                            attrs, sizes ? 1 : 2);
    if (!made) return;
    f->q = made->out[0];
    f->k = made->out[1];
    f->v = made->out[2];
}

static fz_status_t attention(struct fz_lower *lower, struct fz_node *node) {
    struct fused f = {.e = {.lower = lower, .node = node}};
    const int64_t *sizes = NULL;
    size_t n = 0;
    FZ_TRY(read_attributes(&f));
    FZ_TRY(fzi_attr_ints(node, "qkv_hidden_sizes", &sizes, &n));
    if (n != 0 && n != 3)
        return fzi_error(FZ_E_FORMAT, "%s: attribute 'qkv_hidden_sizes' has %zu numbers, not 3",
                         node->type, n);
    struct fz_value *x = fzi_compose(&f.e, "MatMul", FZ_IN(node->in[0], node->in[1]), FZ_NO_ATTRS);
    if (fzi_in(node, 2)) x = fzi_compose(&f.e, "Add", FZ_IN(x, node->in[2]), FZ_NO_ATTRS);
    cut(&f, x, n ? sizes : NULL, -1);
    split_past(&f, fzi_in(node, 4));
    add_padding(&f, fzi_in(node, 3));
    add_bias(&f, fzi_in(node, 5));
    return finish_joined(&f);
}

static fz_status_t qattention(struct fz_lower *lower, struct fz_node *node) {
    struct fused f = {.e = {.lower = lower, .node = node}};
    FZ_TRY(read_attributes(&f));
    struct fz_node *made = fzi_compose_node(
        &f.e, "com.microsoft", "MatMulIntegerToFloat", 1,
        FZ_IN(node->in[0], node->in[1], node->in[3], node->in[4], fzi_in(node, 6),
              fzi_in(node, 7), node->in[2]), 1, FZ_NO_ATTRS);
    if (!made) return f.e.status;
    cut(&f, made->out[0], NULL, -1);
    split_past(&f, fzi_in(node, 8));
    add_padding(&f, fzi_in(node, 5));
    return finish_joined(&f);
}

/* ---- queries, keys and values that are there already */

/* [batch, tokens, heads, 1, size], or [batch, tokens, heads, size], as [batch, tokens, all]. */
static struct fz_value *flatten(struct fz_compose *e, struct fz_value *x) {
    static const int64_t dims[] = {0, 0, -1};
    return fzi_compose_reshape(e, x, dims, 3);
}

/* Part I of the N that dimension 3 of X holds for each head. */
static struct fz_value *part(struct fz_compose *e, struct fz_value *x, int64_t i) {
    return flatten(e, fzi_compose(e, "Gather", FZ_IN(x, fzi_compose_int(e, i)),
                                  FZ_ATTRS(FZ_ATTR_OF_INT("axis", 3))));
}

static struct fz_value *by_tokens(struct fz_compose *e, struct fz_value *x) {
    static const int64_t perm[] = {0, 2, 1, 3};
    if (fzi_compose_rank(e, x, "keys and values") != 4) return x;
    return flatten(e, fzi_compose_transpose(e, x, perm, 4));
}

static void add_input_bias(struct fused *f, struct fz_value *bias, bool joined, bool projected) {
    struct fz_compose *e = &f->e;
    if (!bias) return;
    int64_t n = bias->t.rank == 1 ? bias->t.dims[0] : -1;
    int64_t width = joined ? n / 3 : f->q->t.rank == 3 ? f->q->t.dims[2] : -1;
    int64_t sizes[3] = {width, width, n - 2 * width};
    if (n < 0 || width < 0 || sizes[2] < 0) {
        fzi_compose_fail(e, fzi_error(FZ_E_UNSUPPORTED, "%s: a bias needs sizes that are known at "
                                      "freeze", e->node->type));
        return;
    }
    struct fused b = {.e = f->e};
    cut(&b, bias, sizes, 0);
    f->e.status = b.e.status;
    f->q = fzi_compose(e, "Add", FZ_IN(f->q, b.q), FZ_NO_ATTRS);
    if (projected) return;
    f->k = fzi_compose(e, "Add", FZ_IN(f->k, b.k), FZ_NO_ATTRS);
    f->v = fzi_compose(e, "Add", FZ_IN(f->v, b.v), FZ_NO_ATTRS);
}

/* Queries alone hold all three; keys alone hold the values, too. Keys by heads have been projected
 * before: biases are for the queries only. */
static fz_status_t read_inputs(struct fused *f) {
    struct fz_node *node = f->e.node;
    struct fz_value *key = fzi_in(node, 1), *value = fzi_in(node, 2);
    f->q = node->in[0];
    if (!key) {
        f->q = part(&f->e, node->in[0], 0);
        f->k = part(&f->e, node->in[0], 1);
        f->v = part(&f->e, node->in[0], 2);
    } else if (!value) {
        f->k = part(&f->e, key, 0);
        f->v = part(&f->e, key, 1);
    } else {
        f->k = by_tokens(&f->e, key);
        f->v = by_tokens(&f->e, value);
    }
    add_input_bias(f, fzi_in(node, 3), !key, key && key->t.rank == 4);
    f->past_k = fzi_in(node, 6);
    f->past_v = fzi_in(node, 7);
    return f->e.status;
}

/* A past in a buffer that is longer than the past: input 8 says how many tokens count. New ones are
 * written behind them. */
static void write_buffers(struct fused *f) {
    static const int64_t all[] = {-1}, from[] = {0}, axis[] = {2}, perm[] = {0, 2, 1, 3};
    struct fz_compose *e = &f->e;
    struct fz_value *past = fzi_compose_cast(e, e->node->in[8], FZ_TYPE_I64), *parts[2];
    struct fz_value *at = fzi_compose_reshape(e, past, all, 1);
    struct fz_value *rows = fzi_compose_reshape(e, fzi_compose_dim(e, f->q, 0), all, 1);
    struct fz_value *end = fzi_compose(e, "Add", FZ_IN(at, fzi_compose_dim(e, f->k, 1)),
                                       FZ_NO_ATTRS);
    struct fz_value *fresh[2] = {f->k, f->v}, *old[2] = {f->past_k, f->past_v};
    const int64_t dims[] = {0, 0, f->heads, -1};
    for (int i = 0; i < 2; i++) {
        struct fz_value *x = fzi_compose_transpose(e, fzi_compose_reshape(e, fresh[i], dims, 4),
                                                   perm, 4);
        struct fz_value *where = fzi_compose(e, "Expand", FZ_IN(at, rows), FZ_NO_ATTRS);
        e->out[1 + i] = fzi_compose(e, "TensorScatter", FZ_IN(old[i], x, where),
                                    FZ_ATTRS(FZ_ATTR_OF_INT("axis", 2)));
        x = fzi_compose(e, "Slice", FZ_IN(e->out[1 + i], fzi_compose_ints(e, from, 1), end,
                                          fzi_compose_ints(e, axis, 1)), FZ_NO_ATTRS);
        parts[i] = flatten(e, fzi_compose_transpose(e, x, perm, 4));
    }
    f->k = parts[0];
    f->v = parts[1];
    f->past_k = f->past_v = NULL;
}

static fz_status_t multi_head(struct fz_lower *lower, struct fz_node *node) {
    struct fused f = {.e = {.lower = lower, .node = node}};
    FZ_TRY(read_attributes(&f));
    if (fzi_in(node, 9))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: cache_indirection of a beam search", node->type);
    FZ_TRY(read_inputs(&f));
    bool shared = fzi_in(node, 8) && f.past_k && f.past_v;
    if (shared) write_buffers(&f);
    add_padding(&f, fzi_in(node, 4));
    add_bias(&f, fzi_in(node, 5));
    if (shared) add_order(&f);
    struct fz_node *made = attend(&f);
    for (uint32_t i = 0; made && i < (shared ? 1 : 3); i++) f.e.out[i] = made->out[i];
    return fzi_compose_done(&f.e);
}

#define ROW(onnx, least, most, outs, known, how)                                                   \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = least,               \
     .max_in = most, .min_out = 1, .max_out = outs, .attrs = known, .compose = how}
#define COMMON "mask_filter_value num_heads scale unidirectional"

const struct fz_op fz_ops_fused_attention[] = {
    ROW("Attention", 2, 7, 2, COMMON " do_rotary past_present_share_buffer qkv_hidden_sizes "
        "rotary_embedding_dim", attention),
    ROW("QAttention", 5, 9, 2, COMMON " do_rotary past_present_share_buffer", qattention),
    ROW("MultiHeadAttention", 1, 10, 4, COMMON, multi_head),
    {0},
};
