/* The fz_model_ functions. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "api/options.h"
#include "exec/answer.h"
#include "exec/open.h"

fz_status_t fz_model_open_fd(int fd, const fz_open_options_t *options, fz_model_t **out) {
    fz_open_options_t o;
    if (!out) return fzi_error(FZ_E_USAGE, "fz_model_open_fd: OUT is NULL");
    *out = NULL;
    FZ_TRY(fzi_open_options_complete(&o, options));
    return fzi_model_open(fd, &o, out);
}

/* With a signer but no signature, that is PATH.sig: TEXT, which the caller releases. */
static fz_status_t name_signature(const char *path, fz_open_options_t *options, char **text) {
    *text = NULL;
    if (!options->signer || options->signature) return FZ_OK;
    size_t size = strlen(path) + sizeof ".sig";
    *text = fzi_alloc(size);
    if (!*text) return fzi_error(FZ_E_NOMEM, "no memory to open the model");
    snprintf(*text, size, "%s.sig", path);
    options->signature = *text;
    return FZ_OK;
}

fz_status_t fz_model_open(const char *path, const fz_open_options_t *options, fz_model_t **out) {
    fz_open_options_t o;
    char *signature;
    if (!out) return fzi_error(FZ_E_USAGE, "fz_model_open: OUT is NULL");
    *out = NULL;
    if (!path) return fzi_error(FZ_E_USAGE, "fz_model_open: PATH is NULL");
    FZ_TRY(fzi_options_copy(&o, sizeof o, options, "fz_open_options_t"));
    o.size = sizeof o;
    FZ_TRY(name_signature(path, &o, &signature));
    fz_status_t status = FZ_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) status = fzi_error(FZ_E_IO, "cannot open '%s': %s", path, strerror(errno));
    else status = fz_model_open_fd(fd, &o, out);
    if (fd >= 0) {
        close(fd);
        if (status != FZ_OK) fzi_error_context(status, "%s", path);
    }
    fzi_free(signature);
    return status;
}

fz_status_t fz_model_export_fd(const fz_model_t *model, int *fd) {
    if (fd) *fd = -1;
    if (!model || !fd) return fzi_error(FZ_E_USAGE, "fz_model_export_fd: a pointer is NULL");
    if (model->seal.fd <= 0 || model->info.swapped)
        return fzi_error(FZ_E_UNSUPPORTED, "the model has no sealed memory to share: open it with "
                                           "FZ_OPEN_SHARE");
    *fd = fcntl(model->seal.fd, F_DUPFD_CLOEXEC, 3);
    if (*fd >= 0) return FZ_OK;
    return fzi_error(FZ_E_SYSTEM, "cannot duplicate a descriptor: %s", strerror(errno));
}

fz_status_t fz_model_open_memory(const void *data, size_t size, const fz_open_options_t *options,
                                 fz_model_t **out) {
    fz_open_options_t o;
    if (!out) return fzi_error(FZ_E_USAGE, "fz_model_open_memory: OUT is NULL");
    *out = NULL;
    if (!data) return fzi_error(FZ_E_USAGE, "fz_model_open_memory: DATA is NULL");
    FZ_TRY(fzi_open_options_complete(&o, options));
    if (o.flags & FZ_OPEN_MAP)
        return fzi_error(FZ_E_USAGE, "FZ_OPEN_MAP needs a file, not memory");
    return fzi_model_open_memory(data, size, &o, out);
}

fz_status_t fz_model_adopt_fd(int fd, const fz_open_options_t *options, fz_model_t **out) {
    return fzi_model_adopt(fd, options, out);
}

void fz_model_close(fz_model_t *model) { fzi_model_free(model); }

fz_status_t fz_model_id(const fz_model_t *model, char hex[65]) {
    if (!model || !hex) return fzi_error(FZ_E_USAGE, "fz_model_id: a pointer is NULL");
    if (fzi_model_hex(model, hex)) return FZ_OK;
    return fzi_error(FZ_E_UNVERIFIED, "the model is mapped: call fz_model_verify() first");
}

const char *fz_model_profile(const fz_model_t *model) { return model ? model->info.profile : ""; }

int32_t fz_model_protection(const fz_model_t *model) { return model ? model->seal.level : 0; }

