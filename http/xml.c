#include "http/xml.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_SIZE 64

static const struct {
    const char *entity;
    char character;
} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

/* The character at *at, which is moved past it; '\0' if it is an entity that is not known. */
static char next_character(const char **at)
{
    if (**at != '&')
        return *(*at)++;
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        size_t size = strlen(entities[i].entity);
        if (strncmp(*at, entities[i].entity, size) == 0) {
            *at += size;
            return entities[i].character;
        }
    }
    return '\0';
}

bool xml_text(const struct http_answer *answer, const char *name, char *out, size_t room)
{
    const char *body = (const char *)answer->body.bytes;
    char open[NAME_MAX_SIZE], shut[NAME_MAX_SIZE];
    size_t used = 0;

    snprintf(open, sizeof open, "<%s>", name);
    snprintf(shut, sizeof shut, "</%s>", name);
    const char *at = strstr(body, open);
    if (at == NULL || strstr(at + 1, open) != NULL)
        return false;
    at += strlen(open);
    const char *end = strstr(at, shut);
    if (end == NULL)
        return false;
    while (at < end) {
        char c = next_character(&at);
        if (c == '\0' || used + 1 >= room)
            return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}
