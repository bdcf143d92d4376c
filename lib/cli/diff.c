/* fz diff: what tells two models apart. fz export-onnx: the file that a model was made from. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- lists of named things, sorted, walked in parallel */

/* KEY is what is matched; WHAT tells equal ones apart. Both are the item's own. */
struct item {
    char *key, *what;
    size_t index;
};

struct items {
    struct item *data;
    size_t n;
};

static void add(struct items *items, char *key, char *what, size_t index) {
    items->data = must(realloc(items->data, (items->n + 1) * sizeof *items->data));
    items->data[items->n++] = (struct item){key, what, index};
}

static int by_key(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

static void release(struct items *items) {
    for (size_t i = 0; i < items->n; i++) {
        free(items->data[i].key);
        free(items->data[i].what);
    }
    free(items->data);
}

struct pair {
    const fz_model_t *a, *b;
    size_t n_differences;
};

static void differ(struct pair *p, const char *kind, const char *name, const char *how) {
    printf("%-9s %s: %s\n", kind, name, how);
    p->n_differences++;
}

/* Calls SAME for items with equal keys, in their order; tells of those that one side lacks. */
static void walk(struct pair *p, const char *kind, struct items *a, struct items *b,
                 void (*same)(struct pair *, const struct item *, const struct item *)) {
    if (a->n) qsort(a->data, a->n, sizeof *a->data, by_key);
    if (b->n) qsort(b->data, b->n, sizeof *b->data, by_key);
    for (size_t i = 0, j = 0; i < a->n || j < b->n;) {
        int order = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->data[i].key, b->data[j].key);
        if (order < 0) differ(p, kind, a->data[i++].key, "only in A");
        else if (order > 0) differ(p, kind, b->data[j++].key, "only in B");
        else same(p, &a->data[i++], &b->data[j++]);
    }
    release(a);
    release(b);
}

static char *text(const char *format, const char *a, const char *b) {
    char *out = NULL;
    if (asprintf(&out, format, a, b) < 0) out = NULL;
    return must(out);
}

/* ---- descriptions: lines */

static void same_line(struct pair *p, const struct item *a, const struct item *b) {
    (void)p, (void)a, (void)b;
}

static struct items lines_of(const fz_model_t *model, const char *key) {
    struct items items = {0};
    const char *line = fz_model_text(model, key);
    while (line && *line) {
        size_t n = strcspn(line, "\n");
        add(&items, must(strndup(line, n)), NULL, items.n);
        line += n + (line[n] == '\n');
    }
    return items;
}

static void diff_lines(struct pair *p, const char *kind, const char *key) {
    struct items a = lines_of(p->a, key), b = lines_of(p->b, key);
    walk(p, kind, &a, &b, same_line);
}

/* ---- inputs and outputs */

static struct items signature_of(const fz_model_t *model, bool output) {
    struct items items = {0};
    fz_io_t io;
    for (size_t i = 0;
         (output ? fz_model_output(model, i, &io) : fz_model_input(model, i, &io)) == FZ_OK; i++) {
        char shape[512] = "";
        size_t used = 0;
        for (int32_t d = 0; d < io.rank && used < sizeof shape - 80; d++) {
            if (io.dims[d] < 0)
                used += (size_t)snprintf(shape + used, 64, ",%.40s", io.dim_names[d]);
            else used += (size_t)snprintf(shape + used, 64, ",%lld", (long long)io.dims[d]);
        }
        char *what = text("%s [%s]", fz_type_name(io.dtype), *shape ? shape + 1 : "");
        add(&items, must(strdup(io.name)), what, i);
    }
    return items;
}

static void same_signature(struct pair *p, const struct item *a, const struct item *b) {
    if (strcmp(a->what, b->what) == 0) return;
    char *how = text("%s in A, %s in B", a->what, b->what);
    differ(p, "value", a->key, how);
    free(how);
}

/* ---- steps */

static struct items steps_of(const fz_model_t *model) {
    struct items items = {0};
    fz_step_t s;
    for (size_t i = 0; fz_model_step(model, i, &s) == FZ_OK; i++) {
        char *op = text(*s.domain ? "%s.%s" : "%s%s", s.domain, s.op);
        add(&items, text("%s (%s)", s.node, op), NULL, i);
        free(op);
    }
    return items;
}

static void same_step(struct pair *p, const struct item *a, const struct item *b) {
    fz_step_t x, y;
    char how[256] = "";
    fz_model_step(p->a, a->index, &x);
    fz_model_step(p->b, b->index, &y);
    if (x.opset != y.opset || x.rev != y.rev)
        snprintf(how, sizeof how, "opset %d rev %d in A, opset %d rev %d in B", x.opset, x.rev,
                 y.opset, y.rev);
    else if (x.params_size != y.params_size || memcmp(x.params, y.params, x.params_size) != 0)
        snprintf(how, sizeof how, "other attributes");
    else if (x.n_inputs != y.n_inputs || x.n_outputs != y.n_outputs)
        snprintf(how, sizeof how, "%u inputs and %u outputs in A, %u and %u in B", x.n_inputs,
                 x.n_outputs, y.n_inputs, y.n_outputs);
    for (uint32_t i = 0; !*how && i < x.n_inputs; i++) {
        const char *u = fz_model_step_value(p->a, a->index, i);
        const char *v = fz_model_step_value(p->b, b->index, i);
        if (strcmp(u, v) != 0)
            snprintf(how, sizeof how, "input %u is '%.80s' in A, '%.80s' in B", i, u, v);
    }
    if (*how) differ(p, "node", a->key, how);
}

