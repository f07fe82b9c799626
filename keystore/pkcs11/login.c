#include "keystore/pkcs11/login.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret_file.h"
#include "keystore/pkcs11/ckr.h"

/* Remembers that a token refused a PIN, in the room that was made for that. */
static struct result refuse(const struct token *t, const struct login *login,
                            struct refused_token *room, CK_RV rv, struct err *err)
{
    (void)ckr_fail(err, rv, "token '%s' refuses the login", t->label);
    refused_tokens_add(login->refused, room, t, rv, err);
    return FAIL;
}

/* struct question: what the user is asked, on the thread that may do that. */
struct question {
    const struct token *token;
    const struct login *login;
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

    if (q->login->env->warn == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    q->login->env->warn(q->login->env->arg, text);
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
    if (q->login->uri->pin_source != NULL && !final)
        return secret_file_typed(&q->pin, q->login->uri->pin_source, "pin-source", "PIN", err);
    if (q->login->uri->pin_value != NULL && !final)
        return take_value(q->login->uri->pin_value, &q->pin, err);
    snprintf(what, sizeof what, "PIN of token '%s'", q->token->label);
    return q->login->env->passphrase(q->login->env->arg, what, final ? WANT_PIN_TYPED : WANT_PIN,
                                     &q->pin, err);
}

/* A byte that an editor added to a PIN would cost a try. */
static struct result check_pin(const struct secret *pin, const char *label, struct err *err)
{
    const char *odd = secret_oddity(pin);

    for (size_t i = 0; i < pin->size && odd == NULL; i++)
        if (pin->bytes[i] < ' ' || pin->bytes[i] == 0x7f)
            odd = "has a control character in it";
    if (odd == NULL)
        return OK;
    (void)fail(err, ERR_USAGE, "the PIN of token '%s' %s", label, odd);
    return fail_hint(err, "it was not tried; a PIN file has one line, as echo writes it");
}

/* One that is not tried is not asked for again either: a descriptor gives it once, and what it
 * lacks then would hide what was wrong. */
static struct result check_asked(const struct question *q, struct err *err)
{
    const struct token *t = q->token;
    struct refused_token *room;
    struct err no_room;

    if (q->pad || check_pin(&q->pin, t->label, err).ok)
        return OK;
    if (refused_tokens_room(&room, &no_room).ok)
        refused_tokens_add(q->login->refused, room, t, CKR_PIN_INVALID, err);
    return FAIL;
}

/* Whether a login may be tried at all. */
static struct result may_try(struct token *t, const struct login *login, struct err *err)
{
    CK_RV rv = token_look(t);

    if (rv != CKR_OK)
        return ckr_fail(err, rv, "token '%s': C_GetTokenInfo", t->label);
    if ((t->info.flags & CKF_USER_PIN_LOCKED) != 0)
        return ckr_fail(err, CKR_PIN_LOCKED, "token '%s' is locked", t->label);
    return refused_tokens_find(login->refused, t, &rv, err) ? FAIL : OK;
}

/* Gives a PIN, or lets the token ask for it. */
static CK_RV give_pin(struct token *t, CK_USER_TYPE user, bool pad, const struct secret *pin)
{
    worker_patience(t->module->worker, pad);
    CK_RV rv =
        CALL(t->module, C_Login, t->session, user, pad ? NULL : pin->bytes, pad ? 0 : pin->size);
    worker_patience(t->module->worker, false);
    return rv;
}

static struct result log_in(struct token *t, struct question *q, struct err *err)
{
    struct refused_token *room;

    if (!refused_tokens_room(&room, err).ok)
        return FAIL;
    CK_RV rv = give_pin(t, CKU_USER, q->pad, &q->pin);
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
        return refuse(t, q->login, room, rv, err);
    t->logged_in = true;
    /* If somebody else in this process had logged in, the token did not look at the PIN. */
    if (rv == CKR_OK) {
        secret_free(&t->pin);
        t->pin = TAKE(q->pin);
    }
    refused_tokens_add(q->login->refused, room, NULL, rv, NULL);
    return OK;
}

/* Logs in with a PIN that is asked for. */
static struct result log_in_first(struct token *t, const struct login *login, struct err *err)
{
    struct question q = {.token = t, .login = login, .pad = has_pad(t)};
    struct result r = worker_ask(t->module->worker, ask, &q, err);

    if (r.ok && check_asked(&q, err).ok)
        r = log_in(t, &q, err);
    else
        r = FAIL;
    secret_free(&q.pin);
    return r;
}

/* Logs in with the PIN that the token took before, unless this is its last try: others may have
 * changed the PIN since. */
static struct result log_in_again(struct token *t, const struct login *login, struct err *err)
{
    struct question q = {.token = t, .login = login, .pad = has_pad(t)};

    if (!q.pad && (t->info.flags & CKF_USER_PIN_FINAL_TRY) != 0)
        return log_in_first(t, login, err);
    q.pin = TAKE(t->pin);
    if (!q.pad && q.pin.bytes == NULL)
        return ckr_fail(err, CKR_USER_NOT_LOGGED_IN, "token '%s' lost its login", t->label);
    struct result r = log_in(t, &q, err);
    if (r.ok && t->pin.bytes == NULL)
        t->pin = TAKE(q.pin);
    secret_free(&q.pin);
    return r;
}

struct result token_login(struct token *token, const struct login *login, struct err *err)
{
    if (token->logged_in || (token->info.flags & CKF_LOGIN_REQUIRED) == 0)
        return OK;
    if (!may_try(token, login, err).ok)
        return FAIL;
    /* If it has a PIN, the login that it had by this is gone. */
    return token->pin.bytes != NULL ? log_in_again(token, login, err)
                                    : log_in_first(token, login, err);
}

struct result token_revive(struct token *token, const struct login *login, struct err *err)
{
    if (!token_reopen(token, err).ok)
        return FAIL;
    bool was = token->logged_in;
    token->logged_in = false;
    return !was || (may_try(token, login, err).ok && log_in_again(token, login, err).ok) ? OK
                                                                                         : FAIL;
}

static bool blames_pin(CK_RV rv)
{
    return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
           rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED;
}

CK_RV token_again(struct token *token, const struct login *login, CK_OBJECT_HANDLE key)
{
    bool pad = has_pad(token);
    struct refused_token *room;
    struct err why;
    CK_RV rv;

    if (!token_flag(token, key, CKA_ALWAYS_AUTHENTICATE, false))
        return CKR_OK;
    if (refused_tokens_find(login->refused, token, &rv, &why))
        return rv;
    if (!pad && token->pin.bytes == NULL)
        return CKR_USER_NOT_LOGGED_IN;
    if (!refused_tokens_room(&room, &why).ok)
        return CKR_HOST_MEMORY;
    rv = give_pin(token, CKU_CONTEXT_SPECIFIC, pad, &token->pin);
    if (blames_pin(rv))
        (void)refuse(token, login, room, rv, &why).ok;
    else
        refused_tokens_add(login->refused, room, NULL, rv, NULL);
    return rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv;
}
