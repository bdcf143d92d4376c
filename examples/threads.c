/* One model, many threads with a session each, and the same bits in all: threads MODEL.fz */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <frozen/frozen.h>

enum { THREADS = 8, RUNS = 20, IMAGES = 3, SIZE = IMAGES * 10 };

static fz_model_t *model;

struct caller {
    pthread_t thread;
    int32_t width;     /* threads that each run of this caller uses */
    float scores[SIZE];
    fz_status_t status;
};

static void *call(void *argument) {
    struct caller *c = argument;
    float images[IMAGES * 64];
    for (int i = 0; i < IMAGES * 64; i++) images[i] = (float)(i * 37 % 17) / 16;
    fz_session_t *session;
    fz_session_options_t options = {.size = sizeof options, .threads = c->width};
    fz_tensor_t input = {.dtype = FZ_TYPE_F32, .rank = 4, .dims = {IMAGES, 1, 8, 8},
                         .data = images, .size = sizeof images};
    c->status = fz_session_create(model, &options, &session);
    for (int i = 0; i < RUNS && c->status == FZ_OK; i++) {
        fz_tensor_t output = {.data = c->scores, .size = sizeof c->scores};
        c->status = fz_session_run(session, &input, 1, &output, 1);
    }
    /* The message belongs to the thread whose call failed. */
    if (c->status != FZ_OK) fprintf(stderr, "%s\n", fz_last_error());
    fz_session_close(session);
    return NULL;
}

int main(int argc, char **argv) {
    static struct caller callers[THREADS];
    if (argc != 2) return fprintf(stderr, "usage: threads MODEL.fz\n"), 2;
    if (fz_model_open(argv[1], NULL, &model) != FZ_OK)
        return fprintf(stderr, "%s\n", fz_last_error()), 1;
    for (int i = 0; i < THREADS; i++) {
        callers[i].width = i % 3 + 1;
        if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0) abort();
    }
    int equal = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        equal += callers[i].status == FZ_OK &&
                 memcmp(callers[i].scores, callers[0].scores, sizeof callers[0].scores) == 0;
    }
    fz_model_close(model);
    printf("%d of %d threads have the same bits\n", equal, THREADS);
    return equal == THREADS ? 0 : 1;
}
