#include "keystore/pkcs11/token.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keystore/pkcs11/ckr.h"

#define SLOTS_MANY 256
#define FIND_STEP 32
#define OBJECTS_START 64

static void close_session(struct token *t)
{
    if (t->open)
        (void)CALL(t->module, C_CloseSession, t->session);
    t->open = false;
}

void tokens_free(struct module *module)
{
    while (module->sessions != NULL) {
        struct token *t = module->sessions;
        module->sessions = t->next;
        if (t->logged_in && t->open)
            (void)CALL(module, C_Logout, t->session);
        close_session(t);
        secret_free(&t->pin);
        free(t);
    }
}

void token_text(char *out, const unsigned char *field, size_t size)
{
    while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\0'))
        size--;
    if (!text_is_utf8(field, size))
        size = 0;
    memcpy(out, field, size);
    out[size] = '\0';
}

static CK_RV open_session(struct token *t, bool writable)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION | (writable ? CKF_RW_SESSION : 0);
    CK_RV rv = CALL(t->module, C_OpenSession, t->slot, flags, NULL, NULL, &t->session);

    /* Some tokens, like AWS CloudHSM, have no read-only sessions. */
    if (rv != CKR_OK && !writable && rv != CKR_SESSION_COUNT && rv != CKR_TOKEN_NOT_PRESENT &&
        rv != CKR_DEVICE_REMOVED) {
        CK_RV second = CALL(t->module, C_OpenSession, t->slot, flags | CKF_RW_SESSION, NULL, NULL,
                            &t->session);
        rv = second == CKR_OK ? CKR_OK : rv;
        writable = true;
    }
    t->open = rv == CKR_OK;
    t->writable = writable;
    return rv;
}

/* Read once, because some modules complain on standard error when they are asked for a mechanism
 * that they lack. */
static struct result read_mechanisms(struct token *t, struct err *err)
{
    CK_ULONG count = MECHANISMS_MAX;
    CK_RV rv = CALL(t->module, C_GetMechanismList, t->slot, t->mechanisms, &count);

    if (rv == CKR_OK && count > MECHANISMS_MAX)
        rv = CKR_BUFFER_TOO_SMALL;
    if (rv != CKR_OK)
        return ckr_fail(err, rv, "token '%s': C_GetMechanismList", t->label);
    t->mechanism_count = count;
    t->listed = true;
    return OK;
}

static struct result need_session(struct token *t, struct err *err)
{
    CK_RV rv = t->open ? CKR_OK : open_session(t, false);

    if (rv != CKR_OK)
        return ckr_fail(err, rv, "token '%s': C_OpenSession", t->label);
    return t->listed ? OK : read_mechanisms(t, err);
}

/* A session that takes the place of another is opened first, so that the login stays. */
static struct result replace_session(struct token *t, bool writable, struct err *err)
{
    CK_SESSION_HANDLE before = t->session;
    bool had = t->open, was = t->writable;
    CK_RV rv = open_session(t, writable);

    if (rv != CKR_OK) {
        t->session = before;
        t->open = had;
        t->writable = was;
        return ckr_fail(err, rv, "token '%s': C_OpenSession", t->label);
    }
    if (had)
        (void)CALL(t->module, C_CloseSession, before);
    return OK;
}

struct result token_write(struct token *token, struct err *err)
{
    return token->open && token->writable ? OK : replace_session(token, true, err);
}

struct result token_renew(struct token *token, struct err *err)
{
    return replace_session(token, token->writable, err);
}

struct result token_reopen(struct token *token, struct err *err)
{
    close_session(token);
    CK_RV rv = open_session(token, token->writable);
    return rv == CKR_OK ? OK : ckr_fail(err, rv, "token '%s': C_OpenSession", token->label);
}

struct result token_broken(struct token *token, CK_RV rv, const char *what, struct err *err)
{
    struct err ignored;

    (void)token_renew(token, &ignored).ok;
    return ckr_fail(err, rv, "token '%s': %s", token->label, what);
}

static struct result get_slots(struct module *m, CK_SLOT_ID *slots, size_t *count, struct err *err)
{
    CK_ULONG n = SLOTS_MANY;
    CK_RV rv = CALL(m, C_GetSlotList, CK_TRUE, slots, &n);

    if (rv == CKR_BUFFER_TOO_SMALL || n > SLOTS_MANY)
        return fail(err, ERR_STORE, "PKCS#11 module '%s' has more than %d slots", m->name,
                    SLOTS_MANY);
    if (rv != CKR_OK)
        return ckr_fail(err, rv, "PKCS#11 module '%s': C_GetSlotList", m->name);
    *count = n;
    return OK;
}

static struct token *known(struct module *m, CK_SLOT_ID slot)
{
    struct token *t = m->sessions;

    while (t != NULL && t->slot != slot)
        t = t->next;
    return t;
}

