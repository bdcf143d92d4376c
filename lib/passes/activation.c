/* Activations that exporters write as several nodes become one: x * sigmoid(x), the two Gelu forms,
 * the two HardSwish forms. */
#include "passes/passes.h"

/* The node that computes V from X by NAME, or NULL. */
static struct fz_node *of(const struct fz_value *v, const char *name, const struct fz_value *x) {
    struct fz_node *node = fzi_pass_from(v, name);
    return node && node->in[0] == x ? node : NULL;
}

/* V = X + C or X * C with a scalar constant C, in either order: X, else NULL. */
static struct fz_value *operand(const struct fz_value *v, const char *name, double *c) {
    struct fz_node *node = fzi_pass_from(v, name);
    return node ? fzi_pass_with_scalar(node, c) : NULL;
}

static bool is_scaled(const struct fz_value *v, const char *name, double c,
                      const struct fz_value *x) {
    double got;
    return operand(v, name, &got) == x && x && fzi_pass_close(got, c);
}

/* Bound I of CLIP: an input, or an attribute of old opsets. */
static bool clip_bound(const struct fz_node *clip, uint32_t i, const char *name, double *out) {
    if (fzi_in(clip, i)) return fzi_pass_scalar(clip->in[i], out);
    return fzi_attr(clip, name) && fzi_attr_float(clip, name, 0, out) == FZ_OK;
}

static bool is_third_of_six(const struct fz_value *v, const struct fz_value *x) {
    /* Clip(x + 3, 0, 6) */
    struct fz_node *clip = fzi_pass_from(v, "Clip");
    double low, high;
    if (!clip || !is_scaled(clip->in[0], "Add", 3, x)) return false;
    return clip_bound(clip, 1, "min", &low) && clip_bound(clip, 2, "max", &high) && low == 0 &&
           high == 6;
}

static bool is_hard_sigmoid(const struct fz_value *v, const struct fz_value *x) {
    struct fz_node *node = of(v, "HardSigmoid", x);
    double alpha, beta, c;
    if (node) {
        return fzi_attr_float(node, "alpha", 0.2f, &alpha) == FZ_OK &&
               fzi_attr_float(node, "beta", 0.5f, &beta) == FZ_OK &&
               fzi_pass_close(alpha, 1.0 / 6) && beta == 0.5;
    }
    struct fz_value *clipped = operand(v, "Div", &c);
    if (clipped && c == 6 && is_third_of_six(clipped, x)) return true;
    clipped = operand(v, "Mul", &c);
    return clipped && fzi_pass_close(c, 1.0 / 6) && is_third_of_six(clipped, x);
}

/* Erf(x / sqrt 2) + 1 */
static bool is_erf_part(const struct fz_value *v, const struct fz_value *x) {
    double one;
    struct fz_value *e = operand(v, "Add", &one);
    struct fz_node *erf = fzi_pass_from(e, "Erf");
    if (!erf || one != 1) return false;
    return is_scaled(erf->in[0], "Div", 1.41421356, x) ||
           is_scaled(erf->in[0], "Mul", 0.70710678, x);
}

/* Tanh(sqrt(2 / pi) * (x + 0.044715 x^3)) + 1 */
static bool is_tanh_part(const struct fz_value *v, const struct fz_value *x) {
    double c;
    struct fz_node *tanh = fzi_pass_from(operand(v, "Add", &c), "Tanh");
    if (!tanh || c != 1) return false;
    struct fz_node *sum = fzi_pass_from(operand(tanh->in[0], "Mul", &c), "Add");
    if (!sum || !fzi_pass_close(c, 0.79788456)) return false;
    struct fz_value *cube = sum->in[0] == x ? sum->in[1] : sum->in[1] == x ? sum->in[0] : NULL;
    struct fz_value *power = cube ? operand(cube, "Mul", &c) : NULL;
    if (!power || !fzi_pass_close(c, 0.044715)) return false;
    struct fz_node *pow = of(power, "Pow", x);
    return pow && fzi_pass_scalar(pow->in[1], &c) && c == 3;
}

enum form { NONE, SWISH, HARD_SWISH, GELU, GELU_TANH };

/* What A * B is, with *X set. */
static enum form recognise(const struct fz_value *a, const struct fz_value *b,
                           struct fz_value **x) {
    double half;
    *x = (struct fz_value *)a;
    if (of(b, "Sigmoid", a)) return SWISH;
    if (is_hard_sigmoid(b, a)) return HARD_SWISH;
    /* (x * part) * 0.5: one factor is the constant. */
    bool keeps_rank = b->t.rank == 0 || b->t.rank <= a->t.rank;
    if (keeps_rank && fzi_pass_scalar(b, &half) && half == 0.5) {
        struct fz_node *mul = fzi_pass_from(a, "Mul");
        for (int i = 0; mul && mul->n_in == 2 && i < 2; i++) {
            *x = mul->in[i];
            if (is_erf_part(mul->in[1 - i], *x)) return GELU;
            if (is_tanh_part(mul->in[1 - i], *x)) return GELU_TANH;
        }
    }
    /* (x * 0.5) * part, x * (part * 0.5) */
    struct fz_value *inner = operand(a, "Mul", &half);
    if (inner && half == 0.5) {
        *x = inner;
        if (is_erf_part(b, inner)) return GELU;
        if (is_tanh_part(b, inner)) return GELU_TANH;
    }
    inner = operand(b, "Mul", &half);
    *x = (struct fz_value *)a;
    if (inner && half == 0.5) {
        if (is_erf_part(inner, a)) return GELU;
        if (is_tanh_part(inner, a)) return GELU_TANH;
    }
    return NONE;
}

/* (x * Clip(x + 3, 0, 6)) / 6 */
static struct fz_value *divided_hard_swish(const struct fz_node *node) {
    double c;
    bool div = fzi_pass_is(node, "Div"), mul = fzi_pass_is(node, "Mul");
    if (!div && !mul) return NULL;
    struct fz_value *v = fzi_pass_with_scalar(node, &c);
    if (!v || (div && (node->in[0] != v || c != 6)) || (mul && !fzi_pass_close(c, 1.0 / 6)))
        return NULL;
    struct fz_node *product = fzi_pass_from(v, "Mul");
    for (int i = 0; product && i < 2; i++)
        if (is_third_of_six(product->in[1 - i], product->in[i])) return product->in[i];
    return NULL;
}

static fz_status_t put(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                       enum form form, struct fz_value *x) {
    static const char *const names[] = {[SWISH] = "Swish", [HARD_SWISH] = "HardSwish",
                                        [GELU] = "Gelu", [GELU_TANH] = "Gelu"};
    struct fz_attr tanh = {.name = "approximate", .kind = FZ_ATTR_STRING, .s = "tanh", .n = 4};
    struct fz_node *made = fzi_pass_make(pass, graph, node, "", names[form], node->name, &tanh,
                                         form == GELU_TANH, &x, 1, 1);
    if (!made) return FZ_E_NOMEM;
    made->out[0]->t = node->out[0]->t;
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_activation(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        struct fz_value *x = divided_hard_swish(node);
        enum form form = x ? HARD_SWISH : NONE;
        if (!form && fzi_pass_is(node, "Mul")) {
            form = recognise(node->in[0], node->in[1], &x);
            if (!form) form = recognise(node->in[1], node->in[0], &x);
        }
        if (form && x->t.dtype == FZ_TYPE_F32) FZ_TRY(put(pass, graph, node, form, x));
    }
    return FZ_OK;
}
