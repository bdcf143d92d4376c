/* Scan: a subgraph for each slice of its scan inputs, with states from one slice to the next; what
 * it gives beside them is stacked. Opset 8 does so for each item of a batch, the first dimension of
 * everything, along the second one. */
#include "ops/control.h"
#include "ops/move.h"

enum { SCANS_MAX = 32 }; /* scan inputs, and scan outputs */

struct params {
    int64_t n_scans;            /* scan inputs: the last of the subgraph's */
    int64_t batched;            /* opset 8 */
    int64_t has_lengths;        /* the last input of all: of each sequence in the batch */
    int64_t in_axes[SCANS_MAX], in_backwards[SCANS_MAX];
    int64_t out_axes[SCANS_MAX], out_backwards[SCANS_MAX];
};

struct scan {
    const struct params *p;
    const fz_tensor_t *in[FZ_CONTROL_MAX];  /* of the subgraph: states, slices */
    const fz_tensor_t *out[FZ_CONTROL_MAX]; /* of its last run */
    fz_tensor_t items[SCANS_MAX];           /* the scan inputs, of the batch's item at hand */
    fz_tensor_t slices[SCANS_MAX];
    fz_tensor_t states[FZ_CONTROL_MAX];     /* as they start */
    uint32_t n_states, n_in, n_out;
    int64_t n_batch, item;                  /* 1 and 0 if there is no batch */
    int64_t max, length;                    /* slices: at most, and of this item */
};

/* ---- attributes */

/* The list NAME for N operands; none stands for zeros. */
static fz_status_t read_list(const struct fz_node *node, const char *name, int64_t n,
                             int64_t *out) {
    const int64_t *list = NULL;
    size_t size = 0;
    FZ_TRY(fzi_attr_ints(node, name, &list, &size));
    if (!list) return FZ_OK;
    if (size != (size_t)n)
        return fzi_error(FZ_E_FORMAT, "'%s' has %zu elements, not %lld", name, size,
                         (long long)n);
    for (size_t i = 0; i < size; i++) out[i] = list[i];
    return FZ_OK;
}

static fz_status_t read_counts(const struct fz_node *node, struct params *p, int64_t *n_out) {
    if (node->n_sub != 1 || !fzi_attr(node, "num_scan_inputs"))
        return fzi_error(FZ_E_FORMAT, "Scan needs a body and 'num_scan_inputs'");
    FZ_TRY(fzi_attr_int(node, "num_scan_inputs", 0, &p->n_scans));
    int64_t n_body = node->sub[0]->n_inputs;
    *n_out = (int64_t)node->n_out - (n_body - p->n_scans);
    if (p->n_scans < 1 || p->n_scans > n_body || *n_out < 0)
        return fzi_error(FZ_E_FORMAT, "%lld scan inputs of %lld", (long long)p->n_scans,
                         (long long)n_body);
    if (p->n_scans > SCANS_MAX || *n_out > SCANS_MAX || node->n_in > FZ_CONTROL_MAX ||
        node->n_out > FZ_CONTROL_MAX)
        return fzi_error(FZ_E_UNSUPPORTED, "more than %d scan inputs or outputs", SCANS_MAX);
    return FZ_OK;
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    int64_t n_out;
    (void)lower;
    FZ_TRY(read_counts(node, p, &n_out));
    FZ_TRY(read_list(node, "scan_input_axes", p->n_scans, p->in_axes));
    FZ_TRY(read_list(node, "scan_input_directions", p->n_scans, p->in_backwards));
    FZ_TRY(read_list(node, "scan_output_axes", n_out, p->out_axes));
    return read_list(node, "scan_output_directions", n_out, p->out_backwards);
}

/* The lengths of the sequences, input 0, go behind all others or, absent, away. */
static fz_status_t lower_batched(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    int64_t n_out;
    p->batched = 1;
    if (node->n_in < 2) return fzi_error(FZ_E_FORMAT, "Scan needs inputs");
    struct fz_value **in = fzi_arena_array(lower->graph->arena, node->n_in, sizeof *in);
    if (!in) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    memcpy(in, node->in + 1, (node->n_in - 1) * sizeof *in);
    in[node->n_in - 1] = node->in[0];
    p->has_lengths = in[node->n_in - 1] != NULL;
    node->n_in -= !p->has_lengths;
    node->in = in;
    FZ_TRY(read_counts(node, p, &n_out));
    return read_list(node, "directions", p->n_scans, p->in_backwards);
}

