#include "keystore/registry.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "keystore/awskms/awskms.h"
#include "keystore/keyring/keyring.h"
#include "keystore/passphrase/passphrase.h"
#include "keystore/spki/spki.h"

#ifdef BULLA_PKCS11
#include "keystore/pkcs11/pkcs11.h"
#define PKCS11_OPS &pkcs11_ops
#else
#define PKCS11_OPS NULL
#endif

#ifdef BULLA_AWSKMS
#define AWSKMS_OPS &awskms_ops
#else
#define AWSKMS_OPS NULL
#endif

#define PKCS11 "pkcs11:"

/* One row for each way a reference may begin, of which schemes are written in any case; the last
 * row takes what no other does. */
static const struct {
    const char *prefix;
    bool strip;
    const struct keystore_ops *ops; /* NULL: known, but not in this build */
    const char *what;
} schemes[] = {
    {"file:", true, &keyring_ops, "keyring"}, {"passphrase:", true, &passphrase_ops, "passphrase"},
    {PKCS11, false, PKCS11_OPS, "PKCS#11"},   {"aws-kms:", false, AWSKMS_OPS, "AWS KMS"},
    {"arn:", false, AWSKMS_OPS, "AWS KMS"},   {"alias/", false, AWSKMS_OPS, "AWS KMS"},
    {"", false, &keyring_ops, "keyring"},
};

#define BETWEEN ";?&" /* attributes of a PKCS#11 URI */
#define STARS "***"

/* The attributes of RFC 7512 that are no secret. What is none of these may be a PIN whose name was
 * written in another way; what has no name at all is harmless in the first place, as in the name of
 * a file. */
static bool is_harmless(const char *at, size_t size, bool first)
{
    static const char *const harmless[] = {
        "token",
        "manufacturer",
        "serial",
        "model",
        "object",
        "type",
        "id",
        "slot-id",
        "slot-manufacturer",
        "slot-description",
        "library-manufacturer",
        "library-description",
        "library-version",
        "pin-source",
        "module-name",
        "module-path",
    };
    const char *equals = memchr(at, '=', size);

    if (equals == NULL)
        return size == 0 || (first && memchr(at, '%', size) == NULL);
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strlen(harmless[i]) == (size_t)(equals - at) &&
            memcmp(harmless[i], at, strlen(harmless[i])) == 0)
            return true;
    return false;
}

/* Where the attributes begin in what is, or was meant to be, a PKCS#11 URI; else the end. */
static const char *find_attributes(const char *reference)
{
    const char *scheme = strcasestr(reference, PKCS11), *pin = strcasestr(reference, "pin-val");

    if (scheme != NULL)
        return scheme + strlen(PKCS11);
    while (pin != NULL && pin > reference && strchr(BETWEEN, pin[-1]) == NULL)
        pin--;
    return pin != NULL ? pin : reference + strlen(reference);
}

char *registry_shown(const char *reference)
{
    const char *first = find_attributes(reference), *at = first;
    size_t size = (size_t)(at - reference);
    /* Stars take the place of one byte at least. */
    char *shown = calloc(strlen(reference) + 1, strlen(STARS));

    if (shown == NULL)
        return NULL;
    memcpy(shown, reference, size);
    while (*at != '\0') {
        size_t all = strcspn(at, BETWEEN), name = strcspn(at, "=" BETWEEN);
        bool harmless = is_harmless(at, all, at == first);
        size_t keep = harmless ? all : at[name] == '=' ? name + 1 : 0;
        memcpy(shown + size, at, keep);
        size += keep;
        if (keep < all) {
            /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): calloc() saw to that */
            memcpy(shown + size, STARS, strlen(STARS));
            size += strlen(STARS);
        }
        /* A PIN may have in it what else stands between attributes. */
        at += harmless ? all : strcspn(at, "&");
        if (*at != '\0')
            shown[size++] = *at++;
    }
    return shown;
}

static struct result not_built(size_t row, const char *reference, struct err *err)
{
    char *shown = registry_shown(reference);

    (void)fail(err, ERR_UNSUPPORTED, "key '%s': this bulla has no %s key store",
               shown != NULL ? shown : "", schemes[row].what);
    err_hint(err, "a file of that name is meant by file:%s", shown != NULL ? shown : "");
    free(shown);
    return FAIL;
}

/* What may have a PIN is no name for anything but a token: it would be printed, or a file made of
 * it. */
static struct result check_no_pin(const char *reference, struct err *err)
{
    char *shown = registry_shown(reference);
    struct result r = OK;

    if (shown == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    if (strcmp(shown, reference) != 0)
        r = fail(err, ERR_USAGE, "key '%s' has what may be a PIN, but is no PKCS#11 URI", shown);
    free(shown);
    return r;
}

static bool begins(const char *reference, const char *prefix)
{
    size_t size = strlen(prefix);
    bool scheme = size > 0 && prefix[size - 1] == ':';

    return (scheme ? strncasecmp : strncmp)(reference, prefix, size) == 0;
}

struct result registry_find(const struct keystore_ops **ops, const char **rest,
                            const char *reference, struct err *err)
{
    size_t row = 0;

    while (!begins(reference, schemes[row].prefix))
        row++;
    if (strcmp(schemes[row].prefix, PKCS11) != 0 && !check_no_pin(reference, err).ok)
        return FAIL;
    if (schemes[row].ops == NULL)
        return not_built(row, reference, err);
    *ops = schemes[row].ops;
    *rest = reference + (schemes[row].strip ? strlen(schemes[row].prefix) : 0);
    /* Two kinds of file are told by how they begin. */
    if (*ops == &keyring_ops && spki_is_file(*rest))
        *ops = &spki_ops;
    return OK;
}

struct result keyset_open(struct keyset *set, const struct keystore_env *env,
                          const char *const *references, size_t count, struct err *err)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    struct keyset made KEYSET_CLEANUP = {calloc(count, sizeof *made.keys), 0};

    if (made.keys == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    for (; made.count < count; made.count++) {
        const struct keystore_ops *ops;
        const char *rest;
        if (!registry_find(&ops, &rest, references[made.count], err).ok ||
            !ops->open(&made.keys[made.count], env, rest, err).ok)
            return FAIL;
    }
    *set = made;
    made = (struct keyset){0};
    return OK;
}

void keyset_close(struct keyset *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->keys[i]->ops->close(set->keys[i]);
    free(set->keys);
    *set = (struct keyset){0};
}

struct result keyset_locate(const struct keyset *set, bool version, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        struct master_key *key = set->keys[i];
        if (key->ops->locate != NULL && !key->ops->locate(key, version, err).ok)
            return FAIL;
    }
    return OK;
}

uint64_t keyset_calls(const struct keyset *set)
{
    uint64_t calls = 0;

    for (size_t i = 0; i < set->count; i++)
        calls += set->keys[i]->calls;
    return calls;
}

bool keyset_lives_in(const struct keyset *set, const struct stat *st)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct master_key *key = set->keys[i];
        if (key->ops->lives_in != NULL && key->ops->lives_in(key, st))
            return true;
    }
    return false;
}

bool keyset_matches(const struct keyset *set, const struct slot *slot)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->keys[i]->ops->match(set->keys[i], slot) != SLOT_OTHER)
            return true;
    return false;
}

const char *key_state_name(enum key_state state)
{
    static const char *const names[] = {
        [KEY_ACTIVE] = "active",
        [KEY_RETIRED] = "retired",
        [KEY_DISABLED] = "disabled",
        [KEY_DESTROYED] = "destroyed",
    };

    return names[state];
}