/* ---- constants */

static struct items constants_of(const fz_model_t *model) {
    struct items items = {0};
    fz_constant_t c;
    for (size_t i = 0; fz_model_constant(model, i, &c) == FZ_OK; i++)
        add(&items, must(strdup(c.name)), NULL, i);
    return items;
}

/* The size that was changed in elements, where elements are whole bytes. */
static void count_changes(const fz_tensor_t *x, const fz_tensor_t *y, char *how, size_t size) {
    size_t width = (size_t)fz_type_bits(x->dtype) / 8, n = 0;
    double most = 0;
    if (width == 0) width = 1;
    for (size_t i = 0; (i + 1) * width <= x->size; i++) {
        if (memcmp((char *)x->data + i * width, (char *)y->data + i * width, width) == 0) continue;
        n++;
        double d = element(x, (int64_t)i) - element(y, (int64_t)i);
        if (d < 0) d = -d;
        if (d > most) most = d;
    }
    snprintf(how, size, "%zu of %zu elements differ, by up to %g", n, x->size / width, most);
}

static void same_constant(struct pair *p, const struct item *a, const struct item *b) {
    fz_constant_t x, y;
    char how[400], s[160], t[160];
    fz_model_constant(p->a, a->index, &x);
    fz_model_constant(p->b, b->index, &y);
    shape_text(&x.tensor, s, sizeof s);
    shape_text(&y.tensor, t, sizeof t);
    if (strcmp(s, t) != 0 || x.tensor.size != y.tensor.size)
        snprintf(how, sizeof how, "%s in A, %s in B", s, t);
    else if (x.tensor.dtype == FZ_TYPE_STRING || x.tensor.size == 0 ||
             memcmp(x.tensor.data, y.tensor.data, x.tensor.size) == 0)
        return;
    else count_changes(&x.tensor, &y.tensor, how, sizeof how);
    differ(p, "tensor", a->key, how);
}

static int diff(struct pair *p) {
    char x[65] = "", y[65] = "";
    fz_model_id(p->a, x);
    fz_model_id(p->b, y);
    if (strcmp(x, y) == 0) {
        printf("same %s\n", x);
        return GOOD;
    }
    printf("A %s\nB %s\n", x, y);
    if (strcmp(fz_model_profile(p->a), fz_model_profile(p->b)) != 0) {
        char *how = text("%s in A, %s in B", fz_model_profile(p->a), fz_model_profile(p->b));
        differ(p, "profile", "numerics", how);
        free(how);
    }
    diff_lines(p, "origin", "provenance");
    diff_lines(p, "metadata", "metadata");
    for (int output = 0; output < 2; output++) {
        struct items a = signature_of(p->a, output), b = signature_of(p->b, output);
        walk(p, output ? "output" : "input", &a, &b, same_signature);
    }
    struct items a = steps_of(p->a), b = steps_of(p->b);
    walk(p, "node", &a, &b, same_step);
    a = constants_of(p->a), b = constants_of(p->b);
    walk(p, "tensor", &a, &b, same_constant);
    printf("%zu differences\n", p->n_differences);
    return FAILED;
}

int verb_diff(int argc, char **argv) {
    struct list operands = {0};
    const struct option options[] = {{"--custom", NULL, NULL, &custom_libraries}};
    fz_model_t *a, *b;
    if (!parse(argc, argv, options, 1, &operands)) return TROUBLE;
    if (operands.n != 2) return trouble("usage: fz diff A B");
    if (!open_model(operands.items[0], NULL, &a)) return TROUBLE;
    if (!open_model(operands.items[1], NULL, &b)) {
        fz_model_close(a);
        return TROUBLE;
    }
    struct pair p = {.a = a, .b = b};
    int status = diff(&p);
    fz_model_close(a);
    fz_model_close(b);
    return status;
}

int verb_export_onnx(int argc, char **argv) {
    const char *out = NULL;
    struct list operands = {0};
    const struct option options[] = {{"-o", &out, NULL, NULL},
                                     {"--custom", NULL, NULL, &custom_libraries}};
    fz_model_t *model;
    const void *data;
    size_t size;
    if (!parse(argc, argv, options, 2, &operands)) return TROUBLE;
    if (operands.n != 1 || !out) return trouble("usage: fz export-onnx FILE.fz -o OUT.onnx");
    if (!open_model(operands.items[0], NULL, &model)) return TROUBLE;
    int status = GOOD;
    if (fz_model_onnx(model, &data, &size) != FZ_OK) {
        status = library_trouble(operands.items[0]);
    } else {
        FILE *file = fopen(out, "wb");
        bool good = file && fwrite(data, 1, size, file) == size;
        if (file && fclose(file) != 0) good = false;
        if (good) printf("%s %zu bytes\n", out, size);
        else status = trouble("cannot write '%s': %s", out, strerror(errno));
    }
    fz_model_close(model);
    return status;
}
