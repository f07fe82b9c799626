#include "keystore/awskms/awskms.h"
#include "keystore/awskms/options.h"

#include <stdlib.h>
#include <string.h>

#include "keystore/awskms/describe_key.h"
#include "keystore/awskms/opened_key.h"

static void awskms_close(struct master_key *key)
{
    struct kms_master *k = (struct kms_master *)key;

    account_close(&k->kms.account);
    free(k);
}

/* The region: of the ARN, else what the user set. */
static struct result find_region(struct kms_master *k, struct err *err)
{
    const char *region =
        k->name.arn.text[0] != '\0' ? k->name.arn.region : k->kms.account->aws.region;

    if (region[0] == '\0') {
        (void)fail(err, ERR_USAGE, "key '%s' names no known region", k->name.id);
        return fail_hint(err, "set AWS_REGION or the profile's region, or name the key by its ARN");
    }
    memcpy(k->kms.region, region, strlen(region) + 1);
    return OK;
}

static struct result find_service(struct kms_master *k, struct err *err)
{
    struct kms *kms = &k->kms;
    struct account *account = kms->account;

    chain_region(&account->chain, kms->region);
    kms->calls = &k->key.calls;
    return aws_endpoint(kms->url, &account->aws, "kms", kms->region,
                        store_text(&k->env->settings, &awskms_options[AWSKMS_ENDPOINT]), err);
}

static struct result awskms_open(struct master_key **out, const struct keystore_env *env,
                                 const char *reference, struct err *err)
{
    unsigned timeout = (unsigned)store_number(&env->settings, &awskms_options[AWSKMS_TIMEOUT]);
    struct kms_master *k = calloc(1, sizeof *k);

    if (k == NULL)
        return fail_memory(err);
    k->key.ops = &awskms_ops;
    k->env = env;
    if (!key_name_parse(&k->name, reference, err).ok ||
        !account_open(&k->kms.account, &env->settings.environment, timeout, err).ok ||
        !find_region(k, err).ok || !find_service(k, err).ok) {
        awskms_close(&k->key);
        return FAIL;
    }
    if (arn_is_key(&k->name.arn))
        k->arn = k->name.arn;
    *out = &k->key;
    return OK;
}

struct result key_pin(struct kms_master *k, const struct arn *answered, struct err *err)
{
    bool known = k->arn.text[0] != '\0';

    if (known ? strcmp(k->arn.text, answered->text) == 0
              : key_name_fits(&k->name, k->kms.region, answered) &&
                    strcmp(k->kms.region, answered->region) == 0) {
        k->arn = *answered;
        return OK;
    }
    (void)fail(err, ERR_POLICY, "key '%s': another key answered: '%s'", k->name.id, answered->text);
    return fail_hint(
        err, "if an alias was moved just now, run it again; else do not trust this endpoint");
}

/* A slot with a wrap that this key made. */
static struct result fill_slot(struct kms_master *k, const struct blob *blob, struct slot *slot,
                               struct err *err)
{
    if (!key_pin(k, &blob->arn, err).ok)
        return FAIL;
    slot_begin(slot, SLOT_AWSKMS);
    slot_put_sized(slot, blob->arn.text, strlen(blob->arn.text));
    slot_put_sized(slot, blob->material, strlen(blob->material));
    memcpy(slot->wrap, blob->bytes, blob->size);
    slot->wrap_size = blob->size;
    return OK;
}

/* What is asked: an operation on a wrap, if there is one, in a context. The branch counts too, but
 * for a new wrap, whose branch is always another. */
static void hash_question(uint8_t out[SHA256_SIZE], const char *operation,
                          const struct branch_identity *branch, struct view wrapped)
{
    uint8_t size[4], context[SHA256_SIZE];
    struct wire_writer w = wire_writer(size, sizeof size);

    wire_put_u32(&w, (uint32_t)wrapped.size);
    context_hash(branch->context, context);
    sha256(out,
           (struct view[]){{(const uint8_t *)operation, strlen(operation) + 1},
                           {size, sizeof size},
                           wrapped,
                           {branch->id, wrapped.size > 0 ? BRANCH_ID_SIZE : 0},
                           {context, sizeof context}},
           5);
}

