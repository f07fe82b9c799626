#include "keystore/registry.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/host.h"
#include "keystore/awskms/awskms.h"
#include "keystore/keyring/keyring.h"
#include "keystore/passphrase/passphrase.h"
#include "keystore/redact.h"
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

/* One row for each way a reference may begin, of which schemes are written in any case; the last
 * row takes what no other does. */
static const struct {
    const char *prefix;
    bool strip;
    const struct keystore_ops *ops; /* NULL: known, but not in this build */
    const char *what;
} schemes[] = {
    {"file:", true, &keyring_ops, "keyring"},
    {"passphrase:", true, &passphrase_ops, "passphrase"},
    {PKCS11_SCHEME, false, PKCS11_OPS, "PKCS#11"},
    {"aws-kms:", false, AWSKMS_OPS, "AWS KMS"},
    {"arn:", false, AWSKMS_OPS, "AWS KMS"},
    {"alias/", false, AWSKMS_OPS, "AWS KMS"},
    {"", false, &keyring_ops, "keyring"},
};

void registry_each(void (*visit)(void *arg, const char *store, bool built), void *arg)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || strcmp(schemes[j].what, schemes[i].what) == 0;
        if (!again)
            visit(arg, schemes[i].what, schemes[i].ops != NULL);
    }
}

static struct result not_built(size_t row, const char *reference, struct err *err)
{
    char *shown = redact_reference(reference);

    (void)fail(err, ERR_UNSUPPORTED, "key '%s': this bulla has no %s key store",
               shown != NULL ? shown : "", schemes[row].what);
    err_hint(err, "for the file of that name, write file:%s", shown != NULL ? shown : "");
    free(shown);
    return FAIL;
}

/* It would be printed, or a file made of it. */
struct result registry_check_no_pin(const char *reference, struct err *err)
{
    char *shown = redact_reference(reference);
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

bool registry_has_scheme(const char *reference)
{
    size_t row = 0;

    while (!begins(reference, schemes[row].prefix))
        row++;
    return schemes[row].prefix[0] != '\0';
}

struct result registry_find(const struct keystore_ops **ops, const char **rest,
                            const char *reference, struct err *err)
{
    size_t row = 0;

    while (!begins(reference, schemes[row].prefix))
        row++;
    if (strcmp(schemes[row].prefix, PKCS11_SCHEME) != 0 &&
        !registry_check_no_pin(reference, err).ok)
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

bool registry_left_behind(void)
{
    for (size_t row = 0; row < sizeof schemes / sizeof *schemes; row++) {
        const struct keystore_ops *ops = schemes[row].ops;
        if (ops != NULL && ops->left_behind != NULL && ops->left_behind())
            return true;
    }
    return false;
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
        struct master_key *key = made.keys[made.count];
        key->shown = redact_reference(references[made.count]);
        host_explain("key '%s': opened, of the %s key store", keystore_shown(key), ops->name);
    }
    *set = made;
    made = (struct keyset){0};
    return OK;
}

void keyset_close(struct keyset *set)
{
    for (size_t i = 0; i < set->count; i++) {
        string_free(&set->keys[i]->shown);
        set->keys[i]->ops->close(set->keys[i]);
    }
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

struct result keyset_still_active(const struct keyset *set, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        struct master_key *key = set->keys[i];
        if (key->ops->still_active != NULL && !key->ops->still_active(key, err).ok)
            return FAIL;
    }
    return OK;
}

void keyset_next_file(const struct keyset *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->keys[i]->kdf_work = 0;
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

struct result keyset_check_age(const struct keyset *set, const struct slot *slots, size_t count,
                               struct err *err)
{
    char what[SLOT_DESCRIBED_MAX];

    for (size_t k = 0; k < set->count; k++)
        for (size_t s = 0; s < count; s++) {
            if (set->keys[k]->ops->match(set->keys[k], &slots[s]) != SLOT_NEWER)
                continue;
            slot_describe(&slots[s], what);
            (void)fail(err, ERR_POLICY, "the given keyring is older than the file: it lacks %s",
                       what);
            err_hint(err, "use the newest copy of the keyring");
            return FAIL;
        }
    return OK;
}

bool keyset_matches(const struct keyset *set, const struct slot *slot)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->keys[i]->ops->match(set->keys[i], slot) != SLOT_OTHER)
            return true;
    return false;
}