fz_status_t fz_model_verify(fz_model_t *model) {
    if (!model) return fzi_error(FZ_E_USAGE, "fz_model_verify: MODEL is NULL");
    bool known = atomic_load_explicit(&model->id_state, memory_order_acquire) == FZ_ID_KNOWN;
    uint8_t digest[32];
    fz_status_t status = fzi_artifact_verify(&model->info, known ? model->id : NULL, digest);
    if (status == FZ_E_CORRUPT) atomic_store(&model->corrupt, true);
    if (status == FZ_OK) fzi_model_learn_id(model, digest);
    return status;
}

fz_status_t fz_model_scrub(fz_model_t *model, size_t budget) {
    if (!model) return fzi_error(FZ_E_USAGE, "fz_model_scrub: MODEL is NULL");
    /* One round is enough, however large the budget. */
    uint64_t blocks = budget / 65536 ? budget / 65536 : 1;
    if (blocks > model->info.n_blocks) blocks = model->info.n_blocks;
    for (; blocks > 0 && !atomic_load(&model->corrupt); blocks--) {
        uint64_t i = atomic_fetch_add(&model->scrub_next, 1) % model->info.n_blocks;
        if (fzi_artifact_check_block(&model->info, i) != FZ_OK) atomic_store(&model->corrupt, true);
    }
    if (atomic_load(&model->corrupt))
        return fzi_error(FZ_E_CORRUPT, "the model's memory was found changed");
    return FZ_OK;
}

fz_status_t fz_model_known_answer(fz_model_t *model) {
    if (!model) return fzi_error(FZ_E_USAGE, "fz_model_known_answer: MODEL is NULL");
    return fzi_answer_check(model);
}

size_t fz_model_input_count(const fz_model_t *model) { return model ? model->plan.n_inputs : 0; }
size_t fz_model_output_count(const fz_model_t *model) { return model ? model->plan.n_outputs : 0; }

static void describe(const fz_model_t *model, const struct fz_plan_io *io, fz_io_t *out) {
    const struct fz_plan *plan = &model->plan;
    const fz_tensor_t *t = &model->values[io->value];
    *out = (fz_io_t){.name = plan->strings + io->name, .dtype = t->dtype, .rank = t->rank};
    for (int32_t d = 0; d < t->rank; d++) {
        out->dims[d] = t->dims[d] < 0 ? -1 : t->dims[d];
        out->dim_names[d] = "";
        int64_t symbol = FZ_DIM_SYMBOL - t->dims[d];
        if (t->dims[d] <= FZ_DIM_SYMBOL && symbol < (int64_t)plan->n_symbols)
            out->dim_names[d] = plan->strings + plan->symbols[symbol];
    }
}

fz_status_t fz_model_input(const fz_model_t *model, size_t index, fz_io_t *out) {
    if (!model || !out || index >= model->plan.n_inputs)
        return fzi_error(FZ_E_USAGE, "fz_model_input: there is no input %zu", index);
    describe(model, &model->plan.io[index], out);
    return FZ_OK;
}

fz_status_t fz_model_output(const fz_model_t *model, size_t index, fz_io_t *out) {
    if (!model || !out || index >= model->plan.n_outputs)
        return fzi_error(FZ_E_USAGE, "fz_model_output: there is no output %zu", index);
    describe(model, &model->plan.io[model->plan.n_inputs + index], out);
    return FZ_OK;
}

fz_status_t fz_model_stats(const fz_model_t *model, fz_model_stats_t *out) {
    if (!model || !out) return fzi_error(FZ_E_USAGE, "fz_model_stats: a pointer is NULL");
    *out = (fz_model_stats_t){.file_size = model->info.file_size,
                              .weight_size = model->info.weight_size,
                              .arena_size = model->info.arena_size,
                              .macs = model->info.macs,
                              .n_steps = model->plan.n_steps,
                              .n_constants = model->plan.n_consts};
    return FZ_OK;
}

/* What the known answer is made from, or how its run ended. */
static const char *answer_text(const struct fz_plan_kat *kat) {
    if (!kat || kat->state == 0) return NULL;
    if (kat->state == 2) return fz_status_name((fz_status_t)kat->status);
    return kat->state == 1 ? "seed" : "inputs";
}

const char *fz_model_text(const fz_model_t *model, const char *key) {
    if (!model || !key) return NULL;
    const struct fz_plan *plan = &model->plan;
    if (strcmp(key, "known-answer") == 0) return answer_text(plan->kat);
    for (size_t i = 0; i < plan->n_texts; i++)
        if (strcmp(plan->strings + plan->texts[2 * i], key) == 0)
            return plan->strings + plan->texts[2 * i + 1];
    return NULL;
}
