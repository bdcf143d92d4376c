/* Opening: seal the bytes, prove them, prepare the plan. */
#include "exec/open.h"

#include "base/sha256.h"
#include "base/signature.h"
#include "exec/answer.h"
#include "exec/profile.h"

/* Level 3 is entered when the model is known to be wanted: its memory is never given back. */
static struct fz_seal_request request_of(const fz_open_options_t *options,
                                          struct fz_artifact_sums *sums) {
    bool forever = options->protection == FZ_PROTECT_FOREVER;
    return (struct fz_seal_request){.level = forever ? FZ_PROTECT_SEALED : options->protection,
                                    .max_size = options->max_file_size,
                                    .map = (options->flags & FZ_OPEN_MAP) != 0,
                                    .keep_fd = (options->flags & FZ_OPEN_SHARE) != 0,
                                    .swap = true,
                                    .threads = options->threads,
                                    .sums = options->flags & FZ_OPEN_MAP ? NULL : sums};
}

bool fzi_model_hex(const struct fz_model *model, char hex[65]) {
    hex[0] = 0;
    if (atomic_load_explicit(&model->id_state, memory_order_acquire) != FZ_ID_KNOWN) return false;
    fzi_sha256_hex(model->id, hex);
    return true;
}

void fzi_model_learn_id(struct fz_model *model, const uint8_t digest[32]) {
    int unknown = FZ_ID_UNKNOWN;
    if (!atomic_compare_exchange_strong(&model->id_state, &unknown, FZ_ID_CLAIMED)) return;
    memcpy(model->id, digest, sizeof model->id);
    atomic_store_explicit(&model->id_state, FZ_ID_KNOWN, memory_order_release);
}

/* Whether the model is the one that is expected, and signed by whom it has to be. A mapped file's
 * digest is not known yet: it has to be read for this. */
static fz_status_t check_identity(struct fz_model *model, const fz_open_options_t *options) {
    char hex[65];
    if (model->seal.digest_known) fzi_model_learn_id(model, model->seal.digest);
    if (!options->expect && !options->signer) return FZ_OK;
    if (!model->seal.digest_known) {
        uint8_t digest[32];
        FZ_TRY(fzi_artifact_verify(&model->info, NULL, digest));
        fzi_model_learn_id(model, digest);
    }
    fzi_model_hex(model, hex);
    if (options->expect && strcmp(hex, options->expect) != 0)
        return fzi_error(FZ_E_DIGEST, "the model is %s, expected was %s", hex, options->expect);
    if (!options->signer) return FZ_OK;
    return fzi_signature_check(options->signer, options->signature, hex);
}

/* One byte per block of the back part: whether it was checked. */
static fz_status_t prepare_checks(struct fz_model *model) {
    if (!model->seal.back) return FZ_OK;
    model->checked = fzi_arena_array(&model->arena, model->info.n_blocks, sizeof *model->checked);
    return model->checked ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for the model");
}

static fz_status_t finish(struct fz_model *model, const fz_open_options_t *options,
                          const struct fz_artifact_sums *sums) {
    FZ_TRY(fzi_custom_bind(options->custom, &model->arena, &model->custom));
    model->plan.custom = &model->custom;
    FZ_TRY(fzi_artifact_read(model->seal.data, model->seal.size, model->seal.back, sums,
                             &model->plan, &model->info));
    /* The mapping was measured by a header that was read before the one that is sealed. */
    if (model->seal.back &&
        model->info.file_size - model->info.front_size != model->seal.back_size)
        return fzi_error(FZ_E_IO, "the file changed while it was opened");
    FZ_TRY(check_identity(model, options));
    FZ_TRY(prepare_checks(model));
    FZ_TRY(fzi_profile_enter(model, model->info.profile,
                             (options->flags & FZ_OPEN_ANY_PROFILE) != 0));
    FZ_TRY(fzi_model_prepare(model, NULL));
    if (options->flags & FZ_OPEN_KNOWN_ANSWER) FZ_TRY(fzi_answer_check(model));
    if (options->protection == FZ_PROTECT_FOREVER) fzi_seal_forever(&model->seal);
    return FZ_OK;
}

static fz_status_t make(fz_status_t sealed, struct fz_seal *seal, const fz_open_options_t *options,
                        struct fz_artifact_sums *sums, struct fz_model **out) {
    fz_status_t status = sealed;
    struct fz_model *model = status == FZ_OK ? fzi_calloc(1, sizeof *model) : NULL;
    *out = NULL;
    if (model) {
        model->seal = *seal;
        status = finish(model, options, sums);
        if (status == FZ_OK) *out = model;
        else fzi_model_free(model);
    } else if (status == FZ_OK) {
        fzi_seal_release(seal);
        status = fzi_error(FZ_E_NOMEM, "no memory for the model");
    }
    fzi_artifact_sums_free(sums);
    return status;
}

fz_status_t fzi_model_open(int fd, const fz_open_options_t *options, struct fz_model **out) {
    struct fz_artifact_sums sums = {NULL, NULL};
    struct fz_seal_request request = request_of(options, &sums);
    struct fz_seal seal = {0};
    return make(fzi_seal_fd(fd, &request, &seal), &seal, options, &sums, out);
}

fz_status_t fzi_model_open_memory(const void *data, size_t size, const fz_open_options_t *options,
                                  struct fz_model **out) {
    struct fz_artifact_sums sums = {NULL, NULL};
    struct fz_seal_request request = request_of(options, &sums);
    struct fz_seal seal = {0};
    return make(fzi_seal_memory(data, size, &request, &seal), &seal, options, &sums, out);
}

fz_status_t fzi_model_adopt(int fd, const fz_open_options_t *options, struct fz_model **out) {
    struct fz_artifact_sums sums = {NULL, NULL};
    struct fz_seal_request request = request_of(options, &sums);
    struct fz_seal seal = {0};
    return make(fzi_seal_adopt(fd, &request, &seal), &seal, options, &sums, out);
}

void fzi_model_free(struct fz_model *model) {
    if (!model) return;
    fzi_model_release(model);
    fzi_free(model);
}
