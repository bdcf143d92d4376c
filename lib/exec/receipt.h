/* Receipts: what a run was given and what it answered, as digests. */
#ifndef FZ_EXEC_RECEIPT_H
#define FZ_EXEC_RECEIPT_H

#include "base/base.h"

struct fz_session;

struct fz_receipt {
    bool wanted, known; /* known: the last run succeeded and is described here */
    uint8_t input[32], output[32];
};

/* The SHA-256 over N tensors: type, rank, dims and elements of each. */
void fzi_receipt_digest(const fz_tensor_t *tensors, size_t n, uint8_t digest[32]);
/* Writes the receipt of SESSION's last run; see fz_session_receipt() in frozen.h. */
fz_status_t fzi_receipt_write(const struct fz_session *session, char *text, size_t size,
                              size_t *needed);

#endif
