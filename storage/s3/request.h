/* request: one operation of S3: its URL, its signature, its retries, and what a refusal means. */
#ifndef BULLA_STORAGE_S3_REQUEST_H
#define BULLA_STORAGE_S3_REQUEST_H

#include "aws/account.h"
#include "base/text.h"
#include "storage/s3/bucket.h"
#include "storage/storage.h"

#define S3_KEY_MAX 1024          /* bytes of an object's name */
#define S3_PART_MIN (5u << 20)   /* bytes of each part but the last */
#define S3_PARTS_MAX 10000       /* of an upload */
#define S3_UPLOAD_ID_MAX 1024    /* bytes */
#define S3_COPY_MAX (5ull << 30) /* bytes that one request copies */
#define S3_PART_MAX (5ull << 30) /* bytes of a part */
#define S3_HEADERS_MAX 40        /* of one request */

/* What is known of locks of a bucket's objects (Object Lock). */
enum s3_locks {
    S3_LOCKS_UNASKED,
    S3_LOCKS_UNKNOWN, /* that may not be asked */
    S3_LOCKS_NONE,
    S3_LOCKS_UNSEEN, /* there may be some, and nobody knows yet if they may be read */
    S3_LOCKS_SEEN
};

/* struct s3: a bucket. */
struct s3 {
    struct storage storage;
    const struct storage_env *env;
    struct account *account;
    struct bucket bucket;
    const char *custom; /* the endpoint of the user's settings, or NULL */
    unsigned attempts;
    struct rate rate; /* of all that is sent and received */
    struct pace pace;
    pthread_mutex_t lock;        /* for the region */
    char region[REGION_MAX + 1]; /* where the bucket is, as far as we know */
    pthread_mutex_t probing;     /* for these, which were found out or are known of AWS: */
    bool heeds, heeds_completes; /* conditions of a PUT, and of the end of an upload */
    bool sees_tags;              /* whoever reads an object is told how many it has */
    enum s3_locks locks;
    bool told_losses;
};

/* struct s3_request: what is asked. */
struct s3_request {
    const char *what; /* "s3:GetObject", for messages */
    const char *method;
    const char *key;            /* not encoded; "" = the bucket itself */
    const char *query;          /* encoded, or NULL */
    const char *const *headers; /* ended by NULL, or NULL */
    struct view body;
    const struct http_file *file;   /* in place of it; or NULL */
    const struct http_taker *taker; /* of the answer, or NULL */
    void (*again)(void *arg);       /* as of struct call */
    unsigned patience;              /* seconds that an attempt may take; 0 = as long as it moves */
    bool late;                      /* as of struct call */
    bool steady;                    /* as of struct http_request */
    bool conflict_ends; /* another request at the same time is no reason to send it again */
};

/* s3_hash_body hashes the body of a request by an algorithm as OpenSSL names it. *known is false if
 * this OpenSSL has none of that name. */
FALLIBLE s3_hash_body(const struct s3 *s3, const struct s3_request *request, const char *algorithm,
                      uint8_t *hash, bool *known, struct err *err);

/* s3_send sends a request and takes the answer, *fault being empty, or a refusal. Fails if nothing
 * answered. Where the answer says that the bucket is in another region, it is asked there. */
FALLIBLE s3_send(struct s3 *s3, const struct s3_request *request, struct http_answer *answer,
                 struct fault *fault, struct err *err);

/* s3_refused makes an error of a refusal. path is the name of the object, for messages. */
FALLIBLE s3_refused(const struct s3_request *request, const struct fault *fault, const char *path,
                    struct err *err);

/* s3_ask is s3_send where a refusal is a failure. */
FALLIBLE s3_ask(struct s3 *s3, const struct s3_request *request, const char *path,
                struct http_answer *answer, struct err *err);

/* s3_encode writes a name with all but the unreserved characters and '/' as %XX to out, which has
 * TEXT_PERCENT of its length; returns out. */
char *s3_encode(char *out, const char *name);

/* s3_name_version is query, filled with what names the version of an object, or NULL if it has
 * none.
 */
#define S3_VERSION_QUERY (TEXT_PERCENT(S3_UPLOAD_ID_MAX) + 16)
const char *s3_name_version(char query[S3_VERSION_QUERY], const struct object *o);

/* s3_now is the time by the server's clock, as far as its answers told that this machine's is
 * wrong, in seconds since 1970. */
uint64_t s3_now(struct s3 *s3);

/* s3_time reads a time as S3 writes it (2026-11-28T10:00:00.000Z), in seconds since 1970; 0 if it
 * is none. */
uint64_t s3_time(const char *text);

/* s3_condition is the condition, or none where the user said to do without. */
enum object_condition s3_condition(const struct object *o, enum object_condition condition);

/* s3_of is the bucket of an object. */
struct s3 *s3_of(const struct object *o);

#endif
