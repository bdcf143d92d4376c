/* log.h: a tamper-evident log of receipts. Library libfrozen-store.
 *
 * A log is a text file with one entry a line, in canonical JSON:
 *
 *   {"entry":{"prev":"<64 hex digits>","receipt":{...},"seq":0,
 *             "time":"2026-01-31T12:00:00Z"},"signature":"<base64>"}
 *
 * PREV is the SHA-256 of the line before, without its line feed (of the first
 * line: 64 zeros); SEQ counts from 0; RECEIPT is what fz_session_receipt()
 * gives; TIME is the writer's clock. The signature, if there is one, is an
 * Ed25519 signature of "frozen-log/1", a line feed, and the entry's bytes.
 * So no line can be changed, removed, added in between or moved unnoticed.
 * That lines were cut off at the end shows when the head, the SHA-256 of the
 * last line, was noted elsewhere. The rules at the top of frozen.h hold here
 * too. */
#ifndef FROZEN_LOG_H
#define FROZEN_LOG_H

#include <frozen/frozen.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Appends an entry with RECEIPT to the log at LOG_PATH, which is made if it is
 * not there. Signed if PRIVATE_PATH, a PEM file with an Ed25519 key, is not
 * NULL. Any number of processes may append at once; the entry is on the disk
 * when this returns. HEAD, if not NULL, gets the new head as 64 hex digits and
 * a NUL.
 *
 * FZ_OK, FZ_E_USAGE (also a RECEIPT that is none), FZ_E_NOMEM, FZ_E_IO,
 * FZ_E_FORMAT       PRIVATE_PATH holds no private key,
 * FZ_E_UNSUPPORTED  the key is of another kind,
 * FZ_E_CORRUPT      the log's last line is not a whole entry: its writer was
 *                   stopped half-way, or it was changed.           Since 0.1 */
FZ_API fz_status_t fz_log_append(const char *log_path, const char *receipt,
                                 const char *private_path, char head[65]);

/* One entry of a log. The strings are the library's, valid until the visitor
 * returns. */
typedef struct fz_log_entry {
    uint64_t seq;
    const char *time;
    const char *receipt; /* canonical JSON */
    const char *model;   /* of the receipt: the model id */
    const char *input;   /* and the digests */
    const char *output;
    const char *profile;
    const char *digest;  /* SHA-256 of the line: the head up to here */
    int32_t is_signed;   /* 1: it carries a signature */
    int32_t reserved;
} fz_log_entry_t;

/* Called for each entry, first to last, once it has proved sound. Return 0 to
 * go on, anything else to end with FZ_E_CANCELLED. */
typedef int (*fz_log_visit_fn)(void *context, const fz_log_entry_t *entry);

typedef struct fz_log_options {
    size_t size;           /* sizeof(fz_log_options_t) */
    const char *signer;    /* PEM file: every entry must be signed by its key */
    const char *head;      /* 64 hex digits: an entry with this digest must be
                              there; what is noted of an older log holds for
                              the newer one */
    fz_log_visit_fn visit; /* may be NULL */
    void *visit_context;
} fz_log_options_t;

/* Proves the log at LOG_PATH: that every line is an entry in canonical form,
 * that the chain holds, and what OPTIONS ask for. N_ENTRIES and HEAD, if not
 * NULL, get the number of entries and the digest of the last one (64 zeros of
 * an empty log).
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_NOMEM, FZ_E_IO, FZ_E_CANCELLED, FZ_E_FORMAT and
 * FZ_E_UNSUPPORTED of the key,
 * FZ_E_CORRUPT    the chain is broken; the message names the line,
 * FZ_E_SIGNATURE  an entry is not signed, or not by the signer,
 * FZ_E_DIGEST     no entry has the digest that OPTIONS name.       Since 0.1 */
FZ_API fz_status_t fz_log_audit(const char *log_path,
                                const fz_log_options_t *options,
                                uint64_t *n_entries, char head[65]);

#ifdef __cplusplus
}
#endif

#endif
