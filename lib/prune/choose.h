/* Which channels, neurons and heads go: greedily, the least error of the consumers' outputs for
 * each multiply-accumulate saved.
 *
 * The error of taking inputs S from a product Y = X W is what remains when the other weights
 * have made up for it as well as they can: tr(W_S^T ([H^-1]_SS)^-1 W_S), with H = X^T X over the
 * calibration data (Hassibi and Stork, "Second order derivatives for network pruning: Optimal
 * Brain Surgeon", 1993; for whole structures: Kurtic, Frantar, Alistarh, "ZipLM", 2023). It is
 * divided by the energy of Y. Without data H is the identity: then it is the share of the
 * weights' squares. */
#ifndef FZ_PRUNE_CHOOSE_H
#define FZ_PRUNE_CHOOSE_H

#include "prune/cost.h"
#include "prune/linear.h"

struct fz_consumer {
    const struct fz_linear *linear;
    struct fz_dim *in, *out;     /* channels, outputs */
    struct fz_moments moments;   /* of the inputs; count 0: no data */
    bool centred;
    double *inverse;             /* of H, for the inputs left; NULL: the identity */
    double *w;                   /* K x N, made up for what is gone */
    double *saved_inverse, *saved_w; /* during a trial */
    double *shown;               /* the weights that the traced model has */
    double energy;
    bool dirty;                  /* changed since errors were taken */
};

/* Multiply-accumulates, and time as costs foretell it. */
struct fz_work {
    uint64_t macs, time;
};

struct fz_choice {
    struct fz_arena *arena;
    struct fz_depend *depend;
    struct fz_consumer *consumers;
    uint32_t n_consumers;
    struct fz_candidate *candidates;
    uint32_t n_candidates;
    struct fz_cost *costs;
    uint32_t n_costs;
    struct fz_work work, left;   /* of one run of the trace */
    double error;                /* the sum of all that was accepted */
};

/* The rows (or columns) of a consumer's weights that belong to each index of a leaf: of index i
 * those in list[first[i]] to list[first[i + 1] - 1]. */
struct fz_use {
    struct fz_consumer *consumer;
    int64_t *first, *list;
};

/* What errors of a candidate's consumers do to the model's outputs: a line of FZ_CURVE parts. Up
 * to ERROR the outputs have MOVED, by WEIGHT for each of the part's. */
enum { FZ_CURVE = 6 };
struct fz_weight {
    double error, moved, weight;
};

/* A dimension that may shrink. */
struct fz_candidate {
    struct fz_dim *leaf;
    int64_t unit, left;          /* indices go UNIT at a time; how many stay */
    struct fz_use *reads, *makes;
    uint32_t n_reads, n_makes;
    double *errors;              /* by index */
    uint8_t *saved_gone;         /* during a trial */
    struct fz_weight curve[FZ_CURVE];
    uint32_t n_curve;
    double spent;                /* the error since the curve was taken */
    uint32_t *costs;             /* which of the costs it has a part in */
    uint32_t n_costs;
};

/* Finds consumers, candidates and costs. LINEARS must live as long. */
fz_status_t fzi_choice_open(struct fz_choice *choice, struct fz_depend *depend,
                            const struct fz_linear *linears, uint32_t n, bool data);
/* Takes H from the moments, now that all rows are in them. FZ_E_VALUE for NaN or infinity. */
fz_status_t fzi_choice_ready(struct fz_choice *choice);
/* N of candidate K's indices that are left go, for a while: *ERROR is what the greedy walk counts
 * for that. The consumers' w are what they would be; fzi_choice_undo puts everything back. */
fz_status_t fzi_choice_try(struct fz_choice *choice, struct fz_candidate *k, int64_t n,
                           double *error);
/* Adds to K's curve, which begins at 0: ERROR has moved the outputs by MOVED. */
void fzi_choice_weigh(struct fz_candidate *k, double error, double moved);
void fzi_choice_undo(struct fz_choice *choice, struct fz_candidate *k);
/* Lets leaves' `gone` say what goes until no more than GOAL is left, of both. Each dimension keeps
 * some of its indices. FZ_E_VALUE if that is not enough. */
fz_status_t fzi_choice_make(struct fz_choice *choice, struct fz_work goal);

#endif
