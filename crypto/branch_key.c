#include "crypto/branch_key.h"

#include <string.h>

#define DERIVED_SIZE (KEY_SIZE + BRANCH_ID_SIZE + KEY_SIZE)

static const char label[] = "bulla/v2 branch";

struct result branch_key_derive(struct branch_key *b, const struct crypto *crypto,
                                const struct secret *key, const struct context *context,
                                struct err *err)
{
    struct branch_key made BRANCH_KEY_CLEANUP = {0};
    uint8_t info[sizeof label - 1 + SHA256_SIZE];

    memcpy(info, label, sizeof label - 1);
    context_hash(context, info + sizeof label - 1);
    if (!secret_copy(&made.key, key->bytes, key->size, err).ok ||
        !secret_new(&made.derived, DERIVED_SIZE, err).ok ||
        !hkdf_expand(crypto, &hkdf_sha512, (struct view){key->bytes, key->size},
                     (struct view){info, sizeof info}, made.derived.bytes, DERIVED_SIZE, err)
             .ok)
        return FAIL;
    *b = TAKE(made);
    return OK;
}

const uint8_t *branch_key_wrap_key(const struct branch_key *b)
{
    return b->derived.bytes;
}

const uint8_t *branch_key_id(const struct branch_key *b)
{
    return b->derived.bytes + KEY_SIZE;
}

const uint8_t *branch_key_tag_key(const struct branch_key *b)
{
    return b->derived.bytes + KEY_SIZE + BRANCH_ID_SIZE;
}

void branch_key_free(struct branch_key *b)
{
    secret_free(&b->key);
    secret_free(&b->derived);
}
