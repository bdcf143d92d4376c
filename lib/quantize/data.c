/* Samples from files. An input has parts, each of which holds one or more samples; where they lie
 * is found and checked at the start, their bytes are read when they are asked for. */
#include "quantize/data.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "import/import.h"
#include "quantize/array.h"

enum { MAX_SAMPLES = 10000000 };
static const size_t largest_message = (size_t)1 << 31;

struct part {
    struct part *next;
    struct fz_array array; /* of a message: path and type only */
    bool message;          /* a serialised TensorProto */
    size_t first, count;   /* which samples it holds */
    fz_tensor_t sample;    /* type and shape of each */
};

struct source {
    struct part *first, *last;
    struct part *current; /* where the last read ended: samples are read in order */
    size_t count;
    uint8_t *bytes;       /* of the sample that was read last */
    size_t capacity;
};

struct fz_data {
    struct fz_arena arena;    /* paths, parts */
    struct fz_arena messages; /* the tensors of a sample that are read from messages */
    const struct fz_graph *graph;
    struct source *sources;   /* one for each input */
    size_t count;
};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for samples"); }

/* ---- shapes */

fz_status_t fzi_data_fits(const fz_tensor_t *t, const struct fz_value *input, const char *where) {
    char theirs[160], ours[160];
    bool shape = input->t.rank < 0 || input->t.rank == t->rank;
    for (int32_t d = 0; shape && d < input->t.rank; d++)
        shape = input->t.dims[d] < 0 || input->t.dims[d] == t->dims[d];
    if (t->dtype == input->t.dtype && shape) return FZ_OK;
    return fzi_error(t->dtype == input->t.dtype ? FZ_E_SHAPE : FZ_E_TYPE,
                     "%s holds %s, but the input '%s' takes %s", where,
                     fzi_shape_text(t, theirs, sizeof theirs), input->name,
                     fzi_shape_text(&input->t, ours, sizeof ours));
}

/* Cuts ARRAY into samples of INPUT; WHOLE if a file is one sample where that can be. */
static fz_status_t cut(struct part *part, const struct fz_value *input, bool whole) {
    const fz_tensor_t *t = &part->array.t;
    fz_tensor_t *s = &part->sample;
    char where[FZ_PATH_MAX + 4];
    *s = *t;
    part->count = 1;
    if (t->rank == input->t.rank + 1 && input->t.rank >= 0) {
        part->count = (size_t)t->dims[0];
        s->rank = t->rank - 1;
        for (int32_t d = 0; d < s->rank; d++) s->dims[d] = t->dims[d + 1];
    } else if (t->rank == input->t.rank && t->rank > 0) {
        int64_t batch = input->t.dims[0] >= 0 ? input->t.dims[0] : whole ? t->dims[0] : 1;
        if (batch > 0 && t->dims[0] % batch == 0) {
            part->count = (size_t)(t->dims[0] / batch);
            s->dims[0] = batch;
        }
    }
    if (part->count > MAX_SAMPLES)
        return fzi_error(FZ_E_LIMIT, "'%s' has more than %d samples", part->array.path,
                         MAX_SAMPLES);
    snprintf(where, sizeof where, "'%s'", part->array.path);
    fz_status_t status = fzi_data_fits(s, input, where);
    if (status == FZ_OK) return fzi_tensor_measure(s);
    return fzi_data_fits(t, input, where) == FZ_OK ? status : fzi_data_fits(t, input, where);
}

static void append(struct source *source, struct part *part) {
    part->first = source->count;
    source->count += part->count;
    if (source->last) source->last->next = part;
    else source->first = part;
    source->last = part;
}

static fz_status_t add_array(struct fz_data *data, uint32_t input, const struct fz_array *array,
                             bool whole) {
    struct part *part = fzi_arena_alloc(&data->arena, sizeof *part);
    if (!part) return no_memory();
    part->array = *array;
    FZ_TRY(cut(part, data->graph->inputs[input], whole));
    append(&data->sources[input], part);
    return FZ_OK;
}

static fz_status_t add_file(struct fz_data *data, uint32_t input, const char *path, bool whole) {
    struct fz_array array;
    FZ_TRY(fzi_array_open(path, 0, &array));
    return add_array(data, input, &array, whole);
}

