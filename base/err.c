#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"

void err_format(char *out, size_t room, const char *fmt, va_list ap)
{
    va_list again;
    char *whole;

    va_copy(again, ap);
    int size = vsnprintf(out, room, fmt, ap);
    if (size >= 0 && (size_t)size >= room && vasprintf(&whole, fmt, again) >= 0) {
        int half = (int)(room - sizeof "...") / 2;
        snprintf(out, room, "%.*s...%s", half, whole, whole + size - half);
        free(whole);
    }
    va_end(again);
}

__attribute__((format(printf, 3, 4))) static void format(char *out, size_t room, const char *fmt,
                                                         ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_format(out, room, fmt, ap);
    va_end(ap);
}

void err_set(struct err *err, enum err_class class, const char *fmt, ...)
{
    va_list ap;

    err->class = class;
    err->named = false;
    err->hint[0] = '\0';
    va_start(ap, fmt);
    err_format(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
}

/* The errors of a file system that is gone, or whose server cannot be reached. */
static bool is_gone(int error)
{
    static const int gone[] = {ENOTCONN,     ESTALE,   ECONNABORTED, ETIMEDOUT, EHOSTDOWN,
                               EHOSTUNREACH, ENETDOWN, ENETUNREACH,  ESHUTDOWN};

    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (error == gone[i])
            return true;
    return false;
}

static void hint_errno(struct err *err, int error)
{
    if (error == EMFILE)
        err_hint(err, "raise the limit of open files, as 'ulimit -n 1024' does");
    if (is_gone(error))
        err_hint(err, "the file system is gone: mount it again, remove what is left there as "
                      "'.bulla-*', and run again");
    if (error == EACCES && geteuid() == 0)
        err_hint(err, "some file systems refuse root, such as NFS with root_squash or what "
                      "another user mounted: run as a user who has access");
}

/* Only a signal that ends the run interrupts a system call. */
__attribute__((format(printf, 3, 0))) static void set_errno(struct err *err, enum err_class missing,
                                                            const char *fmt, va_list ap)
{
    int saved = errno;
    char what[ERR_TEXT_MAX], why[128];
    enum err_class class = saved == EINTR    ? ERR_INTERRUPTED
                           : saved == ENOENT ? missing
                           : is_gone(saved)  ? ERR_STORE
                                             : ERR_FAILED;

    err_format(what, sizeof what, fmt, ap);
    err_set(err, class, "%s: %s", what, strerror_r(saved, why, sizeof why));
    err->named = true;
    hint_errno(err, saved);
}

void err_set_errno(struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_errno(err, ERR_FAILED, fmt, ap);
    va_end(ap);
}

void err_set_input(struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_errno(err, ERR_MISSING, fmt, ap);
    va_end(ap);
}

struct result err_checked(struct result result, const struct err *err)
{
#ifdef BULLA_SANITIZED
    if (result.ok && err->class != ERR_NONE)
        __builtin_trap();
#endif
    (void)err;
    return result;
}

void err_file(struct err *err, const char *name)
{
    if (err->named)
        return;
    err_context(err, "'%s'", name);
    err->named = true;
}

__attribute__((format(printf, 2, 0))) static void put_in_front(struct err *err, const char *fmt,
                                                               va_list ap)
{
    char context[ERR_TEXT_MAX], text[ERR_TEXT_MAX];

    err_format(context, sizeof context, fmt, ap);
    memcpy(text, err->text, sizeof text);
    format(err->text, sizeof err->text, "%s: %s", context, text);
}

void err_context(struct err *err, const char *fmt, ...)
{
    va_list ap;

    if (err->class == ERR_INTERRUPTED)
        return;
    va_start(ap, fmt);
    put_in_front(err, fmt, ap);
    va_end(ap);
}

void err_done(struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_in_front(err, fmt, ap);
    va_end(ap);
}

void err_hint_option(struct err *err, const char *fmt, ...)
{
    va_list ap;

    err->hint[0] = '\0';
    if (!host_is_program())
        return;
    va_start(ap, fmt);
    err_format(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}

void err_hint(struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_format(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}
