#include "aws/credentials/shell_words.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n"

/* Takes one word from *line to *out, and moves *line past it. False if a quote is not closed, or
 * nothing follows a backslash. */
static bool take_word(const char **line, char **out)
{
    const char *at = *line;
    char *to = *out, quote = '\0';

    for (; *at != '\0' && (quote != '\0' || strchr(BLANKS, *at) == NULL); at++) {
        bool escapes = *at == '\\' &&
                       (quote == '\0' || (quote == '"' && at[1] != '\0' && strchr("\\\"", at[1])));
        if (escapes) {
            if (*++at == '\0')
                return false;
            *to++ = *at;
        } else if (*at == quote) {
            quote = '\0';
        } else if (quote == '\0' && (*at == '"' || *at == '\'')) {
            quote = *at;
        } else {
            *to++ = *at;
        }
    }
    *to++ = '\0';
    *line = at;
    *out = to;
    return quote == '\0';
}

struct result shell_words_split(struct words *words, const char *line, struct err *err)
{
    struct words w = {.text = malloc(strlen(line) + 2)};
    char *to = w.text;
    bool good = true;

    if (w.text == NULL)
        return fail_memory(err);
    for (line += strspn(line, BLANKS); good && *line != '\0'; line += strspn(line, BLANKS)) {
        good = w.count < WORDS_MAX;
        if (!good)
            break;
        w.list[w.count++] = to;
        good = take_word(&line, &to);
    }
    if (!good || w.count == 0) { /* the line is not said: it may hold a secret */
        bool empty = good;
        shell_words_free(&w);
        return empty ? fail(err, ERR_USAGE, "the command is empty")
                     : fail(err, ERR_USAGE,
                            "a quote is not closed, nothing follows a backslash, or there are "
                            "more than %d words",
                            WORDS_MAX);
    }
    *words = w;
    return OK;
}

void shell_words_free(struct words *words)
{
    free(words->text);
    *words = (struct words){0};
}
