/* Import, passes, plan, known answer, file: in this order, once. */
#include "freeze/freeze.h"

#include <frozen/version.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "artifact/artifact.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "exec/answer.h"
#include "exec/profile.h"
#include "import/import.h"
#include "passes/passes.h"
#include "plan/build.h"
#include "tensor/value.h"

struct freezer {
    const fz_freeze_options_t *options;
    struct fz_arena arena;
    struct fz_source source;
    struct fz_graph *graph;
    struct fz_custom_ops custom;
    struct fz_text passes, origin, provenance, metadata, operators;
    struct fz_plan_source plan;
    char profile[64];
};

static fz_status_t report(const struct freezer *f, double done, const char *phase) {
    const fz_freeze_options_t *o = f->options;
    if (o->progress && o->progress(o->progress_context, done, phase))
        return fzi_error(FZ_E_CANCELLED, "freezing was cancelled");
    return FZ_OK;
}

/* The public names of the outputs survive whatever passes do to their values. */
static fz_status_t keep_output_names(struct fz_graph *graph) {
    graph->output_names =
        fzi_arena_array(graph->arena, graph->n_outputs, sizeof *graph->output_names);
    if (!graph->output_names) return fzi_error(FZ_E_NOMEM, "no memory for names");
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        graph->output_names[i] = graph->outputs[i]->name;
    return FZ_OK;
}

static fz_status_t import(struct freezer *f, const struct fz_freeze_from *from) {
    if (from->path)
        return fzi_import_file(from->path, f->options, &f->arena, &f->source, &f->graph);
    return fzi_import_memory(from->data, from->size, f->options, &f->arena, &f->source, &f->graph);
}

/* ---- given known-answer inputs */

static const fz_kat_input_t *find_given(const fz_freeze_options_t *o, const char *name) {
    for (size_t i = 0; i < o->n_kat_inputs; i++)
        if (o->kat_inputs[i].name && strcmp(o->kat_inputs[i].name, name) == 0)
            return &o->kat_inputs[i];
    return NULL;
}

/* Lets the plan hold a constant for each input, in their order. The run checks type and shape. */
static fz_status_t keep_given(struct freezer *f) {
    const fz_freeze_options_t *o = f->options;
    struct fz_graph *graph = f->graph;
    if (!o->n_kat_inputs) return FZ_OK;
    if (o->n_kat_inputs != graph->n_inputs)
        return fzi_error(FZ_E_USAGE, "known-answer inputs must be given for all %u inputs or none",
                         graph->n_inputs);
    graph->kept = fzi_arena_array(&f->arena, graph->n_inputs, sizeof *graph->kept);
    if (!graph->kept) return fzi_error(FZ_E_NOMEM, "no memory for a known answer");
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        const fz_kat_input_t *given = find_given(o, graph->inputs[i]->name);
        if (!given)
            return fzi_error(FZ_E_USAGE, "no known-answer input for '%s'", graph->inputs[i]->name);
        fz_tensor_t t = given->tensor;
        FZ_TRY(fzi_tensor_measure(&t));
        if (fzi_type_is_nested(t.dtype))
            return fzi_error(FZ_E_USAGE, "the known-answer input '%s' is no tensor", given->name);
        if (given->tensor.size < t.size || (t.size && !t.data) ||
            (t.dtype == FZ_TYPE_STRING && fzi_value_check(&t) != FZ_OK))
            return fzi_error(FZ_E_USAGE, "the known-answer input '%s' has too few bytes",
                             given->name);
        graph->kept[graph->n_kept] = fzi_graph_constant(graph, given->name, &t);
        if (!graph->kept[graph->n_kept++])
            return fzi_error(FZ_E_NOMEM, "no memory for a known answer");
    }
    return FZ_OK;
}

/* ---- the file's descriptions */

static const char *const flag_names[] = {"keep-onnx", "no-winograd", "literal-qdq", "no-kat",
                                         "dynamic-range-per-row"};

static void describe_origin(struct freezer *f) {
    const fz_freeze_options_t *o = f->options;
    struct fz_text *t = &f->provenance;
    fzi_text_add(t, "source sha256:");
    for (int i = 0; i < 32; i++) fzi_text_add(t, "%02x", f->source.digest[i]);
    fzi_text_add(t, "\nlibrary libfrozen %s\nnumerics %s\n", FZ_VERSION_STRING, o->numerics);
    for (size_t i = 0; i < o->n_dims; i++)
        fzi_text_add(t, "dim %s=%lld\n", o->dims[i].name, (long long)o->dims[i].value);
    for (size_t i = 0; i < FZ_COUNT(flag_names); i++)
        if (o->flags >> i & 1) fzi_text_add(t, "option %s\n", flag_names[i]);
    fzi_text_add(t, "%s", f->origin.data ? f->origin.data : "");
}

