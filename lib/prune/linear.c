/* Products with constant weights: finding them, reading their rows, summing. */
#include "prune/linear.h"

/* ---- description */

static bool is_weight(const struct fz_value *v, int32_t rank) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.rank == rank && v->t.size;
}

static bool is(const struct fz_node *node, const char *type) {
    return !*node->domain && strcmp(node->type, type) == 0;
}

/* How often nodes of GRAPH and its subgraphs read V. */
static uint32_t count_readers(const struct fz_graph *graph, const struct fz_value *v) {
    uint32_t n = 0;
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++) n += node->in[i] == v;
        for (uint32_t i = 0; i < node->n_sub; i++) n += count_readers(node->sub[i], v);
    }
    for (uint32_t i = 0; graph->parent && i < graph->n_outputs; i++) n += graph->outputs[i] == v;
    return n;
}

/* The only node that reads V, if it is an Add and V no output of the graph. */
static const struct fz_node *only_add(const struct fz_graph *graph, const struct fz_value *v) {
    const struct fz_node *reader = NULL;
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == v) return NULL;
    if (count_readers(graph, v) > 1) return NULL;
    for (const struct fz_node *node = v->producer->next; node; node = node->next)
        for (uint32_t i = 0; i < node->n_in; i++) {
            if (node->in[i] != v) continue;
            if (reader) return NULL;
            reader = node;
        }
    return reader && is(reader, "Add") ? reader : NULL;
}

static struct fz_value *other_of(const struct fz_node *add, const struct fz_value *v) {
    return add->in[add->in[0] == v];
}

/* What is added behind the product: a vector of constants, then another tensor of the same
 * shape. */
static void find_sums(const struct fz_trace *trace, struct fz_linear *l) {
    const struct fz_value *v = l->node->out[0];
    struct fz_value *own = fzi_in(l->node, 2);
    const struct fz_node *add = only_add(trace->graph, v);
    struct fz_value *other = add ? other_of(add, v) : NULL;
    if (own) l->bias = is_weight(own, 1) && own->t.dims[0] == l->n ? own : NULL;
    else if (other && is_weight(other, 1) && other->t.dims[0] == l->n) {
        l->bias = other;
        v = add->out[0];
        add = only_add(trace->graph, v);
        other = add ? other_of(add, v) : NULL;
    }
    if (!other || fzi_is_constant(other) || other == v ||
        !fzi_shape_equal(fzi_trace_value(trace, other), fzi_trace_value(trace, v)))
        return;
    l->sum = add;
    l->beside = other;
}

static bool describe_conv(const struct fz_node *node, struct fz_linear *l) {
    int64_t taps = 1;
    const fz_tensor_t *w = &node->in[1]->t;
    int64_t groups = fzi_depend_int(node, "group", 1);
    if (groups < 1 || !fzi_is_constant(node->in[1])) return false;
    if (w->rank < 3 || w->rank > 5 || !is_weight(node->in[1], w->rank)) return false;
    for (int32_t i = 2; i < w->rank; i++) taps *= w->dims[i];
    *l = (struct fz_linear){.conv = true, .n = w->dims[0], .k = w->dims[1] * taps, .taps = taps,
                            .groups = groups};
    return w->dims[0] % groups == 0;
}

static bool describe_product(const struct fz_node *node, struct fz_linear *l) {
    bool gemm = is(node, "Gemm");
    if (!is_weight(node->in[1], 2)) return false;
    const struct fz_attr *alpha = fzi_attr(node, "alpha"), *beta = fzi_attr(node, "beta");
    if (gemm && (fzi_depend_int(node, "transA", 0) || (alpha && alpha->f != 1) ||
                 (beta && beta->f != 1)))
        return false;
    bool by_row = gemm && fzi_depend_int(node, "transB", 0);
    const int64_t *dims = node->in[1]->t.dims;
    *l = (struct fz_linear){.by_column = !by_row, .n = dims[by_row ? 0 : 1],
                            .k = dims[by_row ? 1 : 0], .taps = 1, .groups = 1};
    return true;
}

