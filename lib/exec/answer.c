/* Known answers. */
#include "exec/answer.h"

#include "base/philox.h"
#include "base/sha256.h"
#include "exec/session.h"

/* Element I of the input STREAM: 24 random bits, so that every value is exact in all float types
 * that can hold it, scaled to [-1, 1). */
static float uniform(uint64_t seed, uint64_t stream, uint64_t i) {
    uint32_t random[4];
    fzi_philox(seed, stream, i / 4, random);
    return (float)(random[i % 4] >> 8) * 0x1p-23f - 1.0f;
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

void fzi_answer_digest(struct fz_sha256 *hash, const fz_tensor_t *t) {
    put_int(hash, t->dtype);
    put_int(hash, t->rank);
    for (int32_t d = 0; d < t->rank; d++) put_int(hash, t->dims[d]);
    size_t width = fzi_type_width(t->dtype);
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ || width == 1) {
        fzi_sha256_update(hash, t->data, t->size);
        return;
    }
    for (size_t at = 0; at < t->size; at += width)
        for (size_t b = width; b > 0; b--)
            fzi_sha256_update(hash, (const uint8_t *)t->data + at + b - 1, 1);
}

static fz_status_t run(struct fz_session *session, uint64_t seed, const fz_tensor_t *given,
                       struct fz_arena *arena, uint8_t digest[32]) {
    const struct fz_plan *plan = &session->model->plan;
    fz_tensor_t *inputs = fzi_arena_array(arena, plan->n_inputs, sizeof *inputs);
    fz_tensor_t *outputs = fzi_arena_array(arena, plan->n_outputs, sizeof *outputs);
    if (!inputs || !outputs) return fzi_error(FZ_E_NOMEM, "no memory for a known answer");
    if (given && plan->n_inputs) memcpy(inputs, given, plan->n_inputs * sizeof *inputs);
    else FZ_TRY(make_inputs(session->model, seed, arena, inputs));
    FZ_TRY(fzi_session_run(session, inputs, plan->n_inputs, outputs, plan->n_outputs));
    struct fz_sha256 hash;
    fzi_sha256_init(&hash);
    for (size_t i = 0; i < plan->n_outputs; i++) fzi_answer_digest(&hash, &outputs[i]);
    fzi_sha256_final(&hash, digest);
    return FZ_OK;
}

const fz_tensor_t *fzi_answer_inputs(const struct fz_model *model) {
    const struct fz_plan_kat *kat = model->plan.kat;
    return kat && kat->state == 3 ? &model->values[kat->seed_low] : NULL;
}

fz_status_t fzi_answer_compute(struct fz_model *model, uint64_t seed, const fz_tensor_t *inputs,
                               uint8_t digest[32], uint64_t *arena_size, uint64_t *macs) {
    fz_session_options_t options = {.size = sizeof options};
    struct fz_arena arena = {0};
    struct fz_session *session;
    FZ_TRY(fzi_session_new(model, &options, &session));
    fz_status_t status = run(session, seed, inputs, &arena, digest);
    if (fzi_model_is_static(model)) {
        *arena_size = session->arena_wanted;
        *macs = session->macs;
    }
    fzi_session_free(session);
    fzi_arena_free(&arena);
    return status;
}
