/* store.h: a content-addressed store of frozen models. Library libfrozen-store.
 *
 * A store is a folder in the OCI image layout (oci-layout, index.json,
 * blobs/sha256/...), each model a manifest of the CNCF ModelPack kind whose one
 * layer is the frozen file itself: a blob's name is the model id. Blobs are
 * read-only files that appear whole or not at all and never change; index.json
 * holds the tags with their history and is replaced in one step. So readers
 * need no lock and never see a half state, any number of writers may work at
 * once, and a process that is killed leaves nothing but unnamed or temporary
 * files, which the next fz_store_gc() removes. Tools that speak OCI copy a
 * store's models as they are.
 *
 * STORE is the folder. REF is a tag or a model id. A tag is 1 to 128 letters,
 * digits, '.', '_' and '-', not beginning with '.' or '-', and is no model id.
 * The rules at the top of frozen.h hold here too. Errors that every function
 * may give: FZ_E_USAGE, FZ_E_NOMEM, FZ_E_IO (a full or read-only disk, say),
 * FZ_E_FORMAT (STORE is no store, or its index.json is damaged) and FZ_E_LIMIT
 * (index.json, with all histories, would have more than 64 MiB). */
#ifndef FROZEN_STORE_H
#define FROZEN_STORE_H

#include <frozen/frozen.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes an empty store; its parent folder must be there, it itself may be if it
 * is empty. FZ_E_IO if something else is there.                   Since 0.1 */
FZ_API fz_status_t fz_store_init(const char *store);

/* Puts the frozen file at FILE into the store, unless it is there already, and
 * lets TAG, unless NULL, name it. The file is verified as fz_model_open() does,
 * on the very bytes that are stored. HEX, if not NULL, gets the model id.
 * Errors of fz_model_open().                                      Since 0.1 */
FZ_API fz_status_t fz_store_put(const char *store, const char *file,
                                const char *tag, char hex[65]);

/* Copies the model REF to the file OUT, which is replaced whole, and checks the
 * bytes on the way. FZ_E_VALUE if there is no such model, FZ_E_CORRUPT if the
 * stored bytes are not those.                                     Since 0.1 */
FZ_API fz_status_t fz_store_get(const char *store, const char *ref,
                                const char *out);

/* Writes the model id of REF to HEX, and to PATH, unless NULL, the path of its
 * blob, which fz_model_open() opens (expecting HEX proves that it is the one).
 * FZ_E_VALUE if there is no such model, FZ_E_LIMIT if the path is longer than
 * SIZE.                                                           Since 0.1 */
FZ_API fz_status_t fz_store_resolve(const char *store, const char *ref,
                                    char hex[65], char *path, size_t size);

/* Lets TAG name the model REF from now on. A program that has the old model
 * open goes on with it.                                           Since 0.1 */
FZ_API fz_status_t fz_store_tag(const char *store, const char *ref,
                                const char *tag);

/* Lets TAG name the model that it named before the present one; again, the one
 * before that. HEX, if not NULL, gets its id. FZ_E_VALUE if there is none.
 *                                                                 Since 0.1 */
FZ_API fz_status_t fz_store_rollback(const char *store, const char *tag,
                                     char hex[65]);

/* Keeps the model REF from fz_store_gc() even if no tag names it; with PINNED 0
 * no longer.                                                      Since 0.1 */
FZ_API fz_status_t fz_store_pin(const char *store, const char *ref,
                                int32_t pinned);

/* A model in a store, or a line of a tag's history. The strings are the
 * library's, valid until the visitor returns. */
typedef struct fz_store_item {
    const char *id;     /* model id */
    const char *tags;   /* of models: separated by spaces; "" */
    const char *time;   /* of history: when, "2026-01-31T12:00:00Z" */
    const char *action; /* of history: "tag" or "rollback" */
    uint64_t file_size; /* of models: bytes of the frozen file */
    int32_t is_pinned;
    int32_t reserved;
} fz_store_item_t;

/* Return 0 to go on, anything else to end with FZ_E_CANCELLED. */
typedef int (*fz_store_visit_fn)(void *context, const fz_store_item_t *item);

/* Calls VISIT for each model, in the order of their ids.          Since 0.1 */
FZ_API fz_status_t fz_store_list(const char *store, fz_store_visit_fn visit,
                                 void *context);
/* Calls VISIT for all that TAG has ever named, oldest first. FZ_E_VALUE if
 * there is no such tag.                                           Since 0.1 */
FZ_API fz_status_t fz_store_history(const char *store, const char *tag,
                                    fz_store_visit_fn visit, void *context);

/* Removes models that no tag names, that are not pinned, and that no tag could
 * be rolled back to within its last KEEP models (0 means 10), and what killed
 * processes have left. N_REMOVED and SIZE, if not NULL, get the files removed
 * and their bytes.                                                Since 0.1 */
FZ_API fz_status_t fz_store_gc(const char *store, uint32_t keep,
                               uint64_t *n_removed, uint64_t *size);

/* Called for each thing that is wrong with a store. */
typedef void (*fz_store_problem_fn)(void *context, const char *what);

/* Reads everything: that each blob has its digest, each manifest its blobs,
 * each model its proof, each tag its model. PROBLEM may be NULL. N_BLOBS, if
 * not NULL, gets the blobs read. FZ_E_CORRUPT if anything is wrong.
 *                                                                 Since 0.1 */
FZ_API fz_status_t fz_store_fsck(const char *store, fz_store_problem_fn problem,
                                 void *context, uint64_t *n_blobs);

#ifdef __cplusplus
}
#endif

#endif
