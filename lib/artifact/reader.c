/* Reads frozen files: proves the bytes, then points a plan at them. */
#include "artifact/artifact.h"
#include "artifact/format.h"
#include "base/crc32c.h"
#include "base/sha256.h"

/* Byte OFF of the image. */
static const uint8_t *at(const struct fz_artifact_info *info, uint64_t off) {
    return off < info->front_size ? info->front + off : info->back + (off - info->front_size);
}

/* ---- the bytes */

/* Adds SIZE bytes at OFF of the image, a multiple of 64, as they are in the file, to HASH or CRC,
 * which may be NULL. The range lies in front or back. */
static void fold(const struct fz_artifact_info *info, uint64_t off, uint64_t size,
                 struct fz_sha256 *hash, uint32_t *crc) {
    uint8_t page[FZ_PAGE];
    struct fz_layout l;
    const struct fz_plan_const *consts = NULL;
    if (info->swapped && fzi_format_header(info->front, &l, NULL) == FZ_OK)
        consts = (const struct fz_plan_const *)at(info, l.off[FZ_SECTION_CONSTS]);
    for (const uint8_t *p = size ? at(info, off) : NULL; size > 0;) {
        size_t n = !consts || size < FZ_PAGE ? (size_t)size : FZ_PAGE;
        const uint8_t *from = p;
        if (consts) {
            from = memcpy(page, p, n);
            fzi_format_swap_range(&l, consts, l.size[FZ_SECTION_CONSTS] / sizeof *consts, page, off,
                                  n);
        }
        if (hash) fzi_sha256_update(hash, from, n);
        if (crc) *crc = fzi_crc32c(*crc, from, n);
        off += n;
        p += n;
        size -= n;
    }
}

static uint32_t stated_crc(const struct fz_artifact_info *info, uint64_t i) {
    uint32_t crc;
    memcpy(&crc, info->front + info->crc_off + 4 * i, 4);
    return fzi_le32(crc);
}

/* Bytes [from, to) of the image, which lie in one part, must be zero. */
static fz_status_t check_zero(const struct fz_artifact_info *info, uint64_t from, uint64_t to,
                              const char *what) {
    if (from >= to || fzi_all_zero(at(info, from), (size_t)(to - from))) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "the padding behind %s is not zero", what);
}

fz_status_t fzi_artifact_check_block(const struct fz_artifact_info *info, uint64_t i) {
    uint32_t crc = 0;
    uint64_t off, size;
    fzi_format_block(info->crc_off, info->front_size, info->file_size, i, &off, &size);
    fold(info, off, size, NULL, &crc);
    if (crc != stated_crc(info, i))
        return fzi_error(FZ_E_CORRUPT, "bytes %llu to %llu do not have their checksum",
                         (unsigned long long)off, (unsigned long long)(off + size - 1));
    /* What no block covers goes with the last of the front. */
    if (i + 1 == info->n_front_blocks && check_zero(info, info->crc_off + info->n_blocks * 4,
                                                    info->front_size, "the checksums") != FZ_OK)
        return fzi_error_context(FZ_E_CORRUPT, "changed");
    return FZ_OK;
}

void fzi_artifact_weight_blocks(const struct fz_artifact_info *info, uint64_t off, uint64_t size,
                                uint64_t *first, uint64_t *count) {
    *first = info->n_front_blocks + off / FZ_BLOCK;
    *count = size ? (off + size - 1) / FZ_BLOCK - off / FZ_BLOCK + 1 : 0;
}

/* Padding between sections; the header's own was checked with it. WHOLE: the back is looked at. */
static fz_status_t check_padding(const struct fz_artifact_info *info, const struct fz_layout *l,
                                 bool whole) {
    FZ_TRY(check_zero(info, l->crc_off + l->crc_count * 4, l->front_size, "the checksums"));
    for (uint32_t k = 1; k <= (whole ? l->n_sections : FZ_SECTION_TABLES); k++) {
        uint64_t end = l->off[k] + l->size[k], align = fzi_format_align(k);
        FZ_TRY(check_zero(info, end, (end + align - 1) / align * align, fzi_format_name(k)));
    }
    return FZ_OK;
}

void fzi_artifact_sums_add(struct fz_artifact_sums *sums, uint64_t file_size, uint64_t off,
                           const void *data, size_t size) {
    if (off == 0 && size >= FZ_ARTIFACT_HEAD) {
        struct fz_layout layout;
        /* Whatever is wrong here is found and told by fzi_artifact_read. */
        fzi_artifact_sums_free(sums);
        if (fzi_format_header(data, &layout, NULL) != FZ_OK) return;
        if (layout.file_size != file_size) return;
        sums->layout = fzi_alloc(sizeof layout);
        sums->crcs = fzi_calloc((size_t)layout.crc_count, sizeof *sums->crcs);
        if (!sums->layout || !sums->crcs) fzi_artifact_sums_free(sums);
        else *sums->layout = layout;
    }
    if (sums->crcs) fzi_format_add_crc(sums->layout, sums->crcs, off, data, size);
}