static void describe_model(struct freezer *f) {
    const struct fz_model_info *info = f->graph->info;
    struct fz_text *t = &f->metadata;
    fzi_text_add(t, "ir_version %lld\n", (long long)info->ir_version);
    if (info->producer) fzi_text_add(t, "producer %s\n", info->producer);
    if (info->producer_version) fzi_text_add(t, "producer_version %s\n", info->producer_version);
    fzi_text_add(t, "graph %s\n", f->graph->name);
    for (uint32_t i = 0; i < info->n_metadata; i++) {
        const struct fz_string *pair = info->metadata + 2 * i;
        fzi_text_add(t, "meta.%.*s %.*s\n", (int)pair[0].size, pair[0].text, (int)pair[1].size,
                     pair[1].text);
    }
}

/* The caller's operators and then the library's; NULL behind the last. */
static const struct fz_op *op_at(const struct freezer *f, size_t i) {
    return i < f->custom.n ? &f->custom.rows[i].op : fzi_op_at(i - f->custom.n);
}

static void count_operators(const struct freezer *f, const struct fz_graph *graph,
                            uint32_t *counts, size_t n) {
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        for (size_t i = 0; i < n; i++)
            if (op_at(f, i) == node->op) counts[i]++;
        for (uint32_t i = 0; i < node->n_sub; i++)
            count_operators(f, node->sub[i], counts, n);
    }
}

static fz_status_t describe_operators(struct freezer *f) {
    size_t n = 0;
    while (op_at(f, n)) n++;
    uint32_t *counts = fzi_arena_array(&f->arena, n, sizeof *counts);
    if (!counts) return fzi_error(FZ_E_NOMEM, "no memory for a list of operators");
    count_operators(f, f->graph, counts, n);
    for (size_t i = 0; i < n; i++) {
        const struct fz_op *op = op_at(f, i);
        const char *dot = op->domain[0] ? "." : "";
        if (counts[i])
            fzi_text_add(&f->operators, "%s%s%s %d %u\n", op->domain, dot, op->name, op->rev,
                         counts[i]);
    }
    return FZ_OK;
}

static fz_status_t build_plan(struct freezer *f) {
    describe_origin(f);
    describe_model(f);
    FZ_TRY(describe_operators(f));
    FZ_TRY(keep_given(f));
    if (f->passes.failed || f->origin.failed || f->provenance.failed || f->metadata.failed ||
        f->operators.failed)
        return fzi_error(FZ_E_NOMEM, "no memory for the file's descriptions");
    const char *texts[] = {"provenance", f->provenance.data, "passes",    f->passes.data,
                           "metadata",   f->metadata.data,   "operators", f->operators.data};
    FZ_TRY(fzi_plan_build(f->graph, texts, FZ_COUNT(texts) / 2, &f->arena, &f->plan));
    f->plan.profile = f->profile;
    if (f->options->flags & FZ_FREEZE_KEEP_ONNX) {
        f->plan.onnx = f->source.onnx;
        f->plan.onnx_size = f->source.onnx_size;
    }
    return FZ_OK;
}

/* ---- the known answer */

static void store_digest(struct fz_plan_kat *kat, const uint8_t digest[32]) {
    for (int i = 0; i < 8; i++)
        kat->digest[i] = (uint32_t)digest[4 * i] << 24 | (uint32_t)digest[4 * i + 1] << 16 |
                         (uint32_t)digest[4 * i + 2] << 8 | digest[4 * i + 3];
}

/* Fills the record, and those of the outputs behind it; returns how many there are. */
static size_t store_answer(struct fz_plan_kat *kat, fz_status_t status, uint64_t seed,
                           const struct fz_answer *answer, size_t n_outputs) {
    kat->state = status == FZ_OK ? 1 : 2;
    kat->status = (uint32_t)status;
    kat->seed_low = (uint32_t)seed;
    kat->seed_high = (uint32_t)(seed >> 32);
    if (status != FZ_OK) return 1;
    store_digest(kat, answer->digest);
    for (size_t i = 0; i < n_outputs; i++) {
        kat[1 + i] = (struct fz_plan_kat){.state = 4, .seed_low = (uint32_t)i};
        store_digest(&kat[1 + i], answer->outputs[i]);
    }
    return 1 + n_outputs;
}

static bool has_custom(const struct fz_plan *plan) {
    for (size_t i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].opset & FZ_PLAN_CUSTOM) return true;
    return false;
}

/* The answer once more, in another session: what only the caller knows how to compute must give the
 * same bits again. */
static fz_status_t answer_again(struct freezer *f, struct fz_model *model,
                                const fz_tensor_t *given, const struct fz_answer *first) {
    struct fz_answer second = {.outputs = NULL};
    FZ_TRY(fzi_answer_compute(model, f->options->kat_seed, given, &second));
    if (memcmp(first->digest, second.digest, sizeof second.digest) == 0) return FZ_OK;
    return fzi_error(FZ_E_ANSWER, "the model gave other bits when it was run again on the same "
                                  "inputs: its custom operators do not compute the same each time");
}

