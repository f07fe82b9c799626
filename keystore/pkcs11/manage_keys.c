#include "keystore/pkcs11/manage_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "keystore/pem.h"
#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/generate_key.h"
#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/token_job.h"

#define NAME_MAX_BYTES 64 /* as keyrings have it; "-v0001" and its like come after */
#define VERSIONS_MAX 9999

static struct result check_name(const struct uri *uri, struct err *err)
{
    if (!uri->has_label) {
        (void)fail(err, ERR_USAGE, "key '%s' names no object", uri->text);
        return fail_hint(
            err, "object=NAME in the URI names the new key, which gets the label NAME-v0001");
    }
    if (uri->id_size > 0 || uri->has_class)
        return fail(err, ERR_USAGE, "a new key gets a random CKA_ID: '%s' should name object alone",
                    uri->text);
    if (strlen(uri->label) > NAME_MAX_BYTES)
        return fail(err, ERR_USAGE, "the name of a key on a token is at most %d bytes",
                    NAME_MAX_BYTES);
    return OK;
}

/* The highest version there is of a name, seen after a login; 0 if none. *exact is true if a key
 * has the very name. */
static struct result look_for(struct key_reference *n, unsigned *highest, bool *exact,
                              struct err *err)
{
    if (!token_find(&n->token, n->module, &n->uri, err).ok ||
        !token_login(n->token, &n->login, err).ok ||
        !token_keys_find(&n->keys, n->token, &n->uri, n->crypto, err).ok)
        return FAIL;
    *exact = n->keys.count + n->keys.unusable_count > 0 && !n->keys.family;
    *highest = n->keys.family && n->keys.count > 0 ? token_keys_newest(&n->keys)->version : 0;
    return OK;
}

/* Makes a key with a random CKA_ID, which tells its halves from those of any other key. */
static struct result make(struct token_job *job, const char *name, unsigned version,
                          enum generate_kind kind, struct err *err)
{
    struct key_reference *n = job->reference;
    char label[SLOT_KEY_LABEL_MAX + 1];
    uint8_t id[GENERATE_ID_SIZE];

    snprintf(label, sizeof label, "%s-v%04u", name, version);
    job->once = true;
    if (!token_write(n->token, err).ok || !random_bytes(id, sizeof id, err).ok ||
        !generate_key(n->token, kind, label, id, err).ok)
        return FAIL;
    job->info = (struct key_info){
        .kind = generate_key_kind_name(kind), .version = version, .lives = "on the token"};
    memcpy(job->info.name, label, strlen(label) + 1);
    text_hex(job->info.id, id, sizeof id);
    return OK;
}

static struct result create(struct token_job *job, struct err *err)
{
    struct key_reference *n = job->reference;
    enum generate_kind kind;
    unsigned highest;
    bool exact;

    if (!check_name(&n->uri, err).ok || !look_for(n, &highest, &exact, err).ok ||
        !generate_key_choose(n->token, job->wanted.kind, &kind, err).ok)
        return FAIL;
    if (exact || highest > 0) {
        (void)fail(err, ERR_EXISTS, "token '%s' has a key '%s' already", n->token->label,
                   exact ? n->uri.label : token_keys_newest(&n->keys)->label);
        return fail_hint(err, "'bulla key rotate' makes its next version");
    }
    return make(job, n->uri.label, 1, kind, err);
}

struct result pkcs11_create(const struct keystore_env *env, const char *reference,
                            const struct key_wanted *want, struct key_info *info, struct err *err)
{
    struct key_reference *n;
    struct token_job *job;

    if (want->rotate_after != 0 || want->passphrase)
        return fail(err, ERR_USAGE, "--rotate-after and --passphrase are for keyrings");
    if (!token_job_open(&n, &job, env, reference, create, want, err).ok)
        return FAIL;
    *info = job->info;
    token_job_free(job);
    key_reference_drop(n);
    return OK;
}

/* NAME or NAME-vNNNN names the family; the new version is of the kind of its highest. */
static struct result rotate(struct token_job *job, struct err *err)
{
    struct key_reference *n = job->reference;
    unsigned given = token_keys_version(n->uri.label, NULL), highest;
    bool exact;

    if (!check_name(&n->uri, err).ok)
        return FAIL;
    if (given > 0)
        *strrchr(n->uri.label, '-') = '\0';
    if (!look_for(n, &highest, &exact, err).ok)
        return FAIL;
    if (highest == 0) {
        (void)fail(err, ERR_NO_KEY, "token '%s' has no key '%s-vNNNN'", n->token->label,
                   n->uri.label);
        return fail_hint(
            err, "versions are told apart by labels like NAME-v0001, which 'bulla key new' gives");
    }
    if (highest >= VERSIONS_MAX)
        return fail(err, ERR_FAILED, "key '%s' has version %u already", n->uri.label, highest);
    const struct token_key *newest = token_keys_newest(&n->keys);
    return make(job, n->uri.label, highest + 1, generate_key_like(newest), err);
}

struct result pkcs11_rotate(const struct keystore_env *env, const char *reference, uint64_t now,
                            struct key_info *info, struct err *err)
{
    struct key_reference *n;
    struct token_job *job;

    (void)now;
    if (!token_job_open(&n, &job, env, reference, rotate, NULL, err).ok)
        return FAIL;
    *info = job->info;
    token_job_free(job);
    key_reference_drop(n);
    return OK;
}

static struct result export(struct token_job *job, struct err *err)
{
    struct key_reference *n = job->reference;
    const struct token_key *key;
    struct pem pem = {0};

    if (!key_reference_resolve(n, err).ok || !key_reference_one(n, &key, err).ok)
        return FAIL;
    if (key->secret)
        return fail(err, ERR_FAILED, "key '%s' is of AES and has no public key", key->label);
    bool in_sight;
    if (!token_keys_fit(n->token, key, &in_sight, err).ok)
        return FAIL;
    pem.spki = key->spki;
    memcpy(pem.token_label, n->token->label, sizeof pem.token_label);
    memcpy(pem.token_serial, n->token->serial, sizeof pem.token_serial);
    memcpy(pem.key_label, key->label, sizeof pem.key_label);
    memcpy(pem.id, key->id, key->id_size);
    pem.id_size = key->id_size;
    return pem_text(&pem, &job->text, err);
}

struct result pkcs11_export_public(const struct keystore_env *env, const char *reference,
                                   char **text, struct err *err)
{
    struct key_reference *n;
    struct token_job *job;

    if (!token_job_open(&n, &job, env, reference, export, NULL, err).ok)
        return FAIL;
    *text = job->text;
    job->text = NULL;
    token_job_free(job);
    key_reference_drop(n);
    return OK;
}
