/* libfrozen-images: the decoders that it was built with. */
#include "ops/image.h"

/* The symbol carries the version, for its struct is no public one. */
#define JOIN(a, b) a##b
#define NAME(version) JOIN(fz_images_of_, version)
__attribute__((visibility("default"))) fz_image_fn NAME(FZ_VERSION_NAME)(int32_t format);

fz_image_fn NAME(FZ_VERSION_NAME)(int32_t format) {
    switch (format) {
#ifdef FZ_HAVE_JPEG
    case FZ_IMAGE_JPEG: return fzi_image_jpeg;
#endif
#ifdef FZ_HAVE_PNG
    case FZ_IMAGE_PNG: return fzi_image_png;
#endif
#ifdef FZ_HAVE_JP2
    case FZ_IMAGE_JP2: return fzi_image_jp2;
#endif
#ifdef FZ_HAVE_WEBP
    case FZ_IMAGE_WEBP: return fzi_image_webp;
#endif
#ifdef FZ_HAVE_TIFF
    case FZ_IMAGE_TIFF: return fzi_image_tiff;
#endif
    default: return NULL;
    }
}
