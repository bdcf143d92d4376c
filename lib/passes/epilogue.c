/* What follows a convolution or a product moves into it: bias, residual, activation. */
#include "passes/passes.h"

#include "ops/act.h"
#include "ops/conv.h"
#include "ops/integer.h"
#include "ops/matmul.h"
#include "ops/narrow.h"

/* Integer products that end in float take a residual and a clamp. */
static struct fz_packed_params *packed_of(struct fz_node *node) {
    if (!fzi_pass_is_frozen(node, "QConv") && !fzi_pass_is_frozen(node, "QMatMul")) return NULL;
    struct fz_packed_params *p = node->params;
    return p->out.kind == FZK_QOUT_F32 ? p : NULL;
}

static uint32_t bias_at(struct fz_node *node) { return packed_of(node) ? FZ_Q_BIAS : 2; }
static uint32_t residual_at(struct fz_node *node) { return packed_of(node) ? FZ_Q_RESIDUAL : 3; }

static bool is_matmul(const struct fz_node *node) {
    return fzi_pass_is_frozen(node, "MatMul") || fzi_pass_is_frozen(node, "SparseMatMul");
}

static struct fz_act *act_of(struct fz_node *node) {
    if (fzi_pass_is_frozen(node, "Conv") || fzi_pass_is_frozen(node, "ConvTranspose"))
        return &((struct fz_conv_params *)node->params)->act;
    if (is_matmul(node))
        return &((struct fz_frozen_matmul_params *)node->params)->act;
    if (fzi_pass_is_frozen(node, "MatMulNarrow"))
        return &((struct fz_narrow_params *)node->params)->act;
    return NULL;
}

/* True if an activation has been taken in already. */
static bool has_act(struct fz_node *node) {
    const struct fz_packed_params *p = packed_of(node);
    return p ? p->out.clip != 0 : act_of(node)->kind != FZ_ACT_NONE;
}

/* Takes ACT in if NODE knows it. */
static bool set_act(struct fz_node *node, const struct fz_act *act) {
    struct fz_packed_params *p = packed_of(node);
    if (!p) {
        int64_t round = act_of(node)->round;
        *act_of(node) = *act;
        act_of(node)->round = round;
        return true;
    }
    if (act->kind != FZ_ACT_CLIP) return false;
    p->out.clip = 1;
    p->out.a = act->a;
    p->out.b = act->b;
    return true;
}

static int64_t columns_of(struct fz_node *node) {
    if (packed_of(node)) return packed_of(node)->n;
    if (is_matmul(node))
        return ((const struct fz_frozen_matmul_params *)node->params)->n;
    if (fzi_pass_is_frozen(node, "MatMulNarrow"))
        return ((const struct fz_narrow_params *)node->params)->n;
    return ((const struct fz_conv_params *)node->params)->cout;
}

static fz_status_t set_input(struct fz_graph *graph, struct fz_node *node, uint32_t i,
                             struct fz_value *v) {
    if (i >= node->n_in) {
        struct fz_value **in = fzi_arena_array(graph->arena, i + 1, sizeof *in);
        if (!in) return fzi_error(FZ_E_NOMEM, "no memory for inputs");
        for (uint32_t j = 0; j < node->n_in; j++) in[j] = node->in[j];
        node->in = in;
        node->n_in = i + 1;
    }
    node->in[i] = v;
    return FZ_OK;
}

/* NODE takes over READER's place and output. */
static void absorb(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                   struct fz_node *reader) {
    fzi_graph_move(graph, node, reader);
    node->out[0]->n_uses = reader->out[0]->n_uses;
    node->out[0]->t = reader->out[0]->t;
    struct fz_node *last = reader->out[0]->reader;
    fzi_pass_replace(pass, graph, reader->out[0], node->out[0]);
    node->out[0]->reader = last;
    fzi_graph_remove(graph, reader);
}

/* True if C adds one number per channel of Y: a constant row of N, whatever ones stand before, if
 * there are not so many that the sum would have more dimensions than Y. */
static bool is_bias(const struct fz_value *c, const struct fz_value *y, int64_t n) {
    return fzi_is_constant(c) && c->t.dtype == FZ_TYPE_F32 && c->t.rank > 0 &&
           (c->t.rank == 1 || c->t.rank <= y->t.rank) && c->t.dims[c->t.rank - 1] == n &&
           fzi_tensor_count(&c->t) == n;
}

