/* Filters of convolutions: where the weights of a channel lie. */
#include "quantize/filters.h"

#include "quantize/real.h"

bool fzi_filters_read(struct fz_node *node, struct fz_filters *out) {
    const struct fz_value *w = node && node->n_in > 1 ? node->in[1] : NULL;
    if (!node || *node->domain || strcmp(node->type, "Conv") != 0) return false;
    if (!fzi_is_constant(w) || w->t.dtype != FZ_TYPE_F32 || w->t.rank < 3) return false;
    const struct fz_value *b = fzi_in(node, 2);
    if (b && (!fzi_is_constant(b) || b->t.dtype != FZ_TYPE_F32 || b->t.rank != 1)) return false;
    *out = (struct fz_filters){node, w->t.dims[0], w->t.dims[1], 1, 1};
    for (int32_t d = 2; d < w->t.rank; d++) out->inner *= w->t.dims[d];
    return fzi_attr_int(node, "group", 1, &out->group) == FZ_OK && out->group >= 1;
}

bool fzi_filters_depthwise(const struct fz_filters *f) {
    return f->group > 1 && f->group == f->outs && f->ins == 1;
}

struct fz_runs fzi_filters_output(const struct fz_filters *f, int64_t channel) {
    int64_t length = f->ins * f->inner;
    return (struct fz_runs){channel * length, 0, 1, length};
}

struct fz_runs fzi_filters_input(const struct fz_filters *f, int64_t channel) {
    return (struct fz_runs){channel * f->inner, f->ins * f->inner, f->group == 1 ? f->outs : 1,
                            f->inner};
}

double fzi_runs_peak(const float *w, struct fz_runs r) {
    double most = 0;
    for (int64_t k = 0; k < r.count; k++)
        for (int64_t i = 0; i < r.length; i++)
            most = fzi_most(most, fzi_size((double)w[r.first + k * r.step + i]));
    return most;
}

void fzi_runs_scale(float *w, struct fz_runs r, double factor) {
    for (int64_t k = 0; k < r.count; k++)
        for (int64_t i = 0; i < r.length; i++) {
            float *at = &w[r.first + k * r.step + i];
            *at = (float)((double)*at * factor);
        }
}

float *fzi_own_input(struct fz_graph *graph, struct fz_node *node, uint32_t i) {
    const struct fz_value *old = node->in[i];
    struct fz_value *v = fzi_graph_new_constant(graph, old->name, FZ_TYPE_F32, old->t.rank,
                                                old->t.dims);
    if (!v) return NULL;
    if (old->t.size) memcpy(v->t.data, old->t.data, old->t.size);
    node->in[i] = v;
    return v->t.data;
}
