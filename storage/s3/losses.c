#include "storage/s3/losses.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "http/xml.h"
#include "storage/s3/objects.h"

/* struct question: what is asked of an object, or of its bucket. */
struct question {
    const char *what, *query;
    bool of_bucket;
    bool of_locks; /* which S3 refuses as below where there are none */
};

static const struct question rules = {"s3:GetBucketOwnershipControls", "ownershipControls=", true},
                             locks = {"s3:GetBucketObjectLockConfiguration", "object-lock=", true},
                             tags = {"s3:GetObjectTagging", "tagging=", false},
                             retention = {"s3:GetObjectRetention", "retention=", false, true},
                             hold = {"s3:GetObjectLegalHold", "legal-hold=", false, true};

static struct result ask(const struct object *o, const struct question *q,
                         struct http_answer *answer, struct fault *fault, struct err *err)
{
    const struct s3_request r = {
        .what = q->what, .method = "GET", .key = q->of_bucket ? "" : o->key, .query = q->query};

    if (s3_send(s3_of(o), &r, answer, fault, err).ok)
        return OK;
    err_file(err, o->path);
    return FAIL;
}

/* Whether a refusal says that there is none, or that the server lacks this part of S3. AWS refuses
 * the question of a lock in a bucket that has none by the first name, and MinIO and versitygw that
 * of an object that has none by the second, with status 400. */
static bool says_none(const struct question *q, const struct fault *f)
{
    return f->status == 404 || f->status == 405 || f->status == 501 ||
           (q->of_locks && (strcmp(f->name, "InvalidRequest") == 0 ||
                            strcmp(f->name, "NoSuchObjectLockConfiguration") == 0));
}

static struct result refused(const struct object *o, const struct question *q,
                             const struct fault *f, struct err *err)
{
    const struct s3_request r = {.what = q->what};

    return s3_refused(&r, f, o->path, err);
}

/* A server that keeps silent about the tags of one object does so about those of all. */
static struct result check_told(const struct object *o, const struct http_answer *answer,
                                struct err *err)
{
    char *text STRING_CLEANUP = NULL;

    if (!s3_read_tags(answer, &text, err).ok) {
        err_file(err, o->path);
        return FAIL;
    }
    return text == NULL ? OK
                        : fail_named(err, ERR_POLICY,
                                     "'%s' has what the server does not tell of where it is read "
                                     "(%s), and would lose it",
                                     o->path, tags.what);
}

static struct result may_read(const struct object *o, const struct question *q, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct fault fault;

    if (!ask(o, q, &answer, &fault, err).ok)
        return FAIL;
    if (fault.name[0] == '\0')
        return q == &tags ? check_told(o, &answer, err) : OK;
    if (says_none(q, &fault))
        return OK;
    if (fault.status != 403)
        return refused(o, q, &fault, err);
    (void)fail_named(err, ERR_POLICY,
                     "'%s' may have what cannot be seen (%s: %s), and would lose it", o->path,
                     q->what, fault.name);
    return fail_hint(err, "docs/S3.md lists the permissions that each verb needs");
}

#define LOCK "x-amz-object-lock-"

/* Whether the answer that an object was read by had a header. */
static bool has(const struct object_look *look, const char *header)
{
    size_t size = strlen(header);

    for (const char *at = look->kept; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncasecmp(at, header, size) == 0)
            return true;
    }
    return false;
}

/* Whether objects of the bucket can be locked. Where that may not be asked, nobody knows; where it
 * cannot, as through an access point, each may be. */
static struct result find_locks(const struct object *o, enum s3_locks *found, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct fault fault;

    if (*found != S3_LOCKS_UNASKED)
        return OK;
    if (!ask(o, &locks, &answer, &fault, err).ok)
        return FAIL;
    *found = fault.name[0] == '\0' || fault.status == 405 ? S3_LOCKS_UNSEEN
             : fault.status == 403                        ? S3_LOCKS_UNKNOWN
             : says_none(&locks, &fault)                  ? S3_LOCKS_NONE
                                                          : S3_LOCKS_UNASKED;
    return *found != S3_LOCKS_UNASKED ? OK : refused(o, &locks, &fault, err);
}

