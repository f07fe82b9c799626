#include "storage/s3/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "http/xml.h"
#include "storage/s3/request.h"

#define PAGE_MAX 1000   /* entries */
#define EMPTY_MAX 100   /* pages in a row without any */
#define SIZE_DIGITS 18  /* of the bytes of an object */
#define MARKERS 2       /* at most, that say where a page begins */
#define MARKER_MAX 4096 /* bytes */
#define ENCODED_MAX (3 * S3_KEY_MAX)

/* struct listing: a kind of list, as requests and answers have it. */
struct listing {
    const char *what, *query, *root;
    const char *entry[2];                               /* elements of it */
    const char *marker[MARKERS], *next_marker[MARKERS]; /* parameters, and elements of the answer */
    bool keyed;                                         /* the first marker is a name */
};

static const struct listing listings[] = {
    [LIST_OBJECTS] = {"s3:ListBucket",
                      "list-type=2&max-keys=1000",
                      "ListBucketResult",
                      {"Contents", "Contents"},
                      {"continuation-token", NULL},
                      {"NextContinuationToken", NULL},
                      false},
    [LIST_VERSIONS] = {"s3:ListBucketVersions",
                       "versions=&max-keys=1000",
                       "ListVersionsResult",
                       {"Version", "DeleteMarker"},
                       {"key-marker", "version-id-marker"},
                       {"NextKeyMarker", "NextVersionIdMarker"},
                       true},
    [LIST_UPLOADS] = {"s3:ListBucketMultipartUploads",
                      "uploads=&max-uploads=1000",
                      "ListMultipartUploadsResult",
                      {"Upload", "Upload"},
                      {"key-marker", "upload-id-marker"},
                      {"NextKeyMarker", "NextUploadIdMarker"},
                      true},
};

/* struct entry: one of a page. */
struct entry {
    char *key, *upload; /* owned */
    struct object_look look;
    bool old, marker;
    bool sized, dated; /* its size, and whether it is the latest, was said */
    bool restored;     /* of an archived one, a copy can be read */
};

/* struct markers: where a page begins; all empty = at the first entry. */
struct markers {
    char text[MARKERS][MARKER_MAX + 1];
};

/* struct page: the answer to one request. */
struct page {
    const struct listing *listing;
    struct xml_reader *reader;
    struct entry entries[PAGE_MAX];
    size_t count;
    struct entry now;         /* that is being read */
    bool encoded, more, told; /* told: whether there are more */
    struct markers next;
    struct err err; /* of beginning anew */
    bool failed;
};

static void entry_drop(struct entry *e)
{
    string_free(&e->key);
    string_free(&e->upload);
    *e = (struct entry){0};
}

static void page_clear(struct page *p)
{
    xml_reader_free(&p->reader);
    while (p->count > 0)
        entry_drop(&p->entries[--p->count]);
    entry_drop(&p->now);
    p->encoded = p->more = p->told = p->failed = false;
    p->next = (struct markers){0};
}

static bool is_archive(const char *class)
{
    return strcmp(class, "GLACIER") == 0 || strcmp(class, "DEEP_ARCHIVE") == 0;
}

static bool take_text(char **to, const char *text, size_t most)
{
    string_free(to);
    *to = strlen(text) <= most ? strdup(text) : NULL;
    return *to != NULL;
}

static bool copy_text(char *to, const char *text, size_t most)
{
    size_t size = strlen(text);

    if (size > most)
        return false;
    memcpy(to, text, size + 1);
    return true;
}

static bool read_size(const char *text, uint64_t *size)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits <= SIZE_DIGITS && text[digits] == '\0' &&
           sscanf(text, "%" SCNu64, size) == 1;
}

static bool take_member(struct page *p, const struct xml_element *e)
{
    struct entry *now = &p->now;
    struct object_look *look = &now->look;

    if (strcmp(e->name, "Key") == 0)
        return take_text(&now->key, e->text, ENCODED_MAX);
    if (strcmp(e->name, "UploadId") == 0)
        return take_text(&now->upload, e->text, S3_UPLOAD_ID_MAX);
    if (strcmp(e->name, "VersionId") == 0)
        return copy_text(look->version, e->text, OBJECT_TAG_MAX);
    if (strcmp(e->name, "Size") == 0)
        return (now->sized = read_size(e->text, &look->size));
    if (strcmp(e->name, "ETag") == 0)
        (void)copy_text(look->tag, e->text, OBJECT_TAG_MAX);
    if (strcmp(e->name, "StorageClass") == 0)
        look->archived = is_archive(e->text);
    if (strcmp(e->name, "IsLatest") == 0) {
        now->old = strcmp(e->text, "true") != 0;
        now->dated = true;
    }
    if (strcmp(e->name, "Initiated") == 0 || strcmp(e->name, "LastModified") == 0)
        look->modified = s3_time(e->text);
    return true;
}

static bool is_entry(const struct listing *l, const char *name)
{
    return strcmp(name, l->entry[0]) == 0 || strcmp(name, l->entry[1]) == 0;
}

/* Whether an entry says all by which it may be passed over. */
static bool is_complete(const struct listing *l, const struct entry *e)
{
    bool upload = l == &listings[LIST_UPLOADS], versions = l == &listings[LIST_VERSIONS];

    return e->key != NULL && (upload ? e->upload != NULL : e->sized || e->marker) &&
           (!versions || (e->look.version[0] != '\0' && e->dated));
}

static bool take_entry(struct page *p, const char *name)
{
    p->now.marker = strcmp(name, "DeleteMarker") == 0;
    p->now.look.archived = p->now.look.archived && !p->now.restored;
    if (p->count == PAGE_MAX || !is_complete(p->listing, &p->now))
        return false;
    p->entries[p->count++] = p->now;
    p->now = (struct entry){0};
    return true;
}

