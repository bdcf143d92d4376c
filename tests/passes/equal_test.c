/* Random graphs compute with all passes what they computed without: integers bit for bit, on every
 * set of kernels, with one task and with several, node by node and from a frozen file.
 *
 * usage: equal_test [N [FIRST [show]]]     N graphs of each kind from number FIRST on */
#include "random.h"
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_TABLES = 5 };

static struct fzk_table tables[N_TABLES];
static unsigned n_passed, n_failed;
static bool show; /* print each graph before it is tested */

/* What must have been tested when all is done. */
static struct {
    const char *op;
    unsigned n;
} seen[] = {{"frozen.Conv(", 0},   {"frozen.ConvTranspose(", 0}, {"frozen.MatMul(", 0},
            {"frozen.QConv(", 0},  {"frozen.QMatMul(", 0},       {"frozen.QAdd(", 0},
            {"frozen.QMul(", 0},   {"frozen.QTable(", 0},        {"frozen.MaxPool(", 0},
            {"Swish(", 0},         {"If(", 0},
            {"frozen.DynamicQuantizeRows(", 0}};

static bool fail(const char *graph, const char *what, const char *more) {
    n_failed++;
    printf("FAIL %s: %s\n%s\n", what, more, graph);
    return false;
}

static bool prepare(const char *graph, const struct pb *model, const fz_freeze_options_t *options,
                    const char *passes, struct subject *s) {
    fz_status_t status = subject_open(s, model, options, &tables[0]);
    if (status == FZ_OK) status = subject_rewrite(s, passes);
    if (status == FZ_OK) status = subject_run(s, 1, &tables[0], 1);
    return status == FZ_OK || fail(graph, passes, fzi_error_text());
}

static void count(const struct subject *s) {
    struct fz_text text = {0};
    fzi_graph_print(s->graph, &text);
    for (size_t i = 0; i < FZ_COUNT(seen); i++)
        if (strstr(text.data, seen[i].op)) seen[i].n++;
    fzi_text_free(&text);
}

/* S, once more, with every set of kernels and with other cuts: the bits of its first run. */
static bool same_everywhere(const char *graph, const struct pb *model,
                            const fz_freeze_options_t *options, const struct subject *s) {
    struct subject other;
    char name[64];
    bool good = prepare(graph, model, options, "all", &other);
    for (int i = 0; i < N_TABLES && good; i++)
        for (uint32_t threads = 1; threads <= 3 && good; threads += 2) {
            snprintf(name, sizeof name, "kernels %d, %u threads", i, threads);
            if (subject_run(&other, 1, &tables[i], threads) != FZ_OK)
                good = fail(graph, name, fzi_error_text());
            else if (!subject_equal(s, &other)) good = fail(graph, name, "other bits");
        }
    for (int32_t threads = 1; threads <= 3 && good; threads += 2)
        if (!subject_frozen_equal(s, model, options, threads))
            good = fail(graph, "frozen", fzi_error_text());
    subject_close(&other);
    return good;
}

static bool is_exact(enum random_kind kind) {
    return kind == RANDOM_INTEGER || kind == RANDOM_BYTES;
}

/* How far results may be from those without passes. */
static double tolerance(enum random_kind kind, bool winograd) {
    if (is_exact(kind)) return 0;
    if (kind == RANDOM_QDQ) return 1;
    if (kind == RANDOM_NET) return 1e-4; /* roundings add up */
    return winograd ? 1e-5 : 1e-6;
}

static void test(enum random_kind kind, uint64_t seed) {
    fz_freeze_options_t options = {.size = sizeof options, .numerics = "portable"};
    struct fz_text text = {0};
    struct subject plain, all;
    char message[64];
    bool winograd = seed % 2;
    if (!winograd) options.flags = FZ_FREEZE_NO_WINOGRAD;
    if (seed % 8 == 7) options.flags |= FZ_FREEZE_LITERAL_QDQ;
    random_graph(kind, seed, &text);
    /* With a range for each row, what is compared with is the literal form of that. */
    bool rows = seed % 3 == 1 && strstr(text.data, "DynamicQuantizeLinear");
    if (rows) options.flags |= FZ_FREEZE_RANGE_PER_ROW;
    if (show) fprintf(stderr, "%s\n", text.data);
    const char *at = text.data;
    struct pb model = text_model(&at, 17);
    bool good = prepare(text.data, &model, &options,
                        rows ? "resolve fold integer clean" : "resolve infer", &plain) &&
                prepare(text.data, &model, &options, "all", &all);
    if (good) {
        double d = subject_difference(&plain, &all);
        snprintf(message, sizeof message, "outputs differ by %g", d);
        if (!(d <= tolerance(kind, winograd))) good = fail(text.data, "all passes", message);
        if (is_exact(kind) && !subject_equal(&plain, &all))
            good = fail(text.data, "all passes", "other bits");
        good = good && same_everywhere(text.data, &model, &options, &all);
        count(&all);
        subject_close(&all);
    }
    n_passed += good;
    subject_close(&plain);
    pb_free(&model);
    fzi_text_free(&text);
}

int main(int argc, char **argv) {
    static const uint32_t masks[N_TABLES] = {~0u, 0, FZK_CPU_V3, FZK_CPU_V3 | FZK_CPU_V4,
                                             FZK_CPU_V3 | FZK_CPU_AVXVNNI};
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 150;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    show = argc > 3;
    for (int i = 0; i < N_TABLES; i++) fzk_table_fill(&tables[i], fzk_cpu_mask() & masks[i]);
    for (uint64_t seed = first; seed < first + n; seed++)
        for (int kind = 0; kind < N_RANDOM_KINDS; kind++) test((enum random_kind)kind, seed);
    for (size_t i = 0; i < FZ_COUNT(seen); i++)
        if (!seen[i].n && n >= 100) fail(seen[i].op, "coverage", "never made");
    printf("%u passed, %u failed\n", n_passed, n_failed);
    return n_failed != 0;
}
