/* The report as one HTML page: no script, no file beside it, figures as inline SVG. */

#include "quantize/real.h"
#include "quantize/report.h"

enum { WORST = 6, BARS = 128, WIDTH = 640, HEIGHT = 120 };

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Quantisation report</title>\n"
    "<style>body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;"
    "color:#222;background:#fff}table{border-collapse:collapse}td,th{padding:.25em .8em;"
    "border-bottom:1px solid #ddd;text-align:left}td.n{text-align:right;"
    "font-variant-numeric:tabular-nums}svg{display:block;max-width:100%}.q{fill:#3b76b8}"
    ".f{fill:#c8872b}.h{fill:#8ea6bf}.r{stroke:#b3261e;stroke-width:1.5}svg text{font:11px "
    "system-ui,sans-serif;fill:#333}</style></head><body>\n";

static void escaped(struct fz_text *out, const char *text) {
    for (const char *c = text; *c; c++)
        switch (*c) {
        case '<': fzi_text_add(out, "&lt;"); break;
        case '>': fzi_text_add(out, "&gt;"); break;
        case '&': fzi_text_add(out, "&amp;"); break;
        case '"': fzi_text_add(out, "&quot;"); break;
        default: fzi_text_add(out, "%c", *c);
        }
}

/* ---- the table */

static void row(struct fz_text *out, const char *what, double before, double after,
                const char *unit, int digits) {
    fzi_text_add(out, "<tr><td>%s</td><td class=\"n\">%.*f%s</td><td class=\"n\">%.*f%s</td>"
                 "<td class=\"n\">", what, digits, before, unit, digits, after, unit);
    if (before > 0 && after > 0) fzi_text_add(out, "%.2f x", before / after);
    fzi_text_add(out, "</td></tr>\n");
}

static void table(const struct fz_report *r, struct fz_text *out) {
    const struct fz_score *s = &r->q->score;
    fzi_text_add(out, "<table id=\"summary\"><tr><th></th><th>before</th><th>after</th>"
                 "<th>ratio</th></tr>\n");
    row(out, "bytes", (double)r->size_before, (double)r->size_after, "", 0);
    if (r->macs) row(out, "multiply-accumulates", (double)r->macs, (double)r->macs, "", 0);
    if (r->q->scored) row(out, "time of a run, this machine", r->ms_before, r->ms_after, " ms", 3);
    if (r->q->scored && r->q->labels && s->rows)
        fzi_text_add(out, "<tr><td>accuracy</td><td class=\"n\">%.2f %%</td><td class=\"n\">%.2f "
                     "%%</td><td class=\"n\">%llu and %llu of %llu right</td></tr>\n",
                     100 * (double)s->right_float / (double)s->rows,
                     100 * (double)s->right / (double)s->rows,
                     (unsigned long long)s->right_float, (unsigned long long)s->right,
                     (unsigned long long)s->rows);
    if (r->q->scored)
        fzi_text_add(out, "<tr><td>SQNR, worst output</td><td></td><td class=\"n\">%.2f dB</td>"
                     "<td></td></tr>\n", fzi_score_sqnr(s));
    fzi_text_add(out, "</table>\n");
}

/* ---- a bar for each layer */

/* The error of a layer's result as a share of its size: 0 dB is all of it, 60 dB is nothing. */
static double bar_width(const struct fz_layer *layer) {
    double sqnr = layer->measured ? layer->sqnr : 60;
    return sqnr < 0 ? 1 : sqnr > 60 ? 0 : 1 - sqnr / 60;
}

static void bars(const struct fz_report *r, struct fz_text *out) {
    const struct fz_quantizer *q = r->q;
    if (!q->scored || !q->n_layers) return;
    fzi_text_add(out, "<h2>Error of each layer's result</h2><p>In the quantised model, in the "
                 "order of the graph; a full bar is an SQNR of 0 dB, none 60 dB and more. Orange: "
                 "the layer itself stays float.</p>\n<svg id=\"layers\" role=\"img\" width=\"%d\" "
                 "height=\"%zu\">", WIDTH + 240, 16 * q->n_layers + 4);
    for (size_t i = 0; i < q->n_layers; i++) {
        const struct fz_layer *layer = &q->layers[i];
        double width = 1 + (WIDTH - 300) * bar_width(layer);
        fzi_text_add(out, "<rect class=\"%s\" x=\"300\" y=\"%zu\" width=\"%.1f\" height=\"11\"/>"
                     "<text x=\"%.1f\" y=\"%zu\">%.1f dB</text><text x=\"294\" y=\"%zu\" "
                     "text-anchor=\"end\">", layer->state == FZ_LAYER_QUANTISED ? "q" : "f",
                     16 * i + 2, width, 306 + width, 16 * i + 12, layer->sqnr, 16 * i + 12);
        size_t n = strlen(layer->name);
        escaped(out, n > 44 ? layer->name + n - 44 : layer->name);
        fzi_text_add(out, " <title>%s</title></text>\n", layer->type);
    }
    fzi_text_add(out, "</svg>\n");
}

