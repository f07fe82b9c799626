#include "base/json_text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"

#define NUMBER_MAX 64 /* characters of a number */

/* struct text: what is read, and how far. */
struct text {
    const char *start, *at, *end;
    char *room; /* for one string as it is meant, which is never longer than as it is written */
    unsigned depth;
    bool no_memory;
};

static json_t *read_value(struct text *t);

static void skip_space(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
}

/* Takes a character if it comes next, after any space. */
static bool take(struct text *t, char c)
{
    skip_space(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool take_word(struct text *t, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(t->end - t->at) < size || memcmp(t->at, word, size) != 0)
        return false;
    t->at += size;
    return true;
}

static json_t *made(struct text *t, json_t *value)
{
    t->no_memory = t->no_memory || value == NULL;
    return value;
}

/* The four digits after \u. */
static bool take_unit(struct text *t, unsigned *unit)
{
    *unit = 0;
    if (t->end - t->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        char c = *t->at >= 'A' && *t->at <= 'F' ? (char)(*t->at + 'a' - 'A') : *t->at;
        const char *digit = c != '\0' ? strchr(digits, c) : NULL;
        if (digit == NULL)
            return false;
        *unit = *unit * 16 + (unsigned)(digit - digits);
        t->at++;
    }
    return true;
}

/* A character of one or two units of UTF-16. */
static bool take_unicode(struct text *t, unsigned *point)
{
    unsigned low;

    if (!take_unit(t, point) || *point == 0 || (*point >= 0xdc00 && *point <= 0xdfff))
        return false;
    if (*point < 0xd800 || *point > 0xdbff)
        return true;
    if (!take_word(t, "\\u") || !take_unit(t, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static size_t put_utf8(char *out, unsigned point)
{
    size_t more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned first[] = {0, 0xc0, 0xe0, 0xf0};

    out[0] = (char)(first[more] | point >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (point >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

/* The characters after a backslash. */
static bool take_escape(struct text *t, size_t *size)
{
    static const char written[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    unsigned point;

    if (t->at == t->end || *t->at == '\0')
        return false;
    const char *simple = strchr(written, *t->at);
    if (simple != NULL) {
        t->room[(*size)++] = meant[simple - written];
        t->at++;
        return true;
    }
    if (!take_word(t, "u") || !take_unicode(t, &point))
        return false;
    *size += put_utf8(t->room + *size, point);
    return true;
}

/* After its first quotation mark; *size bytes in t->room. */
static bool take_string(struct text *t, size_t *size)
{
    *size = 0;
    while (t->at < t->end && *t->at != '"') {
        unsigned char c = (unsigned char)*t->at++;
        if (c < 0x20 || (c == '\\' && !take_escape(t, size)))
            return false;
        if (c != '\\')
            t->room[(*size)++] = (char)c;
    }
    return take(t, '"') && text_is_utf8(t->room, *size);
}

static json_t *read_string(struct text *t)
{
    size_t size;

    return take_string(t, &size) ? made(t, json_stringn_nocheck(t->room, size)) : NULL;
}

static size_t digits(const char *at)
{
    return strspn(at, "0123456789");
}

/* How many of these characters form a number, or 0; *real tells which kind it is. */
static size_t number_size(const char *number, bool *real)
{
    const char *at = number + (*number == '-');
    size_t whole = digits(at);

    if (whole == 0 || (whole > 1 && *at == '0'))
        return 0;
    at += whole;
    *real = false;
    if (*at == '.') {
        *real = true;
        at++;
        if (digits(at) == 0)
            return 0;
        at += digits(at);
    }
    if (*at == 'e' || *at == 'E') {
        *real = true;
        at++;
        at += *at == '+' || *at == '-';
        if (digits(at) == 0)
            return 0;
        at += digits(at);
    }
    return (size_t)(at - number);
}

/* Nobody needs the value of a number that is not whole. */
static json_t *read_number(struct text *t)
{
    char number[NUMBER_MAX + 1] = "";
    size_t left = (size_t)(t->end - t->at);
    bool real;

    memcpy(number, t->at, left < NUMBER_MAX ? left : NUMBER_MAX);
    size_t size = number_size(number, &real);
    if (size == 0 || size == NUMBER_MAX)
        return NULL;
    t->at += size;
    number[size] = '\0';
    errno = 0;
    long long value = real ? 0 : strtoll(number, NULL, 10);
    if (errno != 0)
        return NULL;
    return made(t, real ? json_real(0) : json_integer(value));
}

/* Adds the member whose name was begun. */
static bool read_member(struct text *t, json_t *object)
{
    size_t size;

    if (!take_string(t, &size))
        return false;
    t->room[size] = '\0';
    char *name = strdup(t->room);
    t->no_memory = t->no_memory || name == NULL;
    bool good = name != NULL && json_object_get(object, name) == NULL && take(t, ':');
    json_t *value = good ? read_value(t) : NULL;
    if (value != NULL && json_object_set_new_nocheck(object, name, value) != 0) {
        t->no_memory = true;
        value = NULL;
    }
    free(name);
    return value != NULL;
}

static bool read_members(struct text *t, json_t *object)
{
    if (take(t, '}'))
        return true;
    do
        if (!take(t, '"') || !read_member(t, object))
            return false;
    while (take(t, ','));
    return take(t, '}');
}

static bool read_items(struct text *t, json_t *array)
{
    if (take(t, ']'))
        return true;
    do {
        json_t *item = read_value(t);
        if (item == NULL)
            return false;
        if (json_array_append_new(array, item) != 0) {
            t->no_memory = true;
            return false;
        }
    } while (take(t, ','));
    return take(t, ']');
}

/* An object or an array, after its first character. */
static json_t *read_many(struct text *t, json_t *many, bool (*read)(struct text *t, json_t *many))
{
    bool good = made(t, many) != NULL && ++t->depth <= JSON_TEXT_DEPTH && read(t, many);

    t->depth--;
    if (good)
        return many;
    json_text_drop(&many); /* half of a secret is one too */
    return NULL;
}

static json_t *read_value(struct text *t)
{
    if (take(t, '{'))
        return read_many(t, json_object(), read_members);
    if (take(t, '['))
        return read_many(t, json_array(), read_items);
    if (take(t, '"'))
        return read_string(t);
    if (take_word(t, "true"))
        return json_true();
    if (take_word(t, "false"))
        return json_false();
    return take_word(t, "null") ? json_null() : read_number(t);
}

static struct result not_json(const struct text *t, struct err *err)
{
    const char *line = t->start;
    int lines = 1;

    for (const char *c = t->start; c < t->at; c++)
        if (*c == '\n') {
            line = c + 1;
            lines++;
        }
    return fail(err, ERR_DAMAGED, "it is not JSON: line %d, column %d", lines,
                (int)(t->at - line) + 1);
}

struct result json_text_read(json_t **json, const void *text, size_t size, struct err *err)
{
    struct secret room SECRET_CLEANUP = {0};
    struct text t = {.start = text, .at = text, .end = (const char *)text + size};

    if (!secret_new(&room, size + 1, err).ok)
        return FAIL;
    t.room = (char *)room.bytes;
    skip_space(&t);
    bool many = t.at < t.end && (*t.at == '{' || *t.at == '[');
    json_t *value = many ? read_value(&t) : NULL;
    skip_space(&t);
    if (value != NULL && t.at == t.end) {
        *json = value;
        return OK;
    }
    json_text_drop(&value);
    return t.no_memory ? fail_memory(err) : not_json(&t, err);
}

static void wipe(json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_string(json))
        sodium_memzero((char *)(uintptr_t)json_string_value(json), json_string_length(json));
    json_object_foreach(json, key, value) wipe(value);
    json_array_foreach(json, i, value) wipe(value);
}

void json_text_drop(json_t **json)
{
    wipe(*json);
    json_decref(*json);
    *json = NULL;
}

/* Whether a value is of the type, and puts it where it goes. */
static bool put_member(const struct json_member *m, json_t *value)
{
    if (m->type == JSON_STRING && json_is_string(value))
        *(const char **)m->out = json_string_value(value);
    else if (m->type == JSON_INTEGER && json_is_integer(value))
        *(json_int_t *)m->out = json_integer_value(value);
    else if (m->type != JSON_STRING && m->type != JSON_INTEGER)
        *(json_t **)m->out = value;
    else
        return false;
    return true;
}

bool json_members(const json_t *object, const struct json_member *members, size_t count)
{
    size_t found = 0;

    if (!json_is_object(object))
        return false;
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(object, members[i].name);
        if (value == NULL ? !members[i].optional : !put_member(&members[i], value))
            return false;
        found += value != NULL;
    }
    return found == json_object_size(object);
}
