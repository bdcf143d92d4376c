/* Entries as canonical JSON. A line is read, written again and compared: there is one text for one
 * entry. */
#include "log/entry.h"

#include <openssl/err.h>

#include "base/sha256.h"
#include "base/signature.h"

enum { CANONICAL = JSON_COMPACT | JSON_SORT_KEYS, BASE64_SIZE = 89 };

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a log entry"); }

static bool is_digest(const char *text) {
    return text && strspn(text, "0123456789abcdef") == 64 && text[64] == 0;
}

static const char *string(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* "2026-01-31T12:00:00Z" */
static bool is_time(const char *text) {
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    if (!text || strlen(text) != sizeof form - 1) return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) return false;
    return true;
}

/* Whether RECEIPT has what fz_session_receipt() writes, and nothing else. */
static bool is_receipt(const json_t *receipt) {
    const char *type = string(receipt, "type");
    return json_object_size(receipt) == 6 && type && strcmp(type, "frozen-receipt/1") == 0 &&
           is_digest(string(receipt, "input")) && is_digest(string(receipt, "model")) &&
           is_digest(string(receipt, "output")) && string(receipt, "library") &&
           string(receipt, "profile");
}

/* JSON's text, to be released with fzi_free(); NULL without memory. */
static char *dump(const json_t *json) {
    size_t size = json_dumpb(json, NULL, 0, CANONICAL);
    char *text = size ? fzi_alloc(size + 1) : NULL;
    if (!text) return NULL;
    text[size] = 0;
    if (json_dumpb(json, text, size, CANONICAL) == size) return text;
    fzi_free(text);
    return NULL;
}

/* ---- signatures */

static char *to_be_signed(const char *body, size_t *size) {
    static const char head[] = "frozen-log/1\n";
    size_t n = strlen(body);
    char *text = fzi_alloc(sizeof head + n);
    if (!text) return NULL;
    memcpy(text, head, sizeof head - 1);
    memcpy(text + sizeof head - 1, body, n + 1);
    *size = sizeof head - 1 + n;
    return text;
}

static fz_status_t sign(const char *body, EVP_PKEY *key, char base64[BASE64_SIZE]) {
    uint8_t signature[FZ_SIGNATURE_SIZE];
    size_t length = sizeof signature, size = 0;
    char *text = to_be_signed(body, &size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = text && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &length, (uint8_t *)text, size) == 1 &&
                length == sizeof signature;
    EVP_MD_CTX_free(context);
    fzi_free(text);
    ERR_clear_error();
    if (!good) return fzi_error(FZ_E_SYSTEM, "libcrypto cannot sign a log entry");
    EVP_EncodeBlock((uint8_t *)base64, signature, sizeof signature);
    return FZ_OK;
}

