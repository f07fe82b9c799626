#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"

#define HEAD ".bulla-"
#define TAIL 8 /* bytes, in hex */

struct result temporary_name(char out[TEMPORARY_MAX], struct err *err)
{
    uint8_t tail[TAIL];
    char hex[2 * TAIL + 1];

    if (!random_bytes(tail, sizeof tail, err).ok)
        return FAIL;
    snprintf(out, TEMPORARY_MAX, HEAD "%s", text_hex(hex, tail, sizeof tail));
    return OK;
}

bool temporary_is(const char *name)
{
    uint8_t tail[TAIL];

    return strncmp(name, HEAD, strlen(HEAD)) == 0 &&
           text_unhex(tail, sizeof tail, name + strlen(HEAD));
}

/* File systems without RENAME_NOREPLACE get link and unlink. */
int temporary_rename(int dir, const char *temp, const char *name)
{
    if (renameat2(dir, temp, dir, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(dir, temp, dir, name, 0) != 0)
        return -1;
    (void)unlinkat(dir, temp, 0); /* it has the name, and two at worst */
    return 0;
}
