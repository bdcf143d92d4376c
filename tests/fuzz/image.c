/* Makes frozen files of fuzz inputs. */
#include "image.h"

#include "../artifact/sample.h"

/* Builds a file from sections; NULL if their sizes make none. */
static uint8_t *build(const uint8_t *data, size_t size, size_t *file_size) {
    struct fz_layout l = {.n_sections = FZ_SECTION_WEIGHTS};
    const uint8_t *at[FZ_SECTION_KINDS] = {NULL};
    for (uint32_t k = 1; k <= l.n_sections && size >= 4; k++) {
        uint32_t n;
        memcpy(&n, data, 4);
        data += 4, size -= 4;
        at[k] = data;
        l.size[k] = n < size ? n : size;
        data += l.size[k], size -= l.size[k];
    }
    if (!fzi_format_layout(&l)) return NULL;
    *file_size = l.file_size;
    uint8_t *file = fzi_alloc_aligned(l.file_size);
    if (!file) return NULL;
    memset(file, 0, l.file_size);
    struct fz_file_header *h = (struct fz_file_header *)file;
    memcpy(h->magic, FZ_MAGIC, sizeof h->magic);
    memcpy(h->profile, "portable/1", 10);
    h->version = FZ_FORMAT_VERSION;
    h->n_sections = l.n_sections;
    h->file_size = l.file_size;
    h->crc_off = l.crc_off;
    h->crc_count = l.crc_count;
    for (uint32_t k = 1; k <= l.n_sections; k++) {
        h->sections[k - 1] = (struct fz_file_section){
            .kind = k, .width = fzi_format_width(k), .off = l.off[k], .size = l.size[k]};
        if (l.size[k]) memcpy(file + l.off[k], at[k], l.size[k]);
    }
    const struct fz_plan_const *consts = (void *)(file + l.off[FZ_SECTION_CONSTS]);
    for (size_t i = 0; i < l.size[FZ_SECTION_CONSTS] / sizeof *consts; i++)
        h->weight_size += consts[i].size;
    return file;
}

uint8_t *image_make(const uint8_t *data, size_t size, size_t *file_size) {
    if (size == 0) return NULL;
    *file_size = size - 1;
    uint8_t *file = data[0] ? build(data + 1, size - 1, file_size) : fzi_alloc_aligned(*file_size);
    if (!file) return NULL;
    if (!data[0]) memcpy(file, data + 1, *file_size);
    sample_repair(file, *file_size);
    return file;
}
