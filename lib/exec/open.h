/* From the bytes of a frozen file to a model that sessions can use. */
#ifndef FZ_EXEC_OPEN_H
#define FZ_EXEC_OPEN_H

#include "exec/model.h"

/* Seals, proves and prepares the frozen file in FD, which stays the caller's. OPTIONS are complete
 * (no defaults left out). On failure *OUT is NULL and nothing is left behind. */
fz_status_t fzi_model_open(int fd, const fz_open_options_t *options, struct fz_model **out);
fz_status_t fzi_model_open_memory(const void *data, size_t size, const fz_open_options_t *options,
                                  struct fz_model **out);
/* The same for a file that fzi_seal_file made and fzi_artifact_write filled. Closes FD. */
fz_status_t fzi_model_adopt(int fd, const fz_open_options_t *options, struct fz_model **out);
void fzi_model_free(struct fz_model *model);

#endif
