/* Runs every kernel case on every version of its kernels and compares bits; see harness.h.
 *
 *   kernels_test [--quick] [--seed N] [--mask N] [FILTER]    cases whose name contains FILTER
 *   kernels_test --list | --bench [--mask N] [FILTER]
 *   kernels_test --quick|--brief --digest, or --quick --expect FILE
 *
 * --mask N stops the walk at the subsets of N; of benchmarks it leaves those of exactly N. --digest
 * prints a number over all outputs of each case, the same on every CPU and for every compiler, and
 * --expect compares them with what an earlier --digest printed into FILE. --brief leaves what an
 * emulated CPU can do in a minute. */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "run.h"

static const struct kt_case *const families[] = {
    gemm_cases,
    finish_cases,
    narrow_cases,
    conv_cases,
    pool_cases,
    tree_cases,
    qgemm_cases,
    qdwconv_cases,
    qgemm_elementwise_cases,
    math_cases,
    math_rows_cases,
    value_cases,
    environment_cases,
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

/* ---- versions */

static struct version versions[80];
static size_t n_versions;

static void add_version(uint32_t mask, const char *label, void (*fill)(struct fzk_table *)) {
    if (n_versions == sizeof versions / sizeof versions[0]) return;
    struct version *v = &versions[n_versions++];
    v->mask = mask;
    snprintf(v->label, sizeof v->label, "%s", label);
    if (fill) fill(&v->table);
    else fzk_table_fill(&v->table, mask);
}

static void mask_label(uint32_t mask, char *text, size_t size) {
    static const char *const names[] = {"v3", "v4", "vnni", "avxvnni", "neon", "dotprod", "i8mm", "amx"};
    size_t used = (size_t)snprintf(text, size, "%s", mask ? "" : "c");
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mask >> i & 1)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "+" : "", names[i]);
}

#if defined(__x86_64__)
void fzk_fill_v3(struct fzk_table *table);
void fzk_fill_v4(struct fzk_table *table);
#endif

/* Every subset of the CPU's features, the baseline first; then c/ as compiled for each level, which
 * hand-written versions may hide. */
static void make_versions(uint32_t cpu) {
    char label[48];
    for (uint32_t mask = 0; mask <= cpu; mask++) {
        if (mask & ~cpu) continue;
        mask_label(mask, label, sizeof label);
        add_version(mask, label, NULL);
    }
#if defined(__x86_64__)
    if (cpu & FZK_CPU_V3) add_version(FZK_CPU_V3, "c-for-v3", fzk_fill_v3);
    if (cpu & FZK_CPU_V4) add_version(FZK_CPU_V4, "c-for-v4", fzk_fill_v4);
#endif
}

static void *kernel_of(const struct version *v, size_t member) {
    void *p;
    memcpy(&p, (const char *)&v->table + member, sizeof p);
    return p;
}

static bool same_kernels(const struct version *a, const struct version *b,
                         const struct kt_case *c) {
    if (kernel_of(a, c->member) != kernel_of(b, c->member)) return false;
    for (size_t i = 0; i < sizeof c->also / sizeof c->also[0] && c->also[i]; i++)
        if (kernel_of(a, c->also[i]) != kernel_of(b, c->also[i])) return false;
    return true;
}

/* True if an earlier table holds the same functions for all that C calls. */
static bool seen(size_t version, const struct kt_case *c) {
    for (size_t i = 0; i < version; i++)
        if (same_kernels(&versions[i], &versions[version], c)) return true;
    return false;
}

/* ---- one run */

static struct run *active;

static void on_signal(int number) {
    if (!active) _Exit(128 + number);
    snprintf(active->message, sizeof active->message, "signal %d", number);
    siglongjmp(active->out, 1);
}

static void catch_signals(void) {
    static char stack[1 << 16];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

static const char *place_name(enum place place) {
    return place == PLACE_END ? "end" : place == PLACE_START ? "start" : "walk";
}

/* FNV-1a of the case's name: adding a case leaves the numbers of others alone. */
static uint64_t name_hash(const char *name, uint64_t seed) {
    uint64_t h = 0xCBF29CE484222325u ^ seed;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001B3u;
    return h;
}

/* Runs C once; false with a printed message if something was wrong. */
static bool run_once(const struct kt_case *c, struct run *r) {
    r->state = name_hash(c->name, r->seed);
    r->cursor = 0;
    r->kt.k = &r->version->table;
    r->kt.baseline = r->version == &versions[0] && !r->reference;
    r->n_buffers = 0;
    snprintf(r->step, sizeof r->step, "-");
    r->message[0] = 0;
    environment_plain();
    active = r;
    bool good = sigsetjmp(r->out, 1) == 0;
    if (good) {
        c->run(&r->kt);
        kt_release(r, true);
        if (r->reference && r->cursor != r->reference->n_entries)
            kt_fail(&r->kt, "fewer outputs than the baseline");
    }
    active = NULL;
    environment_plain();
    if (r->n_buffers) kt_release(r, false);
    if (!good)
        printf("FAIL %s [%s, %s] %s: %s\n", c->name, r->version->label, place_name(r->place),
               r->step, r->message);
    return good;
}

struct options {
    bool quick, brief, list, bench, digest;
    uint64_t seed;
    uint32_t mask;
    const char *filter, *expect;
};

struct totals {
    size_t passed, failed;
};

/* FNV-1a over the elements' bytes, least significant first. */
static uint64_t log_hash(const struct log *l) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < l->n_entries; i++) {
        const struct entry *e = &l->entries[i];
        for (size_t j = 0; j < e->size; j++) {
            size_t at = j;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            at = j / e->width * e->width + e->width - 1 - j % e->width;
#endif
            h = (h ^ l->data[e->off + at]) * 0x100000001B3u;
        }
    }
    return h;
}

