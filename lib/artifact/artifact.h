/* The frozen file: writes plans, reads and verifies them. Layout in format.h. */
#ifndef FZ_ARTIFACT_H
#define FZ_ARTIFACT_H

#include "plan/plan.h"

/* Writes SOURCE as a frozen file to FD (a fresh, empty, seekable file or memfd) and, unless DIGEST
 * is NULL, the file's SHA-256 to DIGEST. Constants are streamed: memory use does not grow with the
 * weights. Equal sources give equal bytes. PROGRESS may be NULL; it gets the share done and a
 * non-zero answer ends the write with FZ_E_CANCELLED. On failure the file is of no use. */
fz_status_t fzi_artifact_write(const struct fz_plan_source *source, int fd, uint8_t digest[32],
                               int (*progress)(void *context, double done), void *context);

/* A file that was read, and facts of its header. Points to the image, which must outlive it. */
struct fz_artifact_info {
    uint64_t file_size;
    char profile[64];
    uint64_t weight_size, arena_size, macs;
    uint64_t front_size;             /* header, plan, tables, checksums: all that steers a run */
    uint64_t crc_off;                /* of the checksums, which end the front */
    uint64_t n_blocks, n_front_blocks; /* checksummed blocks, and those of them in the front */
    const uint8_t *front, *back;     /* the image: bytes before and from front_size on */
    bool swapped;                    /* sections are not in the file's byte order */
};

/* Learns from a file's first FZ_ARTIFACT_HEAD bytes at HEAD how it is cut: INFO's sizes are set,
 * its pointers NULL. FILE_SIZE must be what the header says. For FZ_OPEN_MAP, before any byte
 * behind HEAD is there; the header's checksum is not checked. */
enum { FZ_ARTIFACT_HEAD = 4096 };
fz_status_t fzi_artifact_head(const void *head, uint64_t file_size, struct fz_artifact_info *info);

/* The checksums of a file's blocks, taken while its bytes come by, so that fzi_artifact_read need
 * not look at all of them once more. All zero at the start; `crcs` stays NULL if the header is bad
 * or memory is short, and fzi_artifact_read then takes the sums itself. */
struct fz_artifact_sums {
    struct fz_layout *layout;
    uint32_t *crcs;
};
/* The SIZE bytes at DATA are those from OFF on of a file of FILE_SIZE bytes. All must come, in
 * order; OFF 0 begins anew, and brings FZ_ARTIFACT_HEAD bytes at least, or the whole file. */
void fzi_artifact_sums_add(struct fz_artifact_sums *sums, uint64_t file_size, uint64_t off,
                           const void *data, size_t size);
void fzi_artifact_sums_free(struct fz_artifact_sums *sums);

/* Proves the image of SIZE bytes at DATA (64-byte aligned) and describes it in *PLAN and *INFO,
 * which point into DATA; PLAN->custom stays as the caller has set it, NULL if there are no custom
 * operators. The header is read first; every byte is then either header, section,
 * checksum table or zero padding, and is checked; then every record of the plan is. FZ_E_FORMAT
 * names what is wrong, FZ_E_UNSUPPORTED all operators that this library lacks.
 *
 * With BACK non-NULL (FZ_OPEN_MAP) DATA holds the front only, SIZE is its size, and the rest of the
 * file lies at BACK; its bytes are not looked at here but left to fzi_artifact_check_block.
 *
 * SUMS, unless NULL, are those of the very bytes that lie there. On a big-endian host call
 * fzi_artifact_swap first. */
fz_status_t fzi_artifact_read(const void *data, size_t size, const void *back,
                              const struct fz_artifact_sums *sums, struct fz_plan *plan,
                              struct fz_artifact_info *info);

/* Turns the bytes of a whole frozen file at DATA into an image of the host's byte order, in place.
 * Nothing to do on a little-endian host; on a big-endian one the bytes are proved first, since
 * fzi_artifact_read cannot do it afterwards. */
fz_status_t fzi_artifact_swap(void *data, size_t size);

/* Compares block I < n_blocks (at most 64 KiB) of the image with its checksum: FZ_E_CORRUPT names
 * it. Callable from any thread at any time; touches only the block and the checksum table. */
fz_status_t fzi_artifact_check_block(const struct fz_artifact_info *info, uint64_t i);
/* The blocks that bytes [off, off + size) of the weight section lie in. */
void fzi_artifact_weight_blocks(const struct fz_artifact_info *info, uint64_t off, uint64_t size,
                                uint64_t *first, uint64_t *count);

/* Compares every block and every section's SHA-256, and the file's with DIGEST unless it is NULL:
 * FZ_E_CORRUPT names what differs. OUT, unless NULL, gets the file's SHA-256. */
fz_status_t fzi_artifact_verify(const struct fz_artifact_info *info, const uint8_t *digest,
                                uint8_t out[32]);

/* The bytes of section KIND; false if the file has none. In file order on a big-endian host only
 * for width 1. DIGEST may be NULL, else it gets the section's SHA-256 as the header states it. */
bool fzi_artifact_section(const struct fz_artifact_info *info, enum fz_section_kind kind,
                          const void **data, uint64_t *size, uint8_t digest[32]);

#endif