void fzi_artifact_sums_free(struct fz_artifact_sums *sums) {
    fzi_free(sums->layout);
    fzi_free(sums->crcs);
    *sums = (struct fz_artifact_sums){NULL, NULL};
}

/* Compares the first N blocks with their checksums. */
static fz_status_t check_blocks(const struct fz_artifact_info *info, uint64_t n,
                                const struct fz_artifact_sums *sums) {
    bool known = sums && sums->crcs && sums->layout->crc_off == info->crc_off &&
                 sums->layout->front_size == info->front_size &&
                 sums->layout->file_size == info->file_size;
    for (uint64_t i = 0; i < n; i++) {
        if (known && sums->crcs[i] == stated_crc(info, i)) continue;
        if (fzi_artifact_check_block(info, i) != FZ_OK)
            return fzi_error_context(FZ_E_FORMAT, "the file is damaged");
    }
    return FZ_OK;
}

/* Header, checksums and padding of the SIZE bytes at DATA. */
static fz_status_t check_bytes(const void *data, size_t size, const void *back,
                               const struct fz_artifact_sums *sums, struct fz_layout *layout,
                               struct fz_artifact_info *info) {
    if (size < FZ_PAGE) return fzi_error(FZ_E_FORMAT, "not a frozen file: it has %zu bytes", size);
    FZ_TRY(fzi_format_header(data, layout, info));
    uint64_t expected = back ? info->front_size : info->file_size;
    if (size != expected)
        return fzi_error(FZ_E_FORMAT, "the file has %zu bytes where its header says %llu", size,
                         (unsigned long long)expected);
    info->front = data;
    info->back = back ? back : info->front + info->front_size;
    FZ_TRY(check_blocks(info, back ? info->n_front_blocks : info->n_blocks, back ? NULL : sums));
    return check_padding(info, layout, !back);
}

/* ---- the plan */

/* Lets PLAN point at the sections. Nothing in them is followed yet but the flags that divide inputs
 * from outputs, which the verifier looks at again. */
static void point(const struct fz_artifact_info *info, const struct fz_layout *l,
                  struct fz_plan *plan) {
    const void *data[FZ_SECTION_KINDS] = {NULL};
    size_t n[FZ_SECTION_KINDS] = {0};
    for (uint32_t k = 1; k <= l->n_sections; k++) {
        data[k] = at(info, l->off[k]);
        n[k] = (size_t)(l->size[k] / fzi_format_record(k));
    }
    *plan = (struct fz_plan){
        .strings = data[FZ_SECTION_STRINGS], .strings_size = n[FZ_SECTION_STRINGS],
        .ops = data[FZ_SECTION_OPS], .n_ops = n[FZ_SECTION_OPS],
        .values = data[FZ_SECTION_VALUES], .n_values = n[FZ_SECTION_VALUES],
        .dims = data[FZ_SECTION_DIMS], .n_dims = n[FZ_SECTION_DIMS],
        .steps = data[FZ_SECTION_STEPS], .n_steps = n[FZ_SECTION_STEPS],
        .args = data[FZ_SECTION_ARGS], .n_args = n[FZ_SECTION_ARGS],
        .blocks = data[FZ_SECTION_BLOCKS], .n_blocks = n[FZ_SECTION_BLOCKS],
        .params = data[FZ_SECTION_PARAMS], .n_params = n[FZ_SECTION_PARAMS],
        .consts = data[FZ_SECTION_CONSTS], .n_consts = n[FZ_SECTION_CONSTS],
        .io = data[FZ_SECTION_IO], .n_io = n[FZ_SECTION_IO],
        .symbols = data[FZ_SECTION_SYMBOLS], .n_symbols = n[FZ_SECTION_SYMBOLS],
        .texts = data[FZ_SECTION_TEXTS], .n_texts = n[FZ_SECTION_TEXTS],
        .kat = n[FZ_SECTION_KAT] ? data[FZ_SECTION_KAT] : NULL, .n_kat = n[FZ_SECTION_KAT],
        .custom = plan->custom,
        .tables = data[FZ_SECTION_TABLES], .tables_size = l->size[FZ_SECTION_TABLES],
        .weights = data[FZ_SECTION_WEIGHTS], .weights_size = l->size[FZ_SECTION_WEIGHTS]};
    while (plan->n_inputs < plan->n_io && !plan->io[plan->n_inputs].is_output) plan->n_inputs++;
    plan->n_outputs = plan->n_io - plan->n_inputs;
}

