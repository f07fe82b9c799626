/* option_rows: the table of verbs, and that of options. */
#ifndef BULLA_CMD_OPTION_ROWS_H
#define BULLA_CMD_OPTION_ROWS_H

#include "cmd/options.h"

enum kind { FLAG, TEXT, NUMBER, LIST_OF_TEXT };

/* struct row: an option. */
struct row {
    const char *name;
    char letter; /* 0 = none */
    const char *metavar;
    enum kind kind;
    size_t offset;  /* of what it sets in struct options */
    unsigned verbs; /* that have it */
    const char *help;
};

extern const struct verb option_verbs[];
extern const size_t option_verb_count;

/* Options of one name, for verbs to which it means different things, have a row each. */
extern const struct row option_rows[];
extern const size_t option_row_count;

#endif