bool fzi_linear_describe(const struct fz_trace *trace, const struct fz_node *node,
                         struct fz_linear *l) {
    bool conv = is(node, "Conv");
    if (!conv && !is(node, "Gemm") && !is(node, "MatMul")) return false;
    if (!(conv ? describe_conv(node, l) : describe_product(node, l))) return false;
    const struct fz_graph *graph = trace->graph;
    l->node = node;
    l->weight = node->in[1];
    l->shared = count_readers(graph, l->weight) > 1;
    find_sums(trace, l);
    if (l->bias && count_readers(graph, l->bias) > 1) l->bias = NULL;
    return true;
}

fz_status_t fzi_linear_find(const struct fz_trace *trace, struct fz_arena *arena,
                            struct fz_linear **list, uint32_t *n) {
    *list = fzi_arena_array(arena, trace->n_nodes, sizeof **list);
    *n = 0;
    if (!*list) return fzi_error(FZ_E_NOMEM, "no memory for a list of products");
    for (const struct fz_node *node = trace->graph->first; node; node = node->next)
        *n += fzi_linear_describe(trace, node, &(*list)[*n]);
    return FZ_OK;
}

/* ---- rows */

/* One spatial dimension of a convolution. */
struct side {
    int64_t in, out, kernel, stride, dilation, before;
};

static int64_t attr_at(const struct fz_node *node, const char *name, int32_t i, int64_t otherwise) {
    const struct fz_attr *attr = fzi_attr(node, name);
    return attr && attr->kind == FZ_ATTR_INTS && (size_t)i < attr->n ? attr->ints[i] : otherwise;
}

/* What an automatic padding puts in front follows from the sizes of input and output. */
static struct side side_of(const struct fz_node *node, const fz_tensor_t *x, const fz_tensor_t *w,
                           const fz_tensor_t *y, int32_t i) {
    struct side s = {x->dims[i + 2], y->dims[i + 2], w->dims[i + 2],
                     attr_at(node, "strides", i, 1), attr_at(node, "dilations", i, 1),
                     attr_at(node, "pads", i, 0)};
    const struct fz_attr *mode = fzi_attr(node, "auto_pad");
    if (!mode || !mode->s || strncmp(mode->s, "SAME_", 5) != 0) return s;
    int64_t all = (s.out - 1) * s.stride + (s.kernel - 1) * s.dilation + 1 - s.in;
    if (all < 0) all = 0;
    s.before = strcmp(mode->s, "SAME_LOWER") == 0 ? all - all / 2 : all / 2;
    return s;
}

int64_t fzi_linear_rows(const struct fz_linear *l, const struct fz_trace *trace) {
    const fz_tensor_t *y = fzi_trace_value(trace, l->node->out[0]);
    return l->n ? fzi_tensor_count(y) / l->n : 0;
}

/* Copies the patch of output R from the channels of GROUP: channel by channel, tap by tap. */
static void conv_input(const struct fz_linear *l, const struct fz_trace *trace, int64_t group,
                       int64_t r, double *row) {
    const fz_tensor_t *x = fzi_trace_value(trace, l->node->in[0]);
    const fz_tensor_t *y = fzi_trace_value(trace, l->node->out[0]);
    int32_t spatial = x->rank - 2;
    struct side s[3];
    int64_t at[3], plane = 1, rest = r;
    for (int32_t i = spatial - 1; i >= 0; i--) {
        s[i] = side_of(l->node, x, &l->weight->t, y, i);
        at[i] = rest % s[i].out * s[i].stride - s[i].before;
        rest /= s[i].out;
        plane *= s[i].in;
    }
    const float *image = (const float *)x->data + rest * x->dims[1] * plane;
    int64_t channels = l->k / l->taps;
    for (int64_t c = group * channels; c < (group + 1) * channels; c++) {
        for (int64_t tap = 0; tap < l->taps; tap++) {
            int64_t left = tap, offset = 0, step = 1;
            bool inside = true;
            for (int32_t i = spatial - 1; i >= 0; i--) {
                int64_t p = at[i] + left % s[i].kernel * s[i].dilation;
                left /= s[i].kernel;
                inside = inside && p >= 0 && p < s[i].in;
                offset += p * step;
                step *= s[i].in;
            }
            *row++ = inside ? (double)image[c * plane + offset] : 0;
        }
    }
}

