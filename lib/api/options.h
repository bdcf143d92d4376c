/* Options structs of any age. */
#ifndef FZ_API_OPTIONS_H
#define FZ_API_OPTIONS_H

#include "base/base.h"

/* Copies the caller's options FROM (NULL: none), whose first member is its size, to the SIZE bytes
 * at TO: members that an older caller does not have are 0; bytes that this library does not know
 * must be 0. FZ_E_USAGE names NAME. */
static inline fz_status_t fzi_options_copy(void *to, size_t size, const void *from,
                                           const char *name) {
    memset(to, 0, size);
    if (!from) return FZ_OK;
    size_t theirs;
    memcpy(&theirs, from, sizeof theirs);
    if (theirs < sizeof theirs || theirs > 65536)
        return fzi_error(FZ_E_USAGE, "%s.size is not the size of the struct", name);
    for (size_t i = size; i < theirs; i++)
        if (((const char *)from)[i])
            return fzi_error(FZ_E_USAGE, "%s has members that this library does not know", name);
    memcpy(to, from, theirs < size ? theirs : size);
    return FZ_OK;
}

#endif
