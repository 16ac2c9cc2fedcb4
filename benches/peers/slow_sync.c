/* Preloaded, it makes every fsync and fdatasync of a program take SLOW_SYNC_US microseconds at least:
 * a slow disk, the same for everybody. The real sync is done first. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int slowed(const char *name, int fd)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd), error = errno;
    const char *wanted = getenv("SLOW_SYNC_US");
    long us = wanted ? atol(wanted) : 2000;
    end.tv_sec += us / 1000000;
    end.tv_nsec += us % 1000000 * 1000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec += 1;
        end.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
        ;
    errno = error;
    return result;
}

int fsync(int fd) { return slowed("fsync", fd); }
int fdatasync(int fd) { return slowed("fdatasync", fd); }
