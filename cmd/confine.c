#include "cmd/confine.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/descriptor.h"
#include "base/landlock.h"
#include "base/seccomp.h"
#include "base/trusted_file.h"
#include "cmd/config.h"
#include "cmd/file_list.h"
#include "cmd/named_keys.h"
#include "cmd/passphrase.h"
#include "cmd/standard_streams.h"
#include "crypto/primitives.h"
#include "storage/registry.h"

/* Files that libraries read when they are first used. They hold no secrets. */
static const char *const libraries[] = {
    "/dev/urandom", "/etc/localtime", "/etc/ssl/openssl.cnf", "/lib",
    "/lib64",       "/usr",           TRUSTED_READS,
};

/* struct plan: what the run may do. */
struct plan {
    const struct options *options;
    enum keystore_reach reach;
    bool makes; /* files, or changes them */
    struct ruleset files;
};

static void allow_read(struct plan *p, const char *path)
{
    landlock_allow(&p->files, path, ALLOW_READ);
}

static void allow_secret(void *arg, const char *variable, const char *path)
{
    (void)variable;
    allow_read(arg, path);
}

/* Allows access to the directory that holds a path. */
static void allow_around(struct plan *p, const char *path, enum ruleset_access access)
{
    char *copy STRING_CLEANUP = strdup(path);

    if (copy != NULL)
        landlock_allow(&p->files, dirname(copy), access);
    else
        landlock_drop(&p->files);
}

/* A result first gets another name, so its whole directory must be open to us; if the result is a
 * directory, all below that. */
static void allow_change(struct plan *p, const char *path, enum ruleset_access access)
{
    struct stat st;

    p->makes = true;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        landlock_allow(&p->files, path, access);
    else
        allow_around(p, path, access);
}

/* A file that is read later. Its directory is open to us, not only the file: another program may
 * replace the file, and then the new one must be read. */
static void allow_source(struct plan *p, const char *path)
{
    struct stat st;

    allow_read(p, path); /* what a link leads to */
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        allow_around(p, path, ALLOW_READ);
}

static void allow_use(struct plan *p, enum use use, const char *path)
{
    const struct options *o = p->options;
    bool beside = use == USE_BESIDE && (o->output == NULL || o->remove_source);

    if (path == NULL || standard_named(path) || use == USE_NOTHING)
        return;
    bool changes = (use == USE_CHANGE || use == USE_REPLACE) && !o->dry_run;
    if (use == USE_ANYWHERE)
        landlock_allow(&p->files, "/", ALLOW_READ);
    else if (changes || beside)
        allow_change(p, path, use == USE_REPLACE ? ALLOW_LINK : ALLOW_CHANGE);
    if (!changes && use != USE_ANYWHERE)
        allow_source(p, path);
}

/* A key may be replaced during the run, in its directory and in the one that a link leads to. */
static void allow_key_file(struct plan *p, const char *path)
{
    char *target STRING_CLEANUP = realpath(path, NULL);

    allow_source(p, path);
    if (target != NULL)
        allow_around(p, target, ALLOW_READ);
}

/* A key as the user named it. One that cannot be found out about is left to the verb, and nothing
 * is confined. */
static void allow_key(void *arg, enum use use, const char *given)
{
    struct plan *p = arg;
    char *reference STRING_CLEANUP = NULL, *path STRING_CLEANUP = NULL;
    const struct keystore *store;
    const char *rest;
    struct err ignored;

    if (!named_keys_reference(given, &reference, &ignored).ok ||
        !registry_find(&store, &rest, reference, &ignored).ok ||
        (store->file != NULL && !store->file(rest, &path, &ignored).ok)) {
        p->reach = REACH_PROGRAMS;
        return;
    }
    p->reach = store->reach > p->reach ? store->reach : p->reach;
    if (path == NULL || descriptor_number(path) >= 0)
        return;
    p->makes = p->makes || use == USE_NEW_KEY;
    if (use == USE_NEW_KEY)
        allow_around(p, path, ALLOW_CHANGE);
    else
        allow_key_file(p, path);
}

