/* What the files of prune_test share. */
#ifndef PRUNE_CASES_H
#define PRUNE_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prune/prune.h"
#include "text.h"

extern const struct CMUnitTest dim_cases[], fit_cases[];
extern const size_t n_dim_cases, n_fit_cases;

/* Writes the model that TEXT says (README.md of tests/passes) to the file PATH. */
void write_model(const char *text, const char *path);
/* A name for a file in the test's own folder. */
const char *temporary(const char *name);

#endif
