#include "keystore/awskms/kms.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/host.h"
#include "base/json_text.h"
#include "base/text.h"
#include "http/wiping_allocator.h"

#define BRANCH_PAIR "bulla-branch"

/* struct operation: one of KMS, and the permission it takes. */
struct operation {
    const char *what, *permission;
};

static const struct operation encrypt_operation = {"kms:Encrypt", "kms:Encrypt on this key"};
static const struct operation decrypt_operation = {"kms:Decrypt", "kms:Decrypt on this key"};
static const struct operation reencrypt_operation = {
    "kms:ReEncrypt", "kms:ReEncryptFrom on the old key and kms:ReEncryptTo on the new one"};
static const struct operation describe_operation = {"kms:DescribeKey",
                                                    "kms:DescribeKey on this key"};

static const struct refusal refusals[] = {
    {"DependencyTimeoutException", ERR_STORE, NULL},
    {"KeyUnavailableException", ERR_STORE, NULL},
    {"KMSInternalException", ERR_STORE, NULL},
    {"DryRunOperationException", ERR_POLICY, NULL},
    {"IncorrectKeyException", ERR_NO_KEY, "it was sealed to another key"},
    {"InvalidCiphertextException", ERR_NO_KEY,
     "the wrap or the context of the file is not as it was sealed"},
    {"NotFoundException", ERR_NO_KEY, "there is no such key in this account and region"},
    {"DisabledException", ERR_POLICY, "'aws kms enable-key' enables it"},
    {"KMSInvalidStateException", ERR_POLICY,
     "the key may be waiting for its deletion, or have no key material; 'bulla key check' shows its "
     "state"},
    {"InvalidKeyUsageException", ERR_POLICY, "the key must be symmetric, for ENCRYPT_DECRYPT"},
    {NULL, ERR_NONE, NULL},
};

static enum kms_refusal kind_of(const char *name)
{
    static const struct {
        const char *name;
        enum kms_refusal kind;
    } kinds[] = {{"IncorrectKeyException", KMS_OTHER_KEY},
                 {"AccessDeniedException", KMS_DENIED},
                 {"AccessDenied", KMS_DENIED},
                 {"DryRunOperationException", KMS_DRY_RUN}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    return KMS_REFUSED;
}

/* struct question: a request on its way. */
struct question {
    const struct operation *op;
    const char *key_id; /* for messages */
    json_t *request;    /* or NULL, if there was no memory for it */
    const char *unsaid; /* a secret in it, or NULL */
};

static struct result refused(const struct call *call, const struct question *q,
                             const struct fault *f, enum kms_refusal *refusal, struct err *err)
{
    enum kms_refusal kind = *refusal = kind_of(f->name);

    call_refused(call, f, err);
    err_context(err, "key '%s'", q->key_id);
    if (f->class == ERR_STORE)
        err_hint_option(err, "the service may answer later; --kms-timeout is how long to try");
    else if (kind == KMS_DENIED)
        err_hint(err, "a policy must allow %s, for this caller and this encryption context",
                 q->op->permission);
    return FAIL;
}

/* After a call that nothing answered, no other file waits, for as long as a call may take. A
 * service that answers "later" is asked again for the next file. */
static void remember_down(struct kms *kms, const struct err *err)
{
    if (err->class != ERR_STORE)
        return;
    kms->down = *err;
    kms->down_until = clock_ms() + (uint64_t)kms->account->aws.timeout * 1000;
}

/* Sends a request, which belongs to the caller, and takes an answer that is a JSON object. */
static struct result ask(struct kms *kms, const struct question *q, json_t **answer,
                         enum kms_refusal *refusal, struct err *err)
{
    struct http_answer got HTTP_ANSWER_CLEANUP = {0};
    char *body WIPING_CLEANUP = q->request != NULL ? json_dumps(q->request, JSON_COMPACT) : NULL;
    const char *what = q->op->what;
    struct caller caller = chain_caller(&kms->account->chain);
    char target[64], id[HTTP_HEADER_MAX + 1];
    const char *const headers[] = {"Content-Type: application/x-amz-json-1.1", target, NULL};
    struct fault fault;

