#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd/config.h"
#include "cmd/key_source.h"
#include "cmd/named_keys.h"
#include "cmd/outcome.h"
#include "cmd/seal_keys.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"

/* What a path gets, with where it is said. */
struct found {
    const char *path;
    const struct config_choice *choice;
    struct context context;
};

static void show_place(const char *before, const char *file, unsigned line)
{
    terminal_print("%s", before);
    terminal_show(file, strlen(file));
    terminal_print(", line %u", line);
}

static void show_key(const char *name, const char *reference)
{
    const char *file = "";
    unsigned line = 0;

    config_key_place(name, &file, &line);
    terminal_print("  key      ");
    terminal_show(name, strlen(name));
    terminal_print(" = ");
    terminal_reference(reference);
    show_place(" (", file, line);
    terminal_print(")\n");
}

static json_t *key_json(const char *name, const char *reference)
{
    const char *file = "";
    unsigned line = 0;

    config_key_place(name, &file, &line);
    return json_pack("{s:o, s:o, s:o, s:I}", "name", terminal_text(name, strlen(name)), "reference",
                     terminal_reference_text(reference), "file", terminal_text(file, strlen(file)),
                     "line", (json_int_t)line);
}

/* Every name must be one of a key, in whatever file. json may be NULL. */
static struct result tell_keys(const struct config_choice *choice, json_t *json, struct err *err)
{
    for (size_t i = 0; i < choice->count; i++) {
        char *reference STRING_CLEANUP = NULL;
        if (!named_keys_reference(choice->names[i], &reference, err).ok) {
            err_context(err, "config file '%s', line %u", choice->file, choice->line);
            return FAIL;
        }
        if (json != NULL)
            terminal_append(json, key_json(choice->names[i], reference));
        else
            show_key(choice->names[i], reference);
    }
    return OK;
}

static struct result show(const struct found *f, struct err *err)
{
    const struct config_choice *c = f->choice;

    terminal_show(f->path, strlen(f->path));
    if (c->rule != NULL) {
        terminal_print("\n  rule     ");
        terminal_show(c->rule, strlen(c->rule));
        show_place(" (", c->file, c->begins);
        terminal_print(") for ");
        terminal_show(c->pattern, strlen(c->pattern));
    } else {
        show_place("\n  rule     none; [defaults] (", c->file, c->line);
        terminal_print(")");
    }
    terminal_print("\n");
    if (!tell_keys(c, NULL, err).ok)
        return FAIL;
    for (size_t i = 0; i < f->context.count; i++) {
        terminal_print("  context  ");
        terminal_show(f->context.pairs[i].key, strlen(f->context.pairs[i].key));
        terminal_print("=");
        terminal_show(f->context.pairs[i].value, strlen(f->context.pairs[i].value));
        terminal_print("\n");
    }
    return OK;
}

static struct result fill(const struct found *f, json_t *json, struct err *err)
{
    const struct config_choice *c = f->choice;
    json_t *keys = json_array(), *context = json_object();

    terminal_put(json, "rule",
                 c->rule != NULL ? terminal_text(c->rule, strlen(c->rule)) : json_null());
    terminal_put(json, "pattern",
                 c->rule != NULL ? terminal_text(c->pattern, strlen(c->pattern)) : json_null());
    terminal_put(json, "config", terminal_text(c->file, strlen(c->file)));
    terminal_put(json, "line", json_integer(c->rule != NULL ? c->begins : c->line));
    for (size_t i = 0; i < f->context.count; i++)
        terminal_put(context, f->context.pairs[i].key, json_string(f->context.pairs[i].value));
    struct result r = tell_keys(c, keys, err);
    terminal_put(json, "keys", keys);
    terminal_put(json, "context", context);
    return r;
}

static struct result check(const char *given, const struct options *o, json_t *json,
                           struct err *err)
{
    struct context context CONTEXT_CLEANUP = {0};
    char *path STRING_CLEANUP = NULL;
    struct found f = {0};

    bool there = given[0] != '\0' ? seal_keys_path(given, &path, err).ok
                                  : fail(err, ERR_USAGE, "an empty file name").ok;
    f.path = path != NULL ? path : given;
    if (json != NULL)
        terminal_put(json, "path", terminal_text(f.path, strlen(f.path)));
    if (!there)
        return FAIL;
    if (!config_choose(path, &f.choice, err).ok)
        return FAIL;
    if (f.choice == NULL)
        return fail(err, ERR_MISSING,
                    "'%s' gets no key: no rule matches it, and there are no "
                    "default keys",
                    f.path);
    if (!seal_keys_context(&context, o, f.choice, err).ok)
        return FAIL;
    f.context = context;
    return json != NULL ? fill(&f, json, err) : show(&f, err);
}

