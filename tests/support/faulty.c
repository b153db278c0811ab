/* Preloaded into a process: its wall clock is off, and files below a folder take no writes, as a file tells that is
 * mapped into it and that a test writes to while it runs. Monotonic clocks, reads and everything else stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct told {
    int64_t seconds; /* added to the wall clock */
    int64_t error;   /* of every write below the folder; 0 lets them through */
};

static const struct told none, *told = &none;
static const char *folder = "";

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTY_TOLD"), *below = getenv("FAULTY_FOLDER");
    int fd = path == NULL ? -1 : REAL(open)(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *found = mmap(NULL, sizeof *told, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (found == MAP_FAILED) return;
    if (below != NULL) folder = strdup(below);
    told = found;
}

static int is_below(const char *path) {
    size_t length = strlen(folder);
    return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int refused(int fd) {
    int error = (int) *(volatile int64_t *) &told->error;
    char link[64], path[4096];
    if (error == 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    if (!is_below(path)) return 0;
    errno = error;
    return 1;
}

static int64_t off(void) { return *(volatile int64_t *) &told->seconds; }

int clock_gettime(clockid_t clock, struct timespec *found) {
    static __typeof__(&clock_gettime) real;
    if (real == NULL) real = REAL(clock_gettime);
    int answer = real(clock, found);
    if (answer == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) found->tv_sec += off();
    return answer;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    int answer = REAL(gettimeofday)(found, zone);
    if (answer == 0) found->tv_sec += off();
    return answer;
}

time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found != NULL) *found = now.tv_sec;
    return now.tv_sec;
}

ssize_t write(int fd, const void *bytes, size_t count) { return refused(fd) ? -1 : REAL(write)(fd, bytes, count); }

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return refused(fd) ? -1 : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return refused(fd) ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}

int ftruncate(int fd, off_t length) { return refused(fd) ? -1 : REAL(ftruncate)(fd, length); }

int ftruncate64(int fd, off64_t length) { return refused(fd) ? -1 : REAL(ftruncate64)(fd, length); }

int fallocate(int fd, int mode, off_t at, off_t length) {
    return refused(fd) ? -1 : REAL(fallocate)(fd, mode, at, length);
}

int posix_fallocate(int fd, off_t at, off_t length) {
    return refused(fd) ? errno : REAL(posix_fallocate)(fd, at, length);
}

/* What a file system that is read-only says already when a file is opened. */
static int opening_refused(const char *path, int flags) {
    int error = (int) *(volatile int64_t *) &told->error;
    if (error != EROFS || (flags & (O_WRONLY | O_RDWR | O_TRUNC)) == 0 || !is_below(path)) return 0;
    errno = error;
    return 1;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;                                      \
        va_end(rest);                                                                                                  \
        return opening_refused(path, flags) ? -1 : REAL(name)(path, flags, mode);                                      \
    }

OPEN(open)
OPEN(open64)
