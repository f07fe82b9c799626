#include "keystore/awskms/describe_key.h"

#include <stdio.h>
#include <string.h>

#include "aws/sts.h"
#include "keystore/awskms/opened_key.h"

/* struct telling: the key and whom its facts are told. */
struct telling {
    struct kms_master *k;
    const struct key_sink *sink;
    struct branch_identity branch; /* of a wrap that nothing else uses */
};

static void tell(const struct telling *t, const char *name, const char *value)
{
    t->sink->fact(t->sink->arg, name, value);
}

/* The caller and the credentials. Missing credentials are an error. If AWS does not tell who the
 * caller is, that is a fact to show. */
static struct result tell_caller(const struct telling *t, struct err *err)
{
    struct account *account = t->k->kms.account;
    struct caller caller = chain_caller(&account->chain);
    char source[CREDENTIALS_SOURCE_MAX], arn[SLOT_KEY_ARN_MAX + 1];
    const struct credentials *c;
    struct err why = {0};
    bool told = false;

    pthread_mutex_lock(&account->lock);
    struct result r = chain_credentials(&account->chain, false, &c, err);
    if (r.ok) {
        memcpy(source, c->source, sizeof source);
        told = sts_caller(&account->aws, account->chain.region, &caller, arn, sizeof arn, &why).ok;
    }
    pthread_mutex_unlock(&account->lock);
    if (!r.ok)
        return FAIL;
    tell(t, "credentials", source);
    tell(t, "identity", told ? arn : why.text);
    return OK;
}

static void tell_key(const struct telling *t)
{
    struct kms_key about;
    struct err why = {0};

    if (!kms_describe(&t->k->kms, t->k->name.id, &about, &why).ok ||
        !key_pin(t->k, &about.arn, &why).ok) {
        tell(t, "key ARN", why.text);
        return;
    }
    tell(t, "key ARN", about.arn.text);
    if (about.state[0] != '\0')
        tell(t, "state", about.state);
    if (about.usage[0] != '\0')
        tell(t, "usage", about.usage);
    tell(t, "multi-region", about.multi_region ? "yes" : "no");
    if (about.material[0] != '\0')
        tell(t, "key material", about.material);
}

/* With DryRun, KMS refuses an allowed operation too, but with an error of its own. A service that
 * does not know DryRun does the operation. */
static void tell_ability(const struct telling *t, const char *name, struct result r,
                         enum kms_refusal refusal, const struct err *why)
{
    tell(t, name, r.ok || refusal == KMS_DRY_RUN ? "yes" : why->text);
}

static void try_encrypt(const struct telling *t, const struct secret *secret, struct blob *blob)
{
    struct kms_request request = {.key_id = t->k->name.id, .branch = &t->branch, .dry_run = true};
    struct kms_reply reply = {0};
    struct err why = {0};
    struct result r = kms_encrypt(&t->k->kms, &request, secret, &reply, &why);

    tell_ability(t, "may encrypt", r, reply.refusal, &why);
    /* The dry runs of Decrypt and ReEncrypt need a true wrap, because KMS may refuse anything else,
     * whatever the policy says. A dry run of Encrypt makes none. So one is made for them, if
     * Encrypt is known to be allowed. */
    request.dry_run = false;
    if (!r.ok && reply.refusal == KMS_DRY_RUN)
        r = kms_encrypt(&t->k->kms, &request, secret, &reply, &why);
    if (r.ok)
        *blob = reply.blob;
}

static void try_decrypt(const struct telling *t, struct view wrap)
{
    const struct kms_request request = {t->k->name.id, NULL, &t->branch, wrap, .dry_run = true};
    struct secret opened SECRET_CLEANUP = {0};
    struct kms_reply reply = {0};
    struct err why = {0};
    struct result r = kms_decrypt(&t->k->kms, &request, &reply, &opened, &why);

    tell_ability(t, "may decrypt", r, reply.refusal, &why);
}

static void try_reencrypt(const struct telling *t, struct view wrap)
{
    const char *id = t->k->name.id;
    const struct kms_request request = {id, id, &t->branch, wrap, .dry_run = true};
    struct kms_reply reply = {0};
    struct err why = {0};
    struct result r = kms_reencrypt(&t->k->kms, &request, &reply, &why);

    tell_ability(t, "may re-encrypt", r, reply.refusal, &why);
}

static void tell_abilities(const struct telling *t, const struct secret *secret)
{
    struct blob blob = {0};

    try_encrypt(t, secret, &blob);
    if (blob.size == 0) {
        tell(t, "may decrypt", "not known: that takes a wrap to try with");
        tell(t, "may re-encrypt", "not known: that takes a wrap to try with");
        return;
    }
    struct view wrap = {blob.bytes, blob.size};
    try_decrypt(t, wrap);
    try_reencrypt(t, wrap);
}

struct result awskms_describe(struct master_key *key, const struct key_sink *sink, struct err *err)
{
    static const struct context none = {0};
    struct secret secret SECRET_CLEANUP = {0};
    uint8_t id[BRANCH_ID_SIZE];
    struct telling t = {(struct kms_master *)key, sink, {id, &none}};

    tell(&t, "region", t.k->kms.region);
    tell(&t, "endpoint", t.k->kms.url);
    if (!random_bytes(id, sizeof id, err).ok || !secret_random(&secret, KEY_SIZE, err).ok ||
        !tell_caller(&t, err).ok)
        return FAIL;
    tell_key(&t);
    tell_abilities(&t, &secret);
    return OK;
}
