/* Writes frozen files. Sections go to the file one after another while their digests and the
 * blocks' checksums are taken; header and checksums follow at the end, into the room left for
 * them; last, the file is read back for its own digest. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/artifact.h"
#include "artifact/format.h"
#include "base/crc32c.h"
#include "base/sha256.h"

enum { PIECE = 262144 }; /* bytes between a write and its hashing: they stay in the L2 cache */

struct writer {
    const struct fz_plan_source *source;
    int fd;
    struct fz_layout layout;
    struct fz_file_header *header; /* its page */
    uint32_t *crcs;                /* of blocks, in file byte order */
    uint64_t at;                   /* how far the file is written */
    struct fz_sha256 hash;         /* of the section under way */
    uint64_t done, todo;           /* bytes, for progress */
    int (*progress)(void *context, double done);
    void *context;
};

/* Tells how much is done. Reading back for the digest counts as much as writing. */
static fz_status_t report(struct writer *w, uint64_t size) {
    w->done += size;
    if (w->progress && w->progress(w->context, (double)w->done / (double)w->todo))
        return fzi_error(FZ_E_CANCELLED, "writing the frozen file was cancelled");
    return FZ_OK;
}

/* Writes all of it or fails. A disk that is full can answer by a short write first and by ENOSPC
 * next; a write of nothing would repeat for ever and is taken for a full disk as well. */
static fz_status_t put_at(int fd, const void *data, size_t size, uint64_t off) {
    for (const uint8_t *p = data; size > 0;) {
        ssize_t n = pwrite(fd, p, size, (off_t)off);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return fzi_error(FZ_E_IO, "cannot write the frozen file: %s",
                             strerror(n < 0 ? errno : ENOSPC));
        p += n;
        off += (uint64_t)n;
        size -= (size_t)n;
    }
    return FZ_OK;
}

/* Reads what was written: FD must be readable too. */
static fz_status_t get_at(int fd, uint8_t *p, size_t size, uint64_t off) {
    while (size > 0) {
        ssize_t n = pread(fd, p, size, (off_t)off);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return fzi_error(FZ_E_IO, "cannot read the frozen file back: %s",
                             n < 0 ? strerror(errno) : "it is shorter than what was written");
        p += n;
        off += (uint64_t)n;
        size -= (size_t)n;
    }
    return FZ_OK;
}

/* Appends SIZE bytes, in file byte order, to the section under way. */
static fz_status_t put_bytes(struct writer *w, const uint8_t *data, size_t size) {
    FZ_TRY(put_at(w->fd, data, size, w->at));
    fzi_sha256_update(&w->hash, data, size);
    fzi_format_add_crc(&w->layout, w->crcs, w->at, data, size);
    w->at += size;
    return report(w, size);
}

/* Appends SIZE bytes that are elements of WIDTH bytes in host byte order. */
static fz_status_t put(struct writer *w, const void *data, uint64_t size, uint64_t width) {
    bool swap = FZ_BIG_ENDIAN && width > 1;
    uint8_t swapped[FZ_PAGE];
    size_t piece = swap ? sizeof swapped : PIECE;
    for (const uint8_t *p = data; size > 0;) {
        size_t n = size < piece ? (size_t)size : piece;
        if (swap) fzi_format_swap(memcpy(swapped, p, n), n, width);
        FZ_TRY(put_bytes(w, swap ? swapped : p, n));
        p += n;
        size -= n;
    }
    return FZ_OK;
}

/* Appends SIZE zeros: between constants, where the section's digest covers them, or behind a
 * section, where only the checksums do. */
static fz_status_t put_zeros(struct writer *w, uint64_t size, bool hashed) {
    static const uint8_t zeros[FZ_PAGE];
    while (size > 0) {
        size_t n = size < sizeof zeros ? (size_t)size : sizeof zeros;
        FZ_TRY(put_at(w->fd, zeros, n, w->at));
        if (hashed) fzi_sha256_update(&w->hash, zeros, n);
        fzi_format_add_crc(&w->layout, w->crcs, w->at, zeros, n);
        w->at += n;
        size -= n;
    }
    return FZ_OK;
}

/* The constants of section KIND, whose offsets the plan has laid out in ascending order. */
static fz_status_t put_constants(struct writer *w, uint32_t kind) {
    const struct fz_plan *plan = &w->source->plan;
    uint64_t start = w->at, end = w->layout.size[kind];
    for (size_t i = 0; i < plan->n_consts; i++) {
        const struct fz_plan_const *c = &plan->consts[i];
        uint64_t used = w->at - start;
        if (c->section != kind) continue;
        if (c->off < used || c->off > end || c->size > end - c->off)
            return fzi_error(FZ_E_INTERNAL, "constant %zu does not lie in its section", i);
        FZ_TRY(put_zeros(w, c->off - used, true));
        FZ_TRY(put(w, w->source->const_data[i], c->size, c->width));
    }
    return put_zeros(w, end - (w->at - start), true);
}

