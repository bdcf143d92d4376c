/* The fz_session_ functions. */
#include "api/options.h"
#include "exec/session.h"
#include "tensor/value.h"

enum { THREADS_MAX = 1024 };

fz_status_t fz_session_create(fz_model_t *model, const fz_session_options_t *options,
                              fz_session_t **out) {
    fz_session_options_t o;
    if (!out) return fzi_error(FZ_E_USAGE, "fz_session_create: OUT is NULL");
    *out = NULL;
    if (!model) return fzi_error(FZ_E_USAGE, "fz_session_create: MODEL is NULL");
    FZ_TRY(fzi_options_copy(&o, sizeof o, options, "fz_session_options_t"));
    if (o.threads < -1 || o.threads > THREADS_MAX || o.reserved ||
        o.flags & ~(uint32_t)FZ_SESSION_RECEIPTS)
        return fzi_error(FZ_E_USAGE, "fz_session_options_t: bad threads, flags or reserved");
    return fzi_session_new(model, &o, out);
}

void fz_session_close(fz_session_t *session) { fzi_session_free(session); }

fz_status_t fz_session_run(fz_session_t *session, const fz_tensor_t *inputs, size_t n_inputs,
                           fz_tensor_t *outputs, size_t n_outputs) {
    if (!session || (n_inputs && !inputs) || (n_outputs && !outputs))
        return fzi_error(FZ_E_USAGE, "fz_session_run: a pointer is NULL");
    return fzi_session_run(session, inputs, n_inputs, outputs, n_outputs);
}

fz_status_t fz_session_set_deadline(fz_session_t *session, uint64_t microseconds) {
    if (!session || microseconds > UINT64_MAX / 4000)
        return fzi_error(FZ_E_USAGE, "fz_session_set_deadline: bad session or deadline");
    session->deadline_us = microseconds;
    session->deadline_ns = 0;
    return FZ_OK;
}

void fz_session_cancel(fz_session_t *session) {
    if (session) atomic_store_explicit(&session->cancelled, true, memory_order_relaxed);
}

fz_status_t fz_session_receipt(const fz_session_t *session, char *text, size_t size,
                               size_t *needed) {
    if (needed) *needed = 0;
    if (size && text) text[0] = 0;
    if (!session || (!text && size))
        return fzi_error(FZ_E_USAGE, "fz_session_receipt: a pointer is NULL");
    return fzi_receipt_write(session, text, size, needed);
}

fz_status_t fz_tensor_digest(const fz_tensor_t *tensors, size_t n, uint8_t digest[32]) {
    if (!digest || (n && !tensors))
        return fzi_error(FZ_E_USAGE, "fz_tensor_digest: a pointer is NULL");
    memset(digest, 0, 32);
    for (size_t i = 0; i < n; i++) {
        fz_tensor_t t = tensors[i];
        FZ_TRY(fzi_tensor_measure(&t));
        if (t.size > tensors[i].size || (t.size && !t.data))
            return fzi_error(FZ_E_USAGE, "fz_tensor_digest: tensor %zu has too few bytes", i);
        if (fzi_type_has_pointers(t.dtype) && fzi_value_check(&t) != FZ_OK)
            return fzi_error_context(FZ_E_USAGE, "fz_tensor_digest: tensor %zu", i);
    }
    fzi_receipt_digest(tensors, n, digest);
    return FZ_OK;
}

fz_status_t fz_session_stats(const fz_session_t *session, fz_session_stats_t *out) {
    if (!session || !out) return fzi_error(FZ_E_USAGE, "fz_session_stats: a pointer is NULL");
    *out = (fz_session_stats_t){
        .n_runs = session->n_runs,
        .n_allocations = session->n_allocations,
        .arena_size = session->current ? session->current->arena_size : 0,
        .memory_size = session->memory_size + session->heap.used};
    return FZ_OK;
}

fz_status_t fz_session_set_trace(fz_session_t *session, fz_trace_fn trace, void *context) {
    if (!session) return fzi_error(FZ_E_USAGE, "fz_session_set_trace: SESSION is NULL");
    if (!session->trace != !trace) fzi_session_unbind(session);
    session->trace = trace;
    session->trace_context = context;
    return FZ_OK;
}
