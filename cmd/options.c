#include "cmd/options.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/help.h"
#include "cmd/nearest_name.h"
#include "cmd/store_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"

static struct result list_add(struct list *l, const char *item, struct err *err)
{
    const char **grown = reallocarray(l->items, l->count + 1, sizeof *grown);

    if (grown == NULL)
        return fail_memory(err);
    l->items = grown;
    l->items[l->count++] = item;
    return OK;
}

/* The next of the rows of key stores that the verb has. */
static const struct row *next_of_stores(struct row_walk *w, const struct verb *verb)
{
    const struct row *rows = store_rows();

    while (rows[w->at].name != NULL) {
        const struct row *row = &rows[w->at++];
        if ((store_rows_option(row)->uses & verb->store_uses) != 0)
            return row;
    }
    return NULL;
}

/* The next of the arrays of the verb, or NULL. */
static const struct row *next_of_verb(struct row_walk *w, const struct row *const *arrays)
{
    while (arrays != NULL && arrays[w->array] != NULL) {
        const struct row *row = &arrays[w->array][w->at++];
        if (row->name != NULL)
            return row;
        w->array++;
        w->at = 0;
    }
    return NULL;
}

const struct row *options_next(struct row_walk *w, const struct verb *verb)
{
    const struct row *row = NULL;

    if (!w->keys && !w->stores && (row = next_of_verb(w, verb->rows)) == NULL)
        *w = (struct row_walk){.keys = true};
    if (w->keys && (row = next_of_verb(w, verb->key_rows)) == NULL)
        *w = (struct row_walk){.stores = true};
    return w->stores ? next_of_stores(w, verb) : row;
}

static void *field(const struct options *o, const struct row *row)
{
    return (char *)(uintptr_t)o + row->offset;
}

void options_free(struct options *o)
{
    free(o->operands.items);
    for (const struct verb *const *verb = verbs; *verb != NULL; verb++) {
        struct row_walk walk = {0};
        for (const struct row *row; (row = options_next(&walk, *verb)) != NULL;)
            if (row->kind == LIST_OF_TEXT) {
                struct list *list = field(o, row);
                free(list->items);
                *list = (struct list){0};
            }
    }
    *o = (struct options){0};
}

void options_visit(const struct verb *verb, const struct options *o,
                   void (*visit)(void *arg, const struct row *row, const char *value), void *arg)
{
    struct row_walk walk = {0};

    for (const struct row *row; (row = options_next(&walk, verb)) != NULL;) {
        const struct list *list = field(o, row);
        const char *const *text = field(o, row);
        if (row->kind == LIST_OF_TEXT)
            for (size_t i = 0; i < list->count; i++)
                visit(arg, row, list->items[i]);
        else if ((row->kind == TEXT || row->kind == DESCRIPTOR) && *text != NULL)
            visit(arg, row, *text);
    }
}

static bool is_digits(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static struct result parse_number(const char *text, const struct row *row, uint64_t *out,
                                  struct err *err)
{
    uint64_t n = 0;

    if (!is_digits(text))
        return fail(err, ERR_USAGE, "--%s: '%s' is not a number", row->name, text);
    for (const char *c = text; *c != '\0'; c++)
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*c - '0'), &n) || n > INT64_MAX)
            return fail(err, ERR_USAGE, "--%s: '%s' is too large", row->name, text);
    if (n == 0)
        return fail(err, ERR_USAGE, "--%s: '%s' is not 1 or more", row->name, text);
    if (row->most != 0 && n > row->most)
        return fail(err, ERR_USAGE, "--%s is at most %" PRIu64 "%s", row->name, row->most,
                    row->unit != NULL ? row->unit : "");
    *out = n;
    return OK;
}

static struct result parse_descriptor(const char *text, const struct row *row, const char **out,
                                      struct err *err)
{
    if (!is_digits(text) || strlen(text) > 10 || strtoll(text, NULL, 10) > INT_MAX)
        return fail(err, ERR_USAGE, "--%s: '%s' is not the number of a descriptor", row->name,
                    text);
    *out = text;
    return OK;
}

