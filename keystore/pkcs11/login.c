#include "keystore/pkcs11/login.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret_file.h"
#include "keystore/pkcs11/ckr.h"

/* Tokens that refused a PIN. The list is of the process: a module may be loaded again, and a token
 * that counts its wrong PINs must not be asked again whatever names it. */
static struct refused {
    struct refused *next;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_RV rv;
    struct err why;
} * refused_tokens;
static pthread_mutex_t refused_lock = PTHREAD_MUTEX_INITIALIZER;

/* The number of a slot depends on the module by which it is seen: p11-kit-proxy counts anew. It
 * tells tokens apart only where they have no serial number. */
static bool is_same(const struct refused *r, const struct token *t)
{
#define EQUAL(field) (memcmp(r->info.field, t->info.field, sizeof t->info.field) == 0)
    return EQUAL(label) && EQUAL(serialNumber) && EQUAL(manufacturerID) && EQUAL(model) &&
           (t->serial[0] != '\0' || r->slot == t->slot);
#undef EQUAL
}

/* Whether a token refused a PIN; *rv and *err are what it said. */
static bool was_refused(const struct token *t, CK_RV *rv, struct err *err)
{
    pthread_mutex_lock(&refused_lock);
    const struct refused *r = refused_tokens;
    while (r != NULL && !is_same(r, t))
        r = r->next;
    if (r != NULL) {
        *rv = r->rv;
        *err = r->why;
    }
    pthread_mutex_unlock(&refused_lock);
    return r != NULL;
}

/* Puts the record on the list. */
static struct result refuse(const struct token *t, struct refused *r, CK_RV rv, struct err *err)
{
    (void)ckr_fail(err, rv, "token '%s' refuses the login", t->label);
    *r = (struct refused){.slot = t->slot, .info = t->info, .rv = rv, .why = *err};
    pthread_mutex_lock(&refused_lock);
    r->next = refused_tokens;
    refused_tokens = r;
    pthread_mutex_unlock(&refused_lock);
    return FAIL;
}

/* struct question: what the user is asked, on the thread that may do that. */
struct question {
    const struct token *token;
    const struct uri *uri;
    const struct keystore_env *env;
    bool pad;
    struct secret pin;
};

static struct result take_value(const char *value, struct secret *pin, struct err *err)
{
    return secret_copy(pin, value, strlen(value), err);
}

