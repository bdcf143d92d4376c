/* Keys: made, written once, read. */
#include "sign/key.h"

#include <errno.h>
#include <fcntl.h>
#include <frozen/sign.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "base/file.h"

enum { FILE_MAX = 65536 };

/* Puts BIO's text into a new file. */
static fz_status_t write_new(const char *path, BIO *bio, int mode) {
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) return fzi_error(FZ_E_IO, "cannot create '%s': %s", path, strerror(errno));
    bool good = size > 0 && write(fd, text, (size_t)size) == size && fsync(fd) == 0;
    int reason = errno;
    if (close(fd) == 0 && good) return FZ_OK;
    unlink(path);
    return fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(reason));
}

static fz_status_t no_key(void) {
    ERR_clear_error();
    return fzi_error(FZ_E_SYSTEM, "libcrypto cannot make a key here");
}

static fz_status_t write_private(const char *path, EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_secmem());
    fz_status_t status =
        bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1
            ? write_new(path, bio, 0600)
            : no_key();
    BIO_free(bio);
    return status;
}

static fz_status_t write_public(const char *path, EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_mem());
    fz_status_t status =
        bio && PEM_write_bio_PUBKEY(bio, key) == 1 ? write_new(path, bio, 0644) : no_key();
    BIO_free(bio);
    return status;
}

fz_status_t fzi_key_generate(int32_t kind, const char *private_path, const char *public_path) {
    EVP_PKEY *key = kind == FZ_KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                           : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    if (!key) return no_key();
    fz_status_t status = write_private(private_path, key);
    if (status == FZ_OK) {
        status = write_public(public_path, key);
        if (status != FZ_OK) unlink(private_path);
    }
    EVP_PKEY_free(key);
    return status;
}

/* Instead of asking at the terminal. */
static int no_password(char *buffer, int size, int writing, void *context) {
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

static fz_status_t read_key(const char *path, bool private, EVP_PKEY **key) {
    uint8_t *text;
    size_t size;
    *key = NULL;
    FZ_TRY(fzi_file_read(path, FILE_MAX, &text, &size));
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    if (bio)
        *key = private ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
                       : PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    OPENSSL_cleanse(text, size);
    fzi_free(text);
    ERR_clear_error();
    if (*key) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "'%s' holds no %s key in PEM form%s", path,
                     private ? "private" : "public", private ? " without a password" : "");
}

fz_status_t fzi_key_read_private(const char *path, EVP_PKEY **key) {
    return read_key(path, true, key);
}
fz_status_t fzi_key_read_public(const char *path, EVP_PKEY **key) {
    return read_key(path, false, key);
}

int32_t fzi_key_kind(EVP_PKEY *key) {
    char group[32] = "";
    size_t size;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) return FZ_KEY_ED25519;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return 0;
    if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) return 0;
    return strcmp(group, "prime256v1") == 0 ? FZ_KEY_P256 : 0;
}

fz_status_t fzi_key_check_kind(EVP_PKEY *key, int32_t kind, const char *path) {
    if (fzi_key_kind(key) == kind) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "the key in '%s' is not of the kind %s", path,
                     kind == FZ_KEY_P256 ? "P-256" : "Ed25519");
}
