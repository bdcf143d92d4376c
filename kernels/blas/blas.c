/* Loading OpenBLAS and calling its sgemm. */
#include "blas.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

/* OpenBLAS is one per process, whatever the number of models: so is the turn to call a build of it
 * that was made for one thread. */
static atomic_flag taken = ATOMIC_FLAG_INIT;

/* A symbol as a function pointer: ISO C has no cast from void *. */
static void load(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
}

/* Copies the word at TEXT: letters, digits, points and the like, what a profile's name may hold. */
static void copy_word(const char *text, char *out, size_t size) {
    size_t n = 0;
    while (n + 1 < size && text[n] > ' ' && text[n] != '/' && text[n] < 127) n++;
    memcpy(out, text, n);
    out[n] = 0;
}

/* The version is the second word of "OpenBLAS 0.3.21 NO_LAPACKE ...". */
static const char *describe(struct fz_blas *out) {
    const char *(*config)(void) = NULL, *(*core)(void) = NULL;
    void (*set_threads)(int) = NULL;
    int (*parallel)(void) = NULL;
    load(out->library, "openblas_get_config", &config);
    load(out->library, "openblas_get_corename", &core);
    load(out->library, "openblas_set_num_threads", &set_threads);
    load(out->library, "openblas_get_parallel", &parallel);
    load(out->library, "cblas_sgemm", &out->sgemm);
    if (!config || !core || !out->sgemm) return "the library is not OpenBLAS with cblas";
    const char *text = config(), *blank = strchr(text, ' ');
    if (strncmp(text, "OpenBLAS ", 9) != 0 || !blank) return "the library does not say its version";
    if (strstr(text, "USE64BITINT")) return "the library's integers are of 64 bits";
    copy_word(blank + 1, out->version, sizeof out->version);
    copy_word(core(), out->core, sizeof out->core);
    if (set_threads) set_threads(1);
    out->one_at_a_time = !parallel || parallel() == 0;
    return NULL;
}

/* RTLD_LOCAL: the library's symbols must not answer for anybody else's. */
const char *fzk_blas_open(const char *library, struct fz_blas *out) {
    memset(out, 0, sizeof *out);
    out->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!out->library) return "the library cannot be loaded";
    const char *trouble = describe(out);
    if (trouble) fzk_blas_close(out);
    return trouble;
}

void fzk_blas_close(struct fz_blas *blas) {
    if (blas->library) dlclose(blas->library);
    memset(blas, 0, sizeof *blas);
}

void fzk_blas_multiply(const struct fz_blas *blas, const struct fzk_blas_block *b) {
    if (b->k == 0) {
        for (int64_t i = 0; i < b->m; i++)
            memset(b->c + i * b->ldc, 0, (size_t)b->n * sizeof *b->c);
        return;
    }
    while (blas->one_at_a_time && atomic_flag_test_and_set_explicit(&taken, memory_order_acquire))
        sched_yield();
    blas->sgemm(ROW_MAJOR, NO_TRANS, b->trans_b ? TRANS : NO_TRANS, (int)b->m, (int)b->n, (int)b->k,
                1.0f, b->a, (int)b->lda, b->b, (int)b->ldb, 0.0f, b->c, (int)b->ldc);
    if (blas->one_at_a_time) atomic_flag_clear_explicit(&taken, memory_order_release);
}
