/* LSTM, GRU, RNN and their frozen forms with packed weights. The products of W with all time steps
 * are one GEMM; then each direction walks through time, rows of the batch side by side. */
#include "ops/matmul.h"
#include "ops/rnn.h"

static fz_status_t lower_rnn(struct fz_lower *lower, struct fz_node *node, void *params) {
    return fzi_rnn_lower(lower, node, FZ_RNN_GATES_RNN, params);
}
static fz_status_t lower_gru(struct fz_lower *lower, struct fz_node *node, void *params) {
    return fzi_rnn_lower(lower, node, FZ_RNN_GATES_GRU, params);
}
static fz_status_t lower_lstm(struct fz_lower *lower, struct fz_node *node, void *params) {
    return fzi_rnn_lower(lower, node, FZ_RNN_GATES_LSTM, params);
}

/* Panels [ceil(n / 32)][k][32] of the transpose of W [n][k]. */
static void pack(const float *w, int64_t n, int64_t k, float *out) {
    for (int64_t at = 0; at < n; at += FZK_PANEL) {
        int64_t width = fzi_min_i64(n - at, FZK_PANEL);
        for (int64_t i = 0; i < k; i++, out += FZK_PANEL) {
            for (int64_t j = 0; j < width; j++) out[j] = w[(at + j) * k + i];
            for (int64_t j = width; j < FZK_PANEL; j++) out[j] = 0;
        }
    }
}

void fzi_rnn_pack_direction(const struct fz_rnn_sizes *s, const float *w, const float *r,
                            float *packed_w, float *packed_r) {
    int64_t n = s->hidden, first = s->gates == FZ_RNN_GATES_GRU ? 2 * n : s->columns;
    pack(w, s->columns, s->input, packed_w);
    pack(r, first, n, packed_r);
    if (first < s->columns)
        pack(r + first * n, n, n, packed_r + fzi_ceil_div(first, FZK_PANEL) * FZK_PANEL * n);
}

fz_status_t fzi_rnn_pack(struct fz_graph *graph, const struct fz_value *w, const struct fz_value *r,
                         const struct fz_rnn_params *params, struct fz_rnn_params *packed_params,
                         struct fz_value **packed_w, struct fz_value **packed_r) {
    const int64_t *wd = w->t.dims, *rd = r->t.dims;
    if (w->t.rank != 3 || r->t.rank != 3 || w->t.dtype != FZ_TYPE_F32 ||
        r->t.dtype != FZ_TYPE_F32 || wd[0] != params->directions || rd[0] != params->directions ||
        rd[2] < 1 || rd[2] >= 1 << 24 || wd[2] >= 1 << 24 || wd[1] != params->gates * rd[2] ||
        rd[1] != wd[1] || (params->hidden && params->hidden != rd[2]))
        return fzi_error(FZ_E_SHAPE, "'%s' and '%s' are no weights of a recurrent operator",
                         w->name, r->name);
    struct fz_rnn_sizes s = {.input = wd[2], .hidden = rd[2], .dirs = wd[0],
                             .gates = params->gates};
    fzi_rnn_count_panels(&s);
    *packed_params = *params;
    packed_params->hidden = s.hidden;
    packed_params->input = s.input;
    const int64_t dims_w[] = {s.dirs, s.w_panels, s.input, FZK_PANEL};
    const int64_t dims_r[] = {s.dirs, s.r_panels, s.hidden, FZK_PANEL};
    *packed_w = fzi_graph_new_constant(graph, w->name, FZ_TYPE_F32, 4, dims_w);
    *packed_r = fzi_graph_new_constant(graph, r->name, FZ_TYPE_F32, 4, dims_r);
    if (!*packed_w || !*packed_r) return fzi_error(FZ_E_NOMEM, "no memory to pack '%s'", w->name);
    for (int64_t d = 0; d < s.dirs; d++)
        fzi_rnn_pack_direction(
            &s, (const float *)w->t.data + d * s.columns * s.input,
            (const float *)r->t.data + d * s.columns * s.hidden,
            (float *)(*packed_w)->t.data + d * s.w_panels * s.input * FZK_PANEL,
            (float *)(*packed_r)->t.data + d * s.r_panels * s.hidden * FZK_PANEL);
    return FZ_OK;
}

static const float *data(const struct fz_call *call, uint32_t i) {
    return i < call->n_in && call->in[i] ? call->in[i]->data : NULL;
}

static float *result(const struct fz_call *call, uint32_t i) {
    return i < call->n_out && call->out[i] ? call->out[i]->data : NULL;
}

/* Scratch in floats: lengths (two floats each), bias, W and R unless packed, the products of W, and
 * the state of the batch. */
struct layout {
    int64_t bias, w, r, gx, gates, h, c, t, u, size;
};

