/* The function of prune.h. */
#include <frozen/prune.h>

#include <stdio.h>
#include <sys/stat.h>

#include "api/options.h"
#include "api/tell.h"
#include "base/fpenv.h"
#include "export/export.h"
#include "freeze/freeze.h"
#include "prune/prune.h"
#include "prune/sparse.h"
#include "quantize/data.h"

/* Samples of a folder, or of the caller's function: one at a time. */
struct samples {
    const fz_prune_options_t *options;
    const struct fz_graph *graph;
    struct fz_data *data;
    fz_tensor_t *inputs;
};

static fz_status_t read_sample(void *context, uint64_t i, const fz_tensor_t **inputs) {
    struct samples *s = context;
    const struct fz_graph *graph = s->graph;
    *inputs = s->inputs;
    if (s->data) return fzi_data_read(s->data, (size_t)i, s->inputs);
    memset(s->inputs, 0, graph->n_inputs * sizeof *s->inputs);
    if (s->options->sample(s->options->sample_context, (size_t)i, s->inputs, graph->n_inputs) != 1)
        return fzi_error(FZ_E_CANCELLED, "the samples were given up at number %llu",
                         (unsigned long long)i);
    for (uint32_t k = 0; k < graph->n_inputs; k++) {
        fz_tensor_t *t = &s->inputs[k];
        size_t size = t->size;
        char where[64];
        snprintf(where, sizeof where, "sample %llu", (unsigned long long)i);
        if (t->rank < 0 || t->rank > FZ_RANK_MAX)
            return fzi_error(FZ_E_SHAPE, "%s has rank %d", where, t->rank);
        FZ_TRY(fzi_tensor_measure(t));
        if (size < t->size || (t->size && !t->data))
            return fzi_error(FZ_E_USAGE, "%s has too few bytes for input '%s'", where,
                             graph->inputs[k]->name);
        FZ_TRY(fzi_data_fits(t, graph->inputs[k], where));
    }
    return FZ_OK;
}

/* One pass over the caller's samples counts them. */
static fz_status_t count_samples(struct samples *s, uint64_t *n) {
    int more = 1;
    for (*n = 0; more == 1; *n += more == 1) {
        memset(s->inputs, 0, s->graph->n_inputs * sizeof *s->inputs);
        more = s->options->sample(s->options->sample_context, (size_t)*n, s->inputs,
                                  s->graph->n_inputs);
    }
    if (more)
        return fzi_error(FZ_E_CANCELLED, "the samples were given up at number %llu",
                         (unsigned long long)*n);
    return *n ? FZ_OK : fzi_error(FZ_E_VALUE, "there are no samples");
}

static fz_status_t open_samples(struct fz_prune *p, const fz_prune_options_t *o,
                                struct samples *s) {
    s->options = o;
    s->graph = p->before.graph;
    s->inputs = fzi_arena_array(&p->arena, s->graph->n_inputs, sizeof *s->inputs);
    if (!s->inputs) return fzi_error(FZ_E_NOMEM, "no memory for samples");
    if (o->calib) FZ_TRY(fzi_data_open(o->calib, s->graph, &s->data));
    if (s->data) p->samples.n = fzi_data_count(s->data);
    else if (o->sample) FZ_TRY(count_samples(s, &p->samples.n));
    p->samples.get = read_sample;
    p->samples.context = s;
    return FZ_OK;
}

static fz_status_t complete(const char *onnx_path, const char *out_path,
                            const fz_prune_options_t *from, fz_prune_options_t *o) {
    if (!onnx_path || !out_path) return fzi_error(FZ_E_USAGE, "fz_prune_file: a path is NULL");
    FZ_TRY(fzi_options_copy(o, sizeof *o, from, "fz_prune_options_t"));
    if (!(o->structured >= 0 && o->structured < 1 && o->time >= 0 && o->time < 1))
        return fzi_error(FZ_E_USAGE, "the share to take out must be from 0 to below 1");
    if (o->calib && o->sample)
        return fzi_error(FZ_E_USAGE, "calibration data come from a path or a function, not both");
    if ((o->n_exclude && !o->exclude) || (o->n_dims && !o->dims))
        return fzi_error(FZ_E_USAGE, "fz_prune_options_t has a NULL list");
    if (o->structured == 0 && o->time == 0 && !o->sparse)
        return fzi_error(FZ_E_USAGE,
                         "nothing is asked for: neither structured nor time nor sparse");
    struct fz_sparse pattern;
    return fzi_sparse_parse(o->sparse, &pattern);
}

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A frozen model is made of the very ONNX bytes that would have been written. */
static fz_status_t write_out(struct fz_prune *p, const char *path) {
    fz_freeze_options_t freeze = {.size = sizeof freeze, .numerics = "portable",
                                  .flags = FZ_FREEZE_SPARSE};
    struct fz_freeze_from from = {0};
    void *data;
    uint8_t digest[32];
    if (!ends_in(path, ".fz")) return fzi_export_file(p->after.graph, path);
    FZ_TRY(fzi_export_memory(p->after.graph, &p->arena, &data, &from.size));
    from.data = data;
    return fzi_freeze_path(&from, path, &freeze, digest);
}

static fz_status_t prune(const char *onnx_path, const char *out_path,
                         const fz_prune_options_t *o, struct fz_prune *p, struct samples *s) {
    fz_freeze_options_t import = {.size = sizeof import, .dims = o->dims, .n_dims = o->n_dims};
    p->path = onnx_path;
    p->options = &import;
    p->request = o;
    FZ_TRY(fzi_prune_open(p));
    FZ_TRY(open_samples(p, o, s));
    FZ_TRY(fzi_prune_run(p));
    return write_out(p, out_path);
}

static fz_status_t prune_file(const char *onnx_path, const char *out_path,
                              const fz_prune_options_t *options, fz_prune_result_t *result) {
    fz_prune_options_t o;
    fz_prune_result_t r = {.size = sizeof r};
    FZ_TRY(complete(onnx_path, out_path, options, &o));
    if (result && (result->size < sizeof result->size || result->size > 65536))
        return fzi_error(FZ_E_USAGE, "fz_prune_result_t.size is not the size of the struct");
    struct fz_prune p = {0};
    struct samples s = {0};
    uint64_t old = fzi_fpenv_enter();
    fz_status_t status = prune(onnx_path, out_path, &o, &p, &s);
    fzi_fpenv_leave(old);
    if (status == FZ_OK && result) {
        size_t size = result->size;
        r = p.result;
        r.size = size;
        memset(result, 0, size);
        memcpy(result, &r, size < sizeof r ? size : sizeof r);
    }
    fzi_data_close(s.data);
    fzi_prune_close(&p);
    return status;
}

FZ_API fz_status_t fz_prune_file(const char *onnx_path, const char *out_path,
                                 const fz_prune_options_t *options, fz_prune_result_t *result) {
    return fzi_tell(prune_file(onnx_path, out_path, options, result));
}