/* "aes or chacha20", "each, end or none". */
static const char *words_of(const struct choice *choices, char *out, size_t room)
{
    out[0] = '\0';
    for (size_t i = 0, used = 0; choices[i].word != NULL && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s",
                                 i == 0                        ? ""
                                 : choices[i + 1].word != NULL ? ", "
                                                               : " or ",
                                 choices[i].word);
    return out;
}

static struct result parse_choice(const char *text, const struct row *row, unsigned *out,
                                  struct err *err)
{
    char words[128];

    for (const struct choice *c = row->choices; c->word != NULL; c++)
        if (strcmp(c->word, text) == 0) {
            *out = c->value;
            return OK;
        }
    return fail(err, ERR_USAGE, "--%s is %s, not '%s'", row->name,
                words_of(row->choices, words, sizeof words), text);
}

/* struct parse: a command line that is being read. */
struct parse {
    struct options *options;
    const struct verb *verb;
    char **at; /* what is left of it */
    int left;
    const struct row *given[64];
    size_t given_count;
};

static struct result check_once(struct parse *p, const struct row *row, struct err *err)
{
    for (size_t i = 0; i < p->given_count; i++)
        if (p->given[i] == row)
            return fail(err, ERR_USAGE, "--%s is given twice", row->name);
    if (p->given_count < sizeof p->given / sizeof *p->given)
        p->given[p->given_count++] = row;
    return OK;
}

/* Puts a value where its row says; an option that is not a list may be given once. An empty value
 * comes from a variable that a script did not set; no option gives it a meaning. */
static struct result store(struct parse *p, const struct row *row, const char *value,
                           struct err *err)
{
    void *out = field(p->options, row);

    if (row->kind == FLAG) {
        *(bool *)out = true;
        return OK;
    }
    if (*value == '\0')
        return fail(err, ERR_USAGE, "--%s is empty", row->name);
    if (row->kind == LIST_OF_TEXT)
        return list_add(out, value, err);
    if (!check_once(p, row, err).ok)
        return FAIL;
    if (row->kind == NUMBER)
        return parse_number(value, row, out, err);
    if (row->kind == CHOICE)
        return parse_choice(value, row, out, err);
    if (row->kind == DESCRIPTOR)
        return parse_descriptor(value, row, out, err);
    *(const char **)out = value;
    return OK;
}

static const struct row *row_by_name(const char *name, size_t size, const struct verb *verb)
{
    struct row_walk walk = {0};

    for (const struct row *row; (row = options_next(&walk, verb)) != NULL;)
        if (strlen(row->name) == size && memcmp(row->name, name, size) == 0)
            return row;
    return NULL;
}

static const struct row *row_by_letter(char letter, const struct verb *verb)
{
    struct row_walk walk = {0};

    for (const struct row *row; (row = options_next(&walk, verb)) != NULL;)
        if (row->letter == letter)
            return row;
    return NULL;
}

/* The row of an option of any verb, as it is written; of a letter, if name is one byte. */
static const struct row *row_anywhere(const char *name, size_t size, bool letter)
{
    const struct row *row = NULL;

    for (const struct verb *const *verb = verbs; *verb != NULL && row == NULL; verb++)
        row = letter ? row_by_letter(*name, *verb) : row_by_name(name, size, *verb);
    return row;
}

const struct row *options_row(const struct verb *verb, const char *name, size_t size)
{
    return verb != NULL ? row_by_name(name, size, verb) : row_anywhere(name, size, false);
}

const char *options_verb_name(const struct verb *v, char out[VERB_NAME_MAX])
{
    snprintf(out, VERB_NAME_MAX, "%s%s%s", v->group ? v->group : "", v->group ? " " : "", v->name);
    return out;
}

/* An option that the verb does not have. */
static struct result fail_option(const struct verb *verb, const char *given, const char *name,
                                 size_t size, bool letter, struct err *err)
{
    const struct row *elsewhere = row_anywhere(name, size, letter);
    char verb_name[VERB_NAME_MAX], wanted[VERB_NAME_MAX];
    struct nearest_word nearest = {.wanted = wanted};
    struct row_walk walk = {0};

    snprintf(wanted, sizeof wanted, "%.*s", (int)size, name);
    if (elsewhere != NULL)
        (void)fail(err, ERR_USAGE, "option --%s does not go with '%s'", elsewhere->name,
                   verb->name);
    else
        (void)fail(err, ERR_USAGE, "unknown option '%s'", given);
    for (const struct row *row; (row = options_next(&walk, verb)) != NULL;)
        nearest_consider(&nearest, row->name);
    options_verb_name(verb, verb_name);
    if (elsewhere == NULL && !letter && nearest.found != NULL)
        err_hint(err, "did you mean --%s? 'bulla %s --help' shows the options", nearest.found,
                 verb_name);
    else
        err_hint(err, "'bulla %s --help' shows the options", verb_name);
    return FAIL;
}

