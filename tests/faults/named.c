/* named: refuses files without a name, by LD_PRELOAD, as NFS and many a FUSE do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

int openat64(int dir, const char *path, int flags, ...)
{
    int (*next)(int, const char *, int, ...) = (__typeof__(next))dlsym(RTLD_NEXT, "openat64");
    va_list ap;

    va_start(ap, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return next(dir, path, flags, mode);
}