static fz_status_t add_bias(struct fz_graph *graph, struct fz_node *node,
                            const struct fz_value *c) {
    fz_tensor_t t = c->t;
    int64_t n = fzi_tensor_count(&t);
    fzi_shape_set(&t, 1, &n);
    struct fz_value *row = fzi_graph_constant(graph, c->name, &t);
    if (!row) return fzi_error(FZ_E_NOMEM, "no memory for a bias");
    return set_input(graph, node, bias_at(node), row);
}

/* An Add behind NODE: a bias or a residual. */
static fz_status_t try_add(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                           struct fz_node *reader, bool *done) {
    struct fz_value *y = node->out[0];
    struct fz_value *other = reader->in[0] == y ? reader->in[1] : reader->in[0];
    if (has_act(node) || fzi_in(node, residual_at(node))) return FZ_OK;
    if (is_bias(other, y, columns_of(node)) && !fzi_in(node, bias_at(node))) {
        FZ_TRY(add_bias(graph, node, other));
    } else if (!fzi_is_constant(other) && other->t.dtype == FZ_TYPE_F32 && other != y &&
               fzi_shape_equal(&other->t, &y->t)) {
        FZ_TRY(set_input(graph, node, residual_at(node), other));
        if (other->reader == reader) other->reader = node;
    } else {
        return FZ_OK;
    }
    absorb(pass, graph, node, reader);
    *done = true;
    return FZ_OK;
}

static bool limit(const struct fz_node *node, uint32_t i, const char *attr, double def,
                  double *out) {
    *out = def;
    if (fzi_in(node, i)) return fzi_pass_scalar(node->in[i], out);
    return fzi_attr_float(node, attr, (float)def, out) == FZ_OK;
}

/* The activation that READER is, if it is one of those with an epilogue. */
static bool recognise(const struct fz_node *reader, struct fz_act *act) {
    static const struct {
        const char *name;
        int64_t kind;
    } plain[] = {{"Sigmoid", FZ_ACT_SIGMOID},
                 {"HardSwish", FZ_ACT_HARD_SWISH},
                 {"Tanh", FZ_ACT_TANH}};
    *act = (struct fz_act){0};
    for (size_t i = 0; i < FZ_COUNT(plain); i++)
        if (fzi_pass_is(reader, plain[i].name)) {
            act->kind = plain[i].kind;
            return true;
        }
    if (fzi_pass_is(reader, "Relu")) {
        *act = (struct fz_act){.kind = FZ_ACT_CLIP, .b = __builtin_inf()};
        return true;
    }
    if (fzi_pass_is(reader, "Clip")) {
        /* A bound that is absent is none; before opset 11 it is the largest number. */
        double far = reader->op->until ? (double)__FLT_MAX__ : __builtin_inf();
        act->kind = FZ_ACT_CLIP;
        return limit(reader, 1, "min", -far, &act->a) && limit(reader, 2, "max", far, &act->b);
    }
    if (fzi_pass_is(reader, "LeakyRelu")) {
        act->kind = FZ_ACT_LEAKY_RELU;
        return fzi_attr_float(reader, "alpha", 0.01f, &act->a) == FZ_OK;
    }
    if (fzi_pass_is(reader, "Swish")) {
        double alpha;
        act->kind = FZ_ACT_SILU;
        return fzi_attr_float(reader, "alpha", 1, &alpha) == FZ_OK && alpha == 1;
    }
    if (fzi_pass_is(reader, "Gelu")) {
        const struct fz_attr *form = fzi_attr(reader, "approximate");
        bool tanh = form && form->kind == FZ_ATTR_STRING && strcmp(form->s, "tanh") == 0;
        act->kind = tanh ? FZ_ACT_GELU_TANH : FZ_ACT_GELU;
        return true;
    }
    return false;
}

/* y = HardSwish(x) * a + b behind NODE, as PP-OCR's nets have it: two readers at once, for without
 * its sum a product has no form of its own. */
