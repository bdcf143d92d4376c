/* From --input and --shape options to a model's inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static bool find_input(const fz_model_t *model, const char *name, size_t *index) {
    fz_io_t io;
    for (size_t i = 0; i < fz_model_input_count(model); i++)
        if (fz_model_input(model, i, &io) == FZ_OK && strcmp(io.name, name) == 0) {
            *index = i;
            return true;
        }
    trouble("the model has no input '%s'", name);
    return false;
}

static bool load_pair(const fz_model_t *model, const char *pair, struct inputs *out) {
    char *name;
    const char *file;
    size_t i;
    if (!split_pair(pair, &name, &file)) return false;
    bool good = find_input(model, name, &i);
    free(name);
    if (!good) return false;
    free_tensor(&out->tensors[i]);
    return read_npy(file, &out->tensors[i]);
}

static bool parse_dims(const char *text, fz_tensor_t *t) {
    t->rank = 0;
    while (*text) {
        char *end;
        long long d = strtoll(text, &end, 10);
        if (end == text || d < 0 || t->rank == FZ_RANK_MAX || (*end && *end != 'x')) return false;
        t->dims[t->rank++] = d;
        text = *end ? end + 1 : end;
    }
    return true;
}

/* A fixed pattern of floats in [-1, 1), zeros for everything else. */
static void fill(fz_tensor_t *t) {
    int64_t n = count_of(t);
    t->size = ((size_t)n * (size_t)fz_type_bits(t->dtype) + 7) / 8;
    if (t->dtype == FZ_TYPE_STRING) t->size = (size_t)n * sizeof(fz_string_t);
    t->data = must(calloc(1, t->size + 64));
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        float x = (float)(state >> 8) * 0x1p-23f - 1;
        if (t->dtype == FZ_TYPE_F32) ((float *)t->data)[i] = x;
        else if (t->dtype == FZ_TYPE_F64) ((double *)t->data)[i] = (double)x;
    }
}

static bool fill_shape(const fz_model_t *model, const char *pair, struct inputs *out) {
    char *name;
    const char *dims;
    size_t i;
    if (!split_pair(pair, &name, &dims)) return false;
    bool good = find_input(model, name, &i);
    free(name);
    if (!good) return false;
    fz_io_t io;
    fz_model_input(model, i, &io);
    fz_tensor_t *t = &out->tensors[i];
    free_tensor(t);
    t->dtype = io.dtype;
    if (!parse_dims(dims, t)) return trouble("'%s' is not a shape like 1x3x224x224", dims), false;
    fill(t);
    return true;
}

/* Open dimensions become 1. */
static void fill_default(const fz_model_t *model, size_t i, fz_tensor_t *t) {
    fz_io_t io;
    fz_model_input(model, i, &io);
    t->dtype = io.dtype;
    t->rank = io.rank < 0 ? 0 : io.rank;
    bool tensor = fz_type_kind(t->dtype) == FZ_KIND_TENSOR;
    for (int32_t d = 0; d < t->rank; d++) t->dims[d] = io.dims[d] >= 0 ? io.dims[d] : tensor;
    fill(t);
}

bool collect_inputs(const fz_model_t *model, const struct list *pairs, const struct list *shapes,
                    bool fill_rest, struct inputs *out) {
    out->n = fz_model_input_count(model);
    out->tensors = must(calloc(out->n + 1, sizeof *out->tensors));
    bool good = true;
    for (size_t i = 0; good && i < pairs->n; i++) good = load_pair(model, pairs->items[i], out);
    for (size_t i = 0; good && shapes && i < shapes->n; i++)
        good = fill_shape(model, shapes->items[i], out);
    for (size_t i = 0; good && i < out->n; i++) {
        fz_io_t io;
        if (out->tensors[i].data) continue;
        if (fill_rest) {
            fill_default(model, i, &out->tensors[i]);
            continue;
        }
        fz_model_input(model, i, &io);
        trouble("input '%s' is missing: give --input %s=FILE.npy", io.name, io.name);
        good = false;
    }
    if (!good) free_inputs(out);
    return good;
}

void free_inputs(struct inputs *inputs) {
    for (size_t i = 0; i < inputs->n; i++) free_tensor(&inputs->tensors[i]);
    free(inputs->tensors);
    *inputs = (struct inputs){0};
}
