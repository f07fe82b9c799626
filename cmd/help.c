#include "cmd/help.h"

#include <stdio.h>
#include <string.h>

#include "cmd/shared_rows.h"
#include "cmd/store_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "cmd/version_report.h"
#include "keystore/registry.h"

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
    char name[VERB_NAME_MAX];

    if (group == NULL)
        terminal_print("bulla " BULLA_VERSION
                       ": seals backups before they leave the machine, opens them on restore\n\n"
                       "usage: bulla VERB [options] [FILE...]\n\n");
    for (const struct verb *const *verb = verbs; *verb != NULL; verb++)
        if (group == NULL || options_is_in(*verb, group))
            terminal_print("  %-18s%s\n", options_verb_name(*verb, name), (*verb)->summary);
    terminal_print(
        "\n'bulla VERB --help' shows a verb's options, 'bulla help keys' how a key is named,\n"
        "'bulla help environment' the variables that bulla reads, 'bulla help report' what a\n"
        "bug report should have.\n");
    if (group == NULL)
        terminal_print(
            "\nexit status: 0 done; 1 failed; 2 usage; 3 part of a batch failed or was not\n"
            "looked at; 4 damaged or forged data; 5 none of the given keys opens it; 6 key\n"
            "store or file system not reachable; 7 refused by policy; 8 not supported by this\n"
            "bulla; 9 the output exists already; 10 the input does not exist; 11 it is no\n"
            "sealed file, or no key file; 130 interrupted\n");
}

static void print_row(const struct row *row)
{
    char name[32];

    snprintf(name, sizeof name, "--%s%s%s", row->name, row->metavar ? " " : "",
             row->metavar ? row->metavar : "");
    terminal_print("  %c%c%c %-23s", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
                   row->letter ? ',' : ' ', name);
    if (strlen(name) > 22)
        terminal_print("\n%29s", "");
    print_moved_in(row->help, 29);
}

static void print_rows(const struct row *rows)
{
    for (; rows->name != NULL; rows++)
        print_row(rows);
}

static void print_form(const char *form, const char *help)
{
    terminal_print("  %-25s", form);
    print_moved_in(help, 27);
}

static void print_forms(void *arg, const struct keystore *store)
{
    (void)arg;
    for (const struct keystore_scheme *s = store->schemes; s->prefix != NULL; s++)
        if (s->form != NULL)
            print_form(s->form, s->help);
}

static void print_store_options(void *arg, const struct keystore *store)
{
    const char *heading = store->title;

    (void)arg;
    for (const struct row *row = store_rows(); row->name != NULL; row++) {
        if (!registry_has_option(store, store_rows_option(row)))
            continue;
        if (heading != NULL)
            terminal_print("\n%s keys:\n\n", heading);
        heading = NULL;
        print_row(row);
    }
}

/* How a key is named, and what keys need of the command line. */
static void print_keys(void)
{
    static const struct {
        const char *heading;
        const struct row *rows;
    } parts[] = {
        {"Passphrases:", rows_passphrase},
        {"New passphrases:", rows_new_passphrase},
        {"PINs:", rows_pin},
    };

    terminal_print("A KEY is one of these:\n\n");
    registry_each(print_forms, NULL);
    print_form("fd:N", "a key file, read from a descriptor that is open; in a shell\n"
                       "also <(COMMAND)");
    print_form("credential:NAME", "a key file, as systemd gives it to a unit");
    print_form("NAME", "a name of the config file");
    terminal_print(
        "\nAny one of the keys that a file is sealed to opens it. If no key is given, BULLA_KEY\n"
        "names it; if that is not set, the rules and the default keys of bulla.conf(5) do.\n");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        terminal_print("\n%s\n\n", parts[i].heading);
        print_rows(parts[i].rows);
    }
    registry_each(print_store_options, NULL);
}

static void print_variable(const char *names, const char *help)
{
    bool fits = strlen(names) < 26;

    terminal_print("  %-26s%s%*s", names, fits ? " " : "\n", fits ? 0 : 29, "");
    print_moved_in(help, 29);
}

