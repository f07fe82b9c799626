#include "http/http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/stream.h"
#include "base/trusted_file.h"
#include "http/libcurl.h"
#include "http/wiping_allocator.h"

#define CONNECT_TIMEOUT 5000L /* milliseconds */
#define FIRST_ROOM 8192       /* bytes */
#define KEPT_MAX 64           /* threads that may send at once and have their connections kept */
#define UNRESERVED                                                                                 \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" /* RFC 3986 */

/* Connections are kept in libcurl shares, one for each thread that is sending. A handle lives for
 * one request: its buffers, which may hold keys, are wiped with it. */
struct http {
    const struct libcurl *curl;
    char *ca_bundle;
    const char *ca_hint;
    pthread_mutex_t lock; /* for what follows */
    CURLSH *kept[KEPT_MAX];
    size_t kept_count;
};

/* struct transfer: one request on its way. */
struct transfer {
    const struct libcurl *curl;
    CURL *handle;
    struct http_answer *answer;
    const struct http_taker *taker;
    struct curl_slist *headers;
    struct rate *rate;
    const struct http_request *request;
    uint64_t sent; /* bytes of the request's body */
    bool steady;
    bool too_long;
    bool failed; /* to store the answer */
    struct err *err;
};

/* Who can write this file chooses which servers are believed. One that cannot be opened is left to
 * libcurl, which says so. */
static struct result judge_bundle(const char *path, struct err *err)
{
    int fd FD_CLEANUP = path != NULL ? open(path, O_PATH | O_CLOEXEC) : -1;

    return fd < 0 ? OK : trusted_file(fd, path, "file of certificates", err);
}

struct result http_new(struct http **out, const char *ca_bundle, const char *ca_hint,
                       struct err *err)
{
    struct http *h = NULL;

    if (!judge_bundle(ca_bundle, err).ok)
        return FAIL;
    h = calloc(1, sizeof *h);
    if (h == NULL)
        return fail_memory(err);
    if (!libcurl_load(&h->curl, err).ok) {
        free(h);
        return FAIL;
    }
    pthread_mutex_init(&h->lock, NULL);
    h->ca_hint = ca_hint;
    h->ca_bundle = ca_bundle != NULL ? strdup(ca_bundle) : NULL;
    if (ca_bundle != NULL && h->ca_bundle == NULL) {
        http_free(&h);
        return fail_memory(err);
    }
    *out = h;
    return OK;
}

void http_free(struct http **http)
{
    struct http *h = *http;

    if (h == NULL)
        return;
    while (h->kept_count > 0)
        (void)h->curl->share_cleanup(h->kept[--h->kept_count]);
    pthread_mutex_destroy(&h->lock);
    free(h->ca_bundle);
    free(h);
    *http = NULL;
}

