/* fz audit, fz replay: what a log of receipts proves. */
#include <dirent.h>
#include <frozen/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* A log that does not hold is a check that failed; one that cannot be read is trouble. */
static int verdict(fz_status_t status) {
    trouble("%s", fz_last_error());
    bool failed = status == FZ_E_CORRUPT || status == FZ_E_SIGNATURE || status == FZ_E_DIGEST;
    return failed ? FAILED : TROUBLE;
}

int verb_audit(int argc, char **argv) {
    fz_log_options_t o = {.size = sizeof o};
    struct list operands = {0};
    const struct option options[] = {{"--key", &o.signer, NULL, NULL},
                                     {"--head", &o.head, NULL, NULL}};
    if (!parse(argc, argv, options, 2, &operands)) return TROUBLE;
    if (operands.n != 1) return trouble("usage: fz audit LOG [--key PUBLIC.pem] [--head HEX]");
    uint64_t n;
    char head[65];
    fz_status_t status = fz_log_audit(operands.items[0], &o, &n, head);
    if (status != FZ_OK) return verdict(status);
    printf("ok %llu entries%s, head %s\n", (unsigned long long)n, o.signer ? ", all signed" : "",
           head);
    return GOOD;
}

/* ---- replay */

/* A set of inputs on the disk, and the digest of its tensors. */
struct input_set {
    char hex[65];
    char *folder;
};

/* A model that was opened. */
struct opened {
    char id[65];
    fz_model_t *model;
};

struct replay {
    double threads;
    struct opened *models;
    size_t n_models;
    struct input_set *sets;
    size_t n_sets;
    size_t passed, failed;
};

static void add_model(struct replay *r, const char *path) {
    struct opened o;
    fz_open_options_t options = {.size = sizeof options};
    if (!load_custom(&options.custom)) return;
    if (fz_model_open(path, &options, &o.model) != FZ_OK || fz_model_id(o.model, o.id) != FZ_OK) {
        trouble("%s: left out", fz_last_error());
        return;
    }
    r->models = must(realloc(r->models, (r->n_models + 1) * sizeof o));
    r->models[r->n_models++] = o;
}

/* input_0.npy, input_1.npy, ... of FOLDER. */
static bool read_set(const char *folder, struct inputs *out) {
    char path[4096];
    *out = (struct inputs){0};
    for (;; out->n++) {
        snprintf(path, sizeof path, "%s/input_%zu.npy", folder, out->n);
        if (access(path, R_OK) != 0) return true;
        out->tensors = must(realloc(out->tensors, (out->n + 1) * sizeof *out->tensors));
        out->tensors[out->n] = (fz_tensor_t){0};
        if (!read_npy(path, &out->tensors[out->n])) {
            free_inputs(out);
            return false;
        }
    }
}

static void add_set(struct replay *r, const char *folder) {
    struct inputs inputs;
    struct input_set set;
    uint8_t digest[32];
    if (!read_set(folder, &inputs)) return;
    if (inputs.n > 0 && fz_tensor_digest(inputs.tensors, inputs.n, digest) == FZ_OK) {
        for (int i = 0; i < 32; i++) snprintf(set.hex + 2 * i, 3, "%02x", digest[i]);
        set.folder = must(strdup(folder));
        r->sets = must(realloc(r->sets, (r->n_sets + 1) * sizeof set));
        r->sets[r->n_sets++] = set;
    }
    free_inputs(&inputs);
}

/* DIR, and what lies one folder below: sets of inputs, and frozen files. */
static bool scan(struct replay *r, const char *dir) {
    char path[4096];
    DIR *handle = opendir(dir);
    if (!handle) return trouble("cannot open the folder '%s'", dir), false;
    add_set(r, dir);
    for (struct dirent *e; (e = readdir(handle));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (is_frozen(path)) add_model(r, path);
        else if (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN || e->d_type == DT_LNK)
            add_set(r, path);
    }
    closedir(handle);
    return true;
}

static fz_model_t *find_model(const struct replay *r, const char *id) {
    for (size_t i = 0; i < r->n_models; i++)
        if (strcmp(r->models[i].id, id) == 0) return r->models[i].model;
    return NULL;
}

