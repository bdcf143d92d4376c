/* DynamicQuantizeLSTM of com.microsoft: an LSTM whose weights are bytes, and whose products
 * quantise the input and the state first.
 *
 * The input has one range, as DynamicQuantizeLinear gives it: its products are
 * MatMulIntegerToFloat. frozen.QLSTM goes through time with what they give. There each row of
 * the state has a range of its own at each step, so that rows of a batch do not change each
 * other. */
#include "ops/compose.h"
#include "ops/integer.h"
#include "ops/rnn.h"

/* Inputs of DynamicQuantizeLSTM. */
enum { X, W, R, BIAS, LENS, FIRST_H, FIRST_C, PEEPHOLE, W_SCALE, W_ZERO, R_SCALE, R_ZERO, INPUTS };

/* Inputs of frozen.QLSTM: the products of each direction, [steps, batch, 4 hidden], and the packed
 * weights of each. */
enum { Q_GX, Q_LENS = 2, Q_H, Q_C, Q_PEEPHOLE, Q_WEIGHTS, Q_INPUTS = Q_WEIGHTS + 8 };
enum { PACKED_W, PACKED_SUMS, PACKED_ZEROS, PACKED_SCALE, PACKED };

/* ---- in place of DynamicQuantizeLSTM */

/* Number D of the parts of constant V along its first dimension, without that dimension. */
static struct fz_value part_of(const struct fz_value *v, int64_t d, int64_t dirs) {
    struct fz_value part = *v;
    int64_t size = (int64_t)v->t.size / dirs;
    part.t.rank = v->t.rank - 1;
    memmove(part.t.dims, v->t.dims + 1, (size_t)part.t.rank * sizeof *part.t.dims);
    part.t.data = (char *)v->t.data + d * size;
    part.t.size = (size_t)size;
    return part;
}

/* V is a constant with RANK dims, the first of them DIRS, of COUNT numbers for each direction, or
 * of one if ONE. */
static bool fits(const struct fz_value *v, int32_t rank, int64_t dirs, int64_t count, bool one) {
    if (!fzi_is_constant(v) || v->t.rank < 1 || v->t.rank > rank || v->t.dims[0] != dirs)
        return false;
    int64_t n = fzi_tensor_count(&v->t) / dirs;
    return n == count || (one && n == 1);
}

static bool is_bytes(const struct fz_value *v) {
    return v->t.dtype == FZ_TYPE_I8 || v->t.dtype == FZ_TYPE_U8;
}

static fz_status_t check_weights(const struct fz_node *node, int64_t dirs) {
    const struct fz_value *w = node->in[W], *r = node->in[R];
    int64_t h = r->t.rank == 3 ? r->t.dims[1] : 0, columns = 4 * h;
    bool good = fzi_is_constant(w) && w->t.rank == 3 && w->t.dims[0] == dirs && h > 0 &&
                h < 1 << 24 && w->t.dims[2] == columns && fits(r, 3, dirs, h * columns, false) &&
                fits(node->in[W_SCALE], 2, dirs, columns, true) &&
                fits(node->in[W_ZERO], 2, dirs, columns, true) &&
                fits(node->in[R_SCALE], 2, dirs, columns, true) &&
                fits(node->in[R_ZERO], 2, dirs, columns, true) && is_bytes(w) && is_bytes(r) &&
                node->in[W_ZERO]->t.dtype == w->t.dtype &&
                node->in[R_ZERO]->t.dtype == r->t.dtype &&
                node->in[R_SCALE]->t.dtype == FZ_TYPE_F32;
    if (good) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: weights, scales and zero points must be constants of "
                     "fitting shapes", node->type);
}

static struct fz_value *pick(struct fz_compose *e, uint32_t i, int64_t d) {
    return fzi_compose_pick(e, e->node->in[i], d);
}

/* Wb + Rb of direction D. */
static struct fz_value *bias_of(struct fz_compose *e, int64_t d) {
    if (!fzi_in(e->node, BIAS)) return NULL;
    struct fz_node *halves = fzi_compose_node(
        e, "", "Split", FZ_COMPOSE_OPSET, FZ_IN(pick(e, BIAS, d)), 2,
        FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0), FZ_ATTR_OF_INT("num_outputs", 2)));
    if (!halves) return NULL;
    return fzi_compose(e, "Add", FZ_IN(halves->out[0], halves->out[1]), FZ_NO_ATTRS);
}

