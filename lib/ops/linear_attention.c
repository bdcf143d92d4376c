/* LinearAttention: a matrix of state for each head of keys, carried from token to token.
 * S is [d_k][d_v]; all is binary32, chains as in a matrix product:
 *   gated    S[d] = S[d] * exp(g[d])
 *   delta    v = beta * (v - chain over d of k[d] S[d])
 *   always   S[d] = S[d] + k[d] v;   y = scale * chain over d of q[d] S[d]
 * Types: what is half precision is widened as it is read and rounded as it is written. */
#include "ops/move.h"

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };
enum { LINEAR, GATED, DELTA, GATED_DELTA };

struct params {
    int64_t heads, kv_heads, rule, chunk;
    double scale; /* a binary32 value; 0: 1 / sqrt(d_k) */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const rules[] = {"linear", "gated", "delta", "gated_delta", NULL};
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_choice(node, "update_rule", rules, GATED_DELTA, &p->rule));
    FZ_TRY(fzi_attr_int(node, "q_num_heads", 0, &p->heads));
    FZ_TRY(fzi_attr_int(node, "kv_num_heads", 0, &p->kv_heads));
    FZ_TRY(fzi_attr_int(node, "chunk_size", 64, &p->chunk)); /* a hint for others */
    return fzi_attr_float(node, "scale", 0, &p->scale);
}

static bool gated(const struct params *p) { return p->rule == GATED || p->rule == GATED_DELTA; }
static bool corrected(const struct params *p) { return p->rule == DELTA || p->rule == GATED_DELTA; }

/* Sizes of a call; unknown ones are negative. */
struct sizes {
    int64_t batch, tokens, d_k, d_v;
};

static void take(int64_t *to, int64_t from) {
    if (from >= 0) *to = from;
}

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct sizes *s) {
    const struct params *p = call->params;
    *s = (struct sizes){FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN};
    for (uint32_t i = QUERY; i <= VALUE; i++) {
        const fz_tensor_t *t = call->in[i];
        int64_t heads = i == QUERY ? p->heads : p->kv_heads;
        if (t->rank < 0) continue;
        if (t->rank != 3 || (t->dims[2] >= 0 && t->dims[2] % heads))
            return fzi_error(FZ_E_SHAPE, "%s: input %u does not hold %lld heads", op->name, i,
                             (long long)heads);
        take(&s->batch, t->dims[0]);
        take(&s->tokens, t->dims[1]);
        if (t->dims[2] >= 0) *(i == VALUE ? &s->d_v : &s->d_k) = t->dims[2] / heads;
    }
    return FZ_OK;
}

/* Input I, if present, has these dims as far as both are known. */
static fz_status_t check(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                         int32_t rank, const int64_t *dims) {
    const fz_tensor_t *t = fzi_move_has(call, i) ? call->in[i] : NULL;
    bool good = !t || t->rank < 0 || t->rank == rank;
    for (int32_t d = 0; good && t && d < t->rank; d++)
        good = t->dims[d] < 0 || dims[d] < 0 || t->dims[d] == dims[d];
    return good ? FZ_OK : fzi_error(FZ_E_SHAPE, "%s: input %u does not fit", op->name, i);
}

