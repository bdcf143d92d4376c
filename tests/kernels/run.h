/* Inside of the kernel test tool: what a run of one case holds. Cases see harness.h only. */
#ifndef FZ_TESTS_KERNELS_RUN_H
#define FZ_TESTS_KERNELS_RUN_H

#include <setjmp.h>

#include "harness.h"

enum place { PLACE_END, PLACE_START, PLACE_WALK, N_PLACES };

enum { N_WALKS = 64 }; /* alignments */

/* A table to test and where it comes from. */
struct version {
    char label[48];
    uint32_t mask;
    struct fzk_table table;
};

/* One buffer: a mapping whose first and last page are PROT_NONE. */
struct buffer {
    uint8_t *map, *data;
    size_t map_size, data_size;
    bool locked;
};

/* One kt_check: SIZE bytes at OFF of the log's data. */
struct entry {
    size_t off, size, width;
    char step[96];
};

/* Everything that one run of a case has checked. */
struct log {
    uint8_t *data;
    size_t size, capacity;
    struct entry *entries;
    size_t n_entries, entries_capacity;
};

struct run {
    struct kt kt; /* first: a struct kt * is a struct run * */
    const struct version *version;
    enum place place;
    uint32_t walk; /* PLACE_WALK: counts steps, from the number of the walk on */
    bool hostile;  /* between kt_hostile_enter and _leave */
    uint64_t seed, state;
    char step[96], message[256];
    struct buffer buffers[64];
    size_t n_buffers;
    struct log *reference; /* what the baseline gave; NULL: this run makes it, in LOG */
    struct log *log;
    size_t cursor; /* next entry of the reference */
    sigjmp_buf out;
    double peak; /* benchmarks: operations per ns of this version's vectors, or 0 */
    const char *peak_of; /* "fma" or "int8" */
    const char *filter;
};

/* Checks the bytes around all buffers and gives them back. */
void kt_release(struct run *r, bool check);

/* Control bits and exception flags of floating point. Plain is what the executor enters. */
uint64_t environment_get(void);
void environment_plain(void);
void environment_raise_flags(void);
bool environment_is_plain(void); /* whatever the flags */
/* Once: false if the CPU cannot tell whether the upper halves of vector registers are in use. */
bool environment_begin(void);
/* False if the upper halves of vector registers are in use; then they no longer are. */
bool environment_upper_clean(void);
void log_free(struct log *log);

/* Measured peak of fma, flops per ns: peak_NAME.c. */
double peak_v3(void);
double peak_v4(void);
/* The same of multiply-adds of bytes: peak_int8.c. */
double peak_int8_avx2(void);
double peak_int8_avx512vnni(void);
double peak_int8_amx(void);

#endif
