/* For the libraries beside libfrozen, which have their own copy of the ground floor: messages are
 * handed over to libfrozen, whose fz_last_error() the caller asks. */
#ifndef FZ_API_TELL_H
#define FZ_API_TELL_H

#include "base/base.h"

static inline fz_status_t fzi_tell(fz_status_t status) {
    if (status != FZ_OK) fz_set_last_error(fzi_error_text());
    return status;
}

#endif
