/* Preloaded into a process (LD_PRELOAD), writes down what it does to the files under one folder, and can refuse it.
 *
 * Every call that changes a file, a name or what is durable is appended to a trace as one record, in the order in
 * which the kernel did it: disks.py plays the trace back and cuts the power wherever it likes.  Instead of doing the
 * n-th such call it can also fail it as a full disk (ENOSPC) or a broken one (EIO at fsync) would.
 *
 *   BATOS_RECORD_ROOT   the folder; what lies elsewhere is passed on untouched
 *   BATOS_RECORD_TRACE  the trace, appended to; absent: nothing is written down
 *   BATOS_RECORD_FAIL   "space N" | "short N" | "sync N": the n-th call that needs space (or syncs) fails, the first
 *                       write of "short" after half of it; "space" and "short" go on failing
 *   BATOS_RECORD_FREED  once this file exists, nothing fails any more
 *
 * Not seen: writes through mmap and through stdio inside the C library.  disks.py compares the played trace with the
 * real folder at the end, so that anything missed is found out.
 */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, SYNC, FAILED, MARK };

struct head {
    uint32_t kind, names; /* names: bytes of both paths, each with its final 0 */
    uint64_t ino, size;
    int64_t offset;
};

#define FDS 65536
static uint64_t tracked[FDS]; /* inode of an open file under the root, 0: not ours */
static char root[PATH_MAX];
static size_t root_length;
static int trace = -1;
static const char *freed;
static long fail_at, seen;
static int fail_kind; /* 's' space, 'h' short, 'y' sync */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                      \
    static type (*real)(__VA_ARGS__);                              \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void forget(void) { /* a forked child starts with none of our files */
    memset(tracked, 0, sizeof tracked);
    pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    lock = fresh;
    root_length = 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("BATOS_RECORD_ROOT"), *into = getenv("BATOS_RECORD_TRACE");
    const char *fail = getenv("BATOS_RECORD_FAIL");
    if (!where || !realpath(where, root)) return;
    root_length = strlen(root);
    freed = getenv("BATOS_RECORD_FREED");
    if (fail && sscanf(fail, "space %ld", &fail_at) == 1) fail_kind = 's';
    if (fail && sscanf(fail, "short %ld", &fail_at) == 1) fail_kind = 'h';
    if (fail && sscanf(fail, "sync %ld", &fail_at) == 1) fail_kind = 'y';
    if (into) {
        int fd = syscall(SYS_openat, AT_FDCWD, into, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) {
            trace = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
            syscall(SYS_close, fd);
        }
    }
    pthread_atfork(NULL, NULL, forget);
}

