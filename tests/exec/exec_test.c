/* The contract of the public headers, sentence by sentence.
 *
 * usage: exec_test [GROUP]...     groups: arguments outputs models receipts host threads; default: all.
 * "host" needs a process of its own: no sanitizer, no valgrind. */
#include "support.h"

#include <stdio.h>

struct group {
    const char *name;
    const struct CMUnitTest *cases;
    const size_t *n;
};

static const struct group groups[] = {
    {"arguments", argument_cases, &n_argument_cases},
    {"outputs", output_cases, &n_output_cases},
    {"models", model_cases, &n_model_cases},
    {"receipts", receipt_cases, &n_receipt_cases},
    {"chains", chain_cases, &n_chain_cases},
    {"host", host_cases, &n_host_cases},
    {"quota", quota_cases, &n_quota_cases},
    {"threads", thread_cases, &n_thread_cases},
};

static bool wanted(const char *name, int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return true;
    return argc == 1;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const struct group *g = &groups[i];
        if (!wanted(g->name, argc, argv)) continue;
        int bad = _cmocka_run_group_tests(g->name, g->cases, *g->n, NULL, NULL);
        failed += bad;
        passed += (int)*g->n - bad;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
