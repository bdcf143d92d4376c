/* Manifests: a model as an OCI artifact of the CNCF ModelPack kind. */
#ifndef FZ_STORE_MANIFEST_H
#define FZ_STORE_MANIFEST_H

#include <jansson.h>

#include "store/folder.h"

#define FZ_MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define FZ_MEDIA_MODEL "application/vnd.cncf.model.manifest.v1+json"
#define FZ_MEDIA_CONFIG "application/vnd.cncf.model.config.v1+json"
#define FZ_MEDIA_WEIGHT "application/vnd.cncf.model.weight.v1.raw"

struct fz_manifest {
    char id[65], config[65]; /* the blobs that it names */
    uint64_t file_size;      /* of the model, as the manifest says */
};

/* Stores config and manifest of the model ID of FILE_SIZE bytes, equal for equal models; HEX and
 * SIZE get the manifest's. */
fz_status_t fzi_manifest_make(const struct fz_folder *folder, const char *id, uint64_t file_size,
                              char hex[65], uint64_t *size);
/* Reads manifest HEX. FZ_E_CORRUPT if it is damaged or not of a frozen model. */
fz_status_t fzi_manifest_read(const struct fz_folder *folder, const char *hex,
                              struct fz_manifest *out);

/* The 64 digits of a JSON string "sha256:...", or NULL. */
const char *fzi_digest_hex(const json_t *digest);

#endif
