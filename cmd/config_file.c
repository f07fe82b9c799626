#include "cmd/config_file.h"

#include <fnmatch.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/descriptor.h"
#include "base/secret_file.h"
#include "base/text.h"
#include "cmd/key_alias.h"
#include "cmd/nearest_name.h"
#include "keystore/registry.h"
#include "storage/registry.h"

#define CONFIG_MAX (1024 * 1024) /* bytes */
#define BLANKS " \t\r\f\v"
#define RULE_SECTION "rule"
#define FILE_SCHEME "file:"

/* The kinds of sections: a bit each, for the table of options. */
enum { KEYS = 1, DEFAULTS = 2, RULE = 4 };

static const char *section(char *text, int *kind, const char **fault)
{
    size_t word = strcspn(text, BLANKS);
    char *name = text + word + strspn(text + word, BLANKS);

    *fault = "a section other than [keys], [defaults] and [rule NAME]";
    *kind = strcmp(text, "keys") == 0 ? KEYS : strcmp(text, "defaults") == 0 ? DEFAULTS : 0;
    if (*kind != 0)
        return text;
    if (word != strlen(RULE_SECTION) || strncmp(text, RULE_SECTION, word) != 0)
        return NULL;
    *fault = "a rule without a name";
    *kind = RULE;
    return name[0] != '\0' ? name : NULL;
}

static const struct ini_dialect dialect = {
    .noun = "config file", .section = section, .compare = strcmp};

/* struct part: a section that is being read. */
struct part {
    struct config_file *file;
    struct config_choice *choice; /* that it makes */
    const struct ini_pair *begin;
};

__attribute__((format(printf, 4, 5))) static struct result
bad(const struct config_file *f, unsigned line, struct err *err, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX / 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return fail(err, ERR_USAGE, "%s '%s', line %u: %s", dialect.noun, f->path, line, what);
}

/* Names that blanks part; the value is cut into them. */
static struct result take_names(const struct part *p, struct config_choice *choice,
                                const struct ini_pair *pair, struct err *err)
{
    char *state = NULL;

    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    choice->names = calloc(strlen(pair->value) / 2 + 1, sizeof *choice->names);
    if (choice->names == NULL)
        return fail_memory(err);
    choice->file = p->file->path;
    choice->line = pair->line;
    for (char *name = strtok_r(pair->value, BLANKS, &state); name != NULL;
         name = strtok_r(NULL, BLANKS, &state))
        choice->names[choice->count++] = name;
    return OK;
}

static struct result take_keys(const struct part *p, const struct ini_pair *pair, struct err *err)
{
    return take_names(p, p->choice, pair, err);
}

static struct result take_openers(const struct part *p, const struct ini_pair *pair,
                                  struct err *err)
{
    return take_names(p, &p->file->openers, pair, err);
}

/* Whether a pattern is for whole paths, wherever the file is. */
static bool is_whole(const char *pattern)
{
    return pattern[0] == '/' || pattern[0] == '*' || storage_names(pattern);
}

/* Whether a path, which has no part that is empty, "." or "..", can be like this; a name of an
 * object can. A rule that is never for anything would leave its files to other keys. */
static bool may_fit(const char *pattern)
{
    const char *part = pattern + (pattern[0] == '/');
    size_t size = strcspn(part, "/");

    if (text_ends_with(pattern, "/"))
        return false;
    if (pattern[0] == '*' || storage_names(pattern))
        return true;
    while (size > 2 || strspn(part, ".") < size) {
        if (part[size] == '\0')
            return true;
        part += size + 1;
        size = strcspn(part, "/");
    }
    return false;
}

static struct result take_path(const struct part *p, const struct ini_pair *pair, struct err *err)
{
    if (!may_fit(pair->value)) {
        (void)bad(p->file, pair->line, err, "no path is like '%s'", pair->value);
        return fail_hint(err, "a path does not end in / and has no //, /./ or /../; DIRECTORY/* is "
                              "for all below a directory");
    }
    if (!is_whole(pair->value) && p->file->real == NULL)
        return bad(p->file, pair->line, err,
                   "'%s' is no absolute path, and the file has no directory", pair->value);
    p->choice->pattern = pair->value;
    return OK;
}

/* A path below the directory of the file. */
static struct result below(const struct config_file *f, const struct ini_pair *pair,
                           const char *scheme, const char *path, char **out, struct err *err)
{
    if (f->directory == NULL)
        return bad(f, pair->line, err, "'%s' is no absolute path, and the file has no directory",
                   pair->value);
    if (asprintf(out, "%s%s/%s", scheme, f->directory, path) >= 0)
        return OK;
    *out = NULL;
    return fail_memory(err);
}