static fz_status_t infer_control(struct fz_node *node, bool inner) {
    const struct params *p = node->params;
    struct fz_graph *body = node->sub[0];
    fz_tensor_t open = {.rank = FZ_RANK_UNKNOWN};
    if (body->n_inputs + (uint64_t)p->has_lengths != node->n_in ||
        body->n_outputs != node->n_out)
        return fzi_error(FZ_E_FORMAT, "the body of Scan has other inputs or outputs than Scan");
    for (uint32_t i = 0; i < body->n_inputs && inner; i++) {
        if (!node->in[i]) return fzi_error(FZ_E_FORMAT, "input %u is absent", i);
        fzi_control_declare(body->inputs[i], node->in[i]->t.dtype, &open);
    }
    for (uint32_t i = 0; i < node->n_out && !inner; i++)
        if (node->out[i]) {
            node->out[i]->t.dtype = body->outputs[i]->t.dtype;
            node->out[i]->t.rank = FZ_RANK_UNKNOWN;
        }
    return FZ_OK;
}

/* ---- slices */

static bool is_sliceable(int32_t dtype) {
    return fz_type_bits(dtype) >= 8 || dtype == FZ_TYPE_STRING;
}

/* The item of the batch at hand, where it lies. */
static fz_status_t item_of(const struct scan *s, const fz_tensor_t *t, fz_tensor_t *item) {
    *item = *t;
    if (!is_sliceable(t->dtype))
        return fzi_error(FZ_E_UNSUPPORTED, "%s cannot be scanned", fz_type_name(t->dtype));
    if (!s->p->batched) return FZ_OK;
    if (t->rank < 1 || t->dims[0] != s->n_batch)
        return fzi_error(FZ_E_SHAPE, "the batch sizes differ");
    item->rank--;
    memmove(item->dims, t->dims + 1, (size_t)item->rank * sizeof *item->dims);
    FZ_TRY(fzi_tensor_measure(item));
    item->data = item->size ? (char *)t->data + (size_t)s->item * item->size : NULL;
    return FZ_OK;
}

/* Takes scan input I, whose slices become the body's. */
static fz_status_t open_input(const struct fz_call *call, struct scan *s, uint32_t i) {
    fz_tensor_t *item = &s->items[i], *slice = &s->slices[i];
    int32_t axis;
    FZ_TRY(item_of(s, call->in[s->n_states + i], item));
    if (!fzi_axis(s->p->in_axes[i], item->rank, &axis))
        return fzi_error(FZ_E_SHAPE, "scan input %u of rank %d has no axis %lld", i, item->rank,
                         (long long)s->p->in_axes[i]);
    if (i > 0 && item->dims[axis] != s->max)
        return fzi_error(FZ_E_SHAPE, "scan inputs of %lld and of %lld slices", (long long)s->max,
                         (long long)item->dims[axis]);
    s->max = item->dims[axis];
    *slice = (fz_tensor_t){.dtype = item->dtype};
    for (int32_t d = 0; d < item->rank; d++)
        if (d != axis) slice->dims[slice->rank++] = item->dims[d];
    FZ_TRY(fzi_tensor_measure(slice));
    slice->data = fzi_arena_alloc(call->env->heap, slice->size);
    if (!slice->data) return fzi_error(FZ_E_NOMEM, "no memory for a slice");
    s->in[s->n_states + i] = slice;
    return FZ_OK;
}

/* Copies slice AT along AXIS of WHOLE from or to PART, which has no such axis. */
static void copy_slice(const struct fz_env *env, const fz_tensor_t *whole, int32_t axis,
                       int64_t at, const fz_tensor_t *part, bool out) {
    struct fz_move move = {.width = fzi_type_width(whole->dtype)};
    int64_t inner = fzi_move_span(whole, axis + 1, whole->rank), stride = inner * whole->dims[axis];
    if (!part->size) return;
    fzi_move_dim(&move, fzi_move_span(whole, 0, axis), out ? inner : stride,
                 out ? stride : inner);
    fzi_move_dim(&move, inner, 1, 1);
    char *place = fzi_move_at(whole, at * inner);
    if (out) fzi_move_run(env, &move, part->data, place);
    else fzi_move_run(env, &move, place, part->data);
}

