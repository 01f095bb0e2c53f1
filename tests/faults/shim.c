/* Faults on demand, between a process and its C library.
 *
 * Preloaded (LD_PRELOAD) into everything that a test's daemon starts; acts only in the role that GRIST_SHIM_ROLE
 * names (daemon, worker or any), which a process knows by its own command line, and never in a task. What it does is
 * read from a page of memory shared with the test, the file GRIST_SHIM_CONTROL (struct control, packed by shim.py):
 * so a fault is switched on and off while everything runs, and costs no system call to look up.
 *
 *   kill    SIGKILL to itself at the n-th call of a group on a path below some folder, before or after the call
 *   faults  calls that fail with an errno: below a folder where they name a file. With ENOSPC it is a quota: `room`
 *           bytes still fit, and what lies in blocks that a file has already can always be written, as on a real disk
 *   delay   milliseconds before each fsync
 *   clock   nanoseconds added to the wall clock; the monotonic one is left alone, and so are times of files
 *   boot    the file that is read in place of the kernel's boot id
 *   record  every call that changes files below a folder is written down (record.h), to be replayed in part
 *
 * It refuses nothing and, unless told to record, logs nothing; what it counted stands in the shared page.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum group { RENAME, LINK, UNLINK, MKDIR, FSYNC, WRITE, CREATE, OPEN, GROW, FORK, SOCKET, GROUPS };

struct fault {
    int32_t calls; /* a bit for each group */
    int32_t code;  /* 0: none */
    int64_t room, hits;
    char below[232];
};

static struct control {
    int64_t clock_shift_ns, sync_delay_ms;
    int64_t kill_group, kill_at, kill_after;
    char kill_below[256], boot_id[256];
    int64_t seen[16];
    struct fault faults[8];
    char record_below[256], record_log[256];
    int64_t events, record_lock;
} *control;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* ── which process is this? ──────────────────────────────────────────────────────────────────────────────────── */

static int raw_open(const char *path, int flags) {
    REAL(open);
    return real(path, flags);
}

static const char *role_of_this_process(void) {
    char line[4096];
    int fd = raw_open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0) close(fd);
    if (size <= 0) return "";
    line[size] = 0;
    int cli = 0;
    for (char *word = line; word < line + size; word += strlen(word) + 1) {
        size_t length = strlen(word);
        if (length > 8 && !strcmp(word + length - 8, "/cold.py")) return "worker";
        if (length > 8 && !strcmp(word + length - 8, "/warm.py")) return "worker";
        if (cli && !strcmp(word, "daemon")) return "daemon";
        cli = !strcmp(word, "gristmill.supervisor.cli");
    }
    return "";
}

__attribute__((constructor)) static void wake(void) {
    const char *wanted = getenv("GRIST_SHIM_ROLE"), *path = getenv("GRIST_SHIM_CONTROL");
    const char *role = role_of_this_process();
    if (!wanted || !path || !*role || (strcmp(wanted, "any") && strcmp(wanted, role))) return;
    int fd = raw_open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) control = page;
}

/* ── where does a call go? ───────────────────────────────────────────────────────────────────────────────────── */

static int below(const char *folder, const char *path) {
    size_t length = strlen(folder);
    return !length || (!strncmp(path, folder, length) && (path[length] == '/' || !path[length]));
}

static const char *path_of(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, buffer, PATH_MAX - 1);
    buffer[size < 0 ? 0 : size] = 0;
    return buffer;
}

static const char *path_at(int fd, const char *name, char *buffer) {
    if (*name == '/') return name;
    size_t length = strlen(path_of(fd, buffer));
    snprintf(buffer + length, PATH_MAX - length, "/%s", name);
    return buffer;
}

#include "record.h"

/* ── what happens to it? ─────────────────────────────────────────────────────────────────────────────────────── */

/* Counts a call; true when this process is to be killed at it. */
static int fatal(enum group group, const char *path) {
    if (control->kill_below[0] && !below(control->kill_below, path)) return 0;
    int64_t number = __atomic_add_fetch(&control->seen[group], 1, __ATOMIC_SEQ_CST);
    return control->kill_at && control->kill_group == (int64_t)group && control->kill_at == number;
}

static void die(void) {
    if (control->record_below[0]) stand_still();
    for (;;) kill(getpid(), SIGKILL);
}

/* The errno that a call is to fail with, or 0. `*bytes` may be cut to what still fits. */
static int refused(enum group group, const char *path, size_t *bytes) {
    for (struct fault *fault = control->faults; fault < control->faults + 8; fault++) {
        int code = __atomic_load_n(&fault->code, __ATOMIC_SEQ_CST);
        if (!code || !(fault->calls & (1 << group)) || (path && !below(fault->below, path))) continue;
        if (bytes && *bytes && fault->room > 0) {
            if ((int64_t)*bytes > fault->room) *bytes = fault->room;
            __atomic_sub_fetch(&fault->room, *bytes, __ATOMIC_SEQ_CST);
            continue;
        }
        if (!bytes && fault->room > 0) continue;
        __atomic_add_fetch(&fault->hits, 1, __ATOMIC_SEQ_CST);
        return code;
    }
    return 0;
}

