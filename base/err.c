#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct result fail(struct err *err, enum err_class class, const char *fmt, ...)
{
    va_list ap;

    err->class = class;
    err->hint[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return FAIL;
}

struct result fail_errno(struct err *err, const char *fmt, ...)
{
    int saved = errno;
    char why[128];
    va_list ap;

    err->class = ERR_FAILED;
    err->hint[0] = '\0';
    va_start(ap, fmt);
    int len = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (len >= 0 && (size_t)len < sizeof err->text)
        snprintf(err->text + len, sizeof err->text - (size_t)len, ": %s",
                 strerror_r(saved, why, sizeof why));
    return FAIL;
}

void err_context(struct err *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof text)
        return;
    snprintf(text + len, sizeof text - (size_t)len, ": %s", err->text);
    memcpy(err->text, text, sizeof text);
}

void err_hint(struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}
