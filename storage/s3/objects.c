#include "storage/s3/objects.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "http/xml.h"
#include "storage/s3/conditions.h"
#include "storage/s3/losses.h"
#include "storage/s3/wishes.h"

#define MD5_SIZE 16
#define NO_TAG "\"\"" /* of an object with nothing in it, whose own is not told */

struct result s3_headers_add(struct s3_headers *h, struct err *err, const char *format, ...)
{
    char *line;
    va_list ap;

    va_start(ap, format);
    int size = vasprintf(&line, format, ap);
    va_end(ap);
    if (size < 0)
        return fail_memory(err);
    if (h->count == S3_HEADERS_MAX) {
        free(line);
        return fail(err, ERR_POLICY, "the object has more metadata than bulla can keep");
    }
    h->lines[h->count] = h->owned[h->count] = line;
    h->count++;
    return OK;
}

struct result s3_headers_keep(struct s3_headers *h, const char *kept, struct err *err)
{
    while (kept != NULL && *kept != '\0') {
        size_t size = strcspn(kept, "\n");
        if (!s3_headers_add(h, err, "%.*s", (int)size, kept).ok)
            return FAIL;
        kept += size + (kept[size] == '\n');
    }
    return OK;
}

void s3_headers_end(struct s3_headers *h)
{
    for (size_t i = 0; i < h->count; i++)
        free(h->owned[i]);
    *h = (struct s3_headers){0};
}

struct result s3_headers_md5(struct s3_headers *h, const struct s3 *s3, const struct s3_request *r,
                             struct err *err)
{
    char text[sodium_base64_ENCODED_LEN(MD5_SIZE, sodium_base64_VARIANT_ORIGINAL)];
    uint8_t md5[MD5_SIZE];
    bool known;

    if (!s3_hash_body(s3, r, "MD5", md5, &known, err).ok)
        return FAIL;
    if (!known)
        return OK; /* a host with approved algorithms alone; the signature has a hash of its own */
    sodium_bin2base64(text, sizeof text, md5, sizeof md5, sodium_base64_VARIANT_ORIGINAL);
    return s3_headers_add(h, err, "Content-MD5: %s", text);
}

