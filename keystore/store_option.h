/* store_option: what a user may say to a key store. A store has its options as rows; who reads them
 * from a command line, a configuration or the fields of a struct makes settings of them. */
#ifndef BULLA_KEYSTORE_STORE_OPTION_H
#define BULLA_KEYSTORE_STORE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/environment.h"

#define STORE_TIMEOUT 60        /* seconds that a store gives what it asks */
#define STORE_TIMEOUT_MAX 86400 /* and at most */

enum store_option_kind {
    STORE_FLAG,
    STORE_TEXT,
    STORE_NUMBER, /* 1 or more */
    STORE_CHOICE  /* the value of a word */
};

/* What keys are used for where an option means something. */
enum store_use {
    STORE_OPENS = 1,  /* files are opened or looked at */
    STORE_SEALS = 2,  /* files are sealed or moved */
    STORE_MANAGES = 4 /* keys are made, listed or changed */
};

/* struct choice: a word that an option takes; the last has none. */
struct choice {
    const char *word;
    unsigned value; /* of a key store's option 1 or more, of another 0 for the default */
};

/* struct store_option: a row; the name of the last is NULL. */
struct store_option {
    const char *name;
    const char *metavar; /* NULL for a flag */
    enum store_option_kind kind;
    unsigned uses;        /* of enum store_use */
    const char *variable; /* of the environment that stands in for a text; or NULL */

    /* A configuration may say it too, where neither that variable is set nor one of these, which
     * the store goes by otherwise; NULL after the last, or NULL. */
    bool in_config;
    const char *const *before_config;
    bool path;   /* of a file, if it has a slash */
    bool unsaid; /* its value is not told */

    uint64_t usual, most; /* of a number or choice, 1 or more; most 0 = any */
    const char *unit;
    const struct choice *choices;
    const char *help;
};

#define STORE_OPTIONS_MAX 16 /* of all stores */

/* struct store_settings: what was said. Texts belong to others and outlive it. */
struct store_settings {
    struct store_setting {
        const struct store_option *option;
        const char *text;
        uint64_t number; /* of a choice its value, of a flag 1 */
    } list[STORE_OPTIONS_MAX];
    size_t count;
    struct environment environment;
};

/* store_set says something for an option, in place of what was said before. Text NULL and number 0
 * say nothing: 0 is no value of any option. */
void store_set(struct store_settings *s, const struct store_option *option, const char *text,
               uint64_t number);

/* store_text is a text, that of the option's variable where none was said, or NULL; store_number a
 * number, the usual one where none was said, or what a flag or choice is. */
const char *store_text(const struct store_settings *s, const struct store_option *option);
uint64_t store_number(const struct store_settings *s, const struct store_option *option);

#endif
