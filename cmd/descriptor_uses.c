#include "cmd/descriptor_uses.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/descriptor.h"
#include "cmd/config.h"
#include "cmd/key_alias.h"
#include "cmd/named_keys.h"
#include "cmd/passphrase.h"
#include "cmd/standard_streams.h"
#include "keystore/registry.h"

/* struct named: a use of a descriptor, or of what can be read only once. */
struct named {
    char by[40];      /* whom it is for */
    int fd;           /* -1 = a path that is none */
    struct stat what; /* it leads to, if it is an input that two may share; else zero */
};

/* struct uses: those of the command line, which a name in a list must not share. */
static struct uses {
    struct named *items;
    size_t count;
    bool no_memory;
} uses;

static const char *const standard[] = {"standard input", "standard output", "standard error"};

static void add(struct uses *u, const char *by, int fd, const struct stat *what)
{
    struct named *grown = reallocarray(u->items, u->count + 1, sizeof *grown);

    if (grown == NULL) {
        u->no_memory = true;
        return;
    }
    u->items = grown;
    struct named *added = &u->items[u->count++];
    *added = (struct named){.fd = fd};
    if (what != NULL)
        added->what = *what;
    snprintf(added->by, sizeof added->by, "%s", by);
}

/* No program that is started may read what was meant for us. */
static void add_input(struct uses *u, const char *by, int fd)
{
    struct stat st;

    if (fd > STDERR_FILENO)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    add(u, by, fd, fstat(fd, &st) == 0 && !S_ISCHR(st.st_mode) ? &st : NULL);
}

/* A file that is named has a use of its own, unless it is a pipe. */
static void add_path(struct uses *u, const char *by, const char *path)
{
    int fd = descriptor_number(path);
    struct stat st;

    if (fd >= 0)
        add_input(u, by, fd);
    else if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
        add(u, by, -1, &st);
}

/* The file that a key is in, or that its PIN is in; NULL if there is none, or if that cannot be
 * found out: then the verb says why. The caller frees it. */
static char *file_of_key(const char *given)
{
    char *reference STRING_CLEANUP = NULL, *path = NULL;
    const struct keystore *store;
    const char *rest;
    struct err ignored;

    if (named_keys_reference(given, &reference, &ignored).ok &&
        registry_find(&store, &rest, reference, &ignored).ok && store->reads != NULL)
        (void)!store->reads(rest, &path, &ignored).ok;
    return path;
}

static void add_key(void *arg, enum use use, const char *given)
{
    int fd = key_alias_descriptor(given);
    char *file STRING_CLEANUP = fd < 0 ? file_of_key(given) : NULL;

    (void)use;
    if (fd >= 0)
        add_input(arg, "a key", fd);
    else if (file != NULL)
        add_path(arg, "a key", file);
}

static void add_secret(void *arg, const char *variable, const char *path)
{
    add_path(arg, variable, path);
}

/* struct scan: what is looked for among the options. */
struct scan {
    struct uses *uses;
    const struct options *options;
};

static void add_option(void *arg, const struct row *row, const char *value)
{
    struct scan *scan = arg;
    char by[32];

    snprintf(by, sizeof by, "--%s", row->name);
    if (row->kind == DESCRIPTOR)
        add_input(scan->uses, by, (int)strtol(value, NULL, 10));
    else if ((value == scan->options->files_from || value == scan->options->inventory) &&
             standard_named(value))
        add_input(scan->uses, by, STDIN_FILENO);
    else if (row->use != USE_NOTHING && row->use != USE_KEY)
        add_path(scan->uses, by, value);
}

static void add_config(struct uses *u)
{
    char *paths[CONFIG_FILES];
    struct err ignored;

    u->no_memory = !config_files(paths, &ignored).ok || u->no_memory;
    for (size_t i = 0; i < CONFIG_FILES; i++) {
        if (paths[i] != NULL)
            add_path(u, "the configuration", paths[i]);
        string_free(&paths[i]);
    }
}

/* A link may lead to the file that a descriptor has, which is read from its start then. */
static void add_file(struct uses *u, const char *path)
{
    struct stat name, st;

    if (descriptor_number(path) < 0 && lstat(path, &name) == 0 && S_ISLNK(name.st_mode) &&
        stat(path, &st) == 0 && S_ISREG(st.st_mode))
        add(u, "FILE", -1, &st);
    else
        add_path(u, "FILE", path);
}

