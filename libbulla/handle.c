#include "libbulla/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret_file.h"
#include "crypto/passphrase_kdf.h"
#include "keystore/descriptor_key.h"
#include "keystore/external/slots.h"
#include "libbulla/callback.h"
#include "libbulla/external_key.h"

const char *bulla_version(void)
{
    return BULLA_VERSION;
}

/* An error of ours as the caller gets it. */
static int give_error(const struct err *err, struct bulla_error *error)
{
    _Static_assert(sizeof error->text == ERR_TEXT_MAX && sizeof error->hint == ERR_HINT_MAX,
                   "bulla.h and err.h agree");
    if (error != NULL) {
        error->status = (int)err->class;
        memcpy(error->text, err->text, sizeof error->text);
        memcpy(error->hint, err->hint, sizeof error->hint);
    }
    return (int)err->class;
}

void call_begin(struct call *c, struct bulla *handle)
{
    pthread_mutex_lock(&handle->turn);
    *c = (struct call){.handle = handle, .before = host_enter(&handle->host)};
}

int call_end(struct call *c, struct result done, struct bulla_error *error)
{
    (void)host_enter(c->before);
    pthread_mutex_unlock(&c->handle->turn);
    return err_checked(done, &c->err).ok ? BULLA_DONE : give_error(&c->err, error);
}

static struct result ask_secret(void *arg, const char *what, enum wanted wanted, struct secret *out,
                                struct err *err)
{
    static const int kinds[] = {[WANT_PASSPHRASE] = BULLA_PASSPHRASE,
                                [WANT_NEW_PASSPHRASE] = BULLA_NEW_PASSPHRASE,
                                [WANT_PIN] = BULLA_PIN,
                                [WANT_PIN_TYPED] = BULLA_PIN_LAST};
    const struct bulla_options *o = &((struct bulla *)arg)->options;
    struct secret room SECRET_CLEANUP = {0};
    size_t size = 0;

    if (o->secret == NULL)
        return fail(err, ERR_POLICY, "no callback gives the %s", what);
    if (!secret_new(&room, SECRET_TYPED_MAX, err).ok)
        return FAIL;
    int status = o->secret(o->arg, what, kinds[wanted], (char *)room.bytes, room.size, &size);
    if (status != BULLA_DONE)
        return callback_failed(status, err, "the %s was not given", what);
    if (size == 0 || size > room.size)
        return fail(err, ERR_USAGE, "the %s is not 1 to %d bytes long", what, SECRET_TYPED_MAX);
    return secret_copy(out, room.bytes, size, err);
}

static const char *variable(void *arg, const char *name)
{
    const struct bulla_options *o = &((struct bulla *)arg)->options;

    return o->variable != NULL ? o->variable(o->arg, name) : NULL;
}

static void warn(void *arg, const char *text)
{
    const struct bulla_options *o = &((struct bulla *)arg)->options;

    if (o->warn != NULL)
        o->warn(o->arg, text);
}

static struct result run_command(void *arg, const struct command *c, void *out, size_t room,
                                 size_t *size, struct err *err)
{
    const struct bulla_options *o = &((struct bulla *)arg)->options;

    *size = 0;
    int status = o->run(o->arg, c->argv, c->seconds, out, room, size);
    if (status != BULLA_DONE)
        return callback_failed(status, err, "%s was not run", c->name);
    *size = *size < room ? *size : room;
    return OK;
}

static void fill_env(struct keystore_env *env, struct bulla *b)
{
    const struct bulla_options *o = &b->options;

    env->arg = b;
    env->states = &b->states;
    env->passphrase = ask_secret;
    env->warn = warn;
    env->settings.environment = (struct environment){variable, b};
    env->kdf_memory_kib =
        o->passphrase_memory_kib != 0 ? o->passphrase_memory_kib : KDF_MEMORY_KIB_ALLOWED;
    registry_set(&env->settings, "endpoint", o->kms_endpoint, 0);
    registry_set(&env->settings, "kms-timeout", NULL, o->kms_timeout);
    registry_set(&env->settings, "module", o->token_module, 0);
    registry_set(&env->settings, "token-timeout", NULL, o->token_timeout);
    env->may_be_away = o->key_count > 1;
}

static struct result fill_host(struct bulla *b, struct err *err)
{
    if (!host_init(&b->host, err).ok)
        return FAIL;
    b->host.tell = warn;
    b->host.tell_arg = b;
    b->host.command = b->options.run != NULL ? run_command : NULL;
    b->host.command_arg = b;
    return OK;
}

static struct result open_external(struct bulla *b, struct master_key **key, const char *name,
                                   struct err *err)
{
    for (size_t i = 0; i < b->options.external_count; i++)
        if (strcmp(b->options.external[i]->name, name) == 0)
            return external_key_open(key, b->options.external[i], err);
    return fail(err, ERR_USAGE, "the program has no key '" EXTERNAL_SCHEME "%s'", name);
}

