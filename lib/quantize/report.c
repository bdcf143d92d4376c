/* The numbers of a report, its JSON form, and its way to the disk. */
#include "quantize/report.h"

#include <stdlib.h>

#include "base/file.h"
#include "exec/session.h"

const char *fzi_report_kind(const struct fz_quantizer *q) {
    static const char *const names[] = {
        [FZ_QUANTIZE_STATIC] = "static int8", [FZ_QUANTIZE_DYNAMIC] = "dynamic int8",
        [FZ_QUANTIZE_WEIGHTS_INT8] = "int8 weights", [FZ_QUANTIZE_WEIGHTS_INT4] = "int4 weights",
        [FZ_QUANTIZE_FP16] = "fp16 weights"};
    return names[q->options->kind];
}

const char *fzi_report_state(const struct fz_layer *layer) {
    static const char *const names[] = {[FZ_LAYER_QUANTISED] = "quantised",
                                        [FZ_LAYER_EXCLUDED] = "float: excluded",
                                        [FZ_LAYER_BUDGET] = "float: too sensitive"};
    return names[layer->state];
}

/* ---- JSON */

/* A string literal; what is no printable ASCII is escaped byte by byte, so that names in any
 * encoding make valid JSON. */
static void quoted(struct fz_text *out, const char *text) {
    fzi_text_add(out, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c == '"' || *c == '\\') fzi_text_add(out, "\\%c", *c);
        else if (*c < 32 || *c > 126) fzi_text_add(out, "\\u%04x", *c);
        else fzi_text_add(out, "%c", *c);
    fzi_text_add(out, "\"");
}

static void json_layers(const struct fz_report *r, struct fz_text *out) {
    for (size_t i = 0; i < r->q->n_layers; i++) {
        const struct fz_layer *layer = &r->q->layers[i];
        fzi_text_add(out, "%s\n    {\"name\": ", i ? "," : "");
        quoted(out, layer->name);
        fzi_text_add(out, ", \"type\": \"%s\", \"weights\": %llu, \"state\": \"%s\"", layer->type,
                     (unsigned long long)layer->weights, fzi_report_state(layer));
        if (layer->measured) fzi_text_add(out, ", \"sqnr\": %.3f", layer->sqnr);
        if (layer->sensitivity != 0)
            fzi_text_add(out, ", \"sqnr_alone\": %.3f", layer->sensitivity);
        fzi_text_add(out, "}");
    }
}

static void json_ranges(const struct fz_report *r, struct fz_text *out) {
    for (size_t i = 0; i < r->q->n_stats; i++) {
        const struct fz_stat *s = r->q->stat_list[i];
        fzi_text_add(out, "%s\n    {\"name\": ", i ? "," : "");
        quoted(out, s->name);
        fzi_text_add(out, ", \"low\": %.9g, \"high\": %.9g, \"scale\": %.9g, \"zero_point\": %d}",
                     s->low, s->high, (double)s->scale.scale, s->scale.zero);
    }
}

void fzi_report_json(const struct fz_report *r, struct fz_text *out) {
    const struct fz_score *s = &r->q->score;
    fzi_text_add(out, "{\n  \"kind\": \"%s\", \"opset\": %d, \"samples\": %zu,\n",
                 fzi_report_kind(r->q), r->q->opset, r->q->n_samples);
    fzi_text_add(out, "  \"bytes_before\": %llu, \"bytes_after\": %llu, \"macs\": %llu,\n",
                 (unsigned long long)r->size_before, (unsigned long long)r->size_after,
                 (unsigned long long)r->macs);
    if (r->q->scored)
        fzi_text_add(out, "  \"sqnr\": %.3f, \"ms_before\": %.6g, \"ms_after\": %.6g,\n",
                     fzi_score_sqnr(s), r->ms_before, r->ms_after);
    if (r->q->scored && r->q->labels)
        fzi_text_add(out, "  \"rows\": %llu, \"right_before\": %llu, \"right_after\": %llu,\n",
                     (unsigned long long)s->rows, (unsigned long long)s->right_float,
                     (unsigned long long)s->right);
    fzi_text_add(out, "  \"budget\": ");
    if (r->q->why) quoted(out, r->q->why);
    else fzi_text_add(out, "null");
    fzi_text_add(out, ",\n  \"layers\": [");
    json_layers(r, out);
    fzi_text_add(out, "\n  ],\n  \"ranges\": [");
    json_ranges(r, out);
    fzi_text_add(out, "\n  ]\n}\n");
}

