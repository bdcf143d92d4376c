/* fz compare: two models on the same inputs, or two folders of .npy files. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "difference.h"

struct arguments {
    bool nodes;
    struct list inputs, operands;
};

/* Values by name, as a run gives them. */
struct values {
    struct named {
        char *name;
        fz_tensor_t t;
    } *items;
    size_t n;
};

static bool is_nested(const fz_tensor_t *t) { return fz_type_kind(t->dtype) != FZ_KIND_TENSOR; }

/* Strings and their texts in one block. */
static void *copy_strings(const fz_tensor_t *t) {
    size_t n = (size_t)count_of(t), total = 0;
    const fz_string_t *from = t->data;
    for (size_t i = 0; i < n; i++) total += from[i].size;
    fz_string_t *strings = must(malloc(n * sizeof *strings + total + 1));
    char *text = (char *)(strings + n);
    for (size_t i = 0; i < n; text += from[i++].size) {
        strings[i] = (fz_string_t){text, from[i].size};
        if (from[i].size) memcpy(text, from[i].text, from[i].size);
    }
    return strings;
}

/* T over memory of its own, what its elements point to included. */
static fz_tensor_t copy_of(const fz_tensor_t *t) {
    fz_tensor_t copy = *t;
    if (t->dtype == FZ_TYPE_STRING) {
        copy.data = copy_strings(t);
        return copy;
    }
    copy.data = must(malloc(t->size + 1));
    if (t->size) memcpy(copy.data, t->data, t->size);
    for (int64_t i = 0; is_nested(t) && i < t->dims[0]; i++)
        ((fz_tensor_t *)copy.data)[i] = copy_of((const fz_tensor_t *)t->data + i);
    return copy;
}

static void free_copy(fz_tensor_t *t) {
    for (int64_t i = 0; is_nested(t) && i < t->dims[0]; i++) free_copy((fz_tensor_t *)t->data + i);
    free_tensor(t);
}

static void keep(struct values *values, const char *name, const fz_tensor_t *t) {
    values->items = must(realloc(values->items, (values->n + 1) * sizeof *values->items));
    struct named *item = &values->items[values->n++];
    item->name = must(strdup(name));
    item->t = copy_of(t);
}

static void free_values(struct values *values) {
    for (size_t i = 0; i < values->n; i++) {
        free(values->items[i].name);
        free_copy(&values->items[i].t);
    }
    free(values->items);
}

static const struct named *find(const struct values *values, const char *name) {
    for (size_t i = 0; i < values->n; i++)
        if (strcmp(values->items[i].name, name) == 0) return &values->items[i];
    return NULL;
}

static void keep_step(void *context, size_t step, const char *op, const char *node,
                      const char *const *names, const fz_tensor_t *outputs, size_t n_outputs,
                      uint64_t ns) {
    (void)step, (void)op, (void)node, (void)ns;
    for (size_t i = 0; i < n_outputs; i++)
        if (fz_type_bits(outputs[i].dtype) >= 8) keep(context, names[i], &outputs[i]);
}

static bool run_model(fz_model_t *model, const struct arguments *a, struct values *out) {
    struct inputs inputs;
    fz_session_t *session = NULL;
    size_t n = fz_model_output_count(model);
    fz_tensor_t *outputs = must(calloc(n + 1, sizeof *outputs));
    if (!collect_inputs(model, &a->inputs, NULL, true, &inputs)) return free(outputs), false;
    bool good = fz_session_create(model, NULL, &session) == FZ_OK;
    if (good && a->nodes) fz_session_set_trace(session, keep_step, out);
    good = good && fz_session_run(session, inputs.tensors, inputs.n, outputs, n) == FZ_OK;
    for (size_t i = 0; good && i < n; i++) {
        fz_io_t io;
        fz_model_output(model, i, &io);
        keep(out, io.name, &outputs[i]);
    }
    if (!good) trouble("%s", fz_last_error());
    fz_session_close(session);
    free_inputs(&inputs);
    free(outputs);
    return good;
}

static bool read_folder(const char *path, struct values *out) {
    DIR *dir = opendir(path);
    bool good = dir != NULL;
    for (struct dirent *e; good && (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        if (n < 4 || strcmp(e->d_name + n - 4, ".npy") != 0) continue;
        char file[4096];
        fz_tensor_t t;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        good = read_npy(file, &t);
        if (good) keep(out, e->d_name, &t);
        free_tensor(&t);
    }
    if (dir) closedir(dir);
    else trouble("cannot open '%s'", path);
    return good;
}

static bool load(const char *path, const struct arguments *a, struct values *out) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return read_folder(path, out);
    fz_model_t *model;
    if (!open_model(path, NULL, &model)) return false;
    bool good = run_model(model, a, out);
    fz_model_close(model);
    return good;
}

static int print(const struct values *a, const struct values *b) {
    size_t n_different = 0, n_common = 0;
    printf("%-40s %12s %12s %10s\n", "value", "max abs", "max ULP", "SQNR dB");
    for (size_t i = 0; i < a->n; i++) {
        const struct named *other = find(b, a->items[i].name);
        if (!other) continue;
        struct difference d = difference_of(&a->items[i].t, &other->t, 0, 0, 0);
        n_common++;
        n_different += !d.equal;
        if (!d.shapes) printf("%-40s shapes or types differ\n", a->items[i].name);
        else if (d.equal) printf("%-40s equal bits\n", a->items[i].name);
        else
            printf("%-40s %12.4g %12.0f %10.1f\n", a->items[i].name, d.max_abs, d.max_ulp, d.sqnr);
    }
    printf("%zu values compared, %zu differ\n", n_common, n_different);
    if (n_common == 0) trouble("nothing to compare: no value has the same name in both");
    return n_different || !n_common ? FAILED : GOOD;
}

int verb_compare(int argc, char **argv) {
    struct arguments a = {0};
    const struct option options[] = {{"--input", NULL, NULL, &a.inputs},
                                     {"--nodes", NULL, &a.nodes, NULL},
                                     {"--custom", NULL, NULL, &custom_libraries}};
    if (!parse(argc, argv, options, 3, &a.operands)) return TROUBLE;
    if (a.operands.n != 2)
        return trouble("usage: fz compare A B [--input NAME=FILE.npy] [--nodes]");
    struct values x = {0}, y = {0};
    int status = TROUBLE;
    if (load(a.operands.items[0], &a, &x) && load(a.operands.items[1], &a, &y))
        status = print(&x, &y);
    free_values(&x);
    free_values(&y);
    return status;
}
