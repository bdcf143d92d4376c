/* A model under test: imported, rewritten, run, compared. */
#ifndef PASSES_SUBJECT_H
#define PASSES_SUBJECT_H

#include "interpret.h"
#include "passes/passes.h"
#include "text.h"

struct subject {
    struct fz_arena arena;
    struct fz_source source;
    struct fz_graph *graph;
    struct fz_pass pass;
    struct interpreter run;
};

/* Imports MODEL, which must outlive the subject. */
fz_status_t subject_open(struct subject *s, const struct pb *model,
                         const fz_freeze_options_t *options, const struct fzk_table *k);
/* Runs the passes that NAMES lists, between blanks; "all" is the whole list. */
fz_status_t subject_rewrite(struct subject *s, const char *names);
/* Runs the graph on inputs made from SEED; open dimensions are 2. */
fz_status_t subject_run(struct subject *s, uint64_t seed, const struct fzk_table *k,
                        uint32_t threads);
void subject_close(struct subject *s);

/* How far the outputs of A and B are apart: floats in parts of A's range, integers in units; NaN
 * equals NaN. Infinite if types or shapes differ. */
double subject_difference(const struct subject *a, const struct subject *b);
/* True if all outputs have the same bytes. */
bool subject_equal(const struct subject *a, const struct subject *b);

/* Freezes MODEL to a file, opens that, and runs it with THREADS on the inputs that A was run on:
 * the outputs must be A's, byte for byte. False with the thread's error set if not. */
bool subject_frozen_equal(const struct subject *a, const struct pb *model,
                          const fz_freeze_options_t *options, int32_t threads);

#endif
