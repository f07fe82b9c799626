#include "keystore/key_file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/place.h"
#include "base/secret.h"

#define WITHIN 4096 /* bytes from the beginning */

bool key_file_is(int dir, const char *name)
{
    static const char *const marks[] = {"\"bulla-keyring\"", "\"bulla-public-key\"",
                                        "-----BEGIN PUBLIC KEY-----"};
    int fd FD_CLEANUP = file_open(dir, name, O_RDONLY);
    struct secret start SECRET_CLEANUP = {0};
    struct err ignored;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        !secret_new(&start, WITHIN, &ignored).ok)
        return false;
    ssize_t n = pread(fd, start.bytes, start.size, 0);
    for (size_t i = 0; n > 0 && i < sizeof marks / sizeof *marks; i++)
        if (memmem(start.bytes, (size_t)n, marks[i], strlen(marks[i])) != NULL)
            return true;
    return false;
}
