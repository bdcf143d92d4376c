/* The functions of sign.h. */
#include <frozen/sign.h>
#include <stdio.h>

#include "api/tell.h"
#include "sign/bundle.h"
#include "sign/key.h"
#include "sign/sign.h"

static fz_status_t generate(int32_t kind, const char *private_path, const char *public_path) {
    if (!private_path || !public_path)
        return fzi_error(FZ_E_USAGE, "fz_key_generate: a path is NULL");
    if (kind != FZ_KEY_ED25519 && kind != FZ_KEY_P256)
        return fzi_error(FZ_E_USAGE, "fz_key_generate: there is no kind %d of keys", kind);
    return fzi_key_generate(kind, private_path, public_path);
}

fz_status_t fz_key_generate(int32_t kind, const char *private_path, const char *public_path) {
    return fzi_tell(generate(kind, private_path, public_path));
}

/* The id of the file at PATH, which libfrozen verifies. It has told the message itself. */
static fz_status_t model_id(const char *path, char hex[65]) {
    fz_model_t *model;
    FZ_TRY(fz_model_open(path, NULL, &model));
    fz_status_t status = fz_model_id(model, hex);
    fz_model_close(model);
    return status;
}

/* The signature's path: PATH, or that of the model with ".sig". */
static fz_status_t beside(const char *model_path, const char **path, char text[4096]) {
    if (*path) return FZ_OK;
    int n = snprintf(text, 4096, "%s.sig", model_path);
    *path = text;
    if (n >= 0 && n < 4096) return FZ_OK;
    return fzi_error(FZ_E_USAGE, "the path is too long");
}

fz_status_t fz_sign(const char *model_path, const char *private_path,
                    const char *signature_path) {
    char hex[65], text[4096];
    if (!model_path || !private_path)
        return fzi_tell(fzi_error(FZ_E_USAGE, "fz_sign: a path is NULL"));
    FZ_TRY(model_id(model_path, hex));
    fz_status_t status = beside(model_path, &signature_path, text);
    if (status == FZ_OK) status = fzi_sign_id(hex, private_path, signature_path);
    return fzi_tell(status);
}

fz_status_t fz_bundle_sign(const char *model_path, const char *private_path,
                           const char *bundle_path) {
    char hex[65], text[4096];
    if (!model_path || !private_path)
        return fzi_tell(fzi_error(FZ_E_USAGE, "fz_bundle_sign: a path is NULL"));
    FZ_TRY(model_id(model_path, hex));
    const char *slash = strrchr(model_path, '/');
    fz_status_t status = beside(model_path, &bundle_path, text);
    if (status == FZ_OK)
        status = fzi_bundle_sign(slash ? slash + 1 : model_path, hex, private_path, bundle_path);
    return fzi_tell(status);
}

fz_status_t fz_bundle_verify(const char *bundle_path, const char *public_path, char hex[65]) {
    if (hex) hex[0] = 0;
    if (!bundle_path || !public_path || !hex)
        return fzi_tell(fzi_error(FZ_E_USAGE, "fz_bundle_verify: a pointer is NULL"));
    fz_status_t status = fzi_bundle_verify(bundle_path, public_path, hex);
    if (status != FZ_OK) hex[0] = 0;
    return fzi_tell(status);
}
