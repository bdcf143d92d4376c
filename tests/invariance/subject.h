/* A model under test, its inputs and its answer; checks that come back to that answer. */
#ifndef INVARIANCE_SUBJECT_H
#define INVARIANCE_SUBJECT_H

#include <stdbool.h>

#include <frozen/freeze.h>

enum { MANY = 16 };

struct tensors {
    fz_tensor_t at[MANY];
    size_t n;
};

struct subject {
    char name[128];
    const char *path;       /* the ONNX file */
    uint64_t freeze_flags;  /* FZ_FREEZE_ bits */
    fz_model_t *model;
    struct tensors inputs;  /* own memory, as are those of all struct tensors */
    struct tensors want;    /* of one run with one thread */
    double seconds;         /* of that run */
    bool full;
    char note[256];         /* what a check has to say: why it failed, or what it did */
};

/* Freezes and opens the model at PATH, reads inputs from FOLDER (NULL: makes some), runs once. False
 * with a note. */
bool subject_open(struct subject *s, const char *folder);
void subject_close(struct subject *s);

/* Memory for T's elements, OFFSET bytes behind an aligned address; T's size is set. */
void tensor_make(fz_tensor_t *t, size_t offset);
void tensors_copy(struct tensors *to, const struct tensors *from, size_t offset);
void tensors_free(struct tensors *t, size_t offset);
bool tensors_same(const struct tensors *a, const struct tensors *b);
/* Fills T with numbers of a fixed sequence between LOW and HIGH that starts at *RANDOM. */
void tensor_fill(fz_tensor_t *t, uint32_t *random, double low, double high);

/* Runs SESSION on IN; *OUT describes its memory. */
fz_status_t run_once(fz_session_t *session, const fz_model_t *model, const struct tensors *in,
                     struct tensors *out);
/* True if a run of SESSION on the subject's inputs gives its answer; else a note says what not. */
bool same_answer(struct subject *s, fz_session_t *session);
/* The same with a session of its own and this many threads. */
bool same_with(struct subject *s, int threads);
fz_session_t *session_of(struct subject *s, int threads);

/* Sets the note; false. */
bool bad(struct subject *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the checks: true if all is as it must be */
enum outcome { GOOD, BAD, EXCEPTION, NONE }; /* NONE: does not apply to the model */

/* In rows.c: a row of a batch has the bits that it has alone. */
enum outcome check_rows(struct subject *s);
/* In rows.c: a range per row gives a batch the bits of rows that have one range for the tensor. */
enum outcome check_ranges(struct subject *s);
/* In rows.c: runs with other shapes between, more than a session keeps. */
enum outcome check_shapes(struct subject *s);
/* In host.c: what a host may have set, and fork. */
enum outcome check_environment(struct subject *s);
enum outcome check_fork(struct subject *s);
enum outcome check_fork_during_run(struct subject *s);

#endif
