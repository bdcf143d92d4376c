/* NonMaxSuppression: of overlapping boxes of a class only the one with the best score stays. Areas,
 * (a + b) - common and common / all are binary32, every step rounded; of equal scores the lower
 * index comes first. */
#include "ops/move.h"
#include "ops/order.h"

enum { BOXES, SCORES, MAX_BOXES, IOU, THRESHOLD };

struct params {
    int64_t center; /* boxes are (x, y, width, height) instead of two corners (y, x) */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "center_point_box", 0, &p->center);
}

static fz_status_t check_scalar(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                                uint64_t types) {
    if (!fzi_move_has(call, i)) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, i, types));
    if (fzi_shape_known(call->in[i]) && fzi_tensor_count(call->in[i]) != 1)
        return fzi_error(FZ_E_SHAPE, "%s: input %u is not one number", op->name, i);
    return FZ_OK;
}

static bool differ(int64_t a, int64_t b) { return a >= 0 && b >= 0 && a != b; }

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *boxes = call->in[BOXES], *scores = call->in[SCORES];
    const int64_t dims[2] = {FZ_DIM_UNKNOWN, 3};
    FZ_TRY(fzi_infer_type(op, call, BOXES, FZ_T(F32)));
    FZ_TRY(fzi_infer_type(op, call, SCORES, FZ_T(F32)));
    FZ_TRY(check_scalar(op, call, MAX_BOXES, FZ_T(I64)));
    FZ_TRY(check_scalar(op, call, IOU, FZ_T(F32)));
    FZ_TRY(check_scalar(op, call, THRESHOLD, FZ_T(F32)));
    if ((boxes->rank >= 0 && boxes->rank != 3) || (scores->rank >= 0 && scores->rank != 3))
        return fzi_error(FZ_E_SHAPE, "%s: boxes of rank %d, scores of rank %d, not 3", op->name,
                         boxes->rank, scores->rank);
    if (boxes->rank == 3 && boxes->dims[2] >= 0 && boxes->dims[2] != 4)
        return fzi_error(FZ_E_SHAPE, "%s: boxes of %lld numbers", op->name,
                         (long long)boxes->dims[2]);
    if (boxes->rank == 3 && scores->rank == 3 &&
        (differ(boxes->dims[0], scores->dims[0]) || differ(boxes->dims[1], scores->dims[2])))
        return fzi_error(FZ_E_SHAPE, "%s: boxes and scores do not fit", op->name);
    fzi_infer_shape(call, 0, FZ_TYPE_I64, 2, dims);
    return FZ_OK;
}

struct box {
    float y1, x1, y2, x2;
};

static struct box read_box(const float *b, bool center) {
    if (center) {
        float half_w = b[2] / 2, half_h = b[3] / 2;
        return (struct box){b[1] - half_h, b[0] - half_w, b[1] + half_h, b[0] + half_w};
    }
    struct box box = {b[0], b[1], b[2], b[3]};
    if (b[0] > b[2]) box.y1 = b[2], box.y2 = b[0];
    if (b[1] > b[3]) box.x1 = b[3], box.x2 = b[1];
    return box;
}

/* Intersection over union, in binary32; boxes without area overlap with nothing. */
static bool overlaps(struct box a, struct box b, float limit) {
    float y1 = a.y1 > b.y1 ? a.y1 : b.y1, x1 = a.x1 > b.x1 ? a.x1 : b.x1;
    float y2 = a.y2 < b.y2 ? a.y2 : b.y2, x2 = a.x2 < b.x2 ? a.x2 : b.x2;
    if (!(y2 > y1 && x2 > x1)) return false;
    float common = (y2 - y1) * (x2 - x1);
    float area_a = (a.y2 - a.y1) * (a.x2 - a.x1), area_b = (b.y2 - b.y1) * (b.x2 - b.x1);
    float all = area_a + area_b - common;
    if (!(common > 0 && area_a > 0 && area_b > 0 && all > 0)) return false;
    return common / all > limit;
}

/* One class of one image. */
struct job {
    const float *boxes, *scores;
    int64_t n, max;
    float iou, threshold;
    bool center, any_score;
};

/* A candidate; the heap's first one has the largest key and, among equal ones, the lowest index. */
struct candidate {
    uint64_t key;
    int64_t index;
};

static bool before(struct candidate a, struct candidate b) {
    return a.key > b.key || (a.key == b.key && a.index < b.index);
}

/* Lets the candidate at AT sink to where it belongs among N. */
static void sink(struct candidate *heap, int64_t n, int64_t at) {
    struct candidate c = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], c)) break;
        heap[at] = heap[child];
    }
    heap[at] = c;
}

/* Writes the chosen boxes to CHOSEN and says how many they are. Few candidates are looked at before
 * enough boxes are chosen: a heap is less work than a sorted list. */