/* Some modules pad a text field with zeros, not with blanks as the standard says. The text ends at
 * the first zero; otherwise no URI would match it. */
static void pad(unsigned char *field, size_t size)
{
    unsigned char *end = memchr(field, '\0', size);

    if (end != NULL)
        memset(end, ' ', size - (size_t)(end - field));
}

#define PAD(field) pad(field, sizeof(field))

static CK_RV read_info(struct module *m, CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = CALL(m, C_GetTokenInfo, slot, info);

    PAD(info->label);
    PAD(info->manufacturerID);
    PAD(info->model);
    PAD(info->serialNumber);
    return rv;
}

CK_RV token_look(struct token *token)
{
    return read_info(token->module, token->slot, &token->info);
}

/* The token of a slot, newly read; NULL with rv CKR_OK if memory is out. */
static struct token *read_token(struct module *m, CK_SLOT_ID slot, CK_RV *rv)
{
    CK_TOKEN_INFO info = {0};
    struct token *t = known(m, slot);

    *rv = read_info(m, slot, &info);
    if (*rv != CKR_OK)
        return NULL;
    if (t == NULL) {
        t = calloc(1, sizeof *t);
        if (t == NULL)
            return NULL;
        t->module = m;
        t->slot = slot;
        t->next = m->sessions;
        m->sessions = t;
        m->end_sessions = tokens_free;
    }
    t->info = info;
    token_text(t->label, info.label, sizeof info.label);
    token_text(t->serial, info.serialNumber, sizeof info.serialNumber);
    return t;
}

/* Whether a token is one that a URI names; *rv is the error if that cannot be found out. */
static bool fits(const struct token *t, const struct uri *uri, CK_RV *rv)
{
    CK_SLOT_ID slot = p11_kit_uri_get_slot_id(uri->parsed);
    CK_SLOT_INFO slot_info = {0};
    CK_INFO info = {0};

    if ((t->info.flags & CKF_TOKEN_INITIALIZED) == 0 ||
        (slot != (CK_SLOT_ID)-1 && slot != t->slot) ||
        p11_kit_uri_match_token_info(uri->parsed, &t->info) != 1)
        return false;
    *rv = CALL(t->module, C_GetSlotInfo, t->slot, &slot_info);
    if (*rv == CKR_OK)
        *rv = CALL(t->module, C_GetInfo, &info);
    PAD(slot_info.slotDescription);
    PAD(slot_info.manufacturerID);
    PAD(info.manufacturerID);
    PAD(info.libraryDescription);
    return *rv == CKR_OK && p11_kit_uri_match_slot_info(uri->parsed, &slot_info) == 1 &&
           p11_kit_uri_match_module_info(uri->parsed, &info) == 1;
}

/* struct tokens: the tokens that a URI names, and what stood in the way of reading others. */
struct tokens {
    struct token *list[SLOTS_MANY];
    size_t count, seen;
    CK_RV failed;
};

static struct result find_all(struct tokens *found, struct module *m, const struct uri *uri,
                              struct err *err)
{
    CK_SLOT_ID slots[SLOTS_MANY] = {0};
    size_t count = 0;

    if (!get_slots(m, slots, &count, err).ok)
        return FAIL;
    for (size_t i = 0; i < count; i++) {
        CK_RV rv;
        struct token *t = read_token(m, slots[i], &rv);
        if (t == NULL && rv == CKR_OK)
            return fail_memory(err);
        bool fit = t != NULL && fits(t, uri, &rv);
        if (rv != CKR_OK)
            found->failed = rv;
        found->seen += t != NULL && (t->info.flags & CKF_TOKEN_INITIALIZED) != 0;
        if (fit)
            found->list[found->count++] = t;
    }
    return OK;
}

static struct result no_token(const struct tokens *found, struct module *m, const struct uri *uri,
                              struct err *err)
{
    if (found->failed != CKR_OK)
        (void)ckr_fail(err, found->failed, "no token for '%s', and one that cannot be read",
                       uri->text);
    else
        (void)fail(err, ERR_STORE, "no token for '%s'", uri->text);
    if (found->seen == 0)
        err_hint(err,
                 "PKCS#11 module '%s' shows no token to this user; SoftHSM finds them by "
                 "SOFTHSM2_CONF, and only the user that owns them may read them",
                 m->name);
    else
        err_hint(err, "PKCS#11 module '%s' has %zu token%s; 'bulla key list pkcs11:' shows all",
                 m->name, found->seen, found->seen == 1 ? "" : "s");
    return FAIL;
}

static struct result many_tokens(const struct tokens *found, const struct uri *uri, struct err *err)
{
    char *first = uri_for(uri, &found->list[0]->info, NULL, NULL);
    char *second = uri_for(uri, &found->list[1]->info, NULL, NULL);