static fz_status_t check_shapes(const struct fz_op *op, const struct fz_call *call,
                                const struct sizes *s) {
    const struct params *p = call->params;
    int64_t key = s->d_k < 0 ? -1 : s->d_k * p->kv_heads;
    FZ_TRY(check(op, call, QUERY, 3, (int64_t[]){s->batch, s->tokens,
                                                 s->d_k < 0 ? -1 : s->d_k * p->heads}));
    FZ_TRY(check(op, call, KEY, 3, (int64_t[]){s->batch, s->tokens, key}));
    FZ_TRY(check(op, call, VALUE, 3, (int64_t[]){s->batch, s->tokens, -1}));
    FZ_TRY(check(op, call, PAST, 4, (int64_t[]){s->batch, p->kv_heads, s->d_k, s->d_v}));
    FZ_TRY(check(op, call, DECAY, 3, (int64_t[]){s->batch, s->tokens, -1}));
    FZ_TRY(check(op, call, BETA, 3, (int64_t[]){s->batch, s->tokens, -1}));
    int64_t decay = fzi_move_has(call, DECAY) && call->in[DECAY]->rank == 3
                        ? call->in[DECAY]->dims[2] : -1;
    int64_t beta = fzi_move_has(call, BETA) && call->in[BETA]->rank == 3
                       ? call->in[BETA]->dims[2] : -1;
    if ((decay >= 0 && decay != p->kv_heads && key >= 0 && decay != key) ||
        (beta >= 0 && beta != p->kv_heads && beta != 1))
        return fzi_error(FZ_E_SHAPE, "%s: decay or beta does not fit the heads", op->name);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const uint64_t types = FZ_T(F32) | FZ_T(F16) | FZ_T(BF16);
    struct sizes s;
    for (uint32_t i = QUERY; i <= BETA; i++) FZ_TRY(fzi_infer_type(op, call, i, types));
    if (p->heads < 1 || p->kv_heads < 1 || p->heads > INT32_MAX || p->heads % p->kv_heads)
        return fzi_error(FZ_E_FORMAT, "%s: %lld heads for %lld of keys", op->name,
                         (long long)p->heads, (long long)p->kv_heads);
    if (p->rule < LINEAR || p->rule > GATED_DELTA)
        return fzi_error(FZ_E_FORMAT, "%s: an unknown rule", op->name);
    if (gated(p) != fzi_move_has(call, DECAY) || corrected(p) != fzi_move_has(call, BETA))
        return fzi_error(FZ_E_FORMAT, "%s: decay or beta does not fit the rule", op->name);
    FZ_TRY(measure(op, call, &s));
    FZ_TRY(check_shapes(op, call, &s));
    if (s.d_k > INT32_MAX >> 4 || s.d_v > INT32_MAX >> 4)
        return fzi_error(FZ_E_SHAPE, "%s: a head is too large", op->name);
    int64_t y[3] = {s.batch, s.tokens, s.d_v < 0 ? FZ_DIM_UNKNOWN : s.d_v * p->heads};
    int64_t state[4] = {s.batch, p->kv_heads, s.d_k, s.d_v};
    fzi_infer_shape(call, 0, call->in[QUERY]->dtype, 3, y);
    fzi_infer_shape(call, 1, call->in[fzi_move_has(call, PAST) ? PAST : QUERY]->dtype, 4, state);
    return FZ_OK;
}

/* Room of a task, in floats: the state in panels, a token's operands, and results. */
struct room {
    int64_t state, q, k, v, gate, y, size;
};

static int64_t padded(int64_t n) { return fzi_ceil_div(n, FZK_PANEL) * FZK_PANEL; }

static struct room room_of(const struct params *p, const struct sizes *s) {
    int64_t group = p->heads / p->kv_heads, line = padded(fzi_max_i64(s->d_k, 1));
    struct room r = {0};
    r.q = r.state + padded(s->d_v) * s->d_k + FZK_PANEL;
    r.k = r.q + group * line;
    r.v = r.k + line;
    r.gate = r.v + padded(s->d_v);
    r.y = r.gate + line;
    r.size = r.y + (group + 1) * padded(s->d_v);
    return r;
}

struct job {
    const struct fz_call *call;
    struct sizes s;
    struct room room;
    float *rooms;
    float scale;
    int64_t count;
};

static int64_t tasks(const struct fz_env *env, int64_t heads) {
    return env->threads > 1 ? fzi_max_i64(1, fzi_min_i64(heads, 4 * (int64_t)env->threads)) : 1;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    struct sizes s;
    if (measure(op, call, &s) != FZ_OK) return 0;
    return (size_t)room_of(p, &s).size * 4 * (size_t)tasks(call->env, s.batch * p->kv_heads);
}