static struct result check_locks(const struct object *o, const struct object_look *look,
                                 enum s3_locks *found, struct err *err)
{
    if (!find_locks(o, found, err).ok)
        return FAIL;
    if (*found != S3_LOCKS_UNSEEN)
        return OK;
    if ((!has(look, LOCK "mode:") && !may_read(o, &retention, err).ok) ||
        (!has(look, LOCK "legal-hold:") && !may_read(o, &hold, err).ok))
        return FAIL;
    *found = S3_LOCKS_SEEN;
    return OK;
}

static struct result check_tags(const struct object *o, const struct object_look *look, bool *seen,
                                struct err *err)
{
    if (!*seen && !look->tagged && !may_read(o, &tags, err).ok)
        return FAIL;
    *seen = true;
    return OK;
}

struct result s3_check_seen(const struct object *o, const struct object_look *look, struct err *err)
{
    struct s3 *s3 = s3_of(o);

    if (look->lacks)
        return fail_named(err, ERR_POLICY,
                          "'%s' has metadata that S3 does not show (x-amz-missing-meta), and would "
                          "lose it",
                          o->path);
    pthread_mutex_lock(&s3->probing);
    struct result r = check_tags(o, look, &s3->sees_tags, err);
    if (r.ok)
        r = check_locks(o, look, &s3->locks, err);
    pthread_mutex_unlock(&s3->probing);
    return r;
}

static struct result look_again(const struct object *o, const struct object_look *look,
                                struct http_answer *answer, struct err *err)
{
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    const struct s3_request r = {
        .what = "s3:GetObject", .method = "HEAD", .key = o->key, .headers = headers.lines};

    return s3_headers_add(&headers, err, "If-Match: %s", look->tag).ok
               ? s3_ask(s3_of(o), &r, o->path, answer, err)
               : FAIL;
}

struct result s3_add_lock(const struct object *o, struct object_look *look, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    bool shown = has(look, LOCK), may_be = s3_of(o)->locks >= S3_LOCKS_UNSEEN;
    size_t size = strlen(look->kept);

    if (s3_of(o)->custom == NULL || shown || !may_be)
        return OK;
    if (!look_again(o, look, &answer, err).ok)
        return FAIL;
    char *longer = realloc(look->kept, size + answer.headers_size + 2);
    if (longer == NULL)
        return fail_memory(err);
    look->kept = longer;
    for (const char *at = answer.headers; at != NULL && *at != '\0';) {
        size_t line = strcspn(at, "\r\n"), end = strcspn(at, "\n");
        if (strncasecmp(at, LOCK, strlen(LOCK)) == 0) {
            memcpy(longer + size, at, line);
            size += line;
            longer[size++] = '\n';
        }
        at += end + (at[end] == '\n');
    }
    longer[size] = '\0';
    return OK;
}

/* A bucket whose owner has all there is in it has no ACLs. Where that cannot be asked, they may be
 * there; a server that does not know the question has none. */
static bool may_have_rules(const struct object *o)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    char ownership[64];
    struct err ignored;
    struct fault fault;

    if (!ask(o, &rules, &answer, &fault, &ignored).ok)
        return true;
    if (fault.name[0] != '\0')
        return fault.status == 405 || !says_none(&rules, &fault) ||
               strcmp(fault.name, "OwnershipControlsNotFoundError") == 0;
    return !xml_text(&answer, "ObjectOwnership", ownership, sizeof ownership) ||
           strcmp(ownership, "BucketOwnerEnforced") != 0;
}

struct result s3_losses(const struct object *o, const struct object_look *look,
                        struct object_losses *l, struct err *err)
{
    struct s3 *s3 = s3_of(o);

    if (!s3_check_seen(o, look, err).ok)
        return FAIL;
    pthread_mutex_lock(&s3->probing);
    *l = (struct object_losses){
        .rules = !s3->told_losses && may_have_rules(o),
        .locks = !s3->told_losses && s3->locks == S3_LOCKS_UNKNOWN,
    };
    s3->told_losses = true;
    pthread_mutex_unlock(&s3->probing);
    return OK;
}
