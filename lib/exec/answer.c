/* Known answers. */
#include "exec/answer.h"

#include "base/fpenv.h"
#include "base/philox.h"
#include "base/sha256.h"
#include "exec/session.h"
#include "tensor/value.h"

/* Element I of the input STREAM: 24 random bits, so that every value is exact in all float types
 * that can hold it, scaled to [-1, 1). */
static float uniform(uint64_t seed, uint64_t stream, uint64_t i) {
    uint32_t random[4];
    fzi_philox(seed, stream, i / 4, random);
    return (float)(random[i % 4] >> 8) * 0x1p-23f - 1.0f;
}

/* An empty sequence, optional or map. */
static fz_status_t make_empty(fz_tensor_t *t, struct fz_arena *arena) {
    bool map = fz_type_kind(t->dtype) == FZ_KIND_MAP;
    int64_t n = map ? 2 : 0;
    fzi_shape_set(t, 1, &n);
    FZ_TRY(fzi_tensor_alloc(arena, t));
    fz_tensor_t *parts = t->data;
    if (map) parts[0] = (fz_tensor_t){.dtype = fz_type_key(t->dtype), .rank = 1};
    if (map) parts[1] = (fz_tensor_t){.dtype = fz_type_element(t->dtype), .rank = 1};
    return FZ_OK;
}

static void fill(fz_tensor_t *t, uint64_t seed, uint64_t stream) {
    int64_t n = fzi_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        float x = uniform(seed, stream, (uint64_t)i);
        if (t->dtype == FZ_TYPE_F32) ((float *)t->data)[i] = x;
        else if (t->dtype == FZ_TYPE_F64) ((double *)t->data)[i] = (double)x;
        else if (t->dtype == FZ_TYPE_F16) ((uint16_t *)t->data)[i] = fzi_f32_to_f16(x);
        else if (t->dtype == FZ_TYPE_BF16) ((uint16_t *)t->data)[i] = fzi_f32_to_bf16(x);
    }
}

static fz_status_t make_inputs(struct fz_model *model, uint64_t seed, struct fz_arena *arena,
                               fz_tensor_t *inputs) {
    const struct fz_plan *plan = &model->plan;
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        inputs[i] = model->values[plan->io[i].value];
        if (fzi_type_is_nested(inputs[i].dtype)) {
            FZ_TRY(make_empty(&inputs[i], arena));
            continue;
        }
        if (inputs[i].rank < 0) inputs[i].rank = 0;
        for (int32_t d = 0; d < inputs[i].rank; d++)
            if (inputs[i].dims[d] < 0) inputs[i].dims[d] = 1;
        FZ_TRY(fzi_tensor_alloc(arena, &inputs[i]));
        fill(&inputs[i], seed, i);
    }
    return FZ_OK;
}

static void put_int(struct fz_sha256 *hash, int64_t x) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)x >> (8 * i));
    fzi_sha256_update(hash, bytes, 8);
}

static void put_strings(struct fz_sha256 *hash, const fz_tensor_t *t) {
    const struct fz_string *strings = t->data;
    for (size_t i = 0; i < t->size / sizeof *strings; i++) {
        put_int(hash, (int64_t)strings[i].size);
        fzi_sha256_update(hash, strings[i].text, strings[i].size);
    }
}

void fzi_answer_digest(struct fz_sha256 *hash, const fz_tensor_t *t) {
    put_int(hash, t->dtype);
    put_int(hash, t->rank);
    for (int32_t d = 0; d < t->rank; d++) put_int(hash, t->dims[d]);
    if (t->dtype == FZ_TYPE_STRING) {
        put_strings(hash, t);
        return;
    }
    for (int64_t i = 0; fzi_type_is_nested(t->dtype) && i < t->dims[0]; i++) {
        fz_tensor_t item = fzi_value_item(t, i);
        fzi_answer_digest(hash, &item);
    }
    if (fzi_type_is_nested(t->dtype)) return;
    size_t width = fzi_type_width(t->dtype);
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ || width == 1) {
        fzi_sha256_update(hash, t->data, t->size);
        return;
    }
    for (size_t at = 0; at < t->size; at += width)
        for (size_t b = width; b > 0; b--)
            fzi_sha256_update(hash, (const uint8_t *)t->data + at + b - 1, 1);
}

static void digest_outputs(const fz_tensor_t *outputs, size_t n, struct fz_answer *answer) {
    struct fz_sha256 all, one;
    fzi_sha256_init(&all);
    for (size_t i = 0; i < n; i++) fzi_answer_digest(&all, &outputs[i]);
    fzi_sha256_final(&all, answer->digest);
    for (size_t i = 0; answer->outputs && i < n; i++) {
        fzi_sha256_init(&one);
        fzi_answer_digest(&one, &outputs[i]);
        fzi_sha256_final(&one, answer->outputs[i]);
    }
}