/* The products of all steps with W, and the bias. */
static struct fz_value *input_products(struct fz_compose *e, const struct fz_node *x, int64_t d) {
    struct fz_value *scale = pick(e, W_SCALE, d), *zero = pick(e, W_ZERO, d);
    struct fz_node *made = fzi_compose_node(
        e, "com.microsoft", "MatMulIntegerToFloat", 1,
        FZ_IN(x->out[0], pick(e, W, d), x->out[1], scale, x->out[2], zero, bias_of(e, d)), 1,
        FZ_NO_ATTRS);
    return made ? made->out[0] : NULL;
}

/* Constant inputs for direction D, at TO. */
static void pack(struct fz_compose *e, int64_t d, int64_t dirs, struct fz_value **to) {
    const struct fz_node *node = e->node;
    struct fz_graph *graph = e->lower->graph;
    struct fz_value r = part_of(node->in[R], d, dirs), zero = part_of(node->in[R_ZERO], d, dirs);
    struct fz_value scale = part_of(node->in[R_SCALE], d, dirs), *packed[FZ_Q_INPUTS] = {0};
    struct fz_packed_params p = {0};
    int64_t n = fzi_tensor_count(&scale.t);
    if (e->status != FZ_OK) return;
    fzi_compose_fail(e, fzi_qmatmul_pack(graph, &r, false, &zero, &p, packed));
    to[PACKED_W] = packed[FZ_Q_W];
    to[PACKED_SUMS] = packed[FZ_Q_SUMS];
    to[PACKED_ZEROS] = packed[FZ_Q_WZERO];
    to[PACKED_SCALE] = fzi_graph_new_constant(graph, node->name, FZ_TYPE_F32, 1, &n);
    if (!to[PACKED_SCALE]) {
        fzi_compose_fail(e, fzi_error(FZ_E_NOMEM, "no memory for scales"));
        return;
    }
    memcpy(to[PACKED_SCALE]->t.data, scale.t.data, (size_t)n * sizeof(float));
}

static fz_status_t compose(struct fz_lower *lower, struct fz_node *node) {
    static const char *const names[] = {"activation_alpha", "activation_beta", "activations",
                                        "clip", "direction", "input_forget"};
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value *in[Q_INPUTS] = {0};
    struct fz_attr attrs[FZ_COUNT(names) + 1];
    size_t n = 0;
    fzi_compose_need(&e, 1 << X | 1 << W | 1 << R | 1 << W_SCALE | 1 << W_ZERO | 1 << R_SCALE |
                             1 << R_ZERO);
    FZ_TRY(e.status);
    int64_t dirs = node->in[R]->t.rank == 3 && node->in[R]->t.dims[0] == 2 ? 2 : 1;
    FZ_TRY(check_weights(node, dirs));
    struct fz_node *x = fzi_compose_node(&e, "", "DynamicQuantizeLinear", FZ_COMPOSE_OPSET,
                                         FZ_IN(node->in[X]), 3, FZ_NO_ATTRS);
    for (int64_t d = 0; x && d < dirs; d++) {
        in[Q_GX + d] = input_products(&e, x, d);
        pack(&e, d, dirs, in + Q_WEIGHTS + d * PACKED);
    }
    for (uint32_t i = 0; i < 4; i++) in[Q_LENS + i] = fzi_in(node, LENS + i);
    for (size_t i = 0; i < FZ_COUNT(names); i++) fzi_compose_keep(&e, names[i], attrs, &n);
    attrs[n++] = (struct fz_attr)FZ_ATTR_OF_INT("hidden_size", node->in[R]->t.dims[1]);
    struct fz_node *made = fzi_compose_node(&e, "frozen", "QLSTM", 1, in, Q_INPUTS, 3, attrs, n);
    for (uint32_t i = 0; made && i < 3; i++) e.out[i] = made->out[i];
    return fzi_compose_done(&e);
}

/* ---- frozen.QLSTM */

static fz_status_t lower_steps(struct fz_lower *lower, struct fz_node *node, void *params) {
    return fzi_rnn_lower(lower, node, FZ_RNN_GATES_LSTM, params);
}

static struct fz_rnn_sizes measure(const struct fz_call *call) {
    const struct fz_rnn_params *p = call->params;
    const fz_tensor_t *gx = call->in[Q_GX];
    struct fz_rnn_sizes s = {.steps = FZ_DIM_UNKNOWN, .batch = FZ_DIM_UNKNOWN, .input = 0,
                             .hidden = p->hidden, .dirs = p->directions, .gates = p->gates};
    if (gx->rank == 3) s.steps = gx->dims[0], s.batch = gx->dims[1];
    fzi_rnn_count_panels(&s);
    return s;
}

