/* Portable bitmaps, greymaps and pixmaps, as text (P1 to P3) and as bytes (P4 to P6). Values are
 * scaled from their maximum to 255, to the nearest. */
#include "ops/image.h"

struct reader {
    const uint8_t *at, *end;
};

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void skip(struct reader *r) {
    while (r->at < r->end && (is_space(*r->at) || *r->at == '#')) {
        if (*r->at == '#')
            while (r->at < r->end && *r->at != '\n' && *r->at != '\r') r->at++;
        else r->at++;
    }
}

/* The next number; -1 if there is none up to MOST. */
static int64_t number(struct reader *r, int64_t most) {
    int64_t x = 0;
    skip(r);
    if (r->at >= r->end || *r->at < '0' || *r->at > '9') return -1;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        x = x * 10 + (*r->at - '0');
        if (x > most) return -1;
    }
    return x;
}

/* A digit of a bitmap as text, which needs no blanks between. */
static int64_t digit(struct reader *r) {
    skip(r);
    if (r->at >= r->end || *r->at < '0' || *r->at > '1') return -1;
    return *r->at++ - '0';
}

/* A value of up to two bytes, high byte first. */
static int64_t binary(struct reader *r, int64_t most) {
    int64_t size = most > 255 ? 2 : 1, x = 0;
    if (r->end - r->at < size) return -1;
    for (int64_t i = 0; i < size; i++) x = x << 8 | *r->at++;
    return x > most ? most : x;
}

/* Value I of kind KIND ('1' to '6'); -1: the stream ends. */
static int64_t value(struct reader *r, char kind, int64_t most) {
    if (kind == '1') return digit(r);
    return kind < '4' ? number(r, most) : binary(r, most);
}

static uint8_t scaled(int64_t x, int64_t most) { return (uint8_t)((x * 255 + most / 2) / most); }

static bool read_bits(struct reader *r, struct fz_image *image) {
    int64_t stride = (image->width + 7) / 8;
    if ((r->end - r->at) / stride < image->height) return false;
    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++) {
            bool black = r->at[y * stride + x / 8] >> (7 - x % 8) & 1;
            memset(image->rgb + (y * image->width + x) * 3, black ? 0 : 255, 3);
        }
    return true;
}

bool fzi_image_pnm(struct fz_image *image) {
    struct reader r = {image->data + 2, image->data + image->size};
    if (image->size < 3 || image->data[1] < '1' || image->data[1] > '6') return false;
    char kind = (char)image->data[1];
    bool bits = kind == '1' || kind == '4', colour = kind == '3' || kind == '6';
    int64_t width = number(&r, FZ_IMAGE_SIDE_MAX), height = number(&r, FZ_IMAGE_SIDE_MAX);
    int64_t most = bits ? 1 : number(&r, 65535);
    if (width < 1 || height < 1 || most < 1) return false;
    if (kind >= '4') r.at++; /* one blank before the bytes */
    /* A short stream shall not ask for a large image. */
    if (r.at > r.end || (r.end - r.at) * 8 < width * height) return false;
    if (!image->begin(image, width, height)) return false;
    if (kind == '4') return read_bits(&r, image);
    for (int64_t i = 0; i < width * height; i++) {
        uint8_t *rgb = image->rgb + i * 3;
        for (int c = 0; c < (colour ? 3 : 1); c++) {
            int64_t x = value(&r, kind, most);
            if (x < 0) return false;
            rgb[c] = bits ? (x ? 0 : 255) : scaled(x, most);
        }
        if (!colour) rgb[1] = rgb[2] = rgb[0];
    }
    return true;
}
