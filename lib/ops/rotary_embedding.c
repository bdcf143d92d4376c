/* RotaryEmbedding: pairs of elements of each head turned by the angle of the token's position:
 * cos a - sin b and sin a + cos b, every product and sum rounded. */
#include "ops/op.h"

struct params {
    int64_t interleaved, heads, rotary; /* rotary 0: the whole head */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "interleaved", 0, &p->interleaved));
    FZ_TRY(fzi_attr_int(node, "num_heads", 0, &p->heads));
    return fzi_attr_int(node, "rotary_embedding_dim", 0, &p->rotary);
}

/* Sizes of a call, all known. */
struct sizes {
    int64_t batch, tokens, heads, head, half; /* half: pairs of a head that turn */
    int64_t token_step, head_step, batch_step;
};

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct sizes *s) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    bool packed = x->rank == 3; /* [batch][token][head], else [batch][head][token] */
    if (packed && (p->heads < 1 || x->dims[2] % p->heads))
        return fzi_error(FZ_E_SHAPE, "%s: %lld elements in %lld heads", op->name,
                         (long long)x->dims[2], (long long)p->heads);
    s->batch = x->dims[0];
    s->tokens = x->dims[packed ? 1 : 2];
    s->heads = packed ? p->heads : x->dims[1];
    s->head = packed ? x->dims[2] / p->heads : x->dims[3];
    s->token_step = packed ? x->dims[2] : s->head;
    s->head_step = packed ? s->head : s->tokens * s->head;
    s->batch_step = s->tokens * s->heads * s->head;
    int64_t rotary = p->rotary ? p->rotary : s->head;
    s->half = rotary / 2;
    if (rotary < 0 || rotary % 2 || rotary > s->head)
        return fzi_error(FZ_E_SHAPE, "%s: %lld of %lld elements to turn", op->name,
                         (long long)rotary, (long long)s->head);
    return FZ_OK;
}

/* Input I has one row of angles for each position, or for each token. */
static fz_status_t check_cache(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                               bool by_position, const struct sizes *s) {
    const fz_tensor_t *t = call->in[i];
    bool good = t->rank == (by_position ? 2 : 3);
    if (good && fzi_shape_known(t)) {
        good = t->dims[t->rank - 1] == s->half;
        if (!by_position) good = good && t->dims[0] == s->batch && t->dims[1] == s->tokens;
    }
    return good ? FZ_OK : fzi_error(FZ_E_SHAPE, "%s: input %u does not fit", op->name, i);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *ids = call->n_in > 3 ? call->in[3] : NULL;
    struct sizes s;
    for (uint32_t i = 0; i < 3; i++) FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
    FZ_TRY(fzi_infer_type(op, call, 3, FZ_T(I64) | FZ_T(I32)));
    fzi_infer_like(call, 0, FZ_TYPE_F32, x);
    if (x->rank >= 0 && x->rank != 3 && x->rank != 4)
        return fzi_error(FZ_E_SHAPE, "%s: an input of rank %d", op->name, x->rank);
    if (!fzi_shape_known(x)) return FZ_OK;
    FZ_TRY(measure(op, call, &s));
    for (uint32_t i = 1; i < 3; i++)
        if (call->in[i]->rank >= 0) FZ_TRY(check_cache(op, call, i, ids != NULL, &s));
    if (fzi_shape_known(call->in[1]) && fzi_shape_known(call->in[2]) &&
        !fzi_shape_equal(call->in[1], call->in[2]))
        return fzi_error(FZ_E_SHAPE, "%s: the caches differ in shape", op->name);
    if (ids && fzi_shape_known(ids) &&
        (ids->rank != 2 || ids->dims[0] != s.batch || ids->dims[1] != s.tokens))
        return fzi_error(FZ_E_SHAPE, "%s: the positions do not fit", op->name);
    return FZ_OK;
}

/* The row of the caches for token T, counted over all batches. */
static int64_t cache_row(const fz_tensor_t *ids, int64_t t) {
    return ids ? fzi_tensor_int(ids, t) : t;
}

static void turn(const struct sizes *s, bool interleaved, const float *x, const float *c,
                 const float *sine, float *y) {
    int64_t step = interleaved ? 2 : 1, apart = interleaved ? 1 : s->half;
    for (int64_t i = 0; i < s->half; i++) {
        float a = x[i * step], b = x[i * step + apart];
        y[i * step] = c[i] * a - sine[i] * b;
        y[i * step + apart] = sine[i] * a + c[i] * b;
    }
    memcpy(y + 2 * s->half, x + 2 * s->half, (size_t)(s->head - 2 * s->half) * 4);
}

struct job {
    const struct fz_call *call;
    const fz_tensor_t *ids;
    struct sizes sizes;
};

static void token_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct sizes *s = &job->sizes;
    const struct fz_call *call = job->call;
    const struct params *p = call->params;
    for (int64_t t = begin; t < end; t++) {
        int64_t row = cache_row(job->ids, t) * s->half;
        int64_t at = t / s->tokens * s->batch_step + t % s->tokens * s->token_step;
        for (int64_t h = 0; h < s->heads; h++, at += s->head_step)
            turn(s, p->interleaved != 0, (const float *)call->in[0]->data + at,
                 (const float *)call->in[1]->data + row, (const float *)call->in[2]->data + row,
                 (float *)call->out[0]->data + at);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {.call = call, .ids = call->n_in > 3 ? call->in[3] : NULL};
    if (call->out[0]->size == 0) return FZ_OK;
    FZ_TRY(measure(op, call, &job.sizes));
    int64_t tokens = job.sizes.batch * job.sizes.tokens;
    for (int64_t t = 0; t < tokens && job.ids; t++) {
        int64_t row = cache_row(job.ids, t);
        if (row < 0 || row >= call->in[1]->dims[0])
            return fzi_error(FZ_E_VALUE, "%s: there is no position %lld", op->name, (long long)row);
    }
    int64_t work = job.sizes.heads * job.sizes.head;
    fzi_run_range(call->env, tokens, fzi_max_i64(1, 8192 / work), token_range, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_rotary_embedding[] = {
    {.name = "RotaryEmbedding", .domain = "", .since = 23, .rev = 1, .min_in = 3, .max_in = 4,
     .min_out = 1, .max_out = 1, .attrs = "interleaved num_heads rotary_embedding_dim",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
