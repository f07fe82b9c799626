#include "cmd/key_alias.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/descriptor.h"

#define FD "fd:"
#define CREDENTIAL "credential:"
#define FILE_SCHEME "file:"

/* What follows a scheme, which may be written in any case; NULL if it is not the one. */
static const char *after(const char *given, const char *scheme)
{
    size_t size = strlen(scheme);

    return strncasecmp(given, scheme, size) == 0 ? given + size : NULL;
}

bool key_alias_has(const char *given)
{
    return after(given, FD) != NULL || after(given, CREDENTIAL) != NULL;
}

const char *key_alias_credentials(void)
{
    const char *directory = getenv(CREDENTIALS);

    return directory != NULL && directory[0] != '\0' ? directory : NULL;
}

int key_alias_descriptor(const char *given)
{
    const char *number = after(given, FD), *path = after(given, FILE_SCHEME);

    if (path == NULL)
        path = number != NULL ? number : given;
    char *alone STRING_CLEANUP = strndup(path, strcspn(path, "#"));
    if (alone == NULL)
        return -1;
    return number != NULL ? descriptor_read(alone) : descriptor_number(alone);
}

static struct result resolve_descriptor(const char *given, const char *number, char **reference,
                                        struct err *err)
{
    if (key_alias_descriptor(given) < 0)
        return fail(err, ERR_USAGE, "key '%s': no descriptor number follows '" FD "'", given);
    if (asprintf(reference, "/dev/fd/%s", number) >= 0)
        return OK;
    return fail_memory(err);
}

/* Nothing in a name leads out of the directory. */
static bool is_file_name(const char *name)
{
    size_t size = strcspn(name, "#");
    bool dots = (size == 1 || size == 2) && strspn(name, ".") >= size;

    return size > 0 && !dots && strchr(name, '/') == NULL;
}

static struct result resolve_credential(const char *given, const char *name, char **reference,
                                        struct err *err)
{
    const char *directory = key_alias_credentials();

    if (!is_file_name(name)) {
        (void)fail(err, ERR_USAGE, "key '%s': no name of a credential follows '" CREDENTIAL "'",
                   given);
        return fail_hint(err, "a credential has no directory; a path to a keyring needs no scheme");
    }
    if (directory == NULL) {
        (void)fail(err, ERR_USAGE, "key '%s': there are no credentials: " CREDENTIALS " is not set",
                   given);
        return fail_hint(err, "systemd sets it for a unit that has LoadCredential=NAME:PATH");
    }
    if (asprintf(reference, FILE_SCHEME "%s/%s", directory, name) >= 0)
        return OK;
    return fail_memory(err);
}

struct result key_alias_resolve(const char *given, char **reference, struct err *err)
{
    const char *number = after(given, FD), *name = after(given, CREDENTIAL);
    char *made = NULL;

    if (number != NULL && !resolve_descriptor(given, number, &made, err).ok)
        return FAIL;
    if (name != NULL && !resolve_credential(given, name, &made, err).ok)
        return FAIL;
    if (made == NULL && (made = strdup(given)) == NULL)
        return fail_memory(err);
    *reference = made;
    return OK;
}
