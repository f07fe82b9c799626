#include "aws/sign.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "crypto/primitives.h"
#include "http/wiping_allocator.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define HEADERS_MAX 48 /* of one request */
#define NAMES_MAX 4096 /* bytes of their names, with the zero; S3 takes 2048 of metadata */
#define PARAMETERS_MAX 16
#define TIME_SIZE 17 /* "20150830T123600Z" and a zero */
#define HASH_TEXT (2 * SHA256_SIZE + 1)
#define KEYS_ALIGN 16 /* a secret ends where its page does, so its size is what aligns it */
#define SCOPE_MAX (9 + REGION_MAX + 1 + 32 + 14)

/* struct url: its parts, none of them copied. */
struct url {
    const char *host, *path, *query;
    size_t host_size, path_size;
};

/* struct canonical: a request being hashed as the service will hash it. */
struct canonical {
    crypto_hash_sha256_state hash;
    const char *headers[HEADERS_MAX];
    size_t count;
};

static void put(struct canonical *c, const char *bytes, size_t size)
{
    crypto_hash_sha256_update(&c->hash, (const unsigned char *)bytes, size);
}

static void put_text(struct canonical *c, const char *text)
{
    put(c, text, strlen(text));
}

/* libcurl leaves out the port that a scheme has by itself, and so does the Host that is signed. */
static struct url take_apart(const char *text)
{
    bool tls = strncmp(text, "https:", 6) == 0;
    const char *host = strstr(text, "://") + 3, *usual = tls ? ":443" : ":80";
    struct url u = {.host = host, .host_size = strcspn(host, "/?")};

    u.path = host + u.host_size;
    u.path_size = strcspn(u.path, "?");
    u.query = u.path[u.path_size] == '?' ? u.path + u.path_size + 1 : "";
    size_t port = strlen(usual);
    if (u.host_size > port && memcmp(host + u.host_size - port, usual, port) == 0)
        u.host_size -= port;
    return u;
}

/* A name ends at ':', a parameter at '&' or '='. */
static int compare_names(const char *a, const char *b)
{
    size_t in_a = strcspn(a, ":"), in_b = strcspn(b, ":"), least = in_a < in_b ? in_a : in_b;
    int order = strncasecmp(a, b, least);

    return order != 0 ? order : (in_a > in_b) - (in_a < in_b);
}

static int compare_parameters(const char *a, const char *b)
{
    size_t in_a = strcspn(a, "="), in_b = strcspn(b, "="), least = in_a < in_b ? in_a : in_b;
    int order = memcmp(a, b, least);

    if (order != 0 || in_a != in_b)
        return order != 0 ? order : (in_a > in_b) - (in_a < in_b);
    return strcmp(a + in_a, b + in_b);
}

/* A few texts; those that are equal stay in their order. */
static void sort(const char **texts, size_t count, int (*compare)(const char *a, const char *b))
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && compare(texts[j - 1], texts[j]) > 0; j--) {
            const char *other = texts[j];
            texts[j] = texts[j - 1];
            texts[j - 1] = other;
        }
}

static struct result put_query(struct canonical *c, const char *query, struct err *err)
{
    char *copy = strdup(query), *rest = copy, *one;
    const char *all[PARAMETERS_MAX];
    size_t count = 0;

    while (copy != NULL && count < PARAMETERS_MAX && (one = strsep(&rest, "&")) != NULL)
        if (*one != '\0')
            all[count++] = one;
    sort(all, count, compare_parameters);
    for (size_t i = 0; i < count; i++) {
        put_text(c, i > 0 ? "&" : "");
        put_text(c, all[i]);
        put_text(c, strchr(all[i], '=') != NULL ? "" : "=");
    }
    free(copy);
    if (copy != NULL && rest == NULL)
        return OK;
    return fail(err, ERR_FAILED,
                copy == NULL ? "out of memory" : "a request has too many parameters to be signed");
}

static void put_name(struct canonical *c, const char *header)
{
    for (; *header != ':'; header++)
        put(c, &(char){(char)tolower((unsigned char)*header)}, 1);
}

