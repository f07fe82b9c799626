#include "base/unsupported.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/host.h"

static const char *const words[] = {
    "keeps no permissions",
    "keeps no times",
    "cannot sync a file or directory: a power cut may take what was done",
    "cannot refuse a name that is taken: two programs may replace each other's new file",
};

#define WORDS (sizeof words / sizeof *words)

void unsupported_note(const char *path, unsigned what)
{
    struct host *host = host_current();
    unsigned fresh = what & ~atomic_fetch_or(&host->told, what);
    char list[ERR_TEXT_MAX] = "", text[2 * ERR_TEXT_MAX];

    if (fresh == 0 || host->tell == NULL)
        return;
    for (size_t i = 0; i < WORDS; i++)
        if ((fresh & 1u << i) != 0) {
            size_t at = strlen(list);
            snprintf(list + at, sizeof list - at, "%s%s", at > 0 ? "; it " : "", words[i]);
        }
    snprintf(text, sizeof text, "'%s': its file system %s", path, list);
    host->tell(host->tell_arg, text);
}

bool unsupported_errno(int error)
{
    return error == EPERM || error == EACCES || error == EINVAL || error == ENOSYS ||
           error == EOPNOTSUPP;
}
