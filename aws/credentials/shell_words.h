/* shell_words: splits a command line into words, like Python's shlex.split, which the AWS tools
 * use. */
#ifndef BULLA_AWS_CREDENTIALS_SHELL_WORDS_H
#define BULLA_AWS_CREDENTIALS_SHELL_WORDS_H

#include <stddef.h>

#include "base/err.h"

#define WORDS_MAX 64

/* struct words: {0} is empty and safe to free. list ends with NULL. */
struct words {
    char *text;
    char *list[WORDS_MAX + 1];
    size_t count;
};

/* shell_words_split understands quotes and backslashes, and nothing else of what a shell does.
 * ERR_USAGE if a quote is not closed or there are too many words, in a message that has nothing of
 * the line. */
FALLIBLE shell_words_split(struct words *words, const char *line, struct err *err);
void shell_words_free(struct words *words);

#endif
