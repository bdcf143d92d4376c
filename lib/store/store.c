/* Putting, getting, naming. A change of the index is read, made and written under its lock. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "store/index.h"
#include "store/manifest.h"

/* ---- changes of the index */

/* Opens STORE for a change of its index, and reads that. */
static fz_status_t begin(const char *store, struct fz_folder *folder, json_t **index) {
    *index = NULL;
    FZ_TRY(fzi_folder_open(store, FZ_STORE_ADD, folder));
    FZ_TRY(fzi_folder_lock_index(folder));
    return fzi_index_read(folder, index);
}

/* Writes the index, if all went well, and closes the store. */
static fz_status_t end(fz_status_t status, struct fz_folder *folder, json_t *index) {
    if (status == FZ_OK) status = fzi_index_write(folder, index);
    json_decref(index);
    fzi_folder_close(folder);
    return status;
}

static fz_status_t check_tag(const char *tag) {
    if (fzi_is_tag(tag)) return FZ_OK;
    return fzi_error(FZ_E_USAGE, "'%s' cannot be a tag: 1 to 128 letters, digits, '.', '_', '-'",
                     tag);
}

/* ---- put */

/* Copies FILE into a draft, proves it there, and publishes it. */
static fz_status_t put_blob(const struct fz_folder *folder, int from, char id[65],
                            uint64_t *size) {
    struct fz_draft draft;
    fz_model_t *model;
    FZ_TRY(fzi_draft_open(folder, &draft));
    fz_status_t status = fzi_folder_copy(from, draft.fd, id, size);
    if (status == FZ_OK) {
        fz_open_options_t options = {.size = sizeof options, .expect = id,
                                     .protection = FZ_PROTECT_PAGES,
                                     .flags = FZ_OPEN_ANY_PROFILE};
        status = fz_model_open_fd(draft.fd, &options, &model);
        if (status == FZ_OK) fz_model_close(model);
        else fzi_error(status, "%s", fz_last_error());
    }
    if (status == FZ_OK) return fzi_draft_publish(folder, &draft, id);
    fzi_draft_drop(folder, &draft);
    return status;
}

/* The blobs first, then what names them. */
static fz_status_t put(struct fz_folder *folder, int from, const char *tag, char id[65]) {
    char manifest[65];
    uint64_t file_size, size;
    json_t *index, *entry;
    FZ_TRY(put_blob(folder, from, id, &file_size));
    FZ_TRY(fzi_manifest_make(folder, id, file_size, manifest, &size));
    FZ_TRY(fzi_folder_lock_index(folder));
    FZ_TRY(fzi_index_read(folder, &index));
    fz_status_t status = fzi_index_add(index, manifest, size, id);
    if (status == FZ_OK && tag) {
        status = fzi_index_find(folder, index, id, &entry);
        if (status == FZ_OK) status = fzi_index_tag(folder, index, entry, tag, "tag");
    }
    if (status == FZ_OK) status = fzi_index_write(folder, index);
    json_decref(index);
    return status;
}

static fz_status_t open_source(const char *file, int *fd) {
    struct stat st;
    *fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0) return fzi_error(FZ_E_IO, "cannot open '%s': %s", file, strerror(errno));
    if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) return FZ_OK;
    close(*fd);
    return fzi_error(FZ_E_IO, "'%s' is not a regular file", file);
}

fz_status_t fzi_store_put(const char *store, const char *file, const char *tag, char hex[65]) {
    struct fz_folder folder;
    int from;
    char id[65];
    if (tag) FZ_TRY(check_tag(tag));
    FZ_TRY(open_source(file, &from));
    fz_status_t status = fzi_folder_open(store, FZ_STORE_ADD, &folder);
    if (status == FZ_OK) status = put(&folder, from, tag, id);
    if (status == FZ_OK && hex) memcpy(hex, id, 65);
    fzi_folder_close(&folder);
    close(from);
    return status;
}

/* ---- reading */

/* Finds REF in the store, which the caller closes whatever happens. */
static fz_status_t look_up(const char *store, const char *ref, struct fz_folder *folder,
                           char id[65]) {
    json_t *index, *entry;
    FZ_TRY(fzi_folder_open(store, FZ_STORE_READ, folder));
    FZ_TRY(fzi_index_read(folder, &index));
    fz_status_t status = fzi_index_find(folder, index, ref, &entry);
    if (status == FZ_OK) status = fzi_entry_id(folder, entry, id);
    json_decref(index);
    return status;
}

