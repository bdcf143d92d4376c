/* Lists of faults. */
#include "base/faults.h"

#include <stdio.h>

enum { MESSAGE = 4000 }; /* bytes for all lines; the message has 95 more */

bool fzi_fault_is(fz_status_t status) {
    return status == FZ_E_UNSUPPORTED || status == FZ_E_TYPE || status == FZ_E_SHAPE ||
           status == FZ_E_VALUE || status == FZ_E_FORMAT;
}

static char *copy(struct fz_faults *faults, const char *text) {
    size_t size = strlen(text ? text : "") + 1;
    char *to = fzi_alloc(size);
    if (to) memcpy(to, text ? text : "", size);
    else faults->failed = true;
    return to;
}

void fzi_faults_add(struct fz_faults *faults, fz_status_t status, const char *node,
                    const char *what, const char *advice) {
    for (uint32_t i = 0; i < faults->n; i++) {
        if (!faults->rows[i].what || strcmp(faults->rows[i].what, what) != 0) continue;
        if (node) faults->rows[i].more++;
        return;
    }
    if (faults->n == FZ_FAULTS_MAX) {
        faults->more++;
        return;
    }
    struct fz_fault *row = &faults->rows[faults->n++];
    *row = (struct fz_fault){.status = status, .what = copy(faults, what),
                             .advice = copy(faults, advice)};
    if (node) row->node = copy(faults, node);
}

/* A line of at most LIMIT bytes, so that every fault has its share of the message. Advice that does
 * not fit is left out. */
static void tell(struct fz_text *text, const struct fz_fault *row, size_t limit) {
    char nodes[128] = "";
    if (row->node && row->more)
        snprintf(nodes, sizeof nodes, " (node '%.60s' and %u more)", row->node, row->more);
    else if (row->node) snprintf(nodes, sizeof nodes, " (node '%.60s')", row->node);
    size_t room = limit - strlen(nodes), used = strlen(row->what);
    bool advised = row->advice[0] && used + 2 + strlen(row->advice) <= room;
    fzi_text_add(text, "%.*s%s%s%s", (int)room, row->what, nodes, advised ? ": " : "",
                 advised ? row->advice : "");
}

static fz_status_t status_of(const struct fz_faults *faults) {
    for (uint32_t i = 0; i < faults->n; i++)
        if (faults->rows[i].status == FZ_E_UNSUPPORTED) return FZ_E_UNSUPPORTED;
    return faults->rows[0].status;
}

fz_status_t fzi_faults_raise(const struct fz_faults *faults) {
    struct fz_text text = {0};
    bool many = faults->n > 1;
    if (!faults->n) return FZ_OK;
    if (faults->failed) return fzi_error(FZ_E_NOMEM, "no memory to list what is wrong");
    fz_status_t status = status_of(faults);
    if (many)
        fzi_text_add(&text, "%s, %u cases:",
                     status == FZ_E_UNSUPPORTED ? "not supported" : "the graph contradicts itself",
                     faults->n + faults->more);
    for (uint32_t i = 0; i < faults->n; i++) {
        if (many) fzi_text_add(&text, "\n  ");
        else if (status == FZ_E_UNSUPPORTED) fzi_text_add(&text, "not supported: ");
        tell(&text, &faults->rows[i], MESSAGE / faults->n - 3);
    }
    if (faults->more) fzi_text_add(&text, "\n  and %u more", faults->more);
    status = text.failed ? fzi_error(FZ_E_NOMEM, "no memory to list what is wrong")
                         : fzi_error(status, "%s", text.data);
    fzi_text_free(&text);
    return status;
}

void fzi_faults_free(struct fz_faults *faults) {
    for (uint32_t i = 0; i < faults->n; i++) {
        fzi_free(faults->rows[i].what);
        fzi_free(faults->rows[i].advice);
        fzi_free(faults->rows[i].node);
    }
    *faults = (struct fz_faults){0};
}
