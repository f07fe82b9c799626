#include "cmd/help.h"

#include <stdio.h>
#include <string.h>

#include "cmd/terminal.h"
#include "cmd/verbs.h"

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
    terminal_print("\n'bulla VERB --help' shows a verb's options.\n");
    if (group == NULL)
        terminal_print(
            "\nexit status: 0 done; 1 failed; 2 usage; 3 part of a batch failed or was not\n"
            "looked at; 4 damaged or forged data; 5 none of the given keys opens it; 6 key\n"
            "store not reachable; 7 refused by policy; 8 not supported by this bulla; 9 the\n"
            "output exists already; 10 the input does not exist; 11 it is no sealed file, or\n"
            "no key file; 130 interrupted\n");
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

void help_show(const struct options *o, const struct verb *verb)
{
    char name[VERB_NAME_MAX];
    struct row_walk walk = {0};

    if (verb == NULL) {
        print_overview(o->group);
        return;
    }
    terminal_print("usage: bulla %s [options] %s\n\n%s.\n\n%s\n", options_verb_name(verb, name),
                   verb->operands, verb->summary, verb->more);
    for (const struct row *row; (row = options_next(&walk, verb)) != NULL;)
        print_row(row);
}