/* The files that the verb works on; true if one is standard input. */
static bool add_files(struct uses *u, const struct verb *verb, const struct options *o)
{
    bool from_input = verb->least == 0 && o->operands.count == 0 && o->files_from == NULL &&
                      o->inventory == NULL && o->from_command == NULL;

    for (size_t i = 0; i < o->operands.count; i++) {
        bool input = standard_named(o->operands.items[i]);
        from_input = from_input || input;
        if (input)
            add_input(u, "FILE", STDIN_FILENO);
        else
            add_file(u, o->operands.items[i]);
    }
    if (from_input && o->operands.count == 0)
        add_input(u, "the data", STDIN_FILENO);
    return from_input;
}

static struct result check_pair(const struct named *a, const struct named *b, struct err *err)
{
    bool same = a->fd >= 0 && a->fd == b->fd;
    bool shared = S_ISFIFO(a->what.st_mode) || a->fd >= 0 || b->fd >= 0;
    bool one = shared && a->what.st_ino != 0 && a->what.st_ino == b->what.st_ino &&
               a->what.st_dev == b->what.st_dev;

    if (!same && !one)
        return OK;
    if (!same)
        (void)fail(err, ERR_USAGE, "%s and %s would read the same input", a->by, b->by);
    else if (a->fd <= STDERR_FILENO)
        (void)fail(err, ERR_USAGE, "%s has two uses: %s and %s", standard[a->fd], a->by, b->by);
    else
        (void)fail(err, ERR_USAGE, "descriptor %d has two uses: %s and %s", a->fd, a->by, b->by);
    return fail_hint(err, "give each a file or a descriptor of its own");
}

/* A descriptor that nobody opened for us would soon be one of our files, perhaps the data that is
 * sealed. The copy of standard output is ours already. */
static struct result check_open(const struct named *n, struct err *err)
{
    if (n->fd < 0 || (n->fd != standard_output_fd() && fcntl(n->fd, F_GETFD) >= 0))
        return OK;
    (void)fail(err, ERR_USAGE, "%s: descriptor %d is not open", n->by, n->fd);
    return fail_hint(err, "open it where bulla is started, for example by %d<FILE", n->fd);
}

/* A warning in the middle of the result would change it, and the status would not show that. */
static struct result check_messages(struct err *err)
{
    struct stat out, messages;

    if (fstat(standard_output_fd(), &out) != 0 || fstat(STDERR_FILENO, &messages) != 0 ||
        S_ISCHR(out.st_mode) || out.st_dev != messages.st_dev || out.st_ino != messages.st_ino)
        return OK;
    (void)fail(err, ERR_USAGE,
               "the result and the messages would go to one file, and mix: standard output and "
               "standard error are the same");
    return fail_hint(
        err, "send standard error elsewhere, for example with 2>LOG; or name the result with -o");
}

static struct result check_all(const struct uses *u, struct err *err)
{
    if (u->no_memory)
        return fail_memory(err);
    for (size_t i = 0; i < u->count; i++) {
        if (!check_open(&u->items[i], err).ok)
            return FAIL;
        for (size_t j = 0; j < i; j++)
            if (!check_pair(&u->items[j], &u->items[i], err).ok)
                return FAIL;
    }
    return OK;
}

static void add_variables(void *arg, const struct keystore *store)
{
    for (const char *const *name = store->file_variables; name != NULL && *name != NULL; name++) {
        const char *path = getenv(*name);
        if (path != NULL)
            add_path(arg, *name, path);
    }
}

struct result descriptor_uses_check(const struct verb *verb, const struct options *o,
                                    struct err *err)
{
    struct uses *u = &uses;
    struct scan scan = {u, o};
    bool from_input = !named_keys_are_operands(verb) && add_files(u, verb, o);
    bool to_output =
        o->output != NULL ? standard_named(o->output) : from_input && verb->operand == USE_BESIDE;

    options_visit(verb, o, add_option, &scan);
    passphrase_files(add_secret, u);
    registry_each(add_variables, u);
    add_config(u);
    add(u, to_output ? "the result" : "what is printed", STDOUT_FILENO, NULL);
    add(u, "messages", STDERR_FILENO, NULL);
    if (!check_all(u, err).ok)
        return FAIL;
    named_keys_visit(verb, o, add_key, u); /* which reads the configuration */
    if (!check_all(u, err).ok)
        return FAIL;
    return to_output && verb->operand == USE_BESIDE ? check_messages(err) : OK;
}

bool descriptor_uses_taken(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISFIFO(st.st_mode))
        return false;
    for (size_t i = 0; i < uses.count; i++)
        if (uses.items[i].what.st_ino == st.st_ino && uses.items[i].what.st_dev == st.st_dev)
            return true;
    return false;
}

void descriptor_uses_forget(void)
{
    free(uses.items);
    uses = (struct uses){0};
}
