/* JPEG 2000 by OpenJPEG, as a file or a bare code stream: grey or three colours; sYCC becomes RGB
 * by the sums of BT.601 in 16.16 fixed point. */
#include <openjpeg.h>

#include "ops/image.h"

struct source {
    const uint8_t *data;
    size_t size, at;
};

static OPJ_SIZE_T take(void *to, OPJ_SIZE_T n, void *user) {
    struct source *s = user;
    size_t left = s->size - s->at;
    if (left == 0) return (OPJ_SIZE_T)-1;
    if (n > left) n = left;
    memcpy(to, s->data + s->at, n);
    s->at += n;
    return n;
}

static OPJ_OFF_T skip(OPJ_OFF_T n, void *user) {
    struct source *s = user;
    if (n < 0 || (uint64_t)n > s->size - s->at) return -1;
    s->at += (size_t)n;
    return n;
}

static OPJ_BOOL seek(OPJ_OFF_T to, void *user) {
    struct source *s = user;
    if (to < 0 || (uint64_t)to > s->size) return OPJ_FALSE;
    s->at = (size_t)to;
    return OPJ_TRUE;
}

static void be_silent(const char *text, void *user) { (void)text, (void)user; }

/* Component C at a pixel, as 8 bits. */
static int32_t sample(const opj_image_t *jp2, uint32_t c, int64_t x, int64_t y) {
    const opj_image_comp_t *comp = &jp2->comps[c];
    int64_t i = x / comp->dx, j = y / comp->dy;
    if (i >= comp->w) i = comp->w - 1;
    if (j >= comp->h) j = comp->h - 1;
    int64_t v = comp->data[j * comp->w + i];
    if (comp->sgnd) v += 1ll << (comp->prec - 1);
    if (comp->prec > 8) v >>= comp->prec - 8;
    if (comp->prec < 8) v = v * 255 / ((1 << comp->prec) - 1);
    return v < 0 ? 0 : v > 255 ? 255 : (int32_t)v;
}

static uint8_t clamp(int64_t x) { return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x); }

static void from_ycc(uint8_t *rgb) {
    int64_t y = (int64_t)rgb[0] << 16, b = rgb[1] - 128, r = rgb[2] - 128;
    rgb[0] = clamp((y + 91881 * r + 32768) >> 16);
    rgb[1] = clamp((y - 22554 * b - 46802 * r + 32768) >> 16);
    rgb[2] = clamp((y + 116130 * b + 32768) >> 16);
}

static bool convert(const opj_image_t *jp2, struct fz_image *image) {
    uint32_t n = jp2->numcomps >= 3 ? 3 : 1;
    for (uint32_t c = 0; c < n; c++) {
        const opj_image_comp_t *comp = &jp2->comps[c];
        if (!comp->data || !comp->w || !comp->h || !comp->dx || !comp->dy || comp->prec < 1 ||
            comp->prec > 31)
            return false;
    }
    for (int64_t i = 0; i < image->width * image->height; i++) {
        uint8_t *rgb = image->rgb + i * 3;
        for (uint32_t c = 0; c < 3; c++)
            rgb[c] = (uint8_t)sample(jp2, n == 3 ? c : 0, i % image->width, i / image->width);
        if (n == 3 && jp2->color_space == OPJ_CLRSPC_SYCC) from_ycc(rgb);
    }
    return true;
}

static bool decode(opj_codec_t *codec, opj_stream_t *stream, opj_image_t **jp2,
                   struct fz_image *image) {
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    opj_set_info_handler(codec, be_silent, NULL);
    opj_set_warning_handler(codec, be_silent, NULL);
    opj_set_error_handler(codec, be_silent, NULL);
    if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, jp2))
        return false;
    const opj_image_t *j = *jp2;
    if (j->numcomps < 1 || j->x1 <= j->x0 || j->y1 <= j->y0 ||
        !image->begin(image, (int64_t)j->x1 - j->x0, (int64_t)j->y1 - j->y0))
        return false;
    return opj_decode(codec, stream, *jp2) && opj_end_decompress(codec, stream) &&
           convert(*jp2, image);
}

bool fzi_image_jp2(struct fz_image *image) {
    struct source source = {image->data, image->size, 0};
    bool bare = image->data[0] == 0xFF, good = false;
    opj_image_t *jp2 = NULL;
    opj_codec_t *codec = opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    if (codec && stream) {
        opj_stream_set_user_data(stream, &source, NULL);
        opj_stream_set_user_data_length(stream, image->size);
        opj_stream_set_read_function(stream, take);
        opj_stream_set_skip_function(stream, skip);
        opj_stream_set_seek_function(stream, seek);
        good = decode(codec, stream, &jp2, image);
    }
    if (jp2) opj_image_destroy(jp2);
    if (stream) opj_stream_destroy(stream);
    if (codec) opj_destroy_codec(codec);
    return good;
}