/* Whether a write up to `end` stays within the blocks that the file has already. A journal has room set aside on
   purpose; what a file system sets aside for others by itself, more or less of it from run to run, does not count. */
static int fits(int fd, const char *path, int64_t end) {
    struct stat status;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode)) return 0;
    const char *name = strrchr(path, '/');
    int aside = name && !strcmp(name, "/journal");
    return end <= (aside ? (int64_t)status.st_blocks * 512 : (status.st_size + 4095) / 4096 * 4096);
}

static int quota(void) {
    for (int i = 0; i < 8; i++)
        if (control->faults[i].code == ENOSPC || control->faults[i].code == EDQUOT) return 1;
    return 0;
}

/* One call that has a group and a path: counted, perhaps killed, perhaps refused, else carried out. */
#define PLAIN(group, name, parameters, arguments, where, to) \
    int name parameters { \
        REAL(name); \
        if (!control) return real arguments; \
        char buffer[PATH_MAX]; \
        const char *path = where; \
        int mortal = fatal(group, path); \
        if (mortal && !control->kill_after) die(); \
        int code = refused(group, path, NULL); \
        if (code) return errno = code, -1; \
        char second[PATH_MAX]; \
        const char *other = to; \
        int held = begin_event(path, other); \
        int result = real arguments; \
        end_event(held, !result, (struct event){.kind = group}, path, other); \
        if (mortal) die(); \
        return result; \
    }
#define AT(folder, name) path_at(folder, name, buffer)
#define HERE(name) path_at(AT_FDCWD, name, buffer)
#define TO(folder, name) path_at(folder, name, second)
#define NOWHERE (*second = 0, NULL)
typedef const char *name_t;

static void dawdle(void) {
    struct timespec pause = {control->sync_delay_ms / 1000, control->sync_delay_ms % 1000 * 1000000};
    if (pause.tv_sec || pause.tv_nsec) nanosleep(&pause, NULL);
}

PLAIN(RENAME, rename, (name_t a, name_t b), (a, b), HERE(a), TO(AT_FDCWD, b))
PLAIN(RENAME, renameat, (int d, name_t a, int e, name_t b), (d, a, e, b), AT(d, a), TO(e, b))
PLAIN(RENAME, renameat2, (int d, name_t a, int e, name_t b, unsigned f), (d, a, e, b, f), AT(d, a), TO(e, b))
PLAIN(LINK, link, (name_t a, name_t b), (a, b), HERE(b), TO(AT_FDCWD, a))
PLAIN(LINK, linkat, (int d, name_t a, int e, name_t b, int f), (d, a, e, b, f), AT(e, b), TO(d, a))
PLAIN(UNLINK, unlink, (name_t a), (a), HERE(a), NOWHERE)
PLAIN(UNLINK, unlinkat, (int d, name_t a, int f), (d, a, f), AT(d, a), NOWHERE)
PLAIN(UNLINK, rmdir, (name_t a), (a), HERE(a), NOWHERE)
PLAIN(MKDIR, mkdir, (name_t a, mode_t m), (a, m), HERE(a), NOWHERE)
PLAIN(MKDIR, mkdirat, (int d, name_t a, mode_t m), (d, a, m), AT(d, a), NOWHERE)

#define SYNCING(name) \
    int name(int fd) { \
        REAL(name); \
        if (!control) return real(fd); \
        char buffer[PATH_MAX]; \
        const char *path = path_of(fd, buffer); \
        int mortal = fatal(FSYNC, path); \
        if (mortal && !control->kill_after) die(); \
        int code = refused(FSYNC, path, NULL); \
        if (code) return errno = code, -1; \
        dawdle(); \
        int64_t began = __atomic_load_n(&control->events, __ATOMIC_SEQ_CST); \
        int result = real(fd); \
        end_sync(began, fd, !result, path); \
        if (mortal) die(); \
        return result; \
    }

SYNCING(fsync)
SYNCING(fdatasync)

/* ── writing: a quota lets a part through ────────────────────────────────────────────────────────────────────── */

static int refused_write(int fd, const char *path, size_t *size, int64_t offset) {
    if (quota()) {
        if (offset < 0) {
            struct stat status;
            offset = fcntl(fd, F_GETFL) & O_APPEND && !fstat(fd, &status) ? status.st_size : lseek(fd, 0, SEEK_CUR);
        }
        if (offset >= 0 && fits(fd, path, offset + (int64_t)*size)) return 0;
    }
    return refused(WRITE, path, size);
}

#define WRITING(name, parameters, arguments, offset) \
    ssize_t name parameters { \
        REAL(name); \
        if (!control) return real arguments; \
        char buffer[PATH_MAX]; \
        const char *path = path_of(fd, buffer); \
        int mortal = fatal(WRITE, path); \
        if (mortal && !control->kill_after) die(); \
        int code = refused_write(fd, path, &n, offset); \
        if (code) return errno = code, -1; \
        int held = begin_event(path, NULL); \
        ssize_t result = real arguments; \
        end_write(held, fd, p, result, offset, path); \
        if (mortal) die(); \
        return result; \
    }