/* Where the bytes of section KIND are; NULL for constants, which lie scattered. */
static const void *section_data(const struct fz_plan_source *source, uint32_t kind) {
    const struct fz_plan *plan = &source->plan;
    const void *const data[FZ_SECTION_KINDS] = {
        [FZ_SECTION_STRINGS] = plan->strings, [FZ_SECTION_OPS] = plan->ops,
        [FZ_SECTION_VALUES] = plan->values, [FZ_SECTION_DIMS] = plan->dims,
        [FZ_SECTION_STEPS] = plan->steps, [FZ_SECTION_ARGS] = plan->args,
        [FZ_SECTION_BLOCKS] = plan->blocks, [FZ_SECTION_PARAMS] = plan->params,
        [FZ_SECTION_CONSTS] = plan->consts, [FZ_SECTION_IO] = plan->io,
        [FZ_SECTION_SYMBOLS] = plan->symbols, [FZ_SECTION_TEXTS] = plan->texts,
        [FZ_SECTION_KAT] = plan->kat, [FZ_SECTION_ONNX] = source->onnx};
    return data[kind];
}

/* Lays the file out. A section of records that 32-bit indices cannot name is too large. */
static bool size_sections(struct writer *w) {
    const struct fz_plan *plan = &w->source->plan;
    const uint64_t counts[FZ_SECTION_KINDS] = {
        [FZ_SECTION_STRINGS] = plan->strings_size, [FZ_SECTION_OPS] = plan->n_ops,
        [FZ_SECTION_VALUES] = plan->n_values, [FZ_SECTION_DIMS] = plan->n_dims,
        [FZ_SECTION_STEPS] = plan->n_steps, [FZ_SECTION_ARGS] = plan->n_args,
        [FZ_SECTION_BLOCKS] = plan->n_blocks, [FZ_SECTION_PARAMS] = plan->n_params,
        [FZ_SECTION_CONSTS] = plan->n_consts, [FZ_SECTION_IO] = plan->n_io,
        [FZ_SECTION_SYMBOLS] = plan->n_symbols, [FZ_SECTION_TEXTS] = plan->n_texts,
        [FZ_SECTION_KAT] = plan->n_kat, [FZ_SECTION_TABLES] = plan->tables_size,
        [FZ_SECTION_WEIGHTS] = plan->weights_size, [FZ_SECTION_ONNX] = w->source->onnx_size};
    w->layout.n_sections = w->source->onnx ? FZ_SECTION_ONNX : FZ_SECTION_WEIGHTS;
    for (uint32_t k = 1; k <= w->layout.n_sections; k++)
        if ((k < FZ_SECTION_TABLES && counts[k] >= FZ_NONE) ||
            __builtin_mul_overflow(counts[k], fzi_format_record(k), &w->layout.size[k]))
            return false;
    return fzi_format_layout(&w->layout);
}

/* Fills the header but for the sections' digests. */
static fz_status_t fill_header(struct writer *w) {
    struct fz_file_header *h = w->header;
    const struct fz_layout *l = &w->layout;
    size_t length = strlen(w->source->profile);
    if (length == 0 || length >= sizeof h->profile)
        return fzi_error(FZ_E_INTERNAL, "the profile's name does not fit the header");
    uint64_t weight_size = 0;
    for (size_t i = 0; i < w->source->plan.n_consts; i++)
        weight_size += w->source->plan.consts[i].size;
    memcpy(h->magic, FZ_MAGIC, sizeof h->magic);
    memcpy(h->profile, w->source->profile, length);
    h->version = fzi_le32(FZ_FORMAT_VERSION);
    h->n_sections = fzi_le32(l->n_sections);
    h->file_size = fzi_le64(l->file_size);
    h->crc_off = fzi_le64(l->crc_off);
    h->crc_count = fzi_le64(l->crc_count);
    h->weight_size = fzi_le64(weight_size);
    h->arena_size = fzi_le64(w->source->arena_size);
    h->macs = fzi_le64(w->source->macs);
    for (uint32_t k = 1; k <= l->n_sections; k++) {
        struct fz_file_section *row = &h->sections[k - 1];
        row->kind = fzi_le32(k);
        row->width = fzi_le32(fzi_format_width(k));
        row->off = fzi_le64(l->off[k]);
        row->size = fzi_le64(l->size[k]);
    }
    return FZ_OK;
}

