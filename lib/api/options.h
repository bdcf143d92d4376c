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

/* Opens the file that fzi_seal_file() made and a freeze filled; OPTIONS are complete; closes FD. No
 * part of the public interface: libfrozen-freeze, whose own copy of the core has a last error of
 * its own, has libfrozen open the model that libfrozen will run. */
FZ_API fz_status_t fz_model_adopt_fd(int fd, const fz_open_options_t *options, fz_model_t **out);

/* Checks the caller's open options FROM and fills in the defaults. */
static inline fz_status_t fzi_open_options_complete(fz_open_options_t *to,
                                                    const fz_open_options_t *from) {
    FZ_TRY(fzi_options_copy(to, sizeof *to, from, "fz_open_options_t"));
    if (to->flags & ~(uint32_t)(FZ_OPEN_MAP | FZ_OPEN_ANY_PROFILE | FZ_OPEN_KNOWN_ANSWER |
                                 FZ_OPEN_SHARE))
        return fzi_error(FZ_E_USAGE, "fz_open_options_t.flags has unknown bits");
    if (to->protection < 0 || to->protection > FZ_PROTECT_FOREVER)
        return fzi_error(FZ_E_USAGE, "there is no protection level %d", to->protection);
    if (to->threads < 0 || to->threads > 1024 || to->reserved)
        return fzi_error(FZ_E_USAGE, "fz_open_options_t: bad threads or reserved");
    if (to->signer && !to->signature)
        return fzi_error(FZ_E_USAGE, "a model without a path needs a signature beside its signer");
    if (to->protection == 0) to->protection = FZ_PROTECT_SEALED;
    if (to->max_file_size == 0) to->max_file_size = 1ull << 36;
    if (to->expect && strspn(to->expect, "0123456789abcdef") != 64)
        return fzi_error(FZ_E_USAGE, "the expected digest must be 64 lower-case hex digits");
    if (to->expect && to->expect[64])
        return fzi_error(FZ_E_USAGE, "the expected digest must be 64 lower-case hex digits");
    return FZ_OK;
}

#endif
