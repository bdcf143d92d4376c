/* BMP: 1, 4, 8, 16, 24 and 32 bits a pixel, not compressed, with a palette or masks. */
#include "ops/image.h"

enum { PLAIN = 0, MASKS = 3, FILE_HEADER = 14 };

struct bmp {
    const uint8_t *pixels, *palette;
    size_t stride;
    uint32_t bits, colours, entry; /* entry: bytes of a palette's colour */
    uint32_t mask[3];
    int64_t width, height;
    bool down; /* the first row is the uppermost */
};

/* The bits of X under MASK, as 8 bits. */
static uint8_t channel(uint32_t x, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift, value = (x & mask) >> shift;
    return (uint8_t)((value * 255 + most / 2) / most);
}

static void pixel(const struct bmp *bmp, const uint8_t *row, int64_t i, uint8_t *rgb) {
    if (bmp->bits <= 8) {
        int64_t bit = i * bmp->bits;
        uint32_t index = row[bit / 8] >> (8 - bmp->bits - bit % 8) & ((1u << bmp->bits) - 1);
        if (index >= bmp->colours) return; /* black */
        const uint8_t *colour = bmp->palette + (size_t)index * bmp->entry;
        for (int c = 0; c < 3; c++) rgb[c] = colour[2 - c];
    } else if (bmp->bits == 24) {
        for (int c = 0; c < 3; c++) rgb[c] = row[i * 3 + 2 - c];
    } else {
        uint32_t x = bmp->bits == 16 ? fzi_image_u16(row + i * 2) : fzi_image_u32(row + i * 4);
        for (int c = 0; c < 3; c++) rgb[c] = channel(x, bmp->mask[c]);
    }
}

static bool set_masks(struct bmp *bmp, const struct fz_image *image, uint32_t kind) {
    const uint8_t *masks = image->data + FILE_HEADER + 40;
    static const uint32_t plain16[3] = {0x7C00, 0x3E0, 0x1F};
    static const uint32_t plain32[3] = {0xFF0000, 0xFF00, 0xFF};
    memcpy(bmp->mask, bmp->bits == 16 ? plain16 : plain32, sizeof bmp->mask);
    if (kind == PLAIN) return true;
    /* They follow the short header, and lie within a longer one: at the same place. */
    if (kind != MASKS || (bmp->bits != 16 && bmp->bits != 32)) return false;
    if (image->size < FILE_HEADER + 40 + 12) return false;
    for (int c = 0; c < 3; c++) bmp->mask[c] = fzi_image_u32(masks + 4 * c);
    return true;
}

/* The header of 12 bytes, or one of 40 and more. */
static bool read_header(struct bmp *bmp, const struct fz_image *image) {
    const uint8_t *p = image->data + FILE_HEADER;
    uint32_t header, kind = PLAIN, used = 0;
    if (image->size < FILE_HEADER + 12) return false;
    header = fzi_image_u32(p);
    if (header == 12) {
        bmp->width = fzi_image_u16(p + 4);
        bmp->height = fzi_image_u16(p + 6);
        bmp->bits = fzi_image_u16(p + 10);
        bmp->entry = 3;
    } else {
        if (header < 40 || image->size < FILE_HEADER + 40) return false;
        bmp->width = (int32_t)fzi_image_u32(p + 4);
        bmp->height = (int32_t)fzi_image_u32(p + 8);
        bmp->bits = fzi_image_u16(p + 14);
        kind = fzi_image_u32(p + 16);
        used = fzi_image_u32(p + 32);
        bmp->entry = 4;
    }
    bmp->down = bmp->height < 0;
    if (bmp->down) bmp->height = -bmp->height;
    if (bmp->bits > 8) return set_masks(bmp, image, kind);
    size_t at = FILE_HEADER + (size_t)header;
    bmp->colours = used && used < 1u << bmp->bits ? used : 1u << bmp->bits;
    if (kind != PLAIN || at > image->size) return false;
    bmp->palette = image->data + at;
    return image->size - at >= (size_t)bmp->colours * bmp->entry;
}

bool fzi_image_bmp(struct fz_image *image) {
    struct bmp bmp = {0};
    if (!read_header(&bmp, image)) return false;
    if (bmp.bits != 1 && bmp.bits != 4 && bmp.bits != 8 && bmp.bits != 16 && bmp.bits != 24 &&
        bmp.bits != 32)
        return false;
    if (bmp.width < 1 || bmp.width > FZ_IMAGE_SIDE_MAX || bmp.height > FZ_IMAGE_SIDE_MAX)
        return false;
    size_t at = fzi_image_u32(image->data + 10);
    bmp.stride = ((size_t)bmp.width * bmp.bits + 31) / 32 * 4;
    if (at > image->size || (image->size - at) / bmp.stride < (size_t)bmp.height) return false;
    bmp.pixels = image->data + at;
    if (!image->begin(image, bmp.width, bmp.height)) return false;
    for (int64_t y = 0; y < bmp.height; y++) {
        const uint8_t *row = bmp.pixels + (size_t)(bmp.down ? y : bmp.height - 1 - y) * bmp.stride;
        for (int64_t x = 0; x < bmp.width; x++)
            pixel(&bmp, row, x, image->rgb + (y * bmp.width + x) * 3);
    }
    return true;
}
