/* fz store VERB DIR ...: a content-addressed store of frozen models. */
#include <frozen/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* What stands behind DIR, and the options of all verbs. */
struct arguments {
    const char *dir, *ref, *second, *tag, *out, *keep;
    bool undo;
};

/* A store that is damaged is a check that failed; everything else is trouble. */
static int answer(fz_status_t status) {
    if (status == FZ_OK) return GOOD;
    trouble("%s", fz_last_error());
    return status == FZ_E_CORRUPT ? FAILED : TROUBLE;
}

static int init(const struct arguments *a) { return answer(fz_store_init(a->dir)); }

static int put(const struct arguments *a) {
    char hex[65];
    fz_status_t status = fz_store_put(a->dir, a->ref, a->tag, hex);
    if (status == FZ_OK) printf("%s\n", hex);
    return answer(status);
}

static int get(const struct arguments *a) {
    if (!a->out) return trouble("usage: fz store get DIR REF -o FILE");
    return answer(fz_store_get(a->dir, a->ref, a->out));
}

static int print_model(void *context, const fz_store_item_t *item) {
    (void)context;
    printf("%s %12llu %s%s%s\n", item->id, (unsigned long long)item->file_size,
           item->is_pinned ? "pinned" : "-", *item->tags ? " " : "", item->tags);
    return 0;
}

static int ls(const struct arguments *a) {
    return answer(fz_store_list(a->dir, print_model, NULL));
}

static int tag(const struct arguments *a) {
    return answer(fz_store_tag(a->dir, a->ref, a->second));
}

static int print_change(void *context, const fz_store_item_t *item) {
    (void)context;
    printf("%s %-8s %s\n", item->time, item->action, item->id);
    return 0;
}

static int history(const struct arguments *a) {
    return answer(fz_store_history(a->dir, a->ref, print_change, NULL));
}

static int rollback(const struct arguments *a) {
    char hex[65];
    fz_status_t status = fz_store_rollback(a->dir, a->ref, hex);
    if (status == FZ_OK) printf("%s\n", hex);
    return answer(status);
}

static int pin(const struct arguments *a) { return answer(fz_store_pin(a->dir, a->ref, !a->undo)); }

static int gc(const struct arguments *a) {
    uint64_t n, size;
    double keep = 0;
    if (a->keep && !parse_number(a->keep, "--keep", 1, 1e6, &keep)) return TROUBLE;
    fz_status_t status = fz_store_gc(a->dir, (uint32_t)keep, &n, &size);
    if (status == FZ_OK)
        printf("%llu files, %llu bytes removed\n", (unsigned long long)n,
               (unsigned long long)size);
    return answer(status);
}

static void print_problem(void *context, const char *what) {
    (void)context;
    printf("%s\n", what);
}

static int fsck(const struct arguments *a) {
    uint64_t n;
    fz_status_t status = fz_store_fsck(a->dir, print_problem, NULL, &n);
    if (status == FZ_OK) printf("ok %llu blobs\n", (unsigned long long)n);
    return answer(status);
}

static int path(const struct arguments *a) {
    char hex[65], text[4096];
    fz_status_t status = fz_store_resolve(a->dir, a->ref, hex, text, sizeof text);
    if (status == FZ_OK) printf("%s\n", text);
    return answer(status);
}

static const struct {
    const char *name;
    size_t n_operands; /* DIR included */
    int (*run)(const struct arguments *a);
} verbs[] = {
    {"init", 1, init},       {"put", 2, put},           {"get", 2, get}, {"ls", 1, ls},
    {"tag", 3, tag},         {"history", 2, history},   {"pin", 2, pin}, {"gc", 1, gc},
    {"rollback", 2, rollback}, {"fsck", 1, fsck},       {"path", 2, path},
};

int verb_store(int argc, char **argv) {
    struct arguments a = {0};
    struct list operands = {0};
    const struct option options[] = {{"--tag", &a.tag, NULL, NULL},
                                     {"-o", &a.out, NULL, NULL},
                                     {"--keep", &a.keep, NULL, NULL},
                                     {"--undo", NULL, &a.undo, NULL}};
    if (!parse(argc, argv, options, 4, &operands)) return TROUBLE;
    const char *name = operands.n ? operands.items[0] : "";
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, name) != 0) continue;
        if (operands.n - 1 != verbs[i].n_operands)
            return trouble("fz store %s: wrong number of arguments; try fz store --help", name);
        a.dir = operands.items[1];
        if (operands.n > 2) a.ref = operands.items[2];
        if (operands.n > 3) a.second = operands.items[3];
        return verbs[i].run(&a);
    }
    return trouble("there is no 'fz store %s'; try fz store --help", name);
}
