/* Custom operators from shared objects that the command line names; nothing else is ever loaded. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <frozen/custom.h>

#include "cli.h"

struct list custom_libraries;

struct tables {
    const fz_custom_op_t **ops;
    size_t n;
};

/* A name without '/' is a file of this folder, not one of the system's. */
static void *open_library(const char *path) {
    char here[4096];
    if (strchr(path, '/')) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (strlen(path) + 3 > sizeof here) return NULL;
    strcpy(here, "./");
    return dlopen(strcat(here, path), RTLD_NOW | RTLD_LOCAL);
}

/* Adds what the shared object at PATH has; it stays loaded until the program ends. */
static bool add_library(struct tables *t, const char *path) {
    void *handle = open_library(path);
    if (!handle) return trouble("--custom: %s", dlerror()), false;
    fz_custom_ops_fn give;
    void *symbol = dlsym(handle, "frozen_custom_ops");
    if (!symbol)
        return trouble("--custom: '%s' does not define frozen_custom_ops()", path), false;
    memcpy(&give, &symbol, sizeof give);
    size_t n = 0;
    const fz_custom_op_t *const *ops = give(&n);
    if (!ops || n > 65535) return trouble("--custom: '%s' gives no operators", path), false;
    t->ops = must(realloc(t->ops, (t->n + n + 1) * sizeof *t->ops));
    memcpy(t->ops + t->n, ops, n * sizeof *ops);
    t->n += n;
    return true;
}

bool load_custom(const fz_custom_t **out) {
    static fz_custom_t *custom; /* for all models of the program */
    struct tables t = {NULL, 0};
    bool good = true;
    for (size_t i = 0; !custom && good && i < custom_libraries.n; i++)
        good = add_library(&t, custom_libraries.items[i]);
    if (good && t.n && fz_custom_create(t.ops, t.n, &custom) != FZ_OK)
        good = (trouble("--custom: %s", fz_last_error()), false);
    free(t.ops);
    *out = custom;
    return good;
}
