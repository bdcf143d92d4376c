/* Batches: a row of a batch has the bits that it has alone. */
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The batch dimension of each input: that of the first input, if it is open, and those of its name
 * in the others (an open one if it has no name); -1: the input has none. */
struct batch {
    int axis[MANY];
    size_t n;
};

static bool find_batch(const struct subject *s, struct batch *b) {
    fz_io_t first, io;
    b->n = s->inputs.n;
    if (b->n == 0 || fz_model_input(s->model, 0, &first) != FZ_OK) return false;
    if (first.rank < 1 || first.dims[0] != -1 || s->inputs.at[0].dims[0] != 1) return false;
    for (size_t i = 0; i < b->n; i++) {
        b->axis[i] = -1;
        fz_model_input(s->model, i, &io);
        for (int32_t d = io.rank - 1; d >= 0; d--)
            if (io.dims[d] == -1 && s->inputs.at[i].dims[d] == 1 &&
                strcmp(io.dim_names[d], first.dim_names[0]) == 0)
                b->axis[i] = d;
    }
    return true;
}

static void range_of(const fz_tensor_t *t, double range[2]) {
    range[0] = -1, range[1] = 1;
    if (t->dtype != FZ_TYPE_F32) return;
    const float *x = t->data;
    for (size_t i = 0; i < t->size / 4; i++) {
        if (x[i] < range[0]) range[0] = x[i];
        if (x[i] > range[1]) range[1] = x[i];
    }
}

/* Copies row I of N along AXIS from WHOLE to ROW, which has one, or back. */
static void copy_row(const fz_tensor_t *whole, const fz_tensor_t *row, int axis, size_t i,
                     size_t n, bool back) {
    size_t outer = 1, block;
    for (int d = 0; d < axis; d++) outer *= (size_t)whole->dims[d];
    block = outer ? row->size / outer : 0;
    for (size_t o = 0; o < outer; o++) {
        char *in_whole = (char *)whole->data + (o * n + i) * block;
        char *in_row = (char *)row->data + o * block;
        memcpy(back ? in_whole : in_row, back ? in_row : in_whole, block);
    }
}

/* ROWS[i] become the inputs of batch 1, the subject's own first; WHOLE all of them. */
static void make_batch(const struct subject *s, const struct batch *b, size_t n,
                       struct tensors *rows, struct tensors *whole) {
    uint32_t random = 7;
    *whole = s->inputs;
    for (size_t k = 0; k < s->inputs.n; k++) {
        if (b->axis[k] >= 0) whole->at[k].dims[b->axis[k]] = (int64_t)n;
        tensor_make(&whole->at[k], 0);
        if (b->axis[k] < 0) memcpy(whole->at[k].data, s->inputs.at[k].data, whole->at[k].size);
    }
    for (size_t i = 0; i < n; i++) {
        tensors_copy(&rows[i], &s->inputs, 0);
        for (size_t k = 0; k < s->inputs.n; k++) {
            double range[2];
            if (b->axis[k] < 0) continue;
            range_of(&s->inputs.at[k], range);
            if (i > 0) tensor_fill(&rows[i].at[k], &random, range[0] * (double)i, range[1]);
            copy_row(&whole->at[k], &rows[i].at[k], b->axis[k], i, n, true);
        }
    }
}

/* True if row I of the outputs WHOLE is ROW. An output's batch axis is where the two differ; one
 * without must be the same. */
static bool same_row(struct subject *s, const struct tensors *whole, const struct tensors *row,
                     size_t i, size_t n) {
    for (size_t k = 0; k < row->n; k++) {
        fz_tensor_t *w = (fz_tensor_t *)&whole->at[k], got = row->at[k];
        int axis = -1;
        if (w->rank != got.rank) return bad(s, "output %zu has another rank", k);
        for (int d = 0; d < got.rank; d++) {
            if (w->dims[d] == got.dims[d]) continue;
            if (axis >= 0 || w->dims[d] != (int64_t)n * got.dims[d])
                return bad(s, "output %zu has no batch dimension", k);
            axis = d;
        }
        tensor_make(&got, 0);
        copy_row(w, &got, axis < 0 ? 0 : axis, axis < 0 ? 0 : i, axis < 0 ? 1 : n, false);
        bool same = memcmp(got.data, row->at[k].data, got.size) == 0;
        free(got.data);
        if (!same) return bad(s, "row %zu of %zu differs in output %zu", i, n, k);
    }
    return true;
}

