/* Counts what a process does to files, and strikes at a chosen step: it ends as by kill -9, its disk is full from there on, or it stands still.
 *
 * Loaded with LD_PRELOAD. STEPS_CONTROL names a file of three 64-bit integers, which the campaign maps, too: how many steps are left, what
 * happens then (0 nothing, 1 kill -9 before the step, 2 no space for this step and all later ones, 3 a stop before the step, of which only
 * directories that are made count), and how many steps were counted.
 * What is written to the first three descriptors and to pipes is no step; what is sent through sockets is one with STEPS_SOCKETS in the
 * environment, for a database or a store of objects that is another process. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct control { int64_t left, what, counted; };
static struct control *control;
static int sockets;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("STEPS_CONTROL");
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = name ? real(name, O_RDWR) : -1;
    if (fd < 0) return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) control = at;
    sockets = getenv("STEPS_SOCKETS") != NULL;
    close(fd);
}

/* Counts a step; tells whether it must fail for lack of space. `grows` says whether it needs any. */
static int step_of(int grows, int directory) {
    if (!control || __atomic_load_n(&control->what, __ATOMIC_SEQ_CST) == 0) return 0;
    if (!directory && __atomic_load_n(&control->what, __ATOMIC_SEQ_CST) == 3) return 0;
    __atomic_add_fetch(&control->counted, 1, __ATOMIC_SEQ_CST);
    int64_t left = __atomic_sub_fetch(&control->left, 1, __ATOMIC_SEQ_CST);
    int64_t what = __atomic_load_n(&control->what, __ATOMIC_SEQ_CST);
    if (what == 1 && left <= 0) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    /* To this thread: one that another thread is given stops this one only some steps later. */
    if (what == 3 && left == 0) raise(SIGSTOP);
    if (what == 2 && left <= 0 && grows) {
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

static int step(int grows) { return step_of(grows, 0); }

static int regular(int fd) {
    struct stat found;
    return fd > 2 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

/* Counts what is sent: nothing fails there for lack of space. */
static void sent(int fd) {
    struct stat found;
    if (sockets && fd > 2 && fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode)) step(0);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = dlsym(RTLD_NEXT, #name)

#define PLAIN(result, name, grows, parameters, arguments) \
    result name parameters { REAL(name); if (step(grows)) return -1; return real arguments; }
#define ON_FILE(result, name, fd, grows, parameters, arguments) \
    result name parameters { REAL(name); sent(fd); if (regular(fd) && step(grows)) return -1; return real arguments; }
#define ON_SOCKET(name, parameters, arguments) \
    ssize_t name parameters { REAL(name); sent(fd); return real arguments; }

#define OPEN(name, before, given) \
    int name(before const char *path, int flags, ...) { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); } \
        if ((flags & (O_CREAT | O_TRUNC)) && step((flags & O_CREAT) != 0)) return -1; \
        return real(given path, flags, mode); \
    }
#define COMMA ,
OPEN(open, , )
OPEN(open64, , )
OPEN(openat, int dir COMMA, dir COMMA)
OPEN(openat64, int dir COMMA, dir COMMA)

ON_FILE(ssize_t, write, fd, 1, (int fd, const void *data, size_t size), (fd, data, size))
ON_FILE(ssize_t, writev, fd, 1, (int fd, const struct iovec *data, int count), (fd, data, count))
ON_FILE(ssize_t, pwrite, fd, 1, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
ON_FILE(ssize_t, pwrite64, fd, 1, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
ON_FILE(int, ftruncate, fd, 1, (int fd, off_t size), (fd, size))
ON_FILE(int, ftruncate64, fd, 1, (int fd, off64_t size), (fd, size))
ON_FILE(int, fsync, fd, 0, (int fd), (fd))
ON_FILE(int, fdatasync, fd, 0, (int fd), (fd))
ON_FILE(ssize_t, copy_file_range, fd, 1, (int from, off64_t *a, int fd, off64_t *b, size_t size, unsigned flags), (from, a, fd, b, size, flags))
ON_SOCKET(send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
ON_SOCKET(sendto, (int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length), (fd, data, size, flags, to, length))
ON_SOCKET(sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
PLAIN(int, rename, 0, (const char *from, const char *to), (from, to))
PLAIN(int, renameat, 0, (int a, const char *from, int b, const char *to), (a, from, b, to))
PLAIN(int, renameat2, 0, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
PLAIN(int, link, 1, (const char *from, const char *to), (from, to))
PLAIN(int, linkat, 1, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
PLAIN(int, symlink, 1, (const char *target, const char *at), (target, at))
PLAIN(int, symlinkat, 1, (const char *target, int dir, const char *at), (target, dir, at))
PLAIN(int, unlink, 0, (const char *path), (path))
PLAIN(int, unlinkat, 0, (int dir, const char *path, int flags), (dir, path, flags))
PLAIN(int, rmdir, 0, (const char *path), (path))
int mkdir(const char *path, mode_t mode) { REAL(mkdir); if (step_of(1, 1)) return -1; return real(path, mode); }
int mkdirat(int dir, const char *path, mode_t mode) { REAL(mkdirat); if (step_of(1, 1)) return -1; return real(dir, path, mode); }