static struct result next_value(struct parse *p, const struct row *row, const char **value,
                                struct err *err)
{
    if (p->left == 0)
        return fail(err, ERR_USAGE, "--%s needs a value: %s", row->name, row->metavar);
    *value = *p->at++;
    p->left--;
    return OK;
}

static struct result parse_long(struct parse *p, const char *arg, struct err *err)
{
    size_t size = strcspn(arg + 2, "=");
    const char *value = arg[2 + size] == '=' ? arg + 3 + size : NULL;
    const struct row *row = row_by_name(arg + 2, size, p->verb);

    if (row == NULL)
        return fail_option(p->verb, arg, arg + 2, size, false, err);
    if (row->kind == FLAG && value != NULL)
        return fail(err, ERR_USAGE, "--%s takes no value", row->name);
    if (row->kind != FLAG && value == NULL && !next_value(p, row, &value, err).ok)
        return FAIL;
    return store(p, row, value, err);
}

/* -k KEY, -kKEY, -qr, -qk KEY. */
static struct result parse_short(struct parse *p, const char *arg, struct err *err)
{
    for (const char *c = arg + 1; *c != '\0'; c++) {
        const struct row *row = row_by_letter(*c, p->verb);
        const char *value = c + 1;
        if (row == NULL)
            return fail_option(p->verb, arg, c, 1, true, err);
        if (row->kind == FLAG) {
            if (!store(p, row, NULL, err).ok)
                return FAIL;
            if (p->options->help)
                return OK;
            continue;
        }
        if (*value == '\0' && !next_value(p, row, &value, err).ok)
            return FAIL;
        return store(p, row, value, err);
    }
    return OK;
}

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0';
}

static struct result parse_arguments(struct parse *p, struct err *err)
{
    struct options *o = p->options;
    bool only_operands = false;

    while (p->left > 0) {
        const char *arg = *p->at++;
        p->left--;
        struct result r = OK;
        if (only_operands || !is_option(arg))
            r = list_add(&o->operands, arg, err);
        else if (strcmp(arg, "--") == 0)
            only_operands = true;
        else if (arg[1] == '-')
            r = parse_long(p, arg, err);
        else
            r = parse_short(p, arg, err);
        if (!r.ok)
            return FAIL;
        if (o->help) /* whatever follows */
            return OK;
    }
    if (o->operands.count < p->verb->least || o->operands.count > p->verb->most)
        return fail(err, ERR_USAGE, "'%s' takes %s", p->verb->name, p->verb->operands);
    return OK;
}

/* The row of an option that takes the next word for its value; NULL if it takes none. Without a
 * verb it may be of any. */
static const struct row *takes_next(const char *arg, const struct verb *verb)
{
    size_t size = strcspn(arg + 2, "=");
    const struct row *row = NULL;

    if (arg[1] == '-' && arg[2 + size] == '\0')
        row = options_row(verb, arg + 2, size);
    for (const char *c = arg + 1; arg[1] != '-' && *c != '\0'; c++) {
        row = verb != NULL ? row_by_letter(*c, verb) : row_anywhere(c, 1, true);
        if (row == NULL || row->kind != FLAG)
            return row != NULL && c[1] == '\0' ? row : NULL;
    }
    return row != NULL && row->kind != FLAG ? row : NULL;
}

/* Brings the verb to the front of the words, where options stand before it. */
static void verb_first(char **words, int count)
{
    int at = 0;

    while (at < count && is_option(words[at]) && strcmp(words[at], "--") != 0)
        at += takes_next(words[at], NULL) != NULL ? 2 : 1;
    if (at >= count)
        return;
    char *verb = words[at];
    memmove(words + 1, words, (size_t)at * sizeof *words);
    words[0] = verb;
}