static bool was_refused(const struct kms_master *k, const uint8_t what[SHA256_SIZE],
                        struct err *err)
{
    if (k->refused.why.class == ERR_NONE || memcmp(k->refused.what, what, SHA256_SIZE) != 0)
        return false;
    *err = k->refused.why;
    return true;
}

/* Keeps a refusal, but not one that may pass. */
static void keep_refused(struct kms_master *k, const uint8_t what[SHA256_SIZE],
                         const struct err *err)
{
    if (err->class != ERR_POLICY && err->class != ERR_NO_KEY)
        return;
    memcpy(k->refused.what, what, SHA256_SIZE);
    k->refused.why = *err;
}

static struct result awskms_wrap(struct master_key *key, const struct branch_identity *branch,
                                 const struct secret *branch_key, struct slot *slot,
                                 struct err *err)
{
    struct kms_master *k = (struct kms_master *)key;
    const struct kms_request request = {.key_id = k->name.id, .branch = branch};
    struct kms_reply reply = {0};
    uint8_t what[SHA256_SIZE];

    hash_question(what, "Encrypt", branch, (struct view){0});
    if (was_refused(k, what, err))
        return FAIL;
    if (kms_encrypt(&k->kms, &request, branch_key, &reply, err).ok &&
        fill_slot(k, &reply.blob, slot, err).ok)
        return OK;
    keep_refused(k, what, err);
    return FAIL;
}

/* The key that a slot names, if the slot is of this store. */
static bool slot_arn(const struct slot *slot, struct arn *arn)
{
    struct view text = slot_view(slot, &awskms_key_arn);

    return slot->method->code == SLOT_AWSKMS && arn_parse(arn, (const char *)text.bytes, text.size);
}

/* Whether a slot is of this key. An alias that was not looked up yet may be any key. */
static bool may_own(const struct kms_master *k, const struct arn *slot)
{
    return k->arn.text[0] != '\0' ? arn_same_key(&k->arn, slot)
                                  : key_name_fits(&k->name, k->kms.region, slot);
}

static enum slot_match awskms_match(const struct master_key *key, const struct slot *slot)
{
    const struct kms_master *k = (const struct kms_master *)key;
    struct arn arn;

    if (!slot_arn(slot, &arn) || !may_own(k, &arn))
        return SLOT_OTHER;
    if (k->arn.text[0] == '\0')
        return SLOT_MAYBE;
    struct view material = slot_view(slot, &awskms_material_id);
    size_t size = strlen(k->material);
    return size == 0 || (size == material.size && memcmp(k->material, material.bytes, size) == 0)
               ? SLOT_CURRENT
               : SLOT_OLD;
}

/* The answer must name the key that the user named, and the one that the slot names. */
static struct result check_opened(struct kms_master *k, const struct arn *opened_by,
                                  const struct arn *slot, struct err *err)
{
    if (!key_pin(k, opened_by, err).ok)
        return FAIL;
    if (!arn_same_key(opened_by, slot))
        return fail(err, ERR_POLICY, "key '%s' opened a wrap that names '%s'", opened_by->text,
                    slot->text);
    return OK;
}

/* What a wrap is that the key did not open: with an alias that was not looked up yet, it may be
 * another key's. */
static enum unwrapped not_opened(const struct kms_master *from, struct kms_master *asked,
                                 const uint8_t what[SHA256_SIZE], enum kms_refusal refusal,
                                 const struct err *why, struct err *err)
{
    if (refusal == KMS_OTHER_KEY && from->arn.text[0] == '\0')
        return UNWRAP_NOT_MINE;
    keep_refused(asked, what, why);
    *err = *why;
    return UNWRAP_FAILED;
}

static enum unwrapped awskms_unwrap(struct master_key *key, const struct branch_identity *branch,
                                    const struct slot *slot, struct secret *branch_key,
                                    struct err *err)
{
    struct kms_master *k = (struct kms_master *)key;
    struct secret opened SECRET_CLEANUP = {0};
    const struct kms_request request = {
        .key_id = k->name.id, .branch = branch, .wrapped = slot_wrap(slot)};
    struct kms_reply reply = {0};
    struct arn arn;
    uint8_t what[SHA256_SIZE];
    struct err why = {0};