/* What an answer has that a later PUT must say again, by the same names. */
static bool is_kept(const char *line, size_t size)
{
    static const char *const names[] = {"Content-Type:",
                                        "Cache-Control:",
                                        "Content-Disposition:",
                                        "Content-Encoding:",
                                        "Content-Language:",
                                        "Expires:",
                                        "x-amz-meta-",
                                        "x-amz-storage-class:",
                                        "x-amz-server-side-encryption",
                                        "x-amz-website-redirect-location:",
                                        "x-amz-object-lock-"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (size > strlen(names[i]) && strncasecmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static struct result keep_headers(struct object_look *look, const struct http_answer *answer,
                                  struct err *err)
{
    char *kept = calloc(1, answer->headers_size + 1), *to = kept;

    if (kept == NULL)
        return fail_memory(err);
    for (const char *at = answer->headers; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, "\r\n"), end = strcspn(at, "\n");
        if (is_kept(at, size)) {
            memcpy(to, at, size);
            to += size;
            *to++ = '\n';
        }
        at += end + (at[end] == '\n');
    }
    free(look->kept);
    look->kept = kept;
    s3_read_file_look(look);
    return OK;
}

/* struct range: a part of an object on its way. */
struct range {
    uint8_t *buf;
    size_t room, got;
};

/* Only one that does not know ranges sends more than was asked for. */
static struct result take_range(void *arg, const void *bytes, size_t size, struct err *err)
{
    struct range *r = arg;

    if (size > r->room - r->got)
        return fail(err, ERR_UNSUPPORTED,
                    "the server sends more than the range that was asked for");
    memcpy(r->buf + r->got, bytes, size);
    r->got += size;
    return OK;
}

static void restart(void *arg)
{
    struct range *r = arg;

    r->got = 0;
}

/* "bytes 0-8191/1048576", or "bytes * / SIZE" of a range that is past the end. */
static bool read_content_range(const struct http_answer *a, uint64_t *from, uint64_t *size)
{
    char text[HTTP_HEADER_MAX + 1], end;
    uint64_t to;

    return http_header(a, "Content-Range", text, sizeof text) &&
           sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64 "%c", from, &to, size, &end) == 3;
}

static uint64_t read_date(const struct http_answer *a)
{
    char text[HTTP_HEADER_MAX + 1];
    struct tm tm = {0};

    if (!http_header(a, "Last-Modified", text, sizeof text) ||
        strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
        return 0;
    time_t seconds = timegm(&tm);
    return seconds > 0 ? (uint64_t)seconds : 0;
}

/* When a lock on it ends. */
static uint64_t read_lock(const struct http_answer *a)
{
    char text[HTTP_HEADER_MAX + 1];

    if (http_header(a, "x-amz-object-lock-legal-hold", text, sizeof text) &&
        strcmp(text, "ON") == 0)
        return OBJECT_HELD;
    if (!http_header(a, "x-amz-object-lock-retain-until-date", text, sizeof text))
        return 0;
    uint64_t until = s3_time(text);
    return until > 0 ? until : OBJECT_HELD; /* a date that cannot be read is none that is over */
}

/* Whether what was read is the version that was asked for. A server that does not say it may not
 * know versions, and have given the current one; only that of a time before them has no name. */
static bool is_of_version(const struct object *o, const struct object_look *look)
{
    bool silent = look->version[0] == '\0';

    return o->version == NULL || strcmp(silent ? "null" : look->version, o->version) == 0;
}

/* What a good answer says of the object. */
static struct result read_look(const struct object *o, const struct http_answer *a, long status,
                               uint64_t offset, const struct range *range, struct object_look *look,
                               struct err *err)
{
    uint64_t from = 0, size = range->got;
    char tag[OBJECT_TAG_MAX + 1];

    if (status != 206 && status != 200)
        return fail_named(err, ERR_STORE, "'%s': the answer (status %ld) has no object", o->path,
                          status);
    if (status == 206 && (!read_content_range(a, &from, &size) || from + range->got > size))
        return fail_named(err, ERR_STORE, "'%s': the answer is of no range that can be read",
                          o->path);
    if (from != offset || (size - from > range->got && range->got < range->room))
        return fail_named(err, ERR_STORE, "'%s': the answer is of another range than was asked for",
                          o->path);
    if (!http_header(a, "ETag", tag, sizeof tag) || tag[0] != '"')
        return fail_named(err, ERR_STORE, "'%s': the answer has no ETag", o->path);
    if (look->tag[0] != '\0' && strcmp(look->tag, tag) != 0)
        return fail_named(err, ERR_FAILED, "'%s' was replaced while it was read", o->path);
    memcpy(look->tag, tag, sizeof tag);
    look->size = size;
    look->modified = read_date(a);
    if (!http_header(a, "x-amz-version-id", look->version, sizeof look->version))
        look->version[0] = '\0';
    if (!is_of_version(o, look))
        return fail_named(err, ERR_STORE,
                          "'%s': the answer is of another version than was asked for", o->path);
    look->versioned = look->version[0] != '\0' && strcmp(look->version, "null") != 0;
    look->held = read_lock(a);
    look->context = http_header(a, "x-amz-server-side-encryption", tag, sizeof tag) &&
                    strncmp(tag, "aws:kms", 7) == 0;
    look->replicated =
        http_header(a, "x-amz-replication-status", tag, sizeof tag) && strcmp(tag, "REPLICA") != 0;
    look->tagged = http_header(a, "x-amz-tagging-count", tag, sizeof tag) && strcmp(tag, "0") != 0;
    look->lacks = http_header(a, "x-amz-missing-meta", tag, sizeof tag) && strcmp(tag, "0") != 0;
    return keep_headers(look, a, err);
}

static struct result send_get(const struct object *o, const struct object_look *look,
                              uint64_t offset, struct range *range, struct http_answer *answer,
                              struct fault *fault, struct err *err)
{
    const struct http_taker taker = {take_range, range};
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    char query[S3_VERSION_QUERY];
    struct s3_request r = {.what = "s3:GetObject",
                           .method = "GET",
                           .key = o->key,
                           .query = s3_name_version(query, o),
                           .headers = headers.lines,
                           .taker = &taker,
                           .again = restart};

    if (!s3_headers_add(&headers, err, "Range: bytes=%" PRIu64 "-%" PRIu64, offset,
                        offset + range->room - 1)
             .ok)
        return FAIL;
    if (look->tag[0] != '\0' && !s3_headers_add(&headers, err, "If-Match: %s", look->tag).ok)
        return FAIL;
    if (s3_send(s3_of(o), &r, answer, fault, err).ok)
        return OK;
    err_file(err, o->path);
    return FAIL;
}

struct result s3_read(const struct object *o, struct object_look *look, uint64_t offset, void *buf,
                      size_t size, size_t *got, struct err *err)
{
    const struct s3_request r = {.what = "s3:GetObject"};
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct range range = {buf, size, 0};
    struct fault fault;

    if (!send_get(o, look, offset, &range, &answer, &fault, err).ok)
        return FAIL;
    bool known = look->tag[0] != '\0' && strcmp(look->tag, NO_TAG) != 0;
    if (fault.status == 412 ||
        (fault.status == 416 && known)) /* by a server that heeds no If-Match */
        return fail_named(err, ERR_FAILED, "'%s' was replaced while it was read", o->path);
    if (fault.status == 416 && offset == 0) { /* there is nothing in it */
        *got = 0;
        look->size = 0;
        memcpy(look->tag, NO_TAG, sizeof NO_TAG);
        return OK;
    }
    if (fault.status == 404 &&
        (strcmp(fault.name, "NoSuchKey") == 0 || strcmp(fault.name, "NoSuchVersion") == 0))
        return fail_named(err, ERR_MISSING, "'%s' does not exist", o->path);
    if (fault.name[0] != '\0')
        return s3_refused(&r, &fault, o->path, err);
    if (!read_look(o, &answer, fault.status, offset, &range, look, err).ok)
        return FAIL;
    *got = range.got;
    return OK;
}

struct result s3_add_condition(struct s3_headers *h, enum object_condition condition,
                               const struct object_look *look, struct err *err)
{
    if (condition == OBJECT_NEW)
        return s3_headers_add(h, err, "If-None-Match: *");
    return condition == OBJECT_UNCHANGED ? s3_headers_add(h, err, "If-Match: %s", look->tag) : OK;
}

/* Whether what is in the way may be what this very request put there: it was sent twice, and the
 * object cannot be looked at, being archived, or for want of a permission. */
static bool may_be_ours(const struct object *o, const struct fault *fault)
{
    struct object_look look OBJECT_LOOK_CLEANUP = {0};
    struct err why = {0};
    uint8_t byte;
    size_t got;

    return fault->repeated && !s3_read(o, &look, 0, &byte, 1, &got, &why).ok &&
           why.class != ERR_MISSING;
}

bool s3_lost(const struct object *o, enum object_condition condition, const struct fault *fault,
             struct err *err)
{
    bool gone = condition == OBJECT_UNCHANGED && strcmp(fault->name, "NoSuchKey") == 0;

    if (condition == OBJECT_ANY || (fault->status != 412 && !gone))
        return false;
    if (condition == OBJECT_NEW && may_be_ours(o, fault)) {
        (void)fail_named(err, ERR_STORE,
                         "'%s' is there, perhaps by a request of this run whose answer was lost, "
                         "and cannot be looked at",
                         o->path);
    } else if (condition == OBJECT_NEW) {
        (void)fail_named(err, ERR_EXISTS, "'%s' already exists", o->path);
        err_hint_option(err, "--force replaces it, -o names another");
    } else {
        (void)fail_named(err, ERR_STORE, "'%s' was %s by somebody else meanwhile, and is left so",
                         o->path, gone ? "removed" : "replaced");
    }
    return true;
}

bool s3_is_ours(const struct object *o, struct view begins, uint64_t size, char *tag)
{
    struct object_look look OBJECT_LOOK_CLEANUP = {0};
    uint8_t *now = malloc(begins.size);
    struct err ignored;
    size_t got;

    bool same = now != NULL && begins.size > 0 &&
                s3_read(o, &look, 0, now, begins.size, &got, &ignored).ok && look.size == size &&
                got == begins.size && memcmp(now, begins.bytes, got) == 0;
    if (same && look.versioned)
        atomic_store(&o->storage->versions, true);
    if (same && tag != NULL)
        memcpy(tag, look.tag, sizeof look.tag);
    free(now);
    return same;
}

void s3_note_version(const struct object *o, const struct http_answer *answer)
{
    char version[OBJECT_TAG_MAX + 1];

    if (http_header(answer, "x-amz-version-id", version, sizeof version) &&
        strcmp(version, "null") != 0)
        atomic_store(&o->storage->versions, true);
}

struct result s3_put(const struct object *o, enum object_condition condition,
                     const struct object_look *look, struct view bytes, bool *lost, struct err *err)
{
    condition = s3_condition(o, condition);
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    const struct s3_request r = {.what = "s3:PutObject",
                                 .method = "PUT",
                                 .late = true,
                                 .key = o->key,
                                 .headers = headers.lines,
                                 .body = bytes};
    struct fault fault;
    char tag[OBJECT_TAG_MAX + 1];
    bool kept = look != NULL && look->kept != NULL;

    if (!s3_headers_md5(&headers, s3_of(o), &r, err).ok ||
        !s3_add_condition(&headers, condition, look, err).ok ||
        !(kept ? s3_headers_keep(&headers, look->kept, err)
               : s3_headers_add(&headers, err, "Content-Type: application/octet-stream"))
             .ok)
        return FAIL;
    if (!s3_send(s3_of(o), &r, &answer, &fault, err).ok) {
        err_file(err, o->path);
        return FAIL;
    }
    bool taken = fault.name[0] == '\0';
    if (taken)
        s3_note_version(o, &answer);
    if ((taken && http_header(&answer, "ETag", tag, sizeof tag) && tag[0] != '\0') ||
        ((taken || fault.repeated) && s3_is_ours(o, bytes, bytes.size, NULL)))
        return OK;
    if (taken) /* as any web server may answer */
        return fail_named(err, ERR_STORE,
                          "'%s': the answer has no ETag: nothing shows that the object was stored",
                          o->path);
    bool is_lost = s3_lost(o, condition, &fault, err);
    if (lost != NULL)
        *lost = is_lost;
    return is_lost ? FAIL : s3_refused(&r, &fault, o->path, err);
}

/* struct tags: those of an object, as the header of a PUT has them. */
struct tags {
    char *text;
    bool in_tag; /* its key was read, and its value not yet */
    bool whole;  /* all of them were read */
};

static bool on_tag(void *arg, const struct xml_element *element)
{
    struct tags *t = arg;
    bool is_key = strcmp(element->name, "Key") == 0;
    char encoded[TEXT_PERCENT(1024)], *longer;

    t->whole = element->depth == 1 && strcmp(element->name, "Tagging") == 0;
    if (strcmp(element->parent, "Tag") != 0)
        return true;
    if (strlen(element->text) > 1024 || is_key == t->in_tag)
        return false;
    t->in_tag = is_key;
    text_percent(encoded, element->text);
    if (asprintf(&longer, "%s%s%s", t->text != NULL ? t->text : "",
                 is_key ? (t->text != NULL ? "&" : "") : "=", encoded) < 0)
        return false;
    free(t->text);
    t->text = longer;
    return true;
}

struct result s3_read_tags(const struct http_answer *answer, char **text, struct err *err)
{
    struct xml_reader *reader XML_READER_CLEANUP = NULL;
    struct tags tags = {0};

    if (!xml_reader_new(&reader, on_tag, &tags, err).ok)
        return FAIL;
    struct result read = xml_reader_take(reader, answer->body.bytes, answer->body_size, err);
    if (read.ok)
        read = xml_reader_end(reader, err);
    if (read.ok && (!tags.whole || tags.in_tag))
        read = fail(err, ERR_STORE, "the tags of the object cannot be read");
    if (read.ok)
        *text = tags.text;
    else
        free(tags.text);
    return read;
}

static struct result s3_tagging(const struct object *o, struct object_look *look, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    const struct s3_request r = {
        .what = "s3:GetObjectTagging", .method = "GET", .key = o->key, .query = "tagging="};
    char *text STRING_CLEANUP = NULL, *longer;

    if (!s3_ask(s3_of(o), &r, o->path, &answer, err).ok)
        return FAIL;
    if (!s3_read_tags(&answer, &text, err).ok) {
        err_file(err, o->path);
        return FAIL;
    }
    if (text == NULL)
        return fail_named(err, ERR_STORE, "'%s': the server counts tags, and tells none of them",
                          o->path);
    if (asprintf(&longer, "%sx-amz-tagging: %s\n", look->kept, text) < 0)
        return fail_memory(err);
    free(look->kept);
    look->kept = longer;
    return OK;
}

/* A PUT keeps nothing of what it replaces, tags neither. */
struct result s3_kept(const struct object *o, const struct object_look *look,
                      struct object_look *full, struct err *err)
{
    if (!s3_check_seen(o, look, err).ok)
        return FAIL;
    *full = *look;
    full->kept = strdup(look->kept != NULL ? look->kept : "");
    if (full->kept == NULL)
        return fail_memory(err);
    if (!s3_add_lock(o, full, err).ok || (look->tagged && !s3_tagging(o, full, err).ok)) {
        object_look_end(full);
        return FAIL;
    }
    s3_drop_past_lock(full->kept, s3_now(s3_of(o)));
    return OK;
}

struct result s3_check_current(const struct object *o, struct err *err)
{
    return o->version == NULL
               ? OK
               : fail_named(err, ERR_USAGE,
                            "'%s' is one version of an object, which cannot be changed", o->path);
}

struct result s3_replace(const struct object *o, const struct object_look *look, struct view bytes,
                         struct err *err)
{
    struct object_look full OBJECT_LOOK_CLEANUP = {0};

    return s3_check_current(o, err).ok && s3_heeds_conditions(o, err).ok &&
                   s3_kept(o, look, &full, err).ok
               ? s3_put(o, OBJECT_UNCHANGED, &full, bytes, NULL, err)
               : FAIL;
}

/* Looks whether an object is what it was, for a server that may not heed conditions where it
 * removes. */
static struct result still_there(const struct object *o, const struct object_look *look,
                                 struct err *err)
{
    struct object_look now OBJECT_LOOK_CLEANUP = *look;
    uint8_t byte;
    size_t got;

    now.kept = NULL;
    return s3_read(o, &now, 0, &byte, 1, &got, err);
}

struct result s3_remove(const struct object *o, const struct object_look *look, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    char query[S3_VERSION_QUERY];
    const struct s3_request r = {.what = "s3:DeleteObject",
                                 .method = "DELETE",
                                 .key = o->key,
                                 .query = s3_name_version(query, o),
                                 .headers = headers.lines};
    struct fault fault;

    if (o->version != NULL) /* it does not change */
        look = NULL;
    if (look != NULL && s3_of(o)->custom != NULL && !still_there(o, look, err).ok)
        return FAIL;
    if (look != NULL && !s3_add_condition(&headers, OBJECT_UNCHANGED, look, err).ok)
        return FAIL;
    if (!s3_send(s3_of(o), &r, &answer, &fault, err).ok) {
        err_file(err, o->path);
        return FAIL;
    }
    if (fault.name[0] == '\0' || (fault.repeated && strcmp(fault.name, "NoSuchKey") == 0))
        return OK;
    return look != NULL && s3_lost(o, OBJECT_UNCHANGED, &fault, err)
               ? FAIL
               : s3_refused(&r, &fault, o->path, err);
}