/* The connections for one request; NULL, which is no failure, if there is no memory for them. */
static CURLSH *take_kept(struct http *h)
{
    CURLSH *kept = NULL;

    pthread_mutex_lock(&h->lock);
    if (h->kept_count > 0)
        kept = h->kept[--h->kept_count];
    pthread_mutex_unlock(&h->lock);
    if (kept != NULL || (kept = h->curl->share_init()) == NULL)
        return kept;
    (void)h->curl->share_setopt(kept, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    (void)h->curl->share_setopt(kept, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return kept;
}

static void give_kept(struct http *h, CURLSH *kept)
{
    pthread_mutex_lock(&h->lock);
    bool room = kept != NULL && h->kept_count < KEPT_MAX;
    if (room)
        h->kept[h->kept_count++] = kept;
    pthread_mutex_unlock(&h->lock);
    if (!room && kept != NULL)
        (void)h->curl->share_cleanup(kept);
}

void http_answer_free(struct http_answer *answer)
{
    secret_free(&answer->body);
    free(answer->headers);
    *answer = (struct http_answer){0};
}

bool http_header(const struct http_answer *answer, const char *name, char *out, size_t room)
{
    size_t size = strlen(name), n = 0;
    const char *at = answer->headers;

    out[0] = '\0';
    while (at != NULL && *at != '\0' && (strncasecmp(at, name, size) != 0 || at[size] != ':'))
        at = strchr(at, '\n') != NULL ? strchr(at, '\n') + 1 : NULL;
    if (at == NULL || *at == '\0')
        return false;
    at += size + 1;
    at += strspn(at, " \t");
    while (at[n] >= ' ' && at[n] < 0x7f)
        n++;
    while (n > 0 && at[n - 1] == ' ')
        n--;
    if (n >= room)
        return false;
    memcpy(out, at, n);
    out[n] = '\0';
    return true;
}

/* Room for size bytes and a zero. */
static struct result make_room(struct http_answer *a, size_t size, struct err *err)
{
    struct secret larger SECRET_CLEANUP = {0};
    size_t room = a->body.size > 0 ? a->body.size : FIRST_ROOM;

    while (room <= size)
        room *= 2;
    if (room == a->body.size)
        return OK;
    if (!secret_new(&larger, room, err).ok)
        return FAIL;
    if (a->body_size > 0)
        memcpy(larger.bytes, a->body.bytes, a->body_size);
    secret_free(&a->body);
    a->body = TAKE(larger);
    return OK;
}

/* Whether the body goes to the taker: the body of an error goes into the answer. */
static bool is_taken(const struct transfer *t)
{
    long status = 0;

    return t->taker != NULL &&
           t->curl->easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
           status / 100 == 2;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct http_answer *a = t->answer;
    size_t size = one * count;

    if (!rate_take(t->rate, size) && !t->steady)
        return 0;
    if (is_taken(t)) {
        t->failed = !t->taker->take(t->taker->arg, bytes, size, t->err).ok;
        return t->failed ? 0 : size;
    }
    t->too_long = size > HTTP_ANSWER_MAX - a->body_size;
    if (t->too_long)
        return 0;
    t->failed = !make_room(a, a->body_size + size, t->err).ok;
    if (t->failed)
        return 0;
    memcpy(a->body.bytes + a->body_size, bytes, size);
    a->body_size += size;
    return size;
}

/* Keeps the headers of the last answer: others may come before it, such as 100. */
static size_t on_header(char *line, size_t one, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct http_answer *a = t->answer;
    size_t size = one * count;

    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        a->headers_size = 0;
    t->too_long = size > HTTP_HEADERS_MAX - a->headers_size;
    if (t->too_long) /* a part of them would be taken for all */
        return 0;
    char *longer = realloc(a->headers, a->headers_size + size + 1);
    if (longer == NULL) {
        t->failed = true;
        err_set(t->err, ERR_FAILED, "out of memory");
        return 0;
    }
    memcpy(longer + a->headers_size, line, size);
    a->headers = longer;
    a->headers_size += size;
    longer[a->headers_size] = '\0';
    return size;
}

struct result http_file_read(const struct http_file *f, uint64_t offset, void *buf, size_t size,
                             size_t *got, struct err *err)
{
    uint64_t left = offset < f->size ? f->size - offset : 0;
    size_t wanted = left < size ? (size_t)left : size;

    for (*got = 0; *got < wanted;) {
        ssize_t n =
            pread(f->fd, (uint8_t *)buf + *got, wanted - *got, (off_t)(f->at + offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(err, ERR_FAILED, "cannot read a temporary file: %s",
                        n < 0 ? strerror(errno) : "it became shorter");
        *got += (size_t)n;
    }
    return OK;
}

/* Gives libcurl the next bytes to send. */
static size_t on_send(char *to, size_t one, size_t count, void *arg)
{
    struct transfer *t = arg;
    const struct http_request *r = t->request;
    uint64_t left = r->body.size - t->sent;
    size_t room = one * count, size = room;

    if (r->file != NULL) {
        t->failed = !http_file_read(r->file, t->sent, to, room, &size, t->err).ok;
    } else {
        size = left < room ? (size_t)left : room;
        if (size > 0)
            memcpy(to, r->body.bytes + t->sent, size);
    }
    if (t->failed || (!rate_take(t->rate, size) && !t->steady))
        return CURL_READFUNC_ABORT;
    t->sent += size;
    return size;
}

/* A connection that turns out to be closed has the request sent once more by another. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;

    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    t->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* libcurl sends a request once more where a kept connection ends before an answer. */
static int on_request(void *arg, char *a, char *b, int c, int d)
{
    struct transfer *t = arg;

    (void)a, (void)b, (void)c, (void)d;
    t->answer->sendings++;
    return CURL_PREREQFUNC_OK;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *t = arg;

    (void)a, (void)b, (void)c, (void)d;
    return stream_interrupted() && !t->steady ? 1 : 0;
}

/* libcurl sends no header without a value, unless its name ends in a semicolon. */
static bool add_header(struct http *h, struct transfer *t, const char *header)
{
    size_t name = strcspn(header, ":");
    bool blank = header[name] == ':' && header[name + 1 + strspn(header + name + 1, " \t")] == '\0';
    char *empty STRING_CLEANUP = blank ? strndup(header, name + 1) : NULL;
    struct curl_slist *longer = NULL;

    if (empty != NULL)
        empty[name] = ';';
    if (!blank || empty != NULL)
        longer = h->curl->slist_append(t->headers, blank ? empty : header);
    if (longer != NULL)
        t->headers = longer;
    return longer != NULL;
}

static bool add_headers(struct http *h, struct transfer *t, const char *const *headers)
{
    for (; headers != NULL && *headers != NULL; headers++)
        if (!add_header(h, t, *headers))
            return false;
    return true;
}

/* struct setting: collects whether every option was taken: one that an older library does not know
 * must not be left out in silence. */
struct setting {
    const struct libcurl *curl;
    CURL *handle;
    bool bad;
};

/* The value has the type that the option takes. */
#define SET(s, option, value)                                                                      \
    ((s)->bad = (s)->curl->easy_setopt((s)->handle, option, value) != CURLE_OK || (s)->bad)

static void set_long(struct setting *s, CURLoption option, long value)
{
    SET(s, option, value);
}

/* Whether libcurl asks for the body piece by piece. */
static bool sends_slowly(const struct http_request *r)
{
    return r->file != NULL || (r->rate != NULL && r->rate->per_second > 0 && r->body.size > 0);
}

static void set_callbacks(struct setting *s, struct transfer *t)
{
    SET(s, CURLOPT_WRITEFUNCTION, on_body);
    SET(s, CURLOPT_HEADERFUNCTION, on_header);
    SET(s, CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(s, CURLOPT_PREREQFUNCTION, on_request);
    if (sends_slowly(t->request)) {
        SET(s, CURLOPT_READFUNCTION, on_send);
        SET(s, CURLOPT_SEEKFUNCTION, on_seek);
        SET(s, CURLOPT_READDATA, t);
        SET(s, CURLOPT_SEEKDATA, t);
    }
    SET(s, CURLOPT_PREREQDATA, t);
    SET(s, CURLOPT_WRITEDATA, t);
    SET(s, CURLOPT_HEADERDATA, t);
    SET(s, CURLOPT_XFERINFODATA, t);
    set_long(s, CURLOPT_NOPROGRESS, 0);
}

static void set_security(struct setting *s, const struct http *h, const struct http_request *r)
{
    bool tls = strncmp(r->url, "https:", 6) == 0;

    SET(s, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http");
    set_long(s, CURLOPT_FOLLOWLOCATION, 0);
    set_long(s, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    set_long(s, CURLOPT_SSL_VERIFYPEER, 1);
    set_long(s, CURLOPT_SSL_VERIFYHOST, 2);
    if (h->ca_bundle != NULL) {
        SET(s, CURLOPT_CAINFO, h->ca_bundle);
        SET(s, CURLOPT_CAPATH, NULL); /* the system's directory would count too */
    }
    if (r->near || !tls) /* nothing leaves the machine unprotected */
        SET(s, CURLOPT_PROXY, "");
}

static void set_body(struct setting *s, const struct http_request *r)
{
    curl_off_t size = (curl_off_t)(r->file != NULL ? r->file->size : r->body.size);

    set_long(s, CURLOPT_POST, 1);
    SET(s, CURLOPT_POSTFIELDSIZE_LARGE, size);
    if (!sends_slowly(r))
        SET(s, CURLOPT_POSTFIELDS, r->body.bytes != NULL ? (const void *)r->body.bytes : "");
}

static void set_request(struct setting *s, const struct http_request *r, const struct transfer *t)
{
    SET(s, CURLOPT_URL, r->url);
    set_long(s, CURLOPT_PATH_AS_IS, 1);
    SET(s, CURLOPT_HTTPHEADER, t->headers);
    SET(s, CURLOPT_USERAGENT, "bulla/" BULLA_VERSION);
    set_long(s, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    set_long(s, CURLOPT_NOSIGNAL, 1);
    set_long(s, CURLOPT_QUICK_EXIT, 1); /* a name server that is silent is not waited for */
    set_long(s, CURLOPT_TIMEOUT_MS, r->timeout);
    set_long(s, CURLOPT_LOW_SPEED_LIMIT, 1);
    set_long(s, CURLOPT_LOW_SPEED_TIME, r->stall);
    set_long(s, CURLOPT_CONNECTTIMEOUT_MS,
             r->timeout < CONNECT_TIMEOUT ? r->timeout : CONNECT_TIMEOUT);
    if (strcmp(r->method, "POST") == 0 || r->body.bytes != NULL || r->file != NULL)
        set_body(s, r);
    set_long(s, CURLOPT_NOBODY, strcmp(r->method, "HEAD") == 0);
    SET(s, CURLOPT_CUSTOMREQUEST, r->method);
}

/* An answer that anybody nearby may have given is not kept: whether the service is there is asked
 * each time. */
static void set_kept(struct setting *s, const struct http_request *r, CURLSH *kept)
{
    if (kept != NULL && !r->near)
        SET(s, CURLOPT_SHARE, kept);
}

/* What libcurl says went wrong. */
static struct result transport_fault(const struct http *h, const struct transfer *t, CURLcode code,
                                     const char *detail, const char *url, struct err *err)
{
    const char *what = detail[0] != '\0' ? detail : h->curl->easy_strerror(code);

    if (t->failed)
        return FAIL;
    if (t->too_long)
        return fail(err, ERR_POLICY,
                    "the answer of '%s' is longer than %d bytes, or its headers than %d", url,
                    HTTP_ANSWER_MAX, HTTP_HEADERS_MAX);
    if (code == CURLE_ABORTED_BY_CALLBACK || (code == CURLE_WRITE_ERROR && stream_interrupted()))
        return fail(err, ERR_INTERRUPTED, "interrupted");
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_ISSUER_ERROR) {
        (void)fail(err, ERR_POLICY, "'%s' is not trusted: %s", url, what);
        return fail_hint(err, "%s", h->ca_hint);
    }
    if (code == CURLE_OUT_OF_MEMORY)
        return fail_memory(err);
    return fail(err, ERR_STORE, "cannot reach '%s': %s", url, what);
}

static struct result perform(struct http *h, const struct http_request *r, struct transfer *t,
                             CURLSH *kept, struct err *err)
{
    struct setting s = {h->curl, t->handle, false};
    char detail[CURL_ERROR_SIZE] = "";
    curl_off_t connect_time = 0;

    SET(&s, CURLOPT_ERRORBUFFER, detail);
    set_request(&s, r, t);
    set_security(&s, h, r);
    set_kept(&s, r, kept);
    set_callbacks(&s, t);
    CURLcode code = s.bad ? CURLE_UNKNOWN_OPTION : h->curl->easy_perform(s.handle);
    h->curl->easy_getinfo(s.handle, CURLINFO_RESPONSE_CODE, &t->answer->status);
    h->curl->easy_getinfo(s.handle, CURLINFO_CONNECT_TIME_T, &connect_time);
    t->answer->reached = connect_time > 0 || t->answer->status > 0;
    if (s.bad)
        return fail(err, ERR_UNSUPPORTED, "the libcurl of this machine is too old");
    return code == CURLE_OK ? OK : transport_fault(h, t, code, detail, r->url, err);
}

static struct result send_by(struct http *h, const struct http_request *r, struct transfer *t,
                             struct err *err)
{
    CURLSH *kept = take_kept(h);
    struct result sent = FAIL;

    t->handle = h->curl->easy_init();
    if (t->handle == NULL || !add_headers(h, t, r->headers) || !add_headers(h, t, r->more_headers))
        (void)fail_memory(err);
    else
        sent = perform(h, r, t, kept, err);
    if (t->handle != NULL)
        h->curl->easy_cleanup(t->handle);
    h->curl->slist_free_all(t->headers);
    give_kept(h, kept);
    return sent;
}

struct result http_send(struct http *h, const struct http_request *request,
                        struct http_answer *answer, struct err *err)
{
    struct http_answer made HTTP_ANSWER_CLEANUP = {0};
    struct transfer t = {.curl = h->curl,
                         .answer = &made,
                         .taker = request->taker,
                         .rate = request->rate,
                         .request = request,
                         .steady = request->steady,
                         .err = err};

    if (!make_room(&made, 0, err).ok)
        return FAIL;
    struct result r = send_by(h, request, &t, err);
    answer->reached = made.reached;
    if (!r.ok)
        return FAIL;
    made.body.bytes[made.body_size] = '\0';
    http_answer_free(answer);
    *answer = TAKE(made);
    return OK;
}

bool http_is_loopback(const char *host)
{
    struct in6_addr six;
    struct in_addr four;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* One part of a parsed URL, or NULL; freed by libcurl's free. */
static char *part_of(const struct libcurl *curl, CURLU *u, CURLUPart part)
{
    char *text = NULL;

    return curl->url_get(u, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* Fills a place from the parts of a URL, of which scheme and host are always there. */
static bool fill_place(struct http_place *p, const char *scheme, const char *host, const char *port)
{
    size_t size = strlen(host), used;

    used = (size_t)snprintf(p->root, sizeof p->root, "%s://%s%s%s", scheme, host,
                            port != NULL ? ":" : "", port != NULL ? port : "");
    if (used >= sizeof p->root || size >= sizeof p->host)
        return false;
    bool six = host[0] == '[' && host[size - 1] == ']';
    memcpy(p->host, host + six, size - 2 * six);
    p->host[size - 2 * six] = '\0';
    for (char *c = p->host; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    p->tls = strcmp(scheme, "https") == 0;
    return p->tls || strcmp(scheme, "http") == 0;
}

/* The path of a URL that has nothing else after the host: "/" and characters that are the same
 * however they are signed. */
static void fill_path(struct http_place *p, const char *path, bool has_more)
{
    const char *text = path != NULL ? path : "/";
    bool same = strspn(text, UNRESERVED "/") == strlen(text) && strstr(text, "//") == NULL;

    if (!has_more && same && strlen(text) < sizeof p->path)
        memcpy(p->path, text, strlen(text) + 1);
}

static bool read_place(const struct libcurl *curl, CURLU *u, struct http_place *p, const char *url)
{
    enum { SCHEME, HOST, PORT, USER, PASSWORD, PATH, PARTS };
    static const CURLUPart parts[PARTS] = {
        [SCHEME] = CURLUPART_SCHEME, [HOST] = CURLUPART_HOST,         [PORT] = CURLUPART_PORT,
        [USER] = CURLUPART_USER,     [PASSWORD] = CURLUPART_PASSWORD, [PATH] = CURLUPART_PATH,
    };
    char *got[PARTS] = {NULL};
    bool good = curl->url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK;

    for (size_t i = 0; good && i < PARTS; i++)
        got[i] = part_of(curl, u, parts[i]);
    good = good && got[SCHEME] != NULL && got[HOST] != NULL && got[USER] == NULL &&
           got[PASSWORD] == NULL && fill_place(p, got[SCHEME], got[HOST], got[PORT]);
    fill_path(p, got[PATH],
              strpbrk(url, "?#") != NULL); /* of an empty query libcurl tells no more */
    for (size_t i = 0; i < PARTS; i++)
        curl->free(got[i]);
    return good;
}

struct result http_place_of(struct http_place *place, const char *url, struct err *err)
{
    struct http_place p = {0};
    const struct libcurl *curl;

    if (!libcurl_load(&curl, err).ok)
        return FAIL;
    CURLU *u = curl->url();
    if (u == NULL)
        return fail_memory(err);
    bool good = read_place(curl, u, &p, url);
    curl->url_cleanup(u);
    if (!good && strchr(url, '@') != NULL) /* perhaps a password */
        return fail(err, ERR_USAGE, "the URL of a service has no '@' in it");
    if (!good)
        return fail(err, ERR_USAGE, "'%s' is not the URL of a service", url);
    *place = p;
    return OK;
}
