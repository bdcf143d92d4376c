/* The one pass over a file that is opened: each piece is read, hashed while it lies in the L2
 * cache, and written where it stays.
 *
 * A memfd is filled by write, not through a mapping: the kernel then neither clears its pages first
 * nor takes a fault for each, which together cost as much as the copy. The piece that is hashed is
 * the piece that is written: nothing is read twice. */
#include "seal/copy.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/sha256.h"

enum { PIECE = 262144, N_SLOTS = 8, STEP = 4096 };

/* A copy under way. Piece I lies in the target's memory or, until it is written and hashed, in slot
 * I % N_SLOTS. */
struct copy {
    const struct fz_source *source;
    const struct fz_target *target;
    struct fz_artifact_sums *sums;
    uint8_t *slots;           /* NULL: the pieces lie in target->to */
    size_t slot_size, n_slots, n_pieces;
    struct fz_sha256 hash;
    bool wanted;              /* somebody wants the digest */
    bool beside;              /* a thread hashes */
    pthread_t thread;
    pthread_mutex_t mutex;    /* of the next three */
    pthread_cond_t changed;
    size_t n_read, n_hashed;
    bool stop;
};

fz_status_t fzi_seal_read(int fd, uint8_t *to, size_t size, size_t off) {
    while (size > 0) {
        ssize_t n = pread(fd, to, size, (off_t)off);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fzi_error(FZ_E_IO, "cannot read the file: %s", strerror(errno));
        if (n == 0) return fzi_error(FZ_E_IO, "the file became shorter while it was read");
        to += n;
        off += (size_t)n;
        size -= (size_t)n;
    }
    return FZ_OK;
}

fz_status_t fzi_seal_write(int fd, const uint8_t *from, size_t size, size_t off) {
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)off);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return fzi_error(FZ_E_NOMEM, "no memory for the model: %s",
                             n < 0 ? strerror(errno) : "a memfd takes no more");
        from += n;
        off += (size_t)n;
        size -= (size_t)n;
    }
    return FZ_OK;
}

static uint8_t *piece(const struct copy *c, size_t i, size_t *size) {
    size_t off = i * PIECE, left = c->source->size - off;
    *size = left < PIECE ? left : PIECE;
    return c->slots ? c->slots + i % c->n_slots * c->slot_size : c->target->to + off;
}

/* Has the SIZE bytes at P brought near: another core wrote them last, and to wait for its cache at
 * every line takes the hash longer than to compute. */
static void fetch(const uint8_t *p, size_t size) {
    for (size_t off = 0; off < size; off += 64) __builtin_prefetch(p + off);
}

static void hash(struct copy *c, size_t i) {
    size_t size;
    const uint8_t *p = piece(c, i, &size);
    for (size_t n, next; size > 0; p += n, size -= n) {
        n = size < STEP ? size : STEP;
        next = size - n < STEP ? size - n : STEP;
        if (c->beside) fetch(p + n, next);
        fzi_sha256_update(&c->hash, p, n);
    }
}

/* Hashes pieces as they come. */
static void *hash_all(void *arg) {
    struct copy *c = arg;
    pthread_mutex_lock(&c->mutex);
    while (!c->stop && c->n_hashed < c->n_pieces) {
        if (c->n_hashed == c->n_read) {
            pthread_cond_wait(&c->changed, &c->mutex);
            continue;
        }
        pthread_mutex_unlock(&c->mutex);
        hash(c, c->n_hashed);
        pthread_mutex_lock(&c->mutex);
        c->n_hashed++;
        pthread_cond_signal(&c->changed);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* Piece I may be read when its slot's last piece has been hashed. */
static void wait_for_slot(struct copy *c, size_t i) {
    if (!c->beside || !c->slots) return;
    pthread_mutex_lock(&c->mutex);
    while (i >= c->n_hashed + c->n_slots) pthread_cond_wait(&c->changed, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

/* Piece I has been read. */
static void give(struct copy *c, size_t i) {
    if (!c->beside) {
        if (c->wanted) hash(c, i);
        return;
    }
    pthread_mutex_lock(&c->mutex);
    c->n_read = i + 1;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static fz_status_t copy_piece(struct copy *c, size_t i) {
    size_t size, off = i * PIECE;
    wait_for_slot(c, i);
    uint8_t *p = piece(c, i, &size);
    if (c->source->fd < 0) memcpy(p, c->source->data + off, size);
    else FZ_TRY(fzi_seal_read(c->source->fd, p, size, off));
    give(c, i);
    if (c->sums) fzi_artifact_sums_add(c->sums, c->source->size, off, p, size);
    return c->slots ? fzi_seal_write(c->target->memfd, p, size, off) : FZ_OK;
}

/* Starts the hashing thread, which takes no signal of the host's. Where none can be had, the
 * calling thread hashes. */
static void start(struct copy *c) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    c->beside = pthread_create(&c->thread, NULL, hash_all, c) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void end(struct copy *c, bool failed) {
    if (!c->beside) return;
    pthread_mutex_lock(&c->mutex);
    c->stop = failed;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
}

fz_status_t fzi_seal_copy(const struct fz_source *source, const struct fz_target *target,
                          int threads, struct fz_artifact_sums *sums, uint8_t digest[32]) {
    struct copy c = {.source = source, .target = target, .sums = sums, .wanted = digest != NULL,
                     .slot_size = source->size < PIECE ? source->size : PIECE,
                     .n_pieces = source->size / PIECE + (source->size % PIECE != 0),
                     .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    bool beside = c.wanted && threads > 1 && c.n_pieces > N_SLOTS;
    fz_status_t status = FZ_OK;
    if (!target->to) {
        c.n_slots = beside ? N_SLOTS : 1;
        c.slots = fzi_alloc_aligned(c.n_slots * c.slot_size);
        if (!c.slots) return fzi_error(FZ_E_NOMEM, "no memory to open the model");
    }
    if (c.wanted) fzi_sha256_init(&c.hash);
    if (beside) start(&c);
    for (size_t i = 0; i < c.n_pieces && status == FZ_OK; i++) status = copy_piece(&c, i);
    end(&c, status != FZ_OK);
    if (status == FZ_OK && c.wanted) fzi_sha256_final(&c.hash, digest);
    fzi_free(c.slots);
    return status;
}

void fzi_seal_hash(const uint8_t *data, size_t size, struct fz_artifact_sums *sums,
                   uint8_t digest[32]) {
    struct fz_sha256 hash;
    fzi_sha256_init(&hash);
    for (size_t off = 0, n; off < size; off += n) {
        n = size - off < PIECE ? size - off : PIECE;
        fzi_sha256_update(&hash, data + off, n);
        if (sums) fzi_artifact_sums_add(sums, size, off, data + off, n);
    }
    fzi_sha256_final(&hash, digest);
}
