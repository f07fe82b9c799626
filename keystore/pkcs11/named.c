#include "keystore/pkcs11/named.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/pkcs11.h"

/* struct fact: one of a task's. */
struct fact {
    bool begin;
    char *name, *value;
};

void named_close(struct named *n)
{
    if (n == NULL || n->abandoned)
        return;
    module_put(n->module, &n->env->token);
    keys_free(&n->keys);
    uri_free(&n->uri);
    free(n);
}

/* Reads a reference and gets its module; the keys are still to be found. */
static struct result open_named(struct named **out, const struct keystore_env *env,
                                const char *reference, struct err *err)
{
    struct named *n = calloc(1, sizeof *n);

    if (n == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    n->key.ops = &pkcs11_ops;
    n->env = env;
    if (!uri_read(&n->uri, reference, &env->token, err).ok ||
        !module_get(&n->module, &n->uri, &env->token, err).ok) {
        named_close(n);
        return FAIL;
    }
    *out = n;
    return OK;
}

static bool is_named(const struct uri *uri)
{
    return uri->has_label || uri->id_size > 0;
}

static struct result find(struct named *n, struct err *err)
{
    return keys_find(&n->keys, n->token, &n->uri, n->env->crypto, err);
}

struct result named_login(struct named *n, bool again, struct err *err)
{
    if (n->complete)
        return OK;
    if (!token_login(n->token, &n->uri, n->env, err).ok)
        return FAIL;
    if ((again || n->keys.count == 0) && !find(n, err).ok)
        return FAIL;
    n->complete = true;
    return OK;
}

static struct result none(const struct named *n, struct err *err)
{
    if (n->keys.unusable_count > 0)
        (void)fail(err, ERR_NO_KEY, "key '%s': token '%s' has %s", n->uri.text, n->token->label,
                   n->keys.unusable[0].why);
    else
        (void)fail(err, ERR_NO_KEY, "key '%s': token '%s' has no such key", n->uri.text,
                   n->token->label);
    err_hint(err, "'bulla key list' with the token's URI shows its keys");
    return FAIL;
}

/* Two keys of one label, or of one version of a label, are no way to name a key. */
static struct result check_unique(const struct named *n, struct err *err)
{
    const struct token_keys *keys = &n->keys;

    if (keys->count < 2 || !is_named(&n->uri))
        return OK;
    if (!keys->family)
        return keys_many(keys, n->token, &n->uri, err);
    for (size_t i = 0; i < keys->count; i++)
        for (size_t j = 0; j < i; j++)
            if (keys->list[i].version == keys->list[j].version) {
                (void)fail(err, ERR_USAGE, "key '%s': token '%s' has version %u twice", n->uri.text,
                           n->token->label, keys->list[i].version);
                keys_hint_two(&keys->list[j], &keys->list[i], n->token, &n->uri, err);
                return FAIL;
            }
    return OK;
}

struct result named_resolve(struct named *n, struct err *err)
{
    bool secret = n->uri.has_class && n->uri.class == CKO_SECRET_KEY;

    if (!token_find(&n->token, n->module, &n->uri, err).ok || !find(n, err).ok)
        return FAIL;
    if (n->keys.count == 0 && n->keys.unusable_count == 0 && (is_named(&n->uri) || secret) &&
        !named_login(n, false, err).ok)
        return FAIL;
    if (n->keys.count == 0 && is_named(&n->uri))
        return none(n, err);
    return check_unique(n, err);
}

/* A name without a version wraps by the newest only in a rotation, and only if that has a private
 * key of the same label: anybody may put a public key on many a token. */
static struct result newest(struct named *n, const struct token_key **key, struct err *err)
{
    const struct token_key *k = keys_newest(&n->keys);
    struct halves halves = {{k->aes}, 1};

    if (!token_login(n->token, &n->uri, n->env, err).ok ||
        (!k->secret && !keys_private(n->token, k, &halves, err).ok))
        return FAIL;
    for (size_t i = 0; i < halves.count; i++) {
        char label[SLOT_KEY_LABEL_MAX + 1] = "";
        size_t size;
        if (token_value(n->token, halves.list[i], CKA_LABEL, label, SLOT_KEY_LABEL_MAX, &size) &&
            strncmp(label, k->label, sizeof label) == 0) {
            *key = k;
            return OK;
        }
    }
    return fail(err, ERR_NO_KEY, "token '%s': the private key for '%s' has another label",
                n->token->label, k->label);
}

static struct result several_versions(const struct named *n, struct err *err)
{
    char *uri = keys_uri(keys_newest(&n->keys), n->token, &n->uri);

    (void)fail(err, ERR_USAGE, "key '%s': token '%s' has %zu versions of it", n->uri.text,
               n->token->label, n->keys.count);
    err_hint(err, "name the one to seal to: '%s' is the newest", uri != NULL ? uri : "");
    free(uri);
    return FAIL;
}

struct result named_one(struct named *n, const struct token_key **key, struct err *err)
{
    if (n->keys.count == 0 && !named_login(n, false, err).ok)
        return FAIL;
    if (n->keys.count == 0)
        return none(n, err);
    if (n->keys.count > 1) {
        if (!n->keys.family)
            return keys_many(&n->keys, n->token, &n->uri, err);
        return n->env->token.rotating ? newest(n, key, err) : several_versions(n, err);
    }
    *key = &n->keys.list[0];
    return OK;
}

static void drop_facts(struct task *task)
{
    for (size_t i = 0; i < task->fact_count; i++) {
        free(task->facts[i].name);
        free(task->facts[i].value);
    }
    task->fact_count = 0;
}

/* After a failover the module has a session again, and objects under other handles. A task that
 * could not be done for that is done once more; if that cannot be begun, a retry may still help. */
static struct result run_again(struct task *task)
{
    struct named *n = task->named;
    struct err err = {0};

    drop_facts(task);
    if (token_revive(n->token, &err).ok && (n->keys.list == NULL || find(n, &err).ok))
        return task->run(task, &task->job.err);
    if (task->job.err.class != ERR_STORE)
        task->job.err = err;
    task->job.err.class = ERR_STORE;
    return FAIL;
}

static struct result run(struct job *job)
{
    struct task *task = (struct task *)job;

    job->module->lost_session = false;
    struct result r = task->run(task, &job->err);
    if (!r.ok && job->module->lost_session && task->named->token != NULL && !task->once)
        r = run_again(task);
    if (r.ok && task->lost)
        r = fail(&job->err, ERR_FAILED, "out of memory");
    /* OpenSSL keeps random generators for a thread in a library context, and looks there when the
     * thread ends: with a second key on the module, that may be after the context is freed. */
    OPENSSL_thread_stop_ex(crypto_library(task->named->env->crypto));
    return r;
}

struct task *task_new(struct named *n, struct result (*what)(struct task *task, struct err *err),
                      struct err *err)
{
    struct task *task = calloc(1, sizeof *task);

    if (task == NULL) {
        (void)fail(err, ERR_FAILED, "out of memory");
        return NULL;
    }
    task->job.run = run;
    task->job.module = n->module;
    task->named = n;
    task->run = what;
    task->unwrapped = UNWRAP_FAILED; /* zero would be opened */
    return task;
}

bool task_do(struct task *task, struct err *err)
{
    struct named *n = task->named;
    struct result r;

    if (!module_run(&task->job, &n->env->token, &r, err)) {
        n->abandoned = true;
        return false;
    }
    if (r.ok)
        return true;
    *err = task->job.err;
    task_free(task);
    return false;
}

void task_free(struct task *task)
{
    drop_facts(task);
    free(task->facts);
    free(task->text);
    secret_free(&task->branch_key);
    free(task);
}

struct result named_do(struct named **out, struct task **done, const struct keystore_env *env,
                       const char *reference,
                       struct result (*what)(struct task *task, struct err *err),
                       const struct key_wanted *want, struct err *err)
{
    struct named *n;

    if (!open_named(&n, env, reference, err).ok)
        return FAIL;
    struct task *task = task_new(n, what, err);
    if (task != NULL && want != NULL)
        task->wanted = *want;
    if (task == NULL || !task_do(task, err)) {
        named_close(n);
        return FAIL;
    }
    *out = n;
    *done = task;
    return OK;
}

void task_fact(struct task *task, bool begin, const char *name, const char *value)
{
    struct fact *grown = reallocarray(task->facts, task->fact_count + 1, sizeof *grown);

    if (grown == NULL) {
        task->lost = true;
        return;
    }
    task->facts = grown;
    struct fact *f = &task->facts[task->fact_count++];
    *f = (struct fact){begin, strdup(name), value != NULL ? strdup(value) : NULL};
    task->lost = task->lost || f->name == NULL || f->value == NULL;
}

void task_tell(const struct task *task, const struct key_sink *sink)
{
    for (size_t i = 0; i < task->fact_count; i++) {
        const struct fact *f = &task->facts[i];
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

void task_warn(struct task *task, const char *text)
{
    struct warning w = {task->named->env, text};
    struct err ignored;

    (void)module_ask(task->job.module, give_warning, &w, &ignored).ok;
}
