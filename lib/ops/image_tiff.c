/* TIFF by libtiff: the first image, whatever libtiff can make RGB of. */
#include <tiffio.h>

#include "ops/image.h"

enum { ALLOCATION_MAX = 1 << 30 };

struct source {
    const uint8_t *data;
    size_t size, at;
};

static tmsize_t take(thandle_t handle, void *to, tmsize_t n) {
    struct source *s = handle;
    size_t left = s->at < s->size ? s->size - s->at : 0, count = n > 0 ? (size_t)n : 0;
    if (count > left) count = left;
    memcpy(to, s->data + s->at, count);
    s->at += count;
    return (tmsize_t)count;
}

static tmsize_t refuse(thandle_t handle, void *from, tmsize_t n) {
    (void)handle, (void)from, (void)n;
    return -1;
}

static toff_t seek(thandle_t handle, toff_t to, int whence) {
    struct source *s = handle;
    uint64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->at : s->size, sum;
    if (__builtin_add_overflow(from, to, &sum) || sum > SIZE_MAX >> 1) return (toff_t)-1;
    s->at = (size_t)sum;
    return sum;
}

static int leave_open(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) { return ((struct source *)handle)->size; }

/* Nothing is printed. */
static int be_silent(TIFF *tiff, void *user, const char *module, const char *format,
                     va_list arguments) {
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

static TIFF *open_memory(struct source *source) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, ALLOCATION_MAX);
    TIFFOpenOptionsSetErrorHandlerExtR(options, be_silent, NULL);
    TIFFOpenOptionsSetWarningHandlerExtR(options, be_silent, NULL);
    TIFF *tiff = TIFFClientOpenExt("image", "rm", source, take, refuse, seek, leave_open, size_of,
                                   NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

static bool decode(TIFF *tiff, struct fz_image *image) {
    uint32_t width = 0, height = 0;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height) || !image->begin(image, width, height))
        return false;
    int64_t pixels = image->width * image->height;
    uint32_t *raster = _TIFFmalloc((tmsize_t)(pixels * 4));
    bool good = raster && TIFFReadRGBAImageOriented(tiff, width, height, raster,
                                                    ORIENTATION_TOPLEFT, 1);
    for (int64_t i = 0; i < pixels && good; i++) {
        image->rgb[i * 3] = (uint8_t)TIFFGetR(raster[i]);
        image->rgb[i * 3 + 1] = (uint8_t)TIFFGetG(raster[i]);
        image->rgb[i * 3 + 2] = (uint8_t)TIFFGetB(raster[i]);
    }
    if (raster) _TIFFfree(raster);
    return good;
}

bool fzi_image_tiff(struct fz_image *image) {
    struct source source = {image->data, image->size, 0};
    TIFF *tiff = open_memory(&source);
    if (!tiff) return false;
    bool good = decode(tiff, image);
    TIFFClose(tiff);
    return good;
}
