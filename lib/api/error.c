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

const char *fz_status_name(fz_status_t status) { return fzi_status_name(status); }

fz_status_t fz_sha256(const void *data, size_t size, uint8_t digest[32]) {
    if (!digest || (!data && size)) return fzi_error(FZ_E_USAGE, "fz_sha256: a pointer is NULL");
    fzi_sha256(data, size, digest);
    return FZ_OK;
}