static struct result open_key(struct bulla *b, struct master_key **key, const char *reference,
                              struct err *err)
{
    struct keyset one KEYSET_CLEANUP = {0};

    if (strncmp(reference, EXTERNAL_SCHEME, strlen(EXTERNAL_SCHEME)) == 0)
        return open_external(b, key, reference + strlen(EXTERNAL_SCHEME), err);
    if (!keyset_open(&one, &b->session.env, &reference, 1, err).ok)
        return FAIL;
    *key = one.keys[0];
    one.count = 0;
    return OK;
}

/* A text of a list that the caller gave with its length. */
static struct result check_text(const char *const *list, size_t i, const char *what,
                                struct err *err)
{
    return list != NULL && list[i] != NULL ? OK : fail(err, ERR_USAGE, "%s is NULL", what);
}

struct result handle_keys(struct bulla *b, struct keyset *set, const char *const *references,
                          size_t count, struct err *err)
{
    if (count == 0)
        return OK;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    set->keys = calloc(count, sizeof *set->keys);
    if (set->keys == NULL)
        return fail_memory(err);
    for (; set->count < count; set->count++)
        if (!check_text(references, set->count, "the reference of a key", err).ok ||
            !open_key(b, &set->keys[set->count], references[set->count], err).ok)
            return FAIL;
    return OK;
}

static struct result open_handle(struct bulla *b, struct err *err)
{
    const struct bulla_options *o = &b->options;

    fill_env(&b->session.env, b);
    b->session.threads = o->threads;
    return session_open(&b->session, NULL, 0, err).ok &&
                   handle_keys(b, &b->session.keys, o->keys, o->key_count, err).ok
               ? OK
               : FAIL;
}

static void drop(struct bulla *b)
{
    struct host *before = host_enter(&b->host);

    session_close(&b->session);
    store_states_free(&b->states);
    descriptor_key_forget();
    (void)host_enter(before);
    host_end(&b->host);
    pthread_mutex_destroy(&b->turn);
    b->options = (struct bulla_options){0};
    if (!registry_left_behind()) /* a thread that hangs in a module may still look at it */
        free(b);
}

static struct result check_external(const struct bulla_options *o, struct err *err)
{
    for (size_t i = 0; i < o->external_count; i++) {
        bool there = o->external != NULL && o->external[i] != NULL;
        const char *name = there ? o->external[i]->name : NULL;
        if (name == NULL || name[0] == '\0' || strlen(name) > SLOT_EXTERNAL_NAME_MAX ||
            !text_is_utf8(name, strlen(name)))
            return fail(err, ERR_USAGE, "the name of a key is not 1 to %d bytes of UTF-8",
                        SLOT_EXTERNAL_NAME_MAX);
    }
    return OK;
}

static struct result make(struct bulla *b, const struct bulla_options *options, struct err *err)
{
    if (!struct_take(&b->options, sizeof b->options, options, "the options", err).ok ||
        !check_external(&b->options, err).ok || !secret_init(err).ok || !fill_host(b, err).ok)
        return FAIL;
    struct host *before = host_enter(&b->host);
    struct result r = open_handle(b, err);
    (void)host_enter(before);
    return r;
}

int bulla_new(struct bulla **handle, const struct bulla_options *options, struct bulla_error *error)
{
    struct bulla *b = calloc(1, sizeof *b);
    struct err err = {0};

    if (b == NULL) {
        (void)fail_memory(&err);
        return give_error(&err, error);
    }
    pthread_mutex_init(&b->turn, NULL);
    if (!make(b, options, &err).ok) {
        drop(b);
        return give_error(&err, error);
    }
    *handle = b;
    return BULLA_DONE;
}

void bulla_free(struct bulla *handle)
{
    if (handle != NULL)
        drop(handle);
}

void bulla_cancel(struct bulla *handle)
{
    host_interrupt(&handle->host);
}

void bulla_resume(struct bulla *handle)
{
    host_resume(&handle->host);
}

struct result handle_context(struct context *context, const char *const *pairs, size_t count,
                             struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!check_text(pairs, i, "a pair of the context", err).ok ||
            !context_add_text(context, pairs[i], err).ok)
            return FAIL;
    return OK;
}

struct result handle_suite(enum suite *suite, int given, enum suite usual, struct err *err)
{
    switch (given) {
    case BULLA_SUITE_USUAL:
        *suite = usual;
        return OK;
    case BULLA_SUITE_AES_256_GCM:
        *suite = SUITE_AES;
        return OK;
    case BULLA_SUITE_CHACHA20_POLY1305:
        *suite = SUITE_CHACHA;
        return OK;
    default:
        return fail(err, ERR_USAGE, "there is no suite %d", given);
    }
}
