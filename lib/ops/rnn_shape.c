/* Attributes and shapes of LSTM, GRU and RNN. */
#include "ops/rnn.h"

struct function {
    const char *name;
    int64_t kind;
    int8_t numbers; /* 1: alpha; 2: alpha and beta */
    float alpha, beta;
};

static const struct function functions[] = {
    {"Sigmoid", FZK_FN_SIGMOID, 0, 0, 0},
    {"Tanh", FZK_FN_TANH, 0, 0, 0},
    {"Relu", FZK_FN_RELU, 0, 0, 0},
    {"Affine", FZK_FN_AFFINE, 2, 1, 0},
    {"LeakyRelu", FZK_FN_LEAKY_RELU, 1, 0.01f, 0},
    {"ThresholdedRelu", FZK_FN_THRESHOLDED_RELU, 1, 1, 0},
    {"ScaledTanh", FZK_FN_SCALED_TANH, 2, 1, 1},
    {"HardSigmoid", FZK_FN_HARD_SIGMOID, 2, 0.2f, 0.5f},
    {"Elu", FZK_FN_ELU, 1, 1, 0},
    {"Softsign", FZK_FN_SOFTSIGN, 0, 0, 0},
    {"Softplus", FZK_FN_SOFTPLUS, 0, 0, 0},
};

