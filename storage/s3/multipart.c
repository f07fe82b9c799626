#include "storage/s3/multipart.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "http/xml.h"
#include "storage/s3/objects.h"

#define COMPLETE_PATIENCE 900 /* seconds: S3 puts large objects together before it answers */
#define PART_TEXT 80          /* bytes of a part in the list, but for its tag, */
#define TAG_BYTE 6            /* and at most of a byte of that */
#define TRIES 4               /* of what came back as an error with status 200 */
#define COPY_PATIENCE 600
#define ABORT_PATIENCE 20
#define QUERY_MAX (TEXT_PERCENT(S3_UPLOAD_ID_MAX) + 64)

struct result upload_begin(struct upload *u, const char *kept, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    const struct s3_request r = {.what = "s3:CreateMultipartUpload",
                                 .method = "POST",
                                 .key = u->object->key,
                                 .query = "uploads=",
                                 .headers = headers.lines};
    char id[S3_UPLOAD_ID_MAX + 1];

    pthread_mutex_init(&u->lock, NULL);
    if (!(kept != NULL ? s3_headers_keep(&headers, kept, err)
                       : s3_headers_add(&headers, err, "Content-Type: application/octet-stream"))
             .ok ||
        !s3_ask(s3_of(u->object), &r, u->object->path, &answer, err).ok)
        return FAIL;
    if (!xml_text(&answer, "UploadId", id, sizeof id) || id[0] == '\0')
        return fail_named(err, ERR_STORE, "'%s': the answer names no upload", u->object->path);
    u->tags = calloc(S3_PARTS_MAX, sizeof *u->tags);
    u->id = malloc(TEXT_PERCENT(strlen(id)));
    if (u->tags == NULL || u->id == NULL)
        return fail_memory(err);
    text_percent(u->id, id);
    return OK;
}

/* Remembers a part; its tag, which is an opaque text in quotes. */
static struct result note_part(struct upload *u, unsigned number, const char *tag, uint64_t size,
                               struct err *err)
{
    char *copy = strdup(tag);

    if (copy == NULL)
        return fail_memory(err);
    pthread_mutex_lock(&u->lock);
    free(u->tags[number - 1]);
    u->tags[number - 1] = copy;
    u->parts = number > u->parts ? number : u->parts;
    u->size += size;
    pthread_mutex_unlock(&u->lock);
    return OK;
}

static void name_part(char query[QUERY_MAX], const struct upload *u, unsigned number)
{
    snprintf(query, QUERY_MAX, "partNumber=%u&uploadId=%s", number, u->id);
}

struct result upload_part(struct upload *u, unsigned number, struct view bytes,
                          const struct http_file *file, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    char query[QUERY_MAX], tag[OBJECT_TAG_MAX + 1];
    const struct s3_request r = {.what = "s3:UploadPart",
                                 .method = "PUT",
                                 .late = true,
                                 .key = u->object->key,
                                 .query = query,
                                 .headers = headers.lines,
                                 .body = bytes,
                                 .file = file};

    name_part(query, u, number);
    if (!s3_headers_add(&headers, err, "Content-Type: application/octet-stream").ok ||
        !s3_headers_md5(&headers, s3_of(u->object), &r, err).ok)
        return FAIL;
    if (!s3_ask(s3_of(u->object), &r, u->object->path, &answer, err).ok) {
        pthread_mutex_lock(&u->lock);
        u->unclear = true;
        pthread_mutex_unlock(&u->lock);
        return FAIL;
    }
    if (!http_header(&answer, "ETag", tag, sizeof tag) || tag[0] == '\0')
        return fail_named(err, ERR_STORE, "'%s': the answer has no ETag of a part",
                          u->object->path);
    return note_part(u, number, tag, file != NULL ? file->size : bytes.size, err);
}

static struct result read_result(const struct http_answer *answer, const struct object *o,
                                 const char *what, char tag[OBJECT_TAG_MAX + 1], struct err *err)
{
    return xml_text(answer, "ETag", tag, OBJECT_TAG_MAX + 1) && tag[0] != '\0'
               ? OK
               : fail_named(err, ERR_STORE, "'%s': %s: the answer cannot be read", o->path, what);
}