static fz_status_t run(struct fz_session *session, uint64_t seed, const fz_tensor_t *given,
                       struct fz_arena *arena, struct fz_answer *answer) {
    const struct fz_plan *plan = &session->model->plan;
    fz_tensor_t *inputs = fzi_arena_array(arena, plan->n_inputs, sizeof *inputs);
    fz_tensor_t *outputs = fzi_arena_array(arena, plan->n_outputs, sizeof *outputs);
    if (!inputs || !outputs) return fzi_error(FZ_E_NOMEM, "no memory for a known answer");
    if (given && plan->n_inputs) memcpy(inputs, given, plan->n_inputs * sizeof *inputs);
    else FZ_TRY(make_inputs(session->model, seed, arena, inputs));
    FZ_TRY(fzi_session_run(session, inputs, plan->n_inputs, outputs, plan->n_outputs));
    digest_outputs(outputs, plan->n_outputs, answer);
    return FZ_OK;
}

const fz_tensor_t *fzi_answer_inputs(const struct fz_model *model) {
    const struct fz_plan_kat *kat = model->plan.kat;
    return kat && kat->state == 3 ? &model->values[kat->seed_low] : NULL;
}

fz_status_t fzi_answer_compute(struct fz_model *model, uint64_t seed, const fz_tensor_t *inputs,
                               struct fz_answer *answer) {
    fz_session_options_t options = {.size = sizeof options};
    struct fz_arena arena = {0};
    struct fz_session *session;
    FZ_TRY(fzi_session_new(model, &options, &session));
    uint64_t old = fzi_fpenv_enter(); /* inputs are computed, too */
    fz_status_t status = run(session, seed, inputs, &arena, answer);
    fzi_fpenv_leave(old);
    if (fzi_model_is_static(model)) {
        answer->arena_size = session->arena_wanted;
        answer->macs = session->macs;
    }
    fzi_session_free(session);
    fzi_arena_free(&arena);
    return status;
}

/* ---- comparing */

static bool is_promised(const struct fz_plan_kat *kat, const uint8_t digest[32]) {
    for (int i = 0; i < 32; i++)
        if (digest[i] != (uint8_t)(kat->digest[i / 4] >> (24 - 8 * (i % 4)))) return false;
    return true;
}

/* Says in TEXT what output I, or with I < 0 all of them, is and should be. */
static void tell(struct fz_text *text, const struct fz_plan *plan, int64_t i,
                 const struct fz_plan_kat *kat, const uint8_t digest[32]) {
    if (i < 0) fzi_text_add(text, "all outputs: sha256 ");
    else
        fzi_text_add(text, "%soutput '%s': sha256 ", text->size ? "; " : "",
                     plan->strings + plan->io[plan->n_inputs + (size_t)i].name);
    for (int b = 0; b < 32; b++) fzi_text_add(text, "%02x", digest[b]);
    fzi_text_add(text, ", the file says ");
    for (int w = 0; w < 8; w++) fzi_text_add(text, "%08x", kat->digest[w]);
}

/* Names what differs; a file of old has the digest of all outputs only. */
static fz_status_t compare(const struct fz_plan *plan, const struct fz_answer *answer) {
    struct fz_text text = {0};
    bool whole = is_promised(plan->kat, answer->digest), same = whole;
    for (size_t i = 1; i < plan->n_kat; i++) {
        if (is_promised(&plan->kat[i], answer->outputs[i - 1])) continue;
        same = false;
        tell(&text, plan, (int64_t)i - 1, &plan->kat[i], answer->outputs[i - 1]);
    }
    if (!whole && !text.size) tell(&text, plan, -1, plan->kat, answer->digest);
    fz_status_t status = FZ_OK;
    if (!same)
        status = fzi_error(FZ_E_ANSWER, "this host computes other bits than the file promises: %s",
                           text.data ? text.data : "no memory to say which");
    fzi_text_free(&text);
    return status;
}

fz_status_t fzi_answer_check(struct fz_model *model) {
    const struct fz_plan *plan = &model->plan;
    const struct fz_plan_kat *kat = plan->kat;
    struct fz_arena arena = {0};
    if (!kat || kat->state == 0)
        return fzi_error(FZ_E_UNSUPPORTED,
                         "the file holds no known answer: it was frozen without one");
    if (kat->state == 2)
        return fzi_error(FZ_E_UNSUPPORTED,
                         "the file holds no known answer: its run failed with %s when the model "
                         "was frozen, which can be given inputs for it",
                         fzi_status_name((fz_status_t)kat->status));
    struct fz_answer answer = {
        .outputs = fzi_arena_array(&arena, plan->n_outputs, sizeof *answer.outputs)};
    fz_status_t status =
        answer.outputs
            ? fzi_answer_compute(model, kat->seed_low | (uint64_t)kat->seed_high << 32,
                                 fzi_answer_inputs(model), &answer)
            : fzi_error(FZ_E_NOMEM, "no memory for a known answer");
    if (status == FZ_OK) status = compare(plan, &answer);
    else fzi_error_context(status, "the known answer");
    fzi_arena_free(&arena);
    return status;
}