/* False if the file of --expect has another digest for this case; cases that it lacks are new. */
static bool expected(const char *file, const char *name, uint64_t digest) {
    FILE *f = fopen(file, "r");
    char line[256], want[128];
    snprintf(want, sizeof want, "digest %s ", name);
    uint64_t value = digest;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, want, strlen(want)) == 0) value = strtoull(line + strlen(want), NULL, 16);
    if (f) fclose(f);
    if (!f) printf("FAIL %s cannot be read\n", file);
    if (value != digest)
        printf("FAIL %s: digest %016" PRIx64 " instead of %016" PRIx64 "\n", name, digest, value);
    return f && value == digest;
}

/* C on version V in every placement; LOG is made by the first run of all and is the reference of
 * the others. Only a walk over all alignments takes more than one walk. */
static bool run_places(const struct kt_case *c, const struct options *o, size_t v, uint32_t walks,
                       struct log *log, bool *have_reference) {
    static struct run r;
    for (uint32_t i = 0; i < PLACE_WALK + walks; i++) {
        enum place place = i < PLACE_WALK ? (enum place)i : PLACE_WALK;
        /* A digest is the same in every placement, and emulators read beyond masked loads. */
        if (o->digest && place != PLACE_START) continue;
        r = (struct run){.kt.quick = o->quick, .kt.brief = o->brief, .version = &versions[v],
                         .place = place, .walk = i - place, .seed = o->seed, .log = log,
                         .reference = *have_reference ? log : NULL};
        if (!run_once(c, &r)) return false;
        *have_reference = true;
    }
    return true;
}

/* All versions of C: one pass or failure for each. */
static void run_case(const struct kt_case *c, const struct options *o, uint32_t walks,
                     struct totals *totals) {
    struct log log = {0};
    bool have_reference = false;
    for (size_t v = 0; v < n_versions; v++) {
        if (seen(v, c)) continue;
        if (run_places(c, o, v, walks, &log, &have_reference)) totals->passed++;
        else totals->failed++;
        if (!have_reference) break;
    }
    uint64_t digest = log_hash(&log);
    log_free(&log);
    if (o->digest) printf("digest %s %016" PRIx64 "\n", c->name, digest);
    if (!o->expect || !have_reference) return;
    if (expected(o->expect, c->name, digest)) totals->passed++;
    else totals->failed++;
}

/* Quick: one walk, in which the steps of a case take turns at the alignments. Else all shapes so,
 * and then the quick ones at every alignment. */
static void run_fully(const struct kt_case *c, const struct options *o, struct totals *totals) {
    run_case(c, o, 1, totals);
    if (o->quick) return;
    struct options quick = {.quick = true, .seed = o->seed};
    run_case(c, &quick, N_WALKS, totals);
}

/* Every kernel is the subject of a case. */
static void check_coverage(struct totals *totals) {
    static const struct { const char *name; size_t member; } kernels[] = {
#define FZK(member, prototype) {#member, KT_KERNEL(member)},
#include "kernels.def"
#undef FZK
    };
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        bool found = false;
        for (size_t f = 0; f < N_FAMILIES; f++)
            for (const struct kt_case *c = families[f]; c->name; c++)
                found = found || c->member == kernels[i].member;
        if (found) totals->passed++;
        else totals->failed++;
        if (!found) printf("FAIL %s has no case\n", kernels[i].name);
    }
}

/* ---- benchmarks */

