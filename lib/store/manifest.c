/* What a manifest says is only what follows from the model's bytes: no time, no name. */
#include "store/manifest.h"

#include <stdio.h>

const char *fzi_digest_hex(const json_t *digest) {
    const char *text = json_string_value(digest);
    if (!text || strncmp(text, "sha256:", 7) != 0 || !fzi_is_id(text + 7)) return NULL;
    return text + 7;
}

/* Stores JSON, which is released. */
static fz_status_t add(const struct fz_folder *folder, json_t *json, char hex[65],
                       uint64_t *size) {
    const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
    *size = json ? json_dumpb(json, NULL, 0, flags) : 0;
    char *text = *size ? fzi_alloc((size_t)*size) : NULL;
    bool good = text && json_dumpb(json, text, (size_t)*size, flags) == *size;
    fz_status_t status = good ? fzi_folder_add(folder, text, (size_t)*size, hex)
                              : fzi_error(FZ_E_NOMEM, "no memory for a manifest");
    fzi_free(text);
    json_decref(json);
    return status;
}

fz_status_t fzi_manifest_make(const struct fz_folder *folder, const char *id, uint64_t file_size,
                              char hex[65], uint64_t *size) {
    char layer[80], config[65], config_digest[80];
    uint64_t config_size;
    snprintf(layer, sizeof layer, "sha256:%s", id);
    FZ_TRY(add(folder,
               json_pack("{s:{s:s}, s:{}, s:{s:s, s:[s]}}", "config", "format", "frozen",
                         "descriptor", "modelfs", "type", "layers", "diffIds", layer),
               config, &config_size));
    snprintf(config_digest, sizeof config_digest, "sha256:%s", config);
    return add(folder,
               json_pack("{s:i, s:s, s:s, s:{s:s, s:s, s:I}, s:[{s:s, s:s, s:I, s:{s:s}}]}",
                         "schemaVersion", 2, "mediaType", FZ_MEDIA_MANIFEST, "artifactType",
                         FZ_MEDIA_MODEL, "config", "mediaType", FZ_MEDIA_CONFIG, "digest",
                         config_digest, "size", (json_int_t)config_size, "layers", "mediaType",
                         FZ_MEDIA_WEIGHT, "digest", layer, "size", (json_int_t)file_size,
                         "annotations", "org.cncf.model.filepath", "model.fz"),
               hex, size);
}

fz_status_t fzi_manifest_read(const struct fz_folder *folder, const char *hex,
                              struct fz_manifest *out) {
    uint8_t *text;
    size_t size;
    *out = (struct fz_manifest){.file_size = 0};
    FZ_TRY(fzi_folder_read(folder, hex, &text, &size));
    json_t *json = json_loadb((char *)text, size, JSON_REJECT_DUPLICATES, NULL);
    fzi_free(text);
    const json_t *layers = json_object_get(json, "layers"), *layer = json_array_get(layers, 0);
    const char *media = json_string_value(json_object_get(layer, "mediaType"));
    const char *id = fzi_digest_hex(json_object_get(layer, "digest"));
    const char *config = fzi_digest_hex(json_object_get(json_object_get(json, "config"), "digest"));
    bool good = json_array_size(layers) == 1 && media && strcmp(media, FZ_MEDIA_WEIGHT) == 0 &&
                id && config;
    if (good) {
        memcpy(out->id, id, 65);
        memcpy(out->config, config, 65);
        out->file_size = (uint64_t)json_integer_value(json_object_get(layer, "size"));
    }
    json_decref(json);
    if (good) return FZ_OK;
    return fzi_error(FZ_E_CORRUPT, "store '%s': %s is no manifest of a frozen model", folder->path,
                     hex);
}
