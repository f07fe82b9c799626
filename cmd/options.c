#include "cmd/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/option_rows.h"
#include "cmd/terminal.h"

static struct result list_add(struct list *l, const char *item, struct err *err)
{
    const char **grown = reallocarray(l->items, l->count + 1, sizeof *grown);

    if (grown == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    l->items = grown;
    l->items[l->count++] = item;
    return OK;
}

void options_free(struct options *o)
{
    free(o->keys.items);
    free(o->to.items);
    free(o->add.items);
    free(o->remove_keys.items);
    free(o->check.items);
    free(o->needs.items);
    free(o->context.items);
    free(o->require_context.items);
    free(o->operands.items);
    *o = (struct options){0};
}

static struct result parse_number(const char *text, uint64_t *out, struct err *err)
{
    uint64_t n = 0;

    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9')
            return fail(err, ERR_USAGE, "'%s' is not a number", text);
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*c - '0'), &n))
            return fail(err, ERR_USAGE, "'%s' is too large", text);
    }
    if (n > INT64_MAX)
        return fail(err, ERR_USAGE, "'%s' is too large", text);
    if (n == 0)
        return fail(err, ERR_USAGE, "'%s' is not 1 or more", text);
    *out = n;
    return OK;
}

/* Puts a value where its row says; an option that is not a list may stand once. An empty value is
 * what is left of a variable that a script did not set: no option means anything by it. */
static struct result store(struct options *o, const struct row *row, const char *value,
                           struct err *err)
{
    char *at = (char *)o + row->offset;
    bool twice = false;

    if (value == NULL) {
        *(bool *)at = true;
        return OK;
    }
    if (*value == '\0')
        return fail(err, ERR_USAGE, "--%s is empty", row->name);
    switch (row->kind) {
    case FLAG: /* has no value */
        break;
    case LIST_OF_TEXT:
        return list_add((struct list *)(void *)at, value, err);
    case TEXT:
        twice = *(const char **)(void *)at != NULL;
        *(const char **)(void *)at = value;
        break;
    case NUMBER:
        twice = *(uint64_t *)(void *)at != 0;
        if (!parse_number(value, (uint64_t *)(void *)at, err).ok) {
            err_context(err, "--%s", row->name);
            return FAIL;
        }
        break;
    }
    if (twice)
        return fail(err, ERR_USAGE, "--%s is given twice", row->name);
    return OK;
}

/* The row of a name; of two, that of the verb. */
static const struct row *row_by_name(const char *name, size_t size, const struct verb *verb)
{
    const struct row *found = NULL;

    for (size_t i = 0; i < option_row_count; i++)
        if (strlen(option_rows[i].name) == size && memcmp(option_rows[i].name, name, size) == 0 &&
            (found == NULL || (option_rows[i].verbs & verb->bit) != 0))
            found = &option_rows[i];
    return found;
}

static const struct row *row_by_letter(char letter)
{
    for (size_t i = 0; i < option_row_count; i++)
        if (option_rows[i].letter == letter)
            return &option_rows[i];
    return NULL;
}

static const char *full_name(const struct verb *v, char out[32])
{
    snprintf(out, 32, "%s%s%s", v->group ? v->group : "", v->group ? " " : "", v->name);
    return out;
}

static struct result check_row(const struct row *row, const struct verb *verb, const char *given,
                               struct err *err)
{
    char name[32];

    if (row == NULL)
        (void)fail(err, ERR_USAGE, "unknown option '%s'", given);
    else if ((row->verbs & verb->bit) == 0)
        (void)fail(err, ERR_USAGE, "option --%s does not go with '%s'", row->name, verb->name);
    else
        return OK;
    err_hint(err, "'bulla %s --help' shows the options", full_name(verb, name));
    return FAIL;
}

/* struct args: what is left of the command line. */
struct args {
    char **at;
    int left;
};

static struct result next_value(struct args *args, const struct row *row, const char **value,
                                struct err *err)
{
    if (args->left == 0)
        return fail(err, ERR_USAGE, "--%s needs a value: %s", row->name, row->metavar);
    *value = *args->at++;
    args->left--;
    return OK;
}

static struct result parse_long(struct options *o, const struct verb *verb, const char *arg,
                                struct args *args, struct err *err)
{
    size_t size = strcspn(arg + 2, "=");
    const char *value = arg[2 + size] == '=' ? arg + 3 + size : NULL;
    const struct row *row = row_by_name(arg + 2, size, verb);

    if (!check_row(row, verb, arg, err).ok)
        return FAIL;
    if (row->kind == FLAG && value != NULL)
        return fail(err, ERR_USAGE, "--%s takes no value", row->name);
    if (row->kind != FLAG && value == NULL && !next_value(args, row, &value, err).ok)
        return FAIL;
    return store(o, row, value, err);
}

/* -k KEY, -kKEY, -qr, -qk KEY. */
static struct result parse_short(struct options *o, const struct verb *verb, const char *arg,
                                 struct args *args, struct err *err)
{
    for (const char *c = arg + 1; *c != '\0'; c++) {
        const struct row *row = row_by_letter(*c);
        const char *value = c + 1;
        if (!check_row(row, verb, arg, err).ok)
            return FAIL;
        if (row->kind == FLAG) {
            if (!store(o, row, NULL, err).ok)
                return FAIL;
            continue;
        }
        if (*value == '\0' && !next_value(args, row, &value, err).ok)
            return FAIL;
        return store(o, row, value, err);
    }
    return OK;
}

