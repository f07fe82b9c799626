/* http: one request and its answer, by libcurl. Certificates and names of hosts are always
 * verified, TLS is 1.2 or later, redirects are not followed. Answers are small, unless the caller
 * takes them as they come. Connections are kept for the next request. */
#ifndef BULLA_HTTP_HTTP_H
#define BULLA_HTTP_HTTP_H

#include "base/rate.h"
#include "base/secret.h"
#include "base/wire.h"

#define HTTP_ANSWER_MAX (64 * 1024) /* bytes */
#define HTTP_HEADERS_MAX (32 * 1024)
#define HTTP_HEADER_MAX 128

struct http;

/* struct http_taker: takes the body of an answer of status 2xx piece by piece, instead of the
 * answer. A failure of take ends the request. */
struct http_taker {
    struct result (*take)(void *arg, const void *bytes, size_t size, struct err *err);
    void *arg;
};

/* struct http_file: a part of a file that is sent: where nobody else changes it, and a thread may
 * read it at any place. */
struct http_file {
    int fd;
    uint64_t at, size; /* bytes */
};

/* http_file_read reads up to size bytes from an offset in the part; *got is less only at its end.
 */
FALLIBLE http_file_read(const struct http_file *f, uint64_t offset, void *buf, size_t size,
                        size_t *got, struct err *err);

struct http_request {
    const char *method; /* "GET", "HEAD", "PUT", "POST" or "DELETE" */
    const char *url;    /* sent as it is: no part of its path is made shorter */
    const char *const *headers, *const *more_headers; /* "Name: value", ended by NULL; or NULL */
    struct view body;                                 /* of a POST or a PUT */
    const struct http_file *file;                     /* in place of it; or NULL */
    struct rate *rate;                                /* of its body and the answer's; or NULL */
    const struct http_taker *taker;                   /* or NULL */
    bool near;    /* of this machine: no proxy is asked, plain http is allowed */
    long timeout; /* milliseconds for all of it */
    long stall;   /* seconds after which one that comes to a halt is given up; 0 = never */
    bool steady;  /* it is sent even by a run that was interrupted, to clean up */
};

/* struct http_answer: {0} is empty and safe to free. */
struct http_answer {
    long status;
    struct secret body; /* zero-terminated after body_size bytes */
    size_t body_size;
    char *headers; /* "name: value", each with a line end, and a zero; NULL if none came */
    size_t headers_size;
    bool reached;      /* a server accepted the connection, whatever came after */
    unsigned sendings; /* of the request: after the first, the server may have had it before */
};

#define HTTP_ANSWER_CLEANUP __attribute__((cleanup(http_answer_free)))

/* http_new makes a client. ca_bundle is a file of the only certificates to be trusted; NULL = the
 * system's. ca_hint, a constant, tells a person how to name another. ERR_POLICY if somebody else
 * may have written the file. */
FALLIBLE http_new(struct http **out, const char *ca_bundle, const char *ca_hint, struct err *err);
void http_free(struct http **http);

/* http_send sends a request and takes the answer, whatever its status. ERR_STORE where a retry may
 * help; ERR_POLICY where the server is not trusted; ERR_INTERRUPTED. answer->reached is set on
 * failure too. */
FALLIBLE http_send(struct http *http, const struct http_request *request,
                   struct http_answer *answer, struct err *err);
void http_answer_free(struct http_answer *answer);

/* http_header copies the value of the header of this name up to the first byte that is not
 * printable ASCII; false, and out empty, if there is none or it does not fit. */
bool http_header(const struct http_answer *answer, const char *name, char *out, size_t room);

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
