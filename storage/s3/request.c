#include "storage/s3/request.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/openssl_memory.h"
#include "crypto/primitives.h"
#include "http/xml.h"

#define URL_MAX (ENDPOINT_MAX + TEXT_PERCENT(S3_KEY_MAX) + 4096)
#define PATIENCE 86400       /* seconds for an attempt, as long as it moves bytes */
#define STALL 30             /* seconds without a byte after which it is given up */
#define HASHED_AT_ONCE 16384 /* bytes */

/* The first is for requests that such a conflict ends. */
static const struct refusal refusals[] = {
    {"ConditionalRequestConflict", ERR_FAILED, NULL},
    {"ConditionalRequestConflict", ERR_STORE, NULL},
    {"NoSuchKey", ERR_MISSING, NULL},
    {"NoSuchVersion", ERR_MISSING, NULL},
    {"NoSuchBucket", ERR_MISSING, NULL},
    {"InternalError", ERR_STORE, NULL},
    {"OperationAborted", ERR_STORE, NULL},
    {"BadDigest", ERR_STORE, NULL},
    {"XAmzContentSHA256Mismatch", ERR_STORE, NULL},
    {"IncompleteBody", ERR_STORE, NULL},
    {"InvalidObjectState", ERR_POLICY,
     "the object is archived (Glacier): restore a copy of it first, as with aws s3api "
     "restore-object"},
    {"AccessDenied", ERR_POLICY, "docs/S3.md lists the permissions that each verb needs"},
    {"InvalidAccessKeyId", ERR_POLICY, "the endpoint does not know these credentials"},
    {"NotImplemented", ERR_UNSUPPORTED, "this server lacks a part of S3 that bulla needs"},
    {NULL, ERR_NONE, NULL},
};

const char *s3_name_version(char query[S3_VERSION_QUERY], const struct object *o)
{
    char id[TEXT_PERCENT(S3_UPLOAD_ID_MAX)];

    if (o->version == NULL)
        return NULL;
    id[0] = '\0';
    if (strlen(o->version) <= S3_UPLOAD_ID_MAX)
        text_percent(id, o->version);
    snprintf(query, S3_VERSION_QUERY, "versionId=%s", id);
    return query;
}