fz_status_t fzi_store_resolve(const char *store, const char *ref, char hex[65], char *path,
                              size_t size) {
    struct fz_folder folder;
    fz_status_t status = look_up(store, ref, &folder, hex);
    fzi_folder_close(&folder);
    if (status != FZ_OK || !path) return status;
    int n = snprintf(path, size, "%s/blobs/sha256/%s", store, hex);
    if (n >= 0 && (size_t)n < size) return FZ_OK;
    if (size > 0) path[0] = 0;
    return fzi_error(FZ_E_LIMIT, "the path of the blob needs %d bytes", n + 1);
}

/* Copies blob ID to a file beside OUT, which takes its name when it has proved right. */
static fz_status_t get(const struct fz_folder *folder, const char *id, const char *out) {
    char beside[FZ_PATH_MAX], found[65];
    uint64_t size;
    int from, to;
    FZ_TRY(fzi_folder_blob(folder, id, &from, &size));
    fz_status_t status = fzi_file_beside(out, 0666, beside, &to);
    if (status != FZ_OK) {
        close(from);
        return status;
    }
    status = fzi_folder_copy(from, to, found, &size);
    if (status == FZ_OK && strcmp(found, id) != 0)
        status = fzi_error(FZ_E_CORRUPT, "store '%s': blob %s does not have its digest",
                           folder->path, id);
    if (status == FZ_OK && fsync(to) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", out, strerror(errno));
    close(to);
    close(from);
    if (status == FZ_OK && rename(beside, out) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", out, strerror(errno));
    if (status == FZ_OK) fzi_file_sync_folder(out);
    else unlink(beside);
    return status;
}

fz_status_t fzi_store_get(const char *store, const char *ref, const char *out) {
    struct fz_folder folder;
    char id[65];
    fz_status_t status = look_up(store, ref, &folder, id);
    if (status == FZ_OK) status = get(&folder, id, out);
    fzi_folder_close(&folder);
    return status;
}

/* ---- naming */

fz_status_t fzi_store_tag(const char *store, const char *ref, const char *tag) {
    struct fz_folder folder;
    json_t *index, *entry;
    FZ_TRY(check_tag(tag));
    fz_status_t status = begin(store, &folder, &index);
    if (status == FZ_OK) status = fzi_index_find(&folder, index, ref, &entry);
    if (status == FZ_OK) status = fzi_index_tag(&folder, index, entry, tag, "tag");
    return end(status, &folder, index);
}

fz_status_t fzi_store_pin(const char *store, const char *ref, bool pinned) {
    struct fz_folder folder;
    json_t *index, *entry;
    fz_status_t status = begin(store, &folder, &index);
    if (status == FZ_OK) status = fzi_index_find(&folder, index, ref, &entry);
    if (status == FZ_OK) status = fzi_index_pin(&folder, index, entry, pinned);
    return end(status, &folder, index);
}

static fz_status_t roll_back(const struct fz_folder *folder, json_t *index, const char *tag,
                             char id[65]) {
    struct fz_change *changes;
    json_t *entry;
    size_t n;
    FZ_TRY(fzi_index_history(index, tag, &changes, &n));
    size_t *stack = fzi_calloc(n, sizeof *stack);
    size_t top = stack ? fzi_history_stack(changes, n, stack) : 0;
    fz_status_t status = FZ_OK;
    if (!stack) status = fzi_error(FZ_E_NOMEM, "no memory for a tag's history");
    else if (top < 2)
        status = fzi_error(FZ_E_VALUE, "store '%s': there is nothing before the present '%s'",
                           folder->path, tag);
    else {
        memcpy(id, changes[stack[top - 2]].id, 65);
        status = fzi_index_find(folder, index, id, &entry);
        if (status == FZ_OK) status = fzi_index_tag(folder, index, entry, tag, "rollback");
    }
    fzi_free(stack);
    fzi_free(changes);
    return status;
}

fz_status_t fzi_store_rollback(const char *store, const char *tag, char hex[65]) {
    struct fz_folder folder;
    json_t *index;
    char id[65];
    FZ_TRY(check_tag(tag));
    fz_status_t status = begin(store, &folder, &index);
    if (status == FZ_OK) status = roll_back(&folder, index, tag, id);
    status = end(status, &folder, index);
    if (status == FZ_OK && hex) memcpy(hex, id, 65);
    return status;
}

/* ---- listing */

struct listed {
    char id[65];
    uint64_t file_size;
    struct fz_text tags;
    bool pinned;
};

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct listed *)a)->id, ((const struct listed *)b)->id);
}

