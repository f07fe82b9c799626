#include "storage/s3/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "http/xml.h"
#include "storage/s3/request.h"

#define PAGE_MAX 1000  /* entries */
#define EMPTY_MAX 100  /* pages in a row without any */
#define TOKEN_MAX 4096 /* bytes */
#define ENCODED_MAX (3 * S3_KEY_MAX)

/* struct entry: one of a page. */
struct entry {
    char *key; /* owned */
    struct object_look look;
};

/* struct page: the answer to one request. */
struct page {
    struct xml_reader *reader;
    struct entry entries[PAGE_MAX];
    size_t count;
    struct entry now; /* that is being read */
    bool encoded, more;
    char token[TOKEN_MAX + 1]; /* of the next page */
    struct err err;            /* of beginning anew */
    bool failed;
};

static void entry_drop(struct entry *e)
{
    string_free(&e->key);
    *e = (struct entry){0};
}

static void page_clear(struct page *p)
{
    xml_reader_free(&p->reader);
    while (p->count > 0)
        entry_drop(&p->entries[--p->count]);
    entry_drop(&p->now);
    p->encoded = p->more = p->failed = false;
    p->token[0] = '\0';
}

static bool is_archive(const char *class)
{
    return strcmp(class, "GLACIER") == 0 || strcmp(class, "DEEP_ARCHIVE") == 0;
}

static bool take_member(struct page *p, const struct xml_element *e)
{
    struct entry *now = &p->now;

    if (strcmp(e->name, "Key") == 0) {
        string_free(&now->key);
        now->key = strlen(e->text) <= ENCODED_MAX ? strdup(e->text) : NULL;
        return now->key != NULL;
    }
    if (strcmp(e->name, "Size") == 0)
        return sscanf(e->text, "%" SCNu64, &now->look.size) == 1;
    if (strcmp(e->name, "ETag") == 0 && strlen(e->text) <= OBJECT_TAG_MAX)
        memcpy(now->look.tag, e->text, strlen(e->text) + 1);
    if (strcmp(e->name, "StorageClass") == 0)
        now->look.archived = is_archive(e->text);
    return true;
}

static bool take_entry(struct page *p)
{
    if (p->count == PAGE_MAX || p->now.key == NULL)
        return false;
    p->entries[p->count++] = p->now;
    p->now = (struct entry){0};
    return true;
}

static bool on_element(void *arg, const struct xml_element *e)
{
    struct page *p = arg;

    if (e->depth == 3 && strcmp(e->parent, "Contents") == 0)
        return take_member(p, e);
    if (e->depth != 2)
        return e->depth != 1 || strcmp(e->name, "ListBucketResult") == 0;
    if (strcmp(e->name, "Contents") == 0)
        return take_entry(p);
    if (strcmp(e->name, "EncodingType") == 0)
        p->encoded = strcmp(e->text, "url") == 0;
    if (strcmp(e->name, "IsTruncated") == 0)
        p->more = strcmp(e->text, "true") == 0;
    if (strcmp(e->name, "NextContinuationToken") == 0) {
        if (strlen(e->text) > TOKEN_MAX)
            return false;
        memcpy(p->token, e->text, strlen(e->text) + 1);
    }
    return true;
}

static void begin_page(void *arg)
{
    struct page *p = arg;

    page_clear(p);
    p->failed = !xml_reader_new(&p->reader, on_element, p, &p->err).ok;
}

static struct result take_bytes(void *arg, const void *bytes, size_t size, struct err *err)
{
    struct page *p = arg;

    if (!p->failed)
        return xml_reader_take(p->reader, bytes, size, err);
    *err = p->err;
    return FAIL;
}

static struct result get_page(const struct object *o, const char *token, struct page *p,
                              struct err *err)
{
    char query[TEXT_PERCENT(S3_KEY_MAX) + TEXT_PERCENT(TOKEN_MAX) + 128];
    char prefix[TEXT_PERCENT(S3_KEY_MAX)], from[TEXT_PERCENT(TOKEN_MAX)];
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    const struct http_taker taker = {take_bytes, p};
    const struct s3_request r = {.what = "s3:ListBucket",
                                 .method = "GET",
                                 .key = "",
                                 .query = query,
                                 .taker = &taker,
                                 .again = begin_page};

    if (strlen(o->key) > S3_KEY_MAX)
        return fail(err, ERR_USAGE, "the name of an object has more than %d bytes", S3_KEY_MAX);
    text_percent(prefix, o->key);
    text_percent(from, token);
    snprintf(query, sizeof query, "%s%s%sencoding-type=url&list-type=2&max-keys=%d&prefix=%s",
             token[0] != '\0' ? "continuation-token=" : "", from, token[0] != '\0' ? "&" : "",
             PAGE_MAX, prefix);
    begin_page(p);
    if (!s3_ask(s3_of(o), &r, o->path, &answer, err).ok)
        return FAIL;
    if (!p->failed && xml_reader_end(p->reader, err).ok)
        return OK;
    err_file(err, o->path);
    return FAIL;
}

/* Undoes what a server did to names that XML cannot have: %XX, and '+' for a blank. */
static bool decode(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        unsigned value;
        int used = 0;
        if (*text != '%') {
            *to++ = (char)(*text == '+' ? ' ' : *text);
            continue;
        }
        if (sscanf(text + 1, "%2x%n", &value, &used) != 1 || used != 2 || value == 0)
            return false;
        *to++ = (char)value;
        text += 2;
    }
    *to = '\0';
    return true;
}

/* Hands out a page; *go_on is false once nobody wants more. */
static struct result deliver(const struct object *o, struct page *p,
                             bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                             bool *go_on, struct err *err)
{
    for (size_t i = 0; i < p->count && *go_on; i++) {
        struct entry *e = &p->entries[i];
        if ((p->encoded && !decode(e->key)) || strncmp(e->key, o->key, strlen(o->key)) != 0)
            return fail(err, ERR_STORE, "'%s': the list has a name that cannot be read", o->path);
        const struct object_entry entry = {e->key, e->look};
        *go_on = each(arg, &entry);
    }
    return OK;
}

static struct result list(const struct object *o, struct page *p,
                          bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                          struct err *err)
{
    char token[TOKEN_MAX + 1] = "";
    bool go_on = true;
    unsigned empty = 0;

    do {
        if (!get_page(o, token, p, err).ok || !deliver(o, p, each, arg, &go_on, err).ok)
            return FAIL;
        empty = p->count == 0 ? empty + 1 : 0;
        if (p->more && (p->token[0] == '\0' || strcmp(p->token, token) == 0 || empty == EMPTY_MAX))
            return fail(err, ERR_STORE, "'%s': the list has no end", o->path);
        memcpy(token, p->token, sizeof token);
    } while (p->more && go_on);
    return OK;
}

struct result s3_list(const struct object *o,
                      bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                      struct err *err)
{
    struct page *p = calloc(1, sizeof *p);

    if (p == NULL)
        return fail_memory(err);
    struct result r = list(o, p, each, arg, err);
    page_clear(p);
    free(p);
    return r;
}
