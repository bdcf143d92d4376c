/* Signatures of frozen models. */
#ifndef FZ_SIGN_SIGN_H
#define FZ_SIGN_SIGN_H

#include "base/base.h"

/* Writes the Ed25519 signature of the model HEX by the key in PRIVATE_PATH to SIGNATURE_PATH. */
fz_status_t fzi_sign_id(const char *hex, const char *private_path, const char *signature_path);

#endif
