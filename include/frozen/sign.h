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

/* The same with a P-256 key and as a bundle of the OpenSSF Model Signing
 * specification 1.0, a JSON file that other tools make and check, too; NULL for
 * BUNDLE_PATH means MODEL_PATH with ".sig". FZ_E_VALUE if the name of the file
 * is not UTF-8.                                                    Since 0.1 */
FZ_API fz_status_t fz_bundle_sign(const char *model_path,
                                  const char *private_path,
                                  const char *bundle_path);

/* Checks that the bundle BUNDLE_PATH is of one file and signed by the P-256 key
 * in PUBLIC_PATH, and writes the SHA-256 of that file to HEX. To open the
 * model, expect HEX: fz_model_open() then proves that it is the one.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_NOMEM, FZ_E_IO,
 * FZ_E_FORMAT       the bundle is malformed, or of another kind,
 * FZ_E_UNSUPPORTED  it is signed with a certificate, or for several files; or
 *                   the key is of another kind,
 * FZ_E_SIGNATURE    it is not signed by the key.                   Since 0.1 */
FZ_API fz_status_t fz_bundle_verify(const char *bundle_path,
                                    const char *public_path, char hex[65]);

#ifdef __cplusplus
}
#endif

#endif
