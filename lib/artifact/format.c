/* Where the parts of a frozen file lie, and what its header must say. */
#include "artifact/format.h"

#include "artifact/artifact.h"
#include "base/crc32c.h"

static const struct {
    const char *name;
    uint32_t width, record;
} kinds[FZ_SECTION_KINDS] = {
    [FZ_SECTION_STRINGS] = {"strings", 1, 1},
    [FZ_SECTION_OPS] = {"ops", 4, sizeof(struct fz_plan_op)},
    [FZ_SECTION_VALUES] = {"values", 4, sizeof(struct fz_plan_value)},
    [FZ_SECTION_DIMS] = {"dims", 8, 8},
    [FZ_SECTION_STEPS] = {"steps", 4, sizeof(struct fz_plan_step)},
    [FZ_SECTION_ARGS] = {"args", 4, 4},
    [FZ_SECTION_BLOCKS] = {"blocks", 4, sizeof(struct fz_plan_block)},
    [FZ_SECTION_PARAMS] = {"params", 8, 8},
    [FZ_SECTION_CONSTS] = {"consts", 8, sizeof(struct fz_plan_const)},
    [FZ_SECTION_IO] = {"io", 4, sizeof(struct fz_plan_io)},
    [FZ_SECTION_SYMBOLS] = {"symbols", 4, 4},
    [FZ_SECTION_TEXTS] = {"texts", 4, 8},
    [FZ_SECTION_KAT] = {"kat", 4, sizeof(struct fz_plan_kat)},
    [FZ_SECTION_TABLES] = {"tables", 1, 1},
    [FZ_SECTION_WEIGHTS] = {"weights", 1, 1},
    [FZ_SECTION_ONNX] = {"onnx", 1, 1},
};

/* The records as they lie in the file: a change here needs a new format version. */
_Static_assert(sizeof(struct fz_plan_op) == 16 && sizeof(struct fz_plan_value) == 24 &&
                   sizeof(struct fz_plan_step) == 32 && sizeof(struct fz_plan_block) == 28 &&
                   sizeof(struct fz_plan_const) == 32 && sizeof(struct fz_plan_io) == 12 &&
                   sizeof(struct fz_plan_kat) == 48,
               "records of format 1");

uint32_t fzi_format_width(enum fz_section_kind kind) { return kinds[kind].width; }
uint32_t fzi_format_record(enum fz_section_kind kind) { return kinds[kind].record; }
const char *fzi_format_name(enum fz_section_kind kind) { return kinds[kind].name; }

uint32_t fzi_format_const_width(int32_t dtype) {
    if (dtype == FZ_TYPE_C64 || dtype == FZ_TYPE_STRING) return 4;
    if (dtype == FZ_TYPE_C128) return 8;
    return (uint32_t)fzi_type_width(dtype);
}

uint64_t fzi_format_align(uint32_t kind) { return kind < FZ_SECTION_WEIGHTS ? 64 : FZ_PAGE; }

/* Moves *AT over SIZE bytes and up to the next multiple of ALIGN. */
static bool skip(uint64_t *at, uint64_t size, uint64_t align) {
    uint64_t end;
    if (__builtin_add_overflow(*at, size, &end) || end > INT64_MAX - FZ_PAGE) return false;
    *at = (end + align - 1) / align * align;
    return true;
}

/* Blocks of a part of SIZE bytes. */
static uint64_t blocks(uint64_t size) { return size / FZ_BLOCK + (size % FZ_BLOCK != 0); }

bool fzi_format_layout(struct fz_layout *layout) {
    uint64_t at = FZ_PAGE, back = 0;
    for (uint32_t k = 1; k < FZ_SECTION_WEIGHTS; k++) {
        layout->off[k] = at;
        if (!skip(&at, layout->size[k], fzi_format_align(k))) return false;
    }
    /* The checksums lie between front sections and weights but cover the weights too. */
    for (uint32_t k = FZ_SECTION_WEIGHTS; k <= layout->n_sections; k++)
        if (!skip(&back, layout->size[k], fzi_format_align(k))) return false;
    layout->crc_off = at;
    layout->n_front_blocks = blocks(at);
    layout->crc_count = layout->n_front_blocks + blocks(back);
    if (!skip(&at, layout->crc_count * 4, FZ_PAGE)) return false;
    layout->front_size = at;
    for (uint32_t k = FZ_SECTION_WEIGHTS; k <= layout->n_sections; k++) {
        layout->off[k] = at;
        if (!skip(&at, layout->size[k], fzi_format_align(k))) return false;
    }
    layout->file_size = at;
    return true;
}

void fzi_format_block(uint64_t crc_off, uint64_t front_size, uint64_t file_size, uint64_t i,
                      uint64_t *off, uint64_t *size) {
    uint64_t n_front = blocks(crc_off);
    bool front = i < n_front;
    uint64_t end = front ? crc_off : file_size;
    *off = front ? i * FZ_BLOCK : front_size + (i - n_front) * FZ_BLOCK;
    *size = end - *off < FZ_BLOCK ? end - *off : FZ_BLOCK;
}

/* Bytes [off, off + size) of what CRCS are the checksums of. */
static void add_part(uint32_t *crcs, uint64_t off, const uint8_t *data, size_t size) {
    while (size > 0) {
        size_t room = FZ_BLOCK - off % FZ_BLOCK, n = size < room ? size : room;
        crcs[off / FZ_BLOCK] = fzi_crc32c(crcs[off / FZ_BLOCK], data, n);
        data += n;
        off += n;
        size -= n;
    }
}

