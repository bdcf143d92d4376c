/* Collecting what nobody needs, and checking what is there: both read the whole store. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/index.h"
#include "store/manifest.h"
#include "store/store.h"

/* Calls VISIT for each name in the folder FD that begins with PREFIX. */
static fz_status_t each_name(const struct fz_folder *folder, int fd, const char *prefix,
                             fz_status_t (*visit)(void *context, const char *name),
                             void *context) {
    fz_status_t status = FZ_OK;
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *handle = again >= 0 ? fdopendir(again) : NULL;
    if (!handle) {
        if (again >= 0) close(again);
        return fzi_folder_cannot(folder, "list its files");
    }
    for (struct dirent *e; status == FZ_OK && (e = readdir(handle));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strncmp(e->d_name, prefix, strlen(prefix)) == 0)
            status = visit(context, e->d_name);
    closedir(handle);
    return status;
}

/* ---- which blobs are needed: a set of names */

struct sweep {
    struct fz_folder folder;
    json_t *index, *needed; /* needed: an object whose keys are blobs */
    uint64_t n, size;
    fz_store_problem_fn problem;
    void *context;
    uint64_t n_problems;
};

static fz_status_t need(struct sweep *s, const char *hex) {
    if (json_object_set_new(s->needed, hex, json_true()) == 0) return FZ_OK;
    return fzi_error(FZ_E_NOMEM, "no memory for a list of blobs");
}

static fz_status_t need_model(struct sweep *s, const json_t *entry) {
    struct fz_manifest m;
    const char *manifest = fzi_entry_manifest(entry);
    if (!manifest)
        return fzi_error(FZ_E_CORRUPT, "store '%s': an entry of index.json has no sha256 digest",
                         s->folder.path);
    FZ_TRY(fzi_manifest_read(&s->folder, manifest, &m));
    FZ_TRY(need(s, manifest));
    FZ_TRY(need(s, m.config));
    return need(s, m.id);
}

/* ---- gc */

/* Whether TAG's history, rolled back fewer than KEEP times, comes to ID. */
static fz_status_t is_recent(const struct sweep *s, const char *tag, uint32_t keep, const char *id,
                             bool *recent) {
    struct fz_change *changes;
    size_t n;
    FZ_TRY(fzi_index_history(s->index, tag, &changes, &n));
    size_t *stack = fzi_calloc(n, sizeof *stack);
    if (!stack) {
        fzi_free(changes);
        return fzi_error(FZ_E_NOMEM, "no memory for a tag's history");
    }
    size_t top = fzi_history_stack(changes, n, stack);
    for (size_t i = top > keep ? top - keep : 0; i < top; i++)
        *recent = *recent || strcmp(changes[stack[i]].id, id) == 0;
    fzi_free(stack);
    fzi_free(changes);
    return FZ_OK;
}

static fz_status_t is_wanted(const struct sweep *s, const json_t *entry, uint32_t keep,
                             bool *wanted) {
    char id[65];
    const json_t *other;
    *wanted = fzi_entry_tag(entry) || fzi_entry_pinned(entry);
    if (*wanted) return FZ_OK;
    FZ_TRY(fzi_entry_id(&s->folder, entry, id));
    for (size_t i = 0; !*wanted && (other = fzi_index_entry(s->index, i)); i++)
        if (fzi_entry_tag(other)) FZ_TRY(is_recent(s, fzi_entry_tag(other), keep, id, wanted));
    return FZ_OK;
}

/* What is no blob is somebody else's; fsck tells of it. */
static fz_status_t remove_unneeded(void *context, const char *name) {
    struct sweep *s = context;
    struct stat st;
    if (!fzi_is_id(name) || json_object_get(s->needed, name)) return FZ_OK;
    if (fstatat(s->folder.blobs, name, &st, AT_SYMLINK_NOFOLLOW) != 0) st.st_size = 0;
    if (unlinkat(s->folder.blobs, name, 0) != 0 && errno != ENOENT)
        return fzi_folder_cannot(&s->folder, "remove a blob");
    s->n++;
    s->size += (uint64_t)st.st_size;
    return FZ_OK;
}