fz_status_t fzi_entry_check(const struct fz_entry *entry, EVP_PKEY *key) {
    uint8_t signature[BASE64_SIZE + 3];
    char again[BASE64_SIZE];
    const char *base64 = string(entry->json, "signature");
    if (!base64) return fzi_error(FZ_E_SIGNATURE, "the entry is not signed");
    /* 64 bytes are 88 characters with two of padding, which the decoder gives as zeros. There is
     * one text for one signature, or the last line could be changed. */
    bool good = strlen(base64) == BASE64_SIZE - 1 &&
                EVP_DecodeBlock(signature, (const uint8_t *)base64, BASE64_SIZE - 1) == 66;
    if (good) EVP_EncodeBlock((uint8_t *)again, signature, FZ_SIGNATURE_SIZE);
    good = good && strcmp(again, base64) == 0;
    size_t size = 0;
    char *text = to_be_signed(entry->body, &size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    good = good && text && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
           EVP_DigestVerify(context, signature, FZ_SIGNATURE_SIZE, (uint8_t *)text, size) == 1;
    EVP_MD_CTX_free(context);
    fzi_free(text);
    ERR_clear_error();
    return good ? FZ_OK : fzi_error(FZ_E_SIGNATURE, "the entry is not signed by the key");
}

/* ---- making */

static fz_status_t make_line(json_t *entry, EVP_PKEY *key, char **line) {
    char base64[BASE64_SIZE];
    json_t *whole = json_pack("{s:O}", "entry", entry);
    char *body = dump(entry);
    fz_status_t status = whole && body ? FZ_OK : no_memory();
    if (status == FZ_OK && key) {
        status = sign(body, key, base64);
        if (status == FZ_OK && json_object_set_new(whole, "signature", json_string(base64)) != 0)
            status = no_memory();
    }
    if (status == FZ_OK) {
        *line = dump(whole);
        if (!*line) status = no_memory();
    }
    fzi_free(body);
    json_decref(whole);
    return status;
}

fz_status_t fzi_entry_make(const char *receipt, uint64_t seq, const char *prev, const char *time,
                           EVP_PKEY *key, char **line) {
    *line = NULL;
    json_t *parsed = json_loads(receipt, JSON_REJECT_DUPLICATES, NULL);
    if (!is_receipt(parsed)) {
        json_decref(parsed);
        return fzi_error(FZ_E_USAGE, "this is not a receipt of a run");
    }
    json_t *entry = json_pack("{s:s, s:o, s:I, s:s}", "prev", prev, "receipt", parsed, "seq",
                              (json_int_t)seq, "time", time);
    if (!entry) return no_memory();
    fz_status_t status = make_line(entry, key, line);
    json_decref(entry);
    if (status == FZ_OK && strlen(*line) >= FZ_LINE_MAX) {
        fzi_free(*line);
        *line = NULL;
        status = fzi_error(FZ_E_LIMIT, "the entry is longer than %d bytes", FZ_LINE_MAX);
    }
    return status;
}

/* ---- reading */

static bool is_canonical(const json_t *json, const char *line, size_t size) {
    char *again = dump(json);
    bool same = again && strlen(again) == size && memcmp(again, line, size) == 0;
    fzi_free(again);
    return same;
}

/* Points OUT's view into its JSON; false if something is missing or too much. */
static bool look(struct fz_entry *out) {
    const json_t *entry = json_object_get(out->json, "entry");
    const json_t *receipt = json_object_get(entry, "receipt");
    const json_t *seq = json_object_get(entry, "seq");
    bool is_signed = json_object_get(out->json, "signature") != NULL;
    if (json_object_size(out->json) != 1u + is_signed || json_object_size(entry) != 4) return false;
    if (is_signed && !string(out->json, "signature")) return false;
    /* One more must be a number, too. */
    if (!json_is_integer(seq) || json_integer_value(seq) < 0 ||
        json_integer_value(seq) == INT64_MAX)
        return false;
    out->prev = string(entry, "prev");
    out->view = (fz_log_entry_t){.seq = (uint64_t)json_integer_value(seq),
                                 .time = string(entry, "time"),
                                 .model = string(receipt, "model"),
                                 .input = string(receipt, "input"),
                                 .output = string(receipt, "output"),
                                 .profile = string(receipt, "profile"),
                                 .digest = out->digest,
                                 .is_signed = is_signed};
    if (!is_time(out->view.time) || !is_digest(out->prev) || !is_receipt(receipt)) return false;
    out->receipt = dump(receipt);
    out->body = dump(entry);
    out->view.receipt = out->receipt;
    return out->receipt && out->body;
}

fz_status_t fzi_entry_read(const char *line, size_t size, struct fz_entry *out) {
    uint8_t digest[32];
    *out = (struct fz_entry){.json = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL)};
    fzi_sha256(line, size, digest);
    fzi_sha256_hex(digest, out->digest);
    if (out->json && is_canonical(out->json, line, size) && look(out)) return FZ_OK;
    fzi_entry_free(out);
    return fzi_error(FZ_E_CORRUPT, "this is no log entry in canonical form");
}

void fzi_entry_free(struct fz_entry *entry) {
    json_decref(entry->json);
    fzi_free(entry->receipt);
    fzi_free(entry->body);
    *entry = (struct fz_entry){.json = NULL};
}