/* Gaps of 64 bytes keep the parts apart from each other's cache lines. */
static struct layout lay_out(const struct fz_op *op, const struct fz_rnn_sizes *s) {
    struct layout l;
    bool frozen = op->kind >= FZ_RNN_FROZEN;
    l.bias = 2 * s->batch + 16;
    l.w = l.bias + s->columns + 16;
    l.r = l.w + (frozen ? 0 : s->w_panels * s->input * FZK_PANEL + 16);
    l.gx = l.r + (frozen ? 0 : s->r_panels * s->hidden * FZK_PANEL + 16);
    l.gates = l.gx + s->steps * s->batch * s->columns + 16;
    l.h = l.gates + s->batch * s->columns + 16;
    l.c = l.h + s->batch * s->hidden + 16;
    l.t = l.c + s->batch * s->hidden + 16;
    l.u = l.t + s->batch * s->hidden + 16;
    l.size = l.u + s->batch * s->hidden + 16;
    return l;
}

/* Multiply-accumulates of a direction that are worth a thread of their own: some 10 us. */
enum { DIRECTION_MACS = 100000 };

/* True if the two directions go side by side. A batch is shared by the threads instead. */
static bool side_by_side(const struct fz_call *call, const struct fz_rnn_sizes *s) {
    double macs = (double)s->steps * (double)s->batch * (double)s->columns *
                  (double)(s->input + s->hidden);
    return s->dirs == 2 && call->env->threads > 1 && s->batch < 4 && macs > DIRECTION_MACS;
}

/* The frozen forms need no room for packed weights. Directions side by side have scratch memory of
 * their own, but for the lengths. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_rnn_sizes s = fzi_rnn_measure(op, call);
    if (call->in[0]->dtype == FZ_TYPE_F64) return fzi_rnn_scratch_f64(&s);
    return (size_t)lay_out(op, &s).size * sizeof(float) * (side_by_side(call, &s) ? 2 : 1);
}

/* Lengths are values, so they are checked where they are read. */
fz_status_t fzi_rnn_lengths(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            const struct fz_rnn_sizes *s, int64_t *lens) {
    const fz_tensor_t *t = call->n_in > i ? call->in[i] : NULL;
    for (int64_t b = 0; b < s->batch; b++) {
        lens[b] = t ? fzi_tensor_int(t, b) : s->steps;
        if (lens[b] < 0 || lens[b] > s->steps)
            return fzi_error(FZ_E_VALUE, "%s: row %lld is %lld steps long, not 0 to %lld", op->name,
                             (long long)b, (long long)lens[b], (long long)s->steps);
    }
    return FZ_OK;
}

/* Wb + Rb; but Rb of GRU's candidate stays apart with linear_before_reset. */
static const float *sum_bias(const struct fz_rnn_params *p, const struct fz_rnn_sizes *s,
                             const float *b, float *out) {
    if (!b) return NULL;
    int64_t until = p->gates == FZ_RNN_GATES_GRU && p->linear_before_reset ? 2 * s->hidden
                                                                           : s->columns;
    for (int64_t i = 0; i < s->columns; i++)
        out[i] = i < until ? b[i] + b[s->columns + i] : b[i];
    return out;
}

/* State of direction D from the initial values, or to the last ones. */
static void copy_state(const struct fz_rnn_params *p, const struct fz_rnn_sizes *s, int64_t d,
                       const float *from, float *to, bool out) {
    size_t size = (size_t)s->hidden * sizeof(float);
    if (out && !to) return;
    for (int64_t b = 0; b < s->batch; b++) {
        int64_t at = (p->layout ? b * s->dirs + d : d * s->batch + b) * s->hidden;
        if (out) memcpy(to + at, from + b * s->hidden, size);
        else if (from) memcpy(to + b * s->hidden, from + at, size);
        else memset(to + b * s->hidden, 0, size);
    }
}

/* Batch rows of the same length go together. */
void fzi_rnn_range(void *arg, int64_t begin, int64_t end) {
    const struct fz_rnn_pass *pass = arg;
    for (int64_t b = begin, next; b < end; b = next) {
        for (next = b + 1; next < end && pass->lens[next] == pass->lens[b];) next++;
        fzi_rnn_rows(pass, b, next);
    }
}

/* Where time steps and batch rows lie in X and Y, for both layouts. */
static void set_order(struct fz_rnn_pass *pass) {
    const struct fz_rnn_sizes *s = &pass->s;
    bool batch_first = pass->p->layout;
    pass->t_step = batch_first ? 1 : s->batch;
    pass->b_step = batch_first ? s->steps : 1;
    pass->y_t = (batch_first ? 1 : s->batch) * s->dirs * s->hidden;
    pass->y_b = (batch_first ? s->steps * s->dirs : 1) * s->hidden;
}

/* Direction D: the weights, packed if they are not yet, the products of W, the time steps. BASE:
 * its scratch memory. */