static int under(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* The path made absolute; 0 if it does not lie under the root. */
static int place(int dir, const char *path, char *out) {
    if (!root_length || !path) return 0;
    if (path[0] == '/') {
        if (strlen(path) >= PATH_MAX) return 0;
        strcpy(out, path);
    } else {
        char link[64];
        ssize_t n;
        if (dir == AT_FDCWD) {
            if (syscall(SYS_getcwd, out, PATH_MAX) < 0) return 0;
            n = strlen(out);
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
            if ((n = readlink(link, out, PATH_MAX - 1)) < 0) return 0;
        }
        if (n + strlen(path) + 2 > PATH_MAX) return 0;
        out[n] = '/';
        strcpy(out + n + 1, path);
    }
    return under(out);
}

static void tell(int kind, uint64_t ino, int64_t offset, const char *one, const char *two, const void *data,
                 size_t size) {
    if (trace < 0) return;
    size_t n1 = one ? strlen(one) + 1 : 0, n2 = two ? strlen(two) + 1 : 0;
    struct head head = {kind, (uint32_t)(n1 + n2), ino, size, offset};
    struct iovec parts[4] = {{&head, sizeof head}, {(void *)one, n1}, {(void *)two, n2}, {(void *)data, size}};
    syscall(SYS_writev, trace, parts, 4);
}

/* Shall this call fail?  Counts the calls that could; called with the lock held. */
static int fails(int kind, const char *what) {
    int sync = kind == SYNC;
    if (!fail_kind || sync != (fail_kind == 'y')) return 0;
    seen++;
    if (seen < fail_at || (sync && seen > fail_at)) return 0;
    if (freed && syscall(SYS_faccessat, AT_FDCWD, freed, F_OK) == 0) return 0;
    tell(FAILED, seen, kind, what, NULL, NULL, 0);
    errno = sync ? EIO : ENOSPC;
    return 1;
}

static uint64_t inode(int fd) {
    struct stat64 told;
    return fstat64(fd, &told) ? 0 : told.st_ino;
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    REAL(int, "openat64", int, const char *, int, ...);
    int ours = place(dir, path, full);
    if (!ours) {
        int fd = real(dir, path, flags, mode);
        if (fd >= 0 && fd < FDS) tracked[fd] = 0;
        return fd;
    }
    pthread_mutex_lock(&lock);
    int made = (flags & O_CREAT) && syscall(SYS_faccessat, AT_FDCWD, full, F_OK) != 0;
    int fd = -1;
    if (!made || !fails(CREATE, full)) fd = real(dir, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        tracked[fd] = inode(fd);
        if (made)
            tell(CREATE, tracked[fd], 0, full, NULL, NULL, 0);
        else if (flags & O_TRUNC)
            tell(TRUNCATE, tracked[fd], 0, full, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE                                                   \
    mode_t mode = 0;                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                       \
        va_list more;                                          \
        va_start(more, flags);                                 \
        mode = va_arg(more, int);                              \
        va_end(more);                                          \
    }

int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE return opened(dir, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static int ours(int fd) { return root_length && fd >= 0 && fd < FDS && tracked[fd]; }

int close(int fd) {
    REAL(int, "close", int);
    if (fd >= 0 && fd < FDS) tracked[fd] = 0;
    return real(fd);
}

int dup(int fd) {
    REAL(int, "dup", int);
    int other = real(fd);
    if (other >= 0 && other < FDS) tracked[other] = ours(fd) ? tracked[fd] : 0;
    return other;
}

int dup2(int fd, int other) {
    REAL(int, "dup2", int, int);
    int got = real(fd, other);
    if (got >= 0 && got < FDS) tracked[got] = ours(fd) ? tracked[fd] : 0;
    return got;
}

/* Bytes that were written where the file now stands. */
static void wrote(int fd, const void *data, ssize_t n, off64_t at) {
    if (n > 0) tell(WRITE, tracked[fd], at < 0 ? lseek64(fd, 0, SEEK_CUR) - n : at, NULL, NULL, data, n);
}

static size_t half(size_t n) { return fail_kind == 'h' && seen == fail_at && n > 1 ? n / 2 : 0; }

ssize_t write(int fd, const void *data, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!ours(fd)) return real(fd, data, n);
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    if (!fails(WRITE, "write") || (n = half(n))) wrote(fd, data, done = real(fd, data, n), -1);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (!ours(fd)) return real(fd, data, n, at);
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    if (!fails(WRITE, "pwrite") || (n = half(n))) wrote(fd, data, done = real(fd, data, n, at), at);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return pwrite64(fd, data, n, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (!ours(fd)) return real(fd, parts, count);
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        if (!parts[i].iov_len) continue;
        ssize_t n = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (n < 0) return all ? all : n;
        all += n;
        if ((size_t)n < parts[i].iov_len) break;
    }
    return all;
}

/* Copies inside the kernel: what arrived is read back for the trace. */
static void copied(int fd, ssize_t n, off64_t at) {
    if (n <= 0) return;
    char link[64], *data = malloc(n);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int again = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    if (data && again >= 0 && pread64(again, data, n, at) == n) tell(WRITE, tracked[fd], at, NULL, NULL, data, n);
    if (again >= 0) syscall(SYS_close, again);
    free(data);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    if (!ours(out)) return real(in, in_at, out, out_at, n, flags);
    pthread_mutex_lock(&lock);
    off64_t at = out_at ? *out_at : lseek64(out, 0, SEEK_CUR);
    ssize_t done = -1;
    if (!fails(WRITE, "copy_file_range")) copied(out, done = real(in, in_at, out, out_at, n, flags), at);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t sendfile64(int out, int in, off64_t *in_at, size_t n) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    if (!ours(out)) return real(out, in, in_at, n);
    pthread_mutex_lock(&lock);
    off64_t at = lseek64(out, 0, SEEK_CUR);
    ssize_t done = -1;
    if (!fails(WRITE, "sendfile")) copied(out, done = real(out, in, in_at, n), at);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t sendfile(int out, int in, off_t *in_at, size_t n) { return sendfile64(out, in, (off64_t *)in_at, n); }

int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    if (!ours(fd)) return real(fd, size);
    pthread_mutex_lock(&lock);
    int done = real(fd, size);
    if (!done) tell(TRUNCATE, tracked[fd], size, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int truncate64(const char *path, off64_t size) {
    int fd = open64(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int done = ftruncate64(fd, size);
    close(fd);
    return done;
}
int truncate(const char *path, off_t size) { return truncate64(path, size); }

int posix_fallocate64(int fd, off64_t at, off64_t n) {
    REAL(int, "posix_fallocate64", int, off64_t, off64_t);
    if (!ours(fd)) return real(fd, at, n);
    pthread_mutex_lock(&lock);
    int done = ENOSPC;
    if (!fails(WRITE, "posix_fallocate")) {
        struct stat64 told;
        done = real(fd, at, n);
        if (!done && !fstat64(fd, &told)) tell(TRUNCATE, tracked[fd], told.st_size, NULL, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int posix_fallocate(int fd, off_t at, off_t n) { return posix_fallocate64(fd, at, n); }

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (!ours(fd)) return real(fd);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!fails(SYNC, name) && !(done = real(fd))) tell(SYNC, tracked[fd], 0, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

int renameat2(int from, const char *one, int to, const char *two, unsigned flags) {
    char was[PATH_MAX], is[PATH_MAX];
    if (!place(from, one, was) | !place(to, two, is)) return syscall(SYS_renameat2, from, one, to, two, flags);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!fails(RENAME, is) && !(done = syscall(SYS_renameat2, from, one, to, two, flags)))
        tell(RENAME, 0, 0, was, is, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int rename(const char *one, const char *two) { return renameat2(AT_FDCWD, one, AT_FDCWD, two, 0); }
int renameat(int from, const char *one, int to, const char *two) { return renameat2(from, one, to, two, 0); }

int linkat(int from, const char *one, int to, const char *two, int flags) {
    char was[PATH_MAX], is[PATH_MAX];
    if (!place(from, one, was) | !place(to, two, is)) return syscall(SYS_linkat, from, one, to, two, flags);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!fails(LINK, is) && !(done = syscall(SYS_linkat, from, one, to, two, flags)))
        tell(LINK, 0, 0, was, is, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int link(const char *one, const char *two) { return linkat(AT_FDCWD, one, AT_FDCWD, two, 0); }

int unlinkat(int dir, const char *path, int flags) {
    char full[PATH_MAX];
    if (!place(dir, path, full)) return syscall(SYS_unlinkat, dir, path, flags);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_unlinkat, dir, path, flags);
    if (!done) tell(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, full, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int dir, const char *path, mode_t mode) {
    char full[PATH_MAX];
    if (!place(dir, path, full)) return syscall(SYS_mkdirat, dir, path, mode);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!fails(MKDIR, full) && !(done = syscall(SYS_mkdirat, dir, path, mode))) {
        struct stat64 told;
        tell(MKDIR, lstat64(full, &told) ? 0 : told.st_ino, 0, full, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