static bool on_element(void *arg, const struct xml_element *e)
{
    struct page *p = arg;
    const struct listing *l = p->listing;

    if (e->depth == 3 && is_entry(l, e->parent))
        return take_member(p, e);
    if (e->depth == 4 && strcmp(e->name, "RestoreExpiryDate") == 0)
        p->now.restored = s3_time(e->text) > clock_now();
    if (e->depth != 2)
        return e->depth != 1 || strcmp(e->name, l->root) == 0;
    if (is_entry(l, e->name))
        return take_entry(p, e->name);
    if (strcmp(e->name, "EncodingType") == 0)
        p->encoded = strcmp(e->text, "url") == 0;
    if (strcmp(e->name, "IsTruncated") == 0) {
        p->more = strcmp(e->text, "true") == 0;
        p->told = p->more || strcmp(e->text, "false") == 0;
    }
    for (size_t i = 0; i < MARKERS && l->next_marker[i] != NULL; i++)
        if (strcmp(e->name, l->next_marker[i]) == 0 &&
            !copy_text(p->next.text[i], e->text, MARKER_MAX))
            return false;
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

#define QUERY_MAX (MARKERS * (TEXT_PERCENT(MARKER_MAX) + 32) + TEXT_PERCENT(S3_KEY_MAX) + 128)

/* The parameters of a request for a page, in a text of QUERY_MAX. */
static void name_page(char *query, const struct listing *l, const struct object *o,
                      const struct markers *from)
{
    char encoded[TEXT_PERCENT(MARKER_MAX)];
    char *to = query + snprintf(query, QUERY_MAX, "%s&encoding-type=url&prefix=%s", l->query,
                                text_percent(encoded, o->key));

    for (size_t i = 0; i < MARKERS && l->marker[i] != NULL; i++)
        if (from->text[i][0] != '\0')
            to += snprintf(to, (size_t)(query + QUERY_MAX - to), "&%s=%s", l->marker[i],
                           text_percent(encoded, from->text[i]));
}

/* Otherwise a list does not say what was restored. */
static const char *const headers[] = {"x-amz-optional-object-attributes: RestoreStatus", NULL};

static struct result get_page(const struct object *o, const struct markers *from, struct page *p,
                              struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    char *query STRING_CLEANUP = malloc(QUERY_MAX);
    const struct http_taker taker = {take_bytes, p};
    const struct s3_request r = {.what = p->listing->what,
                                 .method = "GET",
                                 .key = "",
                                 .query = query,
                                 .headers = headers,
                                 .taker = &taker,
                                 .again = begin_page};

    if (query == NULL)
        return fail_memory(err);
    if (strlen(o->key) > S3_KEY_MAX)
        return fail(err, ERR_USAGE, "the name of an object has more than %d bytes", S3_KEY_MAX);
    name_page(query, p->listing, o, from);
    begin_page(p);
    if (!s3_ask(s3_of(o), &r, o->path, &answer, err).ok)
        return FAIL;
    if (!p->failed && xml_reader_end(p->reader, err).ok && p->told &&
        (!p->encoded || !p->listing->keyed || text_unpercent(p->next.text[0])))
        return OK;
    if (err->class == ERR_NONE)
        (void)fail(err, ERR_STORE, "the list cannot be read");
    err_file(err, o->path);
    return FAIL;
}

/* A time of the server's clock by that of this machine, which may be known to be wrong. */
static uint64_t by_our_clock(const struct object *o, uint64_t time)
{
    return time > 0 ? time + clock_now() - s3_now(s3_of(o)) : 0;
}

/* Hands out a page; *go_on is false once nobody wants more. */
static struct result deliver(const struct object *o, struct page *p,
                             bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                             bool *go_on, struct err *err)
{
    for (size_t i = 0; i < p->count && *go_on; i++) {
        struct entry *e = &p->entries[i];
        if ((p->encoded && !text_unpercent(e->key)) || strncmp(e->key, o->key, strlen(o->key)) != 0)
            return fail_named(err, ERR_STORE, "'%s': the list has a name that cannot be read",
                              o->path);
        if (e->upload != NULL) /* whoever lists these goes by how old they are */
            e->look.modified = by_our_clock(o, e->look.modified);
        const struct object_entry entry = {e->key, e->look, e->upload, e->old, e->marker};
        *go_on = each(arg, &entry);
    }
    return OK;
}

static bool is_end(const struct markers *m)
{
    return m->text[0][0] == '\0';
}

static struct result list(const struct object *o, struct page *p,
                          bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                          struct err *err)
{
    struct markers *from = calloc(1, sizeof *from);
    struct result r = from != NULL ? OK : fail_memory(err);
    bool go_on = true;
    unsigned empty = 0;

    do {
        if (r.ok)
            r = get_page(o, from, p, err);
        if (r.ok)
            r = deliver(o, p, each, arg, &go_on, err);
        empty = p->count == 0 ? empty + 1 : 0;
        if (r.ok && p->more && go_on &&
            (is_end(&p->next) || memcmp(&p->next, from, sizeof *from) == 0 || empty == EMPTY_MAX))
            r = fail_named(err, ERR_STORE, "'%s': the list has no end", o->path);
        if (r.ok)
            *from = p->next;
    } while (r.ok && p->more && go_on);
    free(from);
    return r;
}

struct result s3_list(const struct object *o, enum object_list what,
                      bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                      struct err *err)
{
    struct page *p = calloc(1, sizeof *p);

    if (p == NULL)
        return fail_memory(err);
    p->listing = &listings[what];
    struct result r = list(o, p, each, arg, err);
    page_clear(p);
    free(p);
    return r;
}
