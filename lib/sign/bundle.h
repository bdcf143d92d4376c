/* OpenSSF Model Signing v1.0: signatures as sigstore bundles, made and checked with a key. */
#ifndef FZ_SIGN_BUNDLE_H
#define FZ_SIGN_BUNDLE_H

#include "base/base.h"

/* Writes to BUNDLE_PATH the bundle for the file NAME whose SHA-256 is HEX, signed with the P-256
 * key in PRIVATE_PATH. */
fz_status_t fzi_bundle_sign(const char *name, const char *hex, const char *private_path,
                            const char *bundle_path);
/* Checks the bundle and that it is signed by the P-256 key in PUBLIC_PATH. HEX gets the SHA-256 of
 * the one file that it is for. FZ_E_FORMAT for what is no such bundle, FZ_E_UNSUPPORTED for one
 * that is signed otherwise than by a key, or for several files; FZ_E_SIGNATURE. */
fz_status_t fzi_bundle_verify(const char *bundle_path, const char *public_path, char hex[65]);

#endif
