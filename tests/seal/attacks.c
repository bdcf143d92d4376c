/* Mounts every attack known to us on an open model's weights, at each level of protection, as root
 * and as nobody, and prints what came of it:
 *
 *   held      the bytes that runs read are as they were (the call failed, or had no effect)
 *   faults    the mapping is there, but reading it ends in a signal: nobody reads other bytes
 *   gone      the mapping was removed or replaced by another
 *   CHANGED   the bytes that runs read are others
 *
 * What is promised, and what this program fails without: at level 2 nothing is CHANGED, at level 3
 * nothing is gone either. Levels 0 and 1 and FZ_OPEN_MAP promise less; there the attacks must work that
 * the levels are there for, or this program would prove nothing.
 *
 * usage: attacks MODEL.fz            the matrix
 *        attacks --soak MODEL.fz [N] 16 threads that run the model, one that attacks it N times */
#include <errno.h>
#include <fcntl.h>
#include <frozen/frozen.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, NOBODY = 65534 };

/* What an attack is given: one page of weights, and how the model came there. */
struct target {
    uint8_t *page;   /* page-aligned */
    uint8_t *byte;   /* in it */
    int fd;          /* of the sealed memory, or -1 */
    const char *path; /* of the model's file, which the process may write */
    off_t file_off;  /* of the byte */
};

/* ---- attacks: each tries to make *byte another one */

static void store(struct target *t) { *(volatile uint8_t *)t->byte ^= 0xFF; }

static void read_into(struct target *t) {
    int ends[2];
    uint8_t other = (uint8_t)~*t->byte;
    if (pipe(ends) != 0) return;
    if (write(ends[1], &other, 1) == 1 && read(ends[0], t->byte, 1) < 0) other = 0;
    close(ends[0]);
    close(ends[1]);
}

static void vm_writev(struct target *t) {
    uint8_t other = (uint8_t)~*t->byte;
    struct iovec from = {&other, 1}, to = {t->byte, 1};
    if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) < 0) return;
}

static void unprotect(struct target *t) {
    if (mprotect(t->page, PAGE, PROT_READ | PROT_WRITE) == 0) store(t);
}

static void pkey_unprotect(struct target *t) {
    if (syscall(SYS_pkey_mprotect, t->page, (size_t)PAGE, PROT_READ | PROT_WRITE, -1) == 0)
        store(t);
}

static void map_over(struct target *t) {
    mmap(t->page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void unmap(struct target *t) { munmap(t->page, PAGE); }

static void move_away(struct target *t) {
    void *there = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mremap(t->page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there) == MAP_FAILED) return;
}

static void move_over(struct target *t) {
    void *mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mine == MAP_FAILED) return;
    memset(mine, 0x5A, PAGE);
    if (mremap(mine, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, t->page) == MAP_FAILED) return;
}

/* Another page of the same file in this one's place. */
static void remap_pages(struct target *t) {
    syscall(SYS_remap_file_pages, t->page, (size_t)PAGE, 0, (size_t)1, 0);
}

static void advise(struct target *t) {
    static const int advice[] = {4 /* DONTNEED */, 8 /* FREE */, 9 /* REMOVE */, 18 /* WIPEONFORK */,
                                 21 /* PAGEOUT */, 23 /* POPULATE_WRITE */, 24 /* DONTNEED_LOCKED */};
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) madvise(t->page, PAGE, advice[i]);
}

static void guard(struct target *t) { madvise(t->page, PAGE, 102 /* GUARD_INSTALL */); }

static void proc_mem(struct target *t) {
    uint8_t other = (uint8_t)~*t->byte;
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    if (pwrite(fd, &other, 1, (off_t)(uintptr_t)t->byte) < 0) other = 0;
    close(fd);
}

/* A child that traces its parent writes there. */
static void poke(struct target *t) {
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_ATTACH, parent, NULL, NULL) == 0) {
            waitpid(parent, NULL, 0);
            long word = ptrace(PTRACE_PEEKDATA, parent, t->byte, NULL);
            ptrace(PTRACE_POKEDATA, parent, t->byte, (void *)~word);
            ptrace(PTRACE_DETACH, parent, NULL, NULL);
        }
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
}