/* *lost is true if the object is no longer what it was. */
static struct result copy_once(const struct upload *u, const struct s3_request *r, char *tag,
                               bool *lost, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct fault fault;

    if (!s3_send(s3_of(u->object), r, &answer, &fault, err).ok) {
        err_file(err, u->object->path);
        return FAIL;
    }
    *lost = s3_lost(u->object, OBJECT_UNCHANGED, &fault, err);
    if (*lost)
        return FAIL;
    return fault.name[0] != '\0' ? s3_refused(r, &fault, u->object->path, err)
                                 : read_result(&answer, u->object, r->what, tag, err);
}

struct result upload_copy(struct upload *u, unsigned number, const struct object_look *look,
                          uint64_t offset, uint64_t size, struct err *err)
{
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    char query[QUERY_MAX], tag[OBJECT_TAG_MAX + 1], name[TEXT_PERCENT(S3_KEY_MAX)];
    char place[TEXT_PERCENT(BUCKET_ARN_MAX)];
    const struct bucket *b = &s3_of(u->object)->bucket;
    const struct s3_request r = {.what = "s3:UploadPartCopy",
                                 .method = "PUT",
                                 .late = true,
                                 .key = u->object->key,
                                 .query = query,
                                 .headers = headers.lines,
                                 .patience = COPY_PATIENCE};

    name_part(query, u, number);
    if (!s3_headers_add(&headers, err, "x-amz-copy-source: %s/%s%s", s3_encode(place, b->source),
                        b->account[0] != '\0' ? "object/" : "", s3_encode(name, u->object->key))
             .ok ||
        !s3_headers_add(&headers, err, "x-amz-copy-source-if-match: %s", look->tag).ok ||
        !s3_headers_add(&headers, err, "x-amz-copy-source-range: bytes=%" PRIu64 "-%" PRIu64,
                        offset, offset + size - 1)
             .ok)
        return FAIL;
    bool lost = false;
    struct err why = {0};
    for (unsigned n = 1; !copy_once(u, &r, tag, &lost, &why).ok; n++)
        if (why.class != ERR_STORE || lost || n == TRIES || !clock_wait(500u << n)) {
            *err = why;
            return FAIL;
        }
    return note_part(u, number, tag, size, err);
}

/* Adds a tag to the text at *to; its quotes, and what else XML does not have as it is, by number.
 */
static char *put_tag(char *to, const char *tag)
{
    for (; *tag != '\0'; tag++)
        if (*tag == '"' || *tag == '&' || *tag == '<')
            to += snprintf(to, TAG_BYTE, "&#%u;", (unsigned)*tag);
        else
            *to++ = *tag;
    return to;
}

/* The list of the parts. */
static char *list_parts(const struct upload *u)
{
    static const char begin[] = "<CompleteMultipartUpload>", end[] = "</CompleteMultipartUpload>";
    size_t room = sizeof begin + sizeof end;

    for (unsigned i = 0; i < u->parts; i++)
        room += PART_TEXT + TAG_BYTE * (u->tags[i] != NULL ? strlen(u->tags[i]) : 0);
    char *text = malloc(room), *to = text;
    if (text == NULL)
        return NULL;
    to += snprintf(to, sizeof begin, "%s", begin);
    for (unsigned i = 0; i < u->parts; i++) {
        to += snprintf(to, PART_TEXT, "<Part><PartNumber>%u</PartNumber><ETag>", i + 1);
        to = put_tag(to, u->tags[i] != NULL ? u->tags[i] : "");
        to += snprintf(to, PART_TEXT, "</ETag></Part>");
    }
    snprintf(to, sizeof end, "%s", end);
    return text;
}

/* struct completing: one try to complete an upload. */
struct completing {
    struct upload *upload;
    enum object_condition condition;
    struct view begins;
    bool repeated; /* an earlier one may have done it */
    bool lost;     /* the condition does not hold */
};

static bool is_done(const struct completing *c)
{
    return c->repeated && s3_is_ours(c->upload->object, c->begins, c->upload->size, c->upload->tag);
}

static struct result complete_once(struct completing *c, const struct s3_request *r,
                                   struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    const struct object *o = c->upload->object;
    struct fault fault;

    if (!s3_send(s3_of(o), r, &answer, &fault, err).ok) {
        c->repeated = true;
        err_file(err, o->path);
        return FAIL;
    }
    fault.repeated = c->repeated = c->repeated || fault.repeated;
    if (fault.name[0] == '\0') {
        c->repeated = true;
        s3_note_version(o, &answer);
        return read_result(&answer, o, r->what, c->upload->tag, err);
    }
    if (is_done(c))
        return OK;
    c->repeated = c->repeated || fault.class == ERR_STORE;
    c->upload->conflict = strcmp(fault.name, "ConditionalRequestConflict") == 0;
    if (c->upload->conflict)
        fault.class = ERR_STORE;
    c->lost = s3_lost(o, c->condition, &fault, err);
    return c->lost ? FAIL : s3_refused(r, &fault, o->path, err);
}

