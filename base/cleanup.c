#include "base/cleanup.h"

#include <stdlib.h>
#include <unistd.h>

void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void string_free(char **s)
{
    free(*s);
    *s = NULL;
}