static void write_through(int fd, const struct target *t) {
    uint8_t other = (uint8_t)~*t->byte;
    if (pwrite(fd, &other, 1, t->file_off) < 0) return;
}

/* The descriptors of this process, opened anew for writing. */
static void reopen_fds(struct target *t) {
    char path[64];
    for (int fd = 3; fd < 16; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int again = open(path, O_RDWR | O_CLOEXEC);
        if (again < 0) continue;
        write_through(again, t);
        close(again);
    }
}

/* The mapped object itself, by the range of its mapping. */
static void map_files(struct target *t) {
    char line[512], path[128];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
        if ((uintptr_t)t->byte < from || (uintptr_t)t->byte >= to) continue;
        snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", from, to);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0) continue;
        write_through(fd, t);
        close(fd);
    }
    if (maps) fclose(maps);
}

static void write_fd(struct target *t) {
    if (t->fd >= 0) write_through(t->fd, t);
}

static void map_fd(struct target *t) {
    if (t->fd < 0) return;
    uint8_t *map = mmap(NULL, (size_t)t->file_off + 1, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    if (map != MAP_FAILED) map[t->file_off] ^= 0xFF;
}

static void punch_fd(struct target *t) {
    off_t off = t->file_off / PAGE * PAGE;
    if (t->fd < 0) return;
    fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, PAGE);
    if (ftruncate(t->fd, 0) != 0) return;
}

static void rewrite_file(struct target *t) {
    int fd = open(t->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    write_through(fd, t);
    close(fd);
}

static void punch_file(struct target *t) {
    int fd = open(t->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, t->file_off / PAGE * PAGE, PAGE);
    close(fd);
}

static void truncate_file(struct target *t) {
    if (truncate(t->path, PAGE) != 0) return;
}

/* A forked child does what it can; its memory is a copy, or the same pages. */
static void fork_and_store(struct target *t) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        mprotect(t->page, PAGE, PROT_READ | PROT_WRITE);
        store(t);
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
}

struct attack {
    const char *name;
    void (*mount)(struct target *t);
    bool soaks; /* returns, and leaves the mapping alone: fit for the soak */
};
static const struct attack attacks[] = {
    {"stray store", store, false},
    {"read(2) into it", read_into, true},
    {"process_vm_writev", vm_writev, true},
    {"mprotect, then store", unprotect, true},
    {"pkey_mprotect, then store", pkey_unprotect, true},
    {"mmap MAP_FIXED over it", map_over, false},
    {"munmap", unmap, false},
    {"mremap: moved away", move_away, false},
    {"mremap: another over it", move_over, false},
    {"remap_file_pages", remap_pages, true},
    {"madvise, seven kinds", advise, true},
    {"madvise: guard pages", guard, false},
    {"/proc/self/mem", proc_mem, true},
    {"ptrace by a child", poke, false},
    {"/proc/self/fd, reopened", reopen_fds, true},
    {"/proc/self/map_files", map_files, true},
    {"write to the sealed fd", write_fd, true},
    {"map the sealed fd writable", map_fd, true},
    {"punch, truncate sealed fd", punch_fd, true},
    {"rewrite the file", rewrite_file, true},
    {"punch a hole in the file", punch_file, false},
    {"truncate the file", truncate_file, false},
    {"fork, store in the child", fork_and_store, false},
};
enum { N_ATTACKS = sizeof attacks / sizeof *attacks };

/* ---- levels */

struct level {
    const char *name;
    int32_t protection;
    uint32_t flags;
};
/* Level 0 cannot be asked for in the public options, where 0 means the default: it is plain memory
 * of this program's own that holds the same bytes. */
static const struct level levels[] = {{"0", 0, 0},
                                      {"1", FZ_PROTECT_PAGES, 0},
                                      {"2", FZ_PROTECT_SEALED, FZ_OPEN_SHARE},
                                      {"3", FZ_PROTECT_FOREVER, FZ_OPEN_SHARE},
                                      {"map", FZ_PROTECT_SEALED, FZ_OPEN_MAP}};