static void take_slices(const struct fz_call *call, struct scan *s, int64_t step) {
    for (uint32_t i = 0; i < s->p->n_scans; i++) {
        int32_t axis;
        if (!fzi_axis(s->p->in_axes[i], s->items[i].rank, &axis)) continue; /* it was there */
        int64_t at = s->p->in_backwards[i] ? s->length - 1 - step : step;
        copy_slice(call->env, &s->items[i], axis, at, &s->slices[i], false);
    }
}

/* ---- outputs */

/* The whole of an output whose parts are shaped like PART and have N places along AXIS, which is
 * negative for a state. At the first part it gets its shape. */
static fz_status_t open_output(const struct fz_call *call, const struct scan *s, uint32_t i,
                               const fz_tensor_t *part, int32_t axis, bool first) {
    fz_tensor_t whole = {.dtype = part->dtype};
    if (call->out[i]->dtype != part->dtype || !is_sliceable(part->dtype))
        return fzi_error(FZ_E_TYPE, "output %u is %s, the body gives %s", i,
                         fz_type_name(call->out[i]->dtype), fz_type_name(part->dtype));
    if (part->rank + 2 > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "output %u has too many dimensions", i);
    if (s->p->batched) whole.dims[whole.rank++] = s->n_batch;
    for (int32_t d = 0; d <= part->rank; d++) {
        if (d == axis) whole.dims[whole.rank++] = s->max;
        if (d < part->rank) whole.dims[whole.rank++] = part->dims[d];
    }
    if (first) {
        FZ_TRY(call->env->resize(call, i, whole.rank, whole.dims));
        if (call->out[i]->size) memset(call->out[i]->data, 0, call->out[i]->size);
    }
    if (fzi_shape_equal(call->out[i], &whole)) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "output %u changes its shape", i);
}

/* Puts what the body gave at STEP into scan output I. */
static fz_status_t put_slice(const struct fz_call *call, const struct scan *s, uint32_t i,
                             int64_t step) {
    const fz_tensor_t *part = s->out[i];
    uint32_t n = i - s->n_states;
    int64_t at = s->p->out_backwards[n] ? s->length - 1 - step : step;
    int32_t axis;
    fz_tensor_t item;
    if (!call->out[i]) return FZ_OK;
    if (!fzi_axis(s->p->out_axes[n], part->rank + 1, &axis))
        return fzi_error(FZ_E_SHAPE, "output %u has no axis %lld", i,
                         (long long)s->p->out_axes[n]);
    FZ_TRY(open_output(call, s, i, part, axis, s->item == 0 && step == 0));
    FZ_TRY(item_of(s, call->out[i], &item));
    copy_slice(call->env, &item, axis, at, part, true);
    return FZ_OK;
}

static fz_status_t put_state(const struct fz_call *call, const struct scan *s, uint32_t i) {
    const fz_tensor_t *part = s->in[i];
    fz_tensor_t item;
    if (!call->out[i]) return FZ_OK;
    if (!s->p->batched) return fzi_control_output(call, i, part);
    FZ_TRY(open_output(call, s, i, part, -1, s->item == 0));
    FZ_TRY(item_of(s, call->out[i], &item));
    if (item.size) memcpy(item.data, part->data, item.size);
    return FZ_OK;
}

/* ---- running */

static fz_status_t step_once(const struct fz_call *call, struct scan *s, int64_t step) {
    take_slices(call, s, step);
    s->n_out = FZ_CONTROL_MAX;
    FZ_TRY(call->env->eval(call, 0, s->in, s->n_in, s->out, &s->n_out));
    if (s->n_out != call->n_out) return fzi_error(FZ_E_FORMAT, "the body has other outputs");
    for (uint32_t i = s->n_states; i < s->n_out; i++) FZ_TRY(put_slice(call, s, i, step));
    for (uint32_t i = 0; i < s->n_states; i++) s->in[i] = s->out[i];
    return FZ_OK;
}