/* A batch of N has the bits of its rows, which SINGLE runs alone. */
static bool rows_hold(struct subject *s, const struct batch *b, size_t n, int threads,
                      fz_model_t *single) {
    struct tensors *rows = calloc(n, sizeof *rows), whole, out, alone;
    struct subject other = *s;
    other.model = single;
    fz_session_t *many = session_of(s, threads), *one = session_of(&other, 1);
    if (!rows) abort();
    make_batch(s, b, n, rows, &whole);
    bool good = run_once(many, s->model, &whole, &out) == FZ_OK ||
                bad(s, "batch %zu: %s", n, fz_last_error());
    for (size_t i = 0; good && i < n; i++)
        good = run_once(one, single, &rows[i], &alone) == FZ_OK
                   ? same_row(s, &out, &alone, i, n)
                   : bad(s, "row %zu: %s", i, fz_last_error());
    for (size_t i = 0; i < n; i++) tensors_free(&rows[i], 0);
    tensors_free(&whole, 0);
    fz_session_close(many);
    fz_session_close(one);
    free(rows);
    return good;
}

/* By ONNX's definition DynamicQuantizeLinear takes one range over the whole tensor. */
static bool has_one_range(const struct subject *s) {
    const char *operators = fz_model_text(s->model, "operators");
    return operators && strstr(operators, "DynamicQuantizeLinear ") &&
           !(s->freeze_flags & FZ_FREEZE_RANGE_PER_ROW);
}

enum outcome check_rows(struct subject *s) {
    struct batch b;
    if (!find_batch(s, &b)) return NONE;
    const size_t sizes[] = {5, 2, 19};
    const int threads[] = {1, 3, 2};
    bool good = true;
    size_t n = s->full && s->seconds < 0.05 ? 3 : s->seconds < 0.1 ? 2 : 1, i;
    for (i = 0; i < n && good; i++)
        good = rows_hold(s, &b, sizes[n == 1 ? 1 : i], threads[i], s->model);
    if (!good && has_one_range(s)) {
        char what[sizeof s->note];
        memcpy(what, s->note, sizeof what);
        bad(s, "%.90s: DynamicQuantizeLinear takes one range for all of them", what);
        return EXCEPTION;
    }
    if (good) bad(s, "%s", n == 1 ? "2" : n == 2 ? "5 and 2" : "5, 2 and 19");
    return good ? GOOD : BAD;
}

/* Models whose products have one row for each image, so that a range per row is, of one image alone,
 * the range of the tensor: run row by row, the model that is frozen without the option must give the
 * bits that this one gives a batch. */
enum outcome check_ranges(struct subject *s) {
    static const char *const models[] = {"digits_cnn.dyn", "digits_mlp.dyn", "digits_lstm.dyn"};
    struct subject tensor = {.path = s->path};
    struct batch b;
    bool known = false;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        known = known || strncmp(s->name, models[i], strlen(models[i])) == 0;
    if (!known || !(s->freeze_flags & FZ_FREEZE_RANGE_PER_ROW) || !find_batch(s, &b)) return NONE;
    fz_freeze_options_t options = {.size = sizeof options};
    if (fz_freeze_open(s->path, &options, NULL, &tensor.model) != FZ_OK) return BAD;
    bool good = rows_hold(s, &b, 5, 1, tensor.model) && rows_hold(s, &b, 23, 3, tensor.model);
    fz_model_close(tensor.model);
    if (good) bad(s, "5 and 23");
    return good ? GOOD : BAD;
}

/* A session keeps 8 sets of shapes: 11 drive the first one out, twice. */
enum outcome check_shapes(struct subject *s) {
    struct batch b;
    size_t most = s->full && s->seconds < 0.05 ? 11 : s->seconds < 0.02 ? 9 : 0;
    if (!find_batch(s, &b) || most == 0) return NONE;
    fz_session_t *session = session_of(s, 2);
    bool good = same_answer(s, session);
    for (size_t turn = 0; good && turn < 2; turn++) {
        for (size_t n = 2; good && n < 2 + most; n++) {
            struct tensors *rows = calloc(n, sizeof *rows), whole, out;
            if (!rows) abort();
            make_batch(s, &b, n, rows, &whole);
            good = run_once(session, s->model, &whole, &out) == FZ_OK ||
                   bad(s, "batch %zu: %s", n, fz_last_error());
            if (n % 3 == 0) good = good && same_answer(s, session);
            for (size_t i = 0; i < n; i++) tensors_free(&rows[i], 0);
            tensors_free(&whole, 0);
            free(rows);
        }
        good = good && same_answer(s, session);
    }
    fz_session_close(session);
    if (good) bad(s, "%zu shapes, twice", most);
    return good ? GOOD : BAD;
}
