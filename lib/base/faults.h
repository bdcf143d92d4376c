/* All that is wrong with a model, told in one go: a bounded list of faults. */
#ifndef FZ_BASE_FAULTS_H
#define FZ_BASE_FAULTS_H

#include "base/base.h"

enum { FZ_FAULTS_MAX = 24 }; /* lines of a message */

struct fz_fault {
    char *what, *advice; /* advice: "" if there is none */
    char *node;          /* the first one it was found at; NULL: `what` says it, or none */
    uint32_t more;       /* nodes with the same fault */
    fz_status_t status;
};

/* Zero-initialised is empty. */
struct fz_faults {
    struct fz_fault rows[FZ_FAULTS_MAX];
    uint32_t n;
    uint32_t more; /* beyond the rows */
    bool failed;   /* out of memory */
};

/* True if STATUS is a fault of the model, behind which others may be found; lack of memory, limits
 * and the like end the work at once. */
bool fzi_fault_is(fz_status_t status);

/* Adds a fault that says WHAT of NODE (may be NULL) and gives ADVICE (may be NULL): what is to be
 * done. The same WHAT at another node is counted. All texts are copied. */
void fzi_faults_add(struct fz_faults *faults, fz_status_t status, const char *node,
                    const char *what, const char *advice);
/* FZ_OK if there are none. Else the thread's message lists them: a single one in a sentence,
 * several one a line. FZ_E_UNSUPPORTED if that is among them, else the status of the first. */
fz_status_t fzi_faults_raise(const struct fz_faults *faults);
void fzi_faults_free(struct fz_faults *faults);

#endif
