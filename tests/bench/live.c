/* How much memory a run holds, beside what it cannot do without.
 *
 * usage: live FILE.fz [NAME=DIMxDIM...]...     Open dimensions of inputs not named are 1
 *
 * Opens FILE sealed, runs it twice on inputs of zeros, and prints one line of JSON: the bytes of the
 * weights, of the caller's inputs, of the largest cut of live activations, and the peak of the
 * process. A cut is what lies between two steps: each value from the step that computes it to the
 * last that reads it, once where several share its bytes. What passes within a chain of steps is no
 * value, so a chain makes the cut smaller, not larger. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "exec/open.h"
#include "exec/session.h"

static int trouble(const char *what) {
    fprintf(stderr, "live: %s: %s\n", what, fzi_error_text());
    return 2;
}

/* Kilobytes of the process's largest resident set. */
static unsigned long peak_kb(void) {
    char line[256];
    unsigned long kb = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "VmHWM: %lu", &kb);
    if (file) fclose(file);
    return kb;
}

/* The dims of argument NAME=AxBxC, if there is one for NAME. */
static void read_dims(int argc, char **argv, const char *name, fz_tensor_t *t) {
    size_t n = strlen(name);
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], name, n) != 0 || argv[i][n] != '=') continue;
        char *at = argv[i] + n + 1;
        for (t->rank = 0; *at && t->rank < FZ_RANK_MAX; at += *at != 0)
            t->dims[t->rank++] = strtoll(at, &at, 10);
    }
}

static bool make_input(int argc, char **argv, const struct fz_model *model, size_t i,
                       fz_tensor_t *t) {
    *t = model->values[model->plan.io[i].value];
    if (t->rank < 0) t->rank = 0;
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0) t->dims[d] = 1;
    read_dims(argc, argv, model->plan.strings + model->plan.io[i].name, t);
    if (fzi_tensor_measure(t) != FZ_OK) return false;
    t->data = fzi_calloc(1, t->size + 64);
    return t->data != NULL;
}

/* ---- the cut */

/* Adds VALUE's life to that of the bytes it lies in. */
static void note(const struct fz_session *s, uint32_t value, uint32_t step, uint32_t *first,
                 uint32_t *last, uint64_t *size) {
    const struct fz_place *place = &s->current->places[value];
    uint32_t root = place->kind == FZ_PLACE_ARENA ? place->root : value;
    uint32_t end = s->model->last_use[value];
    uint64_t bytes = s->current->values[value].size;
    if (place->kind != FZ_PLACE_ARENA && place->kind != FZ_PLACE_NONE) return;
    if (end == FZ_NONE) end = step;
    if (!size[root] || step < first[root]) first[root] = step;
    if (end > last[root]) last[root] = end;
    if (bytes > size[root]) size[root] = bytes;
}

static void note_all(const struct fz_session *s, uint32_t *first, uint32_t *last, uint64_t *size) {
    const struct fz_plan *plan = &s->model->plan;
    for (uint32_t i = 0; i < plan->blocks[0].n_steps; i++) {
        const struct fz_plan_step *step = &plan->steps[plan->blocks[0].step + i];
        for (uint32_t j = 0; j < step->n_out; j++) {
            uint32_t v = plan->args[step->args + step->n_in + j];
            if (v != FZ_NONE) note(s, v, i, first, last, size);
        }
    }
    /* The caller may read an output as long as it likes. */
    for (size_t i = plan->n_inputs; i < plan->n_io; i++) {
        const struct fz_place *place = &s->current->places[plan->io[i].value];
        uint32_t root = place->kind == FZ_PLACE_ARENA ? place->root : plan->io[i].value;
        last[root] = (uint32_t)plan->blocks[0].n_steps;
    }
}

static uint64_t largest_cut(const struct fz_session *s) {
    size_t n = s->model->plan.n_values;
    uint32_t *first = fzi_calloc(n, sizeof *first), *last = fzi_calloc(n, sizeof *last);
    uint64_t *size = fzi_calloc(n, sizeof *size), most = 0;
    if (!first || !last || !size) exit(trouble("no memory"));
    note_all(s, first, last, size);
    for (uint32_t i = 0; i < s->model->plan.blocks[0].n_steps; i++) {
        uint64_t live = 0;
        for (size_t v = 0; v < n; v++)
            if (first[v] <= i && i <= last[v]) live += size[v];
        if (live > most) most = live;
    }
    fzi_free(first);
    fzi_free(last);
    fzi_free(size);
    return most;
}

static int run(int argc, char **argv, struct fz_model *model) {
    enum { MANY = 256 };
    static fz_tensor_t in[MANY], out[MANY];
    fz_session_options_t options = {.size = sizeof options, .threads = 1};
    struct fz_session *session;
    size_t n_in = model->plan.n_inputs, n_out = model->plan.n_outputs;
    uint64_t inputs = 0;
    if (n_in > MANY || n_out > MANY || fzi_session_new(model, &options, &session) != FZ_OK)
        return trouble("session");
    for (size_t i = 0; i < n_in; i++) {
        if (!make_input(argc, argv, model, i, &in[i])) return trouble("input");
        inputs += in[i].size;
    }
    for (int i = 0; i < 2; i++) {
        memset(out, 0, sizeof out);
        if (fzi_session_run(session, in, n_in, out, n_out) != FZ_OK) return trouble("run");
    }
    printf("{\"weights\": %llu, \"inputs\": %llu, \"cut\": %llu, \"arena\": %llu, \"peak\": %llu}\n",
           (unsigned long long)model->seal.size, (unsigned long long)inputs,
           (unsigned long long)largest_cut(session),
           (unsigned long long)session->current->arena_size, peak_kb() * 1024ull);
    fzi_session_free(session);
    return 0;
}

int main(int argc, char **argv) {
    fz_open_options_t options = {.size = sizeof options, .protection = FZ_PROTECT_SEALED,
                                 .threads = 1};
    struct fz_model *model;
    if (argc < 2) return fprintf(stderr, "usage: live FILE.fz [NAME=DIMS]...\n"), 2;
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fzi_model_open(fd, &options, &model) != FZ_OK) return trouble(argv[1]);
    close(fd);
    int status = run(argc, argv, model);
    fzi_model_free(model);
    return status;
}