    if (body == NULL)
        return fail_memory(err);
    if (clock_ms() < kms->down_until) {
        *err = kms->down;
        return FAIL;
    }
    snprintf(target, sizeof target, "X-Amz-Target: TrentService.%s", what + strlen("kms:"));
    struct call call = {.service = "kms",
                        .region = kms->region,
                        .url = kms->url,
                        .headers = headers,
                        .what = what,
                        .body = {(const uint8_t *)body, strlen(body)},
                        .unsaid = q->unsaid,
                        .refusals = refusals};
    host_explain("key '%s': asks AWS KMS for %s, at %s", q->key_id, what, kms->url);
    pthread_mutex_lock(&kms->account->lock);
    struct result sent = call_send(&kms->account->aws, &call, &caller, &got, &fault, err);
    pthread_mutex_unlock(&kms->account->lock);
    if (!sent.ok) {
        err_context(err, "key '%s'", q->key_id);
        remember_down(kms, err);
        return FAIL;
    }
    ++*kms->calls;
    if (fault.name[0] != '\0')
        return refused(&call, q, &fault, refusal, err);
    if (json_read(answer, &got, err).ok)
        return OK;
    if (err->class != ERR_DAMAGED)
        return FAIL;
    bool has_id = http_header(&got, "x-amzn-requestid", id, sizeof id);
    return fail(err, ERR_STORE, "key '%s': %s: the answer is not JSON (request %s)", q->key_id,
                what, has_id ? id : "without an id");
}

/* The encryption context: FORMAT.md section 5. NULL when memory is out. */
static json_t *context_json(const struct branch_identity *branch)
{
    char id[2 * BRANCH_ID_SIZE + 1];
    json_t *pairs = json_object();
    bool bad = pairs == NULL;

    text_hex(id, branch->id, BRANCH_ID_SIZE);
    bad = bad || json_object_set_new(pairs, BRANCH_PAIR, json_string(id)) != 0;
    for (size_t i = 0; i < branch->context->count && !bad; i++)
        bad = json_object_set_new(pairs, branch->context->pairs[i].key,
                                  json_string(branch->context->pairs[i].value)) != 0;
    if (!bad)
        return pairs;
    json_decref(pairs);
    return NULL;
}

/* Bytes as base64; the caller frees by wiping_free. */
static char *to_base64(const void *bytes, size_t size)
{
    size_t room = sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room);

    if (text != NULL)
        sodium_bin2base64(text, room, bytes, size, sodium_base64_VARIANT_ORIGINAL);
    return text;
}

/* A string of an answer, from base64, to out, which has room bytes; 0 bytes if there is none or it
 * does not fit. */
