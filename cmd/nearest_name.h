/* nearest_name: the existing names that are most similar to one that does not exist. */
#ifndef BULLA_CMD_NEAREST_NAME_H
#define BULLA_CMD_NEAREST_NAME_H

#include "base/err.h"

/* nearest_hint adds a hint to *err if that is of a missing input and the key, as it was given, is a
 * file that does not exist. The hint names the key files in its directory and the names in the
 * configuration: the three that are spelled most like it. */
void nearest_hint(const char *given, struct err *err);

/* struct nearest_word: the word that is most like the wanted one, of those that are considered;
 * NULL if none is like it. */
struct nearest_word {
    const char *wanted, *found;
    size_t distance;
};
void nearest_consider(struct nearest_word *n, const char *word);

#endif
