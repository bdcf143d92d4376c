/* Arguments, messages, opening models. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#ifdef FZ_HAVE_STORE
#include <frozen/store.h>
#endif

int trouble(const char *format, ...) {
    va_list args;
    end_progress();
    va_start(args, format);
    fprintf(stderr, "fz: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return TROUBLE;
}

int library_trouble(const char *what) { return trouble("%s: %s", what, fz_last_error()); }

void *must(void *memory) {
    if (!memory) exit(trouble("out of memory"));
    return memory;
}

/* Lists live until the program ends: every way out of a verb may leave them. */
static void *owned[64];
static size_t n_owned;

static void free_owned(void) {
    while (n_owned) free(owned[--n_owned]);
}

/* The first item makes room for as many as there are arguments. */
static void add(struct list *list, const char *item, int argc) {
    if (!list->items) {
        list->items = must(calloc((size_t)argc + 1, sizeof *list->items));
        if (n_owned == 0) atexit(free_owned);
        if (n_owned < sizeof owned / sizeof *owned) owned[n_owned++] = list->items;
    }
    list->items[list->n++] = item;
}

/* Takes ARGV[*I] as one of the options; a value may follow it or stand behind '='. */
static bool take(int argc, char **argv, int *i, const struct option *options, size_t n) {
    const char *arg = argv[*i], *equals = strchr(arg, '=');
    size_t length = equals ? (size_t)(equals - arg) : strlen(arg);
    for (size_t j = 0; j < n; j++) {
        const struct option *o = &options[j];
        if (strlen(o->name) != length || memcmp(o->name, arg, length) != 0) continue;
        if (o->flag) {
            *o->flag = true;
            return equals ? (trouble("%s takes no value", o->name), false) : true;
        }
        const char *value = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value) return trouble("%s needs a value", o->name), false;
        if (o->list) add(o->list, value, argc);
        else *o->value = value;
        return true;
    }
    return trouble("unknown option '%s'", arg), false;
}

bool parse(int argc, char **argv, const struct option *options, size_t n_options,
           struct list *operands) {
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        if (!only_operands && strcmp(argv[i], "--") == 0) only_operands = true;
        else if (only_operands || argv[i][0] != '-' || argv[i][1] == 0)
            add(operands, argv[i], argc);
        else if (!take(argc, argv, &i, options, n_options)) return false;
    }
    return true;
}

bool split_pair(const char *text, char **name, const char **value) {
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text) {
        trouble("'%s' is not of the form NAME=VALUE", text);
        return false;
    }
    *name = must(strndup(text, (size_t)(equals - text)));
    *value = equals + 1;
    return true;
}

bool parse_number(const char *text, const char *option, double low, double high, double *out) {
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (errno || end == text || *end || !(*out >= low && *out <= high)) {
        trouble("%s: '%s' is not a number from %g to %g", option, text, low, high);
        return false;
    }
    return true;
}

bool is_frozen(const char *path) {
    char head[8] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    return n == sizeof head && memcmp(head, "\x89" "FROZEN", 7) == 0;
}

#ifdef FZ_HAVE_STORE
/* store:DIR:REF is the blob of REF, and nothing else. */
static bool open_stored(const char *name, const fz_open_options_t *options, fz_model_t **out) {
    char dir[4096], path[4400], hex[65];
    const char *ref = strrchr(name, ':');
    int n = snprintf(dir, sizeof dir, "%.*s", (int)(ref - name), name);
    if (n < 0 || (size_t)n >= sizeof dir) return trouble("the path is too long"), false;
    fz_open_options_t o = *options;
    fz_status_t status = fz_store_resolve(dir, ref + 1, hex, path, sizeof path);
    /* With a digest of the caller's own, that one. A mapped file is not read for it. */
    if (!o.expect && !(o.flags & FZ_OPEN_MAP)) o.expect = hex;
    if (status == FZ_OK) status = fz_model_open(path, &o, out);
    if (status == FZ_OK) return true;
    trouble("%s", fz_last_error());
    return false;
}
#endif

bool open_model(const char *path, const fz_open_options_t *options, fz_model_t **out) {
    fz_open_options_t o = options ? *options : (fz_open_options_t){.size = sizeof o};
    if (!load_custom(&o.custom)) return false;
#ifdef FZ_HAVE_STORE
    if (strncmp(path, "store:", 6) == 0 && strchr(path + 6, ':'))
        return open_stored(path + 6, &o, out);
#endif
    fz_freeze_options_t freeze = {.size = sizeof freeze, .progress = show_progress,
                                  .custom = o.custom};
    fz_status_t status = is_frozen(path) ? fz_model_open(path, &o, out)
                                         : fz_freeze_open(path, &freeze, &o, out);
    end_progress();
    if (status == FZ_OK) return true;
    trouble("%s", fz_last_error());
    return false;
}

static bool progress_shown;

int show_progress(void *context, double done, const char *phase) {
    (void)context;
    if (!isatty(STDERR_FILENO)) return 0;
    fprintf(stderr, "\r%3.0f %% %-20s", done * 100, phase);
    progress_shown = true;
    return 0;
}

void end_progress(void) {
    if (progress_shown) fprintf(stderr, "\r%30s\r", "");
    progress_shown = false;
}

bool read_dims(const struct list *list, fz_dim_binding_t *dims) {
    for (size_t i = 0; i < list->n; i++) {
        char *name;
        const char *value;
        double n;
        if (!split_pair(list->items[i], &name, &value)) return false;
        dims[i].name = name;
        if (!parse_number(value, "--dim", 0, 1e15, &n)) return false;
        dims[i].value = (int64_t)n;
    }
    return true;
}
