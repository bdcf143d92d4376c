/* A bundle holds a DSSE envelope, its payload is an in-toto statement, whose predicate lists files
 * with their digests. Of one file the name is "."; the subject is the SHA-256 of the list's
 * digests. Facts: the Model Signing specification 1.0, DSSE 1.0.2, and the sigstore bundle 0.3. */
#include "sign/bundle.h"

#include <frozen/sign.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "base/file.h"
#include "base/sha256.h"
#include "sign/key.h"

#define BUNDLE_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define BUNDLE_TYPE_PREFIX "application/vnd.dev.sigstore.bundle"
#define PAYLOAD_TYPE "application/vnd.in-toto+json"
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://model_signing/signature/v1.0"

enum { BUNDLE_MAX = 4 << 20, SIGNATURE_MAX = 160 };

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a bundle"); }

static fz_status_t bad(const char *path, const char *what) {
    return fzi_error(FZ_E_FORMAT, "'%s' is no Model Signing bundle: %s", path, what);
}

static const char *string(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool is(const json_t *object, const char *key, const char *value) {
    const char *text = string(object, key);
    return text && strcmp(text, value) == 0;
}

/* What is signed: DSSE's pre-authentication encoding of the payload. */
static char *encode(const char *payload, size_t size, size_t *encoded_size) {
    char head[96];
    int n = snprintf(head, sizeof head, "DSSEv1 %zu %s %zu ", sizeof PAYLOAD_TYPE - 1,
                     PAYLOAD_TYPE, size);
    char *text = fzi_alloc((size_t)n + size);
    if (!text) return NULL;
    memcpy(text, head, (size_t)n);
    memcpy(text + n, payload, size);
    *encoded_size = (size_t)n + size;
    return text;
}

/* SHA-256 over the digests HEX[0 .. N-1] as bytes. */
static void digest_of_digests(const json_t *resources, char hex[65]) {
    struct fz_sha256 hash;
    uint8_t digest[32];
    fzi_sha256_init(&hash);
    for (size_t i = 0; i < json_array_size(resources); i++) {
        const char *text = string(json_array_get(resources, i), "digest");
        for (int j = 0; j < 32; j++) {
            unsigned byte = 0;
            sscanf(text + 2 * j, "%2x", &byte);
            digest[j] = (uint8_t)byte;
        }
        fzi_sha256_update(&hash, digest, sizeof digest);
    }
    fzi_sha256_final(&hash, digest);
    fzi_sha256_hex(digest, hex);
}

/* ---- signing */

/* The statement about one file; release it with json_decref(). */
static json_t *make_statement(const char *name, const char *hex) {
    char subject[65];
    json_t *resources = json_pack("[{s:s, s:s, s:s}]", "name", ".", "digest", hex, "algorithm",
                                  "sha256");
    if (!resources) return NULL;
    digest_of_digests(resources, subject);
    return json_pack("{s:s, s:[{s:s, s:{s:s}}], s:s, s:{s:o, s:{s:s, s:s, s:b, s:[]}}}", "_type",
                     STATEMENT_TYPE, "subject", "name", name, "digest", "sha256", subject,
                     "predicateType", PREDICATE_TYPE, "predicate", "resources", resources,
                     "serialization", "method", "files", "hash_type", "sha256", "allow_symlinks",
                     0, "ignore_paths");
}

/* JSON holds UTF-8 only, file names any bytes. */
static fz_status_t check_name(const char *name) {
    json_t *text = json_string(name);
    json_decref(text);
    return text ? FZ_OK : fzi_error(FZ_E_VALUE, "the name of the model's file is not UTF-8");
}

/* The SHA-256 of the public key's PEM text names it. */
static fz_status_t key_hint(EVP_PKEY *key, char hint[65]) {
    char *text = NULL;
    uint8_t digest[32];
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio && PEM_write_bio_PUBKEY(bio, key) == 1;
    long size = good ? BIO_get_mem_data(bio, &text) : 0;
    fzi_sha256(text, (size_t)size, digest);
    fzi_sha256_hex(digest, hint);
    BIO_free(bio);
    return good ? FZ_OK : no_memory();
}

static fz_status_t sign(EVP_PKEY *key, const char *payload, size_t size,
                        char base64[SIGNATURE_MAX * 2]) {
    uint8_t signature[SIGNATURE_MAX];
    size_t n = sizeof signature, encoded_size = 0;
    char *text = encode(payload, size, &encoded_size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = text && context &&
                EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &n, (uint8_t *)text, encoded_size) == 1;
    EVP_MD_CTX_free(context);
    fzi_free(text);
    ERR_clear_error();
    if (!good) return fzi_error(FZ_E_SYSTEM, "libcrypto cannot sign a bundle");
    EVP_EncodeBlock((uint8_t *)base64, signature, (int)n);
    return FZ_OK;
}

static fz_status_t write_json(const char *path, const json_t *json) {
    size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT);
    char *text = size ? fzi_alloc(size) : NULL;
    if (!text) return no_memory();
    fz_status_t status = json_dumpb(json, text, size, JSON_COMPACT) == size
                             ? fzi_file_write(path, text, size, 0644)
                             : no_memory();
    fzi_free(text);
    return status;
}