/* ---- histograms */

/* The counts of the range [LOW, HIGH] in BARS bars. */
static void count_bars(const struct fz_stat *s, double low, double high, double *out) {
    double width = fzi_power(s->exponent);
    memset(out, 0, BARS * sizeof *out);
    for (int32_t i = 0; i < 2 * FZ_STAT_HALF; i++) {
        if (!s->bins[i]) continue;
        double x = (i - FZ_STAT_HALF + 0.5) * width;
        int at = (int)((x - low) / (high - low) * BARS);
        out[at < 0 ? 0 : at >= BARS ? BARS - 1 : at] += (double)s->bins[i];
    }
}

static void mark(struct fz_text *out, double x, double low, double high) {
    double at = (x - low) / (high - low) * WIDTH;
    at = at < 0 ? 0 : at > WIDTH ? WIDTH : at;
    fzi_text_add(out, "<line class=\"r\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\"/>"
                 "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%.4g</text>", at, at, HEIGHT, at,
                 HEIGHT + 13, at > WIDTH / 2.0 ? "end" : "start", x);
}

/* Counts on a scale of square roots, so that tails are seen. */
static void histogram(const struct fz_stat *s, struct fz_text *out) {
    double counts[BARS], most = 0, low = s->low, high = s->high;
    if (!(high > low)) return;
    count_bars(s, low, high, counts);
    for (int i = 0; i < BARS; i++) most = fzi_most(most, counts[i]);
    fzi_text_add(out, "<svg class=\"histogram\" role=\"img\" width=\"%d\" height=\"%d\">", WIDTH,
                 HEIGHT + 18);
    for (int i = 0; i < BARS; i++) {
        double h = most > 0 ? fzi_root(counts[i] / most) * (HEIGHT - 4) : 0;
        if (h > 0)
            fzi_text_add(out, "<rect class=\"h\" x=\"%d\" y=\"%.1f\" width=\"%d\" "
                         "height=\"%.1f\"/>", i * WIDTH / BARS, HEIGHT - h, WIDTH / BARS, h);
    }
    mark(out, s->scale.low, low, high);
    mark(out, s->scale.high, low, high);
    fzi_text_add(out, "</svg>\n");
}

static void histograms(const struct fz_report *r, struct fz_text *out) {
    if (!r->q->n_stats) return;
    fzi_text_add(out, "<h2>Activations of the worst layers</h2><p>What each layer reads, over all "
                 "samples, square root of the counts; the red lines are the chosen range.</p>\n");
    for (size_t i = 0; i < r->q->n_layers && i < WORST; i++) {
        const struct fz_layer *layer = r->order[i];
        const struct fz_stat *s = fzi_stat_of(r->q, layer->in);
        if (!s) continue;
        fzi_text_add(out, "<h3>");
        escaped(out, layer->name);
        fzi_text_add(out, " (%s)</h3><p>reads ", layer->type);
        escaped(out, s->name);
        fzi_text_add(out, ": %.4g to %.4g, scale %.4g, zero point %d</p>\n", s->low, s->high,
                     (double)s->scale.scale, s->scale.zero);
        histogram(s, out);
    }
}

/* ---- what stayed float */

static void kept(const struct fz_report *r, struct fz_text *out) {
    bool any = false;
    if (r->q->why) fzi_text_add(out, "<p>Budget: %s.</p>\n", r->q->why);
    for (size_t i = 0; i < r->q->n_layers; i++) any |= r->q->layers[i].state != FZ_LAYER_QUANTISED;
    fzi_text_add(out, "<h2>What stayed float</h2>\n<ul id=\"float\">");
    for (size_t i = 0; i < r->q->n_layers; i++) {
        const struct fz_layer *layer = &r->q->layers[i];
        if (layer->state == FZ_LAYER_QUANTISED) continue;
        fzi_text_add(out, "<li>");
        escaped(out, layer->name);
        fzi_text_add(out, " (%s): %s", layer->type, fzi_report_state(layer));
        if (layer->sensitivity != 0)
            fzi_text_add(out, "; quantised alone, the outputs have %.1f dB", layer->sensitivity);
        fzi_text_add(out, "</li>\n");
    }
    fzi_text_add(out, "%s</ul>\n", any ? "" : "<li>no layer that could be quantised</li>");
}

void fzi_report_html(const struct fz_report *r, struct fz_text *out) {
    const struct fz_quantizer *q = r->q;
    fzi_text_add(out, "%s<h1>Quantisation report</h1>\n<p>", head);
    escaped(out, q->graph->info->graph_name ? q->graph->info->graph_name : "");
    fzi_text_add(out, ": %s, opset %d, %zu samples, %zu layers.</p>\n", fzi_report_kind(q),
                 q->opset, q->n_samples, q->n_layers);
    table(r, out);
    bars(r, out);
    kept(r, out);
    histograms(r, out);
    fzi_text_add(out, "</body></html>\n");
}