/* How many slices the item at hand has. */
static fz_status_t find_length(const struct fz_call *call, struct scan *s) {
    s->length = s->max;
    if (!s->p->has_lengths) return FZ_OK;
    const fz_tensor_t *lengths = call->in[s->n_in];
    if (lengths->dtype != FZ_TYPE_I64 || lengths->rank != 1 || lengths->dims[0] != s->n_batch)
        return fzi_error(FZ_E_SHAPE, "the lengths are no list of one int64 for each item");
    s->length = fzi_tensor_int(lengths, s->item);
    if (s->length >= 0 && s->length <= s->max) return FZ_OK;
    return fzi_error(FZ_E_VALUE, "item %lld has %lld slices of %lld", (long long)s->item,
                     (long long)s->length, (long long)s->max);
}

static fz_status_t run_item(const struct fz_call *call, struct scan *s) {
    for (uint32_t i = 0; i < s->n_states; i++) {
        if (s->p->batched) FZ_TRY(item_of(s, call->in[i], &s->states[i]));
        else s->states[i] = *call->in[i];
        s->in[i] = &s->states[i];
    }
    for (uint32_t i = 0; i < s->p->n_scans; i++) FZ_TRY(open_input(call, s, i));
    FZ_TRY(find_length(call, s));
    for (int64_t step = 0; step < s->length; step++) FZ_TRY(step_once(call, s, step));
    for (uint32_t i = 0; i < s->n_states; i++) FZ_TRY(put_state(call, s, i));
    return FZ_OK;
}

/* Params come from a file. */
static fz_status_t start(const struct fz_call *call, struct scan *s) {
    const struct params *p = call->params;
    uint64_t n_in = call->n_in - (p->has_lengths ? 1u : 0u);
    if (p->n_scans < 1 || p->n_scans > SCANS_MAX || (uint64_t)p->n_scans > n_in ||
        call->n_in > FZ_CONTROL_MAX || call->n_out < n_in - (uint64_t)p->n_scans ||
        call->n_out - (n_in - (uint64_t)p->n_scans) > SCANS_MAX)
        return fzi_error(FZ_E_FORMAT, "Scan has other inputs or outputs than its attributes say");
    *s = (struct scan){.p = p, .n_in = (uint32_t)n_in, .n_batch = 1};
    s->n_states = s->n_in - (uint32_t)p->n_scans;
    const fz_tensor_t *first = call->in[s->n_states];
    if (p->batched && first->rank < 2)
        return fzi_error(FZ_E_SHAPE, "a scan input of rank %d has no batch", first->rank);
    if (p->batched) s->n_batch = first->dims[0];
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    struct scan *s = fzi_arena_alloc(call->env->heap, sizeof *s);
    if (!s) return fzi_error(FZ_E_NOMEM, "no memory for a subgraph's inputs");
    FZ_TRY(start(call, s));
    int64_t none = 0;
    for (uint32_t i = 0; i < call->n_out; i++) /* for want of slices, or of a batch */
        FZ_TRY(call->env->resize(call, i, 1, &none));
    for (s->item = 0; s->item < s->n_batch; s->item++) FZ_TRY(run_item(call, s));
    return FZ_OK;
}

const struct fz_op fz_ops_scan[] = {
    {.name = "Scan", .domain = "", .since = 8, .until = 8, .rev = 1,
     .flags = FZ_OP_CONTROL | FZ_OP_ANY_TYPE, .min_in = 0, .max_in = FZ_CONTROL_MAX, .min_out = 1,
     .max_out = FZ_CONTROL_MAX, .attrs = "body num_scan_inputs directions",
     .params_size = sizeof(struct params), .lower = lower_batched,
     .infer_control = infer_control, .run = run},
    {.name = "Scan", .domain = "", .since = 9, .rev = 1, .flags = FZ_OP_CONTROL | FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = FZ_CONTROL_MAX, .min_out = 1, .max_out = FZ_CONTROL_MAX,
     .attrs = "body num_scan_inputs scan_input_axes scan_input_directions scan_output_axes "
              "scan_output_directions",
     .params_size = sizeof(struct params), .lower = lower, .infer_control = infer_control,
     .run = run},
    {0},
};