/* Writes section KIND with its padding and enters its digest in the header. */
static fz_status_t put_section(struct writer *w, uint32_t kind) {
    if (kind == FZ_SECTION_WEIGHTS) w->at = w->layout.front_size; /* past the checksums */
    fzi_sha256_init(&w->hash);
    if (kind == FZ_SECTION_TABLES || kind == FZ_SECTION_WEIGHTS)
        FZ_TRY(put_constants(w, kind));
    else
        FZ_TRY(put(w, section_data(w->source, kind), w->layout.size[kind],
                   fzi_format_width(kind)));
    fzi_sha256_final(&w->hash, w->header->sections[kind - 1].sha256);
    return put_zeros(w, -w->at % fzi_format_align(kind), false);
}

/* The first block's checksum starts with the header, which is known last: it is taken anew, over
 * what is there behind the header. */
static fz_status_t put_header(struct writer *w) {
    uint8_t page[FZ_PAGE];
    uint64_t size = w->layout.crc_off < FZ_BLOCK ? w->layout.crc_off : FZ_BLOCK;
    w->crcs[0] = fzi_crc32c(0, w->header, FZ_PAGE);
    for (uint64_t off = FZ_PAGE; off < size; off += FZ_PAGE) {
        size_t n = size - off < FZ_PAGE ? (size_t)(size - off) : FZ_PAGE;
        FZ_TRY(get_at(w->fd, page, n, off));
        w->crcs[0] = fzi_crc32c(w->crcs[0], page, n);
    }
    FZ_TRY(put_at(w->fd, w->header, FZ_PAGE, 0));
    for (uint64_t i = 0; i < w->layout.crc_count; i++) w->crcs[i] = fzi_le32(w->crcs[i]);
    return put_at(w->fd, w->crcs, w->layout.front_size - w->layout.crc_off, w->layout.crc_off);
}

static fz_status_t write_all(struct writer *w) {
    FZ_TRY(fill_header(w));
    w->at = FZ_PAGE;
    for (uint32_t k = 1; k <= w->layout.n_sections; k++) FZ_TRY(put_section(w, k));
    return put_header(w);
}

/* The digest of what is in the file, whatever was meant to be. */
static fz_status_t digest_file(struct writer *w, uint8_t digest[32]) {
    uint8_t *buffer = fzi_alloc(PIECE);
    if (!buffer) return fzi_error(FZ_E_NOMEM, "no memory to hash the frozen file");
    fz_status_t status = FZ_OK;
    fzi_sha256_init(&w->hash);
    for (uint64_t off = 0; off < w->layout.file_size && status == FZ_OK; off += PIECE) {
        uint64_t rest = w->layout.file_size - off;
        size_t n = rest < PIECE ? (size_t)rest : PIECE;
        status = get_at(w->fd, buffer, n, off);
        if (status == FZ_OK) {
            fzi_sha256_update(&w->hash, buffer, n);
            status = report(w, n);
        }
    }
    fzi_free(buffer);
    if (status == FZ_OK) fzi_sha256_final(&w->hash, digest);
    return status;
}

/* What is in the file already would stay behind the last byte, and then no reader takes it. */
static fz_status_t check_file(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fzi_error(FZ_E_IO, "cannot write the frozen file: %s", strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size != 0)
        return fzi_error(FZ_E_IO, "the frozen file must be written to an empty regular file");
    return FZ_OK;
}

fz_status_t fzi_artifact_write(const struct fz_plan_source *source, int fd, uint8_t digest[32],
                               int (*progress)(void *context, double done), void *context) {
    struct writer w = {.source = source, .fd = fd, .progress = progress, .context = context};
    FZ_TRY(check_file(fd));
    if (!size_sections(&w)) return fzi_error(FZ_E_LIMIT, "the frozen file would be too large");
    w.todo = w.layout.file_size * (digest ? 2 : 1);
    w.header = fzi_calloc(1, FZ_PAGE);
    w.crcs = fzi_calloc(1, w.layout.front_size - w.layout.crc_off);
    fz_status_t status = w.header && w.crcs
                             ? write_all(&w)
                             : fzi_error(FZ_E_NOMEM, "no memory to write the frozen file");
    if (status == FZ_OK && digest) status = digest_file(&w, digest);
    fzi_free(w.header);
    fzi_free(w.crcs);
    return status;
}