static fz_status_t remove_draft(void *context, const char *name) {
    struct sweep *s = context;
    struct stat st;
    if (fstatat(s->folder.dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return FZ_OK;
    if (unlinkat(s->folder.dir, name, 0) != 0)
        return fzi_folder_cannot(&s->folder, "remove a draft");
    s->n++;
    s->size += (uint64_t)st.st_size;
    return FZ_OK;
}

/* The index first: what it no longer names may go. */
static fz_status_t collect(struct sweep *s, uint32_t keep) {
    const json_t *entry;
    bool wanted;
    size_t before = json_array_size(json_object_get(s->index, "manifests"));
    for (size_t i = 0; (entry = fzi_index_entry(s->index, i));) {
        FZ_TRY(is_wanted(s, entry, keep, &wanted));
        if (wanted) i++;
        else fzi_index_remove(s->index, i);
    }
    for (size_t i = 0; (entry = fzi_index_entry(s->index, i)); i++) FZ_TRY(need_model(s, entry));
    if (json_array_size(json_object_get(s->index, "manifests")) != before)
        FZ_TRY(fzi_index_write(&s->folder, s->index));
    FZ_TRY(each_name(&s->folder, s->folder.dir, ".draft.", remove_draft, s));
    return each_name(&s->folder, s->folder.blobs, "", remove_unneeded, s);
}

static fz_status_t begin(const char *store, enum fz_store_use use, struct sweep *s) {
    FZ_TRY(fzi_folder_open(store, use, &s->folder));
    if (use == FZ_STORE_REMOVE) FZ_TRY(fzi_folder_lock_index(&s->folder));
    FZ_TRY(fzi_index_read(&s->folder, &s->index));
    s->needed = json_object();
    return s->needed ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for a list of blobs");
}

static void end(struct sweep *s) {
    json_decref(s->index);
    json_decref(s->needed);
    s->index = s->needed = NULL;
    fzi_folder_close(&s->folder);
}

fz_status_t fzi_store_gc(const char *store, uint32_t keep, uint64_t *n_removed, uint64_t *size) {
    struct sweep s = {.n = 0};
    fz_status_t status = begin(store, FZ_STORE_REMOVE, &s);
    if (status == FZ_OK) status = collect(&s, keep ? keep : 10);
    if (status == FZ_OK && n_removed) *n_removed = s.n;
    if (status == FZ_OK && size) *size = s.size;
    end(&s);
    return status;
}

/* ---- fsck */

static void report(struct sweep *s) {
    s->n_problems++;
    if (s->problem) s->problem(s->context, fzi_error_text());
}

/* A blob's name is its digest; one that is a model is proved as a model. */
static fz_status_t check_blob(void *context, const char *name) {
    struct sweep *s = context;
    char found[65];
    uint64_t size;
    int fd;
    if (!fzi_is_id(name)) {
        fzi_error(FZ_E_CORRUPT, "store '%s': '%s' is no name of a blob", s->folder.path, name);
        report(s);
        return FZ_OK;
    }
    fz_status_t status = fzi_folder_blob(&s->folder, name, &fd, &size);
    if (status == FZ_OK) {
        status = fzi_folder_copy(fd, -1, found, &size);
        close(fd);
    }
    if (status == FZ_OK && strcmp(found, name) != 0)
        status = fzi_error(FZ_E_CORRUPT, "store '%s': blob %s does not have its digest",
                           s->folder.path, name);
    if (status != FZ_OK) report(s);
    s->n++;
    return FZ_OK;
}

static fz_status_t check_size(const struct sweep *s, const struct fz_manifest *m) {
    uint64_t size;
    int fd;
    FZ_TRY(fzi_folder_blob(&s->folder, m->config, &fd, &size));
    close(fd);
    FZ_TRY(fzi_folder_blob(&s->folder, m->id, &fd, &size));
    fz_open_options_t options = {.size = sizeof options, .expect = m->id,
                                 .protection = FZ_PROTECT_PAGES, .flags = FZ_OPEN_ANY_PROFILE};
    fz_model_t *model;
    fz_status_t status = fz_model_open_fd(fd, &options, &model);
    close(fd);
    if (status == FZ_OK) fz_model_close(model);
    else return fzi_error(FZ_E_CORRUPT, "store '%s': model %s: %s", s->folder.path, m->id,
                          fz_last_error());
    if (size == m->file_size) return FZ_OK;
    return fzi_error(FZ_E_CORRUPT, "store '%s': the manifest of model %s has another size",
                     s->folder.path, m->id);
}

static void check_entry(struct sweep *s, const json_t *entry) {
    struct fz_manifest m;
    char id[65];
    const char *manifest = fzi_entry_manifest(entry);
    fz_status_t status = fzi_entry_id(&s->folder, entry, id);
    if (status == FZ_OK && !manifest)
        status = fzi_error(FZ_E_CORRUPT, "store '%s': an entry of index.json has no sha256 digest",
                           s->folder.path);
    if (status == FZ_OK) status = fzi_manifest_read(&s->folder, manifest, &m);
    if (status == FZ_OK && strcmp(m.id, id) != 0)
        status = fzi_error(FZ_E_CORRUPT, "store '%s': index.json calls %s what is %s",
                           s->folder.path, id, m.id);
    if (status == FZ_OK && !json_object_get(s->needed, m.id)) {
        status = check_size(s, &m);
        need(s, m.id);
    }
    if (status != FZ_OK) report(s);
}

static void check_tags(struct sweep *s) {
    const json_t *entry, *other;
    for (size_t i = 0; (entry = fzi_index_entry(s->index, i)); i++) {
        const char *tag = fzi_entry_tag(entry);
        for (size_t j = 0; tag && j < i && (other = fzi_index_entry(s->index, j)); j++) {
            if (!fzi_entry_tag(other) || strcmp(fzi_entry_tag(other), tag) != 0) continue;
            fzi_error(FZ_E_CORRUPT, "store '%s': there are two '%s'", s->folder.path, tag);
            report(s);
        }
    }
}

/* While blobs are read none may go; on a disk that cannot be written none does. */
fz_status_t fzi_store_fsck(const char *store, fz_store_problem_fn problem, void *context,
                           uint64_t *n_blobs) {
    struct sweep s = {.problem = problem, .context = context};
    const json_t *entry;
    fz_status_t status = begin(store, FZ_STORE_ADD, &s);
    if (status == FZ_E_IO) {
        end(&s);
        status = begin(store, FZ_STORE_READ, &s);
    }
    for (size_t i = 0; status == FZ_OK && (entry = fzi_index_entry(s.index, i)); i++)
        check_entry(&s, entry);
    if (status == FZ_OK) check_tags(&s);
    if (status == FZ_OK) status = each_name(&s.folder, s.folder.blobs, "", check_blob, &s);
    if (status == FZ_OK && s.n_problems)
        status = fzi_error(FZ_E_CORRUPT, "store '%s': %llu problems", store,
                           (unsigned long long)s.n_problems);
    if (n_blobs) *n_blobs = s.n;
    end(&s);
    return status;
}