/* Of this thread's own time: others may want the CPU, too. */
static double seconds(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

void kt_bench(struct kt *t, double work, void (*call)(const struct fzk_table *k, void *arg),
              void *arg, const char *format, ...) {
    struct run *r = (struct run *)t;
    double start = seconds(), best = 1e30;
    call(t->k, arg);
    double once = seconds() - start;
    int64_t batch = once < 1e-4 ? (int64_t)(1e-4 / (once + 1e-9)) + 1 : 1;
    /* The least of many short batches: other programs share the caches. */
    for (int n = 0; n < 10 || (n < 1000 && seconds() - start < 0.25); n++) {
        double from = seconds();
        for (int64_t i = 0; i < batch; i++) call(t->k, arg);
        double took = (seconds() - from) / (double)batch;
        if (took < best) best = took;
    }
    char label[96];
    va_list args;
    va_start(args, format);
    vsnprintf(label, sizeof label, format, args);
    va_end(args);
    printf("%-28s %-34s %-9s %12.1f ns %9.2f G/s", r->step, label, r->version->label, best * 1e9,
           work / (best * 1e9));
    if (r->peak > 0)
        printf(" %5.1f %% of %s peak", 100 * work / (best * 1e9) / r->peak, r->peak_of);
    printf("\n");
    fflush(stdout);
}

/* The kernels of bytes whose work is counted in multiply-adds. */
static bool multiplies_bytes(const struct kt_case *c) {
    return c->member == KT_KERNEL(qgemm_u8s8) || c->member == KT_KERNEL(qdwconv_u8s8);
}

/* Depthwise convolutions have no tiles. AVX-VNNI reaches half of the 512-bit peak, if at all. */
static double measured_peak(const struct version *v, const struct kt_case *c) {
#if defined(__x86_64__)
    bool bytes = multiplies_bytes(c), tiles = c->member == KT_KERNEL(qgemm_u8s8);
    if (bytes && tiles && v->mask & FZK_CPU_AMXINT8) return peak_int8_amx();
    if (bytes && v->mask & FZK_CPU_AVX512VNNI) return peak_int8_avx512vnni();
    if (bytes && v->mask & FZK_CPU_AVXVNNI) return 0;
    if (bytes) return v->mask & FZK_CPU_V3 ? peak_int8_avx2() : 0;
    if (v->mask & FZK_CPU_V4) return peak_v4();
    if (v->mask & FZK_CPU_V3) return peak_v3();
#endif
    return 0;
}

static void bench_once(const struct kt_case *c, struct run *r) {
    active = r;
    if (sigsetjmp(r->out, 1) == 0) c->bench(&r->kt);
    else printf("%s %s: %s\n", c->name, r->version->label, r->message);
    active = NULL;
    kt_release(r, false);
}

static void bench_case(const struct kt_case *c, const struct options *o) {
    static struct run r;
    for (size_t v = 0; v < n_versions; v++) {
        if (!c->bench || seen(v, c)) continue;
        r = (struct run){.kt.quick = o->quick, .kt.k = &versions[v].table, .version = &versions[v],
                         .place = PLACE_START, .seed = o->seed, .state = o->seed};
        if (o->mask && versions[v].mask != o->mask) continue;
        r.peak = measured_peak(&versions[v], c);
        r.peak_of = multiplies_bytes(c) ? "int8" : "fma";
        snprintf(r.step, sizeof r.step, "%s", c->name);
        bench_once(c, &r);
    }
}

/* ---- the program */

static bool parse(int argc, char **argv, struct options *o) {
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--quick") == 0) o->quick = true;
        else if (strcmp(arg, "--brief") == 0) o->quick = o->brief = true;
        else if (strcmp(arg, "--list") == 0) o->list = true;
        else if (strcmp(arg, "--bench") == 0) o->bench = true;
        else if (strcmp(arg, "--digest") == 0) o->digest = true;
        else if (strcmp(arg, "--expect") == 0 && i + 1 < argc) o->expect = argv[++i];
        else if (strcmp(arg, "--seed") == 0 && i + 1 < argc) o->seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(arg, "--mask") == 0 && i + 1 < argc)
            o->mask = (uint32_t)strtoul(argv[++i], NULL, 0);
        else if (arg[0] != '-' && !o->filter) o->filter = arg;
        else return false;
    }
    return true;
}

static void each_case(const struct options *o, struct totals *totals) {
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (const struct kt_case *c = families[f]; c->name; c++) {
            if (o->filter && !strstr(c->name, o->filter)) continue;
            if (o->list) printf("%s%s\n", c->name, c->bench ? " (bench)" : "");
            else if (o->bench) bench_case(c, o);
            else run_fully(c, o, totals);
            fflush(stdout);
        }
}

int main(int argc, char **argv) {
    struct options o = {.seed = 1};
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: kernels_test [--quick|--brief] [--seed N] [--mask N] "
                        "[--list|--bench|--digest] [--expect FILE] [FILTER]\n");
        return 2;
    }
    uint32_t cpu = fzk_cpu_mask();
    make_versions(o.mask && !o.bench ? cpu & o.mask : cpu);
    catch_signals();
    bool upper = environment_begin() || !(cpu & FZK_CPU_V3);
    struct totals totals = {0};
    if (!o.list && !o.bench) printf("seed %" PRIu64 "\n", o.seed);
    if (!upper) printf("skipped: upper halves of vector registers, this CPU or build cannot tell\n");
    if (!o.list && !o.bench && !o.filter) check_coverage(&totals);
    each_case(&o, &totals);
    if (o.list || o.bench) return 0;
    printf("seed %" PRIu64 ", cpu mask %u: %zu passed, %zu failed\n", o.seed, cpu, totals.passed,
           totals.failed);
    return totals.failed ? 1 : 0;
}
