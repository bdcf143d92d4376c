/* Key pairs in PEM files, by libcrypto. */
#ifndef FZ_SIGN_KEY_H
#define FZ_SIGN_KEY_H

#include <openssl/evp.h>

#include "base/base.h"

/* Makes a pair of KIND (FZ_KEY_ of sign.h) and writes its halves to files that must not be there
 * yet. */
fz_status_t fzi_key_generate(int32_t kind, const char *private_path, const char *public_path);

/* Reads the private or the public key of the PEM file at PATH; release it with EVP_PKEY_free().
 * FZ_E_IO, FZ_E_FORMAT (a key with a password, too: nobody is asked for one). */
fz_status_t fzi_key_read_private(const char *path, EVP_PKEY **key);
fz_status_t fzi_key_read_public(const char *path, EVP_PKEY **key);
/* FZ_KEY_ED25519, FZ_KEY_P256, or 0 for another kind. */
int32_t fzi_key_kind(EVP_PKEY *key);
/* FZ_E_UNSUPPORTED, with a message that names PATH, unless KEY is of KIND. */
fz_status_t fzi_key_check_kind(EVP_PKEY *key, int32_t kind, const char *path);

#endif
