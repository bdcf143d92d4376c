/* From an integer product with constant weights to the inputs and params of its packed form. */
#include "passes/packed.h"

/* A scalar constant's value, or 0 for none. */
static int64_t number(const struct fz_value *v) { return v ? fzi_tensor_int(&v->t, 0) : 0; }

static struct fz_value *input(const struct fz_node *node, int8_t i) {
    return i < 0 ? NULL : fzi_in(node, (uint32_t)i);
}

/* m = (x_scale * w_scale) / y_scale per channel, each step rounded to binary32. */
static fz_status_t multipliers(struct fz_graph *graph, const struct fz_node *node,
                               const struct fz_integer_inputs *at, int64_t n,
                               struct fz_value **out) {
    const struct fz_value *x = input(node, at->x_scale), *w = input(node, at->w_scale);
    const struct fz_value *y = input(node, at->y_scale);
    int64_t n_w = fzi_tensor_count(&w->t);
    *out = fzi_graph_new_constant(graph, w->name, FZ_TYPE_F32, 1, &n);
    if (!*out) return fzi_error(FZ_E_NOMEM, "no memory for scales");
    for (int64_t i = 0; i < n; i++) {
        float product = *(const float *)x->t.data * ((const float *)w->t.data)[n_w > 1 ? i : 0];
        ((float *)(*out)->t.data)[i] = product / *(const float *)y->t.data;
    }
    return FZ_OK;
}

/* A scale of one element as a scalar, of N as a row. */
static struct fz_value *as_row(struct fz_graph *graph, struct fz_value *v) {
    fz_tensor_t t = v->t;
    int64_t n = fzi_tensor_count(&t);
    fzi_shape_set(&t, n == 1 ? 0 : 1, &n);
    return fzi_graph_constant(graph, v->name, &t);
}

static bool is_ready(const struct fz_node *node, const struct fz_integer_inputs *at,
                     enum fz_integer_form form) {
    const struct fz_value *x = input(node, at->x), *w = input(node, at->w);
    const struct fz_value *zero = input(node, at->w_zero), *bias = input(node, at->bias);
    if (!fzi_is_constant(w) || w->t.size == 0 || (zero && !fzi_is_constant(zero))) return false;
    if (x->t.dtype != FZ_TYPE_U8 && x->t.dtype != FZ_TYPE_I8) return false;
    if (bias && !fzi_is_constant(bias)) return false;
    if (form == FZ_INTEGER_FLOAT) return fzi_is_constant(input(node, at->w_scale));
    if (form == FZ_INTEGER_PLAIN) return true;
    return fzi_is_constant(input(node, at->x_scale)) && fzi_is_constant(input(node, at->w_scale)) &&
           fzi_is_constant(input(node, at->y_scale)) && fzi_is_constant(input(node, at->y_zero));
}

fz_status_t fzi_pass_pack(struct fz_graph *graph, const struct fz_node *node, bool conv, int64_t n,
                          struct fz_packed_params *p, struct fz_value **in, bool *ready) {
    const struct fz_integer_inputs *at =
        conv ? &fzi_conv_inputs[node->op->kind] : &fzi_matmul_inputs[node->op->kind];
    enum fz_integer_form form = fzi_integer_form(node->op);
    const struct fz_integer_params *own = node->params; /* first member in all forms */
    *ready = is_ready(node, at, form);
    if (!*ready) return FZ_OK;
    struct fz_value *x = input(node, at->x), *y_zero = input(node, at->y_zero);
    p->x_signed = x->t.dtype == FZ_TYPE_I8;
    p->out.kind = form == FZ_INTEGER_PLAIN     ? FZK_QOUT_I32
                  : form == FZ_INTEGER_QLINEAR ? FZK_QOUT_8
                                               : FZK_QOUT_F32;
    in[FZ_Q_X] = x;
    in[FZ_Q_XZERO] = input(node, at->x_zero);
    in[FZ_Q_BIAS] = input(node, at->bias);
    if (form == FZ_INTEGER_FLOAT) {
        in[FZ_Q_SCALE] = as_row(graph, input(node, at->w_scale));
        in[FZ_Q_XSCALE] = input(node, at->x_scale);
        return in[FZ_Q_SCALE] ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for scales");
    }
    if (form == FZ_INTEGER_PLAIN) return FZ_OK;
    p->y_signed = y_zero->t.dtype == FZ_TYPE_I8;
    p->y_zero = number(y_zero);
    p->out.low = fzi_max_i64(own->low, fzi_quant_low(y_zero->t.dtype));
    p->out.high = fzi_min_i64(own->high, fzi_quant_high(y_zero->t.dtype));
    return multipliers(graph, node, at, n, &in[FZ_Q_SCALE]);
}
