/* The functions of store.h. */
#include "api/tell.h"
#include "store/folder.h"
#include "store/store.h"

/* All that a function is given must be there. */
#define NEED(function, condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) return fzi_tell(fzi_error(FZ_E_USAGE, function ": a pointer is NULL"));  \
    } while (0)

fz_status_t fz_store_init(const char *store) {
    NEED("fz_store_init", store);
    return fzi_tell(fzi_folder_init(store));
}

fz_status_t fz_store_put(const char *store, const char *file, const char *tag, char hex[65]) {
    if (hex) hex[0] = 0;
    NEED("fz_store_put", store && file);
    return fzi_tell(fzi_store_put(store, file, tag, hex));
}

fz_status_t fz_store_get(const char *store, const char *ref, const char *out) {
    NEED("fz_store_get", store && ref && out);
    return fzi_tell(fzi_store_get(store, ref, out));
}

fz_status_t fz_store_resolve(const char *store, const char *ref, char hex[65], char *path,
                             size_t size) {
    if (hex) hex[0] = 0;
    if (path && size) path[0] = 0;
    NEED("fz_store_resolve", store && ref && hex);
    fz_status_t status = fzi_store_resolve(store, ref, hex, path, size);
    if (status != FZ_OK) hex[0] = 0;
    return fzi_tell(status);
}

fz_status_t fz_store_tag(const char *store, const char *ref, const char *tag) {
    NEED("fz_store_tag", store && ref && tag);
    return fzi_tell(fzi_store_tag(store, ref, tag));
}

fz_status_t fz_store_rollback(const char *store, const char *tag, char hex[65]) {
    if (hex) hex[0] = 0;
    NEED("fz_store_rollback", store && tag);
    return fzi_tell(fzi_store_rollback(store, tag, hex));
}

fz_status_t fz_store_pin(const char *store, const char *ref, int32_t pinned) {
    NEED("fz_store_pin", store && ref);
    return fzi_tell(fzi_store_pin(store, ref, pinned != 0));
}

fz_status_t fz_store_list(const char *store, fz_store_visit_fn visit, void *context) {
    NEED("fz_store_list", store && visit);
    return fzi_tell(fzi_store_list(store, visit, context));
}

fz_status_t fz_store_history(const char *store, const char *tag, fz_store_visit_fn visit,
                             void *context) {
    NEED("fz_store_history", store && tag && visit);
    return fzi_tell(fzi_store_history(store, tag, visit, context));
}

fz_status_t fz_store_gc(const char *store, uint32_t keep, uint64_t *n_removed, uint64_t *size) {
    if (n_removed) *n_removed = 0;
    if (size) *size = 0;
    NEED("fz_store_gc", store);
    return fzi_tell(fzi_store_gc(store, keep, n_removed, size));
}

fz_status_t fz_store_fsck(const char *store, fz_store_problem_fn problem, void *context,
                          uint64_t *n_blobs) {
    if (n_blobs) *n_blobs = 0;
    NEED("fz_store_fsck", store);
    return fzi_tell(fzi_store_fsck(store, problem, context, n_blobs));
}