static struct result copy(const char *text, char **out, struct err *err)
{
    *out = strdup(text);
    return *out != NULL ? OK : fail_memory(err);
}

/* An option of a key store, which its command line has too. */
static struct result take_setting(const struct part *p, const struct store_option *option,
                                  const struct ini_pair *pair, struct err *err)
{
    const char *slash = strchr(pair->value, '/');
    char *text = NULL;

    if (!(option->path && slash != NULL && slash != pair->value
              ? below(p->file, pair, "", pair->value, &text, err)
              : copy(pair->value, &text, err))
             .ok)
        return FAIL;
    store_set(&p->file->settings, option, text, 0);
    return OK;
}

#define CONTEXT "context."

static struct result take_context(const struct part *p, const struct ini_pair *pair,
                                  struct err *err)
{
    const char *key = pair->key + strlen(CONTEXT);

    if (context_add(&p->choice->context, key, strlen(key), pair->value, err).ok)
        return OK;
    err_context(err, "%s '%s', line %u", dialect.noun, p->file->path, pair->line);
    return FAIL;
}

/* The options of the sections that have such. One that ends with a dot is the beginning of many. */
static const struct word {
    const char *name;
    int kinds; /* of sections that have it */
    struct result (*take)(const struct part *p, const struct ini_pair *pair, struct err *err);
} words[] = {
    {"keys", DEFAULTS | RULE, take_keys},
    {"open-keys", DEFAULTS, take_openers},
    {"path", RULE, take_path},
    {CONTEXT, DEFAULTS | RULE, take_context},
};

static bool is_word(const struct word *w, const char *key)
{
    size_t size = strlen(w->name);

    return w->name[size - 1] == '.' ? strncmp(key, w->name, size) == 0 : strcmp(key, w->name) == 0;
}

static void consider_option(void *arg, const struct keystore *store,
                            const struct store_option *option)
{
    (void)store;
    if (option->in_config)
        nearest_consider(arg, option->name);
}

static struct result unknown(const struct part *p, const struct ini_pair *pair, struct err *err)
{
    struct nearest_word nearest = {.wanted = pair->key};
    bool rule = pair->kind == RULE;

    (void)bad(p->file, pair->line, err, "unknown option '%s' in [%s%s%s]", pair->key,
              rule ? RULE_SECTION : "defaults", rule ? " " : "", rule ? pair->section : "");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((words[i].kinds & pair->kind) != 0)
            nearest_consider(&nearest, words[i].name);
    if (!rule)
        registry_options(consider_option, &nearest);
    if (nearest.found != NULL)
        err_hint(err, "did you mean '%s'? bulla.conf(5) has the options", nearest.found);
    else
        err_hint(err, "bulla.conf(5) has the options");
    return FAIL;
}

static struct result take(const struct part *p, const struct ini_pair *pair, struct err *err)
{
    if (pair->value[0] == '\0')
        return bad(p->file, pair->line, err, "%s '%s' is empty",
                   pair->kind == KEYS ? "key" : "option", pair->key);
    if (pair->kind == KEYS)
        return OK;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((words[i].kinds & pair->kind) != 0 && is_word(&words[i], pair->key))
            return words[i].take(p, pair, err);
    const struct store_option *option = registry_option(pair->key);
    return pair->kind == DEFAULTS && option != NULL && option->in_config
               ? take_setting(p, option, pair, err)
               : unknown(p, pair, err);
}

/* What a section must have, once it is read. */
static struct result check_part(const struct part *p, struct err *err)
{
    const struct config_choice *c = p->choice;

    if (p->begin == NULL || p->begin->kind == KEYS)
        return OK;
    if (c->rule != NULL && c->pattern == NULL)
        return bad(p->file, c->begins, err, "rule '%s' has no path", c->rule);
    if (c->rule != NULL && c->count == 0)
        return bad(p->file, c->begins, err, "rule '%s' has no keys", c->rule);
    if (c->count == 0 && c->context.count > 0)
        return bad(p->file, p->begin->line, err, "[defaults] has a context, but no keys");
    return OK;
}

static struct result begin_part(struct part *p, const struct ini_pair *pair, struct err *err)
{
    if (!check_part(p, err).ok)
        return FAIL;
    p->begin = pair;
    p->choice = pair->kind == RULE ? &p->file->rules[p->file->rule_count++] : &p->file->defaults;
    if (pair->kind == RULE)
        *p->choice = (struct config_choice){
            .file = p->file->path, .rule = pair->section, .begins = pair->line};
    return OK;
}

static int by_line(const void *a, const void *b)
{
    const struct config_choice *x = a, *y = b;

    return (int)(x->begins > y->begins) - (int)(x->begins < y->begins);
}

