/* Signatures: the statement that is signed, and its check. */
#include "base/signature.h"

#include <stdio.h>

#include "base/file.h"

size_t fzi_signature_statement(const char *hex, char statement[FZ_STATEMENT_SIZE]) {
    return (size_t)snprintf(statement, FZ_STATEMENT_SIZE, "frozen-model/1\nsha256:%s\n", hex);
}

#ifdef FZ_HAVE_CRYPTO

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

enum { FILE_MAX = 65536 };

/* Instead of asking at the terminal. */
static int no_password(char *buffer, int size, int writing, void *context) {
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

/* The public key in the PEM file at PATH. */
static fz_status_t read_key(const char *path, EVP_PKEY **key) {
    uint8_t *text;
    size_t size;
    FZ_TRY(fzi_file_read(path, FILE_MAX, &text, &size));
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    fzi_free(text);
    ERR_clear_error();
    if (!*key) return fzi_error(FZ_E_FORMAT, "'%s' holds no public key in PEM form", path);
    if (EVP_PKEY_get_base_id(*key) == EVP_PKEY_ED25519) return FZ_OK;
    EVP_PKEY_free(*key);
    return fzi_error(FZ_E_UNSUPPORTED, "the key in '%s' is not of the kind Ed25519", path);
}

static fz_status_t read_signature(const char *path, uint8_t signature[FZ_SIGNATURE_SIZE]) {
    uint8_t *bytes;
    size_t size;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return fzi_error(FZ_E_SIGNATURE, "the model is not signed: there is no '%s'", path);
    FZ_TRY(fzi_file_read(path, FILE_MAX, &bytes, &size));
    if (size == FZ_SIGNATURE_SIZE) memcpy(signature, bytes, FZ_SIGNATURE_SIZE);
    fzi_free(bytes);
    if (size == FZ_SIGNATURE_SIZE) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "'%s' is no Ed25519 signature: it has %zu bytes, not %d", path,
                     size, FZ_SIGNATURE_SIZE);
}

fz_status_t fzi_signature_check(const char *key_path, const char *signature_path,
                                const char *hex) {
    char statement[FZ_STATEMENT_SIZE];
    uint8_t signature[FZ_SIGNATURE_SIZE];
    size_t size = fzi_signature_statement(hex, statement);
    EVP_PKEY *key;
    FZ_TRY(read_signature(signature_path, signature));
    FZ_TRY(read_key(key_path, &key));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, sizeof signature, (uint8_t *)statement,
                                 size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (good) return FZ_OK;
    return fzi_error(FZ_E_SIGNATURE, "'%s' is not the signature of model %s by the key in '%s'",
                     signature_path, hex, key_path);
}

#else

fz_status_t fzi_signature_check(const char *key_path, const char *signature_path,
                                const char *hex) {
    (void)key_path, (void)signature_path, (void)hex;
    return fzi_error(FZ_E_UNSUPPORTED, "this build has no libcrypto: it cannot check signatures");
}

#endif