/* ---- numbers and files */

static int by_error(const void *a, const void *b) {
    const struct fz_layer *x = *(struct fz_layer *const *)a, *y = *(struct fz_layer *const *)b;
    double ex = x->measured ? x->sqnr : 1000, ey = y->measured ? y->sqnr : 1000;
    if (ex != ey) return ex < ey ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The first sample; without samples zeros, if the model leaves no size open. */
static fz_status_t some_inputs(struct fz_quantizer *q, struct fz_stage *s, fz_tensor_t *in,
                               bool *found) {
    *found = true;
    if (q->data || q->options->sample) return fzi_quantize_sample(q, 0, in, found);
    for (uint32_t i = 0; i < q->graph->n_inputs && *found; i++) {
        in[i] = q->graph->inputs[i]->t;
        *found = fzi_shape_known(&in[i]);
        if (*found) FZ_TRY(fzi_tensor_alloc(&s->arena, &in[i]));
    }
    return FZ_OK;
}

/* Multiply-accumulates of a run with IN; 0 where they depend on more than sizes. */
static fz_status_t count_run(struct fz_quantizer *q, struct fz_stage *s, const fz_tensor_t *in,
                             uint64_t *macs) {
    fz_model_t *model;
    fz_session_t *session;
    FZ_TRY(fzi_stage_run(q, s, &model, &session));
    fz_status_t status = fzi_session_bind(session, in);
    if (status == FZ_OK && session->macs != UINT64_MAX) *macs = session->macs;
    fz_session_close(session);
    fz_model_close(model);
    return status;
}

static fz_status_t count_macs(struct fz_quantizer *q, uint64_t *macs) {
    struct fz_stage s;
    bool found;
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &s));
    fz_tensor_t *in = fzi_arena_array(&s.arena, q->graph->n_inputs, sizeof *in);
    fz_status_t status = in ? some_inputs(q, &s, in, &found)
                            : fzi_error(FZ_E_NOMEM, "no memory for a report");
    if (status == FZ_OK && found) status = count_run(q, &s, in, macs);
    fzi_stage_close(&s);
    return status;
}

static fz_status_t write_text(const char *path, const struct fz_report *r,
                              void (*form)(const struct fz_report *, struct fz_text *)) {
    struct fz_text text = {0};
    if (!path) return FZ_OK;
    form(r, &text);
    fz_status_t status = text.failed || !text.data
                             ? fzi_error(FZ_E_NOMEM, "no memory for a report")
                             : fzi_file_write(path, text.data, text.size, 0666);
    fzi_text_free(&text);
    return status;
}

fz_status_t fzi_quantize_report(struct fz_quantizer *q, uint64_t size) {
    double n = q->n_samples ? (double)q->n_samples : 1;
    struct fz_report r = {.q = q, .size_before = q->original_size, .size_after = size,
                          .ms_before = q->score.seconds_float / n * 1000,
                          .ms_after = q->score.seconds / n * 1000};
    r.order = fzi_arena_array(&q->arena, q->n_layers, sizeof *r.order);
    if (!r.order) return fzi_error(FZ_E_NOMEM, "no memory for a report");
    for (size_t i = 0; i < q->n_layers; i++) r.order[i] = &q->layers[i];
    if (q->n_layers) qsort(r.order, q->n_layers, sizeof *r.order, by_error);
    FZ_TRY(count_macs(q, &r.macs));
    FZ_TRY(write_text(q->options->report, &r, fzi_report_html));
    return write_text(q->options->json, &r, fzi_report_json);
}
