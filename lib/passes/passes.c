/* The list of passes, literally one array, and the driver. */
#include "passes/passes.h"

struct row {
    const char *name;
    fz_pass_fn run;
    bool deep; /* the pass visits subgraphs itself */
};

static const struct row rows[] = {
    {"resolve", fzi_pass_resolve, false},
    {"fold", fzi_pass_fold, true},
    {"branch", fzi_pass_branch, false},
    {"clean", fzi_pass_clean, false},
    {"integer", fzi_pass_integer, false},
    {"qdq", fzi_pass_qdq, false},
    {"narrow", fzi_pass_narrow_weights, false},
    {"fold", fzi_pass_fold, true},
    {"clean", fzi_pass_clean, false},
    {"round", fzi_pass_round, false},
    {"fold", fzi_pass_fold, true},
    {"clean", fzi_pass_clean, false},
    {"affine", fzi_pass_affine, false},
    {"batchnorm", fzi_pass_batchnorm, false},
    {"affine", fzi_pass_affine, false},
    {"activation", fzi_pass_activation, false},
    {"norm", fzi_pass_norm, false},
    {"simplify", fzi_pass_simplify, false},
    {"product", fzi_pass_product, false},
    {"attend", fzi_pass_attend, false},
    {"attention", fzi_pass_attention, false},
    {"recurrent", fzi_pass_recurrent, false},
    {"table", fzi_pass_table, false},
    {"layout", fzi_pass_layout, false},
    {"transpose", fzi_pass_transpose, false},
    {"fold", fzi_pass_fold, true},
    {"clean", fzi_pass_clean, false},
    {"epilogue", fzi_pass_epilogue, false},
    {"merge", fzi_pass_merge, false},
    {"clean", fzi_pass_clean, false},
    {"infer", fzi_pass_infer, true},
};

/* Runs ROW on GRAPH and then on its subgraphs, outer graphs first. */
static fz_status_t run_deep(const struct row *row, struct fz_pass *pass, struct fz_graph *graph) {
    FZ_TRY(row->run(pass, graph));
    if (row->deep) return FZ_OK;
    for (struct fz_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_sub; i++) FZ_TRY(run_deep(row, pass, node->sub[i]));
    return FZ_OK;
}

static uint32_t count_nodes(const struct fz_graph *graph) {
    uint32_t n = graph->n_nodes;
    for (const struct fz_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_sub; i++) n += count_nodes(node->sub[i]);
    return n;
}

static fz_status_t run_row(const struct row *row, struct fz_pass *pass) {
    pass->n_changes = 0;
    fz_status_t status = run_deep(row, pass, pass->graph);
    if (status == FZ_OK) status = fzi_graph_check(pass->graph);
    return status;
}

/* The end of a pass, or of all: what was found is told, unless STATUS is worse. */
static fz_status_t settle(struct fz_pass *pass, fz_status_t status) {
    if (status == FZ_OK) status = fzi_faults_raise(&pass->faults);
    fzi_faults_free(&pass->faults);
    return status;
}

/* A pass that only learns shapes changes the graph too. */
static void describe(const char *name, const struct fz_graph *graph, char before[65],
                     struct fz_text *origin) {
    char after[65];
    fzi_pass_digest(graph, after);
    if (strcmp(before, after) == 0) return;
    fzi_text_add(origin, "pass %s sha256:%s\n", name, after);
    memcpy(before, after, sizeof after);
}

fz_status_t fzi_passes_run(struct fz_graph *graph, const fz_freeze_options_t *options,
                           const struct fzk_table *k, struct fz_text *log, struct fz_text *origin) {
    struct fz_pass pass = {.graph = graph, .options = options, .k = k};
    char before[65];
    fzi_pass_digest(graph, before);
    fzi_text_add(origin, "graph sha256:%s\n", before);
    for (size_t i = 0; i < FZ_COUNT(rows); i++) {
        fz_status_t status = run_row(&rows[i], &pass);
        /* The fold pass looks at the nodes that resolve has left, and finds the rest. */
        if (status != FZ_OK || rows[i].run != fzi_pass_resolve)
            FZ_TRY(settle(&pass, status));
        describe(rows[i].name, graph, before, origin);
        fzi_text_add(log, "%s %u %u\n", rows[i].name, pass.n_changes, count_nodes(graph));
        if (options->progress &&
            options->progress(options->progress_context,
                              0.1 + 0.4 * (double)(i + 1) / (double)FZ_COUNT(rows), rows[i].name))
            return settle(&pass, fzi_error(FZ_E_CANCELLED, "freezing was cancelled"));
    }
    return FZ_OK;
}

fz_status_t fzi_passes_run_one(const char *name, struct fz_pass *pass) {
    for (size_t i = 0; i < FZ_COUNT(rows); i++)
        if (strcmp(rows[i].name, name) == 0) return settle(pass, run_row(&rows[i], pass));
    return fzi_error(FZ_E_USAGE, "there is no pass '%s'", name);
}
