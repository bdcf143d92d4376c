/* Serves a model from four processes that hold its weights once: serve MODEL.fz IMAGES.npy
 *
 * The parent opens the model, and sends the descriptor of its sealed memory to four workers. They are
 * programs of their own, which prove and open what they were sent, and answer requests at one Unix
 * socket. The parent then asks all of them the same, and shows how much memory they take in all. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <frozen/frozen.h>

enum { WORKERS = 4, REQUESTS = 16, CLASSES = 10, CONTROL = 3, SIZE_MAX_REQUEST = 1 << 24 };

/* What a worker is sent, with the descriptors of the model and of the listening socket. */
struct job { char id[65]; };
/* Before each input and each output: its bytes, and the process that wrote it. */
struct head { uint32_t size; int32_t pid; };

static void need(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "serve: %s failed\n", what);
    exit(1);
}

static void check(fz_status_t status) {
    if (status == FZ_OK) return;
    fprintf(stderr, "%s: %s\n", fz_status_name(status), fz_last_error());
    exit(1);
}

/* ---- a model's only input and first output, as floats */

struct engine {
    fz_session_t *session;
    fz_tensor_t input;
};

static void start(struct engine *e, fz_model_t *model) {
    fz_io_t io;
    check(fz_model_input(model, 0, &io));
    check(fz_session_create(model, NULL, &e->session));
    need(fz_model_input_count(model) == 1 && io.dtype == FZ_TYPE_F32 && io.rank >= 0,
         "finding one float32 input");
    e->input = (fz_tensor_t){.dtype = io.dtype, .rank = io.rank, .size = sizeof(float)};
    for (int i = 0; i < io.rank; i++) {
        e->input.dims[i] = io.dims[i] < 0 ? 1 : io.dims[i]; /* an open size: one of a batch */
        e->input.size *= (size_t)e->input.dims[i];
        need(e->input.size <= SIZE_MAX_REQUEST, "fitting the input into a request");
    }
    need((e->input.data = malloc(e->input.size)) != NULL, "malloc");
}

static fz_tensor_t answer(struct engine *e) {
    fz_tensor_t output = {0};
    check(fz_session_run(e->session, &e->input, 1, &output, 1));
    return output;
}

/* ---- messages */

static int read_all(int fd, void *data, size_t size) {
    ssize_t n = 1;
    for (char *p = data; size > 0 && (n = read(fd, p, size)) > 0; p += n) size -= (size_t)n;
    return size == 0;
}

static int write_all(int fd, const void *data, size_t size) {
    ssize_t n = 1;
    for (const char *p = data; size > 0 && (n = write(fd, p, size)) > 0; p += n) size -= (size_t)n;
    return size == 0;
}

static int send_block(int fd, const void *data, size_t size) {
    struct head head = {(uint32_t)size, getpid()};
    return write_all(fd, &head, sizeof head) && write_all(fd, data, size);
}

/* Both directions of a job: the two descriptors travel beside it. */
static ssize_t pass(int control, struct job *job, int fds[2], int sending) {
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec text = {job, sizeof *job};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1,
                             .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (sending) {
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(2 * sizeof(int)),
                              .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
        return sendmsg(control, &message, 0);
    }
    ssize_t n = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
    c = CMSG_FIRSTHDR(&message);
    if (!c || c->cmsg_len != CMSG_LEN(2 * sizeof(int))) return -1;
    memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
    return n;
}

/* ---- the worker */

static void serve_one(struct engine *e, int fd) {
    struct head head;
    while (read_all(fd, &head, sizeof head) && head.size == e->input.size &&
           read_all(fd, e->input.data, e->input.size)) {
        fz_tensor_t output = answer(e);
        if (!send_block(fd, output.data, output.size)) break;
    }
    close(fd);
}

static int work(void) {
    struct job job;
    struct engine e;
    int fds[2];
    fz_model_t *model;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* no worker outlives the parent */
    need(pass(CONTROL, &job, fds, 0) == (ssize_t)sizeof job && !job.id[64], "receiving the model");
    /* Nothing is copied. It is hashed where it lies: whoever sent it, it is the one with this id. */
    fz_open_options_t options = {.size = sizeof options, .expect = job.id};
    check(fz_model_open_fd(fds[0], &options, &model));
    close(fds[0]);
    start(&e, model);
    for (int fd; (fd = accept(fds[1], NULL, NULL)) >= 0;) serve_one(&e, fd);
    return 1;
}

/* ---- the parent */

static pid_t start_worker(struct job *job, int fds[2]) {
    int pair[2];
    need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    pid_t pid = fork();
    if (pid == 0) {
        if (pair[1] == CONTROL) fcntl(CONTROL, F_SETFD, 0); /* stays open in the new program */
        else dup2(pair[1], CONTROL);
        execl("/proc/self/exe", "serve", "--worker", (char *)NULL);
        _exit(1);
    }
    need(pid > 0 && pass(pair[0], job, fds, 1) > 0, "starting a worker");
    close(pair[0]);
    close(pair[1]);
    return pid;
}

