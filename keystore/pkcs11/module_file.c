#include "keystore/pkcs11/module_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret_file.h"

#define FILE_MAX (64 * 1024) /* bytes */
#define BLANKS " \t\r\n"

static const char *const directories[] = {P11_KIT_SYSTEM_MODULES, P11_KIT_PACKAGE_MODULES};

/* struct setting: one that is looked for; the first file that has it decides. */
struct setting {
    const char *name;
    char *value;
};

/* One line, as pkcs11.conf(5) has it: "name: value", or a comment. */
static struct result take_line(char *line, struct setting *settings, struct err *err)
{
    char *name = line + strspn(line, BLANKS), *value = strchr(name, ':');

    if (*name == '#' || value == NULL)
        return OK;
    name[strcspn(name, ":" BLANKS)] = '\0';
    value += 1 + strspn(value + 1, BLANKS);
    for (size_t end = strlen(value); end > 0 && strchr(BLANKS, value[end - 1]) != NULL; end--)
        value[end - 1] = '\0';
    for (; settings->name != NULL; settings++)
        if (strcmp(settings->name, name) == 0 && settings->value == NULL) {
            settings->value = strdup(value);
            return settings->value != NULL ? OK : fail_memory(err);
        }
    return OK;
}

/* A directory need not have the file. */
static struct result take_file(const char *directory, const char *name, struct setting *settings,
                               struct err *err)
{
    struct secret_file file = {.noun = "module file", .max = FILE_MAX, .believed = true};
    struct secret text SECRET_CLEANUP = {0};
    char *path STRING_CLEANUP = NULL;
    struct stat st;
    size_t size;

    if (asprintf(&path, "%s/%s.module", directory, name) < 0)
        return fail_memory(err);
    file.path = path;
    if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return OK;
    if (!secret_file_read(&file, &text, &size, &st, err).ok)
        return FAIL;
    for (char *rest = (char *)text.bytes; rest != NULL;)
        if (!take_line(strsep(&rest, "\n"), settings, err).ok)
            return FAIL;
    return OK;
}

/* A path that is not absolute is in the directory of modules. */
static struct result take_path(const char *name, const char *module, char **path, struct err *err)
{
    if (module == NULL || module[0] == '\0') {
        (void)fail(err, ERR_STORE, "p11-kit has no module '%s'", name);
        return fail_hint(err, "%s and %s were looked in; module-path names a file", directories[0],
                         directories[1]);
    }
    if (asprintf(path, "%s%s", module[0] == '/' ? "" : P11_KIT_MODULES "/", module) >= 0)
        return OK;
    *path = NULL;
    return fail_memory(err);
}

struct result module_file_read(const char *name, char **path, char **arguments, struct err *err)
{
    struct setting settings[] = {{.name = "module"}, {.name = "x-init-reserved"}, {NULL}};
    struct result r = OK;

    for (size_t i = 0; i < sizeof directories / sizeof *directories && r.ok; i++)
        r = take_file(directories[i], name, settings, err);
    if (r.ok)
        r = take_path(name, settings[0].value, path, err);
    free(settings[0].value);
    if (r.ok)
        *arguments = settings[1].value;
    else
        free(settings[1].value);
    return r;
}
