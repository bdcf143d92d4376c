/* Runs the cases of *.txt: passes over a graph must give the text that is expected and must not
 * change what the graph computes. Form of the files: README.md.
 *
 * usage: passes_test [--print | --digest [--mask N]] [FILE.txt...]
 *
 * --print: the files with the texts that came out. --digest: the SHA-256 of what all graphs compute
 * after all passes, which is the same on every CPU; --mask leaves only these of the CPU's features. */
#include "base/sha256.h"
#include "subject.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

struct test {
    const char *name, *at;  /* the line that begins it; in the file's text */
    char passes[256];
    char plain[64]; /* what must be done before the graph can run at all */
    char same[64];  /* what must be done to it before its text says that it stayed the same */
    int64_t opset;
    double within;
    fz_freeze_options_t options;
    const char *graph;      /* where its graph begins */
    const char *expect;     /* the line behind "expect", or NULL: the graph must stay as it is */
    const char *refuse;     /* a part of the message that the passes must end with, or NULL */
};

static unsigned n_passed, n_failed;
static bool printing, digesting;
static struct fz_sha256 hash;
static struct fzk_table best;

static char *read_whole(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (!file || !text || !fread(text, 1, (1 << 20) - 1, file)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
    return text;
}

static void fail(const struct test *t, const char *what, const char *more) {
    n_failed++;
    printf("FAIL %.*s: %s: %s\n", (int)strcspn(t->name, "\n"), t->name, what, more);
}

/* ---- one case */

static void set_option(struct test *t, const char *line) {
    if (!strncmp(line, "literal-qdq", 11)) t->options.flags |= FZ_FREEZE_LITERAL_QDQ;
    else if (!strncmp(line, "no-winograd", 11)) t->options.flags |= FZ_FREEZE_NO_WINOGRAD;
    else if (!strncmp(line, "per-row", 7)) t->options.flags |= FZ_FREEZE_RANGE_PER_ROW;
    else if (!strncmp(line, "sparse", 6)) t->options.flags |= FZ_FREEZE_SPARSE;
    else if (!strncmp(line, "blas", 4)) t->options.numerics = "blas";
    else text_fail(line, "an unknown option");
}

/* The text behind WORD and a blank, if LINE begins so. */
static bool read_text(const char *line, const char *word, char *to, size_t size) {
    size_t n = strlen(word);
    if (strncmp(line, word, n) != 0 || line[n] != ' ') return false;
    snprintf(to, size, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
    return true;
}

/* A line that says how to test; false for any other. */
static bool read_setting(struct test *t, const char *line) {
    char text[64];
    if (read_text(line, "passes", t->passes, sizeof t->passes) ||
        read_text(line, "plain", t->plain, sizeof t->plain) ||
        read_text(line, "same", t->same, sizeof t->same))
        return true;
    if (read_text(line, "opset", text, sizeof text)) t->opset = strtoll(text, NULL, 10);
    else if (read_text(line, "within", text, sizeof text)) t->within = strtod(text, NULL);
    else if (read_text(line, "option", text, sizeof text)) set_option(t, text);
    else return false;
    return true;
}

static bool open_rewritten(const struct test *t, const struct pb *model, const char *passes,
                           struct subject *s) {
    fz_status_t status = subject_open(s, model, &t->options, &best);
    if (status == FZ_OK) status = subject_rewrite(s, passes);
    if (status != FZ_OK) fail(t, passes, fzi_error_text());
    return status == FZ_OK;
}

/* The text of the graph; free() it. */
static char *text_of(const struct subject *s) {
    struct fz_text text = {0};
    fzi_graph_print(s->graph, &text);
    char *copy = strdup(text.data);
    fzi_text_free(&text);
    return copy;
}

/* What PASSES make of the graph must compute what it computed. */
static bool check_run(const struct test *t, const struct pb *model, const char *passes,
                      struct subject *s) {
    struct subject plain;
    char message[128];
    if (!open_rewritten(t, model, t->plain, &plain)) return false;
    for (uint64_t seed = 0; seed < 3; seed++) {
        fz_status_t status = subject_run(&plain, seed, &best, 1);
        if (status == FZ_OK) status = subject_run(s, seed, &best, 1);
        if (status != FZ_OK) return fail(t, passes, fzi_error_text()), false;
        double d = subject_difference(&plain, s);
        if (d <= t->within) continue;
        snprintf(message, sizeof message, "%s: outputs differ by %g", passes, d);
        return fail(t, "seed", message), false;
    }
    subject_close(&plain);
    return true;
}

/* The file must give the bits of the graph that the passes made. */
static bool check_frozen(const struct test *t, const struct pb *model, const struct subject *all) {
    for (int32_t threads = 1; threads <= 2; threads++)
        if (!subject_frozen_equal(all, model, &t->options, threads))
            return fail(t, "frozen", fzi_error_text()), false;
    return true;
}

static bool check_text(const struct test *t, const char *got, const char *plain) {
    size_t n = strlen(got);
    if (printing) return true;
    if (!t->expect && !strcmp(got, plain)) return true;
    if (t->expect && !strncmp(got, t->expect, n) && (!t->expect[n] || t->expect[n] == '\n'))
        return true;
    return fail(t, "the graph became", got), false;
}

/* The passes must not make this graph, and say why. */
static bool check_refusal(const struct test *t, struct pb *model) {
    struct subject s;
    char part[256];
    snprintf(part, sizeof part, "%.*s", (int)strcspn(t->refuse, "\n"), t->refuse);
    fz_status_t status = subject_open(&s, model, &t->options, &best);
    if (status == FZ_OK) status = subject_rewrite(&s, t->passes);
    bool good = status != FZ_OK && strstr(fzi_error_text(), part);
    if (!good) fail(t, "not refused so", status == FZ_OK ? "it was made" : fzi_error_text());
    subject_close(&s);
    pb_free(model);
    return good;
}

/* Elements with their least byte first, every NaN as the canonical one. */
static void hash_output(const fz_tensor_t *t) {
    size_t width = fzi_type_width(t->dtype);
    bool real = fzi_type_is_float(t->dtype);
    fzi_sha256_update(&hash, fz_type_name(t->dtype), strlen(fz_type_name(t->dtype)));
    if (fzi_type_has_pointers(t->dtype)) return;
    for (size_t i = 0; i < t->size / width; i++) {
        uint8_t bytes[16];
        memcpy(bytes, (const char *)t->data + i * width, width);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        for (size_t j = 0; j < width; j++)
            bytes[j] = ((const uint8_t *)t->data)[i * width + width - 1 - j];
#endif
        double x = real && fz_type_bits(t->dtype) >= 8 ? fzi_tensor_float(t, (int64_t)i) : 0;
        if (x != x) fzi_sha256_update(&hash, "NaN", 3);
        else fzi_sha256_update(&hash, bytes, width);
    }
}

/* OpenBLAS has bits of its own. */
static bool digest(const struct test *t) {
    struct subject s;
    const char *at = t->graph;
    if (t->refuse || strcmp(t->options.numerics, "portable") != 0) return true;
    struct pb model = text_model(&at, t->opset);
    bool good = open_rewritten(t, &model, "all", &s);
    for (uint64_t seed = 0; good && seed < 2; seed++) {
        good = subject_run(&s, seed, &best, 1) == FZ_OK;
        if (!good) fail(t, "all", fzi_error_text());
        for (uint32_t i = 0; good && i < s.graph->n_outputs; i++)
            hash_output(interpreted(s.graph->outputs[i]));
    }
    subject_close(&s);
    pb_free(&model);
    return good;
}

static void print_digest(void) {
    uint8_t bytes[32];
    char hex[65];
    fzi_sha256_final(&hash, bytes);
    fzi_sha256_hex(bytes, hex);
    printf("digest %s\n", hex);
}

/* Gives the text that came out in *OUT, or NULL if it is the graph's own. */
static bool check(const struct test *t, char **out) {
    struct subject s, plain, all;
    const char *at = t->graph;
    struct pb model = text_model(&at, t->opset);
    *out = NULL;
    if (t->refuse) return check_refusal(t, &model);
    if (!open_rewritten(t, &model, t->passes, &s)) return false;
    if (!open_rewritten(t, &model, t->same, &plain)) return false;
    char *got = text_of(&s), *before = text_of(&plain);
    bool good = check_text(t, got, before) && check_run(t, &model, t->passes, &s);
    subject_close(&s);
    subject_close(&plain);
    if (good && open_rewritten(t, &model, "all", &all)) {
        good = check_run(t, &model, "all", &all) && check_frozen(t, &model, &all);
        subject_close(&all);
    }
    if (strcmp(got, before) != 0) *out = got;
    else free(got);
    free(before);
    pb_free(&model);
    return good;
}

/* ---- files */

static const char *line_after(const char *at) {
    at += strcspn(at, "\n");
    return *at ? at + 1 : at;
}

/* Reads the case at *AT and moves to the next one. */
static struct test read_test(const char **at, const struct test *defaults) {
    struct test t = *defaults;
    t.at = *at;
    t.name = *at + 5;
    *at = line_after(*at);
    while (read_setting(&t, *at)) *at = line_after(*at);
    t.graph = *at;
    for (; **at && strncmp(*at, "case ", 5) != 0; *at = line_after(*at))
        if (!strncmp(*at, "expect\n", 7)) t.expect = line_after(*at);
        else if (!strncmp(*at, "refuse ", 7)) t.refuse = *at + 7;
    return t;
}

static void print_test(const struct test *t, const char *end, const char *got) {
    const char *stop = t->refuse ? end : strstr(t->at, "\nexpect");
    if (!stop || stop >= end) stop = end;
    while (stop > t->at && (stop[-1] == '\n')) stop--;
    printf("%.*s\n", (int)(stop - t->at), t->at);
    if (t->refuse) printf("\n");
    else printf(got ? "expect\n%s\n" : "expect same\n\n", got);
}

static void run_file(const char *path) {
    char *text = read_whole(path);
    struct test defaults = {.opset = 17, .within = 1e-6, .plain = "resolve infer",
                            .same = "resolve fold",
                            .options = {.size = sizeof defaults.options, .numerics = "portable"}};
    const char *at = text;
    for (; *at && strncmp(at, "case ", 5) != 0; at = line_after(at)) read_setting(&defaults, at);
    if (printing) printf("%.*s", (int)(at - text), text);
    while (*at) {
        struct test t = read_test(&at, &defaults);
        char *got = NULL;
        if (digesting ? digest(&t) : check(&t, &got)) n_passed++;
        if (printing) print_test(&t, at, got);
        free(got);
    }
    free(text);
}

int main(int argc, char **argv) {
    glob_t all = {0};
    uint32_t mask = UINT32_MAX;
    int first = 1;
    if (argc > 1 && !strcmp(argv[1], "--print")) printing = true, first = 2;
    if (argc > 1 && !strcmp(argv[1], "--digest")) digesting = true, first = 2;
    if (digesting && argc > 3 && !strcmp(argv[2], "--mask"))
        mask = (uint32_t)strtoul(argv[3], NULL, 0), first = 4;
    fzk_table_fill(&best, fzk_cpu_mask() & mask);
    fzi_sha256_init(&hash);
    for (int i = first; i < argc; i++) run_file(argv[i]);
    if (first >= argc) {
        glob(PASSES_TEST_FOLDER "/*.txt", 0, NULL, &all);
        for (size_t i = 0; i < all.gl_pathc; i++) run_file(all.gl_pathv[i]);
        globfree(&all);
    }
    if (digesting) print_digest();
    if (!printing || n_failed)
        fprintf(printing ? stderr : stdout, "%u passed, %u failed\n", n_passed, n_failed);
    return n_failed || (!printing && !n_passed);
}
