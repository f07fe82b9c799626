/* http: one request and its answer, by libcurl. Certificates and names of hosts are always
 * verified, TLS is 1.2 or later, redirects are not followed, answers are small. */
#ifndef BULLA_HTTP_HTTP_H
#define BULLA_HTTP_HTTP_H

#include "base/secret.h"
#include "base/wire.h"

#define HTTP_ANSWER_MAX (64 * 1024) /* bytes */
#define HTTP_HEADER_MAX 128

struct http;

/* struct http_sigv4: what libcurl signs a request with. */
struct http_sigv4 {
    const char *provider; /* as CURLOPT_AWS_SIGV4 takes it */
    const char *access_key, *secret_key;
};

struct http_request {
    const char *method; /* "GET", "PUT" or "POST" */
    const char *url;
    const char *const *headers, *const *more_headers; /* "Name: value", ended by NULL; or NULL */
    struct view body;                                 /* of a POST */
    const struct http_sigv4 *sigv4;                   /* NULL: it is not signed */
    const char *wanted_header; /* "name:", of the answer, whose value is kept; or NULL */
    bool near;                 /* of this machine: no proxy is asked, plain http is allowed */
    long timeout;              /* milliseconds for all of it */
};

/* struct http_answer: {0} is empty and safe to free. */
struct http_answer {
    long status;
    struct secret body; /* zero-terminated after body_size bytes */
    size_t body_size;
    char header[HTTP_HEADER_MAX + 1]; /* what was wanted: printable ASCII; empty if none came */
    bool reached;                     /* a server accepted the connection, whatever came after */
};

#define HTTP_ANSWER_CLEANUP __attribute__((cleanup(http_answer_free)))

/* http_new makes a client. ca_bundle is a file of the only certificates to be trusted; NULL = the
 * system's. ca_hint, a constant, tells a person how to name another. */
FALLIBLE http_new(struct http **out, const char *ca_bundle, const char *ca_hint, struct err *err);
void http_free(struct http **http);

/* http_send sends a request and takes the answer, whatever its status. ERR_STORE where a retry may
 * help; ERR_POLICY where the server is not trusted; ERR_INTERRUPTED. answer->reached is set on
 * failure too. */
FALLIBLE http_send(struct http *http, const struct http_request *request,
                   struct http_answer *answer, struct err *err);
void http_answer_free(struct http_answer *answer);

/* struct http_place: a URL taken apart. */
struct http_place {
    bool tls;
    char host[256]; /* lower case; an IPv6 address without brackets */
    char root[320]; /* scheme, host and port, without a slash at the end */
    char path[128]; /* "/", or that of the URL; empty if the URL has more than a path, or a path
                     * that can be signed in several ways */
};

/* http_place_of takes a URL apart as libcurl does. ERR_USAGE if it is not http or https, or names a
 * user. */
FALLIBLE http_place_of(struct http_place *place, const char *url, struct err *err);

/* http_is_loopback is true for the names and addresses of this machine. */
bool http_is_loopback(const char *host);

#endif
