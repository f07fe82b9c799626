#include "keystore/pkcs11/token_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/private_key.h"

#define VERSION_DIGITS 4
#define VERSION_MAX 999999999u

void token_keys_free(struct token_keys *keys)
{
    free(keys->list);
    free(keys->unusable);
    *keys = (struct token_keys){0};
}

unsigned token_keys_version(const char *label, const char *name)
{
    const char *v = strrchr(label, '-');
    unsigned version = 0;

    if (v == NULL || v[1] != 'v' || strspn(v + 2, "0123456789") < VERSION_DIGITS ||
        (name != NULL &&
         ((size_t)(v - label) != strlen(name) || memcmp(label, name, strlen(name)) != 0)))
        return 0;
    for (const char *c = v + 2; *c != '\0'; c++) {
        version = 10 * version + (unsigned)(*c - '0');
        if (*c < '0' || *c > '9' || version > VERSION_MAX)
            return 0;
    }
    return version;
}

const struct token_key *token_keys_newest(const struct token_keys *keys)
{
    const struct token_key *newest = &keys->list[0];

    for (size_t i = 1; i < keys->count; i++)
        if (keys->list[i].version > newest->version)
            newest = &keys->list[i];
    return newest;
}

char *token_keys_uri(const struct token_key *key, const struct token *token, const struct uri *uri)
{
    struct view id = {key->id, key->id_size};

    return uri_for(uri, &token->info, key->label[0] != '\0' ? key->label : NULL, &id);
}

void token_keys_hint_two(const struct token_key *a, const struct token_key *b,
                         const struct token *token, const struct uri *uri, struct err *err)
{
    char *first = token_keys_uri(a, token, uri);
    char *second = token_keys_uri(b, token, uri);

    if (first != NULL && second != NULL)
        err_hint(err, "name one: '%s' or '%s'", first, second);
    free(first);
    free(second);
}

struct result token_keys_many(const struct token_keys *keys, const struct token *token,
                              const struct uri *uri, struct err *err)
{
    (void)fail(err, ERR_USAGE, "%zu keys are named by '%s'", keys->count, uri->text);
    token_keys_hint_two(&keys->list[0], &keys->list[1], token, uri, err);
    return FAIL;
}

/* struct search: one pass over the objects of a token. */
struct search {
    struct token_keys *keys;
    struct token *token;
    const struct uri *uri;
    const struct crypto *crypto;
    bool exact; /* the very label, or else its versions */
};

static void read_label(struct token *t, CK_OBJECT_HANDLE object, char *out)
{
    size_t size;

    if (!token_value(t, object, CKA_LABEL, out, SLOT_KEY_LABEL_MAX, &size) ||
        !text_is_utf8(out, size))
        size = 0;
    out[size] = '\0';
}

/* The point, of so many bytes, in CKA_EC_POINT: an octet string in DER, but some modules give the
 * bare point. Both may begin alike; the size tells them apart. */
static struct view read_point(struct token *t, CK_OBJECT_HANDLE object, size_t wanted,
                              uint8_t *room)
{
    size_t size;

    if (!token_value(t, object, CKA_EC_POINT, room, TOKEN_VALUE_MAX, &size))
        return (struct view){0};
    if (size == wanted + 2 && room[0] == 0x04 && room[1] == wanted)
        return (struct view){room + 2, wanted};
    return size == wanted ? (struct view){room, size} : (struct view){0};
}

static bool is_curve(struct view params, enum spki_kind curve)
{
    struct view name = spki_parameters(curve);

    return params.size == name.size && memcmp(params.bytes, name.bytes, name.size) == 0;
}

static struct result read_ec(struct spki *spki, struct token *t, CK_OBJECT_HANDLE object,
                             const struct crypto *crypto, struct err *err)
{
    uint8_t params[64], room[TOKEN_VALUE_MAX];
    size_t size, wanted = 0;

    if (token_value(t, object, CKA_EC_PARAMS, params, sizeof params, &size)) {
        if (is_curve((struct view){params, size}, SPKI_P256))
            wanted = P256_POINT_SIZE;
        if (is_curve((struct view){params, size}, SPKI_P384))
            wanted = P384_POINT_SIZE;
    }
    if (wanted == 0)
        return fail(err, ERR_UNSUPPORTED, "an EC key that is not of P-256 or P-384");
    struct view point = read_point(t, object, wanted, room);
    if (point.size == 0)
        return fail(err, ERR_UNSUPPORTED, "an EC key without its public point");
    return spki_from_point(spki, crypto, point, err);
}

