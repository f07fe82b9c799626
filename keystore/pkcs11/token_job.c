#include "keystore/pkcs11/token_job.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* struct fact: one of a job's. */
struct fact {
    bool begin;
    char *name, *value;
};

static void drop_facts(struct token_job *job)
{
    for (size_t i = 0; i < job->fact_count; i++) {
        free(job->facts[i].name);
        free(job->facts[i].value);
    }
    job->fact_count = 0;
}

/* After a failover the module has a new session, and objects have other handles. A job that failed
 * because of that is done once more; if that cannot be begun, a retry may still help. */
static struct result run_again(struct token_job *job)
{
    struct key_reference *n = job->reference;
    struct err err = {0};

    drop_facts(job);
    if (token_revive(n->token, &n->login, &err).ok &&
        (n->keys.list == NULL || key_reference_find(n, &err).ok))
        return job->run(job, &job->err);
    if (job->err.class != ERR_STORE)
        job->err = err;
    job->err.class = ERR_STORE;
    return FAIL;
}

static void run(struct job *base)
{
    struct token_job *job = (struct token_job *)base;
    struct key_reference *n = job->reference;

    n->module->lost_session = false;
    job->result = job->run(job, &job->err);
    if (!job->result.ok && n->module->lost_session && n->token != NULL && !job->once)
        job->result = run_again(job);
    if (job->result.ok && job->lost)
        job->result = fail_memory(&job->err);
    /* OpenSSL keeps random generators for a thread in a library context, and looks there when the
     * thread ends: with a second key on the module, that may be after the context is freed. */
    OPENSSL_thread_stop_ex(crypto_library(n->crypto));
}

static void free_job(struct job *base)
{
    token_job_free((struct token_job *)base);
}

struct token_job *token_job_new(struct key_reference *n,
                                struct result (*what)(struct token_job *job, struct err *err),
                                struct err *err)
{
    struct token_job *job = calloc(1, sizeof *job);

    if (job == NULL) {
        (void)fail_memory(err);
        return NULL;
    }
    job->job = (struct job){.run = run, .free = free_job};
    atomic_fetch_add(&n->holders, 1);
    job->reference = n;
    job->run = what;
    job->unwrapped = UNWRAP_FAILED; /* zero would be opened */
    return job;
}

bool token_job_do(struct token_job *job, struct err *err)
{
    struct key_reference *n = job->reference;

    if (!module_do(n->module, &job->job, n->options.timeout, err))
        return false;
    if (job->result.ok)
        return true;
    *err = job->err;
    token_job_free(job);
    return false;
}

void token_job_free(struct token_job *job)
{
    drop_facts(job);
    free(job->facts);
    free(job->text);
    secret_free(&job->branch_key);
    key_reference_drop(job->reference);
    free(job);
}

struct result token_job_open(struct key_reference **out, struct token_job **done,
                             const struct keystore_env *env, const char *reference,
                             struct result (*what)(struct token_job *job, struct err *err),
                             const struct key_wanted *want, struct err *err)
{
    struct key_reference *n;

    if (!key_reference_new(&n, env, reference, err).ok)
        return FAIL;
    struct token_job *job = token_job_new(n, what, err);
    if (job != NULL && want != NULL)
        job->wanted = *want;
    if (job == NULL || !token_job_do(job, err)) {
        key_reference_drop(n);
        return FAIL;
    }
    *out = n;
    *done = job;
    return OK;
}

void token_job_fact(struct token_job *job, bool begin, const char *name, const char *value)
{
    struct fact *grown = reallocarray(job->facts, job->fact_count + 1, sizeof *grown);

    if (grown == NULL) {
        job->lost = true;
        return;
    }
    job->facts = grown;
    struct fact *f = &job->facts[job->fact_count++];
    *f = (struct fact){begin, strdup(name), value != NULL ? strdup(value) : NULL};
    job->lost = job->lost || f->name == NULL || f->value == NULL;
}

void token_job_tell(const struct token_job *job, const struct key_sink *sink)
{
    for (size_t i = 0; i < job->fact_count; i++) {
        const struct fact *f = &job->facts[i];
        if (!f->begin)
            sink->fact(sink->arg, f->name, f->value);
        else
            sink->begin(sink->arg, f->name, f->value);
    }
}

/* struct warning: told on the caller's thread. */
struct warning {
    const struct keystore_env *env;
    const char *text;
};

static struct result give_warning(void *arg, struct err *err)
{
    const struct warning *w = arg;

    (void)err;
    if (w->env->warn != NULL)
        w->env->warn(w->env->arg, w->text);
    return OK;
}

void token_job_warn(struct token_job *job, const char *text)
{
    struct warning w = {&job->reference->env, text};
    struct err ignored;

    (void)worker_ask(job->reference->module->worker, give_warning, &w, &ignored).ok;
}