uint64_t s3_time(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (rest != NULL && *rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (rest == NULL || strcmp(rest, "Z") != 0)
        return 0;
    time_t seconds = timegm(&tm);
    return seconds > 0 ? (uint64_t)seconds : 0;
}

uint64_t s3_now(struct s3 *s3)
{
    pthread_mutex_lock(&s3->pace.lock);
    int64_t skew = s3->pace.skew;
    pthread_mutex_unlock(&s3->pace.lock);
    return (uint64_t)((int64_t)clock_now() + skew);
}

struct s3 *s3_of(const struct object *o)
{
    return (struct s3 *)o->storage;
}

enum object_condition s3_condition(const struct object *o, enum object_condition condition)
{
    return s3_of(o)->env->no_condition ? OBJECT_ANY : condition;
}

char *s3_encode(char *out, const char *name)
{
    char *to = out;

    for (char one[2] = ""; *name != '\0'; name++) {
        one[0] = *name;
        if (*name == '/')
            *to++ = '/';
        else
            to += strlen(text_percent(to, one));
    }
    *to = '\0';
    return out;
}

/* Whether the bucket is a part of the path: where it would not be covered by the certificate, or
 * the server is somebody's own. An access point never is. */
static bool is_in_path(const struct s3 *s3)
{
    return s3->bucket.account[0] == '\0' &&
           (s3->custom != NULL || strchr(s3->bucket.name, '.') != NULL);
}

static struct result make_url(char out[URL_MAX], struct s3 *s3, const char *region,
                              const struct s3_request *r, struct err *err)
{
    const struct aws *aws = &s3->account->aws;
    const struct bucket *b = &s3->bucket;
    bool point = b->account[0] != '\0', path = is_in_path(s3);
    const struct endpoint_wish wish = {point ? "s3-accesspoint" : "s3", region, s3->custom,
                                       aws->fips, aws->dual_stack};
    char endpoint[ENDPOINT_MAX], key[TEXT_PERCENT(S3_KEY_MAX)];

    if (!endpoint_find(endpoint, &wish, err).ok)
        return FAIL;
    size_t size = strlen(endpoint), scheme = strcspn(endpoint, ":") + strlen("://");
    if (endpoint[size - 1] == '/')
        endpoint[size - 1] = '\0';
    snprintf(out, URL_MAX, "%.*s%s%s%s%s%s%s%s/%s%s%s", (int)scheme, endpoint, path ? "" : b->name,
             point ? "-" : "", b->account, path ? "" : ".", endpoint + scheme, path ? "/" : "",
             path ? b->name : "", s3_encode(key, r->key), r->query != NULL ? "?" : "",
             r->query != NULL ? r->query : "");
    return OK;
}

/* Where a refusal says that the bucket is; true if that is news. */
static bool learn_region(struct s3 *s3, const char *asked, const struct fault *fault,
                         const struct http_answer *answer)
{
    char region[HTTP_HEADER_MAX + 1];

    if (fault->status != 301 && fault->status != 307 && fault->status != 400)
        return false;
    if (!http_header(answer, "x-amz-bucket-region", region, sizeof region) &&
        !xml_text(answer, "Region", region, sizeof region))
        return false;
    if (!region_is_valid(region) || strcmp(region, asked) == 0)
        return false;
    pthread_mutex_lock(&s3->lock);
    memcpy(s3->region, region, strlen(region) + 1);
    pthread_mutex_unlock(&s3->lock);
    return true;
}

static struct result lend(void *arg, bool renew, const struct credentials **out, struct err *err)
{
    struct account *account = arg;

    return chain_credentials(&account->chain, renew, out, err);
}

/* The headers, and who pays. */
static void add_payer(const char *out[S3_HEADERS_MAX + 2], const struct s3 *s3,
                      const char *const *headers)
{
    size_t count = 0;

    for (; headers != NULL && headers[count] != NULL; count++)
        out[count] = headers[count];
    if (s3->env->requester_pays)
        out[count++] = "x-amz-request-payer: requester";
    out[count] = NULL;
}

static struct result hash_body(EVP_MD_CTX *ctx, const struct s3_request *r, uint8_t *hash,
                               struct err *err)
{
    uint8_t piece[HASHED_AT_ONCE];
    size_t got = sizeof piece;
    bool done = r->file != NULL || EVP_DigestUpdate(ctx, r->body.bytes, r->body.size) == 1;

    for (uint64_t at = 0; r->file != NULL && got == sizeof piece && done; at += got) {
        if (!http_file_read(r->file, at, piece, sizeof piece, &got, err).ok)
            return FAIL;
        done = EVP_DigestUpdate(ctx, piece, got) == 1;
    }
    return done && EVP_DigestFinal_ex(ctx, hash, NULL) == 1
               ? OK
               : openssl_failed(err, "cannot hash what is sent");
}

/* OpenSSL's hashes use what the processor has for them; those of libsodium take four times as long.
 */
struct result s3_hash_body(const struct s3 *s3, const struct s3_request *request,
                           const char *algorithm, uint8_t *hash, bool *known, struct err *err)
{
    EVP_MD *kind = EVP_MD_fetch(crypto_library(s3->env->crypto), algorithm, NULL);
    EVP_MD_CTX *ctx = kind != NULL ? EVP_MD_CTX_new() : NULL;

    *known = ctx != NULL && EVP_DigestInit_ex(ctx, kind, NULL) == 1;
    struct result done = *known ? hash_body(ctx, request, hash, err) : OK;
    EVP_MD_CTX_free(ctx);
    EVP_MD_free(kind);
    return done;
}

/* Most requests have no body, and need no OpenSSL. */
static struct result hash_text(char out[2 * SHA256_SIZE + 1], const struct s3 *s3,
                               const struct s3_request *r, struct err *err)
{
    uint8_t hash[SHA256_SIZE];
    bool known = r->file == NULL && r->body.size == 0;

    if (known)
        crypto_hash_sha256(hash, NULL, 0);
    else if (!s3_hash_body(s3, r, "SHA256", hash, &known, err).ok)
        return FAIL;
    if (!known)
        return openssl_failed(err, "OpenSSL has no SHA-256");
    text_hex(out, hash, sizeof hash);
    return OK;
}

static struct result send_to(struct s3 *s3, const char *region, const struct s3_request *r,
                             struct http_answer *answer, struct fault *fault, struct err *err)
{
    const struct caller caller = {lend, s3->account, &s3->account->lock};
    const char *headers[S3_HEADERS_MAX + 2];
    char *url STRING_CLEANUP = malloc(URL_MAX), body_hash[2 * SHA256_SIZE + 1];

    if (url == NULL)
        return fail_memory(err);
    if (!hash_text(body_hash, s3, r, err).ok)
        return FAIL;
    if (!make_url(url, s3, region, r, err).ok)
        return FAIL;
    add_payer(headers, s3, r->headers);
    const struct call call = {.service = "s3",
                              .any_success = true,
                              .late = r->late,
                              .region = region,
                              .method = r->method,
                              .url = url,
                              .headers = headers,
                              .what = r->what,
                              .body = r->body,
                              .file = r->file,
                              .rate = &s3->rate,
                              .pace = &s3->pace,
                              .taker = r->taker,
                              .again = r->again,
                              .refusals = refusals + !r->conflict_ends,
                              .id_header = "x-amz-request-id",
                              .body_hash = body_hash,
                              .attempts = s3->attempts,
                              .patience = r->patience > 0 ? r->patience : PATIENCE,
                              .stall = r->patience > 0 ? 0 : STALL,
                              .steady = r->steady};
    return call_send(&s3->account->aws, &call, &caller, answer, fault, err);
}

struct result s3_send(struct s3 *s3, const struct s3_request *request, struct http_answer *answer,
                      struct fault *fault, struct err *err)
{
    char region[REGION_MAX + 1];

    if (strlen(request->key) > S3_KEY_MAX)
        return fail(err, ERR_USAGE, "the name of an object has more than %d bytes", S3_KEY_MAX);
    for (bool again = true, moved = true; moved; again = false) {
        pthread_mutex_lock(&s3->lock);
        memcpy(region, s3->region, sizeof region);
        pthread_mutex_unlock(&s3->lock);
        if (!send_to(s3, region, request, answer, fault, err).ok)
            return FAIL;
        moved = again && fault->name[0] != '\0' && learn_region(s3, region, fault, answer);
    }
    return OK;
}

struct result s3_refused(const struct s3_request *request, const struct fault *fault,
                         const char *path, struct err *err)
{
    const struct call call = {.what = request->what};

    call_refused(&call, fault, err);
    err_file(err, path);
    return FAIL;
}

struct result s3_ask(struct s3 *s3, const struct s3_request *request, const char *path,
                     struct http_answer *answer, struct err *err)
{
    struct fault fault;

    if (!s3_send(s3, request, answer, &fault, err).ok) {
        err_file(err, path);
        return FAIL;
    }
    return fault.name[0] == '\0' ? OK : s3_refused(request, &fault, path, err);
}
