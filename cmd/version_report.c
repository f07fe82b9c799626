#include "cmd/version_report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/landlock.h"
#include "base/threads.h"
#include "cmd/config.h"
#include "cmd/terminal.h"
#include "crypto/library_versions.h"
#include "keystore/registry.h"

static void library(void *arg, const char *name, const char *version)
{
    (void)arg;
    terminal_print("%s %s, ", name, version);
}

static void store(void *arg, const struct keystore *store)
{
    (void)arg;
    terminal_print(" %s%s;", store->title, store->ops != NULL ? "" : " (not in this build)");
}

void version_report(void)
{
    terminal_print("bulla " BULLA_VERSION "\nlibraries: ");
    library_versions_each(library, NULL);
    terminal_print("jansson %s\nkey stores:", jansson_version_str());
    registry_each(store, NULL);
    terminal_print(" format: 2\n");
}

/* The name of the distribution, as /etc/os-release has it. */
static void show_system(void)
{
    struct utsname u;
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen("/etc/os-release", "re");

    if (uname(&u) == 0)
        terminal_print("system: %s %s %s", u.sysname, u.release, u.machine);
    while (file != NULL && getline(&line, &room, file) > 0)
        if (strncmp(line, "PRETTY_NAME=", 12) == 0) {
            terminal_print(", ");
            terminal_show(line + 12, strcspn(line + 12, "\n"));
        }
    free(line);
    if (file != NULL)
        (void)fclose(file); /* it was only read */
    terminal_print("\nCPUs: %u, AES instructions: %s\n", threads_allowed(),
                   library_versions_fast_aes() ? "yes" : "no");
}

static void show_limit(const char *name, int resource)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
        return;
    if (limit.rlim_cur == RLIM_INFINITY)
        terminal_print(" %s none,", name);
    else
        terminal_print(" %s %llu,", name, (unsigned long long)limit.rlim_cur);
}

static void show_limits(void)
{
    struct ruleset rules RULESET_CLEANUP = landlock_new();

    terminal_print("limits:");
    show_limit("locked memory", RLIMIT_MEMLOCK);
    show_limit("address space", RLIMIT_AS);
    show_limit("descriptors", RLIMIT_NOFILE);
    terminal_print(" user %s, Landlock %s\n", geteuid() == 0 ? "root" : "not root",
                   rules.fd >= 0 ? "yes" : "no");
}

static void show_config(void)
{
    char *paths[CONFIG_FILES];
    struct err ignored;

    if (!config_files(paths, &ignored).ok)
        return;
    for (size_t i = 0; i < CONFIG_FILES; i++) {
        if (paths[i] != NULL) {
            terminal_print("config file: ");
            terminal_show(paths[i], strlen(paths[i]));
            terminal_print(access(paths[i], R_OK) == 0 ? "\n" : " (not there, or not readable)\n");
        }
        string_free(&paths[i]);
    }
}

/* The names of the variables that are set, never their values. */
static void show_variables(void)
{
    static const char *const heads[] = {"BULLA_", "AWS_", "SOFTHSM", "LC_", "LANG", "CREDENTIALS_"};

    terminal_print("variables that are set:");
    for (char **v = environ; *v != NULL; v++)
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
            if (strncmp(*v, heads[i], strlen(heads[i])) == 0) {
                terminal_print(" ");
                terminal_show(*v, strcspn(*v, "="));
            }
    terminal_print("\n");
}

void version_report_all(void)
{
    version_report();
    show_system();
    show_limits();
    show_config();
    show_variables();
}
