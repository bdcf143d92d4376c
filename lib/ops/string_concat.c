/* StringConcat: one string behind the other, of two tensors that broadcast. */
#include "ops/texts.h"
#include "ops/walk.h"

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    fz_tensor_t out = {0};
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(STRING)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(STRING)));
    FZ_TRY(fzi_infer_broadcast(op, call->in, 2, &out));
    fzi_infer_like(call, 0, FZ_TYPE_STRING, &out);
    return FZ_OK;
}

/* Writes string I of the result to TO, or with NULL says its size. */
static size_t join(const struct fz_call *call, const struct fz_walk_at *at, char *to) {
    const struct fz_string *a = (const struct fz_string *)call->in[0]->data + at->off[0];
    const struct fz_string *b = (const struct fz_string *)call->in[1]->data + at->off[1];
    if (to && a->size) memcpy(to, a->text, a->size);
    if (to && b->size) memcpy(to + a->size, b->text, b->size);
    return a->size + b->size;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_string *out = call->out[0]->data;
    int64_t n = fzi_tensor_count(call->out[0]);
    struct fz_walk walk;
    struct fz_walk_at at;
    size_t total = 0;
    (void)op;
    if (n == 0) return FZ_OK;
    fzi_walk_init(&walk, call->out[0], call->in, 2);
    fzi_walk_seek(&walk, &at, 0);
    for (int64_t i = 0; i < n; i++, fzi_walk_next(&walk, &at, 1))
        if (!fzi_add_size(total, join(call, &at, NULL), &total))
            return fzi_error(FZ_E_LIMIT, "the strings are too large");
    char *room = fzi_text_room(call->env, total);
    if (!room) return FZ_E_LIMIT;
    fzi_walk_seek(&walk, &at, 0);
    for (int64_t i = 0; i < n; i++, fzi_walk_next(&walk, &at, 1)) {
        out[i] = (struct fz_string){room, join(call, &at, room)};
        room += out[i].size;
    }
    return FZ_OK;
}

const struct fz_op fz_ops_string_concat[] = {
    {.name = "StringConcat", .domain = "", .since = 20, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .infer = infer, .run = run},
    {0},
};