/* N elements of T from AT on, widened. */
static void read(const struct fz_env *env, const fz_tensor_t *t, int64_t at, int64_t n, float *to) {
    if (t->dtype == FZ_TYPE_F32) memcpy(to, (const float *)t->data + at, (size_t)n * 4);
    else if (t->dtype == FZ_TYPE_F16) env->k->f16_to_f32(to, (const uint16_t *)t->data + at, n);
    else env->k->bf16_to_f32(to, (const uint16_t *)t->data + at, n);
}

static void write(const struct fz_env *env, const fz_tensor_t *t, int64_t at, int64_t n,
                  const float *from) {
    if (t->dtype == FZ_TYPE_F32) memcpy((float *)t->data + at, from, (size_t)n * 4);
    else if (t->dtype == FZ_TYPE_F16) env->k->f32_to_f16((uint16_t *)t->data + at, from, n);
    else env->k->f32_to_bf16((uint16_t *)t->data + at, from, n);
}

/* The state's element (d, m) lies at panel m / 32, row d. */
static float *state_at(const struct job *job, float *state, int64_t d, int64_t m) {
    return state + m / FZK_PANEL * job->s.d_k * FZK_PANEL + d * FZK_PANEL + m % FZK_PANEL;
}

/* Y [rows][d_v] = A [rows][d_k] times the state. */
static void product(const struct job *job, int64_t rows, const float *a, const float *state,
                    float *y) {
    struct fzk_segment segment = {0, job->s.d_k};
    struct fzk_gemm_f32 g = {.m = rows, .n = job->s.d_v, .k = job->s.d_k, .a = a,
                             .lda = job->s.d_k, .segments = &segment, .n_segments = 1, .b = state,
                             .c = y, .ldc = job->s.d_v};
    job->call->env->k->gemm_f32(&g);
}

/* S = S * gate, where there is one, of one element or of d_k. */
static void decay(const struct job *job, int64_t token, int64_t head, float *gate, float *state) {
    const struct fz_call *call = job->call;
    const struct params *p = call->params;
    const fz_tensor_t *t = call->in[DECAY];
    int64_t n = t->dims[2] / p->kv_heads;
    read(call->env, t, token * t->dims[2] + head * n, n, gate);
    call->env->k->unary_f32(FZK_FN_EXP, gate, gate, n, 0, 0);
    for (int64_t i = 0; i < fzi_ceil_div(job->s.d_v, FZK_PANEL) * job->s.d_k; i++) {
        float factor = gate[n == 1 ? 0 : i % job->s.d_k];
        float *row = state + i * FZK_PANEL;
        for (int64_t m = 0; m < FZK_PANEL; m++) row[m] = row[m] * factor;
    }
}

static void correct(const struct job *job, int64_t token, int64_t head, const float *k,
                    const float *state, float *v, float *known) {
    const fz_tensor_t *t = job->call->in[BETA];
    float beta;
    read(job->call->env, t, token * t->dims[2] + (t->dims[2] == 1 ? 0 : head), 1, &beta);
    product(job, 1, k, state, known);
    for (int64_t m = 0; m < job->s.d_v; m++) v[m] = beta * (v[m] - known[m]);
}

static void add_outer(const struct job *job, const float *k, const float *v, float *state) {
    int64_t panels = fzi_ceil_div(job->s.d_v, FZK_PANEL);
    for (int64_t i = 0; i < panels * job->s.d_k; i++) { /* V is padded with zeros */
        float factor = k[i % job->s.d_k], *row = state + i * FZK_PANEL;
        const float *part = v + i / job->s.d_k * FZK_PANEL;
        for (int64_t m = 0; m < FZK_PANEL; m++) row[m] = row[m] + factor * part[m];
    }
}

