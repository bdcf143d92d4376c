/* What one can do with a store; see store.h of the public headers. */
#ifndef FZ_STORE_STORE_H
#define FZ_STORE_STORE_H

#include <frozen/store.h>

#include "base/base.h"

fz_status_t fzi_store_put(const char *store, const char *file, const char *tag, char hex[65]);
fz_status_t fzi_store_get(const char *store, const char *ref, const char *out);
fz_status_t fzi_store_resolve(const char *store, const char *ref, char hex[65], char *path,
                              size_t size);
fz_status_t fzi_store_tag(const char *store, const char *ref, const char *tag);
fz_status_t fzi_store_rollback(const char *store, const char *tag, char hex[65]);
fz_status_t fzi_store_pin(const char *store, const char *ref, bool pinned);
fz_status_t fzi_store_list(const char *store, fz_store_visit_fn visit, void *context);
fz_status_t fzi_store_history(const char *store, const char *tag, fz_store_visit_fn visit,
                              void *context);
fz_status_t fzi_store_gc(const char *store, uint32_t keep, uint64_t *n_removed, uint64_t *size);
fz_status_t fzi_store_fsck(const char *store, fz_store_problem_fn problem, void *context,
                           uint64_t *n_blobs);

#endif
