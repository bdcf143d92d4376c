/* sign.h: keys, and signatures of frozen models. Library libfrozen-store.
 *
 * A signature says that the holder of a private key vouches for a model id.
 * It lies in a file beside the model; fz_model_open() with a signer refuses a
 * model without it. Keys are PEM files as other tools read and write them: a
 * private key as PKCS #8 without a password, a public one as
 * SubjectPublicKeyInfo. The rules at the top of frozen.h hold here too. */
#ifndef FROZEN_SIGN_H
#define FROZEN_SIGN_H

#include <frozen/frozen.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of keys. */
enum {
    FZ_KEY_ED25519 = 1, /* RFC 8032; what fz_model_open() checks */
    FZ_KEY_P256 = 2     /* ECDSA with SHA-256, for Model Signing bundles */
};

/* Makes a new key pair from the system's random numbers. The private half goes
 * to PRIVATE_PATH, readable by its owner only, the public half to PUBLIC_PATH.
 * Neither file may be there: a key is never overwritten.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_IO, FZ_E_SYSTEM if no key could be made. Since 0.1 */
FZ_API fz_status_t fz_key_generate(int32_t kind, const char *private_path,
                                   const char *public_path);

/* Signs the frozen file MODEL_PATH, which is read and verified whole, with the
 * Ed25519 key in PRIVATE_PATH, and writes the 64 bytes to SIGNATURE_PATH; NULL
 * means MODEL_PATH with ".sig". See fz_model_open() for what is signed.
 *
 * FZ_OK, FZ_E_IO, those of fz_model_open(),
 * FZ_E_FORMAT       PRIVATE_PATH holds no private key, or one with a password,
 * FZ_E_UNSUPPORTED  the key is of another kind.                    Since 0.1 */
FZ_API fz_status_t fz_sign(const char *model_path, const char *private_path,
                           const char *signature_path);

#ifdef __cplusplus
}
#endif

#endif
