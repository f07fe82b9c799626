#include "aws/credentials/process.h"

#include <stdio.h>

#include "aws/credentials/shell_words.h"
#include "base/host.h"
#include "base/json_text.h"

/* Puts what the program prints into an http answer, so that it is parsed like one. */
static struct result run(const struct aws *aws, const struct words *words,
                         struct http_answer *answer, struct err *err)
{
    char name[CREDENTIALS_SOURCE_MAX];
    struct command command = {.argv = (const char *const *)words->list,
                              .name = name,
                              .seconds = aws->timeout,
                              .failure = ERR_POLICY};

    snprintf(name, sizeof name, "'%s'", words->list[0]);
    if (!secret_new(&answer->body, HTTP_ANSWER_MAX + 1, err).ok ||
        !host_command(&command, answer->body.bytes, HTTP_ANSWER_MAX, &answer->body_size, err).ok)
        return FAIL;
    return answer->body_size < HTTP_ANSWER_MAX
               ? OK
               : fail(err, ERR_POLICY, "the program prints too much");
}

struct result process_credentials(const struct aws *aws, const char *command, const char *source,
                                  struct credentials *out, struct err *err)
{
    struct words words __attribute__((cleanup(shell_words_free))) = {0};
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    json_t *json JSON_TEXT_CLEANUP = NULL;

    if (!shell_words_split(&words, command, err).ok || !run(aws, &words, &answer, err).ok) {
        err_context(err, "%s", source);
        return FAIL;
    }
    if (!json_read(&json, &answer, err).ok && err->class != ERR_DAMAGED)
        return FAIL;
    if (json == NULL || json_integer_value(json_object_get(json, "Version")) != 1)
        return fail(err, ERR_POLICY, "%s: it does not print credentials of version 1", source);
    return credentials_from_json(out, json, "SessionToken", source, err);
}
