/* Reads, changes and writes index.json. What is not understood stays as it is. */
#include "store/index.h"

#include <stdio.h>
#include <time.h>

#include "store/manifest.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define ID "io.libfrozen.id"
#define PINNED "io.libfrozen.pinned"
#define HISTORY "io.libfrozen.history."

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for index.json"); }

bool fzi_is_tag(const char *text) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(text);
    return n > 0 && n <= 128 && strspn(text, allowed) == n && text[0] != '.' && text[0] != '-' &&
           !fzi_is_id(text);
}

/* Jansson leaves out a character of a string for which it got no memory, and says nothing. Such an
 * index must not be written back: it is read twice, and both have to be equal. */
static fz_status_t parse(const char *text, size_t size, json_t **index) {
    *index = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    json_t *again = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    bool same = (!*index && !again) || json_equal(*index, again);
    json_decref(again);
    if (same) return FZ_OK;
    json_decref(*index);
    *index = NULL;
    return no_memory();
}

fz_status_t fzi_index_read(const struct fz_folder *folder, json_t **index) {
    uint8_t *text;
    size_t size;
    *index = NULL;
    FZ_TRY(fzi_folder_read_index(folder, &text, &size));
    fz_status_t status = parse((char *)text, size, index);
    fzi_free(text);
    FZ_TRY(status);
    if (json_is_array(json_object_get(*index, "manifests"))) return FZ_OK;
    json_decref(*index);
    *index = NULL;
    return fzi_error(FZ_E_FORMAT, "store '%s': index.json is damaged", folder->path);
}

fz_status_t fzi_index_write(const struct fz_folder *folder, const json_t *index) {
    const size_t flags = JSON_SORT_KEYS | JSON_INDENT(1);
    size_t size = json_dumpb(index, NULL, 0, flags);
    if (size > FZ_INDEX_MAX) /* nobody could read it any more */
        return fzi_error(FZ_E_LIMIT, "store '%s': index.json would be larger than %d bytes",
                         folder->path, FZ_INDEX_MAX);
    char *text = size ? fzi_alloc(size) : NULL;
    if (!text) return no_memory();
    /* It sorts keys: that takes memory, too. */
    fz_status_t status = json_dumpb(index, text, size, flags) == size
                             ? fzi_folder_write_index(folder, text, size)
                             : no_memory();
    fzi_free(text);
    return status;
}

/* ---- entries */

json_t *fzi_index_entry(const json_t *index, size_t i) {
    return json_array_get(json_object_get(index, "manifests"), i);
}

const char *fzi_entry_manifest(const json_t *entry) {
    return fzi_digest_hex(json_object_get(entry, "digest"));
}

static const char *annotation(const json_t *entry, const char *key) {
    return json_string_value(json_object_get(json_object_get(entry, "annotations"), key));
}

const char *fzi_entry_tag(const json_t *entry) { return annotation(entry, REF_NAME); }

bool fzi_entry_pinned(const json_t *entry) { return annotation(entry, PINNED) != NULL; }

fz_status_t fzi_entry_id(const struct fz_folder *folder, const json_t *entry, char id[65]) {
    const char *known = annotation(entry, ID), *manifest = fzi_entry_manifest(entry);
    if (!manifest)
        return fzi_error(FZ_E_CORRUPT, "store '%s': an entry of index.json has no sha256 digest",
                         folder->path);
    if (known && fzi_is_id(known)) {
        memcpy(id, known, 65);
        return FZ_OK;
    }
    struct fz_manifest m;
    FZ_TRY(fzi_manifest_read(folder, manifest, &m));
    memcpy(id, m.id, 65);
    return FZ_OK;
}

/* What looks like a model id is one: no tag can stand for another model. */
fz_status_t fzi_index_find(const struct fz_folder *folder, const json_t *index, const char *ref,
                           json_t **entry) {
    char id[65];
    bool is_id = fzi_is_id(ref);
    for (size_t i = 0; (*entry = fzi_index_entry(index, i)); i++) {
        const char *tag = is_id ? NULL : fzi_entry_tag(*entry);
        if (tag && strcmp(tag, ref) == 0) return FZ_OK;
        if (is_id && fzi_entry_id(folder, *entry, id) == FZ_OK && strcmp(id, ref) == 0)
            return FZ_OK;
    }
    return fzi_error(FZ_E_VALUE, "store '%s' has no model '%s'", folder->path, ref);
}

/* Appends an entry for MANIFEST; it is the index's own. */
static json_t *append(json_t *index, const char *manifest, uint64_t size, const char *id) {
    char digest[80];
    snprintf(digest, sizeof digest, "sha256:%s", manifest);
    json_t *entry = json_pack("{s:s, s:s, s:s, s:I, s:{s:s}}", "mediaType", FZ_MEDIA_MANIFEST,
                              "artifactType", FZ_MEDIA_MODEL, "digest", digest, "size",
                              (json_int_t)size, "annotations", ID, id);
    if (!entry) return NULL;
    return json_array_append_new(json_object_get(index, "manifests"), entry) == 0 ? entry : NULL;
}

fz_status_t fzi_index_add(json_t *index, const char *manifest, uint64_t size, const char *id) {
    const json_t *entry;
    for (size_t i = 0; (entry = fzi_index_entry(index, i)); i++) {
        const char *m = fzi_entry_manifest(entry);
        if (m && strcmp(m, manifest) == 0) return FZ_OK;
    }
    return append(index, manifest, size, id) ? FZ_OK : no_memory();
}

