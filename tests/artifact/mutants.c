/* Structure-aware mutants of frozen files: records, counts, offsets, strings and header members of
 * good files are changed, checksums made right again (opening does not look at the digests of
 * sections, which cost as much as all the rest), and what the verifier then lets pass is run. No
 * mutant may crash, hang, or take more memory than is allowed.
 *
 * usage: mutants [--seed N] COUNT FILE.fz...   COUNT mutants of these files and of the sample plan
 *
 * Mutants run in processes of BATCH each. A process that ends by a signal, or is ended by its timer
 * or its limit of memory, is a failure, and its mutant is named by seed and number. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/session.h"
#include "sample.h"

enum { BATCH = 20000, N_SAMPLES = 4, FILES_MAX = 16, SECONDS = 10, INPUTS_MAX = 16 };
static const size_t memory_limit = (size_t)2 << 30;

struct file {
    uint8_t *data;
    size_t size;
};
static struct file files[FILES_MAX];
static size_t n_files;

/* What the children tell. */
struct tally {
    unsigned long at, accepted, ran;
};
static struct tally *tally;

/* ---- numbers (xorshift64*, G. Marsaglia and S. Vigna) */

static uint64_t state;
static uint64_t next(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
}
static size_t below(size_t n) { return n ? (size_t)(next() % n) : 0; }

/* Numbers at which bounds are wrong. */
static uint64_t edge(uint64_t old) {
    static const uint64_t edges[] = {0, 1, 2, 3, 7, 63, 64, 255, 4095, 4096, 65535, 65536,
                                     0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 1ull << 32,
                                     1ull << 62, INT64_MAX, 1ull << 63, UINT64_MAX};
    switch (below(6)) {
    case 0: return edges[below(FZ_COUNT(edges))];
    case 1: return old + 1;
    case 2: return old - 1;
    case 3: return old ^ 1ull << below(64);
    case 4: return below(64);
    default: return next();
    }
}

/* ---- changes */

static void put(uint8_t *at, size_t width, uint64_t value) { memcpy(at, &value, width); }

/* One number of the plan: sections before the weights, at their own width. */
static void change_number(uint8_t *data, const struct fz_layout *l) {
    enum fz_section_kind kind = (enum fz_section_kind)(1 + below(FZ_SECTION_TABLES));
    size_t width = fzi_format_width(kind), n = (size_t)l->size[kind] / width;
    uint64_t old = 0;
    if (n == 0) return;
    uint8_t *at = data + l->off[kind] + below(n) * width;
    memcpy(&old, at, width);
    put(at, width, edge(old));
}

/* One record takes the place of another, or of a part of it. */
static void copy_record(uint8_t *data, const struct fz_layout *l) {
    enum fz_section_kind kind = (enum fz_section_kind)(1 + below(FZ_SECTION_TABLES));
    size_t record = fzi_format_record(kind), n = (size_t)l->size[kind] / record;
    if (n < 2) return;
    uint8_t *base = data + l->off[kind];
    memmove(base + below(n) * record, base + below(n) * record, record);
}

/* A member of the header, or of its table of sections. */
static void change_header(uint8_t *data) {
    size_t off = below(sizeof(struct fz_file_header) / 4) * 4;
    uint32_t old;
    memcpy(&old, data + off, 4);
    put(data + off, 4, edge(old));
}

static void mutate(uint8_t *data, size_t size, const struct fz_layout *l) {
    for (size_t n = 1 + below(3); n > 0; n--) {
        size_t kind = below(20);
        if (kind < 13) change_number(data, l);
        else if (kind < 17) copy_record(data, l);
        else if (kind < 19) change_header(data);
        else data[below(size)] ^= (uint8_t)(1 << below(8));
    }
}

/* ---- what becomes of a mutant */

/* Input I as the model describes it, open dimensions 2, small numbers. */
static bool make_input(const struct fz_model *model, size_t i, fz_tensor_t *t) {
    *t = model->values[model->plan.io[i].value];
    if (t->rank < 0) t->rank = 2, t->dims[0] = t->dims[1] = -1;
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0) t->dims[d] = 2;
    if (t->dtype == FZ_TYPE_STRING || fzi_tensor_measure(t) != FZ_OK || t->size > 1 << 20)
        return false;
    t->data = fzi_calloc(1, t->size + 8);
    for (size_t b = 0; t->data && b < t->size; b += 8) ((uint8_t *)t->data)[b] = b % 3 == 0;
    return t->data != NULL;
}