static int open_socket(const char *path, int listening) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening) unlink(path);
    need(fd >= 0 && (listening ? bind(fd, (void *)&at, sizeof at) == 0 && listen(fd, 64) == 0
                               : connect(fd, (void *)&at, sizeof at) == 0), path);
    return fd;
}

/* Asks each worker the same and compares its answer with the parent's own; the digest of all. A
 * worker serves one connection until its end, so that as many connections reach all workers. */
static void ask_all(struct engine *e, const char *path, FILE *images) {
    int fds[WORKERS], same = 0;
    struct head head;
    static float outputs[REQUESTS][CLASSES];
    for (int w = 0; w < WORKERS; w++) fds[w] = open_socket(path, 0);
    for (int r = 0; r < REQUESTS; r++) {
        need(fread(e->input.data, 1, e->input.size, images) == e->input.size, "reading an image");
        fz_tensor_t own = answer(e);
        void *theirs = malloc(own.size);
        for (int w = 0; w < WORKERS; w++) {
            need(theirs && send_block(fds[w], e->input.data, e->input.size) &&
                     read_all(fds[w], &head, sizeof head) && head.size == own.size &&
                     read_all(fds[w], theirs, own.size), "asking a worker");
            same += memcmp(theirs, own.data, own.size) == 0;
        }
        memcpy(outputs[r], theirs, own.size < sizeof outputs[r] ? own.size : sizeof outputs[r]);
        free(theirs);
    }
    for (int w = 0; w < WORKERS; w++) close(fds[w]);
    fprintf(stderr, "%d of %d answers have the bits of the parent's own\n", same,
            REQUESTS * WORKERS);
    need(same == REQUESTS * WORKERS, "comparing the answers");
    printf("digits");
    for (int r = 0; r < REQUESTS; r++) {
        int at = 0;
        for (int i = 1; i < CLASSES; i++)
            if (outputs[r][i] > outputs[r][at]) at = i;
        printf(" %d", at);
    }
    uint8_t digest[32];
    check(fz_sha256(outputs, sizeof outputs, digest));
    printf("\noutput ");
    for (int i = 0; i < 32; i++) printf("%02x", digest[i]);
    printf("\n");
}

/* Prints a process's resident memory and its share of it (Pss: a page that n processes hold counts
 * 1/n); returns the share in bytes. */
static double show_memory(const char *name, pid_t pid) {
    char path[64], line[256];
    long rss = 0, pss = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "r");
    need(file != NULL, path);
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "Rss: %ld", &rss);
        sscanf(line, "Pss: %ld", &pss);
    }
    fclose(file);
    fprintf(stderr, "%-8s %7.1f MB %7.1f MB\n", name, 1.024e-3 * (double)rss, 1.024e-3 * (double)pss);
    return 1024.0 * (double)pss;
}

static void show_all(const fz_model_t *model, const pid_t *pids) {
    fz_model_stats_t stats;
    check(fz_model_stats(model, &stats));
    fprintf(stderr, "process         Rss        Pss\n");
    double sum = show_memory("parent", getpid());
    for (int w = 0; w < WORKERS; w++) sum += show_memory("worker", pids[w]);
    double weights = (double)stats.weight_size;
    fprintf(stderr, "sum of Pss %.1f MB; weights %.1f MB, of which %d copies take %.1f MB\n",
            sum / 1e6, weights / 1e6, WORKERS, WORKERS * weights / 1e6);
    fprintf(stderr, "sum of Pss / weights: %.2f\n", sum / weights);
}

int main(int argc, char **argv) {
    struct job job;
    struct engine e;
    pid_t pids[WORKERS];
    unsigned char npy[10];
    fz_model_t *model;
    int fds[2];
    if (argc == 2 && strcmp(argv[1], "--worker") == 0) return work();
    if (argc != 3) return fprintf(stderr, "usage: serve MODEL.fz IMAGES.npy\n"), 2;
    fz_open_options_t options = {.size = sizeof options, .flags = FZ_OPEN_SHARE};
    check(fz_model_open(argv[1], &options, &model));
    check(fz_model_id(model, job.id));
    check(fz_model_export_fd(model, &fds[0]));
    start(&e, model);
    FILE *images = fopen(argv[2], "rb");
    need(images && fread(npy, 1, 10, images) == 10 &&
             fseek(images, 10 + npy[8] + 256 * npy[9], SEEK_SET) == 0, argv[2]);
    signal(SIGPIPE, SIG_IGN);
    fds[1] = open_socket("serve.sock", 1);
    for (int w = 0; w < WORKERS; w++) pids[w] = start_worker(&job, fds);
    ask_all(&e, "serve.sock", images);
    show_all(model, pids);
    for (int w = 0; w < WORKERS; w++) kill(pids[w], SIGTERM), waitpid(pids[w], NULL, 0);
    unlink("serve.sock");
    fz_session_close(e.session);
    fz_model_close(model);
    return 0;
}
