/* fz info: what a model takes, gives and is made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char *const levels[] = {"none", "pages", "sealed", "sealed for ever"};

/* TEXT as a JSON string. */
static void print_json_string(const char *text) {
    putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\') printf("\\%c", *p);
        else if (*p < 0x20) printf("\\u%04x", *p);
        else putchar(*p);
    }
    putchar('"');
}

static void print_dim(const fz_io_t *io, int32_t d, bool json) {
    if (io->dims[d] >= 0) printf("%lld", (long long)io->dims[d]);
    else if (json) print_json_string(io->dim_names[d]);
    else printf("%s", io->dim_names[d][0] ? io->dim_names[d] : "?");
}

static void print_io_text(const char *kind, const fz_io_t *io) {
    printf("%-9s %s  %s ", kind, io->name, fz_type_name(io->dtype));
    if (io->rank < 0) printf("of unknown rank");
    else putchar('[');
    for (int32_t d = 0; d < io->rank; d++) {
        if (d) putchar(',');
        print_dim(io, d, false);
    }
    printf(io->rank < 0 ? "\n" : "]\n");
}

static void print_io_json(const fz_io_t *io) {
    printf("{\"name\": ");
    print_json_string(io->name);
    printf(", \"dtype\": \"%s\", \"shape\": ", fz_type_name(io->dtype));
    if (io->rank < 0) printf("null");
    else putchar('[');
    for (int32_t d = 0; d < io->rank; d++) {
        if (d) printf(", ");
        print_dim(io, d, true);
    }
    printf(io->rank < 0 ? "}" : "]}");
}

struct facts {
    char id[65];
    fz_model_stats_t stats;
    int level;
};

/* What the file's known answer is, in words. */
static void print_answer(const char *text) {
    if (!text) printf("answer    none is known\n");
    else if (strcmp(text, "seed") == 0) printf("answer    known, of inputs from a seed\n");
    else if (strcmp(text, "inputs") == 0) printf("answer    known, of given inputs\n");
    else printf("answer    none is known: its run failed with %s at freezing\n", text);
}

static void print_text(const fz_model_t *model, const struct facts *f) {
    fz_io_t io;
    printf("id        %s\n", f->id);
    printf("profile   %s\n", fz_model_profile(model));
    printf("protected %d (%s)\n", f->level, levels[f->level]);
    for (size_t i = 0; fz_model_input(model, i, &io) == FZ_OK; i++) print_io_text("input", &io);
    for (size_t i = 0; fz_model_output(model, i, &io) == FZ_OK; i++) print_io_text("output", &io);
    printf("file      %llu bytes\n", (unsigned long long)f->stats.file_size);
    printf("weights   %llu bytes in %llu constants\n", (unsigned long long)f->stats.weight_size,
           (unsigned long long)f->stats.n_constants);
    if (f->stats.arena_size)
        printf("arena     %llu bytes\nwork      %llu multiply-accumulates\n",
               (unsigned long long)f->stats.arena_size, (unsigned long long)f->stats.macs);
    printf("steps     %llu\n", (unsigned long long)f->stats.n_steps);
    print_answer(fz_model_text(model, "known-answer"));
    const char *text = fz_model_text(model, "operators");
    if (text && strstr(text, "frozen.DynamicQuantizeRows "))
        printf("ranges    one per row, where the model quantises as it runs\n");
    printf("operators (rev, count)\n");
    for (const char *line = text ? text : ""; *line; line += strcspn(line, "\n") + 1)
        printf("  %.*s\n", (int)strcspn(line, "\n"), line);
}

static void print_json_lines(const char *key, const char *text) {
    printf(", \"%s\": [", key);
    bool first = true;
    for (const char *line = text ? text : ""; *line; line += strcspn(line, "\n") + 1) {
        char *copy = must(strndup(line, strcspn(line, "\n")));
        if (!first) printf(", ");
        print_json_string(copy);
        free(copy);
        first = false;
    }
    putchar(']');
}

static void print_json(const fz_model_t *model, const struct facts *f) {
    fz_io_t io;
    printf("{\"id\": \"%s\", \"profile\": ", f->id);
    print_json_string(fz_model_profile(model));
    printf(", \"protection\": %d, \"inputs\": [", f->level);
    for (size_t i = 0; fz_model_input(model, i, &io) == FZ_OK; i++) {
        if (i) printf(", ");
        print_io_json(&io);
    }
    printf("], \"outputs\": [");
    for (size_t i = 0; fz_model_output(model, i, &io) == FZ_OK; i++) {
        if (i) printf(", ");
        print_io_json(&io);
    }
    printf("], \"file_size\": %llu, \"weight_size\": %llu, \"arena_size\": %llu, \"macs\": %llu, "
           "\"steps\": %llu, \"constants\": %llu",
           (unsigned long long)f->stats.file_size, (unsigned long long)f->stats.weight_size,
           (unsigned long long)f->stats.arena_size, (unsigned long long)f->stats.macs,
           (unsigned long long)f->stats.n_steps, (unsigned long long)f->stats.n_constants);
    const char *answer = fz_model_text(model, "known-answer");
    printf(", \"known_answer\": ");
    if (answer) print_json_string(answer);
    else printf("null");
    print_json_lines("operators", fz_model_text(model, "operators"));
    print_json_lines("passes", fz_model_text(model, "passes"));
    print_json_lines("provenance", fz_model_text(model, "provenance"));
    print_json_lines("metadata", fz_model_text(model, "metadata"));
    printf("}\n");
}

static void print_section(const fz_model_t *model, const char *key) {
    const char *text = fz_model_text(model, key);
    printf("%s", text ? text : "");
}

int verb_info(int argc, char **argv) {
    bool json = false, passes = false, provenance = false;
    struct list operands = {0};
    const struct option options[] = {{"--json", NULL, &json, NULL},
                                     {"--passes", NULL, &passes, NULL},
                                     {"--provenance", NULL, &provenance, NULL},
                                     {"--custom", NULL, NULL, &custom_libraries}};
    if (!parse(argc, argv, options, 4, &operands)) return TROUBLE;
    if (operands.n != 1) return trouble("usage: fz info MODEL [--json] [--passes] [--provenance]");
    fz_model_t *model;
    bool opened = open_model(operands.items[0], NULL, &model);
    if (!opened) return TROUBLE;
    struct facts f = {.level = fz_model_protection(model)};
    fz_model_stats(model, &f.stats);
    if (fz_model_id(model, f.id) != FZ_OK) f.id[0] = 0;
    if (json) print_json(model, &f);
    else if (passes) print_section(model, "passes");
    else if (provenance) print_section(model, "provenance");
    else print_text(model, &f);
    fz_model_close(model);
    return GOOD;
}
