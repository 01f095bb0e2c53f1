/* Every call that changes files below one folder, written down in the order in which the calls took effect.
 *
 * Included by `shim.c` alone. One lock in the shared page is held over a call and its record, so that the record's
 * order is the order of the effects; a sync is not held up by it, but says after which event it began: what came
 * before is durable once it has ended. Who is told to die first takes the lock, and gives it back to others only,
 * so that no call of another thread is cut from its record. Who waits takes it over from one that was killed otherwise.
 *
 * It does not see: memory maps (of SQLite's -shm file), sockets that are bound, and whatever tasks do.
 */
#include <sched.h>

struct event {
    int32_t kind, mode;
    int64_t number, began, inode, offset; /* offset: of a write, or the new length */
    int32_t path_size, other_size, data_size, spare;
};

static volatile int dying;

static void release(void) { __atomic_store_n(&control->record_lock, 0, __ATOMIC_SEQ_CST); }

static int take_from(int64_t owner) {
    return __atomic_compare_exchange_n(
        &control->record_lock, &owner, (int64_t)getpid(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void hold(void) {
    for (;;) {
        int64_t owner = __atomic_load_n(&control->record_lock, __ATOMIC_SEQ_CST);
        if ((!owner || (kill(owner, 0) && errno == ESRCH)) && take_from(owner)) {
            if (!dying) return;
            release();
        }
        sched_yield();
    }
}

/* From here on this process changes nothing. */
static void stand_still(void) {
    hold();
    dying = 1;
    release();
}

static int recorded(const char *path) {
    return control && control->record_below[0] && path && below(control->record_below, path);
}

/* Takes the lock where a call on one of these paths is to be recorded; `hold` or not is told to `end_event`. */
static int begin_event(const char *path, const char *other) {
    if (!recorded(path) && !recorded(other)) return 0;
    hold();
    return 1;
}

/* Writes one record; the lock is held. */
static void note(struct event event, const char *path, const char *other, const void *data, size_t size) {
    int saved = errno;
    event.number = __atomic_add_fetch(&control->events, 1, __ATOMIC_SEQ_CST);
    event.path_size = path ? strlen(path) : 0;
    event.other_size = other ? strlen(other) : 0;
    event.data_size = size;
    struct iovec parts[4] = {
        {&event, sizeof event}, {(void *)path, event.path_size},
        {(void *)other, event.other_size}, {(void *)data, size},
    };
    int fd = raw_open(control->record_log, O_WRONLY | O_APPEND | O_CLOEXEC);
    ssize_t whole = sizeof event + event.path_size + event.other_size + size;
    if (fd < 0 || writev(fd, parts, 4) != whole) abort(); /* a record with a gap proves nothing */
    close(fd);
    errno = saved;
}

/* Ends what `begin_event` began: a call on names, or one that made or changed a file. */
static void end_event(int held, int done, struct event event, const char *path, const char *other) {
    if (!held) return;
    struct stat status;
    int saved = errno;
    if (done && event.kind == MKDIR && !lstat(path, &status)) {
        event.inode = status.st_ino;
        event.mode = status.st_mode & 07777;
    }
    if (done) note(event, path, other, NULL, 0);
    release();
    errno = saved;
}

static void end_write(int held, int fd, const void *data, ssize_t size, int64_t offset, const char *path) {
    if (!held) return;
    struct stat status;
    int saved = errno;
    if (size > 0 && !fstat(fd, &status) && S_ISREG(status.st_mode)) {
        if (offset < 0) offset = lseek(fd, 0, SEEK_CUR) - size; /* true of appended bytes too */
        note((struct event){.kind = WRITE, .inode = status.st_ino, .offset = offset}, path, NULL, data, size);
    }
    release();
    errno = saved;
}

static void end_growth(int held, int fd, int done, const char *path) {
    if (!held) return;
    struct stat status;
    int saved = errno;
    if (done && !fstat(fd, &status))
        note((struct event){.kind = GROW, .inode = status.st_ino, .offset = status.st_size}, path, NULL, NULL, 0);
    release();
    errno = saved;
}

static void end_opening(int held, int fd, int existed, int flags, const char *path) {
    if (!held) return;
    struct stat status;
    int saved = errno;
    if (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode)) {
        struct event event = {.mode = status.st_mode & 07777, .inode = status.st_ino, .kind = existed ? GROW : CREATE};
        if (!existed || flags & O_TRUNC) note(event, path, NULL, NULL, 0);
    }
    release();
    errno = saved;
}

static void end_sync(int64_t began, int fd, int done, const char *path) {
    struct stat status;
    if (!done || !begin_event(path, NULL)) return;
    int saved = errno;
    if (!fstat(fd, &status))
        note((struct event){.kind = FSYNC, .inode = status.st_ino, .began = began}, path, NULL, NULL, 0);
    release();
    errno = saved;
}
