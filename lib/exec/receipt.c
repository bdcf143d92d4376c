/* Receipts in canonical JSON (RFC 8785: keys sorted, no white space). */
#include "exec/receipt.h"

#include <frozen/version.h>
#include <stdio.h>

#include "base/sha256.h"
#include "exec/answer.h"
#include "exec/session.h"

void fzi_receipt_digest(const fz_tensor_t *tensors, size_t n, uint8_t digest[32]) {
    struct fz_sha256 hash;
    fzi_sha256_init(&hash);
    for (size_t i = 0; i < n; i++) {
        fz_tensor_t t = tensors[i];
        /* A caller's buffer may be larger than its tensor. */
        if (fzi_tensor_measure(&t) == FZ_OK) fzi_answer_digest(&hash, &t);
    }
    fzi_sha256_final(&hash, digest);
}

/* A profile's name as JSON has it. It comes from the file: what would end the string, or is no
 * printable ASCII, becomes an escape. */
static void escape(const char *from, char *to, size_t size) {
    size_t used = 0;
    for (; *from && used + 7 <= size; from++) {
        unsigned char c = (unsigned char)*from;
        bool plain = c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
        used += (size_t)snprintf(to + used, size - used, plain ? "%c" : "\\u%04x", c);
    }
    to[used] = 0;
}

fz_status_t fzi_receipt_write(const struct fz_session *session, char *text, size_t size,
                              size_t *needed) {
    const struct fz_receipt *r = &session->receipt;
    char model[65], input[65], output[65], profile[6 * 64 + 1];
    if (!r->wanted)
        return fzi_error(FZ_E_USAGE, "the session was made without FZ_SESSION_RECEIPTS");
    if (!r->known) return fzi_error(FZ_E_USAGE, "the session's last run has no receipt: it failed "
                                                "or there was none");
    if (!fzi_model_hex(session->model, model))
        return fzi_error(FZ_E_UNVERIFIED, "the model is mapped: call fz_model_verify() first");
    fzi_sha256_hex(r->input, input);
    fzi_sha256_hex(r->output, output);
    escape(session->model->info.profile, profile, sizeof profile);
    int length = snprintf(text, size,
                          "{\"input\":\"%s\",\"library\":\"%s\",\"model\":\"%s\",\"output\":\"%s\","
                          "\"profile\":\"%s\",\"type\":\"frozen-receipt/1\"}",
                          input, FZ_VERSION_STRING, model, output, profile);
    if (needed) *needed = (size_t)length + 1;
    if ((size_t)length < size) return FZ_OK;
    if (size > 0) text[0] = 0;
    return fzi_error(FZ_E_LIMIT, "the receipt needs %d bytes, there are %zu", length + 1, size);
}