bool options_is_in(const struct verb *v, const char *group)
{
    return group == NULL ? v->group == NULL : v->group != NULL && strcmp(v->group, group) == 0;
}

static bool is_group(const char *word)
{
    for (const struct verb *const *verb = verbs; *verb != NULL; verb++)
        if ((*verb)->group != NULL && strcmp((*verb)->group, word) == 0)
            return true;
    return false;
}

static struct result find_verb(struct parse *p, struct err *err)
{
    const char *group = p->left > 1 && is_group(*p->at) ? *p->at++ : NULL;
    const char *word = *p->at++;
    struct nearest_word nearest = {.wanted = word};

    p->left -= group != NULL ? 2 : 1;
    for (const struct verb *const *verb = verbs; *verb != NULL; verb++) {
        if (group == NULL && (*verb)->group != NULL)
            nearest_consider(&nearest, (*verb)->group);
        if (!options_is_in(*verb, group))
            continue;
        if (strcmp((*verb)->name, word) == 0) {
            p->verb = *verb;
            return OK;
        }
        nearest_consider(&nearest, (*verb)->name);
    }
    const char *in = group != NULL ? group : is_group(word) ? word : "";
    const char *blank = in[0] != '\0' ? " " : "";
    bool alone = group == NULL && is_group(word);
    if (alone)
        (void)fail(err, ERR_USAGE, "'%s' needs a second word", word);
    else
        (void)fail(err, ERR_USAGE, "unknown verb '%s%s%s'", in, group ? " " : "", word);
    if (nearest.found != NULL && !alone)
        err_hint(err, "did you mean '%s%s%s'? 'bulla help%s%s' shows the verbs", in, blank,
                 nearest.found, blank, in);
    else
        err_hint(err, "'bulla help%s%s' shows the verbs", blank, in);
    return FAIL;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static const struct verb *verb_by_name(const char *group, const char *name)
{
    for (const struct verb *const *verb = verbs; *verb != NULL; verb++)
        if (options_is_in(*verb, group) && strcmp((*verb)->name, name) == 0)
            return *verb;
    return NULL;
}

static void take_word(struct options_state *at, const char *word)
{
    if (at->row != NULL)
        at->row = NULL; /* it is the value */
    else if (!at->only_operands && strcmp(word, "--") == 0)
        at->only_operands = true;
    else if (!at->only_operands && is_option(word))
        at->row = takes_next(word, at->verb);
    else if (at->verb == NULL && at->group == NULL && is_group(word))
        at->group = word;
    else if (at->verb == NULL) {
        at->verb = verb_by_name(at->group, word);
        at->unknown = at->verb == NULL;
    }
}

void options_follow(struct options_state *at, const char *const *words, size_t count)
{
    *at = (struct options_state){0};
    for (size_t i = 0; i < count && !at->unknown; i++)
        if (i > 0 || !asks_for_help(words[i]))
            take_word(at, words[i]);
}

static struct result fail_no_verb(struct err *err)
{
    (void)fail(err, ERR_USAGE, "no verb");
    return fail_hint(err, "'bulla help' shows the verbs");
}

struct result options_parse(struct options *o, const struct verb **verb, int argc, char **argv,
                            struct err *err)
{
    struct parse p = {.options = o, .at = argv + 1, .left = argc - 1};

    *verb = NULL;
    if (p.left == 0)
        return fail_no_verb(err);
    if (asks_for_help(*p.at)) {
        o->help = true;
        p.at++;
        p.left--;
        if (p.left == 0)
            return OK;
    }
    if (o->help && help_has(*p.at)) {
        o->topic = *p.at;
        return OK;
    }
    verb_first(p.at, p.left);
    if (is_option(*p.at))
        return fail_no_verb(err);
    if (is_group(*p.at) && (p.left == 1 ? o->help : asks_for_help(p.at[1]))) {
        o->help = true;
        o->group = *p.at;
        return OK;
    }
    if (is_group(*p.at))
        verb_first(p.at + 1, p.left - 1);
    if (!find_verb(&p, err).ok)
        return FAIL;
    *verb = p.verb;
    o->fallback = p.verb->fallback;
    return o->help ? OK : parse_arguments(&p, err);
}
