/* PNG by libpng: palettes, grey and fewer bits become RGB, 16 bits are scaled to 8, transparency
 * and gamma are dropped. */
#include <setjmp.h>

#include <png.h>

#include "ops/image.h"

struct source {
    const uint8_t *at;
    size_t left;
};

static void take(png_structp png, png_bytep to, png_size_t n) {
    struct source *source = png_get_io_ptr(png);
    if (n > source->left) png_error(png, "the stream ends");
    memcpy(to, source->at, n);
    source->at += n;
    source->left -= n;
}

static void fail(png_structp png, png_const_charp text) {
    (void)text;
    png_longjmp(png, 1);
}

static void be_silent(png_structp png, png_const_charp text) { (void)png, (void)text; }

static bool decode(png_structp png, png_infop info, struct fz_image *image) {
    png_set_user_limits(png, FZ_IMAGE_SIDE_MAX, FZ_IMAGE_SIDE_MAX);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (!image->begin(image, png_get_image_width(png, info), png_get_image_height(png, info)))
        return false;
    if (png_get_rowbytes(png, info) != (size_t)image->width * 3) return false;
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < image->height; y++)
            png_read_row(png, image->rgb + y * image->width * 3, NULL);
    png_read_end(png, NULL);
    return true;
}

bool fzi_image_png(struct fz_image *image) {
    struct source source = {image->data, image->size};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, fail, be_silent);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    volatile bool good = false;
    if (info && !setjmp(png_jmpbuf(png))) {
        png_set_read_fn(png, &source, take);
        good = decode(png, info, image);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return good;
}
