/* Ed25519 signatures (RFC 8032) of model ids, by libcrypto. */
#ifndef FZ_SIGNATURE_H
#define FZ_SIGNATURE_H

#include "base/base.h"

enum { FZ_SIGNATURE_SIZE = 64, FZ_STATEMENT_SIZE = 96 };

/* The bytes that a signature is of, without a NUL: what they name can be nothing else than a frozen
 * model. Returns their number. HEX is the model id. */
size_t fzi_signature_statement(const char *hex, char statement[FZ_STATEMENT_SIZE]);

/* Checks that the file SIGNATURE_PATH holds the signature of the model HEX by the key whose public
 * half is in KEY_PATH (PEM). FZ_E_SIGNATURE if not; FZ_E_IO if a file cannot be read; FZ_E_FORMAT
 * if one is not what it should be; FZ_E_UNSUPPORTED for a key of another kind or a build without
 * libcrypto. */
fz_status_t fzi_signature_check(const char *key_path, const char *signature_path, const char *hex);

#endif
