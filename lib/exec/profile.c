/* Entering a numerics profile: for "blas" the library is loaded, and its version and core must be
 * those that the model was frozen for. */
#include "exec/profile.h"

#include <stdio.h>

#if defined(FZ_BLAS_LIBRARY)
#include "blas/blas.h"

void fzi_profile_name(const struct fz_model *model, char *name, size_t size) {
    snprintf(name, size, "blas/%.27s/%.27s", model->blas->version, model->blas->core);
}

fz_status_t fzi_profile_enter(struct fz_model *model, const char *profile, bool any) {
    char name[64];
    if (profile && strcmp(profile, "portable/1") == 0) return FZ_OK;
    if (profile && strncmp(profile, "blas/", 5) != 0)
        return fzi_error(FZ_E_PROFILE, "the library does not know the profile '%s'", profile);
    struct fz_blas *blas = fzi_arena_alloc(&model->arena, sizeof *blas);
    if (!blas) return fzi_error(FZ_E_NOMEM, "no memory for the model");
    const char *why = fzk_blas_open(FZ_BLAS_LIBRARY, blas);
    if (why) return fzi_error(FZ_E_PROFILE, "%s cannot be used: %s", FZ_BLAS_LIBRARY, why);
    model->blas = blas;
    fzi_profile_name(model, name, sizeof name);
    if (!profile || any || strcmp(profile, name) == 0) return FZ_OK;
    return fzi_error(FZ_E_PROFILE, "the model was frozen for %s, this host has %s", profile, name);
}

void fzi_profile_leave(struct fz_model *model) {
    if (model->blas) fzk_blas_close((struct fz_blas *)model->blas);
    model->blas = NULL;
}

#else

void fzi_profile_name(const struct fz_model *model, char *name, size_t size) {
    (void)model;
    snprintf(name, size, "portable/1");
}

fz_status_t fzi_profile_enter(struct fz_model *model, const char *profile, bool any) {
    (void)model, (void)any;
    if (profile && strcmp(profile, "portable/1") == 0) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "this build has no numerics profile \"blas\"");
}

void fzi_profile_leave(struct fz_model *model) { (void)model; }

#endif
