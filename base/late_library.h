/* late_library: libraries that are loaded when they are first needed. Linked in the usual way, they
 * and the libraries that they use would slow down every start of the program. */
#ifndef BULLA_BASE_LATE_LIBRARY_H
#define BULLA_BASE_LATE_LIBRARY_H

#include <stdbool.h>

#include "base/err.h"

/* struct late_library_symbol: a function, and the pointer to one that is to be set to it. */
struct late_library_symbol {
    const char *name;
    void *pointer;
};

struct late_library {
    const char *file, *package;                /* Debian's */
    const char *purpose;                       /* whose need it is, for messages: "tokens take" */
    const struct late_library_symbol *symbols; /* a name of NULL ends them */
};

/* late_library_load loads the library and finds every function; ERR_UNSUPPORTED if it is not
 * installed or too old, ERR_FAILED if memory is short. */
FALLIBLE late_library_load(const struct late_library *library, struct err *err);

/* late_library_lacks_memory is true if dlopen failed with these words of dlerror because there is
 * no memory, or no address space, for a library. */
bool late_library_lacks_memory(const char *why);

#endif