/* struct checked: what check_choice found out of all. */
struct checked {
    size_t choices;
    struct result result;
    struct err *err;
};

static void check_choice(void *arg, const struct config_choice *choice)
{
    struct checked *all = arg;

    all->choices++;
    for (size_t i = 0; all->result.ok && i < choice->count; i++) {
        char *reference STRING_CLEANUP = NULL;
        all->result = named_keys_reference(choice->names[i], &reference, all->err);
        if (!all->result.ok)
            err_context(all->err, "config file '%s', line %u", choice->file, choice->line);
    }
}

/* struct files: what is told about each config file. */
struct files {
    size_t count;
    bool told, json;
};

static void tell_file(void *arg, const char *path, size_t keys, size_t rules)
{
    struct files *files = arg;

    files->count++;
    if (!files->told)
        return;
    if (files->json) {
        terminal_json(json_pack("{s:o, s:I, s:I}", "config", terminal_text(path, strlen(path)),
                                "keys", (json_int_t)keys, "rules", (json_int_t)rules));
        return;
    }
    terminal_show(path, strlen(path));
    terminal_print(": %zu key%s, %zu rule%s\n", keys, keys == 1 ? "" : "s", rules,
                   rules == 1 ? "" : "s");
}

/* All that the files say, whatever the path. */
static struct result check_all(const struct options *o, struct err *err)
{
    struct files files = {.told = o->operands.count == 0, .json = o->json};
    struct checked all = {.result = OK, .err = err};
    const struct config_choice *openers;

    if (!config_each_file(tell_file, &files, err).ok)
        return FAIL;
    if (files.count == 0) {
        (void)fail(err, ERR_MISSING, "there is no config file");
        return fail_hint(err, "'bulla help report' shows where it would be");
    }
    if (!config_all(check_choice, &all, err).ok || !all.result.ok ||
        !config_openers(&openers, err).ok)
        return FAIL;
    if (openers != NULL)
        check_choice(&all, openers);
    return all.result;
}

static int check_one(const char *given, const struct options *o)
{
    json_t *json = o->json ? json_object() : NULL;
    struct err err = {0};

    if (o->json && json == NULL)
        (void)fail_memory(&err);
    else if (!check(given, o, json, &err).ok)
        (void)terminal_error(&err);
    if (json != NULL) {
        terminal_put(json, "status", json_integer(err.class));
        if (err.class != ERR_NONE)
            terminal_put(json, "error", terminal_text(err.text, strlen(err.text)));
        terminal_json(json);
    }
    return (int)err.class;
}

static int run_check(const struct options *o)
{
    struct err err = {0};
    int status = ERR_NONE;

    if (!check_all(o, &err).ok)
        return terminal_error(&err);
    if (named_keys_fallback(&o->keys) != NULL)
        terminal_warn(NULL, "BULLA_KEY is set: while it is, the config file chooses no key");
    for (size_t i = 0; i < o->operands.count; i++) {
        int one = check_one(o->operands.items[i], o);
        if (one != ERR_NONE)
            status = outcome_status(o->operands.count, one);
    }
    return status;
}

const struct verb verb_config_check = {
    .group = "config",
    .name = "check",
    .operands = "[PATH...]",
    .most = ANY_NUMBER,
    .summary = "show which keys the config file has for a path, and why",
    .more = "Shows the rule, or that there is none, and the keys and the context that PATH would\n"
            "be sealed to, each with its file and line. PATH need not exist. Checks both config\n"
            "files whole, PATH or not. Opens no key; 'bulla key check NAME' does. Exits 0 if\n"
            "every PATH gets a key, 10 if one gets none or a name has no key, 2 for a line that\n"
            "makes no sense, 7 for a file that somebody else may have written, 3 if some of\n"
            "several PATHs get no key.\n",
    .run = run_check,
    .rows = (const struct row *const[]){rows_json, rows_all, NULL},
    .examples = "  bulla config check\n"
                "  bulla config check data/sub/file\n",
};