static struct result parse_arguments(struct options *o, const struct verb *verb, struct args *args,
                                     struct err *err)
{
    bool only_operands = false;

    while (args->left > 0) {
        const char *arg = *args->at++;
        args->left--;
        struct result r;
        if (only_operands || arg[0] != '-' || arg[1] == '\0')
            r = list_add(&o->operands, arg, err);
        else if (strcmp(arg, "--") == 0)
            only_operands = true, r = OK;
        else if (arg[1] == '-')
            r = parse_long(o, verb, arg, args, err);
        else
            r = parse_short(o, verb, arg, args, err);
        if (!r.ok)
            return FAIL;
    }
    if (o->help)
        return OK;
    if (o->operands.count < verb->least || o->operands.count > verb->most)
        return fail(err, ERR_USAGE, "'%s' takes %s", verb->name, verb->operands);
    return OK;
}

/* Whether a verb is one of the group, or with NULL of none. */
static bool is_in(const struct verb *v, const char *group)
{
    return group == NULL ? v->group == NULL : v->group != NULL && strcmp(v->group, group) == 0;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < option_verb_count; i++)
        if (option_verbs[i].group != NULL && strcmp(option_verbs[i].group, word) == 0)
            return true;
    return false;
}

static struct result find_verb(const struct verb **verb, struct args *args, struct err *err)
{
    const char *group = args->left > 1 && is_group(*args->at) ? *args->at++ : NULL;
    const char *word = *args->at++;

    args->left -= group != NULL ? 2 : 1;
    for (size_t i = 0; i < option_verb_count; i++)
        if (is_in(&option_verbs[i], group) && strcmp(option_verbs[i].name, word) == 0) {
            *verb = &option_verbs[i];
            return OK;
        }
    const char *in = group != NULL ? group : is_group(word) ? word : "";
    if (is_group(word))
        (void)fail(err, ERR_USAGE, "'%s' needs a second word", word);
    else
        (void)fail(err, ERR_USAGE, "unknown verb '%s%s%s'", in, group ? " " : "", word);
    err_hint(err, "'bulla help%s%s' shows the verbs", in[0] ? " " : "", in);
    return FAIL;
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

struct result options_parse(struct options *o, const struct verb **verb, int argc, char **argv,
                            struct err *err)
{
    struct args args = {argv + 1, argc - 1};

    *verb = NULL;
    if (args.left == 0) {
        (void)fail(err, ERR_USAGE, "no verb");
        err_hint(err, "'bulla help' shows the verbs");
        return FAIL;
    }
    if (is_one_of(*args.at, "help", "--help", "-h")) {
        o->help = true;
        args.at++;
        args.left--;
        if (args.left == 0)
            return OK;
    }
    if (is_group(*args.at) &&
        (args.left == 1 ? o->help : is_one_of(args.at[1], "help", "--help", "-h"))) {
        o->help = true;
        o->group = *args.at;
        return OK;
    }
    if (!find_verb(verb, &args, err).ok)
        return FAIL;
    return o->help ? OK : parse_arguments(o, *verb, &args, err);
}

/* Prints text with each line after the first moved in. */
static void print_moved_in(const char *text, int columns)
{
    for (; *text != '\0'; text++) {
        terminal_print("%c", *text);
        if (*text == '\n')
            terminal_print("%*s", columns, "");
    }
    terminal_print("\n");
}

static void print_overview(const char *group)
{
    char name[32];

    if (group == NULL)
        terminal_print("bulla " BULLA_VERSION
                       ": seals backups before they leave the machine, opens them on restore\n\n"
                       "usage: bulla VERB [options] [FILE...]\n\n");
    for (size_t i = 0; i < option_verb_count; i++)
        if (group == NULL || is_in(&option_verbs[i], group))
            terminal_print("  %-18s%s\n", full_name(&option_verbs[i], name),
                           option_verbs[i].summary);
    terminal_print("\n'bulla VERB --help' shows a verb's options.\n");
    if (group == NULL)
        terminal_print(
            "\nexit status: 0 done; 1 failed; 2 usage; 3 part of a batch failed or was not\n"
            "looked at; 4 damaged or forged data; 5 none of the given keys opens it; 6 key\n"
            "store not reachable; 7 refused by policy; 8 not supported by this bulla; 9 the\n"
            "output exists already; 10 the input does not exist; 11 it is no sealed file, or\n"
            "no key file; 130 interrupted\n");
}

void options_help(const struct options *o, const struct verb *verb)
{
    if (verb == NULL) {
        print_overview(o->group);
        return;
    }
    char name[32];
    terminal_print("usage: bulla %s [options] %s\n\n%s.\n\n%s\n", full_name(verb, name),
                   verb->operands, verb->summary, verb->more);
    for (size_t i = 0; i < option_row_count; i++) {
        if ((option_rows[i].verbs & verb->bit) == 0)
            continue;
        snprintf(name, sizeof name, "--%s%s%s", option_rows[i].name,
                 option_rows[i].metavar ? " " : "",
                 option_rows[i].metavar ? option_rows[i].metavar : "");
        terminal_print("  %c%c%c %-23s", option_rows[i].letter ? '-' : ' ',
                       option_rows[i].letter ? option_rows[i].letter : ' ',
                       option_rows[i].letter ? ',' : ' ', name);
        if (strlen(name) > 22)
            terminal_print("\n%29s", "");
        print_moved_in(option_rows[i].help, 29);
    }
}
