/* Opens a model, runs it once on inputs of zeros, and writes a byte: cold.py times it from outside.
 *
 * usage: cold FILE.fz sealed|map|none [THREADS]     none: ends before it opens anything */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <frozen/frozen.h>

static int trouble(void) {
    fprintf(stderr, "cold: %s\n", fz_last_error());
    return 2;
}

/* Open dimensions are 1; 8 bytes are the widest element that a model takes here. */
static void make_input(const fz_model_t *model, size_t i, fz_tensor_t *t) {
    fz_io_t io;
    if (fz_model_input(model, i, &io) != FZ_OK) exit(trouble());
    *t = (fz_tensor_t){.dtype = io.dtype, .rank = io.rank, .size = 8};
    for (int d = 0; d < io.rank; d++) {
        t->dims[d] = io.dims[d] < 0 ? 1 : io.dims[d];
        t->size *= (size_t)t->dims[d];
    }
    t->data = calloc(1, t->size);
}

int main(int argc, char **argv) {
    enum { MANY = 64 };
    static fz_tensor_t in[MANY], out[MANY];
    fz_model_t *model;
    fz_session_t *session;
    if (argc < 3) return fprintf(stderr, "usage: cold FILE.fz sealed|map|none [THREADS]\n"), 2;
    if (strcmp(argv[2], "none") == 0) return write(1, "1", 1) != 1;
    int threads = argc > 3 ? atoi(argv[3]) : 1;
    fz_open_options_t open = {.size = sizeof open, .threads = threads,
                              .flags = strcmp(argv[2], "map") == 0 ? FZ_OPEN_MAP : 0};
    fz_session_options_t options = {.size = sizeof options, .threads = threads};
    if (fz_model_open(argv[1], &open, &model) != FZ_OK) return trouble();
    size_t n_in = fz_model_input_count(model), n_out = fz_model_output_count(model);
    if (n_in > MANY || n_out > MANY) return 2;
    for (size_t i = 0; i < n_in; i++) make_input(model, i, &in[i]);
    if (fz_session_create(model, &options, &session) != FZ_OK) return trouble();
    if (fz_session_run(session, in, n_in, out, n_out) != FZ_OK) return trouble();
    return write(1, "1", 1) != 1;
}
