/* dynamic: libraries that are loaded when they are needed first. Linked in the usual way, they and
 * what they use would be in every start of the program. */
#ifndef BULLA_BASE_DYNAMIC_H
#define BULLA_BASE_DYNAMIC_H

#include "base/err.h"

/* struct dynamic_symbol: a function, and the pointer to one that is to be set to it. */
struct dynamic_symbol {
    const char *name;
    void *pointer;
};

struct dynamic_library {
    const char *file, *package;           /* Debian's */
    const char *purpose;                  /* whose need it is, for messages: "tokens take" */
    const struct dynamic_symbol *symbols; /* a name of NULL ends them */
};

/* dynamic_load loads the library and finds every function; ERR_UNSUPPORTED if it is not installed
 * or too old. */
FALLIBLE dynamic_load(const struct dynamic_library *library, struct err *err);

#endif