/* The plan, and what the header says of it. */
static fz_status_t check_plan(const struct fz_plan *plan, const struct fz_layout *layout,
                              const struct fz_artifact_info *info, bool weights_known) {
    FZ_TRY(fzi_format_verify(plan, weights_known));
    uint64_t weight_size = 0; /* cannot overflow: constants do not overlap */
    for (size_t i = 0; i < plan->n_consts; i++) weight_size += plan->consts[i].size;
    if (weight_size != info->weight_size)
        return fzi_error(FZ_E_FORMAT, "the header's weight size is not that of the constants");
    return FZ_OK;
}

fz_status_t fzi_artifact_read(const void *data, size_t size, const void *back,
                              const struct fz_artifact_sums *sums, struct fz_plan *plan,
                              struct fz_artifact_info *info) {
    struct fz_layout layout;
    *plan = (struct fz_plan){.custom = plan->custom};
    *info = (struct fz_artifact_info){0};
    if (FZ_BIG_ENDIAN) {
        /* fzi_artifact_swap has proved the bytes; they are no longer the file's. */
        if (back) return fzi_error(FZ_E_UNSUPPORTED, "a big-endian host cannot map weights");
        FZ_TRY(fzi_format_header(data, &layout, info));
        info->front = data;
        info->back = info->front + info->front_size;
        info->swapped = true;
    } else {
        FZ_TRY(check_bytes(data, size, back, sums, &layout, info));
    }
    point(info, &layout, plan);
    return check_plan(plan, &layout, info, !back);
}

fz_status_t fzi_artifact_swap(void *data, size_t size) {
    struct fz_layout l;
    struct fz_artifact_info info;
    if (!FZ_BIG_ENDIAN) return FZ_OK;
    FZ_TRY(check_bytes(data, size, NULL, NULL, &l, &info));
    /* The plan first, for it holds the table of constants. That table is not proved yet: the swap
     * leaves out what does not lie in its section, and the verifier refuses it later. */
    fzi_format_swap_range(&l, NULL, 0, data, 0, l.front_size);
    const struct fz_plan_const *consts =
        (const struct fz_plan_const *)(info.front + l.off[FZ_SECTION_CONSTS]);
    struct fz_layout constants = {.n_sections = l.n_sections};
    memcpy(constants.off, l.off, sizeof l.off);
    memcpy(constants.size + FZ_SECTION_TABLES, l.size + FZ_SECTION_TABLES,
           (FZ_SECTION_KINDS - FZ_SECTION_TABLES) * sizeof *l.size);
    fzi_format_swap_range(&constants, consts, l.size[FZ_SECTION_CONSTS] / sizeof *consts, data, 0,
                          l.file_size);
    return FZ_OK;
}

/* ---- afterwards */

bool fzi_artifact_section(const struct fz_artifact_info *info, enum fz_section_kind kind,
                          const void **data, uint64_t *size, uint8_t digest[32]) {
    const struct fz_file_header *h = (const struct fz_file_header *)info->front;
    struct fz_layout l;
    if (fzi_format_header(h, &l, NULL) != FZ_OK || (uint32_t)kind > l.n_sections) return false;
    *data = at(info, l.off[kind]);
    *size = l.size[kind];
    if (digest) memcpy(digest, h->sections[kind - 1].sha256, 32);
    return true;
}

/* Every section against its digest in the header. */
static fz_status_t verify_sections(const struct fz_artifact_info *info) {
    const struct fz_file_header *h = (const struct fz_file_header *)info->front;
    struct fz_layout l;
    /* The blocks were compared before, so the header is as it was. */
    if (fzi_format_header(h, &l, NULL) != FZ_OK) return fzi_error_context(FZ_E_CORRUPT, "header");
    for (uint32_t k = 1; k <= l.n_sections; k++) {
        struct fz_sha256 hash;
        uint8_t digest[32];
        fzi_sha256_init(&hash);
        fold(info, l.off[k], l.size[k], &hash, NULL);
        fzi_sha256_final(&hash, digest);
        if (memcmp(digest, h->sections[k - 1].sha256, 32) != 0)
            return fzi_error(FZ_E_CORRUPT, "section %s does not have its digest",
                             fzi_format_name(k));
    }
    return FZ_OK;
}

fz_status_t fzi_artifact_verify(const struct fz_artifact_info *info, const uint8_t *digest,
                                uint8_t out[32]) {
    struct fz_sha256 hash;
    uint8_t now[32];
    for (uint64_t i = 0; i < info->n_blocks; i++) FZ_TRY(fzi_artifact_check_block(info, i));
    FZ_TRY(verify_sections(info));
    fzi_sha256_init(&hash);
    fold(info, 0, info->front_size, &hash, NULL);
    fold(info, info->front_size, info->file_size - info->front_size, &hash, NULL);
    fzi_sha256_final(&hash, now);
    if (digest && memcmp(digest, now, 32) != 0)
        return fzi_error(FZ_E_CORRUPT, "the model does not have its digest");
    if (out) memcpy(out, now, 32);
    return FZ_OK;
}
