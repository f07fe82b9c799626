/* ini: files of names and values below [sections], read as Python's configparser and the AWS tools
 * read them.
 *
 * What configparser refuses is refused: a line that is skipped may be the one that says which key
 * or whose credentials to use. A section or a name that is given twice is refused too. */
#ifndef BULLA_BASE_INI_H
#define BULLA_BASE_INI_H

#include "base/secret.h"

/* struct ini_pair: one "name = value". A section begins with a pair of an empty key; a line below a
 * key without a value is a pair of its own, of which that key is the parent. */
struct ini_pair {
    int kind; /* of the section; 0 is before the first */
    const char *section, *parent, *key;
    char *value;
    unsigned line;
};

/* struct ini_dialect: what one kind of file has of its own. */
struct ini_dialect {
    const char *noun; /* of the file, for messages */

    /* Gives what the text between two brackets names, which it may cut, and sets *kind (not 0); or
     * NULL, and *fault says what is wrong. */
    const char *(*section)(char *text, int *kind, const char **fault);

    int (*compare)(const char *a, const char *b); /* keys: strcmp or strcasecmp */
    bool continues; /* a line that is indented more than the key above it belongs to that */
    bool ascii;     /* keys are printable ASCII: another byte may be another kind of blank, before a
                     * name that is looked for */
};

/* struct ini: a file; {0} is empty and safe to free. */
struct ini {
    const struct ini_dialect *dialect;
    struct secret text;     /* cut into strings by zeros */
    struct ini_pair *pairs; /* into text, sorted */
    size_t count;
};

#define INI_CLEANUP __attribute__((cleanup(ini_free)))

/* ini_parse makes the pairs of ini->text, of which size bytes are the file and another one follows.
 * ERR_USAGE if a line makes no sense, which the message names together with path. */
FALLIBLE ini_parse(struct ini *ini, const struct ini_dialect *dialect, size_t size,
                   const char *path, struct err *err);
void ini_free(struct ini *ini);

/* ini_find gives a pair, or NULL; of several below one parent the last. */
const struct ini_pair *ini_find(const struct ini *ini, int kind, const char *section,
                                const char *parent, const char *key);

#endif