/* Adds ENTRY to the model of the same id, or a new one. */
static fz_status_t add_entry(const struct fz_folder *folder, const json_t *entry,
                             struct listed *list, size_t *n) {
    char id[65];
    struct fz_manifest m;
    size_t i = 0;
    FZ_TRY(fzi_entry_id(folder, entry, id));
    while (i < *n && strcmp(list[i].id, id) != 0) i++;
    struct listed *l = &list[i];
    if (i == *n) {
        FZ_TRY(fzi_manifest_read(folder, fzi_entry_manifest(entry), &m));
        memcpy(l->id, id, 65);
        l->file_size = m.file_size;
        ++*n;
    }
    const char *tag = fzi_entry_tag(entry);
    size_t before = l->tags.size;
    if (tag) fzi_text_add(&l->tags, "%s%s", before ? " " : "", tag);
    /* Other tools may have written anything: a tag is one word that a terminal can show. */
    for (size_t k = before + (before > 0); !l->tags.failed && k < l->tags.size; k++) {
        char *c = &l->tags.data[k];
        if ((unsigned char)*c <= ' ' || *c == 0x7F) *c = '?';
    }
    l->pinned = l->pinned || fzi_entry_pinned(entry);
    return l->tags.failed ? fzi_error(FZ_E_NOMEM, "no memory for a list of models") : FZ_OK;
}

static fz_status_t list_index(const struct fz_folder *folder, const json_t *index,
                              fz_store_visit_fn visit, void *context) {
    size_t count = json_array_size(json_object_get(index, "manifests")), n = 0;
    struct listed *list = fzi_calloc(count, sizeof *list);
    if (!list) return fzi_error(FZ_E_NOMEM, "no memory for a list of models");
    fz_status_t status = FZ_OK;
    for (size_t i = 0; i < count && status == FZ_OK; i++)
        status = add_entry(folder, fzi_index_entry(index, i), list, &n);
    if (n) qsort(list, n, sizeof *list, by_id);
    for (size_t i = 0; i < n && status == FZ_OK; i++) {
        fz_store_item_t item = {.id = list[i].id, .tags = "", .time = "", .action = "",
                                .file_size = list[i].file_size, .is_pinned = list[i].pinned};
        if (list[i].tags.data) item.tags = list[i].tags.data;
        if (visit(context, &item)) status = fzi_error(FZ_E_CANCELLED, "the visit was ended");
    }
    for (size_t i = 0; i < count; i++) fzi_text_free(&list[i].tags);
    fzi_free(list);
    return status;
}

fz_status_t fzi_store_list(const char *store, fz_store_visit_fn visit, void *context) {
    struct fz_folder folder;
    json_t *index = NULL;
    fz_status_t status = fzi_folder_open(store, FZ_STORE_READ, &folder);
    if (status == FZ_OK) status = fzi_index_read(&folder, &index);
    if (status == FZ_OK) status = list_index(&folder, index, visit, context);
    json_decref(index);
    fzi_folder_close(&folder);
    return status;
}

fz_status_t fzi_store_history(const char *store, const char *tag, fz_store_visit_fn visit,
                              void *context) {
    struct fz_folder folder;
    struct fz_change *changes = NULL;
    json_t *index = NULL;
    size_t n = 0;
    FZ_TRY(check_tag(tag));
    fz_status_t status = fzi_folder_open(store, FZ_STORE_READ, &folder);
    if (status == FZ_OK) status = fzi_index_read(&folder, &index);
    if (status == FZ_OK) status = fzi_index_history(index, tag, &changes, &n);
    if (status == FZ_OK && n == 0)
        status = fzi_error(FZ_E_VALUE, "store '%s' knows no history of '%s'", store, tag);
    for (size_t i = 0; i < n && status == FZ_OK; i++) {
        fz_store_item_t item = {.id = changes[i].id, .tags = "", .time = changes[i].time,
                                .action = changes[i].action};
        if (visit(context, &item)) status = fzi_error(FZ_E_CANCELLED, "the visit was ended");
    }
    fzi_free(changes);
    json_decref(index);
    fzi_folder_close(&folder);
    return status;
}
