/* Opens hostile frozen files and runs what opens: no plan, parameter or shape that the reader lets
 * pass may make an operator touch memory that is not its own. */
#include "exec/open.h"
#include "exec/session.h"
#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_MAX = 16, INPUT_SIZE_MAX = 1 << 20 };

/* Input I as the model describes it; open dimensions are 2. Small numbers serve as values and as
 * indices. False if it would be too large. */
static bool make_input(const struct fz_model *model, size_t i, fz_tensor_t *t) {
    *t = model->values[model->plan.io[i].value];
    if (t->rank < 0) t->rank = 2, t->dims[0] = t->dims[1] = -1;
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0) t->dims[d] = 2;
    if (t->dtype == FZ_TYPE_STRING || fzi_tensor_measure(t) != FZ_OK || t->size > INPUT_SIZE_MAX)
        return false;
    t->data = fzi_calloc(1, t->size);
    for (size_t b = 0; t->data && b < t->size; b += 8) ((uint8_t *)t->data)[b] = b % 3 == 0;
    return t->data != NULL;
}

static void run(struct fz_model *model) {
    fz_session_options_t options = {.size = sizeof options, .threads = 1,
                                    .max_arena_size = 64 << 20};
    fz_tensor_t in[INPUTS_MAX] = {{0}}, out[INPUTS_MAX] = {{0}};
    struct fz_session *session = NULL;
    size_t n_in = model->plan.n_inputs, n = 0;
    size_t n_out = model->plan.n_outputs < INPUTS_MAX ? model->plan.n_outputs : INPUTS_MAX;
    while (n < n_in && n < INPUTS_MAX && make_input(model, n, &in[n])) n++;
    if (n == n_in && fzi_session_new(model, &options, &session) == FZ_OK) {
        session->deadline_us = 50000;
        for (int i = 0; i < 2; i++)
            if (fzi_session_run(session, in, n_in, out, n_out) != FZ_OK) break;
        fzi_session_free(session);
    }
    for (size_t i = 0; i < n; i++) fzi_free(in[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t file_size;
    uint8_t *file = image_make(data, size, &file_size);
    struct fz_model *model;
    fz_open_options_t options = {.size = sizeof options, .max_file_size = 1 << 30};
    if (file && fzi_model_open_memory(file, file_size, &options, &model) == FZ_OK) {
        run(model);
        fzi_model_free(model);
    }
    fzi_free(file);
    return 0;
}
