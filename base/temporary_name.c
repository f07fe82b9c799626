#include "base/temporary_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/unsupported.h"

#define HEAD ".bulla-"
#define TAIL 8 /* bytes, in hex */

#define TURN_TRIES 20
#define TURN_PAUSE_MS 10

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

/* Keeps other runs of bulla out for a moment. Another program that locks the directory must not
 * stop us. */
static int take_turn(int dir)
{
    int turn = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int tries = 0; turn >= 0 && tries < TURN_TRIES; tries++)
        if (flock(turn, LOCK_EX | LOCK_NB) == 0 || !clock_wait(TURN_PAUSE_MS))
            break;
    return turn;
}

static int rename_in_steps(int dir, const char *temp, const char *name)
{
    int turn = take_turn(dir), error = EEXIST;
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        error = errno;
        if (error == ENOENT)
            error = renameat(dir, temp, dir, name) == 0 ? 0 : errno;
    }
    fd_close(&turn);
    errno = error;
    return error == 0 ? 0 : -1;
}

/* Without RENAME_NOREPLACE, link and unlink do it; without links too, a look and a rename. */
int temporary_rename(int dir, const char *temp, const char *name, unsigned *lacks)
{
    if (renameat2(dir, temp, dir, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(dir, temp, dir, name, 0) == 0) {
        (void)unlinkat(dir, temp, 0); /* the file has its name, at worst two names */
        return 0;
    }
    if (errno != EIO && !unsupported_errno(errno)) /* EIO: rclone */
        return -1;
    *lacks |= UNSUPPORTED_NAME;
    return rename_in_steps(dir, temp, name);
}