/* Blanks around a value do not count, and several in it are one. */
static void put_value(struct canonical *c, const char *header)
{
    const char *at = strchr(header, ':') + 1;

    at += strspn(at, " \t\r\n");
    while (*at != '\0') {
        size_t word = strcspn(at, " \t\r\n");
        put(c, at, word);
        at += word;
        at += strspn(at, " \t\r\n");
        put_text(c, *at != '\0' ? " " : "");
    }
}

static bool repeats(const struct canonical *c, size_t i)
{
    return i > 0 && compare_names(c->headers[i - 1], c->headers[i]) == 0;
}

/* Headers with the same name become one, with commas between their values. */
static void put_headers(struct canonical *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!repeats(c, i)) {
            put_text(c, i > 0 ? "\n" : "");
            put_name(c, c->headers[i]);
        }
        put_text(c, repeats(c, i) ? "," : ":");
        put_value(c, c->headers[i]);
    }
    put_text(c, "\n\n");
}

/* The names of the signed headers, as the canonical request and the header list them. */
static bool name_headers(const struct canonical *c, char out[NAMES_MAX])
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < c->count; i++) {
        size_t name = strcspn(c->headers[i], ":");
        if (repeats(c, i))
            continue;
        if (used + name + 2 > NAMES_MAX)
            return false;
        if (used > 0)
            out[used++] = ';';
        for (size_t j = 0; j < name; j++)
            out[used++] = (char)tolower((unsigned char)c->headers[i][j]);
        out[used] = '\0';
    }
    return true;
}

static struct result collect(struct canonical *c, const char *const *headers, struct err *err)
{
    for (; headers != NULL && *headers != NULL; headers++) {
        if (c->count == HEADERS_MAX || strchr(*headers, ':') == NULL)
            return fail(err, ERR_FAILED, "a request has headers that cannot be signed");
        c->headers[c->count++] = *headers;
    }
    return OK;
}

static void hash_text(char out[HASH_TEXT], struct view bytes)
{
    uint8_t hash[SHA256_SIZE];

    crypto_hash_sha256(hash, bytes.bytes, bytes.size);
    text_hex(out, hash, sizeof hash);
}

/* The hash of the canonical request. */
static struct result hash_request(struct canonical *c, const struct http_request *r,
                                  const struct url *u, const char *body, char out[HASH_TEXT],
                                  struct err *err)
{
    uint8_t hash[SHA256_SIZE];
    char names[NAMES_MAX];

    sort(c->headers, c->count, compare_names);
    crypto_hash_sha256_init(&c->hash);
    put_text(c, r->method);
    put_text(c, "\n");
    put(c, u->path_size > 0 ? u->path : "/", u->path_size > 0 ? u->path_size : 1);
    put_text(c, "\n");
    if (!put_query(c, u->query, err).ok)
        return FAIL;
    put_text(c, "\n");
    put_headers(c);
    if (!name_headers(c, names))
        return fail(err, ERR_FAILED, "a request has headers that cannot be signed");
    put_text(c, names);
    put_text(c, "\n");
    put_text(c, body);
    crypto_hash_sha256_final(&c->hash, hash);
    text_hex(out, hash, sizeof hash);
    return OK;
}

