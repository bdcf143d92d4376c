/* A model under test: imported, rewritten, run, compared. */
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>

fz_status_t subject_open(struct subject *s, const struct pb *model,
                         const fz_freeze_options_t *options, const struct fzk_table *k) {
    *s = (struct subject){.run = {.k = k, .threads = 1}};
    FZ_TRY(fzi_import_memory(model->data, model->size, options, &s->arena, &s->source, &s->graph));
    s->pass = (struct fz_pass){.graph = s->graph, .options = options, .k = k};
    return FZ_OK;
}

fz_status_t subject_rewrite(struct subject *s, const char *names) {
    char name[64];
    int n;
    for (; sscanf(names, "%63s%n", name, &n) == 1; names += n) {
        if (strcmp(name, "all") != 0) {
            FZ_TRY(fzi_passes_run_one(name, &s->pass));
            continue;
        }
        struct fz_text log = {0}, origin = {0};
        fz_status_t status =
            fzi_passes_run(s->graph, s->pass.options, s->pass.k, &log, &origin);
        fzi_text_free(&log);
        fzi_text_free(&origin);
        FZ_TRY(status);
    }
    return FZ_OK;
}

fz_status_t subject_run(struct subject *s, uint64_t seed, const struct fzk_table *k,
                        uint32_t threads) {
    interpreter_free(&s->run);
    s->run = (struct interpreter){.k = k, .threads = threads};
    for (uint32_t i = 0; i < s->graph->n_inputs; i++) {
        fz_tensor_t *t = fzi_arena_copy(&s->run.arena, &s->graph->inputs[i]->t, sizeof *t);
        for (int32_t d = 0; d < t->rank; d++)
            if (t->dims[d] < 0) t->dims[d] = 2;
        text_fill(t, seed * 64 + i + 1000);
        void *made = t->data;
        FZ_TRY(interpreter_alloc(&s->run, t));
        memcpy(t->data, made, t->size);
        free(made);
        s->graph->inputs[i]->note = t;
    }
    return interpret(&s->run, s->graph);
}

void subject_close(struct subject *s) {
    interpreter_free(&s->run);
    fzi_source_close(&s->source);
    fzi_arena_free(&s->arena);
}

static double distance(double a, double b) {
    if (a != a && b != b) return 0;
    if (a == b) return 0;
    double d = a - b;
    return d != d ? __builtin_inf() : d < 0 ? -d : d;
}

static double difference(const fz_tensor_t *a, const fz_tensor_t *b) {
    if (a->dtype != b->dtype || !fzi_shape_equal(a, b)) return __builtin_inf();
    bool real = fzi_type_is_float(a->dtype);
    double range = real ? 0 : 1, worst = 0;
    for (int64_t i = 0; i < fzi_tensor_count(a); i++) {
        double x = real ? fzi_tensor_float(a, i) : (double)fzi_tensor_int(a, i);
        double y = real ? fzi_tensor_float(b, i) : (double)fzi_tensor_int(b, i);
        double size = x < 0 ? -x : x, d = distance(x, y);
        if (real && size > range && size < 1e300) range = size;
        if (d > worst) worst = d;
    }
    return range > 0 ? worst / range : worst;
}

double subject_difference(const struct subject *a, const struct subject *b) {
    double worst = 0;
    if (a->graph->n_outputs != b->graph->n_outputs) return __builtin_inf();
    for (uint32_t i = 0; i < a->graph->n_outputs; i++) {
        double d = difference(interpreted(a->graph->outputs[i]), interpreted(b->graph->outputs[i]));
        if (d > worst) worst = d;
    }
    return worst;
}

bool subject_equal(const struct subject *a, const struct subject *b) {
    if (a->graph->n_outputs != b->graph->n_outputs) return false;
    for (uint32_t i = 0; i < a->graph->n_outputs; i++) {
        const fz_tensor_t *x = interpreted(a->graph->outputs[i]);
        const fz_tensor_t *y = interpreted(b->graph->outputs[i]);
        if (x->dtype != y->dtype || !fzi_shape_equal(x, y) || x->size != y->size) return false;
        if (x->size && memcmp(x->data, y->data, x->size) != 0) return false;
    }
    return true;
}

/* ---- the whole way */

enum { MAX_IO = 16 };

static fz_status_t same_outputs(const struct subject *a, const fz_tensor_t *out) {
    for (uint32_t i = 0; i < a->graph->n_outputs; i++) {
        const fz_tensor_t *t = interpreted(a->graph->outputs[i]);
        char text[2][160];
        if (out[i].dtype != t->dtype || !fzi_shape_equal(&out[i], t) || out[i].size != t->size)
            return fzi_error(FZ_E_SHAPE, "output %u is %s instead of %s", i,
                             fzi_shape_text(&out[i], text[0], sizeof text[0]),
                             fzi_shape_text(t, text[1], sizeof text[1]));
        if (t->size && memcmp(out[i].data, t->data, t->size) != 0)
            return fzi_error(FZ_E_VALUE, "output %u has other bytes", i);
    }
    return FZ_OK;
}

static fz_status_t run_model(const struct subject *a, fz_model_t *model, int32_t threads) {
    fz_session_options_t options = {.size = sizeof options, .threads = threads};
    fz_tensor_t in[MAX_IO], out[MAX_IO] = {0};
    fz_session_t *session;
    if (a->graph->n_inputs > MAX_IO || a->graph->n_outputs > MAX_IO)
        return fzi_error(FZ_E_LIMIT, "more inputs or outputs than this test takes");
    for (uint32_t i = 0; i < a->graph->n_inputs; i++)
        in[i] = *(const fz_tensor_t *)a->graph->inputs[i]->note;
    FZ_TRY(fz_session_create(model, &options, &session));
    fz_status_t status = fz_session_run(session, in, a->graph->n_inputs, out, a->graph->n_outputs);
    /* A second run must not depend on what the first one left behind. */
    for (int i = 0; i < 2 && status == FZ_OK; i++) {
        status = same_outputs(a, out);
        memset(out, 0, sizeof out);
        if (status == FZ_OK)
            status = fz_session_run(session, in, a->graph->n_inputs, out, a->graph->n_outputs);
    }
    fz_session_close(session);
    return status;
}

bool subject_frozen_equal(const struct subject *a, const struct pb *model,
                          const fz_freeze_options_t *options, int32_t threads) {
    fz_model_t *frozen;
    fz_status_t status =
        fz_freeze_open_memory(model->data, model->size, options, NULL, &frozen);
    if (status != FZ_OK) return fzi_error_context(status, "freezing"), false;
    status = run_model(a, frozen, threads);
    fz_model_close(frozen);
    return status == FZ_OK;
}