static size_t from_base64(const json_t *answer, const char *name, uint8_t *out, size_t room)
{
    const char *text = json_text(answer, name);
    size_t size;

    if (text == NULL || sodium_base642bin(out, room, text, strlen(text), NULL, &size, NULL,
                                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return 0;
    return size;
}

/* The value of "DryRun", which is left out where it is NULL: not every service knows it. */
static json_t *dry(bool dry_run)
{
    return dry_run ? json_true() : NULL;
}

static struct result bad_answer(const struct operation *op, const char *key_id, const char *what,
                                struct err *err)
{
    return fail(err, ERR_POLICY, "key '%s': %s: the answer has %s", key_id, op->what, what);
}

/* A member that must be the ARN of a key. */
static struct result take_arn(struct arn *arn, const json_t *answer, const char *name,
                              const struct operation *op, const char *key_id, struct err *err)
{
    const char *text = json_text(answer, name);
    struct arn a;

    if (text == NULL || !arn_parse(&a, text, strlen(text)) || !arn_is_key(&a))
        return bad_answer(op, key_id, "no ARN of a key", err);
    *arn = a;
    return OK;
}

/* A short text of printable ASCII, or none. */
static void take_word(char *out, size_t room, const json_t *answer, const char *name)
{
    const char *text = json_text(answer, name);

    out[0] = '\0';
    if (text == NULL || strlen(text) >= room)
        return;
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return;
    memcpy(out, text, strlen(text) + 1);
}

/* The wrap in an answer and the key it is under. */
static struct result take_blob(struct blob *blob, const json_t *answer, const char *material,
                               const struct operation *op, const char *key_id, struct err *err)
{
    if (!take_arn(&blob->arn, answer, "KeyId", op, key_id, err).ok)
        return FAIL;
    blob->size = from_base64(answer, "CiphertextBlob", blob->bytes, sizeof blob->bytes);
    if (blob->size == 0)
        return bad_answer(op, key_id, "no CiphertextBlob", err);
    take_word(blob->material, sizeof blob->material, answer, material);
    return OK;
}

struct result kms_encrypt(struct kms *kms, const struct kms_request *request,
                          const struct secret *secret, struct kms_reply *reply, struct err *err)
{
    json_t *answer JSON_TEXT_CLEANUP = NULL;
    char *plain WIPING_CLEANUP = to_base64(secret->bytes, secret->size);
    json_t *asked JSON_TEXT_CLEANUP = json_pack(
        "{s:s, s:s, s:o, s:o*}", "KeyId", request->key_id, "Plaintext", plain, "EncryptionContext",
        context_json(request->branch), "DryRun", dry(request->dry_run));
    const struct question q = {&encrypt_operation, request->key_id, asked, plain};

    if (!ask(kms, &q, &answer, &reply->refusal, err).ok)
        return FAIL;
    return take_blob(&reply->blob, answer, "KeyMaterialId", q.op, q.key_id, err);
}

/* The plaintext must be as long as a branch key. */
static struct result take_plain(struct secret *secret, const json_t *answer, const char *key_id,
                                struct err *err)
{
    struct secret plain SECRET_CLEANUP = {0};

    if (!secret_new(&plain, KEY_SIZE, err).ok)
        return FAIL;
    if (from_base64(answer, "Plaintext", plain.bytes, plain.size) != KEY_SIZE)
        return bad_answer(&decrypt_operation, key_id, "a plaintext that is no branch key", err);
    *secret = TAKE(plain);
    return OK;
}

struct result kms_decrypt(struct kms *kms, const struct kms_request *request,
                          struct kms_reply *reply, struct secret *secret, struct err *err)
{
    json_t *answer JSON_TEXT_CLEANUP = NULL;
    char *blob WIPING_CLEANUP = to_base64(request->wrapped.bytes, request->wrapped.size);
    json_t *asked JSON_TEXT_CLEANUP = json_pack(
        "{s:s, s:s, s:o, s:o*}", "KeyId", request->key_id, "CiphertextBlob", blob,
        "EncryptionContext", context_json(request->branch), "DryRun", dry(request->dry_run));
    const struct question q = {&decrypt_operation, request->key_id, asked, NULL};

    if (!ask(kms, &q, &answer, &reply->refusal, err).ok ||
        !take_arn(&reply->opened_by, answer, "KeyId", q.op, q.key_id, err).ok)
        return FAIL;
    return take_plain(secret, answer, q.key_id, err);
}

struct result kms_reencrypt(struct kms *kms, const struct kms_request *request,
                            struct kms_reply *reply, struct err *err)
{
    json_t *answer JSON_TEXT_CLEANUP = NULL;
    char *old WIPING_CLEANUP = to_base64(request->wrapped.bytes, request->wrapped.size);
    const char *from = request->key_id, *to = request->to;
    char keys[2 * SLOT_KEY_ARN_MAX + 8]; /* either may be what is wrong */
    bool same = strcmp(from, to) == 0;
    json_t *asked JSON_TEXT_CLEANUP =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:o*}", "SourceKeyId", from, "DestinationKeyId", to,
                  "CiphertextBlob", old, "SourceEncryptionContext", context_json(request->branch),
                  "DestinationEncryptionContext", context_json(request->branch), "DryRun",
                  dry(request->dry_run));
    const struct question q = {&reencrypt_operation, keys, asked, NULL};

    snprintf(keys, sizeof keys, "%s%s%s", from, same ? "" : "' to '", same ? "" : to);
    if (!ask(kms, &q, &answer, &reply->refusal, err).ok ||
        !take_arn(&reply->opened_by, answer, "SourceKeyId", q.op, from, err).ok)
        return FAIL;
    return take_blob(&reply->blob, answer, "DestinationKeyMaterialId", q.op, to, err);
}

struct result kms_describe(struct kms *kms, const char *key_id, struct kms_key *key,
                           struct err *err)
{
    json_t *request JSON_TEXT_CLEANUP = json_pack("{s:s}", "KeyId", key_id);
    const struct question q = {&describe_operation, key_id, request, NULL};
    json_t *answer JSON_TEXT_CLEANUP = NULL;
    enum kms_refusal refusal;
    struct kms_key k = {0};

    if (!ask(kms, &q, &answer, &refusal, err).ok)
        return FAIL;
    const json_t *about = json_object_get(answer, "KeyMetadata");
    if (!take_arn(&k.arn, about, "Arn", &describe_operation, key_id, err).ok)
        return FAIL;
    take_word(k.material, sizeof k.material, about, "CurrentKeyMaterialId");
    take_word(k.state, sizeof k.state, about, "KeyState");
    take_word(k.usage, sizeof k.usage, about, "KeyUsage");
    k.multi_region = json_is_true(json_object_get(about, "MultiRegion"));
    *key = k;
    return OK;
}
