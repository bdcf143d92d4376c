/* The thread's last error message. */
#include "base/base.h"

#include <stdio.h>

enum { MESSAGE_SIZE = 4096 };

/* Static thread-local storage: an error about memory must need none. */
static _Thread_local char message[MESSAGE_SIZE];

fz_status_t fzi_error(fz_status_t status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return status;
}

fz_status_t fzi_error_context(fz_status_t status, const char *format, ...) {
    char old[MESSAGE_SIZE];
    memcpy(old, message, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (n >= 0 && n < MESSAGE_SIZE) snprintf(message + n, sizeof message - (size_t)n, ": %s", old);
    return status;
}

fz_status_t fzi_error_detail(fz_status_t status, const char *format, ...) {
    size_t n = strlen(message);
    va_list args;
    if (n + 3 > sizeof message) return status;
    memcpy(message + n, "; ", 3);
    va_start(args, format);
    vsnprintf(message + n + 2, sizeof message - n - 2, format, args);
    va_end(args);
    return status;
}

const char *fzi_error_text(void) { return message; }

const char *fzi_status_name(fz_status_t status) {
    static const char *const names[] = {
        "FZ_OK",           "FZ_E_USAGE",    "FZ_E_NOMEM",   "FZ_E_IO",         "FZ_E_FORMAT",
        "FZ_E_UNSUPPORTED", "FZ_E_DIGEST",  "FZ_E_CORRUPT", "FZ_E_SHAPE",      "FZ_E_TYPE",
        "FZ_E_LIMIT",      "FZ_E_UNVERIFIED", "FZ_E_CANCELLED", "FZ_E_DEADLINE", "FZ_E_VALUE",
        "FZ_E_PROFILE",    "FZ_E_SYSTEM",   "FZ_E_INTERNAL", "FZ_E_ANSWER",
        "FZ_E_SIGNATURE"};
    return status >= 0 && (size_t)status < FZ_COUNT(names) ? names[status] : "FZ_E_?";
}
