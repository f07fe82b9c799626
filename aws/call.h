/* call: a request to a service of AWS, with retries as in botocore's standard mode. */
#ifndef BULLA_AWS_CALL_H
#define BULLA_AWS_CALL_H

#include <pthread.h>

#include "aws/credentials/credentials.h"

#define FAULT_NAME_MAX 64
#define FAULT_MESSAGE_MAX 512

/* struct refusal: what the name of an error means, whatever the HTTP status. */
struct refusal {
    const char *name;     /* as the service calls it */
    enum err_class class; /* ERR_STORE: it may pass by itself */
    const char *hint;     /* what to do, or NULL */
};

/* struct pace: what the calls of a run to one place learn from each other; {0} but for its lock,
 * which whoever has it makes, is nothing yet. */
struct pace {
    pthread_mutex_t lock;
    uint64_t not_before; /* in milliseconds of clock_ms: no attempt begins earlier */
    int64_t skew;        /* seconds by which the service's clock is ahead of ours */
};

/* struct call: what is asked of which service. */
struct call {
    const char *service; /* "kms", "sts" or "s3" */
    const char *region;
    const char *method; /* NULL = POST */
    const char *url;
    const char *const *headers; /* "Name: value", ended by NULL */
    const char *what;           /* "kms:Decrypt", for messages */
    struct view body;
    const struct http_file *file;   /* in place of it; or NULL */
    struct rate *rate;              /* as of struct http_request */
    struct pace *pace;              /* or NULL */
    const struct http_taker *taker; /* of the body of an answer; or NULL */
    void (*again)(void *arg); /* before each attempt but the first, with taker's arg; or NULL */
    const char *unsaid;       /* a secret of the body, which no message may repeat; or NULL */
    const struct refusal *refusals; /* of this service alone, ended by a name of NULL; or NULL */
    const char *id_header;          /* with the id of the request; NULL = x-amzn-requestid */
    const char *body_hash;          /* as of struct signing */
    bool any_success;               /* any status 2xx is one, not 200 alone */
    bool late; /* an answer of status 2xx may be an error, which came up after it was begun */
    unsigned attempts; /* 0 = those of the user's settings */
    unsigned patience; /* seconds that one attempt may take; 0 = its share of all */
    long stall;        /* as of struct http_request */
    bool steady;       /* the same */
};

/* struct fault: how a service refused; name is empty if it did not. */
struct fault {
    char name[FAULT_NAME_MAX + 1];       /* as the service calls it: "ThrottlingException" */
    char message[FAULT_MESSAGE_MAX + 1]; /* what it says; empty if that would tell a secret */
    char request_id[HTTP_HEADER_MAX + 1];
    enum err_class class; /* ERR_STORE: a retry may help */
    const char *hint;     /* what to do, or NULL */
    bool expired;         /* new credentials may help */
    long status;          /* of the answer, also of one that is no refusal */
    bool repeated;        /* an earlier attempt may have been carried out */
};

/* struct caller: who calls: asked before each attempt, so that credentials are fresh. A call that
 * is not signed has none. */
struct caller {
    struct result (*credentials)(void *arg, bool renew, const struct credentials **out,
                                 struct err *err);
    void *arg;
    pthread_mutex_t *lock; /* held while credentials are got and used; NULL: the caller holds it */
};

/* call_send sends and retries within the time of aws->timeout. OK if the service answered: with
 * *answer if fault->name is empty, else it refused. Fails if nothing answered. */
FALLIBLE call_send(const struct aws *aws, const struct call *call, const struct caller *caller,
                   struct http_answer *answer, struct fault *fault, struct err *err);

/* call_refused makes an error of a refusal, with its hint. */
void call_refused(const struct call *call, const struct fault *f, struct err *err);

#endif