static const char *find_set(const struct replay *r, const char *hex) {
    for (size_t i = 0; i < r->n_sets; i++)
        if (strcmp(r->sets[i].hex, hex) == 0) return r->sets[i].folder;
    return NULL;
}

/* Runs again and digests the outputs: false after a message in WHY. */
static bool run_again(const struct replay *r, fz_model_t *model, const struct inputs *inputs,
                      char hex[65], char *why, size_t size) {
    fz_session_options_t options = {.size = sizeof options,
                                    .threads = r->threads == 0 ? -1 : (int32_t)r->threads};
    size_t n = fz_model_output_count(model);
    fz_tensor_t *outputs = must(calloc(n + 1, sizeof *outputs));
    fz_session_t *session = NULL;
    uint8_t digest[32];
    bool good = fz_session_create(model, &options, &session) == FZ_OK &&
                fz_session_run(session, inputs->tensors, inputs->n, outputs, n) == FZ_OK &&
                fz_tensor_digest(outputs, n, digest) == FZ_OK;
    for (int i = 0; good && i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (!good) snprintf(why, size, "%s", fz_last_error());
    fz_session_close(session);
    free(outputs);
    return good;
}

static bool check(const struct replay *r, const fz_log_entry_t *e, char *why, size_t size) {
    struct inputs inputs;
    char hex[65];
    fz_model_t *model = find_model(r, e->model);
    const char *folder = find_set(r, e->input);
    if (!model) return snprintf(why, size, "no model %s is there", e->model), false;
    if (!folder) return snprintf(why, size, "no inputs %s are there", e->input), false;
    if (!read_set(folder, &inputs))
        return snprintf(why, size, "the inputs in '%s' cannot be read", folder), false;
    bool good = run_again(r, model, &inputs, hex, why, size);
    free_inputs(&inputs);
    if (!good || strcmp(hex, e->output) == 0) return good;
    return snprintf(why, size, "the outputs differ: logged %s, now %s", e->output, hex), false;
}

static int replay_entry(void *context, const fz_log_entry_t *entry) {
    struct replay *r = context;
    char why[4400] = "";
    bool good = check(r, entry, why, sizeof why);
    if (good) r->passed++;
    else r->failed++;
    printf("%s %llu %s %.16s%s%s\n", good ? "same" : "FAIL", (unsigned long long)entry->seq,
           entry->time, entry->model, good ? "" : ": ", why);
    return 0;
}

static void release(struct replay *r) {
    for (size_t i = 0; i < r->n_models; i++) fz_model_close(r->models[i].model);
    for (size_t i = 0; i < r->n_sets; i++) free(r->sets[i].folder);
    free(r->models);
    free(r->sets);
}

int verb_replay(int argc, char **argv) {
    const char *inputs = NULL, *threads = "1";
    struct replay r = {0};
    fz_log_options_t o = {.size = sizeof o, .visit = replay_entry, .visit_context = &r};
    struct list operands = {0}, models = {0};
    const struct option options[] = {
        {"--inputs", &inputs, NULL, NULL},  {"--model", NULL, NULL, &models},
        {"--threads", &threads, NULL, NULL}, {"--key", &o.signer, NULL, NULL},
        {"--custom", NULL, NULL, &custom_libraries}};
    if (!parse(argc, argv, options, 5, &operands)) return TROUBLE;
    if (operands.n != 1 || !inputs)
        return trouble("usage: fz replay LOG --inputs DIR [--model FILE.fz]...");
    if (!parse_number(threads, "--threads", 0, 1024, &r.threads)) return TROUBLE;
    for (size_t i = 0; i < models.n; i++) add_model(&r, models.items[i]);
    int result = TROUBLE;
    if (scan(&r, inputs)) {
        fz_status_t status = fz_log_audit(operands.items[0], &o, NULL, NULL);
        if (status == FZ_OK) printf("%zu passed, %zu failed\n", r.passed, r.failed);
        result = status != FZ_OK ? verdict(status) : r.failed ? FAILED : GOOD;
    }
    release(&r);
    return result;
}
