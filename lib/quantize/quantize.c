/* The way of a model through quantisation. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fpenv.h"
#include "base/sha256.h"
#include "export/export.h"
#include "freeze/freeze.h"
#include "quantize/array.h"
#include "quantize/quantizer.h"

enum { MAX_LABELS = 100000000 };

fz_status_t fzi_quantize_report_progress(struct fz_quantizer *q, double done, const char *phase) {
    const fz_quantize_options_t *o = q->options;
    if (q->phase) {
        phase = q->phase;
        done = q->phase_done + q->phase_part * done;
    }
    if (o->progress && o->progress(o->progress_context, done, phase))
        return fzi_error(FZ_E_CANCELLED, "quantising was cancelled");
    return FZ_OK;
}

static bool has_samples(const struct fz_quantizer *q) {
    return q->options->samples || q->options->sample;
}

/* ---- labels */

static fz_status_t read_labels(struct fz_quantizer *q) {
    struct fz_array array;
    if (!q->options->labels) return FZ_OK;
    FZ_TRY(fzi_array_open(q->options->labels, 0, &array));
    int64_t n = fzi_tensor_count(&array.t);
    if (!fzi_type_is_integer(array.t.dtype) || n < 1 || n > MAX_LABELS)
        return fzi_error(FZ_E_TYPE, "'%s' does not hold labels: integers", q->options->labels);
    array.t.data = fzi_arena_alloc(&q->arena, array.t.size);
    q->labels = fzi_arena_array(&q->arena, (size_t)n, sizeof *q->labels);
    if (!array.t.data || !q->labels) return fzi_error(FZ_E_NOMEM, "no memory for labels");
    FZ_TRY(fzi_array_read(&array, 0, array.t.data, array.t.size));
    for (int64_t i = 0; i < n; i++) q->labels[i] = fzi_tensor_int(&array.t, i);
    q->n_labels = (size_t)n;
    return FZ_OK;
}

/* ---- building */

fz_status_t fzi_quantize_build(struct fz_quantizer *q, struct fz_stage *out) {
    fz_status_t status = fzi_stage_open(q, q->base, q->base_size, out);
    if (status != FZ_OK) return status;
    switch (q->options->kind) {
    case FZ_QUANTIZE_STATIC: status = fzi_quantize_static(q, out); break;
    case FZ_QUANTIZE_DYNAMIC: status = fzi_quantize_dynamic(q, out); break;
    case FZ_QUANTIZE_FP16: status = fzi_quantize_half(q, out); break;
    default: status = fzi_quantize_weights(q, out); break;
    }
    if (status != FZ_OK) fzi_stage_close(out);
    return status;
}

/* Ranges of all values that may be quantised, layers that a budget will exclude among them. */
static fz_status_t calibrate(struct fz_quantizer *q) {
    struct fz_stage s;
    const char **names;
    size_t n;
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &s));
    fz_status_t status = fzi_quantize_wanted(q, &s, &names, &n);
    fzi_stage_close(&s);
    return status == FZ_OK ? fzi_quantize_calibrate(q, names, n) : status;
}

/* The base's graph stays for names and shapes. */
static fz_status_t keep_graph(struct fz_quantizer *q) {
    struct fz_stage s;
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &s));
    q->keep = s.arena;
    q->source = s.source;
    q->graph = s.graph;
    return FZ_OK;
}

/* Moves scales between layers by what the values are like, which changes what they are like. */
static fz_status_t move_scales(struct fz_quantizer *q) {
    uint64_t flags = q->options->flags;
    bool level = !(flags & FZ_QUANTIZE_NO_EQUALISATION);
    if (level) FZ_TRY(fzi_quantize_level(q));
    if (flags & FZ_QUANTIZE_SMOOTH) FZ_TRY(fzi_quantize_smooth(q));
    return level || flags & FZ_QUANTIZE_SMOOTH ? calibrate(q) : FZ_OK;
}

/* The means of what layers read, for bias correction. */
static fz_status_t see_means(struct fz_quantizer *q) {
    const char **names = fzi_arena_array(&q->arena, q->n_layers, sizeof *names);
    size_t n = 0;
    if (!names) return fzi_error(FZ_E_NOMEM, "no memory for names");
    for (size_t i = 0; i < q->n_layers; i++) {
        bool seen = false;
        for (size_t k = 0; k < n && !seen; k++) seen = strcmp(names[k], q->layers[i].in) == 0;
        if (!seen) names[n++] = q->layers[i].in;
    }
    return fzi_quantize_calibrate(q, names, n);
}

