#include "aws/call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aws/sign.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/stream.h"
#include "http/xml.h"

#define BACKOFF_MAX 20000u  /* milliseconds */
#define STEADY_WAIT 500u    /* milliseconds */
#define PIECE 8             /* bytes of a secret that no message may have */
#define ATTEMPT_LEAST 1000u /* milliseconds that an attempt gets at least */

static const char wrong_clock[] =
    "set the clock of this machine: by it, the request is minutes too old or from the future";
static const char unknown_caller[] =
    "AWS does not know these credentials; 'bulla key check' shows where they are from";
static const char wrong_signature[] = "the secret key is wrong, or the clock of this machine";
static const char too_old[] = "the credentials have expired";

/* The errors that may pass: first botocore's throttling and transient errors. */
static const struct refusal common[] = {
    {"Throttling", ERR_STORE, NULL},
    {"ThrottlingException", ERR_STORE, NULL},
    {"ThrottledException", ERR_STORE, NULL},
    {"RequestThrottledException", ERR_STORE, NULL},
    {"RequestThrottled", ERR_STORE, NULL},
    {"TooManyRequestsException", ERR_STORE, NULL},
    {"ProvisionedThroughputExceededException", ERR_STORE, NULL},
    {"TransactionInProgressException", ERR_STORE, NULL},
    {"RequestLimitExceeded", ERR_STORE, NULL},
    {"BandwidthLimitExceeded", ERR_STORE, NULL},
    {"LimitExceededException", ERR_STORE, NULL},
    {"SlowDown", ERR_STORE, NULL},
    {"PriorRequestNotComplete", ERR_STORE, NULL},
    {"RequestTimeout", ERR_STORE, NULL},
    {"RequestTimeoutException", ERR_STORE, NULL},
    {"IDPCommunicationError", ERR_STORE, NULL},
    {"InternalFailure", ERR_STORE, NULL},
    {"ServiceUnavailable", ERR_STORE, NULL},
    {"ServiceUnavailableException", ERR_STORE, NULL},
    {"AccessDeniedException", ERR_POLICY, NULL}, /* whoever asked knows what it takes */
    {"AccessDenied", ERR_POLICY, NULL},
    {"UnrecognizedClientException", ERR_POLICY, unknown_caller},
    {"InvalidClientTokenId", ERR_POLICY, unknown_caller},
    {"InvalidSignatureException", ERR_POLICY, wrong_signature},
    {"SignatureDoesNotMatch", ERR_POLICY, wrong_signature},
    {"ExpiredTokenException", ERR_POLICY, too_old},
    {"ExpiredToken", ERR_POLICY, too_old},
    {"RequestExpired", ERR_POLICY, wrong_clock},
    {"RequestTimeTooSkewed", ERR_POLICY, wrong_clock},
    {"RequestInTheFuture", ERR_POLICY, wrong_clock},
    {NULL, ERR_NONE, NULL},
};

static const char *const expired[] = {"ExpiredToken", "ExpiredTokenException",
                                      "TokenRefreshRequired", NULL};

static const char *const skewed[] = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture",
                                     NULL};

/* They ask all clients to slow down. */
static const char *const slowing[] = {"SlowDown", "ServiceUnavailable", "RequestLimitExceeded",
                                      "BandwidthLimitExceeded", NULL};

/* Their messages repeat the request that was signed, with its token. */
static const char *const telling[] = {"SignatureDoesNotMatch", "InvalidSignatureException",
                                      "IncompleteSignatureException", "IncompleteSignature", NULL};

static bool is_among(const char *const *names, const char *name)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* Whether a message contains a secret, or much of it: any run of 15 bytes of the secret contains
 * one of these pieces. */
static bool tells(const char *message, const char *secret)
{
    size_t size = secret != NULL ? strlen(secret) : 0;
    char piece[PIECE + 1] = "";

    for (size_t at = 0; at + PIECE <= size; at += PIECE) {
        memcpy(piece, secret + at, PIECE);
        if (strstr(message, piece) != NULL)
            return true;
    }
    return false;
}