static struct result read_rsa(struct spki *spki, struct token *t, CK_OBJECT_HANDLE object,
                              const struct crypto *crypto, struct err *err)
{
    uint8_t modulus[TOKEN_VALUE_MAX], exponent[64];
    size_t n, e;

    if (!token_value(t, object, CKA_MODULUS, modulus, sizeof modulus, &n) ||
        !token_value(t, object, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent, &e))
        return fail(err, ERR_UNSUPPORTED, "an RSA key without its public numbers");
    return spki_from_rsa(spki, crypto, (struct view){modulus, n}, (struct view){exponent, e}, err);
}

/* The public half of an object: a public key, a private key that shows it, or a certificate. */
static struct result read_pair(struct spki *spki, struct token *t, CK_OBJECT_HANDLE object,
                               bool certificate, const struct crypto *crypto, struct err *err)
{
    CK_KEY_TYPE type = 0;
    size_t size;

    if (certificate) {
        uint8_t der[TOKEN_VALUE_MAX];
        if (!token_value(t, object, CKA_VALUE, der, sizeof der, &size))
            return fail(err, ERR_UNSUPPORTED, "a certificate that is too long");
        return spki_from_certificate(spki, crypto, (struct view){der, size}, err);
    }
    if (!token_value(t, object, CKA_KEY_TYPE, &type, sizeof type, &size) || size != sizeof type)
        return fail(err, ERR_UNSUPPORTED, "a key without a type");
    if (type == CKK_RSA)
        return read_rsa(spki, t, object, crypto, err);
    if (type == CKK_EC)
        return read_ec(spki, t, object, crypto, err);
    return fail(err, ERR_UNSUPPORTED, "a key of a type that bulla does not use (CKK 0x%lx)", type);
}

static struct result read_aes(struct token_key *key, struct token *t, CK_OBJECT_HANDLE object,
                              struct err *err)
{
    CK_KEY_TYPE type = 0;
    CK_ULONG length = 0;
    size_t size;

    if (!token_value(t, object, CKA_KEY_TYPE, &type, sizeof type, &size) || type != CKK_AES)
        return fail(err, ERR_UNSUPPORTED, "a secret key that is not of AES");
    if (token_value(t, object, CKA_VALUE_LEN, &length, sizeof length, &size) &&
        length != AES_KEY_BYTES)
        return fail(err, ERR_UNSUPPORTED, "an AES key of %lu bits, not 256", 8 * length);
    if (key->id_size == 0)
        return fail(err, ERR_UNSUPPORTED, "an AES key without CKA_ID, by which it would be known");
    key->aes = object;
    if (!token_value(t, object, CKA_CHECK_VALUE, key->check, sizeof key->check, &key->check_size))
        key->check_size = 0;
    return OK;
}

static bool is_there(const struct token_keys *keys, const struct token_key *key)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->list[i].secret == key->secret &&
            (key->secret ? keys->list[i].aes == key->aes
                         : memcmp(keys->list[i].spki.hash, key->spki.hash, SHA256_SIZE) == 0))
            return true;
    return false;
}

static struct result add_unusable(struct token_keys *keys, const char *label, const char *why,
                                  struct err *err)
{
    struct unusable_key *grown =
        reallocarray(keys->unusable, keys->unusable_count + 1, sizeof *grown);

    if (grown == NULL)
        return fail_memory(err);
    keys->unusable = grown;
    struct unusable_key *u = &keys->unusable[keys->unusable_count++];
    memcpy(u->label, label, strlen(label) + 1);
    snprintf(u->why, sizeof u->why, "%s", why);
    return OK;
}

/* A private half says what it may do, a public one what it was made for. */
static bool is_meant(struct token *t, CK_OBJECT_HANDLE object, CK_OBJECT_CLASS class,
                     const struct token_key *key)
{
    bool public = class == CKO_PUBLIC_KEY;

    if (key->secret)
        return true;
    return token_flag(t, object,
                      key->spki.kind != SPKI_RSA ? CKA_DERIVE
                      : public                   ? CKA_ENCRYPT
                                                 : CKA_DECRYPT,
                      false);
}

static struct result add(struct search *s, CK_OBJECT_HANDLE object, CK_OBJECT_CLASS class,
                         struct err *err)
{
    struct token_keys *keys = s->keys;
    struct token_key key = {.secret = class == CKO_SECRET_KEY};
    struct err why = {0};