void fzi_format_add_crc(const struct fz_layout *layout, uint32_t *crcs, uint64_t off,
                        const uint8_t *data, size_t size) {
    uint64_t end = off + size;
    if (off < layout->crc_off)
        add_part(crcs, off, data, (end < layout->crc_off ? end : layout->crc_off) - off);
    if (end > layout->front_size) {
        uint64_t from = off > layout->front_size ? off : layout->front_size;
        add_part(crcs + layout->n_front_blocks, from - layout->front_size, data + (from - off),
                 end - from);
    }
}

/* Row KIND of the section table against the layout, which its size is part of. */
static fz_status_t check_row(const struct fz_file_section *row, uint32_t kind,
                             const struct fz_layout *layout) {
    const char *name = kinds[kind].name;
    if (fzi_le32(row->kind) != kind || row->reserved)
        return fzi_error(FZ_E_FORMAT, "section table: row %u is not section %s", kind, name);
    if (fzi_le32(row->width) != kinds[kind].width)
        return fzi_error(FZ_E_FORMAT, "section %s: the element width is not %u", name,
                         kinds[kind].width);
    if (fzi_le64(row->off) != layout->off[kind])
        return fzi_error(FZ_E_FORMAT, "section %s is not where it should be", name);
    uint64_t count = layout->size[kind] / kinds[kind].record;
    if (layout->size[kind] % kinds[kind].record)
        return fzi_error(FZ_E_FORMAT, "section %s ends within a record", name);
    /* Records are named by 32-bit indices, of which the last is FZ_NONE. */
    if (kind < FZ_SECTION_TABLES && count >= FZ_NONE)
        return fzi_error(FZ_E_FORMAT, "section %s has too many records", name);
    return FZ_OK;
}

/* All of the header that comes before the section table, and its padding. */
static fz_status_t check_start(const struct fz_file_header *h) {
    if (memcmp(h->magic, FZ_MAGIC, sizeof h->magic) != 0)
        return fzi_error(FZ_E_FORMAT,
                         "not a frozen file, which is what freezing an ONNX model makes");
    uint32_t version = fzi_le32(h->version), n = fzi_le32(h->n_sections);
    if (version != FZ_FORMAT_VERSION)
        return fzi_error(FZ_E_FORMAT, "the file has format %u; this library reads format %d",
                         version, FZ_FORMAT_VERSION);
    if (n < FZ_SECTIONS_MIN || n > FZ_SECTIONS_MAX)
        return fzi_error(FZ_E_FORMAT, "the file has %u sections", n);
    size_t used = strnlen((const char *)h->profile, sizeof h->profile);
    if (used == 0 || used == sizeof h->profile ||
        !fzi_all_zero(h->profile + used, sizeof h->profile - used))
        return fzi_error(FZ_E_FORMAT, "the header names no numerics profile");
    const uint8_t *end = (const uint8_t *)&h->sections[n];
    if (!fzi_all_zero(end, (size_t)((const uint8_t *)h + FZ_PAGE - end)))
        return fzi_error(FZ_E_FORMAT, "the header's padding is not zero");
    return FZ_OK;
}

static void fill_info(const struct fz_file_header *h, const struct fz_layout *layout,
                      struct fz_artifact_info *info) {
    *info = (struct fz_artifact_info){.file_size = layout->file_size,
                                      .weight_size = fzi_le64(h->weight_size),
                                      .arena_size = fzi_le64(h->arena_size),
                                      .macs = fzi_le64(h->macs),
                                      .front_size = layout->front_size,
                                      .crc_off = layout->crc_off,
                                      .n_blocks = layout->crc_count,
                                      .n_front_blocks = layout->n_front_blocks};
    memcpy(info->profile, h->profile, sizeof info->profile);
}

/* Sizes are the only free numbers of the table: the layout follows from them, and whatever else the
 * header says must agree with it. */
fz_status_t fzi_format_header(const void *head, struct fz_layout *layout,
                              struct fz_artifact_info *info) {
    const struct fz_file_header *h = head;
    FZ_TRY(check_start(h));
    *layout = (struct fz_layout){.n_sections = fzi_le32(h->n_sections)};
    for (uint32_t k = 1; k <= layout->n_sections; k++)
        layout->size[k] = fzi_le64(h->sections[k - 1].size);
    if (!fzi_format_layout(layout)) return fzi_error(FZ_E_FORMAT, "the sections are too large");
    for (uint32_t k = 1; k <= layout->n_sections; k++)
        FZ_TRY(check_row(&h->sections[k - 1], k, layout));
    if (fzi_le64(h->crc_off) != layout->crc_off || fzi_le64(h->crc_count) != layout->crc_count)
        return fzi_error(FZ_E_FORMAT, "the checksums are not where they should be");
    if (fzi_le64(h->file_size) != layout->file_size)
        return fzi_error(FZ_E_FORMAT, "the header's file size does not fit the sections");
    if (info) fill_info(h, layout, info);
    return FZ_OK;
}

fz_status_t fzi_artifact_head(const void *head, uint64_t file_size, struct fz_artifact_info *info) {
    struct fz_layout layout;
    FZ_TRY(fzi_format_header(head, &layout, info));
    if (info->file_size != file_size)
        return fzi_error(FZ_E_FORMAT, "the file has %llu bytes, its header says %llu",
                         (unsigned long long)file_size, (unsigned long long)info->file_size);
    return FZ_OK;
}