void fzi_index_remove(json_t *index, size_t i) {
    json_array_remove(json_object_get(index, "manifests"), i);
}

/* The number of the untagged entry of MANIFEST, or -1. */
static long untagged(const json_t *index, const char *manifest) {
    const json_t *entry;
    for (size_t i = 0; (entry = fzi_index_entry(index, i)); i++) {
        const char *m = fzi_entry_manifest(entry);
        if (m && !fzi_entry_tag(entry) && strcmp(m, manifest) == 0) return (long)i;
    }
    return -1;
}

static bool set(json_t *entry, const char *key, const char *value) {
    json_t *annotations = json_object_get(entry, "annotations");
    if (!json_is_object(annotations)) {
        annotations = json_object();
        if (json_object_set_new(entry, "annotations", annotations) != 0) return false;
    }
    return json_object_set_new(annotations, key, json_string(value)) == 0;
}

/* An untagged entry beside ENTRY, which is given or made. */
static json_t *without_tag(json_t *index, const json_t *entry, const char *id) {
    const char *manifest = fzi_entry_manifest(entry);
    long i = untagged(index, manifest);
    if (i >= 0) return fzi_index_entry(index, (size_t)i);
    json_int_t size = json_integer_value(json_object_get(entry, "size"));
    return append(index, manifest, (uint64_t)size, id);
}

/* Takes TAG away from what it named; that keeps an entry. */
static fz_status_t untag(const struct fz_folder *folder, json_t *index, const char *tag) {
    json_t *entry;
    char id[65];
    for (size_t i = 0; (entry = fzi_index_entry(index, i)); i++) {
        const char *t = fzi_entry_tag(entry);
        if (!t || strcmp(t, tag) != 0) continue;
        FZ_TRY(fzi_entry_id(folder, entry, id));
        if (!without_tag(index, entry, id)) return no_memory();
        fzi_index_remove(index, i--);
    }
    return FZ_OK;
}

static fz_status_t note(json_t *index, const char *tag, const char *action, const char *id) {
    char key[200], now[32];
    time_t clock = time(NULL);
    struct tm utc;
    struct fz_text lines = {0};
    snprintf(key, sizeof key, HISTORY "%s", tag);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    const char *old = annotation(index, key);
    fzi_text_add(&lines, "%s%s%s %s %s", old ? old : "", old ? "\n" : "", now, action, id);
    bool good = !lines.failed && set(index, key, lines.data);
    fzi_text_free(&lines);
    return good ? FZ_OK : no_memory();
}

fz_status_t fzi_index_tag(const struct fz_folder *folder, json_t *index, const json_t *entry,
                          const char *tag, const char *action) {
    char id[65], manifest[65];
    uint64_t size = (uint64_t)json_integer_value(json_object_get(entry, "size"));
    FZ_TRY(fzi_entry_id(folder, entry, id));
    snprintf(manifest, sizeof manifest, "%s", fzi_entry_manifest(entry));
    FZ_TRY(untag(folder, index, tag));
    /* The untagged entry gets the tag, unless it stands for a pin. */
    long i = untagged(index, manifest);
    json_t *named = i >= 0 ? fzi_index_entry(index, (size_t)i) : NULL;
    if (!named || fzi_entry_pinned(named)) named = append(index, manifest, size, id);
    if (!named || !set(named, REF_NAME, tag)) return no_memory();
    return note(index, tag, action, id);
}

fz_status_t fzi_index_pin(const struct fz_folder *folder, json_t *index, const json_t *entry,
                          bool pinned) {
    char id[65];
    FZ_TRY(fzi_entry_id(folder, entry, id));
    json_t *plain = without_tag(index, entry, id);
    if (!plain) return no_memory();
    if (pinned) return set(plain, PINNED, "true") ? FZ_OK : no_memory();
    json_object_del(json_object_get(plain, "annotations"), PINNED);
    return FZ_OK;
}

/* ---- history */

/* The word at *TEXT, of fewer than SIZE bytes; *TEXT moves behind it and the space after it. */
static bool word(const char **text, char *out, size_t size) {
    size_t n = strcspn(*text, " \n");
    if (n == 0 || n >= size) return false;
    memcpy(out, *text, n);
    out[n] = 0;
    *text += n + ((*text)[n] == ' ');
    return true;
}

fz_status_t fzi_index_history(const json_t *index, const char *tag, struct fz_change **changes,
                              size_t *n) {
    char key[200];
    snprintf(key, sizeof key, HISTORY "%s", tag);
    const char *text = annotation(index, key);
    *changes = NULL;
    *n = 0;
    if (!text) return FZ_OK;
    size_t lines = 1;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    struct fz_change *list = fzi_calloc(lines, sizeof *list);
    if (!list) return no_memory();
    for (const char *p = text; *p; p += *p == '\n') {
        struct fz_change *c = &list[*n];
        bool good = word(&p, c->time, sizeof c->time) && word(&p, c->action, sizeof c->action) &&
                    word(&p, c->id, sizeof c->id) && fzi_is_id(c->id);
        *n += good;
        p += strcspn(p, "\n");
    }
    *changes = list;
    return FZ_OK;
}

size_t fzi_history_stack(const struct fz_change *changes, size_t n, size_t *stack) {
    size_t top = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(changes[i].action, "rollback") == 0) top -= top > 0;
        /* To name what is named already is no step. */
        else if (top == 0 || strcmp(changes[stack[top - 1]].id, changes[i].id) != 0)
            stack[top++] = i;
    }
    return top;
}
