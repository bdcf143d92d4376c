/* The float model, run over the samples with the values in view that quantisation asks about. */
#include <stdio.h>

#include "quantize/quantizer.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for statistics"); }

static fz_status_t theirs(fz_status_t status) {
    return status == FZ_OK ? FZ_OK : fzi_error(status, "%s", fz_last_error());
}

/* ---- samples */

static fz_status_t call_sample(struct fz_quantizer *q, size_t index, fz_tensor_t *inputs,
                               bool *found) {
    const fz_quantize_options_t *o = q->options;
    memset(inputs, 0, q->graph->n_inputs * sizeof *inputs);
    int answer = o->sample(o->sample_context, index, inputs, q->graph->n_inputs);
    *found = answer == 1;
    if (answer != 0 && answer != 1)
        return fzi_error(FZ_E_CANCELLED, "the caller gave up at sample %zu", index);
    for (uint32_t i = 0; *found && i < q->graph->n_inputs; i++) {
        char where[64];
        fz_tensor_t t = inputs[i];
        snprintf(where, sizeof where, "sample %zu", index);
        if (t.rank < 0 || t.rank > FZ_RANK_MAX || (!t.data && t.size))
            return fzi_error(FZ_E_USAGE, "%s has no tensor for '%s'", where,
                             q->graph->inputs[i]->name);
        FZ_TRY(fzi_data_fits(&t, q->graph->inputs[i], where));
        FZ_TRY(fzi_tensor_measure(&t));
        if (t.size > inputs[i].size)
            return fzi_error(FZ_E_SHAPE, "%s has too few bytes for '%s'", where,
                             q->graph->inputs[i]->name);
    }
    return FZ_OK;
}

fz_status_t fzi_quantize_sample(struct fz_quantizer *q, size_t index, fz_tensor_t *inputs,
                                bool *found) {
    if (!q->data) return call_sample(q, index, inputs, found);
    *found = index < q->n_samples;
    return *found ? fzi_data_read(q->data, index, inputs) : FZ_OK;
}

/* ---- observing */

struct view {
    const int64_t *index;
    size_t n;
    fz_see_fn see;
    void *arg;
};

static fz_status_t see_all(struct fz_quantizer *q, const struct view *view, size_t sample,
                           const fz_tensor_t *in, const fz_tensor_t *out) {
    for (size_t i = 0; i < view->n; i++) {
        int64_t at = view->index[i];
        fz_status_t status = view->see(q, view->arg, i, at < 0 ? &in[-1 - at] : &out[at]);
        if (status != FZ_OK) return fzi_error_context(status, "sample %zu", sample);
    }
    return FZ_OK;
}

static fz_status_t walk(struct fz_quantizer *q, struct fz_stage *s, const struct view *view,
                        fz_session_t *session) {
    uint32_t n_in = q->graph->n_inputs, n_out = s->graph->n_outputs;
    fz_tensor_t *in = fzi_arena_array(&s->arena, n_in, sizeof *in);
    fz_tensor_t *out = fzi_arena_array(&s->arena, n_out, sizeof *out);
    if (!in || !out) return no_memory();
    for (size_t sample = 0;; sample++) {
        bool found;
        FZ_TRY(fzi_quantize_sample(q, sample, in, &found));
        if (!found) {
            q->n_samples = sample;
            break;
        }
        memset(out, 0, n_out * sizeof *out);
        FZ_TRY(theirs(fz_session_run(session, in, n_in, out, n_out)));
        FZ_TRY(see_all(q, view, sample, in, out));
        double share = q->n_samples ? (double)(sample + 1) / (double)q->n_samples : 0;
        FZ_TRY(fzi_quantize_report_progress(q, share, "calibrate"));
    }
    return q->n_samples ? FZ_OK : fzi_error(FZ_E_VALUE, "there are no samples to calibrate with");
}

static fz_status_t observe(struct fz_quantizer *q, struct fz_stage *s, const char *const *names,
                           struct view *view) {
    fz_model_t *model;
    fz_session_t *session;
    int64_t *index = fzi_arena_array(&s->arena, view->n, sizeof *index);
    if (!index) return no_memory();
    FZ_TRY(fzi_stage_observe(s, names, view->n, index));
    view->index = index;
    FZ_TRY(fzi_stage_run(q, s, &model, &session));
    fz_status_t status = walk(q, s, view, session);
    fz_session_close(session);
    fz_model_close(model);
    return status;
}

fz_status_t fzi_quantize_observe(struct fz_quantizer *q, const char *const *names, size_t n,
                                 fz_see_fn see, void *arg) {
    struct fz_stage s;
    struct view view = {NULL, n, see, arg};
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &s));
    fz_status_t status = observe(q, &s, names, &view);
    fzi_stage_close(&s);
    return status;
}

/* ---- statistics */

struct fz_stat *fzi_stat_of(struct fz_quantizer *q, const char *name) {
    void *found;
    return fzi_names_find(&q->stats, name, &found) ? found : NULL;
}

static fz_status_t see(struct fz_quantizer *q, void *arg, size_t i, const fz_tensor_t *t) {
    (void)arg;
    if (t->dtype != FZ_TYPE_F32)
        return fzi_error(FZ_E_TYPE, "'%s' is not of float32", q->stat_list[i]->name);
    return fzi_stat_add(q->stat_list[i], &q->arena, t);
}

/* Channels are those of the layer that reads the value: dimension 1 for a convolution. */
static int32_t channel_axis(const struct fz_quantizer *q, const char *name) {
    for (size_t i = 0; i < q->n_layers; i++)
        if (strcmp(q->layers[i].in, name) == 0 && strncmp(q->layers[i].type, "Conv", 4) == 0)
            return 1;
    return -1;
}

fz_status_t fzi_quantize_calibrate(struct fz_quantizer *q, const char *const *names, size_t n) {
    q->stats = (struct fz_names){0};
    q->stat_list = fzi_arena_array(&q->arena, n, sizeof *q->stat_list);
    if (!q->stat_list) return no_memory();
    q->n_stats = 0;
    for (size_t i = 0; i < n; i++) {
        struct fz_stat *stat = fzi_arena_alloc(&q->arena, sizeof *stat);
        const char *name = fzi_arena_string(&q->arena, names[i]);
        if (!stat || !name) return no_memory();
        fzi_stat_init(stat, name, channel_axis(q, name));
        if (fzi_names_add(&q->arena, &q->stats, name, stat) < 0) return no_memory();
        q->stat_list[q->n_stats++] = stat;
    }
    return fzi_quantize_observe(q, names, n, see, NULL);
}
