/* A store's index.json: which manifests there are, what names them, what tags have named. */
#ifndef FZ_STORE_INDEX_H
#define FZ_STORE_INDEX_H

#include <jansson.h>

#include "store/folder.h"

/* Annotations of our own begin with "io.libfrozen.": "id" of a manifest is its model's, "pinned" of
 * a manifest keeps it, "history.TAG" of the index has a line "TIME ACTION ID" for each change. */

/* Reads index.json; release *INDEX with json_decref(). */
fz_status_t fzi_index_read(const struct fz_folder *folder, json_t **index);
fz_status_t fzi_index_write(const struct fz_folder *folder, const json_t *index);

/* ---- entries: one a tag, and one without a tag for a model that is pinned or not tagged */

/* Entry I, or NULL behind the last. */
json_t *fzi_index_entry(const json_t *index, size_t i);
/* The hex digits of an entry's manifest, or NULL if it has no sha256 digest. */
const char *fzi_entry_manifest(const json_t *entry);
const char *fzi_entry_tag(const json_t *entry);      /* NULL: none */
bool fzi_entry_pinned(const json_t *entry);
/* The model id of ENTRY: its annotation or, in a store that other tools wrote, its manifest's
 * layer. FZ_E_CORRUPT if it has none, or no manifest. */
fz_status_t fzi_entry_id(const struct fz_folder *folder, const json_t *entry, char id[65]);

/* Looks for REF, a tag or a model id: FZ_E_VALUE if it is not there. *ENTRY is INDEX's own. */
fz_status_t fzi_index_find(const struct fz_folder *folder, const json_t *index, const char *ref,
                           json_t **entry);
/* Adds an untagged entry for a manifest of SIZE bytes unless one is there for it. */
fz_status_t fzi_index_add(json_t *index, const char *manifest, uint64_t size, const char *id);
/* Lets TAG name ENTRY's manifest, and writes ACTION into its history. */
fz_status_t fzi_index_tag(const struct fz_folder *folder, json_t *index, const json_t *entry,
                          const char *tag, const char *action);
fz_status_t fzi_index_pin(const struct fz_folder *folder, json_t *index, const json_t *entry,
                          bool pinned);
/* Removes ENTRY I. */
void fzi_index_remove(json_t *index, size_t i);

/* ---- history */

struct fz_change {
    char time[24], action[16], id[65];
};
/* The changes of TAG, oldest first; NULL with *N 0 if it has none. Release with fzi_free(). */
fz_status_t fzi_index_history(const json_t *index, const char *tag, struct fz_change **changes,
                              size_t *n);
/* What TAG names after N changes and what it would go back to, as numbers into CHANGES, the present
 * one last. A rollback takes the last one away. STACK has room for N. */
size_t fzi_history_stack(const struct fz_change *changes, size_t n, size_t *stack);

bool fzi_is_tag(const char *text);

#endif