    s->token->value_failed = CKR_OK;
    read_label(s->token, object, key.label);
    key.version =
        token_keys_version(key.label, s->uri->has_label && !s->exact ? s->uri->label : NULL);
    if (s->uri->has_label && !s->exact && key.version == 0)
        return OK;
    if (!token_value(s->token, object, CKA_ID, key.id, sizeof key.id, &key.id_size))
        key.id_size = 0;
    struct result r = key.secret ? read_aes(&key, s->token, object, &why)
                                 : read_pair(&key.spki, s->token, object, class == CKO_CERTIFICATE,
                                             s->crypto, &why);
    if (!r.ok && s->token->value_failed != CKR_OK)
        return ckr_fail(err, s->token->value_failed, "token '%s': C_GetAttributeValue",
                        s->token->label);
    if (!r.ok)
        return add_unusable(keys, key.label, why.text, err);
    key.meant = is_meant(s->token, object, class, &key);
    if (is_there(keys, &key))
        return OK;
    if (keys->count == KEYS_MAX)
        return fail(err, ERR_USAGE, "more than %d keys are named by '%s'", KEYS_MAX, s->uri->text);
    keys->list[keys->count++] = key;
    return OK;
}

static struct result pass(struct search *s, CK_OBJECT_CLASS class, struct err *err)
{
    struct objects objects OBJECTS_CLEANUP = {0};
    CK_ATTRIBUTE wanted[3] = {{CKA_CLASS, &class, sizeof class}};
    size_t n = 1;

    if (s->uri->has_label && s->exact)
        wanted[n++] =
            (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)s->uri->label, strlen(s->uri->label)};
    if (s->uri->id_size > 0)
        wanted[n++] = (CK_ATTRIBUTE){CKA_ID, (void *)(uintptr_t)s->uri->id, s->uri->id_size};
    if (!token_objects(s->token, wanted, n, &objects, err).ok)
        return FAIL;
    for (size_t i = 0; i < objects.count; i++)
        if (!add(s, objects.list[i], class, err).ok)
            return FAIL;
    return OK;
}

/* A private key or a certificate counts only where there is no public key: a certificate often has
 * another label than its key. */
static struct result all_classes(struct search *s, struct err *err)
{
    bool pairs = !s->uri->has_class || s->uri->class != CKO_SECRET_KEY;
    bool secrets = !s->uri->has_class || s->uri->class == CKO_SECRET_KEY;

    if (pairs && !pass(s, CKO_PUBLIC_KEY, err).ok)
        return FAIL;
    if (pairs && s->keys->count == 0 && !pass(s, CKO_PRIVATE_KEY, err).ok)
        return FAIL;
    if (pairs && s->keys->count == 0 && !pass(s, CKO_CERTIFICATE, err).ok)
        return FAIL;
    return secrets ? pass(s, CKO_SECRET_KEY, err) : OK;
}

static struct result search(struct token_keys *made, bool exact, struct token *token,
                            const struct uri *uri, const struct crypto *crypto, struct err *err)
{
    struct search s = {made, token, uri, crypto, exact};

    *made = (struct token_keys){.list = calloc(KEYS_MAX, sizeof *made->list), .family = !exact};
    if (made->list == NULL)
        return fail_memory(err);
    return all_classes(&s, err);
}

/* Anybody may put a public key on many a token, without a PIN: one with the bare name must not take
 * the place of the versions of that name. */
static struct result two_meanings(const struct token_keys *exact, const struct token_keys *versions,
                                  const struct token *token, const struct uri *uri, struct err *err)
{
    const struct token_key *newest = token_keys_newest(versions);

    (void)fail(err, ERR_USAGE, "key '%s': token '%s' has a key '%s' and also '%s'", uri->text,
               token->label, exact->list[0].label, newest->label);
    token_keys_hint_two(&exact->list[0], newest, token, uri, err);
    return FAIL;
}

struct result token_keys_find(struct token_keys *keys, struct token *token, const struct uri *uri,
                              const struct crypto *crypto, struct err *err)
{
    struct token_keys made __attribute__((cleanup(token_keys_free))) = {0};
    struct token_keys versions __attribute__((cleanup(token_keys_free))) = {0};
    bool bare = uri->has_label && token_keys_version(uri->label, NULL) == 0;

    if (!search(&made, true, token, uri, crypto, err).ok ||
        (bare && !search(&versions, false, token, uri, crypto, err).ok))
        return FAIL;
    if (made.count > 0 && versions.count > 0)
        return two_meanings(&made, &versions, token, uri, err);
    if (bare && made.count + made.unusable_count == 0) {
        token_keys_free(&made);
        made = TAKE(versions);
    }
    token_keys_free(keys);
    *keys = TAKE(made);
    return OK;
}

/* What a private object is to a pair. */
enum half {
    HALF_OF_ANOTHER,
    HALF_UNTOLD,   /* it does not show its public half */
    HALF_BY_LABEL, /* nor that, but it has the label of the pair */
    HALF_OF_THIS_ONE
};

