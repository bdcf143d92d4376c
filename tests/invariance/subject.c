/* Models, inputs and answers. */
#include "subject.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool bad(struct subject *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(s->note, sizeof s->note, format, args);
    va_end(args);
    return false;
}

static size_t elements(const fz_tensor_t *t) {
    size_t n = 1;
    for (int32_t d = 0; d < t->rank; d++) n *= (size_t)t->dims[d];
    return n;
}

void tensor_make(fz_tensor_t *t, size_t offset) {
    t->size = elements(t) * (size_t)fz_type_bits(t->dtype) / 8;
    char *data = aligned_alloc(64, (t->size + offset + 127) / 64 * 64);
    if (!data) abort();
    memset(data, 0, t->size + offset);
    t->data = data + offset;
}

void tensors_copy(struct tensors *to, const struct tensors *from, size_t offset) {
    *to = *from;
    for (size_t i = 0; i < to->n; i++) {
        tensor_make(&to->at[i], offset);
        memcpy(to->at[i].data, from->at[i].data, to->at[i].size);
    }
}

void tensors_free(struct tensors *t, size_t offset) {
    for (size_t i = 0; i < t->n; i++)
        if (t->at[i].data) free((char *)t->at[i].data - offset);
    t->n = 0;
}

bool tensors_same(const struct tensors *a, const struct tensors *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const fz_tensor_t *x = &a->at[i], *y = &b->at[i];
        if (x->dtype != y->dtype || x->rank != y->rank || x->size != y->size) return false;
        if (memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0) return false;
        if (memcmp(x->data, y->data, x->size) != 0) return false;
    }
    return true;
}

void tensor_fill(fz_tensor_t *t, uint32_t *random, double low, double high) {
    size_t n = elements(t);
    for (size_t i = 0; t->dtype == FZ_TYPE_F32 && i < n; i++) {
        *random = *random * 1664525 + 1013904223;
        ((float *)t->data)[i] = (float)(low + (high - low) * (double)*random * 0x1p-32);
    }
}

/* ---- inputs of a model */

static bool read_inputs(struct subject *s, const char *folder) {
    char path[4096];
    struct tensors *in = &s->inputs;
    for (in->n = 0; in->n < MANY; in->n++) {
        fz_tensor_t t;
        fz_tensor_file_t *file;
        snprintf(path, sizeof path, "%s/input_%zu.pb", folder, in->n);
        if (access(path, F_OK) != 0) break;
        if (fz_tensor_read_onnx(path, &t, &file) != FZ_OK) return bad(s, "%s", fz_last_error());
        in->at[in->n] = t;
        tensor_make(&in->at[in->n], 0);
        memcpy(in->at[in->n].data, t.data, t.size);
        fz_tensor_file_close(file);
    }
    return true;
}

/* Batch 1; other open dimensions 64, which is enough for every model that has some. */
static void make_inputs(struct subject *s) {
    uint32_t random = 1;
    s->inputs.n = fz_model_input_count(s->model);
    for (size_t i = 0; i < s->inputs.n; i++) {
        fz_tensor_t *t = &s->inputs.at[i];
        fz_io_t io;
        fz_model_input(s->model, i, &io);
        *t = (fz_tensor_t){.dtype = io.dtype, .rank = io.rank < 0 ? 0 : io.rank};
        for (int32_t d = 0; d < t->rank; d++)
            t->dims[d] = io.dims[d] >= 0 ? io.dims[d] : d == 0 ? 1 : 64;
        tensor_make(t, 0);
        tensor_fill(t, &random, -1, 1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool subject_open(struct subject *s, const char *folder) {
    fz_freeze_options_t options = {.size = sizeof options, .flags = s->freeze_flags};
    struct tensors out;
    if (fz_freeze_open(s->path, &options, NULL, &s->model) != FZ_OK)
        return bad(s, "%s", fz_last_error());
    if (folder && !read_inputs(s, folder)) return false;
    if (!folder) make_inputs(s);
    fz_session_t *session = session_of(s, 1);
    double start = now();
    fz_status_t status = run_once(session, s->model, &s->inputs, &out);
    s->seconds = now() - start;
    if (status == FZ_OK) tensors_copy(&s->want, &out, 0);
    fz_session_close(session);
    return status == FZ_OK || bad(s, "%s", fz_last_error());
}

void subject_close(struct subject *s) {
    tensors_free(&s->inputs, 0);
    tensors_free(&s->want, 0);
    fz_model_close(s->model);
}

/* ---- runs */

fz_session_t *session_of(struct subject *s, int threads) {
    fz_session_options_t options = {.size = sizeof options, .threads = threads};
    fz_session_t *session;
    if (fz_session_create(s->model, &options, &session) != FZ_OK) abort();
    return session;
}

fz_status_t run_once(fz_session_t *session, const fz_model_t *model, const struct tensors *in,
                     struct tensors *out) {
    *out = (struct tensors){.n = fz_model_output_count(model)};
    if (out->n > MANY) out->n = MANY;
    return fz_session_run(session, in->at, in->n, out->at, out->n);
}

bool same_answer(struct subject *s, fz_session_t *session) {
    struct tensors out;
    if (run_once(session, s->model, &s->inputs, &out) != FZ_OK)
        return bad(s, "the run failed: %s", fz_last_error());
    return tensors_same(&out, &s->want) || bad(s, "other bits");
}

bool same_with(struct subject *s, int threads) {
    fz_session_t *session = session_of(s, threads);
    bool good = same_answer(s, session);
    fz_session_close(session);
    return good;
}
