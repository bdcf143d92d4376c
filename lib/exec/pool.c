/* A fork-join pool without a static split.
 *
 * A loop's chunks are claimed one by one from an atomic ticket that holds the loop's number, its
 * chunk count and how many are taken from either end, so that a claim is valid for exactly one
 * loop. The caller claims as well, from the first chunk on, and waits only for chunks that were
 * claimed: a worker that the system does not schedule costs nothing. Workers claim from the last
 * chunk on: so from loop to loop and from run to run a core mostly meets the weights and rows that
 * it has in its cache. Workers wait awake for a while, then sleep on a futex. */
#include "exec/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/fpenv.h"
#include "exec/quota.h"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* How long to wait awake: LOOKS looks, then a pause, SPIN times: some 300 us. A CPU that does
 * little but pause counts with hypervisors as one that waits for a lock, and is taken away; a
 * worker that sleeps comes back late, and may push the caller off its CPU. */
enum { LOOKS = 128, SPIN = 2000, MAX_COUNT = 65535 };

/* Parts of a ticket, 16 bits each. A number that comes again does no harm: what is compared is all
 * of the ticket, and a claim is one for the loop that is under way when it succeeds. */
#define NUMBER(t) ((t) >> 48)
#define TOTAL(t) ((t) >> 32 & MAX_COUNT)
#define FIRST(t) ((t) & MAX_COUNT)       /* taken from the start */
#define LAST(t) ((t) >> 16 & MAX_COUNT)  /* taken from the end */

struct fz_pool {
    _Atomic uint64_t ticket;
    char pad0[56];
    _Atomic uint32_t done;    /* finished chunks of this loop */
    _Atomic uint32_t wake;    /* futex word: raised by every loop that wakes sleepers */
    _Atomic uint32_t sleepers;
    _Atomic bool stop;
    char pad1[48];
    fz_task_fn task;          /* of the loop; stable while a chunk of it is claimed */
    void *arg;
    uint32_t width, n_threads;
    pid_t owner;              /* the process whose threads these are */
    pthread_t threads[];
};

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen) {
#if defined(__linux__)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    if (atomic_load(word) == seen) sched_yield();
#endif
}

static void futex_wake(_Atomic uint32_t *word) {
#if defined(__linux__)
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#else
    (void)word;
#endif
}

static bool has_work(uint64_t ticket) { return FIRST(ticket) + LAST(ticket) < TOTAL(ticket); }

/* Claims and runs chunks of the loop that TICKET names until none is free. */
static void work(struct fz_pool *pool, uint64_t ticket, bool from_end) {
    uint64_t number = NUMBER(ticket), one = from_end ? UINT64_C(1) << 16 : 1;
    while (NUMBER(ticket) == number && has_work(ticket)) {
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket + one,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        pool->task(pool->arg, from_end ? TOTAL(ticket) - 1 - LAST(ticket) : FIRST(ticket));
        atomic_fetch_add_explicit(&pool->done, 1, memory_order_release);
        ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
}

static void sleep_for_work(struct fz_pool *pool) {
    atomic_fetch_add(&pool->sleepers, 1);
    uint32_t seen = atomic_load(&pool->wake);
    if (!has_work(atomic_load(&pool->ticket)) && !atomic_load(&pool->stop))
        futex_wait(&pool->wake, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
}

static void *worker(void *arg) {
    struct fz_pool *pool = arg;
    fzi_fpenv_enter();
    unsigned idle = 0;
    while (!atomic_load_explicit(&pool->stop, memory_order_acquire)) {
        uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
        if (has_work(ticket)) {
            work(pool, ticket, true);
            idle = 0;
        } else if (++idle < LOOKS * SPIN) {
            if (idle % LOOKS == 0) pause_cpu();
        } else {
            sleep_for_work(pool);
            idle = 0;
        }
    }
    return NULL;
}

struct fz_pool *fzi_pool_new(uint32_t width) {
    struct fz_pool *pool =
        fzi_alloc_aligned(sizeof *pool + (size_t)width * sizeof(pthread_t));
    if (!pool) return NULL;
    memset(pool, 0, sizeof *pool);
    pool->width = width;
    return pool;
}

static void start(struct fz_pool *pool) {
    pid_t self = getpid();
    if (pool->owner == self) return;
    pool->owner = self;
    pool->n_threads = 0;
    atomic_store(&pool->sleepers, 0);
    while (pool->n_threads + 1 < pool->width &&
           pthread_create(&pool->threads[pool->n_threads], NULL, worker, pool) == 0)
        pool->n_threads++;
}

void fzi_pool_free(struct fz_pool *pool) {
    if (!pool) return;
    if (pool->n_threads && pool->owner == getpid()) {
        atomic_store(&pool->stop, true);
        atomic_fetch_add(&pool->wake, 1);
        futex_wake(&pool->wake);
        for (uint32_t i = 0; i < pool->n_threads; i++) pthread_join(pool->threads[i], NULL);
    }
    fzi_free(pool);
}

static void run_some(struct fz_pool *pool, size_t count, fz_task_fn task, void *arg) {
    pool->task = task;
    pool->arg = arg;
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    uint64_t number = (NUMBER(atomic_load(&pool->ticket)) + 1) & 0xFFFF;
    uint64_t ticket = number << 48 | (uint64_t)count << 32;
    atomic_store(&pool->ticket, ticket);
    if (atomic_load(&pool->sleepers)) {
        atomic_fetch_add(&pool->wake, 1);
        futex_wake(&pool->wake);
    }
    work(pool, ticket, false);
    unsigned looks = 0;
    while (atomic_load_explicit(&pool->done, memory_order_acquire) < count) {
        if (++looks % LOOKS) continue;
        if (looks < LOOKS * SPIN) pause_cpu();
        else sched_yield();
    }
}

struct shifted {
    fz_task_fn task;
    void *arg;
    size_t first;
};

static void shifted_task(void *arg, size_t i) {
    const struct shifted *s = arg;
    s->task(s->arg, s->first + i);
}

void fzi_pool_run(struct fz_pool *pool, size_t count, fz_task_fn task, void *arg) {
    if (count == 0) return;
    if (count > 1 && pool->width > 1) start(pool);
    if (count == 1 || pool->n_threads == 0) {
        for (size_t i = 0; i < count; i++) task(arg, i);
        return;
    }
    for (size_t first = 0; first < count; first += MAX_COUNT) {
        struct shifted s = {task, arg, first};
        size_t n = count - first < MAX_COUNT ? count - first : MAX_COUNT;
        run_some(pool, n, first ? shifted_task : task, first ? (void *)&s : arg);
    }
}

uint32_t fzi_pool_host_width(void) {
    uint32_t width = 1;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) width = (uint32_t)CPU_COUNT(&set);
#endif
    uint32_t limit = fzi_quota_cpus("");
    if (limit && limit < width) width = limit;
    return width ? width : 1;
}
