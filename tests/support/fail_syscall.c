/* Lets one system call on a file below a directory fail, in the program that loads this with
 * LD_PRELOAD, not in the programs which that one starts.
 *   FAIL_BELOW  the directory           FAIL_CALL  write, fdatasync, ftruncate, open, rename, flock
 *   FAIL_AT     which one, from 1       FAIL_ERRNO the number; 0: a short write, then ENOSPC;
 *               -1, -2, -3: the program is killed before it, behind it, in the middle of a write
 *   FAIL_LOG    a line for the failure, and one for each sync of the journal after a failed one;
 *               FAIL_CALL trace: none fails, and there is a line for each, and for what is said on stdout */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/types.h>
#include <unistd.h>

static char below[4096], call[32], log_path[4096];
static long at, failure, count, short_write_next, journal_sync_failed;

enum { KILL_BEFORE = -1, KILL_BEHIND = -2, KILL_WITHIN = -3 };

__attribute__((constructor)) static void start(void) {
    if (!getenv("FAIL_BELOW")) return;
    snprintf(below, sizeof below, "%s", getenv("FAIL_BELOW"));
    snprintf(call, sizeof call, "%s", getenv("FAIL_CALL"));
    snprintf(log_path, sizeof log_path, "%s", getenv("FAIL_LOG"));
    at = atol(getenv("FAIL_AT"));
    failure = atol(getenv("FAIL_ERRNO"));
    unsetenv("LD_PRELOAD");
    unsetenv("FAIL_BELOW");
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void note(const char *what) {
    int fd = REAL(open64)(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    REAL(write)(fd, what, strlen(what));
    close(fd);
}

static int is_below(const char *path) { return below[0] && !strncmp(path, below, strlen(below)); }

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, size - 1);
    if (got < 0) return 0;
    path[got] = 0;
    return is_below(path);
}

static void trace(const char *what, const char *path) {
    char line[4200];
    if (strcmp(call, "trace")) return;
    snprintf(line, sizeof line, "%s %s\n", what, path);
    note(line);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether this call is the one; then nobody comes back from behind() either. */
static __thread int dies_behind;
static int fails(const char *name) {
    if (strcmp(name, call) || __sync_add_and_fetch(&count, 1) != at) return 0;
    note("failed\n");
    if (failure == KILL_BEFORE) die();
    if (failure == KILL_BEHIND) return dies_behind = 1, 0;
    errno = failure > 0 ? failure : ENOSPC;
    return 1;
}

static long behind(long result) {
    if (dies_behind) die();
    return result;
}

ssize_t write(int fd, const void *bytes, size_t n) {
    char path[4096];
    if (fd == 1 && below[0]) trace("says", "");
    if (fd > 2 && path_of(fd, path, sizeof path)) {
        if (__sync_bool_compare_and_swap(&short_write_next, 1, 0)) return errno = ENOSPC, -1;
        trace("write", path);
        if (fails("write")) {
            if (failure == KILL_WITHIN && n < 2) die();
            if (failure > 0 || n < 2) return -1;
            ssize_t done = REAL(write)(fd, bytes, n / 2);
            if (failure == KILL_WITHIN) die();
            short_write_next = 1;
            return done;
        }
    }
    return behind(REAL(write)(fd, bytes, n));
}

int fdatasync(int fd) {
    char path[4096];
    if (path_of(fd, path, sizeof path)) {
        int journal = strstr(path, "/journal.jsonl") != 0;
        if (journal && journal_sync_failed) note("synced again\n");
        trace("sync", path);
        if (fails("fdatasync")) return journal_sync_failed = journal && errno != EINTR, -1;
    }
    return behind(REAL(fdatasync)(fd));
}

int fsync(int fd) {
    char path[4096];
    if (path_of(fd, path, sizeof path)) {
        trace("sync", path);
        if (fails("fdatasync")) return -1;
    }
    return behind(REAL(fsync)(fd));
}

int ftruncate64(int fd, off64_t len) {
    char path[4096];
    if (path_of(fd, path, sizeof path) && fails("ftruncate")) return -1;
    return behind(REAL(ftruncate64)(fd, len));
}

int rename(const char *from, const char *to) {
    if (is_below(to)) {
        trace("rename", from);
        trace("to", to);
        if (fails("rename")) return -1;
    }
    return behind(REAL(rename)(from, to));
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if ((flags & O_ACCMODE) != O_RDONLY && is_below(path) && fails("open")) return -1;
    return behind(REAL(open64)(path, flags, mode));
}

int flock(int fd, int operation) {
    char path[4096];
    if (path_of(fd, path, sizeof path) && fails("flock")) return -1;
    return behind(REAL(flock)(fd, operation));
}
