#include "base/unsupported.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const char *const words[] = {
    "keeps no permissions",
    "keeps no times",
    "cannot sync a file or directory: a power cut may take what was done",
    "cannot refuse a name that is taken: two programs may replace each other's new file",
};

#define WORDS (sizeof words / sizeof *words)

static void (*tell_to)(void *arg, const char *text);
static void *tell_arg;
static atomic_uint told;

void unsupported_tell_to(void (*tell)(void *arg, const char *text), void *arg)
{
    tell_to = tell;
    tell_arg = arg;
}

void unsupported_note(const char *path, unsigned what)
{
    unsigned fresh = what & ~atomic_fetch_or(&told, what);
    char list[ERR_TEXT_MAX] = "", text[2 * ERR_TEXT_MAX];

    if (fresh == 0 || tell_to == NULL)
        return;
    for (size_t i = 0; i < WORDS; i++)
        if ((fresh & 1u << i) != 0) {
            size_t at = strlen(list);
            snprintf(list + at, sizeof list - at, "%s%s", at > 0 ? "; it " : "", words[i]);
        }
    snprintf(text, sizeof text, "'%s': its file system %s", path, list);
    tell_to(tell_arg, text);
}

bool unsupported_errno(int error)
{
    return error == EPERM || error == EACCES || error == EINVAL || error == ENOSYS ||
           error == EOPNOTSUPP;
}