    if (!slot_arn(slot, &arn) || !may_own(k, &arn))
        return UNWRAP_NOT_MINE;
    hash_question(what, "Decrypt", branch, request.wrapped);
    if (was_refused(k, what, err))
        return UNWRAP_FAILED;
    if (kms_decrypt(&k->kms, &request, &reply, &opened, &why).ok &&
        check_opened(k, &reply.opened_by, &arn, &why).ok) {
        *branch_key = TAKE(opened);
        return UNWRAP_OPENED;
    }
    return not_opened(k, k, what, reply.refusal, &why, err);
}

/* ReEncrypt works inside one region. */
static enum unwrapped awskms_move(struct master_key *from, struct master_key *to,
                                  const struct branch_identity *branch, const struct slot *old,
                                  struct slot *fresh, struct err *err)
{
    struct kms_master *f = (struct kms_master *)from, *t = (struct kms_master *)to;
    const struct kms_request request = {
        .key_id = f->name.id, .to = t->name.id, .branch = branch, .wrapped = slot_wrap(old)};
    struct kms_reply reply = {0};
    struct arn arn;
    uint8_t what[SHA256_SIZE];
    struct err why = {0};

    if (!slot_arn(old, &arn) || !may_own(f, &arn) || strcmp(f->kms.region, t->kms.region) != 0)
        return UNWRAP_NOT_MINE;
    hash_question(what, f->name.id, branch, request.wrapped);
    if (was_refused(t, what, err))
        return UNWRAP_FAILED;
    if (kms_reencrypt(&t->kms, &request, &reply, &why).ok &&
        check_opened(f, &reply.opened_by, &arn, &why).ok &&
        fill_slot(t, &reply.blob, fresh, &why).ok)
        return UNWRAP_OPENED;
    return not_opened(f, t, what, reply.refusal, &why, err);
}

static struct result awskms_locate(struct master_key *key, bool version, struct err *err)
{
    struct kms_master *k = (struct kms_master *)key;
    struct kms_key about;

    if (k->asked || (!version && k->arn.text[0] != '\0'))
        return OK;
    if (!kms_describe(&k->kms, k->name.id, &about, err).ok || !key_pin(k, &about.arn, err).ok)
        return FAIL;
    memcpy(k->material, about.material, sizeof k->material);
    k->asked = true;
    return OK;
}

/* This would cost a call, and a permission that a host lacks which only seals. */
static bool awskms_reopens(const struct master_key *key)
{
    (void)key;
    return false;
}

static struct result awskms_create(const struct keystore_env *env, const char *reference,
                                   const struct key_wanted *want, struct key_info *info,
                                   struct err *err)
{
    (void)env, (void)want, (void)info;
    (void)fail(err, ERR_UNSUPPORTED, "key '%s' is made by AWS, not by bulla", reference);
    return fail_hint(err, "'aws kms create-key' makes one, 'aws kms create-alias' gives it a name");
}

static struct result awskms_rotate(const struct keystore_env *env, const char *reference,
                                   uint64_t now, struct key_info *info, struct err *err)
{
    (void)env, (void)now, (void)info;
    (void)fail(err, ERR_UNSUPPORTED, "key '%s' is rotated by AWS, not by bulla", reference);
    return fail_hint(
        err,
        "'aws kms enable-key-rotation' does it each year, 'aws kms rotate-key-on-demand' "
        "now; then 'bulla rewrap -k %.200s' moves files to the new material",
        reference);
}

const struct keystore_ops awskms_ops = {
    .name = "awskms",
    .open = awskms_open,
    .wrap = awskms_wrap,
    .unwrap = awskms_unwrap,
    .reopens = awskms_reopens,
    .match = awskms_match,
    .close = awskms_close,
    .move = awskms_move,
    .locate = awskms_locate,
    .describe = awskms_describe,
};

const struct keystore_admin awskms_admin = {
    .create = awskms_create,
    .rotate = awskms_rotate,
};
