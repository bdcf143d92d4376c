/* Decoding images. Each format has a file of its own. Those that need a library are put together in
 * libfrozen-images, which is loaded when the first such image comes: nothing else has to pay for
 * them. Pixels come as rows of red, green, blue, 8 bits each; transparency is dropped;
 * more bits are cut to 8.
 *
 * The bits: BMP, PNM, PNG, and the lossless forms of the others are exact. JPEG is decoded by
 * libjpeg with its slow integer transform and smooth upsampling, WebP as its standard says. The
 * lossy form of JPEG 2000 is computed with floats by its library: those bits are the library's. */
#ifndef FZ_OPS_IMAGE_H
#define FZ_OPS_IMAGE_H

#include "ops/op.h"

enum { FZ_IMAGE_SIDE_MAX = 1 << 16, FZ_IMAGE_PIXELS_MAX = 1 << 28 };

/* Where a decoder puts its image. */
struct fz_image {
    const struct fz_call *call;
    const uint8_t *data; /* the encoded stream */
    size_t size;
    int64_t width, height;
    uint8_t *rgb; /* width * height * 3 bytes once fzi_image_begin has been called */
    fz_status_t status;
    /* Makes room for WIDTH * HEIGHT pixels, zeroed; false if that cannot be (status says whether
     * for lack of memory) or the sizes are out of range. */
    bool (*begin)(struct fz_image *image, int64_t width, int64_t height);
};

/* A decoder: false where the stream is damaged or of a kind that it does not know. */
typedef bool (*fz_image_fn)(struct fz_image *image);
bool fzi_image_bmp(struct fz_image *image);
bool fzi_image_pnm(struct fz_image *image);
bool fzi_image_jpeg(struct fz_image *image);
bool fzi_image_png(struct fz_image *image);
bool fzi_image_jp2(struct fz_image *image);
bool fzi_image_webp(struct fz_image *image);
bool fzi_image_tiff(struct fz_image *image);

/* Formats that libfrozen-images reads, or not, as it was built. */
enum fz_image_format { FZ_IMAGE_OWN, FZ_IMAGE_JPEG, FZ_IMAGE_PNG, FZ_IMAGE_JP2, FZ_IMAGE_WEBP,
                       FZ_IMAGE_TIFF };
/* The only symbol of libfrozen-images: the decoder of FORMAT, NULL if it has none. */
#define FZ_IMAGES_STRING(x) #x
#define FZ_IMAGES_QUOTE(x) FZ_IMAGES_STRING(x)
#define FZ_IMAGES_SYMBOL "fz_images_of_" FZ_IMAGES_QUOTE(FZ_VERSION_NAME)
/* That decoder, from the library beside this one or where the system looks; NULL without it. */
fz_image_fn fzi_image_library(enum fz_image_format format);

/* Numbers of N bytes, low byte first. The caller has checked that they are there. */
static inline uint32_t fzi_image_u16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t fzi_image_u32(const uint8_t *p) {
    return fzi_image_u16(p) | fzi_image_u16(p + 2) << 16;
}

#endif
