#include "base/descriptor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 9

int descriptor_read(const char *text)
{
    size_t size = strlen(text);

    if (size == 0 || size > DIGITS_MAX || strspn(text, "0123456789") < size ||
        (text[0] == '0' && size > 1))
        return -1;
    return (int)strtol(text, NULL, 10);
}

int descriptor_number(const char *path)
{
    static const char *const standard[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    static const char *const directories[] = {"/dev/fd/", "/proc/self/fd/",
                                              "/proc/thread-self/fd/"};

    for (size_t i = 0; i < sizeof standard / sizeof *standard; i++)
        if (strcmp(path, standard[i]) == 0)
            return (int)i;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (strncmp(path, directories[i], strlen(directories[i])) == 0)
            return descriptor_read(path + strlen(directories[i]));
    return -1;
}
