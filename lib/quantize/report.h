/* What a report holds, and its two forms. */
#ifndef FZ_QUANTIZE_REPORT_H
#define FZ_QUANTIZE_REPORT_H

#include "quantize/quantizer.h"

struct fz_report {
    struct fz_quantizer *q;
    uint64_t size_before, size_after, macs;
    double ms_before, ms_after; /* of a run; 0: not measured */
    struct fz_layer **order;    /* all layers, those with the largest error first */
};

void fzi_report_html(const struct fz_report *report, struct fz_text *out);
void fzi_report_json(const struct fz_report *report, struct fz_text *out);
/* "static int8" and the like. */
const char *fzi_report_kind(const struct fz_quantizer *q);
const char *fzi_report_state(const struct fz_layer *layer);

#endif
