#include "keystore/registry.h"

#include <stdlib.h>
#include <string.h>

#include "keystore/awskms/awskms.h"
#include "keystore/keyring/keyring.h"
#include "keystore/passphrase/passphrase.h"
#include "keystore/spki/pem_file.h"

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

/* One row for each way a reference may begin; the last row takes what no other does. */
static const struct {
    const char *prefix;
    bool strip;
    const struct keystore_ops *ops; /* NULL: known, but not in this build */
    const char *what;
} schemes[] = {
    {"file:", true, &keyring_ops, "keyring"},  {"passphrase:", true, &passphrase_ops, "passphrase"},
    {"pkcs11:", false, PKCS11_OPS, "PKCS#11"}, {"aws-kms:", false, AWSKMS_OPS, "AWS KMS"},
    {"arn:", false, AWSKMS_OPS, "AWS KMS"},    {"alias/", false, AWSKMS_OPS, "AWS KMS"},
    {"", false, &keyring_ops, "keyring"},
};

#define PIN "pin-value="
#define STARS "***"

char *registry_shown(const char *reference)
{
    size_t size = 0;
    /* Each PIN takes at least its own mark, so that three stars for each are room enough. */
    char *shown =
        calloc(1, strlen(reference) + strlen(reference) / strlen(PIN) * strlen(STARS) + 1);

    while (shown != NULL && *reference != '\0') {
        const char *pin = strstr(reference, PIN);
        size_t keep = pin == NULL ? strlen(reference) : (size_t)(pin - reference) + strlen(PIN);
        memcpy(shown + size, reference, keep);
        size += keep;
        reference += keep;
        if (pin == NULL)
            break;
        memcpy(shown + size, STARS, strlen(STARS));
        size += strlen(STARS);
        reference += strcspn(reference, "&");
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

struct result registry_find(const struct keystore_ops **ops, const char **rest,
                            const char *reference, struct err *err)
{
    size_t row = 0;

    while (strncmp(reference, schemes[row].prefix, strlen(schemes[row].prefix)) != 0)
        row++;
    if (schemes[row].ops == NULL)
        return not_built(row, reference, err);
    *ops = schemes[row].ops;
    *rest = reference + (schemes[row].strip ? strlen(schemes[row].prefix) : 0);
    /* Two kinds of file are told by how they begin. */
    if (*ops == &keyring_ops && pem_file_is(*rest))
        *ops = &pem_file_ops;
    return OK;
}

struct result keyset_open(struct keyset *set, const struct keystore_env *env,
                          const char *const *references, size_t count, struct err *err)
{
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