static fz_status_t read_message(const char *path, struct fz_arena *arena, fz_tensor_t *out) {
    uint8_t *bytes;
    size_t size;
    FZ_TRY(fzi_file_read(path, largest_message, &bytes, &size));
    fz_status_t status = fzi_import_tensor(bytes, size, arena, out);
    fzi_free(bytes);
    return status == FZ_OK ? FZ_OK : fzi_error_context(status, "%s", path);
}

static fz_status_t add_message(struct fz_data *data, uint32_t input, const char *path) {
    char where[FZ_PATH_MAX + 4];
    struct part *part = fzi_arena_alloc(&data->arena, sizeof *part);
    if (!part) return no_memory();
    *part = (struct part){.array.path = path, .message = true, .count = 1};
    FZ_TRY(read_message(path, &data->messages, &part->sample));
    fzi_arena_free(&data->messages);
    part->sample.data = NULL;
    snprintf(where, sizeof where, "'%s'", path);
    FZ_TRY(fzi_data_fits(&part->sample, data->graph->inputs[input], where));
    append(&data->sources[input], part);
    return FZ_OK;
}

/* ---- folders */

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

static bool ends_in(const char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The paths of the .npy files in FOLDER, sorted by their bytes. */
static fz_status_t list_arrays(struct fz_data *data, const char *folder, const char ***out,
                               size_t *n) {
    const char **list = NULL;
    size_t capacity = 0;
    bool full = false;
    *n = 0;
    DIR *dir = opendir(folder);
    if (!dir) return fzi_error(FZ_E_IO, "cannot open the folder '%s'", folder);
    for (struct dirent *e; !full && (e = readdir(dir));) {
        if (!ends_in(e->d_name, ".npy") || *e->d_name == '.') continue;
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            const char **grown = fzi_arena_array(&data->arena, capacity, sizeof *grown);
            if (grown && *n) memcpy(grown, list, *n * sizeof *grown);
            list = grown;
        }
        if (list) list[*n] = fzi_arena_format(&data->arena, "%s/%s", folder, e->d_name);
        full = !list || !list[(*n)++];
    }
    closedir(dir);
    if (full) return no_memory();
    if (*n) qsort(list, *n, sizeof *list, by_name);
    *out = list;
    return FZ_OK;
}

static fz_status_t add_folder(struct fz_data *data, uint32_t input, const char *folder) {
    const char **list = NULL;
    size_t n;
    FZ_TRY(list_arrays(data, folder, &list, &n));
    for (size_t i = 0; i < n; i++) FZ_TRY(add_file(data, input, list[i], true));
    return FZ_OK;
}

/* The input's name as that of a file. */
static char *file_name(struct fz_data *data, uint32_t input) {
    char *name = fzi_arena_string(&data->arena, data->graph->inputs[input]->name);
    for (char *at = name; at && *at; at++)
        if (*at == '/' || *at == ':') *at = '_';
    return name;
}

static fz_status_t open_arrays(struct fz_data *data, const char *path) {
    for (uint32_t i = 0; i < data->graph->n_inputs; i++) {
        const char *name = file_name(data, i);
        char *folder = name ? fzi_arena_format(&data->arena, "%s/%s", path, name) : NULL;
        char *file = name ? fzi_arena_format(&data->arena, "%s/%s.npy", path, name) : NULL;
        if (!folder || !file) return no_memory();
        if (exists(file)) FZ_TRY(add_file(data, i, file, false));
        else if (is_folder(folder)) FZ_TRY(add_folder(data, i, folder));
        else if (data->graph->n_inputs == 1) FZ_TRY(add_folder(data, i, path));
        else
            return fzi_error(FZ_E_VALUE, "'%s' has neither a file '%s.npy' nor a folder '%s' for "
                             "the input '%s'", path, name, name, data->graph->inputs[i]->name);
    }
    return FZ_OK;
}

static fz_status_t open_tests(struct fz_data *data, const char *path) {
    for (int set = 0; set < MAX_SAMPLES; set++) {
        char *folder = fzi_arena_format(&data->arena, "%s/test_data_set_%d", path, set);
        if (!folder) return no_memory();
        if (!is_folder(folder)) break;
        for (uint32_t i = 0; i < data->graph->n_inputs; i++) {
            char *file = fzi_arena_format(&data->arena, "%s/input_%u.pb", folder, i);
            if (!file) return no_memory();
            FZ_TRY(add_message(data, i, file));
        }
    }
    return FZ_OK;
}