static char lower_case(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* ONNX writes names in one case; exporters do not. */
static bool named(const struct fz_string *text, const char *name) {
    if (text->size != strlen(name)) return false;
    for (size_t i = 0; i < text->size; i++)
        if (lower_case(text->text[i]) != lower_case(name[i])) return false;
    return true;
}

static const struct function *find_function(const struct fz_string *text) {
    for (size_t i = 0; i < FZ_COUNT(functions); i++)
        if (named(text, functions[i].name)) return &functions[i];
    return NULL;
}

/* How many activations a direction has, and the usual ones: sigmoid for gates, tanh for the
 * rest. */
static int64_t default_acts(int64_t gates, struct fz_rnn_act act[3]) {
    int64_t n = gates == FZ_RNN_GATES_LSTM ? 3 : gates == FZ_RNN_GATES_GRU ? 2 : 1;
    for (int64_t i = 0; i < 3; i++)
        act[i] = (struct fz_rnn_act){i == 0 && n > 1 ? FZK_FN_SIGMOID : FZK_FN_TANH, 0, 0};
    return n;
}

/* The lists of alphas and betas are used up by those activations that have such a number. */
static fz_status_t lower_acts(const struct fz_node *node, struct fz_rnn_params *p) {
    const float *alpha = NULL, *beta = NULL;
    size_t n_alpha = 0, n_beta = 0, a = 0, b = 0;
    int64_t n = default_acts(p->gates, p->act);
    default_acts(p->gates, p->act + 3);
    const struct fz_attr *attr = fzi_attr(node, "activations");
    FZ_TRY(fzi_attr_floats(node, "activation_alpha", &alpha, &n_alpha));
    FZ_TRY(fzi_attr_floats(node, "activation_beta", &beta, &n_beta));
    if (!attr) return FZ_OK;
    if (attr->kind != FZ_ATTR_STRINGS || attr->n != (size_t)(n * p->directions))
        return fzi_error(FZ_E_FORMAT, "attribute 'activations' does not have %lld names",
                         (long long)(n * p->directions));
    for (size_t i = 0; i < attr->n; i++) {
        const struct function *f = find_function(&attr->strings[i]);
        if (!f) return fzi_error(FZ_E_UNSUPPORTED, "activation '%.*s' is not known",
                                 (int)(attr->strings[i].size % 64), attr->strings[i].text);
        struct fz_rnn_act *act = &p->act[3 * (i / (size_t)n) + i % (size_t)n];
        *act = (struct fz_rnn_act){f->kind, (double)f->alpha, (double)f->beta};
        if (f->numbers >= 1 && a < n_alpha) act->alpha = (double)alpha[a++];
        if (f->numbers >= 2 && b < n_beta) act->beta = (double)beta[b++];
    }
    return FZ_OK;
}

fz_status_t fzi_rnn_lower(struct fz_lower *lower, struct fz_node *node, int64_t gates,
                          struct fz_rnn_params *p) {
    static const char *const names[] = {"forward", "reverse", "bidirectional", NULL};
    int64_t direction, unused;
    (void)lower;
    p->gates = gates;
    FZ_TRY(fzi_attr_choice(node, "direction", names, 0, &direction));
    p->reverse = direction == 1;
    p->directions = direction == 2 ? 2 : 1;
    FZ_TRY(fzi_attr_int(node, "hidden_size", 0, &p->hidden));
    FZ_TRY(fzi_attr_int(node, "input", 0, &p->input));
    FZ_TRY(fzi_attr_int(node, "layout", 0, &p->layout));
    FZ_TRY(fzi_attr_int(node, "output_sequence", 0, &unused)); /* opset 1: said by the outputs */
    FZ_TRY(fzi_attr_int(node, "linear_before_reset", 0, &p->linear_before_reset));
    FZ_TRY(fzi_attr_int(node, "input_forget", 0, &p->input_forget));
    p->linear_before_reset = p->linear_before_reset != 0;
    p->input_forget = p->input_forget != 0;
    FZ_TRY(fzi_attr_float(node, "clip", 0, &p->clip));
    p->has_clip = fzi_attr(node, "clip") && p->clip > 0;
    return lower_acts(node, p);
}

static bool is_frozen(const struct fz_op *op) { return op->kind >= FZ_RNN_FROZEN; }

/* Sizes are bounded so that products of two of them and of a panel fit 63 bits. */
fz_status_t fzi_rnn_check(const struct fz_op *op, const struct fz_rnn_params *p) {
    const int64_t limit = 1 << 24;
    bool good = p->gates == op->kind % FZ_RNN_FROZEN && p->hidden >= is_frozen(op) &&
                p->hidden < limit && p->input >= 0 && p->input < limit &&
                (p->directions == 1 || p->directions == 2) && (p->layout == 0 || p->layout == 1) &&
                (p->reverse == 0 || p->reverse == 1) && !(p->reverse && p->directions == 2);
    for (int i = 0; i < 6; i++)
        if (p->act[i].kind < 0 || p->act[i].kind >= FZK_FN_COUNT) good = false;
    if (!good) return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    return FZ_OK;
}

void fzi_rnn_count_panels(struct fz_rnn_sizes *s) {
    s->columns = s->gates * s->hidden;
    s->w_panels = s->r_panels = fzi_ceil_div(s->columns, FZK_PANEL);
    if (s->gates == FZ_RNN_GATES_GRU)
        s->r_panels = fzi_ceil_div(2 * s->hidden, FZK_PANEL) + fzi_ceil_div(s->hidden, FZK_PANEL);
}

struct fz_rnn_sizes fzi_rnn_measure(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_rnn_params *p = call->params;
    const fz_tensor_t *x = call->in[0], *r = call->in[2];
    struct fz_rnn_sizes s = {FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN, p->hidden,
                             p->directions, p->gates, 0, 0, 0};
    if (x->rank == 3) {
        s.steps = x->dims[p->layout ? 1 : 0];
        s.batch = x->dims[p->layout ? 0 : 1];
        s.input = x->dims[2];
    }
    if (!s.hidden && !is_frozen(op) && r->rank == 3) s.hidden = r->dims[2];
    if (s.hidden > 0) fzi_rnn_count_panels(&s);
    return s;
}

fz_status_t fzi_rnn_expect(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           int32_t dtype, int32_t rank, const int64_t *dims) {
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    char text[160];
    if (!t) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, i, 1ull << dtype));
    if (t->rank < 0) return FZ_OK;
    bool good = t->rank == rank;
    for (int32_t d = 0; good && d < rank; d++)
        if (t->dims[d] >= 0 && dims[d] >= 0 && t->dims[d] != dims[d]) good = false;
    if (good) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: input %u cannot be %s", op->name, i,
                     fzi_shape_text(t, text, sizeof text));
}