    (void)fail(err, ERR_USAGE, "%zu tokens are named by '%s'", found->count, uri->text);
    if (first != NULL && second != NULL && strcmp(first, second) != 0)
        err_hint(err, "name one: '%s' or '%s'", first, second);
    else
        err_hint(err, "name one by slot-id: slot-id=%lu or slot-id=%lu", found->list[0]->slot,
                 found->list[1]->slot);
    free(first);
    free(second);
    return FAIL;
}

struct result token_find(struct token **out, struct module *module, const struct uri *uri,
                         struct err *err)
{
    struct tokens found = {0};

    if (!find_all(&found, module, uri, err).ok)
        return FAIL;
    if (found.count == 0)
        return no_token(&found, module, uri, err);
    if (found.count > 1)
        return many_tokens(&found, uri, err);
    *out = found.list[0];
    return need_session(*out, err);
}

struct result token_each(struct module *module, const struct uri *uri,
                         struct result (*each)(void *arg, struct token *token, struct err *err),
                         void *arg, struct err *err)
{
    struct tokens found = {0};

    if (!find_all(&found, module, uri, err).ok)
        return FAIL;
    if (found.count == 0)
        return no_token(&found, module, uri, err);
    for (size_t i = 0; i < found.count; i++)
        if (!need_session(found.list[i], err).ok || !each(arg, found.list[i], err).ok)
            return FAIL;
    return OK;
}

static bool lists(const struct token *t, CK_MECHANISM_TYPE mechanism)
{
    for (CK_ULONG i = 0; i < t->mechanism_count; i++)
        if (t->mechanisms[i] == mechanism)
            return true;
    return false;
}

bool token_can(struct token *token, CK_MECHANISM_TYPE mechanism, CK_FLAGS flags)
{
    CK_MECHANISM_INFO info = {0};

    if (!lists(token, mechanism))
        return false;
    /* What is listed but tells no more is tried. */
    return CALL(token->module, C_GetMechanismInfo, token->slot, mechanism, &info) != CKR_OK ||
           (info.flags & flags) == flags;
}

void objects_free(struct objects *found)
{
    free(found->list);
    *found = (struct objects){0};
}

/* Reads on until there are no more; *room is how many fit into the list. */
static CK_RV read_objects(struct token *t, struct objects *found, size_t *room)
{
    CK_ULONG got;

    do {
        got = 0;
        if (*room - found->count < FIND_STEP) {
            *room = *room == 0 ? OBJECTS_START : 2 * *room;
            CK_OBJECT_HANDLE *grown = reallocarray(found->list, *room, sizeof *grown);
            if (grown == NULL)
                return CKR_HOST_MEMORY;
            found->list = grown;
        }
        CK_RV rv =
            CALL(t->module, C_FindObjects, t->session, found->list + found->count, FIND_STEP, &got);
        if (rv != CKR_OK || got > FIND_STEP)
            return rv != CKR_OK ? rv : CKR_GENERAL_ERROR;
        found->count += got;
    } while (got > 0 && found->count <= TOKEN_OBJECTS_MAX);
    return CKR_OK;
}

struct result token_objects(struct token *token, CK_ATTRIBUTE *wanted, size_t count,
                            struct objects *found, struct err *err)
{
    struct objects made OBJECTS_CLEANUP = {0};
    CK_RV rv = CALL(token->module, C_FindObjectsInit, token->session, wanted, count);
    size_t room = 0;

    if (rv != CKR_OK)
        return ckr_fail(err, rv, "token '%s': C_FindObjectsInit", token->label);
    rv = read_objects(token, &made, &room);
    CK_RV final = CALL(token->module, C_FindObjectsFinal, token->session);
    if (rv != CKR_OK)
        return ckr_fail(err, rv, "token '%s': C_FindObjects", token->label);
    if (final != CKR_OK)
        return ckr_fail(err, final, "token '%s': C_FindObjectsFinal", token->label);
    if (made.count > TOKEN_OBJECTS_MAX)
        return fail(err, ERR_STORE,
                    "token '%s' has more than %d objects; name a key by its CKA_ID too",
                    token->label, TOKEN_OBJECTS_MAX);
    *found = TAKE(made);
    return OK;
}

bool token_value(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *out,
                 size_t room, size_t *size)
{
    CK_ATTRIBUTE attribute = {type, out, room};
    CK_RV rv = CALL(token->module, C_GetAttributeValue, token->session, object, &attribute, 1);

    if (rv != CKR_OK && rv != CKR_ATTRIBUTE_SENSITIVE && rv != CKR_ATTRIBUTE_TYPE_INVALID &&
        rv != CKR_BUFFER_TOO_SMALL)
        token->value_failed = rv;
    if (rv != CKR_OK || attribute.ulValueLen > room)
        return false;
    *size = attribute.ulValueLen;
    return true;
}

bool token_flag(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool fallback)
{
    CK_BBOOL value = 0;
    size_t size;

    return token_value(token, object, type, &value, sizeof value, &size) && size == sizeof value
               ? value != CK_FALSE
               : fallback;
}