/* Token TOKEN, counted over the batch, of one head of keys. */
static void step(const struct job *job, int64_t token, int64_t head, float *room) {
    const struct fz_call *call = job->call;
    const struct params *p = call->params;
    const struct sizes *s = &job->s;
    int64_t group = p->heads / p->kv_heads;
    float *state = room + job->room.state, *q = room + job->room.q, *k = room + job->room.k;
    float *v = room + job->room.v, *y = room + job->room.y;
    read(call->env, call->in[QUERY], (token * p->heads + head * group) * s->d_k, group * s->d_k, q);
    read(call->env, call->in[KEY], (token * p->kv_heads + head) * s->d_k, s->d_k, k);
    memset(v, 0, (size_t)padded(s->d_v) * 4);
    read(call->env, call->in[VALUE], (token * p->kv_heads + head) * s->d_v, s->d_v, v);
    if (gated(p)) decay(job, token, head, room + job->room.gate, state);
    if (corrected(p)) correct(job, token, head, k, state, v, y);
    add_outer(job, k, v, state);
    if (!call->out[0]) return;
    product(job, group, q, state, y);
    for (int64_t i = 0; i < group * s->d_v; i++) y[i] = job->scale * y[i];
    write(call->env, call->out[0], (token * p->heads + head * group) * s->d_v, group * s->d_v, y);
}

/* Reads (or writes) head I's state, by rows. */
static void move_state(const struct job *job, const fz_tensor_t *t, int64_t i, bool out,
                       float *state, float *row) {
    for (int64_t d = 0; d < job->s.d_k; d++) {
        int64_t at = (i * job->s.d_k + d) * job->s.d_v;
        if (!out) read(job->call->env, t, at, job->s.d_v, row);
        for (int64_t m = 0; m < job->s.d_v; m++) {
            float *x = state_at(job, state, d, m);
            if (out) row[m] = *x;
            else *x = row[m];
        }
        if (out) write(job->call->env, t, at, job->s.d_v, row);
    }
}

static void task(void *arg, size_t number) {
    const struct job *job = arg;
    const struct fz_call *call = job->call;
    const struct params *p = call->params;
    const struct sizes *s = &job->s;
    int64_t n = (int64_t)number, heads = s->batch * p->kv_heads;
    float *room = job->rooms + n * job->room.size, *state = room + job->room.state;
    for (int64_t i = heads * n / job->count; i < heads * (n + 1) / job->count; i++) {
        int64_t batch = i / p->kv_heads, head = i % p->kv_heads;
        memset(state, 0, (size_t)(padded(s->d_v) * s->d_k) * 4);
        if (fzi_move_has(call, PAST))
            move_state(job, call->in[PAST], i, false, state, room + job->room.y);
        for (int64_t t = 0; t < s->tokens; t++) {
            if (call->env->poll(call->env) != FZ_OK) return;
            step(job, batch * s->tokens + t, head, room);
        }
        if (call->n_out > 1 && call->out[1])
            move_state(job, call->out[1], i, true, state, room + job->room.y);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    struct job job = {.call = call, .rooms = call->scratch};
    FZ_TRY(measure(op, call, &job.s));
    job.room = room_of(p, &job.s);
    job.scale = p->scale != 0 ? (float)p->scale : (float)(1 / __builtin_sqrt((double)job.s.d_k));
    job.count = tasks(call->env, job.s.batch * p->kv_heads);
    if (job.count == 1) task(&job, 0);
    else call->env->parallel(call->env, (size_t)job.count, task, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_linear_attention[] = {
    {.name = "LinearAttention", .domain = "", .since = 27, .rev = 1, .flags = FZ_OP_HALF,
     .min_in = 3, .max_in = 6, .min_out = 1, .max_out = 2,
     .attrs = "chunk_size kv_num_heads q_num_heads scale update_rule",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,
     .run = run},
    {0},
};