static bool may_be_said(const char *message, const struct call *call, const struct credentials *c)
{
    return !tells(message, call->unsaid) &&
           (c == NULL || (!tells(message, (const char *)c->token.bytes) &&
                          !tells(message, (const char *)c->secret_key.bytes)));
}

/* Letters and digits of an error's name, which may have a prefix that ends in "#" and, in an old
 * kind of header, a URL after a colon. */
static void take_name(struct fault *f, const char *text)
{
    const char *sign = strrchr(text, '#');
    size_t n = 0;

    if (sign != NULL)
        text = sign + 1;
    while (n < FAULT_NAME_MAX &&
           ((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z') ||
            (*text >= '0' && *text <= '9') || *text == '.'))
        f->name[n++] = *text++;
    f->name[n] = '\0';
}

static void take_message(struct fault *f, const char *text, const struct call *call,
                         const struct credentials *c)
{
    if (text == NULL || is_among(telling, f->name) || !may_be_said(text, call, c))
        return;
    snprintf(f->message, sizeof f->message, "%s", text);
}

static void read_json_fault(struct fault *f, const json_t *json, const struct call *call,
                            const struct credentials *c)
{
    const char *name = json_text(json, "__type"), *message = json_text(json, "message");

    if (name == NULL)
        name = json_text(json, "code");
    if (name != NULL)
        take_name(f, name);
    take_message(f, message != NULL ? message : json_text(json, "Message"), call, c);
}

static void read_xml_fault(struct fault *f, const struct http_answer *a, const struct call *call,
                           const struct credentials *c)
{
    char name[FAULT_NAME_MAX + 1], message[2048];

    if (xml_text(a, "Code", name, sizeof name))
        take_name(f, name);
    if (xml_text(a, "Message", message, sizeof message))
        take_message(f, message, call, c);
}

static const struct refusal *find(const struct refusal *rows, const char *name)
{
    for (; rows != NULL && rows->name != NULL; rows++)
        if (strcmp(rows->name, name) == 0)
            return rows;
    return NULL;
}

/* Makes an error of an answer that is not a success. */
static void read_fault(struct fault *f, const struct http_answer *a, const struct call *call,
                       const struct credentials *c)
{
    json_t *json JSON_TEXT_CLEANUP = NULL;
    struct err ignored; /* it is a refusal, whatever it says */

    if (json_read(&json, a, &ignored).ok)
        read_json_fault(f, json, call, c);
    else
        read_xml_fault(f, a, call, c);
    if (!may_be_said(f->name, call, c))
        f->name[0] = '\0';
    if (f->name[0] == '\0')
        snprintf(f->name, sizeof f->name, "HTTP status %ld%s", a->status,
                 a->status >= 300 && a->status < 400 ? ", a redirect, which is not followed" : "");
    (void)http_header(a, call->id_header != NULL ? call->id_header : "x-amzn-requestid",
                      f->request_id, sizeof f->request_id);
    if (!may_be_said(f->request_id, call, c))
        f->request_id[0] = '\0';
    const struct refusal *known = find(call->refusals, f->name);
    if (known == NULL)
        known = find(common, f->name);
    bool passes = a->status >= 500 || a->status == 429 || (call->late && a->status / 100 == 2);
    f->class = known != NULL ? known->class : passes ? ERR_STORE : ERR_POLICY;
    f->hint = known != NULL ? known->hint : NULL;
    f->expired = is_among(expired, f->name);
}

/* Whoever is asked to slow down slows down all others. */
static void slow_down(struct pace *pace, uint64_t until)
{
    if (pace == NULL)
        return;
    pthread_mutex_lock(&pace->lock);
    if (until > pace->not_before)
        pace->not_before = until;
    pthread_mutex_unlock(&pace->lock);
}

/* Waits for its turn: false if the run is interrupted. */
static bool wait_turn(struct pace *pace, bool steady)
{
    uint64_t now = clock_ms(), until = 0;

    if (pace != NULL && !steady) {
        pthread_mutex_lock(&pace->lock);
        until = pace->not_before;
        pthread_mutex_unlock(&pace->lock);
    }
    return until <= now || clock_wait(until - now);
}

static int64_t known_skew(struct pace *pace)
{
    int64_t skew = 0;

    if (pace != NULL) {
        pthread_mutex_lock(&pace->lock);
        skew = pace->skew;
        pthread_mutex_unlock(&pace->lock);
    }
    return skew;
}

/* Waits as long as botocore does: a random part of 1, 2, 4 … seconds, at most 20; a steady one that
 * is interrupted, not as long. False if the operation would run out of time first. */
static bool back_off(unsigned attempt, uint64_t deadline, struct pace *pace, bool steady)
{
    uint64_t most = attempt <= 5 ? 1000u << (attempt - 1) : BACKOFF_MAX, now = clock_ms();
    struct err ignored;
    uint32_t random;

    if (!random_bytes(&random, sizeof random, &ignored).ok)
        return false;
    uint64_t wait = most * random / UINT32_MAX;
    if (now + wait + ATTEMPT_LEAST > deadline)
        return false;
    slow_down(pace, now + wait);
    bool waited = clock_wait(wait);
    if (!waited && steady)
        clock_sleep(wait < STEADY_WAIT ? wait : STEADY_WAIT);
    return waited || steady;
}

static unsigned attempts_of(const struct aws *aws, const struct call *call)
{
    return call->attempts > 0 ? call->attempts : aws->attempts;
}

/* The time after which no further attempt begins. */
static uint64_t deadline_of(const struct aws *aws, const struct call *call)
{
    uint64_t seconds =
        call->patience > 0 ? (uint64_t)call->patience * attempts_of(aws, call) : aws->timeout;

    return clock_ms() + seconds * 1000;
}

/* The time one attempt may take: its share of all, so that there is time for the others. */
static long attempt_time(const struct aws *aws, const struct call *call, uint64_t deadline)
{
    uint64_t now = clock_ms(), left = deadline > now ? deadline - now : 0;
    uint64_t share = call->patience > 0 ? (uint64_t)call->patience * 1000
                                        : (uint64_t)aws->timeout * 1000 / attempts_of(aws, call);

    if (share < ATTEMPT_LEAST)
        share = ATTEMPT_LEAST;
    if (share > left)
        share = left;
    return share > 0 ? (long)share : 1;
}

/* struct trial: a call in progress, and the state of its next attempt. */
struct trial {
    const struct aws *aws;
    const struct call *call;
    const struct caller *caller;
    bool renew;  /* the credentials first */
    bool unsent; /* for want of credentials, which were tried as often as they may be */
    struct http_answer *answer;
    struct fault *fault;
    int64_t skew; /* seconds by which the service's clock is ahead of ours */
    bool corrected;
};

/* Signs by what the caller lends at the time. */
static struct result sign(struct http_request *request, struct signature *signature,
                          const struct trial *t, struct err *err)
{
    const struct call *call = t->call;
    const struct signing signing = {call->region, call->service,
                                    (uint64_t)((int64_t)clock_now() + t->skew), call->body_hash};
    const struct credentials *c;

    return t->caller->credentials(t->caller->arg, t->renew, &c, err).ok
               ? sign_request(request, signature, c, &signing, err)
               : FAIL;
}

static void lock_caller(const struct caller *caller, bool take)
{
    if (caller == NULL || caller->lock == NULL)
        return;
    if (take)
        pthread_mutex_lock(caller->lock);
    else
        pthread_mutex_unlock(caller->lock);
}

/* Reads a refusal. What a message must not repeat is looked for while the credentials are lent. */
static struct result read_refusal(const struct trial *t, struct err *err)
{
    const struct credentials *c = NULL;
    struct result r = OK;

    lock_caller(t->caller, true);
    if (t->caller != NULL)
        r = t->caller->credentials(t->caller->arg, false, &c, err);
    if (r.ok)
        read_fault(t->fault, t->answer, t->call, c);
    lock_caller(t->caller, false);
    return r;
}

static bool is_success(const struct call *call, const struct http_answer *a)
{
    char code[FAULT_NAME_MAX + 1];

    return (a->status == 200 || (call->any_success && a->status / 100 == 2)) &&
           !(call->late && a->body_size > 0 && xml_text(a, "Code", code, sizeof code));
}

static struct result attempt(struct trial *t, long timeout, struct err *err)
{
    struct signature signature SIGNATURE_CLEANUP = {0};
    const struct call *call = t->call;
    struct http_request request = {.method = call->method != NULL ? call->method : "POST",
                                   .url = call->url,
                                   .headers = call->headers,
                                   .body = call->body,
                                   .file = call->file,
                                   .rate = call->rate,
                                   .taker = call->taker,
                                   .stall = call->stall,
                                   .steady = call->steady,
                                   .timeout = timeout};
    struct result r = OK;

    lock_caller(t->caller, true);
    if (t->caller != NULL)
        r = sign(&request, &signature, t, err);
    lock_caller(t->caller, false);
    t->unsent = !r.ok;
    if (!r.ok || !http_send(t->aws->http, &request, t->answer, err).ok)
        return FAIL;
    t->fault->status = t->answer->status;
    t->fault->repeated = t->fault->repeated || t->answer->sendings > 1;
    return is_success(call, t->answer) ? OK : read_refusal(t, err);
}

/* By how much the clock of this machine is wrong, if that is why a request was refused: the answer
 * has the service's time. Once for a call, and for all that share its pace. */
static bool correct_clock(struct trial *t)
{
    char text[HTTP_HEADER_MAX + 1];
    struct tm tm = {0};

    if (t->corrected || t->caller == NULL || !is_among(skewed, t->fault->name) ||
        !http_header(t->answer, "Date", text, sizeof text) ||
        strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
        return false;
    t->corrected = true;
    t->skew = (int64_t)timegm(&tm) - (int64_t)clock_now();
    if (t->call->pace != NULL) {
        pthread_mutex_lock(&t->call->pace->lock);
        t->call->pace->skew = t->skew;
        pthread_mutex_unlock(&t->call->pace->lock);
    }
    return true;
}

struct result call_send(const struct aws *aws, const struct call *call, const struct caller *caller,
                        struct http_answer *answer, struct fault *fault, struct err *err)
{
    struct trial t = {aws,  call, caller, false, false, answer, fault, known_skew(call->pace),
                      false};
    uint64_t deadline = deadline_of(aws, call);
    bool renewed = false, repeated = false;

    for (unsigned n = 1;; n++) {
        if (n > 1 && call->again != NULL)
            call->again(call->taker->arg);
        *fault = (struct fault){.repeated = repeated};
        struct err why = {0};
        if (!wait_turn(call->pace, call->steady))
            return fail(err, ERR_INTERRUPTED, "interrupted");
        struct result r = attempt(&t, attempt_time(aws, call, deadline), &why);
        repeated = fault->repeated;
        if (t.unsent) {
            *err = why;
            return FAIL;
        }
        t.renew = r.ok && fault->expired && caller != NULL && !renewed;
        renewed = renewed || t.renew;
        if (t.renew || (r.ok && correct_clock(&t)))
            continue;
        bool again = (r.ok ? fault->class : why.class) == ERR_STORE;
        repeated = repeated || again;
        struct pace *slowed = again && r.ok && is_among(slowing, fault->name) ? call->pace : NULL;
        if (again && n < attempts_of(aws, call) && back_off(n, deadline, slowed, call->steady))
            continue;
        if (stream_interrupted() && !call->steady)
            return fail(err, ERR_INTERRUPTED, "interrupted");
        if (r.ok)
            return OK;
        *err = why;
        err_context(err, "%s", call->what);
        return FAIL;
    }
}

void call_refused(const struct call *call, const struct fault *f, struct err *err)
{
    (void)fail(err, f->class, "%s: %s%s%s (request %s)", call->what, f->name,
               f->message[0] != '\0' ? ": " : "", f->message,
               f->request_id[0] != '\0' ? f->request_id : "without an id");
    if (f->hint != NULL)
        err_hint(err, "%s", f->hint);
}
