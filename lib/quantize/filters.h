/* Filters of convolutions, as those that move scales between layers take them. */
#ifndef FZ_QUANTIZE_FILTERS_H
#define FZ_QUANTIZE_FILTERS_H

#include "graph/graph.h"

struct fz_filters {
    struct fz_node *node;
    int64_t outs, ins, inner, group; /* ins: of a group; inner: weights of one input */
};

/* False for what is no convolution with constant weights and, if any, a constant bias. */
bool fzi_filters_read(struct fz_node *node, struct fz_filters *out);
bool fzi_filters_depthwise(const struct fz_filters *f);

/* Weights that go together: COUNT runs of LENGTH, STEP apart, from FIRST on. */
struct fz_runs {
    int64_t first, step, count, length;
};
struct fz_runs fzi_filters_output(const struct fz_filters *f, int64_t channel);
/* Those that multiply input CHANNEL; F has one group or is depthwise. */
struct fz_runs fzi_filters_input(const struct fz_filters *f, int64_t channel);
/* The largest size among the weights W of R. */
double fzi_runs_peak(const float *w, struct fz_runs r);
void fzi_runs_scale(float *w, struct fz_runs r, double factor);

/* A copy of constant input I of NODE that is its own, as numbers to change; NULL without memory. */
float *fzi_own_input(struct fz_graph *graph, struct fz_node *node, uint32_t i);

#endif
