/* Byte order: sections have one element width each, constants one each. */
#include "artifact/artifact.h"
#include "artifact/format.h"

void fzi_format_swap(void *data, size_t size, uint64_t width) {
    uint8_t *p = data;
    if (width < 2) return;
    for (; size >= width; p += width, size -= width)
        for (uint64_t i = 0; i < width / 2; i++) {
            uint8_t byte = p[i];
            p[i] = p[width - 1 - i];
            p[width - 1 - i] = byte;
        }
}

/* What of [off, off + size), which lies at DATA, is in [from, from + n). */
static void swap_overlap(uint8_t *data, uint64_t off, uint64_t size, uint64_t from, uint64_t n,
                         uint64_t width) {
    uint64_t begin = from > off ? from : off;
    uint64_t end = from + n < off + size ? from + n : off + size;
    if (begin < end) fzi_format_swap(data + (begin - off), end - begin, width);
}

void fzi_format_swap_range(const struct fz_layout *layout, const struct fz_plan_const *consts,
                           size_t n_consts, uint8_t *data, uint64_t off, uint64_t size) {
    for (uint32_t k = 1; k < FZ_SECTION_TABLES; k++)
        swap_overlap(data, off, size, layout->off[k], layout->size[k], fzi_format_width(k));
    for (size_t i = 0; i < n_consts; i++) {
        const struct fz_plan_const *c = &consts[i];
        bool known = c->section == FZ_SECTION_TABLES || c->section == FZ_SECTION_WEIGHTS;
        if (!known || c->width > 8 || c->off % 64 || c->off > layout->size[c->section] ||
            c->size > layout->size[c->section] - c->off)
            continue;
        swap_overlap(data, off, size, layout->off[c->section] + c->off, c->size, c->width);
    }
}
