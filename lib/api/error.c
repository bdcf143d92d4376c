/* fz_last_error, fz_status_name, fz_version, fz_sha256. */
#include <frozen/version.h>

#include "base/base.h"
#include "base/sha256.h"

const char *fz_last_error(void) { return fzi_error_text(); }

/* TEXT may be the message itself: of a caller that repeats it, or of libfrozen-freeze where both
 * libraries are linked statically and share one. */
void fz_set_last_error(const char *text) {
    if (text != fzi_error_text()) fzi_error(FZ_OK, "%s", text ? text : "");
}

const char *fz_version(void) { return FZ_VERSION_STRING; }

const char *fz_status_name(fz_status_t status) {
    static const char *const names[] = {
        "FZ_OK",           "FZ_E_USAGE",    "FZ_E_NOMEM",   "FZ_E_IO",         "FZ_E_FORMAT",
        "FZ_E_UNSUPPORTED", "FZ_E_DIGEST",  "FZ_E_CORRUPT", "FZ_E_SHAPE",      "FZ_E_TYPE",
        "FZ_E_LIMIT",      "FZ_E_UNVERIFIED", "FZ_E_CANCELLED", "FZ_E_DEADLINE", "FZ_E_VALUE",
        "FZ_E_PROFILE",    "FZ_E_SYSTEM",   "FZ_E_INTERNAL", "FZ_E_ANSWER",
        "FZ_E_SIGNATURE"};
    return status >= 0 && (size_t)status < FZ_COUNT(names) ? names[status] : "FZ_E_?";
}

fz_status_t fz_sha256(const void *data, size_t size, uint8_t digest[32]) {
    if (!digest || (!data && size)) return fzi_error(FZ_E_USAGE, "fz_sha256: a pointer is NULL");
    fzi_sha256(data, size, digest);
    return FZ_OK;
}
