#include "cmd/standard_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Where standard output is kept: above the descriptors that users name, such as that of a PIN,
 * which must not come to mean it. Lower if fewer are allowed. */
#define KEPT_FROM 512

static int output = STDOUT_FILENO;

struct result standard_output_keep(struct err *err)
{
    int at = KEPT_FROM, kept;

    do
        kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, at);
    while (kept < 0 && errno == EINVAL && (at /= 2) > STDERR_FILENO);
    if (kept < 0 && errno == EINVAL)
        errno = EMFILE;
    if (kept < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return fail_errno(err, "cannot put standard output aside");
    output = kept;
    return OK;
}

int standard_output_fd(void)
{
    return output;
}

struct source standard_input(void)
{
    return (struct source){.fd = STDIN_FILENO, .name = "standard input"};
}

struct outlet standard_output(void)
{
    return (struct outlet){.fd = output, .name = "standard output"};
}

bool standard_named(const char *operand)
{
    return strcmp(operand, "-") == 0;
}

struct result standard_input_check(const struct sealed_place *from, struct err *err)
{
    if (from->body != NULL || from->object != NULL || !isatty(STDIN_FILENO))
        return OK;
    (void)fail(err, ERR_USAGE, "sealed data is not read from a terminal");
    return fail_hint(err, "name a FILE");
}