static void allow_operands(struct plan *p, const struct verb *v)
{
    const struct options *o = p->options;

    for (size_t i = 0; i < o->operands.count; i++)
        allow_use(p, v->operand, o->operands.items[i]);
    /* The names in a list and the targets of links are known only after work has begun. */
    if (o->files_from != NULL || o->follow)
        allow_use(p, v->operand, "/");
}

/* What an option names; a key is allowed by its store. */
static void allow_option(void *arg, const struct row *row, const char *value)
{
    struct plan *p = arg;

    if (row->use == USE_READ || row->use == USE_CHANGE)
        allow_use(p, row->use, row->kind == LIST_OF_TEXT && p->options->follow ? "/" : value);
}

static void allow_named_object(void *arg, const struct row *row, const char *value)
{
    struct plan *p = arg;

    if ((row->use == USE_READ || row->use == USE_CHANGE) && storage_names(value))
        p->reach = REACH_PROGRAMS;
}

/* An object needs what a key store needs that is a service. */
static void allow_objects(struct plan *p, const struct verb *v)
{
    const struct options *o = p->options;

    for (size_t i = 0; i < o->operands.count; i++)
        if (storage_names(o->operands.items[i]))
            p->reach = REACH_PROGRAMS;
    options_visit(v, o, allow_named_object, p);
    if (o->inventory != NULL ||
        (o->files_from != NULL && file_list_has_objects(o->files_from, o->null)))
        p->reach = REACH_PROGRAMS;
}

static void allow_config(struct plan *p)
{
    char *paths[CONFIG_FILES];
    struct err ignored;

    if (!config_files(paths, &ignored).ok)
        landlock_drop(&p->files);
    for (size_t i = 0; i < CONFIG_FILES; i++) {
        if (paths[i] != NULL)
            allow_read(p, paths[i]);
        string_free(&paths[i]);
    }
}

static void allow_files(struct plan *p, const struct verb *v)
{
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        allow_read(p, libraries[i]);
    landlock_allow(&p->files, TERMINAL, ALLOW_READ_WRITE);
    allow_config(p);
    passphrase_files(allow_secret, p);
    if (!named_keys_are_operands(v))
        allow_operands(p, v);
    options_visit(v, p->options, allow_option, p);
}

static enum seccomp_use use_of_files(const struct plan *p, const struct verb *v)
{
    if (!p->makes)
        return SECCOMP_LOOK;
    return v->gives || p->options->same_owner ? SECCOMP_GIVE : SECCOMP_MAKE;
}

/* True if the run is confined as far as its keys allow. */
static bool carry_out(struct plan *p, const struct verb *v)
{
    if (p->reach == REACH_PROGRAMS)
        return true;
    bool done = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (p->reach == REACH_MODULES)
        return done;
    allow_files(p, v);
    done = landlock_enforce(&p->files) && done;
    return seccomp_refuse(use_of_files(p, v)) && done;
}

struct result confine(const struct verb *verb, const struct options *o, struct err *err)
{
    const char *wanted = getenv("BULLA_CONFINE");
    bool no = wanted != NULL && strcmp(wanted, "no") == 0;
    bool must = wanted != NULL && strcmp(wanted, "must") == 0;

    if (wanted != NULL && wanted[0] != '\0' && !no && !must)
        return fail(err, ERR_USAGE, "BULLA_CONFINE is no or must, not '%s'", wanted);
#ifdef BULLA_SANITIZED
    no = true; /* the sanitizers watch this process from another one */
#endif
    bool unknown = passphrase_by_command(o) || o->from_command != NULL;
    struct plan p = {.options = o,
                     .reach = unknown ? REACH_PROGRAMS : REACH_FILES,
                     .files = no ? (struct ruleset){.fd = -1} : landlock_new()};
    if (!unknown)
        named_keys_visit(verb, o, allow_key, &p);
    allow_objects(&p, verb);
    if (p.reach == REACH_FILES)
        crypto_alone(); /* no module of a token is loaded, nor libcurl */
    bool done = no || carry_out(&p, verb);
    landlock_drop(&p.files);
    if (done || !must)
        return OK;
    (void)fail(err, ERR_UNSUPPORTED, "%s",
               seccomp_known() ? "this kernel cannot confine the run"
                               : "there is no filter of system calls for this kind of machine");
    return fail_hint(err, "BULLA_CONFINE=must asks for that");
}