/* Runs the plan where it lies: the model is not a file yet. */
static fz_status_t run_answer(struct freezer *f, struct fz_model *model,
                              struct fz_plan_kat *kat) {
    size_t n = f->plan.plan.n_outputs;
    struct fz_answer answer = {.outputs = fzi_arena_array(&f->arena, n, sizeof *answer.outputs)};
    if (!answer.outputs) return fzi_error(FZ_E_NOMEM, "no memory for a known answer");
    const fz_tensor_t *given =
        f->graph->n_kept ? &model->values[f->graph->kept[0]->id - 1] : NULL;
    fz_status_t status = fzi_answer_compute(model, f->options->kat_seed, given, &answer);
    f->plan.arena_size = answer.arena_size;
    f->plan.macs = answer.macs;
    if (given && status != FZ_OK) return fzi_error_context(status, "known-answer inputs");
    /* A model that cannot run on made-up inputs is still a model; lack of memory is not. */
    if (status == FZ_E_NOMEM) return status;
    if (status == FZ_OK && has_custom(&f->plan.plan))
        FZ_TRY(answer_again(f, model, given, &answer));
    f->plan.plan.n_kat = store_answer(kat, status, f->options->kat_seed, &answer, n);
    if (given) {
        kat->state = 3;
        kat->seed_low = f->graph->kept[0]->id - 1;
        kat->seed_high = 0;
    }
    f->plan.plan.kat = kat;
    return FZ_OK;
}

/* Learns what only a host can say: the profile's full name and the known answer. */
static fz_status_t answer(struct freezer *f) {
    bool blas = strcmp(f->options->numerics, "blas") == 0;
    bool wanted = !(f->options->flags & FZ_FREEZE_NO_KAT);
    struct fz_plan_kat *kat = fzi_arena_array(&f->arena, 1 + f->plan.plan.n_outputs, sizeof *kat);
    struct fz_model *model = fzi_calloc(1, sizeof *model);
    if (!kat || !model) {
        fzi_free(model);
        return fzi_error(FZ_E_NOMEM, "no memory for a known answer");
    }
    model->plan = f->plan.plan;
    memcpy(f->profile, "portable/1", sizeof "portable/1");
    fz_status_t status = fzi_profile_enter(model, blas ? NULL : f->profile, false);
    if (status == FZ_OK && blas) fzi_profile_name(model, f->profile, sizeof f->profile);
    if (status == FZ_OK && wanted) status = fzi_model_prepare(model, f->plan.const_data);
    if (status == FZ_OK && wanted) status = run_answer(f, model, kat);
    fzi_model_release(model);
    fzi_free(model);
    return status;
}

static int write_progress(void *context, double done) {
    const struct freezer *f = context;
    return report(f, 0.6 + 0.4 * done, "write") != FZ_OK;
}

static fz_status_t run(struct freezer *f, const struct fz_freeze_from *from, int fd,
                       uint8_t digest[32]) {
    struct fzk_table k;
    fzk_table_fill(&k, fzk_cpu_mask());
    FZ_TRY(report(f, 0, "read"));
    FZ_TRY(import(f, from));
    FZ_TRY(fzi_custom_bind(f->options->custom, &f->arena, &f->custom));
    f->graph->info->custom = &f->custom;
    FZ_TRY(keep_output_names(f->graph));
    FZ_TRY(fzi_passes_run(f->graph, f->options, &k, &f->passes, &f->origin));
    FZ_TRY(build_plan(f));
    FZ_TRY(report(f, 0.5, "known answer"));
    FZ_TRY(answer(f));
    return fzi_artifact_write(&f->plan, fd, digest, write_progress, f);
}

fz_status_t fzi_freeze(const struct fz_freeze_from *from, const fz_freeze_options_t *options,
                       int fd, uint8_t digest[32]) {
    struct freezer f = {.options = options};
    /* Folding and packing compute, too: in the environment of a run. */
    uint64_t old = fzi_fpenv_enter();
    fz_status_t status = run(&f, from, fd, digest);
    fzi_fpenv_leave(old);
    fzi_source_close(&f.source);
    fzi_arena_free(&f.arena);
    fzi_text_free(&f.passes);
    fzi_text_free(&f.origin);
    fzi_text_free(&f.provenance);
    fzi_text_free(&f.metadata);
    fzi_text_free(&f.operators);
    return status;
}

/* Writes to a file beside PATH that takes its name only when it is complete. */
fz_status_t fzi_freeze_path(const struct fz_freeze_from *from, const char *path,
                            const fz_freeze_options_t *options, uint8_t digest[32]) {
    char temporary[FZ_PATH_MAX];
    int fd;
    FZ_TRY(fzi_file_beside(path, 0666, temporary, &fd));
    fz_status_t status = fzi_freeze(from, options, fd, digest);
    if (status == FZ_OK && fsync(fd) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
    close(fd);
    if (status == FZ_OK && rename(temporary, path) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
    if (status != FZ_OK) unlink(temporary);
    return status;
}
