/* JPEG by libjpeg: slow integer transform, smooth upsampling, whatever its defaults are. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "ops/image.h"

/* Errors leave the library by a jump; nothing is printed. */
struct errors {
    struct jpeg_error_mgr base;
    jmp_buf leave;
};

static void fail(j_common_ptr jpeg) {
    struct errors *errors = (struct errors *)(void *)jpeg->err;
    longjmp(errors->leave, 1);
}

static void be_silent(j_common_ptr jpeg) { (void)jpeg; }
static void count(j_common_ptr jpeg, int level) {
    if (level < 0) jpeg->err->num_warnings++;
}

/* Four inks, which most files store inverted. */
static void from_inks(const uint8_t *in, int64_t n, bool inverted, uint8_t *rgb) {
    for (int64_t i = 0; i < n; i++, in += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            int ink = inverted ? in[c] : 255 - in[c], black = inverted ? in[3] : 255 - in[3];
            rgb[c] = (uint8_t)((ink * black + 127) / 255);
        }
}

/* Reads all rows; INKS has room for one row of four inks. */
static bool read_rows(struct jpeg_decompress_struct *jpeg, struct fz_image *image) {
    bool inks = jpeg->out_color_space == JCS_CMYK;
    JSAMPARRAY room = (*jpeg->mem->alloc_sarray)((j_common_ptr)jpeg, JPOOL_IMAGE,
                                                 jpeg->output_width * 4, 1);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *rgb = image->rgb + (int64_t)jpeg->output_scanline * image->width * 3;
        JSAMPROW row = rgb;
        if (jpeg_read_scanlines(jpeg, inks ? room : &row, 1) != 1) return false;
        if (inks) from_inks(room[0], image->width, jpeg->saw_Adobe_marker, rgb);
    }
    return true;
}

static bool decode(struct jpeg_decompress_struct *jpeg, struct fz_image *image) {
    jpeg_mem_src(jpeg, image->data, (unsigned long)image->size);
    if (jpeg_read_header(jpeg, TRUE) != JPEG_HEADER_OK) return false;
    bool inks = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_fancy_upsampling = TRUE;
    jpeg->mem->max_memory_to_use = 1L << 30;
    if (!image->begin(image, jpeg->image_width, jpeg->image_height)) return false;
    if (!jpeg_start_decompress(jpeg)) return false;
    if (jpeg->output_width != (JDIMENSION)image->width ||
        jpeg->output_height != (JDIMENSION)image->height)
        return false;
    return read_rows(jpeg, image) && jpeg_finish_decompress(jpeg);
}

bool fzi_image_jpeg(struct fz_image *image) {
    struct jpeg_decompress_struct jpeg;
    struct errors errors;
    volatile bool good = false;
    memset(&jpeg, 0, sizeof jpeg);
    jpeg.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = fail;
    errors.base.output_message = be_silent;
    errors.base.emit_message = count;
    if (!setjmp(errors.leave)) {
        jpeg_create_decompress(&jpeg);
        good = decode(&jpeg, image);
    }
    jpeg_destroy_decompress(&jpeg);
    return good && errors.base.num_warnings == 0;
}