static void print_option_variable(void *arg, const struct keystore *store,
                                  const struct store_option *option)
{
    char help[64];

    (void)arg, (void)store;
    if (option->variable == NULL)
        return;
    snprintf(help, sizeof help, "as --%s", option->name);
    print_variable(option->variable, help);
}

static void print_store_variables(void *arg, const struct keystore *store)
{
    (void)arg;
    for (const struct store_variable *v = store->variables; v != NULL && v->names != NULL; v++)
        print_variable(v->names, v->help);
}

/* All variables that bulla reads. */
static void print_environment(void)
{
    static const char *const variables[][2] = {
        {"BULLA_KEY", "the key, if no -k is given"},
        {"BULLA_CONFIG", "the config file, instead of the usual two"},
        {"BULLA_PASSPHRASE_FILE", "the file of the passphrase"},
        {"BULLA_NEW_PASSPHRASE_FILE", "the file of a new passphrase"},
        {"BULLA_PIN_FILE", "the file of a PIN"},
        {"BULLA_CONFINE", "no: do not confine the run; must: fail if it\ncannot be confined"},
        {"CREDENTIALS_DIRECTORY", "where systemd puts credentials: bulla.passphrase,\n"
                                  "bulla.new-passphrase, bulla.pin, those of\n"
                                  "credential:NAME"},
        {"XDG_CONFIG_HOME, HOME", "where the user's config file is"},
        {"NO_COLOR, TERM",
         "no colours on a terminal if NO_COLOR is set, or TERM is\ndumb or not set"},
        {"TMPDIR", "where parts of an upload are held that memory does not (/var/tmp)"},
        {"AWS_ENDPOINT_URL_S3", "where S3 is; the other variables of AWS, below, count for it too"},
    };

    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        print_variable(variables[i][0], variables[i][1]);
    registry_options(print_option_variable, NULL);
    registry_each(print_store_variables, NULL);
}

static const struct topic {
    const char *name;
    void (*print)(void);
} topics[] = {
    {"keys", print_keys}, {"environment", print_environment}, {"report", version_report_all}};

static const struct topic *topic_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (strcmp(topics[i].name, name) == 0)
            return &topics[i];
    return NULL;
}

bool help_has(const char *topic)
{
    return topic_by_name(topic) != NULL;
}

/* The names of the options that 'bulla help keys' explains. */
static void print_folded(const struct verb *verb)
{
    struct row_walk walk = {.keys = true};
    size_t column = 80;

    if (verb->key_rows == NULL)
        return;
    terminal_print("\n'bulla help keys' explains KEY, and these:\n");
    for (const struct row *row; (row = options_next(&walk, verb)) != NULL;) {
        size_t size = strlen(row->name) + 3 + (row->metavar != NULL ? strlen(row->metavar) + 1 : 0);
        terminal_print("%s --%s%s%s", column + size > 80 ? "\n " : "", row->name,
                       row->metavar != NULL ? " " : "", row->metavar != NULL ? row->metavar : "");
        column = column + size > 80 ? size + 1 : column + size;
    }
    terminal_print("\n");
}

static void print_verb(const struct verb *verb)
{
    char name[VERB_NAME_MAX];

    terminal_print("usage: bulla %s [options] %s\n\n%s.\n\n%s\n", options_verb_name(verb, name),
                   verb->operands, verb->summary, verb->more);
    for (size_t i = 0; verb->rows[i] != NULL; i++)
        print_rows(verb->rows[i]);
    print_folded(verb);
    if (verb->examples != NULL)
        terminal_print("\nExamples:\n\n%s", verb->examples);
}

void help_show(const struct options *o, const struct verb *verb)
{
    const struct topic *topic = o->topic != NULL ? topic_by_name(o->topic) : NULL;

    if (verb != NULL)
        print_verb(verb);
    else if (topic != NULL)
        topic->print();
    else
        print_overview(o->group);
}