enum { N_LEVELS = sizeof levels / sizeof *levels };

static void stop(const char *what) {
    fprintf(stderr, "%s: %s\n", what, fz_last_error());
    exit(2);
}

static uint8_t *read_file(const char *path, size_t *size) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) stop(path);
    uint8_t *bytes = aligned_alloc(PAGE, ((size_t)st.st_size + 2 * PAGE) / PAGE * PAGE);
    if (!bytes || read(fd, bytes, (size_t)st.st_size) != st.st_size) stop(path);
    close(fd);
    *size = (size_t)st.st_size;
    return bytes;
}

/* The largest constant: surely among the weights. */
static fz_tensor_t largest(const fz_model_t *model) {
    fz_constant_t c;
    fz_tensor_t best = {0};
    for (size_t i = 0; fz_model_constant(model, i, &c) == FZ_OK; i++)
        if (c.tensor.size > best.size) best = c.tensor;
    return best;
}

/* Opens the model at PATH at LEVEL and finds a page of its weights. */
static fz_model_t *aim(const char *path, const struct level *level, struct target *t) {
    fz_open_options_t o = {.size = sizeof o, .protection = level->protection, .flags = level->flags};
    fz_model_t *model;
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    *t = (struct target){.fd = -1, .path = path};
    if (fz_model_open(path, &o, &model) != FZ_OK) stop(path);
    fz_tensor_t weights = largest(model);
    if (weights.size < 2 * PAGE) stop("the model's weights are too small for this test");
    uint8_t *data = weights.data;
    uint8_t *found = memmem(bytes, size, data, weights.size);
    if (!found) stop("the weights are not in the file as they are");
    if (level->protection == 0) data = found;
    t->page = data + (-(uintptr_t)data & (PAGE - 1));
    t->byte = t->page + 8;
    t->file_off = found - bytes + (t->byte - data);
    if (level->flags & FZ_OPEN_SHARE && fz_model_export_fd(model, &t->fd) != FZ_OK) t->fd = -1;
    if (level->protection != 0) free(bytes);
    return model;
}

/* ---- one attack, in a process of its own */

enum outcome { HELD, FAULTS, GONE, CHANGED, BROKEN, N_OUTCOMES };
static const char *const outcome_names[] = {"held", "faults", "gone", "CHANGED", "broken"};

static sigjmp_buf out;
static void on_fault(int number) { siglongjmp(out, number); }

static void catch_faults(void) {
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* Whether the page is a mapping of the same object as before. */
static bool same_object(const struct target *t, char object[256]) {
    char line[512], name[256] = "";
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char rest[256] = "";
        if (sscanf(line, "%lx-%lx %*s %*s %255[^\n]", &from, &to, rest) < 2) continue;
        if ((uintptr_t)t->byte < from || (uintptr_t)t->byte >= to) continue;
        snprintf(name, sizeof name, "%s", rest);
        found = true;
    }
    if (maps) fclose(maps);
    if (!object[0]) memcpy(object, name, sizeof name);
    return found && strcmp(object, name) == 0;
}

/* Bytes of a mapped file are proved before their first use: an attack comes best after it. */
static void use_once(fz_model_t *model) {
    static float input[65536];
    fz_session_t *session = NULL;
    fz_io_t io;
    fz_tensor_t y = {0};
    size_t n = 1;
    if (fz_model_input(model, 0, &io) != FZ_OK) stop("input");
    fz_tensor_t x = {.dtype = FZ_TYPE_F32, .rank = io.rank, .data = input};
    for (int32_t d = 0; d < io.rank; d++)
        n *= (size_t)(x.dims[d] = io.dims[d] < 0 ? 1 : io.dims[d]);
    x.size = n * sizeof *input;
    if (x.size > sizeof input || fz_session_create(model, NULL, &session) != FZ_OK ||
        fz_session_run(session, &x, 1, &y, 1) != FZ_OK)
        stop("run");
    fz_session_close(session);
}

