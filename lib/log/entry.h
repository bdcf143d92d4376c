/* One line of a log: made, read, proved. */
#ifndef FZ_LOG_ENTRY_H
#define FZ_LOG_ENTRY_H

#include <frozen/log.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "base/base.h"

enum { FZ_LINE_MAX = 65536 }; /* bytes of a line, its line feed included */

/* Makes the line, without its line feed, of an entry that holds RECEIPT (JSON text) and follows the
 * line with digest PREV. KEY may be NULL: no signature. *LINE is released with fzi_free(). */
fz_status_t fzi_entry_make(const char *receipt, uint64_t seq, const char *prev, const char *time,
                           EVP_PKEY *key, char **line);

/* A line that was read. */
struct fz_entry {
    fz_log_entry_t view;
    const char *prev;
    json_t *json;
    char *receipt, *body; /* the entry's canonical bytes: what is signed */
    char digest[65];
};
/* Reads the SIZE bytes at LINE: FZ_E_CORRUPT if they are no entry in canonical form. On success
 * release *OUT with fzi_entry_free(). */
fz_status_t fzi_entry_read(const char *line, size_t size, struct fz_entry *out);
void fzi_entry_free(struct fz_entry *entry);
/* FZ_E_SIGNATURE unless ENTRY carries a signature by KEY. */
fz_status_t fzi_entry_check(const struct fz_entry *entry, EVP_PKEY *key);

#endif
