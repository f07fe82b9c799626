/* token_job: jobs that are done with what a reference names, on its module's thread. */
#ifndef BULLA_KEYSTORE_PKCS11_TOKEN_JOB_H
#define BULLA_KEYSTORE_PKCS11_TOKEN_JOB_H

#include "keystore/pkcs11/key_reference.h"

/* struct token_job: a job with a reference, and what goes in and comes out. */
struct token_job {
    struct job job; /* the first member */
    struct key_reference *reference;
    struct result (*run)(struct token_job *job, struct err *err);
    struct result result;
    struct err err;
    uint8_t branch_id[BRANCH_ID_SIZE];
    struct secret branch_key;
    struct slot slot;
    enum unwrapped unwrapped;
    struct key_wanted wanted;
    struct key_info info;
    char *text;
    struct fact *facts; /* in order; token_job_tell hands them on */
    size_t fact_count;
    bool lost; /* there was no memory for a fact: the job fails */
    bool once; /* it made something: it is not done again after a session was lost */
};

/* token_job_new makes a job; NULL if memory is out. */
struct token_job *token_job_new(struct key_reference *n,
                                struct result (*what)(struct token_job *job, struct err *err),
                                struct err *err);

/* token_job_do does it; false if it failed or was given up, and then *job is freed or out of reach.
 */
__attribute__((warn_unused_result)) bool token_job_do(struct token_job *job, struct err *err);
void token_job_free(struct token_job *job);

/* token_job_open opens a reference and does one job with it, for which want may be NULL. On failure
 * there is nothing left to drop or free; else both are the caller's. */
FALLIBLE token_job_open(struct key_reference **out, struct token_job **done,
                        const struct keystore_env *env, const char *reference,
                        struct result (*what)(struct token_job *job, struct err *err),
                        const struct key_wanted *want, struct err *err);

/* token_job_fact adds a fact to those that token_job_tell tells; with begin true the name and
 * reference of what the facts after it are of. A value NULL is one that there was no memory for. */
void token_job_fact(struct token_job *job, bool begin, const char *name, const char *value);

/* token_job_tell hands the facts on. */
void token_job_tell(const struct token_job *job, const struct key_sink *sink);

/* token_job_warn warns the user, from the module's thread. */
void token_job_warn(struct token_job *job, const char *text);

#endif