static void hmac(uint8_t out[SHA256_SIZE], crypto_auth_hmacsha256_state *state, struct view key,
                 const char *text)
{
    crypto_auth_hmacsha256_init(state, key.bytes, key.size);
    crypto_auth_hmacsha256_update(state, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(state, out);
}

/* struct keys: what is derived from the secret key, in secret memory. */
struct keys {
    crypto_auth_hmacsha256_state state;
    uint8_t key[SHA256_SIZE];
    uint8_t first[]; /* "AWS4" and the secret key */
};

/* The signature of a text for a scope, which is DATE/REGION/SERVICE/aws4_request. */
static struct result sign_text(const struct credentials *c, const char *scope, const char *text,
                               char out[HASH_TEXT], struct err *err)
{
    size_t size = strlen((const char *)c->secret_key.bytes);
    struct secret room SECRET_CLEANUP = {0};
    uint8_t signature[SHA256_SIZE];
    char parts[SCOPE_MAX], *rest = parts, *part;

    size_t whole = (sizeof(struct keys) + 4 + size + KEYS_ALIGN - 1) / KEYS_ALIGN * KEYS_ALIGN;
    if (!secret_new(&room, whole, err).ok)
        return FAIL;
    struct keys *k = (struct keys *)(void *)room.bytes;
    memcpy(k->first, "AWS4", 4);
    memcpy(k->first + 4, c->secret_key.bytes, size);
    snprintf(parts, sizeof parts, "%s", scope);
    struct view key = {k->first, 4 + size};
    while ((part = strsep(&rest, "/")) != NULL) {
        hmac(k->key, &k->state, key, part);
        key = (struct view){k->key, sizeof k->key};
    }
    hmac(signature, &k->state, key, text);
    text_hex(out, signature, sizeof signature);
    return OK;
}

static void time_text(char out[TIME_SIZE], uint64_t seconds)
{
    char text[TEXT_TIME_SIZE];
    size_t n = 0;

    text_time(text, seconds);
    for (const char *c = text; *c != '\0'; c++)
        if (*c != '-' && *c != ':')
            out[n++] = *c;
    out[n] = '\0';
}

/* Adds a header that is made, and signed with the others. */
__attribute__((format(printf, 3, 4))) static struct result add(struct signature *s, struct err *err,
                                                               const char *format, ...)
{
    size_t n = 0;
    va_list ap;

    while (s->headers[n] != NULL)
        n++;
    va_start(ap, format);
    int size = vasprintf(&s->headers[n], format, ap);
    va_end(ap);
    if (size >= 0)
        return OK;
    s->headers[n] = NULL;
    return fail_memory(err);
}

/* All that is signed besides what the request has. */
static struct result add_own(struct signature *s, const struct url *u, const char *time,
                             const struct credentials *c, const char *hash, struct err *err)
{
    if (!add(s, err, "Host: %.*s", (int)u->host_size, u->host).ok ||
        !add(s, err, "X-Amz-Date: %s", time).ok)
        return FAIL;
    if (c->token.bytes != NULL &&
        !add(s, err, "X-Amz-Security-Token: %s", (const char *)c->token.bytes).ok)
        return FAIL;
    return hash == NULL ? OK : add(s, err, "X-Amz-Content-SHA256: %s", hash);
}

struct result sign_request(struct http_request *request, struct signature *s,
                           const struct credentials *c, const struct signing *signing,
                           struct err *err)
{
    char own[HASH_TEXT], hash[HASH_TEXT], time[TIME_SIZE], scope[SCOPE_MAX], names[NAMES_MAX],
        text[sizeof ALGORITHM + TIME_SIZE + SCOPE_MAX + HASH_TEXT], signature[HASH_TEXT];
    const struct url u = take_apart(request->url);
    const char *body = signing->body_hash != NULL ? signing->body_hash : own;
    struct canonical canonical = {.count = 0};

    if (signing->body_hash == NULL)
        hash_text(own, request->body);
    time_text(time, signing->time);
    snprintf(scope, sizeof scope, "%.8s/%s/%s/aws4_request", time, signing->region,
             signing->service);
    if (!add_own(s, &u, time, c, signing->body_hash, err).ok ||
        !collect(&canonical, request->headers, err).ok ||
        !collect(&canonical, (const char *const *)s->headers, err).ok ||
        !hash_request(&canonical, request, &u, body, hash, err).ok)
        return FAIL;
    snprintf(text, sizeof text, ALGORITHM "\n%s\n%s\n%s", time, scope, hash);
    if (!sign_text(c, scope, text, signature, err).ok)
        return FAIL;
    (void)name_headers(&canonical, names); /* it did fit */
    request->more_headers = (const char *const *)s->headers;
    return add(s, err,
               "Authorization: " ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
               (const char *)c->access_key.bytes, scope, names, signature);
}

void signature_free(struct signature *s)
{
    for (size_t i = 0; s->headers[i] != NULL; i++)
        wiping_text_free(&s->headers[i]);
}