static void run(struct fz_model *model) {
    fz_session_options_t options = {.size = sizeof options, .threads = 1,
                                    .max_arena_size = 64 << 20};
    fz_tensor_t in[INPUTS_MAX] = {{0}}, out[INPUTS_MAX] = {{0}};
    struct fz_session *session;
    size_t n_in = model->plan.n_inputs, n = 0;
    size_t n_out = model->plan.n_outputs < INPUTS_MAX ? model->plan.n_outputs : INPUTS_MAX;
    while (n < n_in && n < INPUTS_MAX && make_input(model, n, &in[n])) n++;
    if (n == n_in && fzi_session_new(model, &options, &session) == FZ_OK) {
        session->deadline_us = 1000;
        tally->ran += fzi_session_run(session, in, n_in, out, n_out) == FZ_OK;
        fzi_session_free(session);
    }
    for (size_t i = 0; i < n; i++) fzi_free(in[i].data);
}

static void try(uint8_t *data, size_t size) {
    struct fz_model model = {0};
    if (fzi_artifact_read(data, size, NULL, NULL, &model.plan, &model.info) == FZ_OK &&
        fzi_model_prepare(&model, NULL) == FZ_OK) {
        tally->accepted++;
        if (below(4) == 0) run(&model);
    }
    fzi_model_release(&model);
}

/* Mutant NUMBER is a function of SEED and NUMBER alone. */
static void one(uint64_t seed, unsigned long number, uint8_t *room) {
    state = (seed + 1) * 0x9E3779B97F4A7C15u ^ (number + 1) * 0xD1B54A32D192ED03u;
    next();
    /* Mostly the small files: what is large is read more slowly, not otherwise. */
    const struct file *file = &files[below(10) < 8 ? below(N_SAMPLES) : below(n_files)];
    struct fz_layout l;
    size_t size = file->size;
    memcpy(room, file->data, size);
    if (fzi_format_header(room, &l, NULL) != FZ_OK) return;
    mutate(room, size, &l);
    if (below(50) == 0) size = below(size); /* cut off */
    if (below(20) != 0) sample_repair_checksums(room, size);
    try(room, size);
}

static void batch(uint64_t seed, unsigned long from, unsigned long to, uint8_t *room) {
    struct rlimit memory = {memory_limit, memory_limit}, none = {0, 0};
    setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CORE, &none);
    for (unsigned long i = from; i < to; i++) {
        tally->at = i;
        alarm(SECONDS);
        one(seed, i, room);
    }
    _exit(0);
}

/* ---- the walk over all */

static bool load(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || n_files == FILES_MAX) return false;
    files[n_files].data = sample_read(fd, &files[n_files].size);
    close(fd);
    return files[n_files++].data != NULL;
}

/* True if mutants FROM to TO came to their end. */
static bool run_batch(uint64_t seed, unsigned long from, unsigned long to, uint8_t *room) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) batch(seed, from, to, room);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    printf("FAIL mutant %lu of seed %llu: %s\n", tally->at, (unsigned long long)seed,
           number == SIGALRM ? "it hangs" : number ? strsignal(number) : "it exits");
    return false;
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    int arg = 1;
    if (argc > 2 && strcmp(argv[1], "--seed") == 0) seed = strtoull(argv[2], NULL, 10), arg = 3;
    if (arg >= argc) return fprintf(stderr, "usage: mutants [--seed N] COUNT FILE.fz...\n"), 2;
    unsigned long count = strtoul(argv[arg++], NULL, 10), n_failed = 0;
    for (unsigned flags = 0; flags < N_SAMPLES; flags++) {
        files[n_files].data = sample_file(flags, &files[n_files].size);
        if (!files[n_files++].data) return 2;
    }
    for (; arg < argc; arg++)
        if (!load(argv[arg])) return fprintf(stderr, "cannot read %s\n", argv[arg]), 2;
    size_t largest = 0;
    for (size_t i = 0; i < n_files; i++)
        if (files[i].size > largest) largest = files[i].size;
    uint8_t *room = fzi_alloc_aligned(largest);
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!room || tally == MAP_FAILED) return 2;
    for (unsigned long from = 0; from < count && n_failed < 20;) {
        unsigned long to = from + BATCH < count ? from + BATCH : count;
        if (run_batch(seed, from, to, room)) {
            from = to;
        } else {
            n_failed++;
            from = tally->at + 1; /* on behind the bad one */
        }
    }
    printf("seed %llu: %lu mutants of %zu files, %lu accepted, %lu of them ran\n",
           (unsigned long long)seed, count, n_files, tally->accepted, tally->ran);
    printf("%lu passed, %lu failed\n", n_failed ? 0 : 1ul, n_failed);
    return n_failed != 0;
}