/* Signs PAYLOAD, the statement's SIZE bytes, and writes the envelope with it. */
static fz_status_t sign_payload(EVP_PKEY *key, const char *payload, size_t size,
                                const char *path) {
    char hint[65], signature[SIGNATURE_MAX * 2];
    FZ_TRY(key_hint(key, hint));
    FZ_TRY(sign(key, payload, size, signature));
    char *base64 = fzi_alloc(size / 3 * 4 + 8);
    if (!base64) return no_memory();
    EVP_EncodeBlock((uint8_t *)base64, (const uint8_t *)payload, (int)size);
    json_t *bundle = json_pack(
        "{s:s, s:{s:{s:s}, s:[]}, s:{s:s, s:s, s:[{s:s, s:s}]}}", "mediaType", BUNDLE_TYPE,
        "verificationMaterial", "publicKey", "hint", hint, "tlogEntries", "dsseEnvelope", "payload",
        base64, "payloadType", PAYLOAD_TYPE, "signatures", "sig", signature, "keyid", "");
    fz_status_t status = bundle ? write_json(path, bundle) : no_memory();
    json_decref(bundle);
    fzi_free(base64);
    return status;
}

fz_status_t fzi_bundle_sign(const char *name, const char *hex, const char *private_path,
                            const char *bundle_path) {
    EVP_PKEY *key;
    FZ_TRY(fzi_key_read_private(private_path, &key));
    fz_status_t status = fzi_key_check_kind(key, FZ_KEY_P256, private_path);
    if (status == FZ_OK) status = check_name(name);
    json_t *statement = status == FZ_OK ? make_statement(name, hex) : NULL;
    size_t size = statement ? json_dumpb(statement, NULL, 0, JSON_COMPACT) : 0;
    char *payload = size ? fzi_alloc(size) : NULL;
    if (payload && json_dumpb(statement, payload, size, JSON_COMPACT) == size) {
        status = sign_payload(key, payload, size, bundle_path);
    } else if (status == FZ_OK) {
        status = no_memory();
    }
    fzi_free(payload);
    json_decref(statement);
    EVP_PKEY_free(key);
    return status;
}

/* ---- checking */

/* Decodes TEXT strictly: whole groups, padding at the end only. fzi_free() releases *BYTES. */
static bool decode(const char *text, uint8_t **bytes, size_t *size) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = text ? strlen(text) : 0, plain = text ? strspn(text, digits) : 0;
    *bytes = NULL;
    if (n == 0 || n % 4 || n - plain > 2 || strspn(text + plain, "=") != n - plain) return false;
    *bytes = fzi_alloc(n / 4 * 3 + 1);
    if (!*bytes || EVP_DecodeBlock(*bytes, (const uint8_t *)text, (int)n) < 0) return false;
    *size = n / 4 * 3 - (n - plain);
    return true;
}

/* How the bundle says that it was signed: only a key will do. */
static fz_status_t check_material(const json_t *bundle, const char *path) {
    const json_t *material = json_object_get(bundle, "verificationMaterial");
    const char *type = string(bundle, "mediaType");
    if (!type || strncmp(type, BUNDLE_TYPE_PREFIX, sizeof BUNDLE_TYPE_PREFIX - 1) != 0)
        return bad(path, "its media type is another one");
    if (!json_is_object(material)) return bad(path, "it has no verification material");
    if (!json_is_object(json_object_get(bundle, "dsseEnvelope")))
        return bad(path, "it has no DSSE envelope");
    if (!json_is_array(json_object_get(material, "tlogEntries")))
        return bad(path, "it has no list of log entries");
    if (json_object_get(material, "certificate") ||
        json_object_get(material, "x509CertificateChain"))
        return fzi_error(FZ_E_UNSUPPORTED,
                         "'%s': unsupported method: it is signed with a certificate, not a key",
                         path);
    if (!json_is_object(json_object_get(material, "publicKey")))
        return bad(path, "it names no public key");
    return FZ_OK;
}