static void try_affine(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                       struct fz_node *mul, bool *done) {
    struct fz_act *act = act_of(node);
    struct fz_node *add = fzi_value_reader(mul->out[0]);
    double a, b;
    if (!act || act->kind != FZ_ACT_HARD_SWISH || act->round) return;
    if (!add || !fzi_pass_is(add, "Add")) return;
    if (fzi_pass_with_scalar(mul, &a) != node->out[0] ||
        fzi_pass_with_scalar(add, &b) != mul->out[0] || add->out[0]->graph != graph)
        return;
    *act = (struct fz_act){.kind = FZ_ACT_HARD_SWISH_AFFINE, .a = a, .b = b};
    absorb(pass, graph, node, mul);
    absorb(pass, graph, node, add);
    *done = true;
}

/* True if NODE's sums can be rounded one by one. */
static bool knows_rounding(const struct fz_node *node) {
    if (fzi_pass_is_frozen(node, "MatMul"))
        return !((const struct fz_frozen_matmul_params *)node->params)->blas;
    if (fzi_pass_is_frozen(node, "Conv"))
        return !((const struct fz_conv_params *)node->params)->blas;
    return fzi_pass_is_frozen(node, "MatMulNarrow");
}

/* Where NODE would round what it makes now: FZK_ROUND_ bits without a type; 0: nowhere. */
static int64_t rounding_stage(struct fz_node *node) {
    if (act_of(node)->kind == FZ_ACT_CLIP) return 0;
    if (has_act(node)) return FZ_ACT_ROUND;
    if (fzi_in(node, residual_at(node))) return FZK_ROUND_RESIDUAL;
    return fzi_in(node, bias_at(node)) ? FZK_ROUND_BIAS : FZK_ROUND_SUM;
}

/* Where NODE, an elementwise operator, is told to round; NULL: it cannot. */
static int64_t *rounding_of(const struct fz_node *node) {
    size_t at = node->op->round_at;
    return at ? (int64_t *)((char *)node->params + at) : NULL;
}

/* A frozen.RoundHalf behind NODE. */
static void try_round(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                      struct fz_node *reader, bool *done) {
    int64_t type, stage = FZK_ROUND_TYPE;
    if (fzi_attr_int(reader, "round", 0, &type) != FZ_OK) return;
    int64_t *round = rounding_of(node);
    if (!round && !knows_rounding(node)) return;
    if (!round) round = &act_of(node)->round;
    if (!node->op->round_at) stage = rounding_stage(node);
    if (!stage || *round & stage || (*round && (*round & FZK_ROUND_TYPE) != type)) return;
    *round |= type | (stage & ~(int64_t)FZK_ROUND_TYPE);
    absorb(pass, graph, node, reader);
    *done = true;
}

static fz_status_t grow(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    for (bool done = true; done;) {
        struct fz_node *reader = fzi_value_reader(node->out[0]);
        done = false;
        /* A Split, say, may have lost its first output. */
        bool here = reader && reader->out[0] && reader->out[0]->graph == graph;
        if (!here || node->out[0]->graph != graph) return FZ_OK;
        struct fz_act next;
        if (rounding_of(reader) && *rounding_of(reader)) return FZ_OK;
        if (fzi_pass_is_frozen(reader, "RoundHalf")) {
            try_round(pass, graph, node, reader, &done);
        } else if (node->op->round_at) {
            return FZ_OK;
        } else if (fzi_pass_is(reader, "Add")) {
            FZ_TRY(try_add(pass, graph, node, reader, &done));
        } else if (fzi_pass_is(reader, "Mul")) {
            try_affine(pass, graph, node, reader, &done);
        } else if (!has_act(node) && recognise(reader, &next) &&
                   reader->out[0]->t.dtype == FZ_TYPE_F32 && reader->in[0] == node->out[0] &&
                   set_act(node, &next)) {
            absorb(pass, graph, node, reader);
            done = true;
        }
    }
    return FZ_OK;
}

fz_status_t fzi_pass_epilogue(struct fz_pass *pass, struct fz_graph *graph) {
    fzi_graph_count_uses(pass->graph);
    /* A node that grows moves to where its last reader was, and what it absorbs goes: the walk goes
     * on behind where it has been. */
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        struct fz_node *before = node->prev;
        if (act_of(node) || packed_of(node) || node->op->round_at)
            FZ_TRY(grow(pass, graph, node));
        if (node->prev == before) next = node->next;
        else next = before ? before->next : graph->first;
    }
    return FZ_OK;
}
