/* Numerics profiles: "portable/1", and "blas/VERSION/CORE" for one OpenBLAS on one kind of core. */
#ifndef FZ_EXEC_PROFILE_H
#define FZ_EXEC_PROFILE_H

#include "exec/model.h"

/* Prepares MODEL to run in PROFILE; NULL means the "blas" profile of this host. ANY accepts another
 * version or core than the profile names. FZ_E_PROFILE, FZ_E_UNSUPPORTED in builds without it. */
fz_status_t fzi_profile_enter(struct fz_model *model, const char *profile, bool any);
/* Writes the name of the blas profile that MODEL has entered. */
void fzi_profile_name(const struct fz_model *model, char *name, size_t size);
void fzi_profile_leave(struct fz_model *model);

#endif