static fz_status_t measure(struct fz_quantizer *q) {
    const fz_quantize_options_t *o = q->options;
    bool budget = o->max_drop > 0 || o->min_sqnr > 0;
    bool correct = !(o->flags & FZ_QUANTIZE_NO_BIAS_CORRECTION);
    if (o->kind == FZ_QUANTIZE_STATIC) {
        FZ_TRY(calibrate(q));
        FZ_TRY(move_scales(q));
        if (correct) FZ_TRY(fzi_quantize_round_means(q));
    } else if (o->kind == FZ_QUANTIZE_WEIGHTS_INT8 && correct && has_samples(q)) {
        FZ_TRY(see_means(q));
    }
    return budget ? fzi_quantize_budget(q) : FZ_OK;
}

/* ---- writing */

static bool ends_in(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

static fz_status_t write_frozen(struct fz_quantizer *q, struct fz_stage *s, const char *path) {
    fz_freeze_options_t o = {.size = sizeof o, .numerics = "portable"};
    char beside[FZ_PATH_MAX];
    uint8_t digest[32];
    struct fz_freeze_from from = {0};
    void *data;
    int fd;
    if (q->options->flags & FZ_QUANTIZE_PER_ROW) o.flags |= FZ_FREEZE_RANGE_PER_ROW;
    FZ_TRY(fzi_export_memory(s->graph, &s->arena, &data, &from.size));
    from.data = data;
    FZ_TRY(fzi_file_beside(path, 0666, beside, &fd));
    fz_status_t status = fzi_freeze(&from, &o, fd, digest);
    if (status == FZ_OK && fsync(fd) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
    close(fd);
    if (status == FZ_OK && rename(beside, path) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
    if (status == FZ_OK) fzi_file_sync_folder(path);
    else unlink(beside);
    return status;
}

static fz_status_t digest_file(const char *path, char hex[65], uint64_t *size) {
    uint8_t *data, digest[32];
    size_t n;
    FZ_TRY(fzi_file_read(path, SIZE_MAX / 2, &data, &n));
    fzi_sha256(data, n, digest);
    fzi_free(data);
    *size = n;
    if (hex) fzi_sha256_hex(digest, hex);
    return FZ_OK;
}

static fz_status_t write_out(struct fz_quantizer *q, struct fz_stage *s, const char *path,
                         char hex[65]) {
    uint64_t size;
    FZ_TRY(fzi_quantize_report_progress(q, 0.99, "write"));
    if (ends_in(path, ".fz")) FZ_TRY(write_frozen(q, s, path));
    else FZ_TRY(fzi_export_file(s->graph, path));
    FZ_TRY(digest_file(path, hex, &size));
    return q->options->report || q->options->json ? fzi_quantize_report(q, size) : FZ_OK;
}

/* Looking at layers makes outputs of them, so the model that is measured is built apart. */
static fz_status_t score(struct fz_quantizer *q) {
    struct fz_stage s;
    if (!has_samples(q) || !(q->options->report || q->options->json)) return FZ_OK;
    FZ_TRY(fzi_quantize_build(q, &s));
    fz_status_t status = fzi_quantize_score(q, &s, SIZE_MAX, true, &q->score);
    fzi_stage_close(&s);
    if (status != FZ_OK) return status;
    /* Once more without them, for what a run takes. */
    struct fz_score alone;
    FZ_TRY(fzi_quantize_build(q, &s));
    status = fzi_quantize_score(q, &s, SIZE_MAX, false, &alone);
    fzi_stage_close(&s);
    q->score = alone;
    q->scored = true;
    return status;
}

static fz_status_t run(struct fz_quantizer *q, const char *onnx_path, const char *out_path,
                       char hex[65]) {
    struct fz_stage s;
    FZ_TRY(fzi_quantize_report_progress(q, 0, "read"));
    FZ_TRY(fzi_quantize_prepare(q, onnx_path));
    FZ_TRY(keep_graph(q));
    FZ_TRY(fzi_quantize_select(q));
    if (q->options->samples) {
        FZ_TRY(fzi_data_open(q->options->samples, q->graph, &q->data));
        q->n_samples = fzi_data_count(q->data);
    }
    FZ_TRY(read_labels(q));
    FZ_TRY(measure(q));
    FZ_TRY(score(q));
    FZ_TRY(fzi_quantize_build(q, &s));
    fz_status_t status = write_out(q, &s, out_path, hex);
    fzi_stage_close(&s);
    return status;
}

fz_status_t fzi_quantize(const char *onnx_path, const char *out_path,
                         const fz_quantize_options_t *options, char hex[65]) {
    struct fz_quantizer q = {.options = options};
    fzk_table_fill(&q.k, fzk_cpu_mask());
    uint64_t old = fzi_fpenv_enter();
    fz_status_t status = run(&q, onnx_path, out_path, hex);
    fzi_quantize_forget(&q);
    fzi_fpenv_leave(old);
    fzi_data_close(q.data);
    fzi_source_close(&q.source);
    fzi_arena_free(&q.keep);
    fzi_arena_free(&q.arena);
    return status;
}