static fz_status_t check_resources(const json_t *resources, const json_t *subject,
                                   const char *path) {
    char root[65];
    const char *stated = string(json_object_get(json_array_get(subject, 0), "digest"), "sha256");
    if (json_array_size(resources) == 0) return bad(path, "it lists no files");
    for (size_t i = 0; i < json_array_size(resources); i++) {
        const json_t *r = json_array_get(resources, i);
        const char *digest = string(r, "digest");
        if (!is(r, "algorithm", "sha256"))
            return fzi_error(FZ_E_UNSUPPORTED, "'%s': files are not listed by SHA-256", path);
        if (!string(r, "name") || !digest || strlen(digest) != 64 ||
            strspn(digest, "0123456789abcdef") != 64)
            return bad(path, "a file has no name or no digest");
    }
    digest_of_digests(resources, root);
    if (json_array_size(subject) != 1 || !stated || strcmp(stated, root) != 0)
        return bad(path, "its subject is not the digest of its files");
    return FZ_OK;
}

/* The statement in PAYLOAD; HEX gets the digest of its one file. */
static fz_status_t check_statement(const uint8_t *payload, size_t size, const char *path,
                                   char hex[65]) {
    json_t *json = json_loadb((const char *)payload, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *predicate = json_object_get(json, "predicate");
    const json_t *resources = json_object_get(predicate, "resources");
    fz_status_t status = FZ_OK;
    if (!json) status = bad(path, "its payload is no JSON");
    else if (!is(json, "_type", STATEMENT_TYPE)) status = bad(path, "its payload is no statement");
    else if (!is(json, "predicateType", PREDICATE_TYPE))
        status = bad(path, "its predicate is of another type");
    else if (!is(json_object_get(predicate, "serialization"), "method", "files"))
        status = fzi_error(FZ_E_UNSUPPORTED, "'%s': files are not listed whole", path);
    else status = check_resources(resources, json_object_get(json, "subject"), path);
    if (status == FZ_OK && json_array_size(resources) != 1)
        status = fzi_error(FZ_E_UNSUPPORTED, "'%s' is for %zu files, not for one", path,
                           json_array_size(resources));
    if (status == FZ_OK)
        memcpy(hex, string(json_array_get(resources, 0), "digest"), 65);
    json_decref(json);
    return status;
}

static bool check_signature(EVP_PKEY *key, const uint8_t *payload, size_t size,
                            const uint8_t *signature, size_t signature_size) {
    size_t encoded_size = 0;
    char *text = encode((const char *)payload, size, &encoded_size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = text && context &&
                EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, signature_size, (uint8_t *)text,
                                 encoded_size) == 1;
    EVP_MD_CTX_free(context);
    fzi_free(text);
    ERR_clear_error();
    return good;
}

/* The envelope: form first, so that what is no bundle is not called unsigned. */
static fz_status_t check_envelope(const json_t *envelope, const char *path,
                                  const char *public_path, char hex[65]) {
    const json_t *signatures = json_object_get(envelope, "signatures");
    uint8_t *payload = NULL, *signature = NULL;
    size_t size, signature_size;
    EVP_PKEY *key = NULL;
    fz_status_t status = FZ_OK;
    if (!is(envelope, "payloadType", PAYLOAD_TYPE))
        return bad(path, "its payload is of another type");
    if (json_array_size(signatures) != 1) return bad(path, "it has not exactly one signature");
    if (!decode(string(envelope, "payload"), &payload, &size) ||
        !decode(string(json_array_get(signatures, 0), "sig"), &signature, &signature_size))
        status = bad(path, "payload or signature are not base64");
    if (status == FZ_OK) status = check_statement(payload, size, path, hex);
    if (status == FZ_OK) status = fzi_key_read_public(public_path, &key);
    if (status == FZ_OK) status = fzi_key_check_kind(key, FZ_KEY_P256, public_path);
    if (status == FZ_OK && !check_signature(key, payload, size, signature, signature_size))
        status = fzi_error(FZ_E_SIGNATURE, "'%s' is not signed by the key in '%s'", path,
                           public_path);
    EVP_PKEY_free(key);
    fzi_free(payload);
    fzi_free(signature);
    return status;
}

fz_status_t fzi_bundle_verify(const char *bundle_path, const char *public_path, char hex[65]) {
    uint8_t *text;
    size_t size;
    FZ_TRY(fzi_file_read(bundle_path, BUNDLE_MAX, &text, &size));
    json_t *bundle = json_loadb((char *)text, size, JSON_REJECT_DUPLICATES, NULL);
    fzi_free(text);
    fz_status_t status = bundle ? check_material(bundle, bundle_path)
                                : bad(bundle_path, "it is no JSON");
    if (status == FZ_OK)
        status = check_envelope(json_object_get(bundle, "dsseEnvelope"), bundle_path, public_path,
                                hex);
    json_decref(bundle);
    return status;
}
