/* nearest: what is there in place of what is not. */
#ifndef BULLA_CMD_NEAREST_H
#define BULLA_CMD_NEAREST_H

#include "base/err.h"

/* nearest_hint lets *err, if it is of a missing input and the key as it was given is a file that is
 * not there, say which key files its directory has, and which names the configuration: the three
 * that are written most like it. */
void nearest_hint(const char *given, struct err *err);

/* struct nearest_word: the word that is most like the wanted one, of those that are considered;
 * NULL if none is like it. */
struct nearest_word {
    const char *wanted, *found;
    size_t distance;
};
void nearest_consider(struct nearest_word *n, const char *word);

#endif
