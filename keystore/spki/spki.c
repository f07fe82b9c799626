#include "keystore/spki/spki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/descriptor.h"
#include "base/place.h"
#include "base/secret_file.h"
#include "base/text.h"
#include "keystore/descriptor_key.h"
#include "keystore/pem.h"

#define MARK "-----BEGIN "

static const struct keystore_ops spki_ops;

struct spki_file {
    struct master_key key; /* the first member */
    const struct keystore_env *env;
    struct pem pem;
    struct stat file;
};

/* Reads what the path of a file stands for, which may be a descriptor. */
static struct result read_text(const struct secret_file *f, struct secret *text, size_t *size,
                               struct stat *st, struct err *err)
{
    int given = descriptor_number(f->path);

    if (given < 0)
        return secret_file_read(f, text, size, st, err);
    if (!descriptor_key_read(text, size, st, given, err).ok)
        return FAIL;
    return *size <= f->max
               ? OK
               : fail(err, ERR_USAGE, "%s '%s' is longer than %zu bytes", f->noun, f->path, f->max);
}

bool spki_is_file(const char *path)
{
    struct secret_file file = {.noun = "", .path = path, .max = PEM_MAX, .regular = true};
    struct secret text SECRET_CLEANUP = {0}; /* it may be a keyring */
    struct err ignored;
    struct stat st;
    size_t size;

    return read_text(&file, &text, &size, &st, &ignored).ok &&
           memmem(text.bytes, size, MARK, strlen(MARK)) != NULL && text.bytes[0] != '{';
}

static void spki_close(struct master_key *key)
{
    free(key);
}

static struct result load(struct spki_file *f, const char *path, struct err *err)
{
    struct secret_file file = {
        .noun = "public key", .path = path, .max = PEM_MAX, .regular = true, .believed = true};
    struct secret text SECRET_CLEANUP = {0};
    size_t size;

    if (!read_text(&file, &text, &size, &f->file, err).ok)
        return FAIL;
    if (!pem_read(&f->pem, f->env->crypto, (const char *)text.bytes, size, err).ok) {
        err_context(err, "public key '%s'", path);
        return FAIL;
    }
    return OK;
}

static struct result spki_open(struct master_key **out, const struct keystore_env *env,
                               const char *reference, struct err *err)
{
    struct spki_file *f = calloc(1, sizeof *f);

    if (f == NULL)
        return fail_memory(err);
    f->key.ops = &spki_ops;
    f->env = env;
    if (!load(f, reference, err).ok) {
        free(f);
        return FAIL;
    }
    *out = &f->key;
    return OK;
}

static struct result spki_wrap(struct master_key *key, const struct branch_identity *branch,
                               const struct secret *branch_key, struct slot *slot, struct err *err)
{
    struct spki_file *f = (struct spki_file *)key;
    const struct key_pair_wrapping by = {&f->pem.spki, f->env->crypto, pem_hints(&f->pem),
                                         key_pair_sha1(&f->env->settings)};

    return key_pair_wrap(&by, branch, branch_key, slot, err);
}

/* Says where the private key is, as far as the file tells. */
static void hint(const struct pem *pem, struct err *err)
{
    char token[TEXT_PERCENT(sizeof pem->token_label)], label[TEXT_PERCENT(sizeof pem->key_label)];
    bool has_token = pem->token_label[0] != '\0', has_label = pem->key_label[0] != '\0';

    if (!has_token && !has_label)
        err_hint_option(err, "its private key is on a token: -k pkcs11:... names it");
    else
        err_hint_option(err, "its private key is on a token: -k 'pkcs11:%s%s%s%s%s'",
                        has_token ? "token=" : "", text_percent(token, pem->token_label),
                        has_token && has_label ? ";" : "", has_label ? "object=" : "",
                        text_percent(label, pem->key_label));
}

static enum unwrapped spki_unwrap(struct master_key *key, const struct branch_identity *branch,
                                  const struct slot *slot, struct secret *branch_key,
                                  struct err *err)
{
    const struct pem *pem = &((const struct spki_file *)key)->pem;

    (void)branch;
    (void)branch_key;
    if (!key_pair_is_mine(&pem->spki, slot))
        return UNWRAP_NOT_MINE;
    (void)fail(err, ERR_NO_KEY, "none of the given keys opens it: a public key only seals");
    hint(pem, err);
    return UNWRAP_FAILED;
}

static struct result spki_file_path(const char *reference, char **path, struct err *err)
{
    *path = strdup(reference);
    return *path != NULL ? OK : fail_memory(err);
}

static bool spki_seals_only(const struct master_key *key)
{
    (void)key;
    return true;
}

static bool spki_reopens(const struct master_key *key)
{
    (void)key;
    return false;
}

static enum slot_match spki_match(const struct master_key *key, const struct slot *slot)
{
    const struct spki_file *f = (const struct spki_file *)key;

    return key_pair_is_mine(&f->pem.spki, slot) ? SLOT_CURRENT : SLOT_OTHER;
}

static bool spki_lives_in(const struct master_key *key, const struct stat *st)
{
    return file_same(&((const struct spki_file *)key)->file, st);
}

static struct result spki_describe(struct master_key *key, const struct key_sink *sink,
                                   struct err *err)
{
    const struct pem *pem = &((const struct spki_file *)key)->pem;
    char hex[2 * SHA256_SIZE + 1];

    (void)err;
    sink->fact(sink->arg, "kind", pem->spki.name);
    sink->fact(sink->arg, "SPKI SHA-256", text_hex(hex, pem->spki.hash, SHA256_SIZE));
    if (pem->token_label[0] != '\0')
        sink->fact(sink->arg, "token label", pem->token_label);
    if (pem->token_serial[0] != '\0')
        sink->fact(sink->arg, "token serial", pem->token_serial);
    if (pem->key_label[0] != '\0')
        sink->fact(sink->arg, "key label", pem->key_label);
    return OK;
}

static const struct keystore_ops spki_ops = {
    .name = "spki",
    .open = spki_open,
    .wrap = spki_wrap,
    .unwrap = spki_unwrap,
    .seals_only = spki_seals_only,
    .reopens = spki_reopens,
    .match = spki_match,
    .close = spki_close,
    .lives_in = spki_lives_in,
    .describe = spki_describe,
};

static const struct keystore_scheme schemes[] = {{"file:", true}, {"", false}, {0}};

const struct keystore spki_store = {
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){key_pair_methods, NULL},
    .options = (const struct store_option *const[]){key_pair_options, NULL},
    .reach = REACH_FILES,
    .ops = &spki_ops,
    .admin = &keystore_no_admin,
    .takes = spki_is_file,
    .file = spki_file_path,
};
