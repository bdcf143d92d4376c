/* ImageDecoder: finds the format by the first bytes, decodes, and gives RGB, BGR or grey
 * ((19595 r + 38470 g + 7471 b + 32768) / 65536). A stream that cannot be decoded gives an image of
 * no pixels, as ONNX says; a format whose library is missing is an error. */
#include "ops/image.h"

enum { RGB, BGR, GREY };

struct params {
    int64_t format;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const formats[] = {"RGB", "BGR", "Grayscale", NULL};
    struct params *p = params;
    (void)lower;
    return fzi_attr_choice(node, "pixel_format", formats, RGB, &p->format);
}

static int64_t channels_of(const struct params *p) { return p->format == GREY ? 1 : 3; }

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(U8)));
    if (call->in[0]->rank >= 0 && call->in[0]->rank != 1)
        return fzi_error(FZ_E_SHAPE, "%s: the stream has rank %d", op->name, call->in[0]->rank);
    int64_t dims[3] = {FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN, channels_of(p)};
    fzi_infer_shape(call, 0, FZ_TYPE_U8, 3, dims);
    return FZ_OK;
}

struct format {
    const char *name, *magic;
    size_t size, at; /* of the magic, and where it stands */
    enum fz_image_format library;
    fz_image_fn own;
};

static const struct format formats[] = {
    {"JPEG", "\xFF\xD8\xFF", 3, 0, FZ_IMAGE_JPEG, NULL},
    {"PNG", "\x89PNG\r\n\x1A\n", 8, 0, FZ_IMAGE_PNG, NULL},
    {"JPEG 2000", "\0\0\0\x0CjP  \r\n\x87\n", 12, 0, FZ_IMAGE_JP2, NULL},
    {"JPEG 2000", "\xFF\x4F\xFF\x51", 4, 0, FZ_IMAGE_JP2, NULL},
    {"WebP", "WEBP", 4, 8, FZ_IMAGE_WEBP, NULL},
    {"TIFF", "II*\0", 4, 0, FZ_IMAGE_TIFF, NULL},
    {"TIFF", "MM\0*", 4, 0, FZ_IMAGE_TIFF, NULL},
    {"TIFF", "II+\0", 4, 0, FZ_IMAGE_TIFF, NULL},
    {"TIFF", "MM\0+", 4, 0, FZ_IMAGE_TIFF, NULL},
    {"BMP", "BM", 2, 0, FZ_IMAGE_OWN, fzi_image_bmp},
    {"PNM", "P", 1, 0, FZ_IMAGE_OWN, fzi_image_pnm},
};

static const struct format *find(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < FZ_COUNT(formats); i++) {
        const struct format *f = &formats[i];
        if (size >= f->at + f->size && memcmp(data + f->at, f->magic, f->size) == 0) return f;
    }
    return NULL;
}

static bool begin(struct fz_image *image, int64_t width, int64_t height) {
    const int64_t dims[3] = {height, width, 3};
    if (width < 1 || height < 1 || width > FZ_IMAGE_SIDE_MAX || height > FZ_IMAGE_SIDE_MAX ||
        width * height > FZ_IMAGE_PIXELS_MAX)
        return false;
    const struct params *p = image->call->params;
    if (image->rgb) return false;
    if (p->format == GREY) {
        image->rgb = fzi_alloc((size_t)(width * height * 3));
        if (!image->rgb) image->status = fzi_error(FZ_E_NOMEM, "no memory for an image");
    } else {
        image->status = image->call->env->resize(image->call, 0, 3, dims);
        image->rgb = image->call->out[0]->data;
    }
    if (image->status != FZ_OK) return false;
    image->width = width;
    image->height = height;
    memset(image->rgb, 0, (size_t)(width * height * 3));
    return true;
}

static void swap(uint8_t *rgb, int64_t pixels) {
    for (int64_t i = 0; i < pixels; i++, rgb += 3) {
        uint8_t red = rgb[0];
        rgb[0] = rgb[2];
        rgb[2] = red;
    }
}

/* Gives the output: the pixels are there already, or become grey. */
static fz_status_t finish(const struct fz_call *call, const struct fz_image *image) {
    const struct params *p = call->params;
    const int64_t dims[3] = {image->height, image->width, 1};
    int64_t pixels = image->width * image->height;
    if (p->format == BGR) swap(image->rgb, pixels);
    if (p->format != GREY) return FZ_OK;
    FZ_TRY(call->env->resize(call, 0, 3, dims));
    const uint8_t *rgb = image->rgb;
    for (int64_t i = 0; i < pixels; i++, rgb += 3)
        ((uint8_t *)call->out[0]->data)[i] =
            (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 32768u) >> 16);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    struct fz_image image = {.call = call, .data = call->in[0]->data,
                             .size = call->in[0]->size, .begin = begin};
    const int64_t none[3] = {0, 0, channels_of(p)};
    if (!call->out[0]) return FZ_OK;
    const struct format *format = find(image.data, image.size);
    fz_image_fn decode = !format ? NULL : format->own ? format->own
                                                      : fzi_image_library(format->library);
    if (format && !decode)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: no libfrozen-images that reads %s was found",
                         op->name, format->name);
    bool good = decode && decode(&image);
    fz_status_t status = image.status;
    if (status == FZ_OK)
        status = good ? finish(call, &image) : call->env->resize(call, 0, 3, none);
    if (p->format == GREY) fzi_free(image.rgb);
    return status;
}

const struct fz_op fz_ops_image_decoder[] = {
    {.name = "ImageDecoder", .domain = "", .since = 20, .rev = 1, .flags = FZ_OP_LATE_SHAPE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "pixel_format",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