bool fzi_rnn_fits(const struct fz_rnn_sizes *s) {
    const int64_t rows[] = {s->steps + 64, s->batch + 64, s->hidden + 64, 64};
    const int64_t weights[] = {s->input + s->hidden + 64, s->hidden + 64, 64};
    int64_t n;
    if (!fzi_dims_count(rows, 0, 4, &n) || n > INT64_MAX >> 12) return false;
    return fzi_dims_count(weights, 0, 3, &n) && n <= INT64_MAX >> 12;
}

/* The dims of every input, in the order of ONNX's list. */
static fz_status_t check_inputs(const struct fz_op *op, const struct fz_call *call,
                                const struct fz_rnn_sizes *s) {
    const struct fz_rnn_params *p = call->params;
    int64_t rows = s->hidden > 0 ? s->columns : FZ_DIM_UNKNOWN, h = s->hidden;
    const int64_t w[] = {s->dirs, rows, s->input}, r[] = {s->dirs, rows, h};
    const int64_t packed_w[] = {s->dirs, s->w_panels, p->input, FZK_PANEL};
    const int64_t packed_r[] = {s->dirs, s->r_panels, h, FZK_PANEL};
    const int64_t bias[] = {s->dirs, rows < 0 ? rows : 2 * rows};
    const int64_t first[] = {p->layout ? s->batch : s->dirs, p->layout ? s->dirs : s->batch, h};
    const int64_t peephole[] = {s->dirs, h < 0 ? h : 3 * h};
    bool frozen = is_frozen(op);
    int32_t dtype = call->in[0]->dtype;
    FZ_TRY(fzi_rnn_expect(op, call, 1, dtype, frozen ? 4 : 3, frozen ? packed_w : w));
    FZ_TRY(fzi_rnn_expect(op, call, 2, dtype, frozen ? 4 : 3, frozen ? packed_r : r));
    FZ_TRY(fzi_rnn_expect(op, call, 3, dtype, 2, bias));
    FZ_TRY(fzi_rnn_expect(op, call, 4, FZ_TYPE_I32, 1, &s->batch));
    FZ_TRY(fzi_rnn_expect(op, call, 5, dtype, 3, first));
    FZ_TRY(fzi_rnn_expect(op, call, 6, dtype, 3, first));
    return fzi_rnn_expect(op, call, 7, dtype, 2, peephole);
}

/* What is not known yet is left out of the checks; run sees everything known. */
fz_status_t fzi_rnn_infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_rnn_params *p = call->params;
    const int64_t any[] = {-1, -1, -1};
    FZ_TRY(fzi_rnn_check(op, p));
    for (uint32_t i = 0; i < 3; i++)
        if (!call->in[i]) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | (is_frozen(op) ? 0 : FZ_T(F64))));
    int32_t dtype = call->in[0]->dtype;
    FZ_TRY(fzi_rnn_expect(op, call, 0, dtype, 3, any));
    struct fz_rnn_sizes s = fzi_rnn_measure(op, call);
    if (s.hidden == 0) return fzi_error(FZ_E_SHAPE, "%s: a hidden state of no elements", op->name);
    if (s.hidden < 0) s.hidden = FZ_DIM_UNKNOWN;
    if (is_frozen(op) && s.input >= 0 && s.input != p->input)
        return fzi_error(FZ_E_SHAPE, "%s: an input of %lld instead of %lld values", op->name,
                         (long long)s.input, (long long)p->input);
    FZ_TRY(check_inputs(op, call, &s));
    if (s.hidden > 0 && s.steps >= 0 && s.batch >= 0 && s.input >= 0 && !fzi_rnn_fits(&s))
        return fzi_error(FZ_E_SHAPE, "%s: the sequence is too large", op->name);
    const int64_t y[2][4] = {{s.steps, s.dirs, s.batch, s.hidden},
                             {s.batch, s.steps, s.dirs, s.hidden}};
    const int64_t last[2][3] = {{s.dirs, s.batch, s.hidden}, {s.batch, s.dirs, s.hidden}};
    fzi_infer_shape(call, 0, dtype, 4, y[p->layout]);
    fzi_infer_shape(call, 1, dtype, 3, last[p->layout]);
    fzi_infer_shape(call, 2, dtype, 3, last[p->layout]);
    return FZ_OK;
}
