/* Runs a frozen model once, by libfrozen with one thread, and writes all outputs, one after the
 * other, as the bytes that they are: run_frozen MODEL.fz OUTPUTS INPUT.npy... */
#include <stdlib.h>
#include <string.h>

#include <frozen/frozen.h>

#include "arrays.h"

enum { MANY = 32 };

static void check(fz_status_t status) {
    if (status != FZ_OK) stop("%s: %s", fz_status_name(status), fz_last_error());
}

static fz_tensor_t read_input(const char *path) {
    struct array a = read_npy(path);
    fz_tensor_t t = {.dtype = a.dtype, .rank = a.rank, .data = a.data, .size = a.size};
    memcpy(t.dims, a.dims, sizeof a.dims);
    return t;
}

int main(int argc, char **argv) {
    fz_tensor_t inputs[MANY] = {{0}}, outputs[MANY] = {{0}};
    fz_model_t *model;
    fz_session_t *session;
    if (argc < 3 || argc - 3 > MANY) stop("usage: run_frozen MODEL.fz OUTPUTS INPUT.npy...");
    size_t n_inputs = (size_t)argc - 3;
    for (size_t i = 0; i < n_inputs; i++) inputs[i] = read_input(argv[i + 3]);

    check(fz_model_open(argv[1], NULL, &model));
    size_t n_outputs = fz_model_output_count(model);
    if (n_outputs > MANY) stop("%s: more than %d outputs", argv[1], MANY);
    check(fz_session_create(model, NULL, &session));
    check(fz_session_run(session, inputs, n_inputs, outputs, n_outputs));

    FILE *file = fopen(argv[2], "wb");
    if (!file) stop("cannot write %s", argv[2]);
    for (size_t i = 0; i < n_outputs; i++) fwrite(outputs[i].data, 1, outputs[i].size, file);
    if (fclose(file) != 0) stop("cannot write %s", argv[2]);
    fz_session_close(session);
    fz_model_close(model);
    for (size_t i = 0; i < n_inputs; i++) free(inputs[i].data);
    return 0;
}
