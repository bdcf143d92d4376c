/* Ed25519 signatures of model ids. */
#include "sign/sign.h"

#include <frozen/sign.h>
#include <openssl/err.h>

#include "base/file.h"
#include "base/signature.h"
#include "sign/key.h"

fz_status_t fzi_sign_id(const char *hex, const char *private_path, const char *signature_path) {
    char statement[FZ_STATEMENT_SIZE];
    uint8_t signature[FZ_SIGNATURE_SIZE];
    size_t length = fzi_signature_statement(hex, statement), size = sizeof signature;
    EVP_PKEY *key;
    FZ_TRY(fzi_key_read_private(private_path, &key));
    fz_status_t status = fzi_key_check_kind(key, FZ_KEY_ED25519, private_path);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (status == FZ_OK &&
        (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
         EVP_DigestSign(context, signature, &size, (uint8_t *)statement, length) != 1))
        status = fzi_error(FZ_E_SYSTEM, "libcrypto cannot sign with the key in '%s'", private_path);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return status == FZ_OK ? fzi_file_write(signature_path, signature, size, 0644) : status;
}