static struct result complete(struct completing *c, const struct s3_request *r, struct err *err)
{
    struct err why = {0};

    for (unsigned n = 1; !complete_once(c, r, &why).ok; n++)
        if (why.class != ERR_STORE || c->lost || c->upload->conflict || n == TRIES ||
            !clock_wait(500u << n)) {
            *err = why;
            return FAIL;
        }
    return OK;
}

struct result upload_complete(struct upload *u, enum object_condition condition,
                              const struct object_look *look, struct view begins, bool *lost,
                              struct err *err)
{
    condition = s3_condition(u->object, condition);
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    char query[QUERY_MAX], *parts STRING_CLEANUP = list_parts(u);
    struct completing c = {.upload = u, .condition = condition, .begins = begins};

    if (parts == NULL)
        return fail_memory(err);
    snprintf(query, sizeof query, "uploadId=%s", u->id);
    const struct s3_request r = {.what = "s3:CompleteMultipartUpload",
                                 .method = "POST",
                                 .late = true,
                                 .key = u->object->key,
                                 .query = query,
                                 .headers = headers.lines,
                                 .body = {(const uint8_t *)parts, strlen(parts)},
                                 .conflict_ends = true,
                                 .patience = COMPLETE_PATIENCE};
    if (!s3_headers_add(&headers, err, "Content-Type: application/xml").ok ||
        !s3_headers_add(&headers, err, "x-amz-mp-object-size: %" PRIu64, u->size).ok ||
        !s3_add_condition(&headers, condition, look, err).ok)
        return FAIL;
    struct result done = complete(&c, &r, err);
    if (lost != NULL)
        *lost = c.lost;
    if (done.ok)
        string_free(&u->id);
    return done;
}

struct result s3_drop(const struct object *o, const char *upload, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    char query[QUERY_MAX], id[TEXT_PERCENT(S3_UPLOAD_ID_MAX)];
    const struct s3_request r = {.what = "s3:AbortMultipartUpload",
                                 .method = "DELETE",
                                 .key = o->key,
                                 .query = query,
                                 .patience = ABORT_PATIENCE};

    if (strlen(upload) > S3_UPLOAD_ID_MAX)
        return fail_named(err, ERR_STORE, "'%s': the name of an upload is too long", o->path);
    snprintf(query, sizeof query, "uploadId=%s", text_percent(id, upload));
    return s3_ask(s3_of(o), &r, o->path, &answer, err);
}

static struct result drop_parts(const struct upload *u, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    char query[QUERY_MAX];
    const struct s3_request r = {.what = "s3:AbortMultipartUpload",
                                 .method = "DELETE",
                                 .key = u->object->key,
                                 .query = query,
                                 .patience = ABORT_PATIENCE,
                                 .steady = true};
    struct fault fault;

    snprintf(query, sizeof query, "uploadId=%s", u->id);
    if (!s3_send(s3_of(u->object), &r, &answer, &fault, err).ok)
        return FAIL;
    return fault.name[0] == '\0' || strcmp(fault.name, "NoSuchUpload") == 0
               ? OK
               : s3_refused(&r, &fault, u->object->path, err);
}

static void tell_left(const struct upload *u, const struct err *why)
{
    const struct storage_env *env = s3_of(u->object)->env;
    char *text;

    if (env->warn == NULL ||
        asprintf(&text, "%s; the parts that were sent are left, and 'bulla s3 abort' drops them",
                 why->text) < 0)
        return;
    env->warn(NULL, text);
    free(text);
}

/* A part that was on its way may come after the first time. */
void upload_abort(struct upload *u)
{
    struct result dropped = OK;
    struct err why = {0};

    for (unsigned n = 0; u->id != NULL && n < 1u + u->unclear; n++)
        dropped = drop_parts(u, &why);
    if (!dropped.ok) {
        err_file(&why, u->object->path);
        tell_left(u, &why);
    }
    for (unsigned i = 0; u->tags != NULL && i < S3_PARTS_MAX; i++)
        free(u->tags[i]);
    free(u->tags);
    string_free(&u->id);
    u->tags = NULL;
}
