#include "base/ini.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define BLANKS " \t\r\f\v"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* struct reading: where in a file its reader is. */
struct reading {
    struct ini *ini;
    const char *path;
    char *at, *end; /* of the lines to come */
    unsigned line;
    int kind;
    const char *section;
    size_t last; /* the pair of the last key of this section, if it has one */
    bool has_key;
    size_t indent; /* of that key */
};

static struct result bad_line(const struct reading *r, unsigned line, const char *what,
                              struct err *err)
{
    return fail(err, ERR_USAGE, "%s '%s', line %u: %s", r->ini->dialect->noun, r->path, line, what);
}

/* Cuts the blanks off both ends of a text. */
static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    for (size_t n = strlen(text); n > 0 && strchr(BLANKS, text[n - 1]) != NULL; n--)
        text[n - 1] = '\0';
    return text;
}

static struct result add_pair(const struct reading *r, const char *parent, const char *key,
                              char *value, struct err *err)
{
    struct ini *ini = r->ini;
    struct ini_pair *grown = ini->pairs;

    if ((ini->count & (ini->count - 1)) == 0)
        grown = reallocarray(ini->pairs, ini->count > 0 ? 2 * ini->count : 1, sizeof *grown);
    if (grown == NULL)
        return fail_memory(err);
    ini->pairs = grown;
    ini->pairs[ini->count++] = (struct ini_pair){r->kind, r->section, parent, key, value, r->line};
    return OK;
}

static struct result begin_section(struct reading *r, char *name, struct err *err)
{
    const char *fault = NULL;

    name = trim(name);
    char *end = name + strlen(name);
    r->section = r->ini->dialect->section(name, &r->kind, &fault);
    if (r->section == NULL)
        return bad_line(r, r->line, fault, err);
    r->has_key = false;
    return add_pair(r, "", "", end, err);
}

/* A line that is indented more than the key above it belongs to that key's value: to its end, or,
 * if the key's own line has none, as a pair below the key. */
static struct result more_value(struct reading *r, char *text, struct err *err)
{
    const struct ini_pair *above = &r->ini->pairs[r->last];

    if (above->value[0] == '\0') {
        char *sign = strchr(text, '=');
        if (sign == NULL)
            return bad_line(r, r->line, "not 'name = value'", err);
        *sign = '\0';
        return add_pair(r, above->key, trim(text), trim(sign + 1), err);
    }
    char *end = above->value + strlen(above->value); /* a line's end is between it and text */
    *end = '\n';
    memmove(end + 1, text, strlen(text) + 1);
    return OK;
}

static bool is_ascii(const char *key)
{
    while (*key >= ' ' && *key <= '~')
        key++;
    return *key == '\0';
}

static struct result read_key(struct reading *r, char *text, size_t indent, struct err *err)
{
    char *sign = strpbrk(text, "=:");

    if (r->section == NULL)
        return bad_line(r, r->line, "nothing may come before the first [section]", err);
    if (sign == NULL)
        return bad_line(r, r->line, "not 'name = value'", err);
    *sign = '\0';
    text = trim(text);
    if (text[0] == '\0')
        return bad_line(r, r->line, "no name before '='", err);
    if (r->ini->dialect->ascii && !is_ascii(text))
        return bad_line(r, r->line, "not a name of printable ASCII before '='", err);
    r->last = r->ini->count;
    r->has_key = true;
    r->indent = indent;
    return add_pair(r, "", text, trim(sign + 1), err);
}

/* Reads a line as Python's configparser does. */
static struct result read_line(struct reading *r, char *line, size_t size, struct err *err)
{
    if (!text_is_utf8(line, size)) /* UTF-16, say */
        return bad_line(r, r->line, "not UTF-8", err);

    size_t indent = strspn(line, BLANKS);
    char *text = trim(line), *shut = strrchr(text, ']');
    if (text[0] == '\0' || text[0] == '#' || text[0] == ';')
        return OK;
    if (r->ini->dialect->continues && r->has_key && indent > r->indent)
        return more_value(r, text, err);
    if (text[0] != '[' || shut == NULL || shut == text + 1)
        return read_key(r, text, indent, err);
    *shut = '\0';
    return begin_section(r, text + 1, err);
}

/* The next line, which ends with a zero now, and its size: ended by LF, CR LF or CR. */
static char *next_line(struct reading *r, size_t *size)
{
    char *line = r->at, *stop = line;

    while (stop < r->end && *stop != '\n' && *stop != '\r')
        stop++;
    r->at = stop + 1;
    if (*stop == '\r' && *r->at == '\n' && r->at < r->end)
        r->at++;
    *stop = '\0';
    r->line++;
    *size = (size_t)(stop - line);
    return line;
}

static int compare(const struct ini *ini, const struct ini_pair *a, const struct ini_pair *b)
{
    int order = a->kind - b->kind;

    if (order == 0)
        order = strcmp(a->section, b->section);
    if (order == 0)
        order = strcmp(a->parent, b->parent);
    return order != 0 ? order : ini->dialect->compare(a->key, b->key);
}

static int compare_by_line(const void *a, const void *b, void *ini)
{
    const struct ini_pair *x = a, *y = b;
    int order = compare(ini, x, y);

    return order != 0 ? order : (int)(x->line > y->line) - (int)(x->line < y->line);
}

/* Sorts the pairs. Sections and keys that are given twice are refused: the AWS tools do not
 * agree on which one counts. Below a key, the last one counts. */
static struct result sort(const struct reading *r, struct err *err)
{
    struct ini *ini = r->ini;
    struct ini_pair *pairs = ini->pairs;

    if (ini->count > 0)
        qsort_r(pairs, ini->count, sizeof *pairs, compare_by_line, ini);
    for (size_t i = 1; i < ini->count; i++)
        if (pairs[i].parent[0] == '\0' && compare(ini, &pairs[i - 1], &pairs[i]) == 0)
            return bad_line(r, pairs[i].line,
                            pairs[i].key[0] != '\0' ? "the name is given twice in its section"
                                                    : "the section is given twice",
                            err);
    return OK;
}

static struct result read_lines(struct reading *r, struct err *err)
{
    size_t size;

    if (strncmp(r->at, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
        r->at += strlen(BYTE_ORDER_MARK);
    while (r->at < r->end) {
        char *line = next_line(r, &size);
        if (!read_line(r, line, size, err).ok)
            return FAIL;
    }
    return sort(r, err);
}

struct result ini_parse(struct ini *ini, const struct ini_dialect *dialect, size_t size,
                        const char *path, struct err *err)
{
    struct reading r = {.ini = ini, .path = path, .at = (char *)ini->text.bytes};

    ini->dialect = dialect;
    r.end = r.at + size;
    return read_lines(&r, err);
}

void ini_free(struct ini *ini)
{
    secret_free(&ini->text);
    free(ini->pairs);
    *ini = (struct ini){0};
}

const struct ini_pair *ini_find(const struct ini *ini, int kind, const char *section,
                                const char *parent, const char *key)
{
    const struct ini_pair what = {kind, section, parent, key, NULL, 0};

    for (size_t i = ini->count; i-- > 0;)
        if (compare(ini, &ini->pairs[i], &what) == 0)
            return &ini->pairs[i];
    return NULL;
}
