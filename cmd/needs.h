/* needs: whether a sealed file is lost with a key. */
#ifndef BULLA_CMD_NEEDS_H
#define BULLA_CMD_NEEDS_H

#include "cmd/options.h"
#include "libbulla/open.h"

/* struct need: a key of --needs, and the number of files that it opens and that no key opens but
 * those of --needs. */
struct need {
    struct master_key *key;
    const char *reference;
    uint64_t files;
};

/* struct needs: all of them; {0} is none. */
struct needs {
    struct need *list; /* borrowed from whoever fills it, or of needs_take */
    size_t count;
    struct session *opens; /* lets the keys open files; NULL: only what slots say counts */
};

/* needs_take makes a need of each key of a set, which --needs named; needs_free frees the list. */
FALLIBLE needs_take(struct needs *n, const struct keyset *keys, const struct options *o,
                    struct err *err);
void needs_free(struct needs *n);

/* If the two copies of a file differ, the later of these counts. */
enum needed { NEEDED_NOT, NEEDED_UNCLEAR, NEEDED };

/* needs_find says whether a file needs a key. */
enum needed needs_find(const struct needs *n, const struct need *need, const struct sealed *f);

/* needs_unclear makes the error of NEEDED_UNCLEAR; name is that of the file. */
FALLIBLE needs_unclear(const struct need *need, const char *name, struct err *err);

#endif