void fzi_linear_input(const struct fz_linear *l, const struct fz_trace *trace, int64_t group,
                      int64_t r, double *row) {
    if (l->conv) {
        conv_input(l, trace, group, r, row);
        return;
    }
    const float *x = (const float *)fzi_trace_value(trace, l->node->in[0])->data + r * l->k;
    for (int64_t i = 0; i < l->k; i++) row[i] = (double)x[i];
}

void fzi_linear_output(const struct fz_linear *l, const struct fz_trace *trace,
                       const struct fz_value *value, int64_t r, double *row) {
    const fz_tensor_t *y = fzi_trace_value(trace, value);
    const float *data = y->data;
    int64_t plane = 1;
    for (int32_t i = 2; l->conv && i < y->rank; i++) plane *= y->dims[i];
    data += r / plane * l->n * plane + r % plane;
    for (int64_t i = 0; i < l->n; i++) row[i] = (double)data[i * plane];
}

void fzi_linear_get(const struct fz_linear *l, double *w) {
    const float *from = l->weight->t.data;
    int64_t row = l->by_column ? l->n : 1, column = l->by_column ? 1 : l->k;
    for (int64_t i = 0; i < l->k; i++)
        for (int64_t j = 0; j < l->n; j++) w[i * l->n + j] = (double)from[i * row + j * column];
}

void fzi_linear_set(const struct fz_linear *l, const double *w) {
    float *to = l->weight->t.data;
    int64_t row = l->by_column ? l->n : 1, column = l->by_column ? 1 : l->k;
    for (int64_t i = 0; i < l->k; i++)
        for (int64_t j = 0; j < l->n; j++) to[i * row + j * column] = (float)w[i * l->n + j];
}

/* ---- moments: sums in the order of the rows, each product and each sum rounded once */

bool fzi_moments_new(struct fz_arena *arena, struct fz_moments *m, int64_t k, int64_t n) {
    *m = (struct fz_moments){.k = k, .n = n};
    m->xx = fzi_arena_array(arena, (size_t)(k * k), sizeof(double));
    m->xy = fzi_arena_array(arena, (size_t)(k * n), sizeof(double));
    m->x = fzi_arena_array(arena, (size_t)k, sizeof(double));
    m->y = fzi_arena_array(arena, (size_t)n, sizeof(double));
    return m->xx && m->xy && m->x && m->y;
}

void fzi_moments_add(struct fz_moments *m, const double *restrict x, const double *restrict y) {
    for (int64_t i = 0; i < m->k; i++) {
        double a = x[i], *restrict xx = m->xx + i * m->k, *restrict xy = m->xy + i * m->n;
        m->x[i] += a;
        if (a == 0) continue;
        for (int64_t j = i; j < m->k; j++) xx[j] += a * x[j];
        for (int64_t j = 0; j < m->n; j++) xy[j] += a * y[j];
    }
    for (int64_t j = 0; j < m->n; j++) m->y[j] += y[j];
    m->count += 1;
}

void fzi_moments_finish(struct fz_moments *m, bool centred) {
    for (int64_t i = 0; i < m->k; i++) {
        double mean = centred && m->count > 0 ? m->x[i] / m->count : 0;
        for (int64_t j = i; j < m->k; j++) m->xx[i * m->k + j] -= mean * m->x[j];
        for (int64_t j = 0; j < m->n; j++) m->xy[i * m->n + j] -= mean * m->y[j];
        for (int64_t j = 0; j < i; j++) m->xx[i * m->k + j] = m->xx[j * m->k + i];
    }
}
