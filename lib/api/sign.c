/* The functions of sign.h. */
#include <frozen/sign.h>
#include <stdio.h>

#include "api/tell.h"
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

static fz_status_t sign(const char *hex, const char *model_path, const char *private_path,
                        const char *signature_path) {
    char beside[4096];
    int n = snprintf(beside, sizeof beside, "%s.sig", model_path);
    if (n < 0 || (size_t)n >= sizeof beside)
        return fzi_error(FZ_E_USAGE, "the path is too long");
    return fzi_sign_id(hex, private_path, signature_path ? signature_path : beside);
}

fz_status_t fz_sign(const char *model_path, const char *private_path,
                    const char *signature_path) {
    char hex[65];
    if (!model_path || !private_path)
        return fzi_tell(fzi_error(FZ_E_USAGE, "fz_sign: a path is NULL"));
    FZ_TRY(model_id(model_path, hex));
    return fzi_tell(sign(hex, model_path, private_path, signature_path));
}
