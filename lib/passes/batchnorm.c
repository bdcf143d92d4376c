/* BatchNormalization of fixed statistics: folded into the convolution before it, else one
 * multiplication and one addition per channel. Factors are computed in binary64, rounded once. */
#include "passes/affine.h"

static bool is_row(const struct fz_value *v, int64_t n) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.rank == 1 && v->t.dims[0] == n;
}

static bool is_fixed(const struct fz_node *node) {
    if (!fzi_pass_is(node, "BatchNormalization") || node->in[0]->t.dtype != FZ_TYPE_F32)
        return false;
    if (!fzi_is_constant(node->in[1]) || node->in[1]->t.rank != 1 || node->in[0]->t.rank < 2)
        return false;
    for (uint32_t i = 1; i < 5; i++)
        if (!is_row(node->in[i], node->in[1]->t.dims[0])) return false;
    for (uint32_t i = 1; i < node->n_out; i++)
        if (node->out[i]) return false;
    return true;
}

fz_status_t fzi_affine_make(const struct fz_graph *graph, int64_t n, struct fz_affine *a) {
    a->n = n;
    a->scale = fzi_arena_array(graph->arena, (size_t)n, sizeof *a->scale);
    a->shift = fzi_arena_array(graph->arena, (size_t)n, sizeof *a->shift);
    return a->scale && a->shift ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory to fold a node");
}

static fz_status_t measure(const struct fz_graph *graph, const struct fz_node *node,
                           struct fz_affine *a) {
    double epsilon;
    FZ_TRY(fzi_attr_float(node, "epsilon", 1e-5f, &epsilon));
    a->n = node->in[1]->t.dims[0];
    FZ_TRY(fzi_affine_make(graph, a->n, a));
    const float *gain = node->in[1]->t.data, *bias = node->in[2]->t.data;
    const float *mean = node->in[3]->t.data, *var = node->in[4]->t.data;
    for (int64_t i = 0; i < a->n; i++) {
        a->scale[i] = (double)gain[i] / __builtin_sqrt((double)var[i] + epsilon);
        a->shift[i] = (double)bias[i] - (double)mean[i] * a->scale[i];
    }
    return FZ_OK;
}

struct fz_node *fzi_affine_conv(const struct fz_value *v, int64_t n) {
    struct fz_node *conv = v->producer;
    bool transposed = fzi_pass_is(conv, "ConvTranspose");
    int64_t group;
    if ((!transposed && !fzi_pass_is(conv, "Conv")) || v->n_uses != 1) return NULL;
    const struct fz_value *w = conv->in[1], *b = fzi_in(conv, 2);
    if (!fzi_is_constant(w) || w->t.dtype != FZ_TYPE_F32 || w->t.rank < 3) return NULL;
    if (b && !is_row(b, n < 0 ? b->t.dims[0] : n)) return NULL;
    if (fzi_attr_int(conv, "group", 1, &group) != FZ_OK || (transposed && group != 1)) return NULL;
    return n < 0 || w->t.dims[transposed ? 1 : 0] == n ? conv : NULL;
}

fz_status_t fzi_affine_fold(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                            struct fz_node *conv, const char *name, const struct fz_affine *a) {
    bool transposed = fzi_pass_is(conv, "ConvTranspose");
    const fz_tensor_t *old = &conv->in[1]->t;
    struct fz_value *w = fzi_graph_new_constant(graph, conv->in[1]->name, FZ_TYPE_F32, old->rank,
                                                old->dims);
    struct fz_value *b = fzi_graph_new_constant(graph, name, FZ_TYPE_F32, 1, &a->n);
    if (!w || !b) return fzi_error(FZ_E_NOMEM, "no memory to fold a node");
    int64_t inner = 1, outer = transposed ? old->dims[0] : 1;
    for (int32_t d = transposed ? 2 : 1; d < old->rank; d++) inner *= old->dims[d];
    const float *from = old->data;
    float *to = w->t.data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < a->n; c++)
            for (int64_t i = 0; i < inner; i++, from++, to++)
                *to = (float)((double)*from * a->scale[c]);
    const float *bias = fzi_in(conv, 2) ? conv->in[2]->t.data : NULL;
    for (int64_t c = 0; c < a->n; c++)
        ((float *)b->t.data)[c] =
            (float)((bias ? (double)bias[c] : 0) * a->scale[c] + a->shift[c]);
    struct fz_value *in[] = {conv->in[0], w, b};
    conv->in = fzi_arena_copy(graph->arena, in, sizeof in);
    if (!conv->in) return fzi_error(FZ_E_NOMEM, "no memory to fold a node");
    conv->n_in = 3;
    conv->out[0]->n_uses = node->out[0]->n_uses;
    fzi_pass_replace(pass, graph, node->out[0], conv->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

static struct fz_value *column(struct fz_graph *graph, const struct fz_node *node,
                               const double *values, int64_t n) {
    int64_t dims[FZ_RANK_MAX];
    int32_t rank = node->in[0]->t.rank - 1;
    for (int32_t d = 0; d < rank; d++) dims[d] = d ? 1 : n;
    struct fz_value *v = fzi_graph_new_constant(graph, node->name, FZ_TYPE_F32, rank, dims);
    for (int64_t i = 0; v && i < n; i++) ((float *)v->t.data)[i] = (float)values[i];
    return v;
}

static fz_status_t spell_out(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                             const struct fz_affine *a) {
    struct fz_value *scale[] = {node->in[0], column(graph, node, a->scale, a->n)};
    if (!scale[1]) return fzi_error(FZ_E_NOMEM, "no memory to fold a node");
    struct fz_node *mul = fzi_pass_make(pass, graph, node, "", "Mul", node->name, NULL, 0, scale, 2,
                                        1);
    if (!mul) return FZ_E_NOMEM;
    mul->out[0]->t = node->out[0]->t;
    struct fz_value *shift[] = {mul->out[0], column(graph, node, a->shift, a->n)};
    if (!shift[1]) return fzi_error(FZ_E_NOMEM, "no memory to fold a node");
    struct fz_node *add = fzi_pass_make(pass, graph, node, "", "Add", node->name, NULL, 0, shift, 2,
                                        1);
    if (!add) return FZ_E_NOMEM;
    add->out[0]->t = node->out[0]->t;
    fzi_pass_replace(pass, graph, node->out[0], add->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_batchnorm(struct fz_pass *pass, struct fz_graph *graph) {
    fzi_graph_count_uses(pass->graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        struct fz_affine a;
        next = node->next;
        if (!is_fixed(node)) continue;
        FZ_TRY(measure(graph, node, &a));
        struct fz_node *conv = fzi_affine_conv(node->in[0], a.n);
        FZ_TRY(conv ? fzi_affine_fold(pass, graph, node, conv, node->in[2]->name, &a)
                    : spell_out(pass, graph, node, &a));
    }
    return FZ_OK;
}