static enum outcome try(const struct attack *attack, const char *path, const struct level *level) {
    struct target t;
    char object[256] = "";
    uint8_t copy[PAGE];
    use_once(aim(path, level, &t));
    memcpy(copy, t.page, PAGE);
    same_object(&t, object);
    catch_faults();
    if (sigsetjmp(out, 1) == 0) attack->mount(&t);
    if (sigsetjmp(out, 1) != 0) return same_object(&t, object) ? FAULTS : GONE;
    bool same = memcmp(copy, t.page, PAGE) == 0;
    if (same_object(&t, object)) return same ? HELD : CHANGED;
    return same && attack->mount != map_over ? HELD : GONE;
}

static void become_nobody(void) {
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0) exit(2);
    prctl(PR_SET_DUMPABLE, 1); /* changing the user took it away, and with it /proc/self */
}

/* A copy of the model for this attack alone, which its user may write. */
static void copy_model(const char *model, const char *path, bool nobody) {
    size_t size;
    uint8_t *bytes = read_file(model, &size);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) stop(path);
    if (nobody && fchown(fd, NOBODY, NOBODY) != 0) stop(path);
    close(fd);
    free(bytes);
}

static enum outcome run_one(const struct attack *attack, const char *model, const char *folder,
                            const struct level *level, bool nobody) {
    char path[256];
    int status;
    snprintf(path, sizeof path, "%s/model.fz", folder);
    copy_model(model, path, nobody);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (nobody) become_nobody();
        _exit(try(attack, path, level));
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (!WIFEXITED(status) || WEXITSTATUS(status) >= N_OUTCOMES) return BROKEN;
    return (enum outcome)WEXITSTATUS(status);
}

static bool has_mseal(void) {
    void *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return syscall(462, map, (size_t)PAGE, 0UL) == 0;
}

/* What the levels promise. */
static bool kept(size_t level, enum outcome outcome) {
    if (outcome == BROKEN) return false;
    if (level == 2) return outcome != CHANGED;
    if (level == 3) return outcome == HELD || outcome == FAULTS;
    return true;
}

static int matrix(const char *model) {
    char folder[] = "/tmp/attacks-XXXXXX", path[64];
    size_t n_failed = 0, n = 0, n_worked[N_LEVELS] = {0};
    bool root = geteuid() == 0, mseal = has_mseal();
    if (!mkdtemp(folder) || chmod(folder, 0777) != 0) stop(folder);
    if (!root) printf("skipped: attacks as root: this user is not root\n");
    if (!mseal) printf("skipped: level 3: this kernel has no mseal\n");
    printf("%-28s", "attack");
    for (int user = root ? 0 : 1; user < 2; user++)
        for (size_t l = 0; l < N_LEVELS; l++)
            printf(" %8s", l == 0 ? (user ? "nobody:0" : "root:0") : levels[l].name);
    printf("\n");
    for (size_t i = 0; i < N_ATTACKS; i++) {
        printf("%-28s", attacks[i].name);
        for (int user = root ? 0 : 1; user < 2; user++)
            for (size_t l = 0; l < N_LEVELS; l++) {
                if (l == 3 && !mseal) {
                    printf(" %8s", "-");
                    continue;
                }
                enum outcome o = run_one(&attacks[i], model, folder, &levels[l], root && user);
                n++;
                n_worked[l] += o != HELD;
                n_failed += !kept(l, o);
                printf(" %8s", outcome_names[o]);
            }
        printf("\n");
    }
    /* A test whose attacks do nothing proves nothing. */
    for (size_t l = 0; l < N_LEVELS; l++)
        if (l != 3 && n_worked[l] < 3) {
            printf("FAIL level %s: only %zu attacks worked\n", levels[l].name, n_worked[l]);
            n_failed++;
        }
    snprintf(path, sizeof path, "%s/model.fz", folder);
    unlink(path);
    rmdir(folder);
    printf("%zu passed, %zu failed\n", n - (n_failed < n ? n_failed : n), n_failed);
    return n_failed != 0;
}

/* ---- the soak */