__attribute__((format(printf, 2, 3))) static void warn(const struct question *q, const char *fmt,
                                                       ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    if (q->env->warn == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    q->env->warn(q->env->arg, text);
}

static bool has_pad(const struct token *t)
{
    return (t->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
}

/* What the token says of its PIN is told before it is tried. */
static struct result ask(void *arg, struct err *err)
{
    struct question *q = arg;
    CK_FLAGS flags = q->token->info.flags;
    char what[ERR_TEXT_MAX / 2];

    bool final = (flags & CKF_USER_PIN_FINAL_TRY) != 0;

    if (final)
        warn(q, "token '%s': this is the last try: a wrong PIN locks it", q->token->label);
    else if ((flags & CKF_USER_PIN_COUNT_LOW) != 0)
        warn(q, "token '%s': a wrong PIN was given since the last right one", q->token->label);
    if (q->pad) {
        warn(q, "token '%s' wants its PIN on its own keys", q->token->label);
        return OK;
    }
    if (q->uri->pin_source != NULL && !final)
        return secret_file_typed(&q->pin, q->uri->pin_source, "pin-source", "PIN", err);
    if (q->uri->pin_value != NULL && !final)
        return take_value(q->uri->pin_value, &q->pin, err);
    snprintf(what, sizeof what, "PIN of token '%s'", q->token->label);
    return q->env->passphrase(q->env->arg, what, final ? WANT_PIN_TYPED : WANT_PIN, &q->pin, err);
}

/* What an editor put into a file is no PIN, but it would count as a try. */
static struct result check_pin(const struct secret *pin, const char *label, struct err *err)
{
    const char *odd = secret_oddity(pin);

    for (size_t i = 0; i < pin->size && odd == NULL; i++)
        if (pin->bytes[i] < ' ' || pin->bytes[i] == 0x7f)
            odd = "has a control character in it";
    if (odd == NULL)
        return OK;
    (void)fail(err, ERR_USAGE, "the PIN of token '%s' %s", label, odd);
    err_hint(err, "it was not tried; a PIN file has one line, as echo writes it");
    return FAIL;
}

/* Whether a login may be tried at all. */
static struct result may_try(struct token *t, struct err *err)
{
    CK_RV rv = token_look(t);

    if (rv != CKR_OK)
        return ckr_fail(err, rv, "token '%s': C_GetTokenInfo", t->label);
    if ((t->info.flags & CKF_USER_PIN_LOCKED) != 0)
        return ckr_fail(err, CKR_PIN_LOCKED, "token '%s' is locked", t->label);
    return was_refused(t, &rv, err) ? FAIL : OK;
}

/* Gives a PIN, or lets the token ask for it. */
static CK_RV give_pin(struct token *t, CK_USER_TYPE user, bool pad, const struct secret *pin)
{
    module_patience(t->module, pad);
    CK_RV rv =
        CALL(t->module, C_Login, t->session, user, pad ? NULL : pin->bytes, pad ? 0 : pin->size);
    module_patience(t->module, false);
    return rv;
}

static struct result log_in(struct token *t, struct question *q, struct err *err)
{
    /* Made first: a PIN that could not be remembered would be tried again. */
    struct refused *record = calloc(1, sizeof *record);

    if (record == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    CK_RV rv = give_pin(t, CKU_USER, q->pad, &q->pin);
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
        return refuse(t, record, rv, err);
    t->logged_in = true;
    /* Where somebody else in this process logged in, the token did not look at the PIN. */
    if (rv == CKR_OK)
        t->pin = secret_take(&q->pin);
    free(record);
    return OK;
}

/* By the PIN that it took before, which is kept where nobody looked at it this time. */
static struct result log_in_again(struct token *t, struct err *err)
{
    struct question q = {.token = t, .pad = has_pad(t), .pin = secret_take(&t->pin)};

    if (!q.pad && q.pin.bytes == NULL)
        return ckr_fail(err, CKR_USER_NOT_LOGGED_IN, "token '%s' lost its login", t->label);
    struct result r = log_in(t, &q, err);
    if (r.ok && t->pin.bytes == NULL)
        t->pin = secret_take(&q.pin);
    secret_free(&q.pin);
    return r;
}

struct result token_login(struct token *token, const struct uri *uri,
                          const struct keystore_env *env, struct err *err)
{
    struct question q = {.token = token, .uri = uri, .env = env};

    if (token->logged_in)
        return OK;
    if ((token->info.flags & CKF_LOGIN_REQUIRED) == 0)
        return OK;
    if (!may_try(token, err).ok)
        return FAIL;
    if (token->pin.bytes != NULL) /* the login that it had by this is gone */
        return log_in_again(token, err);
    q.pad = has_pad(token);
    struct result r = module_ask(token->module, ask, &q, err);
    if (r.ok && (q.pad || check_pin(&q.pin, token->label, err).ok))
        r = log_in(token, &q, err);
    else
        r = FAIL;
    secret_free(&q.pin);
    return r;
}

struct result token_revive(struct token *token, struct err *err)
{
    if (!token_reopen(token, err).ok)
        return FAIL;
    bool was = token->logged_in;
    token->logged_in = false;
    return !was || (may_try(token, err).ok && log_in_again(token, err).ok) ? OK : FAIL;
}

static bool blames_pin(CK_RV rv)
{
    return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
           rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED;
}

CK_RV token_again(struct token *token, CK_OBJECT_HANDLE key)
{
    bool pad = has_pad(token);
    struct refused *record;
    struct err why;
    CK_RV rv;

    if (!token_flag(token, key, CKA_ALWAYS_AUTHENTICATE, false))
        return CKR_OK;
    if (was_refused(token, &rv, &why))
        return rv;
    if (!pad && token->pin.bytes == NULL)
        return CKR_USER_NOT_LOGGED_IN;
    record = calloc(1, sizeof *record);
    if (record == NULL)
        return CKR_HOST_MEMORY;
    rv = give_pin(token, CKU_CONTEXT_SPECIFIC, pad, &token->pin);
    if (blames_pin(rv))
        (void)refuse(token, record, rv, &why).ok;
    else
        free(record);
    return rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv;
}