static int64_t choose(const struct job *job, struct candidate *heap, int64_t *chosen) {
    int64_t n = 0, n_chosen = 0;
    for (int64_t i = 0; i < job->n; i++)
        if (job->any_score || job->scores[i] > job->threshold)
            heap[n++] = (struct candidate){fzi_order_bits((double)job->scores[i]), i};
    for (int64_t i = n / 2; i-- > 0;) sink(heap, n, i);
    while (n > 0 && n_chosen < job->max) {
        int64_t best = heap[0].index;
        struct box box = read_box(job->boxes + 4 * best, job->center);
        bool free = true;
        for (int64_t j = 0; j < n_chosen && free; j++)
            free = !overlaps(box, read_box(job->boxes + 4 * chosen[j], job->center), job->iou);
        if (free) chosen[n_chosen++] = best;
        heap[0] = heap[--n];
        sink(heap, n, 0);
    }
    return n_chosen;
}

/* How many tasks share the classes; each has a heap of its own. */
static size_t tasks_of(const struct fz_call *call, size_t classes) {
    return classes < call->env->threads ? classes : call->env->threads;
}

/* Room for heaps, the number of chosen boxes of each class, and the boxes. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *scores = call->in[SCORES];
    size_t n = (size_t)scores->dims[2], classes = (size_t)fzi_move_span(scores, 0, 2);
    (void)op;
    if (n == 0) return 0;
    return tasks_of(call, classes) * n * sizeof(struct candidate) +
           (classes + classes * n) * sizeof(int64_t);
}

static float read_float(const struct fz_call *call, uint32_t i) {
    return fzi_move_has(call, i) ? *(const float *)call->in[i]->data : 0;
}

static fz_status_t write_chosen(const struct fz_call *call, const int64_t *counts,
                                const int64_t *chosen) {
    const int64_t *dims = call->in[SCORES]->dims;
    int64_t total = 0, n = dims[2], classes = n ? dims[0] * dims[1] : 0;
    for (int64_t c = 0; c < classes; c++) total += counts[c];
    FZ_TRY(call->env->resize(call, 0, 2, (const int64_t[2]){total, 3}));
    if (!call->out[0]) return FZ_OK;
    int64_t *out = call->out[0]->data;
    for (int64_t c = 0; c < classes; c++)
        for (int64_t i = 0; i < counts[c]; i++, out += 3) {
            out[0] = c / dims[1];
            out[1] = c % dims[1];
            out[2] = chosen[c * n + i];
        }
    return FZ_OK;
}

/* Classes i, i + n_tasks, ... of all images. */
struct work {
    const struct fz_call *call;
    struct job job; /* but for boxes and scores */
    int64_t classes, n_tasks, *counts, *chosen;
    struct candidate *heaps;
};

static void task(void *arg, size_t i) {
    const struct work *w = arg;
    const struct fz_call *call = w->call;
    struct job job = w->job;
    for (int64_t c = (int64_t)i; c < w->classes; c += w->n_tasks) {
        if (call->env->poll(call->env) != FZ_OK) return; /* the run is to end */
        int64_t image = c / call->in[SCORES]->dims[1];
        job.boxes = (const float *)call->in[BOXES]->data + image * job.n * 4;
        job.scores = (const float *)call->in[SCORES]->data + c * job.n;
        w->counts[c] = choose(&job, w->heaps + (int64_t)i * job.n, w->chosen + c * job.n);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const int64_t *dims = call->in[SCORES]->dims;
    int64_t n = dims[2], classes = n ? dims[0] * dims[1] : 0;
    struct work w = {.call = call, .classes = classes, .heaps = call->scratch,
                     .n_tasks = (int64_t)tasks_of(call, (size_t)classes)};
    w.counts = (int64_t *)(w.heaps + w.n_tasks * n);
    w.chosen = w.counts + classes;
    w.job = (struct job){.n = n, .iou = read_float(call, IOU), .center = p->center,
                         .threshold = read_float(call, THRESHOLD),
                         .any_score = !fzi_move_has(call, THRESHOLD)};
    if (fzi_move_has(call, MAX_BOXES)) w.job.max = *(const int64_t *)call->in[MAX_BOXES]->data;
    if (!(w.job.iou >= 0 && w.job.iou <= 1))
        return fzi_error(FZ_E_VALUE, "%s: the IoU threshold is outside of [0, 1]", op->name);
    if (w.n_tasks == 1) task(&w, 0);
    else if (w.n_tasks) call->env->parallel(call->env, (size_t)w.n_tasks, task, &w);
    FZ_TRY(call->env->poll(call->env));
    return write_chosen(call, w.counts, w.chosen);
}

const struct fz_op fz_ops_nms[] = {
    {.name = "NonMaxSuppression", .domain = "", .since = 10, .rev = 1,
     .flags = FZ_OP_LATE_SHAPE, .min_in = 2, .max_in = 5, .min_out = 1, .max_out = 1,
     .attrs = "center_point_box", .params_size = sizeof(struct params), .lower = lower,
     .infer = infer, .scratch = scratch, .run = run},
    {0},
};
