/* The published cases of Signature Version 4, through the signer that bulla uses. They are read
 * from the directory in BULLA_VECTORS and skipped aloud where that is not set. */
#include <jansson.h>
#include <time.h>

#include "aws/sign.h"
#include "base/text.h"
#include "crypto/primitives.h"
#include "tests/unit/test.h"

#define LINES 24

/* What bulla never sends: a path to be made shorter. */
static bool is_sent(const char *name)
{
    return strstr(name, "normalized") == NULL || strcmp(name, "get-space-unnormalized") == 0;
}

/* The path and query of a request line as they are sent, all but what a URL may have encoded. */
static void encode_path(const char *path, char *out, size_t room)
{
    size_t used = 0;

    for (; *path != '\0' && used + 4 < room; path++)
        if ((unsigned char)*path > ' ' && (unsigned char)*path < 0x7f)
            out[used++] = *path;
        else
            used += (size_t)snprintf(out + used, room - used, "%%%02X", (unsigned char)*path);
    out[used] = '\0';
}

/* The parts of a request in plain text, which is changed. */
static void read_request(char *text, struct http_request *r, const char **headers, char *url,
                         size_t room)
{
    char *body = strstr(text, "\n\n"), *line, path[512], *target, *host = NULL;
    size_t count = 0;

    if (body != NULL) {
        *body = '\0';
        r->body = (struct view){(const uint8_t *)body + 2, strlen(body + 2)};
    }
    r->method = strsep(&text, " ");
    line = strsep(&text, "\n");
    target = line;
    *strrchr(line, ' ') = '\0';
    while (text != NULL && *text != '\0' && count < LINES) {
        char *end = strchr(text, '\n');
        while (end != NULL && end[1] == ' ') /* a value of several lines */
            end = strchr(end + 1, '\n');
        headers[count++] = text;
        text = end != NULL ? end + 1 : NULL;
        if (end != NULL)
            *end = '\0';
        if (strncasecmp(headers[count - 1], "Host:", 5) == 0)
            host = strchr(headers[--count], ':') + 1;
    }
    headers[count] = NULL;
    encode_path(target, path, sizeof path);
    snprintf(url, room, "https://%s%s", host, path);
    r->url = url;
    r->headers = headers;
}

static const char *hash_text(char out[2 * SHA256_SIZE + 1], struct view body)
{
    uint8_t hash[SHA256_SIZE];

    sha256(hash, &body, 1);
    text_hex(out, hash, sizeof hash);
    return out;
}

static void one(const char *name, const json_t *vector)
{
    const json_t *context = json_object_get(vector, "context");
    const json_t *said = json_object_get(context, "credentials");
    char *text = strdup(json_string_value(json_object_get(vector, "request")));
    const char *headers[LINES + 1], *token = json_string_value(json_object_get(said, "token"));
    const char *wanted = json_string_value(json_object_get(vector, "header-signature"));
    struct signature s SIGNATURE_CLEANUP = {0};
    struct credentials c CREDENTIALS_CLEANUP = {0};
    struct signing signing = {json_string_value(json_object_get(context, "region")),
                              json_string_value(json_object_get(context, "service")), 0, NULL};
    const struct credentials_text as = {
        json_string_value(json_object_get(said, "access_key_id")),
        json_string_value(json_object_get(said, "secret_access_key")),
        strcmp(name, "post-sts-header-after") == 0 ? NULL : token, NULL};
    struct http_request r = {0};
    struct err err = {0};
    char url[1024], hash[2 * SHA256_SIZE + 1];
    size_t last = 0;

    MUST(text_untime(&signing.time, json_string_value(json_object_get(context, "timestamp"))));
    MUST(credentials_make(&c, &as, &err, "a vector").ok);
    read_request(text, &r, headers, url, sizeof url);
    if (json_is_true(json_object_get(context, "sign_body")))
        signing.body_hash = hash_text(hash, r.body);
    CHECK(sign_request(&r, &s, &c, &signing, &err).ok);
    while (s.headers[last + 1] != NULL)
        last++;
    if (!text_ends_with(s.headers[last], wanted)) {
        printf("# %s: %s, not %s\n", name, s.headers[last], wanted);
        test_faults++;
    }
    free(text);
}

static void published(void)
{
    char path[4096];
    size_t signed_count = 0;
    const char *name;
    json_t *vector;

    snprintf(path, sizeof path, "%s/aws_sigv4_test.json", getenv("BULLA_VECTORS"));
    json_auto_t *all = json_load_file(path, 0, NULL);
    MUST(all != NULL);
    json_object_foreach(all, name, vector)
    {
        if (is_sent(name)) {
            one(name, vector);
            signed_count++;
        }
    }
    CHECK(signed_count == 25);
}

/* A port that the scheme has by itself is not sent, and so not signed. */
static void hosts(void)
{
    static const char *const cases[][2] = {{"https://h:443/", "Host: h"},
                                           {"https://h:80/", "Host: h:80"},
                                           {"http://h:80/x?y", "Host: h"},
                                           {"https://[::1]:8443/x", "Host: [::1]:8443"},
                                           {"https://h?a", "Host: h"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct signature s SIGNATURE_CLEANUP = {0};
        struct credentials c CREDENTIALS_CLEANUP = {0};
        const struct credentials_text as = {"AKID", "secret", NULL, NULL};
        struct http_request r = {.method = "GET", .url = cases[i][0]};
        const struct signing signing = {"eu-west-1", "s3", 0, NULL};
        struct err err = {0};
        MUST(credentials_make(&c, &as, &err, "a test").ok);
        CHECK(sign_request(&r, &s, &c, &signing, &err).ok);
        CHECK(strcmp(s.headers[0], cases[i][1]) == 0);
    }
}

/* Every header is among those that are signed, or the request is refused: metadata has long names.
 */
static void long_names(void)
{
    char lines[32][160];
    const char *headers[33] = {0};

    for (size_t length = 10; length < 150; length += 20) {
        struct signature s SIGNATURE_CLEANUP = {0};
        struct credentials c CREDENTIALS_CLEANUP = {0};
        const struct credentials_text as = {"AKID", "secret", NULL, NULL};
        struct http_request r = {.method = "PUT", .url = "https://h/", .headers = headers};
        const struct signing signing = {"eu-west-1", "s3", 0, NULL};
        struct err err = {0};
        size_t last = 0;
        for (size_t i = 0; i < 32; i++) {
            snprintf(lines[i], sizeof lines[i], "x-amz-meta-%0*zu: v", (int)length, i);
            headers[i] = lines[i];
        }
        MUST(credentials_make(&c, &as, &err, "a test").ok);
        bool fits = 32 * (length + sizeof "x-amz-meta") < 4000;
        CHECK(sign_request(&r, &s, &c, &signing, &err).ok == fits);
        while (fits && s.headers[last + 1] != NULL)
            last++;
        for (size_t i = 0; fits && i < 32; i++) {
            *strchr(lines[i], ':') = '\0';
            CHECK(strstr(s.headers[last], lines[i]) != NULL);
        }
    }
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok);
    RUN(hosts);
    RUN(long_names);
    if (getenv("BULLA_VECTORS") != NULL)
        RUN(published);
    else
        SKIP(published, "BULLA_VECTORS is not set");
    return DONE();
}