static fz_status_t open_npz(struct fz_data *data, const char *path) {
    for (uint32_t i = 0; i < data->graph->n_inputs; i++) {
        struct fz_array array;
        bool found;
        FZ_TRY(fzi_array_find(path, data->graph->inputs[i]->name, &array, &found));
        if (!found)
            return fzi_error(FZ_E_VALUE, "'%s' has no array for the input '%s'", path,
                             data->graph->inputs[i]->name);
        FZ_TRY(add_array(data, i, &array, false));
    }
    return FZ_OK;
}

/* ---- the whole */

/* All inputs have as many samples, or one for all. */
static fz_status_t count(struct fz_data *data, const char *path) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < data->graph->n_inputs; i++) {
        const struct source *s = &data->sources[i];
        if (!s->count)
            return fzi_error(FZ_E_VALUE, "'%s' has no samples of the input '%s'", path,
                             data->graph->inputs[i]->name);
        if (s->count > data->sources[most].count) most = i;
    }
    data->count = data->graph->n_inputs ? data->sources[most].count : 0;
    for (uint32_t i = 0; i < data->graph->n_inputs; i++)
        if (data->sources[i].count != 1 && data->sources[i].count != data->count)
            return fzi_error(FZ_E_VALUE, "'%s' has %zu samples of the input '%s' and %zu of '%s'",
                             path, data->sources[i].count, data->graph->inputs[i]->name,
                             data->count, data->graph->inputs[most]->name);
    return data->count ? FZ_OK : fzi_error(FZ_E_VALUE, "the model has no inputs");
}

static fz_status_t open_path(struct fz_data *data, const char *path) {
    char *own = fzi_arena_string(&data->arena, path);
    char *tests = fzi_arena_format(&data->arena, "%s/test_data_set_0", path);
    data->sources = fzi_arena_array(&data->arena, data->graph->n_inputs, sizeof *data->sources);
    if (!own || !tests || !data->sources) return no_memory();
    if (!exists(own)) return fzi_error(FZ_E_IO, "there are no samples at '%s'", path);
    if (!is_folder(own)) FZ_TRY(open_npz(data, own));
    else if (is_folder(tests)) FZ_TRY(open_tests(data, own));
    else FZ_TRY(open_arrays(data, own));
    return count(data, path);
}

fz_status_t fzi_data_open(const char *path, const struct fz_graph *graph, struct fz_data **out) {
    *out = NULL;
    struct fz_data *data = fzi_calloc(1, sizeof *data);
    if (!data) return no_memory();
    data->graph = graph;
    fz_status_t status = open_path(data, path);
    if (status == FZ_OK) *out = data;
    else fzi_data_close(data);
    return status;
}

void fzi_data_close(struct fz_data *data) {
    if (!data) return;
    for (uint32_t i = 0; data->sources && i < data->graph->n_inputs; i++)
        fzi_free(data->sources[i].bytes);
    fzi_arena_free(&data->messages);
    fzi_arena_free(&data->arena);
    fzi_free(data);
}

size_t fzi_data_count(const struct fz_data *data) { return data->count; }

static struct part *find(struct source *s, size_t index) {
    struct part *part = s->current && s->current->first <= index ? s->current : s->first;
    while (index - part->first >= part->count) part = part->next;
    return s->current = part;
}

static fz_status_t read_array(struct source *s, const struct part *part, size_t index,
                              fz_tensor_t *out) {
    if (s->capacity < out->size || !s->bytes) {
        fzi_free(s->bytes);
        s->bytes = fzi_alloc_aligned(out->size);
        s->capacity = s->bytes ? out->size : 0;
        if (!s->bytes) return no_memory();
    }
    out->data = s->bytes;
    return fzi_array_read(&part->array, (uint64_t)(index - part->first) * out->size, s->bytes,
                          out->size);
}

fz_status_t fzi_data_read(struct fz_data *data, size_t index, fz_tensor_t *out) {
    fzi_arena_free(&data->messages);
    for (uint32_t i = 0; i < data->graph->n_inputs; i++) {
        struct source *s = &data->sources[i];
        size_t own = s->count == 1 ? 0 : index;
        const struct part *part = find(s, own);
        out[i] = part->sample;
        if (part->message) FZ_TRY(read_message(part->array.path, &data->messages, &out[i]));
        else FZ_TRY(read_array(s, part, own, &out[i]));
    }
    return FZ_OK;
}