/* The pairs are sorted, so that those of a section follow its beginning. */
static struct result take_all(struct config_file *f, struct err *err)
{
    struct part part = {.file = f};

    f->rules = calloc(f->ini.count + 1, sizeof *f->rules);
    if (f->rules == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < f->ini.count; i++) {
        const struct ini_pair *pair = &f->ini.pairs[i];
        if (pair->key[0] == '\0' ? !begin_part(&part, pair, err).ok : !take(&part, pair, err).ok)
            return FAIL;
    }
    if (!check_part(&part, err).ok)
        return FAIL;
    qsort(f->rules, f->rule_count, sizeof *f->rules, by_line);
    return OK;
}

/* The directory of the file as it was named, absolute; a descriptor has none. */
static struct result find_directory(struct config_file *f, struct err *err)
{
    char *name STRING_CLEANUP = strdup(f->path), *here STRING_CLEANUP = NULL;

    if (descriptor_number(f->path) >= 0)
        return OK;
    if (name == NULL)
        return fail_memory(err);
    const char *directory = dirname(name);
    if (directory[0] == '/')
        f->directory = strdup(strcmp(directory, "/") == 0 ? "" : directory);
    else if ((here = getcwd(NULL, 0)) == NULL)
        return fail_errno(err, "cannot find the working directory");
    else if (asprintf(&f->directory, "%s/%s", here, directory) < 0)
        f->directory = NULL;
    if (f->directory == NULL)
        return fail_memory(err);
    f->real = realpath(f->directory[0] != '\0' ? f->directory : "/", NULL);
    return OK;
}

static struct result hint_another(struct err *err)
{
    char hint[ERR_HINT_MAX];

    memcpy(hint, err->hint, sizeof hint);
    if (err->class == ERR_POLICY && hint[0] != '\0')
        err_hint(err, "%s; BULLA_CONFIG names another", hint);
    return FAIL;
}

struct result config_file_read(struct config_file *f, const char *path, struct err *err)
{
    struct secret_file file = {
        .noun = dialect.noun, .path = path, .max = CONFIG_MAX, .believed = true};
    struct stat st;
    size_t size;

    /* Whoever could have written it would choose the keys, and the module that is loaded for them.
     */
    if (!copy(path, &f->path, err).ok)
        return FAIL;
    if (!secret_file_read(&file, &f->ini.text, &size, &st, err).ok)
        return hint_another(err);
    if (!ini_parse(&f->ini, &dialect, size, f->path, err).ok || !find_directory(f, err).ok)
        return FAIL;
    return take_all(f, err);
}

static void choice_free(struct config_choice *c)
{
    free(c->names);
    context_free(&c->context);
}

void config_file_free(struct config_file *f)
{
    for (size_t i = 0; i < f->rule_count; i++)
        choice_free(&f->rules[i]);
    choice_free(&f->defaults);
    choice_free(&f->openers);
    for (size_t i = 0; i < f->settings.count; i++)
        free((char *)(uintptr_t)f->settings.list[i].text);
    free(f->rules);
    free(f->path);
    free(f->directory);
    free(f->real);
    ini_free(&f->ini);
    *f = (struct config_file){0};
}

const struct ini_pair *config_file_key(const struct config_file *f, const char *name)
{
    return name[0] == '\0' ? NULL : ini_find(&f->ini, KEYS, "keys", "", name);
}

bool config_file_names(const struct ini_pair *pair)
{
    return pair->kind == KEYS && pair->key[0] != '\0';
}

struct result config_file_reference(const struct config_file *f, const struct ini_pair *pair,
                                    char **reference, struct err *err)
{
    bool file = strncasecmp(pair->value, FILE_SCHEME, strlen(FILE_SCHEME)) == 0;
    const char *path = pair->value + (file ? strlen(FILE_SCHEME) : 0);
    bool other = !file && (registry_has_scheme(path) || key_alias_has(path));

    if (other || path[0] == '/')
        return copy(pair->value, reference, err);
    return below(f, pair, file ? FILE_SCHEME : "", path, reference, err);
}

bool config_file_fits(const struct config_file *f, const struct config_choice *rule,
                      const char *path)
{
    size_t size = f->real != NULL ? strlen(f->real) : 0;

    if (is_whole(rule->pattern))
        return fnmatch(rule->pattern, path, 0) == 0;
    while (size > 0 && f->real[size - 1] == '/')
        size--;
    return f->real != NULL && strncmp(path, f->real, size) == 0 && path[size] == '/' &&
           fnmatch(rule->pattern, path + size + 1, 0) == 0;
}