static const fz_tensor_t *packed_input(const struct fz_call *call, int64_t d, int64_t i) {
    int64_t at = Q_WEIGHTS + d * PACKED + i;
    return at < call->n_in ? call->in[at] : NULL;
}

static fz_status_t check_packed(const struct fz_op *op, const struct fz_call *call,
                                const struct fz_rnn_sizes *s, int64_t d) {
    uint32_t at = (uint32_t)(Q_WEIGHTS + d * PACKED);
    const int64_t w[] = {s->r_panels, fzi_ceil_div(s->hidden, FZK_QUAD), FZK_PANEL, FZK_QUAD};
    const int64_t sums = s->r_panels * FZK_PANEL;
    const fz_tensor_t *scale = packed_input(call, d, PACKED_SCALE);
    bool one = scale && scale->rank == 1 && scale->dims[0] == 1;
    const int64_t n_scale = one ? 1 : s->columns;
    for (int i = 0; i < PACKED; i++) {
        const fz_tensor_t *t = packed_input(call, d, i);
        if (i == PACKED_ZEROS ? !t || fzi_shape_known(t) : t && fzi_shape_known(t)) continue;
        return fzi_error(FZ_E_FORMAT, "%s: packed weights of unknown shape", op->name);
    }
    FZ_TRY(fzi_rnn_expect(op, call, at + PACKED_W, FZ_TYPE_I8, 4, w));
    FZ_TRY(fzi_rnn_expect(op, call, at + PACKED_SUMS, FZ_TYPE_I32, 1, &sums));
    FZ_TRY(fzi_rnn_expect(op, call, at + PACKED_ZEROS, FZ_TYPE_I32, 1, &s->columns));
    return fzi_rnn_expect(op, call, at + PACKED_SCALE, FZ_TYPE_F32, 1, &n_scale);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_rnn_params *p = call->params;
    FZ_TRY(fzi_rnn_check(op, p));
    if (p->layout || !call->in[Q_GX] || call->n_in < Q_WEIGHTS + PACKED ||
        (p->directions == 2) != (call->in[Q_GX + 1] != NULL))
        return fzi_error(FZ_E_FORMAT, "%s: an input is absent", op->name);
    FZ_TRY(fzi_integer_depth(op, FZ_TYPE_U8, FZ_TYPE_U8, p->hidden));
    struct fz_rnn_sizes s = measure(call);
    const int64_t gx[] = {s.steps, s.batch, s.columns}, state[] = {s.dirs, s.batch, s.hidden};
    const int64_t peephole[] = {s.dirs, 3 * s.hidden}, y[] = {s.steps, s.dirs, s.batch, s.hidden};
    FZ_TRY(fzi_rnn_expect(op, call, Q_GX, FZ_TYPE_F32, 3, gx));
    FZ_TRY(fzi_rnn_expect(op, call, Q_GX + 1, FZ_TYPE_F32, 3, gx));
    FZ_TRY(fzi_rnn_expect(op, call, Q_LENS, FZ_TYPE_I32, 1, &s.batch));
    FZ_TRY(fzi_rnn_expect(op, call, Q_H, FZ_TYPE_F32, 3, state));
    FZ_TRY(fzi_rnn_expect(op, call, Q_C, FZ_TYPE_F32, 3, state));
    FZ_TRY(fzi_rnn_expect(op, call, Q_PEEPHOLE, FZ_TYPE_F32, 2, peephole));
    for (int64_t d = 0; d < s.dirs; d++) FZ_TRY(check_packed(op, call, &s, d));
    if (s.steps >= 0 && s.batch >= 0 && !fzi_rnn_fits(&s))
        return fzi_error(FZ_E_SHAPE, "%s: the sequence is too large", op->name);
    fzi_infer_shape(call, 0, FZ_TYPE_F32, 4, y);
    fzi_infer_shape(call, 1, FZ_TYPE_F32, 3, state);
    fzi_infer_shape(call, 2, FZ_TYPE_F32, 3, state);
    return FZ_OK;
}

/* Scratch memory: the lengths, what a direction needs in floats, and the quantised state. */
struct layout {
    int64_t gates, h, c, t, scales, zeros, bytes; /* in floats, behind the lengths */
    size_t size;
};

