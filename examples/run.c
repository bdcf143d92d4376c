/* Reads digits with a frozen model: run MODEL.fz IMAGES.npy */
#include <stdio.h>
#include <stdlib.h>

#include <frozen/frozen.h>

enum { IMAGES = 16, PIXELS = 8 * 8, CLASSES = 10 };

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

static void print_io(const char *what, const fz_io_t *io) {
    fprintf(stderr, "%s %s: %s", what, io->name, fz_type_name(io->dtype));
    for (int i = 0; i < io->rank; i++) fprintf(stderr, " %lld", (long long)io->dims[i]);
    fprintf(stderr, "\n");
}

/* Says on stderr what the model is. A size of -1 is open: any number of images goes. */
static void describe(const fz_model_t *model) {
    char id[65];
    fz_io_t io;
    check(fz_model_id(model, id));
    fprintf(stderr, "model %s\nprofile %s, protection %d\n", id, fz_model_profile(model),
            (int)fz_model_protection(model));
    for (size_t i = 0; i < fz_model_input_count(model); i++) {
        check(fz_model_input(model, i, &io));
        print_io("input", &io);
    }
    for (size_t i = 0; i < fz_model_output_count(model); i++) {
        check(fz_model_output(model, i, &io));
        print_io("output", &io);
    }
}

static int best(const float *scores) {
    int at = 0;
    for (int i = 1; i < CLASSES; i++)
        if (scores[i] > scores[at]) at = i;
    return at;
}

/* The two lines that every example prints. */
static void print_answer(const fz_tensor_t *output) {
    uint8_t digest[32];
    printf("digits");
    for (int i = 0; i < IMAGES; i++)
        printf(" %d", best((const float *)output->data + CLASSES * i));
    check(fz_sha256(output->data, output->size, digest));
    printf("\noutput ");
    for (int i = 0; i < 32; i++) printf("%02x", digest[i]);
    printf("\n");
}

int main(int argc, char **argv) {
    static float images[IMAGES * PIXELS];
    fz_model_t *model;
    fz_session_t *session;
    if (argc != 3) {
        fprintf(stderr, "usage: run MODEL.fz IMAGES.npy\n");
        return 2;
    }
    read_images(argv[2], images);
    check(fz_model_open(argv[1], NULL, &model));
    describe(model);
    check(fz_session_create(model, NULL, &session));

    fz_tensor_t input = {.dtype = FZ_TYPE_F32, .rank = 4, .dims = {IMAGES, 1, 8, 8},
                         .data = images, .size = sizeof images};
    fz_tensor_t output = {0}; /* no memory of ours: the result stays in the session's */
    check(fz_session_run(session, &input, 1, &output, 1));
    print_answer(&output);

    fz_session_close(session);
    fz_model_close(model);
    return 0;
}