enum { RUNNERS = 16, OUTPUT_MAX = 4096 };
static atomic_bool over;
static atomic_size_t n_runs, n_wrong;
static fz_model_t *soaked;
static struct {
    float input[4096], output[OUTPUT_MAX];
    fz_tensor_t x;
    size_t size;
} expected;

static bool run_once(fz_session_t *session, float *output, size_t *size) {
    fz_tensor_t y = {.data = output, .size = OUTPUT_MAX * sizeof *output};
    if (fz_session_run(session, &expected.x, 1, &y, 1) != FZ_OK) return false;
    *size = y.size;
    return true;
}

static void *runner(void *arg) {
    static _Thread_local float output[OUTPUT_MAX];
    fz_session_t *session;
    size_t size;
    (void)arg;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19); /* the attacker goes first */
    if (fz_session_create(soaked, NULL, &session) != FZ_OK) stop("session");
    while (!atomic_load(&over)) {
        bool good = run_once(session, output, &size) && size == expected.size &&
                    memcmp(output, expected.output, size) == 0;
        atomic_fetch_add(good ? &n_runs : &n_wrong, 1);
    }
    fz_session_close(session);
    return NULL;
}

static void prepare_input(void) {
    fz_io_t io;
    fz_session_t *session;
    if (fz_model_input(soaked, 0, &io) != FZ_OK) stop("input");
    size_t n = 1;
    expected.x = (fz_tensor_t){.dtype = FZ_TYPE_F32, .rank = io.rank};
    for (int32_t d = 0; d < io.rank; d++)
        n *= (size_t)(expected.x.dims[d] = io.dims[d] < 0 ? 1 : io.dims[d]);
    if (n > 4096) stop("the model's input is too large for this test");
    for (size_t i = 0; i < n; i++) expected.input[i] = (float)(i % 17) / 16.0f;
    expected.x.data = expected.input;
    expected.x.size = n * sizeof *expected.input;
    if (fz_session_create(soaked, NULL, &session) != FZ_OK ||
        !run_once(session, expected.output, &expected.size))
        stop("run");
    fz_session_close(session);
}

static void mount_safely(const struct attack *attack, struct target *t) {
    if (sigsetjmp(out, 1) == 0) attack->mount(t);
}

static size_t mount_all(struct target *t) {
    size_t n = 0;
    for (size_t i = 0; i < N_ATTACKS; i++) {
        if (!attacks[i].soaks) continue;
        mount_safely(&attacks[i], t);
        n++;
    }
    return n;
}

/* Writable files, and memory that faults, are for the matrix: here runs go on. */
static int soak(const char *model, size_t n_attacks) {
    struct target t;
    char path[] = "/tmp/soak-XXXXXX";
    pthread_t threads[RUNNERS];
    int fd = mkstemp(path);
    close(fd);
    copy_model(model, path, false);
    soaked = aim(path, &levels[2], &t);
    prepare_input();
    catch_faults();
    for (int i = 0; i < RUNNERS; i++)
        if (pthread_create(&threads[i], NULL, runner, NULL) != 0) stop("thread");
    size_t mounted = 0;
    while (mounted < n_attacks) mounted += mount_all(&t);
    atomic_store(&over, true);
    for (int i = 0; i < RUNNERS; i++) pthread_join(threads[i], NULL);
    bool sound = fz_model_verify(soaked) == FZ_OK;
    unlink(path);
    printf("%zu attacks, %zu runs in %d threads, %zu with other bits, memory %s\n", mounted,
           n_runs + n_wrong, RUNNERS, (size_t)n_wrong, sound ? "verified" : "CHANGED");
    bool good = sound && n_wrong == 0 && n_runs > 0;
    printf("%d passed, %d failed\n", good, !good);
    return !good;
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "--soak") == 0)
        return soak(argv[2], argc > 3 ? strtoul(argv[3], NULL, 10) : 1000000);
    if (argc == 2) return matrix(argv[1]);
    fprintf(stderr, "usage: attacks [--soak] MODEL.fz [N]\n");
    return 2;
}
