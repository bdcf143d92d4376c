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

const char *fzi_error_text(void) { return message; }