WRITING(write, (int fd, const void *p, size_t n), (fd, p, n), -1)
WRITING(pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), at)
WRITING(pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at), at)

#define FAILED (errno = code, -1)
#define GROWING(name, parameters, arguments, end, failed) \
    int name parameters { \
        REAL(name); \
        char buffer[PATH_MAX]; \
        if (!control) return real arguments; \
        const char *path = path_of(fd, buffer); \
        int code = quota() && fits(fd, path, end) ? 0 : refused(GROW, path, NULL); \
        if (code) return failed; \
        int held = begin_event(path, NULL); \
        int result = real arguments; \
        end_growth(held, fd, !result, path); \
        return result; \
    }

GROWING(ftruncate, (int fd, off_t n), (fd, n), n, FAILED)
GROWING(ftruncate64, (int fd, off64_t n), (fd, n), n, FAILED)
GROWING(fallocate, (int fd, int m, off_t at, off_t n), (fd, m, at, n), at + n, FAILED)
GROWING(fallocate64, (int fd, int m, off64_t at, off64_t n), (fd, m, at, n), at + n, FAILED)
GROWING(posix_fallocate, (int fd, off_t at, off_t n), (fd, at, n), at + n, code)
GROWING(posix_fallocate64, (int fd, off64_t at, off64_t n), (fd, at, n), at + n, code)

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static int refused_open(int folder, const char **name, int flags, char *buffer) {
    const char *path = path_at(folder, *name, buffer);
    if (control->boot_id[0] && !strcmp(path, "/proc/sys/kernel/random/boot_id")) *name = control->boot_id;
    int code = refused(OPEN, path, NULL);
    if (!code && flags & O_CREAT && faccessat(folder, *name, F_OK, 0)) code = refused(CREATE, path, NULL);
    return code;
}

#define OPENING(name, parameters, arguments, folder) \
    int name parameters { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
            va_list list; \
            va_start(list, flags); \
            mode = va_arg(list, mode_t); \
            va_end(list); \
        } \
        if (!control) return real arguments; \
        char buffer[PATH_MAX]; \
        int code = refused_open(folder, &path, flags, buffer); \
        if (code) return errno = code, -1; \
        const char *whole = flags & (O_CREAT | O_TRUNC) ? path_at(folder, path, buffer) : NULL; \
        int held = begin_event(whole, NULL), existed = held && !faccessat(AT_FDCWD, whole, F_OK, 0); \
        int result = real arguments; \
        end_opening(held, result, existed, flags, whole); \
        return result; \
    }

OPENING(open, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
OPENING(openat, (int fd, const char *path, int flags, ...), (fd, path, flags, mode), fd)
OPENING(openat64, (int fd, const char *path, int flags, ...), (fd, path, flags, mode), fd)

int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }

/* ── processes and descriptors ───────────────────────────────────────────────────────────────────────────────── */

#define SCARCE(group, type, name, parameters, arguments, failed) \
    type name parameters { \
        REAL(name); \
        int code = control ? refused(group, NULL, NULL) : 0; \
        return code ? failed : real arguments; \
    }
#define SPAWN_ARGS (pid_t *pid, name_t path, const posix_spawn_file_actions_t *f, const posix_spawnattr_t *t, \
                    char *const argv[], char *const envp[])

SCARCE(FORK, pid_t, fork, (void), (), FAILED)
pid_t vfork(void) { return fork(); } /* a wrapper can't return from the real one in both processes */
SCARCE(FORK, int, posix_spawn, SPAWN_ARGS, (pid, path, f, t, argv, envp), code)
SCARCE(FORK, int, posix_spawnp, SPAWN_ARGS, (pid, path, f, t, argv, envp), code)
SCARCE(SOCKET, int, socket, (int a, int b, int c), (a, b, c), FAILED)
SCARCE(SOCKET, int, socketpair, (int a, int b, int c, int d[2]), (a, b, c, d), FAILED)
SCARCE(SOCKET, int, accept, (int a, struct sockaddr *b, socklen_t *c), (a, b, c), FAILED)
SCARCE(SOCKET, int, accept4, (int a, struct sockaddr *b, socklen_t *c, int d), (a, b, c, d), FAILED)
SCARCE(SOCKET, int, pipe2, (int a[2], int b), (a, b), FAILED)
SCARCE(SOCKET, int, memfd_create, (const char *a, unsigned b), (a, b), FAILED)

/* ── the wall clock ──────────────────────────────────────────────────────────────────────────────────────────── */

int clock_gettime(clockid_t which, struct timespec *now) {
    REAL(clock_gettime);
    int result = real(which, now);
    if (control && !result && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        int64_t total = now->tv_sec * 1000000000LL + now->tv_nsec + control->clock_shift_ns;
        now->tv_sec = total / 1000000000LL;
        now->tv_nsec = total % 1000000000LL;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return result;
}

time_t time(time_t *where) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    return where ? *where = exact.tv_sec : exact.tv_sec;
}
