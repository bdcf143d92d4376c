/* WebP by libwebp, still images; transparency is dropped. */
#include <webp/decode.h>

#include "ops/image.h"

bool fzi_image_webp(struct fz_image *image) {
    int width, height;
    if (!WebPGetInfo(image->data, image->size, &width, &height)) return false;
    if (!image->begin(image, width, height)) return false;
    return WebPDecodeRGBInto(image->data, image->size, image->rgb, (size_t)(width * height) * 3,
                             width * 3) != NULL;
}
