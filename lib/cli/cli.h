/* What the verbs of `fz` share. The program uses the public headers only. */
#ifndef FZ_CLI_H
#define FZ_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <frozen/freeze.h>
#include <frozen/frozen.h>

/* Exit statuses. */
enum { GOOD = 0, FAILED = 1, TROUBLE = 2 };

/* An option of a verb: its value goes to *VALUE (text), *FLAG (no value) or is added to LIST. */
struct option {
    const char *name; /* "--threads" */
    const char **value;
    bool *flag;
    struct list *list;
};

struct list {
    const char **items;
    size_t n;
};

/* Splits ARGV[0 .. ARGC-1] into options and operands, which may stand in any order; "--" ends the
 * options. False after a message for an unknown option or a missing value. */
bool parse(int argc, char **argv, const struct option *options, size_t n_options,
           struct list *operands);
/* Splits NAME=VALUE at its last '='; false after a message. *NAME is the caller's to free. */
bool split_pair(const char *text, char **name, const char **value);
bool parse_number(const char *text, const char *option, double low, double high, double *out);
/* The --dim options of LIST, NAME=N each, into DIMS, which has room for as many. */
bool read_dims(const struct list *list, fz_dim_binding_t *dims);

/* Says why on stderr, in one line, and returns TROUBLE. */
int trouble(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for the library's last error. */
int library_trouble(const char *what);
/* Memory or the end of the program. */
void *must(void *memory);

/* Opens MODEL, a .fz or an ONNX file by its first bytes, or store:DIR:REF. False after a
 * message. */
bool open_model(const char *path, const fz_open_options_t *options, fz_model_t **out);
/* What --custom has named, and the operators in it; *OUT is NULL if it has named nothing. False
 * after a message. Open_model passes them on. */
extern struct list custom_libraries;
bool load_custom(const fz_custom_t **out);
/* True if the file at PATH begins as a frozen file. */
bool is_frozen(const char *path);
/* A progress line on stderr, if that is a terminal, for long work. */
int show_progress(void *context, double done, const char *phase);
void end_progress(void);

/* ---- tensors that the program owns: data from malloc */
void free_tensor(fz_tensor_t *t);
bool read_npy(const char *path, fz_tensor_t *out);   /* false after a message */
bool write_npy(const char *path, const fz_tensor_t *t);
/* "float32 [2,3]" */
const char *shape_text(const fz_tensor_t *t, char *buffer, size_t size);
int64_t count_of(const fz_tensor_t *t);
double element(const fz_tensor_t *t, int64_t i); /* any number type as double */

/* ---- inputs of a run */
struct inputs {
    fz_tensor_t *tensors; /* in the model's order */
    size_t n;
};
/* Takes each of PAIRS (NAME=FILE.npy) and, if SHAPES is not NULL, NAME=1x3x224 for inputs without a
 * file; what is still missing is filled when FILL, else refused. Floats are filled with a fixed
 * pattern, integers with 0. */
bool collect_inputs(const fz_model_t *model, const struct list *pairs, const struct list *shapes,
                    bool fill, struct inputs *out);
void free_inputs(struct inputs *inputs);

/* ---- verbs: arguments behind the verb; the result is the exit status */
int verb_freeze(int argc, char **argv);
int verb_quantize(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_verify(int argc, char **argv);
int verb_audit_int8(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_test(int argc, char **argv);
int verb_compare(int argc, char **argv);
int verb_diff(int argc, char **argv);
int verb_prune(int argc, char **argv);
int verb_export_onnx(int argc, char **argv);
#ifdef FZ_HAVE_STORE
int verb_keygen(int argc, char **argv);
int verb_sign(int argc, char **argv);
int verb_audit(int argc, char **argv);
int verb_store(int argc, char **argv);
int verb_replay(int argc, char **argv);
#endif

#endif