/* Gaps of 64 bytes keep the parts apart from each other's cache lines. */
static struct layout lay_out(const struct fz_rnn_sizes *s) {
    struct layout l = {.gates = 2 * s->batch + 16};
    l.h = l.gates + s->batch * s->columns + 16;
    l.c = l.h + s->batch * s->hidden + 16;
    l.t = l.c + s->batch * s->hidden + 16;
    l.scales = l.t + s->batch * s->hidden + 16;
    l.zeros = l.scales + s->batch + 16;
    l.bytes = l.zeros + s->batch + 16;
    l.size = (size_t)(l.bytes + fzi_ceil_div(s->batch * s->hidden, 4) + 16) * sizeof(float);
    return l;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_rnn_sizes s = measure(call);
    (void)op;
    return lay_out(&s).size;
}

/* The first state of direction D, or zeros. */
static void begin_state(const struct fz_call *call, uint32_t i, const struct fz_rnn_sizes *s,
                        int64_t d, float *to) {
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    int64_t n = s->batch * s->hidden;
    if (t && n) memcpy(to, (const float *)t->data + d * n, (size_t)n * sizeof *to);
    else memset(to, 0, (size_t)n * sizeof *to);
}

static void end_state(const struct fz_call *call, uint32_t i, const struct fz_rnn_sizes *s,
                      int64_t d, const float *from) {
    int64_t n = s->batch * s->hidden;
    if (i >= call->n_out || !call->out[i] || !n) return;
    memcpy((float *)call->out[i]->data + d * n, from, (size_t)n * sizeof *from);
}

static void run_direction(const struct fz_call *call, const struct fz_rnn_sizes *s, int64_t d) {
    const struct fz_rnn_params *p = call->params;
    struct layout l = lay_out(s);
    float *base = call->scratch;
    const fz_tensor_t *zeros = packed_input(call, d, PACKED_ZEROS);
    const fz_tensor_t *scale = packed_input(call, d, PACKED_SCALE), *y = call->out[0];
    const fz_tensor_t *peephole = call->in[Q_PEEPHOLE];
    struct fz_rnn_bytes bytes = {
        .w = packed_input(call, d, PACKED_W)->data,
        .sums = packed_input(call, d, PACKED_SUMS)->data, .zeros = zeros ? zeros->data : NULL,
        .scale = scale->data, .n_scale = (int32_t)scale->dims[0],
        .h = (uint8_t *)(base + l.bytes), .h_scales = base + l.scales,
        .h_zeros = (int32_t *)(base + l.zeros)};
    struct fz_rnn_pass pass = {
        .k = call->env->k, .p = p, .s = *s, .act = p->act + 3 * d, .backwards = d || p->reverse,
        .bytes = &bytes, .gx = call->in[Q_GX + d]->data, .t_step = s->batch, .b_step = 1,
        .lens = call->scratch, .gates = base + l.gates, .h = base + l.h, .c = base + l.c,
        .t = base + l.t, .y_t = s->dirs * s->batch * s->hidden, .y_b = s->hidden};
    if (peephole) pass.peephole = (const float *)peephole->data + d * 3 * s->hidden;
    if (y) pass.y = (float *)y->data + d * s->batch * s->hidden;
    begin_state(call, Q_H, s, d, pass.h);
    begin_state(call, Q_C, s, d, pass.c);
    fzi_run_range(call->env, s->batch, 1 + 20000 / (s->steps * s->columns + 1), fzi_rnn_range,
                  &pass);
    end_state(call, 1, s, d, pass.h);
    end_state(call, 2, s, d, pass.c);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_rnn_sizes s = measure(call);
    FZ_TRY(fzi_rnn_lengths(op, call, Q_LENS, &s, call->scratch));
    for (int64_t d = 0; d < s.dirs && s.batch; d++) run_direction(call, &s, d);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct fz_rnn_sizes s = measure(call);
    (void)op;
    return (uint64_t)(s.steps * s.batch) * (uint64_t)(s.dirs * s.columns) * (uint64_t)s.hidden;
}

const struct fz_op fz_ops_dynamic_lstm[] = {
    {.name = "DynamicQuantizeLSTM", .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = 3,
     .max_in = INPUTS, .min_out = 0, .max_out = 3,
     .attrs = "activation_alpha activation_beta activations clip direction hidden_size "
              "input_forget", .compose = compose},
    {.name = "QLSTM", .domain = "frozen", .since = 1, .rev = 1, .min_in = 1,
     .max_in = Q_INPUTS, .min_out = 0, .max_out = 3,
     .attrs = "activation_alpha activation_beta activations clip direction hidden_size "
              "input_forget", .params_size = sizeof(struct fz_rnn_params),
     .kind = FZ_RNN_FROZEN + FZ_RNN_GATES_LSTM, .lower = lower_steps, .infer = infer,
     .scratch = scratch, .run = run, .macs = macs},
    {0},
};