static enum half half_of(struct token *t, CK_OBJECT_HANDLE object, const struct token_key *key)
{
    struct view point = spki_point(&key->spki), mine = {0};
    char label[SLOT_KEY_LABEL_MAX + 1];
    uint8_t room[TOKEN_VALUE_MAX];
    bool fits;

    if (key->spki.kind == SPKI_RSA) {
        if (!token_value(t, object, CKA_MODULUS, room, sizeof room, &mine.size))
            mine.size = 0;
        fits = mine.size > 0 && memmem(key->spki.der, key->spki.size, room, mine.size) != NULL;
    } else {
        mine = read_point(t, object, point.size, room);
        fits = mine.size > 0 && memcmp(mine.bytes, point.bytes, mine.size) == 0;
    }
    if (mine.size > 0)
        return fits ? HALF_OF_THIS_ONE : HALF_OF_ANOTHER;
    read_label(t, object, label);
    return strcmp(label, key->label) == 0 ? HALF_BY_LABEL : HALF_UNTOLD;
}

/* The visible private keys that may be the other half; it is no failure if there are none. */
static struct result find_halves(struct token *token, const struct token_key *key,
                                 struct halves *out, struct err *err)
{
    struct objects objects OBJECTS_CLEANUP = {0};
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = key->spki.kind == SPKI_RSA ? CKK_RSA : CKK_EC;
    CK_ATTRIBUTE wanted[3] = {{CKA_CLASS, &class, sizeof class},
                              {CKA_KEY_TYPE, &type, sizeof type}};

    wanted[2] = key->id_size > 0
                    ? (CK_ATTRIBUTE){CKA_ID, (void *)(uintptr_t)key->id, key->id_size}
                    : (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)key->label, strlen(key->label)};
    if (!token_objects(token, wanted, 3, &objects, err).ok)
        return FAIL;
    *out = (struct halves){.count = 0};
    for (enum half half = HALF_OF_THIS_ONE; half > HALF_OF_ANOTHER; half--)
        for (size_t i = 0; i < objects.count && out->count < HALVES_MAX; i++)
            if (half_of(token, objects.list[i], key) == half)
                out->list[out->count++] = objects.list[i];
    return OK;
}

static struct result no_private(const struct token *token, const struct token_key *key,
                                struct err *err)
{
    (void)fail(err, ERR_NO_KEY, "token '%s' has no private key for the public key '%s'",
               token->label, key->label);
    return fail_hint(err,
                     "'bulla key list' shows what is there; private and public key should have one "
                     "CKA_ID");
}

struct result token_keys_private(struct token *token, const struct token_key *key,
                                 struct halves *out, struct err *err)
{
    if (!find_halves(token, key, out, err).ok)
        return FAIL;
    return out->count > 0 ? OK : no_private(token, key, err);
}

static struct result check_mechanism(struct token *t, const struct token_key *key, struct err *err)
{
    bool rsa = key->spki.kind == SPKI_RSA;
    bool can = rsa ? private_key_can_decrypt(t) : token_can(t, CKM_ECDH1_DERIVE, CKF_DERIVE);

    if (can)
        return OK;
    (void)fail(err, ERR_NO_KEY, "token '%s' cannot open what is sealed to key '%s': it has no %s",
               t->label, key->label,
               rsa ? "RSA decryption (CKM_RSA_X_509 or CKM_RSA_PKCS_OAEP)"
                   : "ECDH (CKM_ECDH1_DERIVE)");
    return fail_hint(
        err, "'bulla key list' shows what the token can do; a key of another kind may work");
}

struct result token_keys_fit(struct token *token, const struct token_key *key, bool *in_sight,
                             struct err *err)
{
    bool rsa = key->spki.kind == SPKI_RSA;
    bool all = token->logged_in || (token->info.flags & CKF_LOGIN_REQUIRED) == 0;
    struct halves halves;

    if (!check_mechanism(token, key, err).ok || !find_halves(token, key, &halves, err).ok)
        return FAIL;
    *in_sight = halves.count > 0 || all;
    if (halves.count == 0)
        return all ? no_private(token, key, err) : OK;
    for (size_t i = 0; i < halves.count; i++)
        if (token_flag(token, halves.list[i], rsa ? CKA_DECRYPT : CKA_DERIVE, true))
            return OK;
    (void)fail(err, ERR_NO_KEY, "the private key '%s' on token '%s' has %s false", key->label,
               token->label, rsa ? "CKA_DECRYPT" : "CKA_DERIVE");
    return fail_hint(
        err, "it was made for something else, such as signing; 'bulla key new' makes one that "
             "opens what is sealed to it");
}
