/* Reads digits with a model that ends in a custom operator, see best.c: custom MODEL.onnx
 * IMAGES.npy */
#include <stdio.h>
#include <stdlib.h>

#include <frozen/custom.h>
#include <frozen/freeze.h>

enum { IMAGES = 16, PIXELS = 8 * 8 };

const fz_custom_op_t *const *frozen_custom_ops(size_t *n); /* best.c */

static void check(fz_status_t status) {
    if (status == FZ_OK) return;
    fprintf(stderr, "%s: %s\n", fz_status_name(status), fz_last_error());
    exit(1);
}

/* The first images of an .npy file: its bytes 8 and 9 are the length of the header behind them. */
static void read_images(const char *path, float *images) {
    unsigned char head[10];
    FILE *file = fopen(path, "rb");
    if (!file || fread(head, 1, 10, file) != 10 ||
        fseek(file, 10 + head[8] + 256 * head[9], SEEK_SET) != 0 ||
        fread(images, sizeof(float) * PIXELS, IMAGES, file) != IMAGES) {
        fprintf(stderr, "can't read %d images from %s\n", IMAGES, path);
        exit(1);
    }
    fclose(file);
}

static void run(fz_model_t *model, float *images) {
    fz_session_t *session;
    fz_tensor_t input = {.dtype = FZ_TYPE_F32, .rank = 4, .dims = {IMAGES, 1, 8, 8},
                         .data = images, .size = sizeof(float) * IMAGES * PIXELS};
    fz_tensor_t best = {0};
    check(fz_session_create(model, NULL, &session));
    check(fz_session_run(session, &input, 1, &best, 1));
    printf("digits");
    for (int i = 0; i < IMAGES; i++) printf(" %d", (int)((const int64_t *)best.data)[i]);
    printf("\n");
    fz_session_close(session);
}

int main(int argc, char **argv) {
    static float images[IMAGES * PIXELS];
    fz_custom_t *custom;
    fz_model_t *model;
    size_t n;
    if (argc != 3) {
        fprintf(stderr, "usage: custom MODEL.onnx IMAGES.npy\n");
        return 2;
    }
    read_images(argv[2], images);
    const fz_custom_op_t *const *ops = frozen_custom_ops(&n);
    check(fz_custom_create(ops, n, &custom));

    /* The set serves to freeze the model and to open it; it must outlive the model. */
    fz_freeze_options_t options = {.size = sizeof options, .custom = custom};
    check(fz_freeze_open(argv[1], &options, NULL, &model));
    run(model, images);
    fz_model_close(model);
    fz_custom_close(custom);
    return 0;
}