static void run_direction(const struct fz_op *op, const struct fz_call *call,
                          const struct fz_env *env, const struct fz_rnn_sizes *s, int64_t d,
                          float *base) {
    const struct fz_rnn_params *p = call->params;
    struct layout l = lay_out(op, s);
    float *w = base + l.w, *r = base + l.r;
    int64_t w_size = s->w_panels * s->input * FZK_PANEL;
    int64_t r_size = s->r_panels * s->hidden * FZK_PANEL;
    const float *packed_w = data(call, 1) + d * w_size, *packed_r = data(call, 2) + d * r_size;
    if (op->kind < FZ_RNN_FROZEN) {
        fzi_rnn_pack_direction(s, data(call, 1) + d * s->columns * s->input,
                               data(call, 2) + d * s->columns * s->hidden, w, r);
        packed_w = w, packed_r = r;
    }
    const float *b = data(call, 3) ? data(call, 3) + d * 2 * s->columns : NULL;
    const float *peephole = p->gates == FZ_RNN_GATES_LSTM ? data(call, 7) : NULL;
    struct fz_product product = {
        .env = env, .m = s->steps * s->batch, .n = s->columns, .k = s->input, .batch = 1,
        .a = data(call, 0), .b = packed_w, .ahead = packed_r,
        .bias = sum_bias(p, s, b, base + l.bias), .c = base + l.gx};
    fzi_product_run(&product);
    struct fz_rnn_pass pass = {
        .k = env->k, .p = p, .s = *s, .act = p->act + 3 * d, .backwards = d || p->reverse,
        .r = packed_r, .r_bias = b ? b + s->columns + 2 * s->hidden : NULL,
        .peephole = peephole ? peephole + d * 3 * s->hidden : NULL, .gx = base + l.gx,
        .lens = call->scratch, .gates = base + l.gates, .h = base + l.h, .c = base + l.c,
        .t = base + l.t, .u = base + l.u, .y = result(call, 0)};
    set_order(&pass);
    if (pass.y) pass.y += d * (p->layout ? 1 : s->batch) * s->hidden;
    copy_state(p, s, d, data(call, 5), pass.h, false);
    copy_state(p, s, d, data(call, 6), pass.c, false);
    fzi_run_range(env, s->batch, 1 + 20000 / (s->steps * s->columns + 1), fzi_rnn_range,
                  &pass);
    copy_state(p, s, d, pass.h, result(call, 1), true);
    copy_state(p, s, d, pass.c, result(call, 2), true);
}

struct directions {
    const struct fz_op *op;
    const struct fz_call *call;
    const struct fz_rnn_sizes *s;
    struct fz_env env; /* of one thread */
};

static void direction_task(void *arg, size_t d) {
    const struct directions *both = arg;
    int64_t at = (int64_t)d * lay_out(both->op, both->s).size;
    run_direction(both->op, both->call, &both->env, both->s, (int64_t)d,
                  (float *)both->call->scratch + at);
}

/* Directions follow one another, and inside of one the batch is shared by the threads; or, with few
 * rows, each has a thread. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_rnn_sizes s = fzi_rnn_measure(op, call);
    FZ_TRY(fzi_rnn_lengths(op, call, 4, &s, call->scratch));
    if (call->in[0]->dtype == FZ_TYPE_F64) {
        fzi_rnn_run_f64(call, &s);
        return FZ_OK;
    }
    if (side_by_side(call, &s)) {
        struct directions both = {op, call, &s, *call->env};
        both.env.threads = 1;
        call->env->parallel(call->env, 2, direction_task, &both);
        return FZ_OK;
    }
    for (int64_t d = 0; d < s.dirs; d++) run_direction(op, call, call->env, &s, d, call->scratch);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct fz_rnn_sizes s = fzi_rnn_measure(op, call);
    return (uint64_t)(s.steps * s.batch) * (uint64_t)(s.dirs * s.columns) *
           (uint64_t)(s.input + s.hidden);
}

#define ACTS "activations activation_alpha activation_beta clip direction hidden_size layout"
#define ROW(NAME, DOMAIN, KIND, LOWER, INPUTS, OUTPUTS, ATTRS)                                     \
    {.name = NAME, .domain = DOMAIN, .since = 1, .rev = 1, .min_in = 3, .max_in = INPUTS,          \
     .min_out = 0, .max_out = OUTPUTS, .attrs = ACTS " " ATTRS,                                    \
     .params_size = sizeof(struct fz_rnn_params), .kind = KIND, .lower = LOWER,                    \
     .infer = fzi_rnn_infer, .scratch = scratch, .run = run, .macs = macs}

const struct fz_op fz_ops_rnn[] = {
    ROW("RNN", "", FZ_RNN_GATES_RNN, lower_rnn, 6, 2, "output_sequence"),
    ROW("GRU", "", FZ_RNN_GATES_GRU, lower_gru, 6, 2, "linear_before_reset output_sequence"),
    ROW("LSTM", "", FZ_RNN_GATES_LSTM, lower_lstm, 8, 3, "input_forget output_sequence"),
    ROW("RNN", "frozen", FZ_RNN_FROZEN + FZ_RNN_GATES_RNN, lower_rnn, 6, 2, "input"),
    ROW("GRU", "frozen", FZ_RNN_FROZEN + FZ_RNN_GATES_GRU, lower_gru, 6, 2,
        "input linear_before_reset"),
    ROW("LSTM", "frozen", FZ_RNN_FROZEN + FZ_RNN_GATES_LSTM, lower_lstm, 8, 3,
        "input input_forget"),
    {0},
};
