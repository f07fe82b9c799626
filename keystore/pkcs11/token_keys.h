/* token_keys: the keys of a token that a URI names, as far as they can be seen. For the module's
 * thread.
 */
#ifndef BULLA_KEYSTORE_PKCS11_TOKEN_KEYS_H
#define BULLA_KEYSTORE_PKCS11_TOKEN_KEYS_H

#include "crypto/spki.h"
#include "keystore/pkcs11/token.h"

#define KEYS_MAX 1024 /* that one URI may name */
#define AES_KEY_BYTES 32

/* struct token_key: a key pair by its public half, or an AES key. */
struct token_key {
    bool secret;          /* AES */
    struct spki spki;     /* of a pair */
    CK_OBJECT_HANDLE aes; /* of an AES key */
    char label[SLOT_KEY_LABEL_MAX + 1];
    uint8_t id[SLOT_CKA_ID_MAX];
    size_t id_size;
    uint8_t check[SLOT_CHECK_VALUE_MAX]; /* of an AES key, where the token gives one */
    size_t check_size;
    unsigned version; /* NNNN of NAME-vNNNN; 0 = none */
    bool meant;       /* a pair: what was seen of it says that it is for opening */
};

/* struct unusable_key: one that fits, but that bulla cannot use. */
struct unusable_key {
    char label[SLOT_KEY_LABEL_MAX + 1];
    char why[96];
};

/* struct token_keys: {0} is empty and safe to free. */
struct token_keys {
    struct token_key *list;
    size_t count;
    bool family; /* the URI names NAME, and these are the NAME-vNNNN */
    struct unusable_key *unusable;
    size_t unusable_count; /* bounded by what a token may have */
};

/* token_keys_find finds the keys, those with the very label or else the versions of the label;
 * ERR_USAGE if there are both. What is private is seen only after a login. No key is no failure. */
FALLIBLE token_keys_find(struct token_keys *keys, struct token *token, const struct uri *uri,
                         const struct crypto *crypto, struct err *err);
void token_keys_free(struct token_keys *keys);

/* token_keys_version reads NNNN of "NAME-vNNNN", with at least four digits; 0 if label is not of
 * that form with the given name, or with name NULL of any. */
unsigned token_keys_version(const char *label, const char *name);

/* token_keys_newest is the highest version of a family. */
const struct token_key *token_keys_newest(const struct token_keys *keys);

/* struct halves: private keys that may be the other half of a pair, the likeliest first. Which it
 * is, few tokens tell: where several have one CKA_ID, they are tried. */
#define HALVES_MAX 16
struct halves {
    CK_OBJECT_HANDLE list[HALVES_MAX];
    size_t count;
};

/* token_keys_private finds the private key of a pair after a login; ERR_NO_KEY if it is not there.
 */
FALLIBLE token_keys_private(struct token *token, const struct token_key *key, struct halves *out,
                            struct err *err);

/* token_keys_fit refuses a pair that is seen to be unable to open what is sealed to it, with
 * ERR_NO_KEY: its token lacks the mechanism, or its private key is not there or made for something
 * else. *in_sight is false where that could not be seen, for want of a login. */
FALLIBLE token_keys_fit(struct token *token, const struct token_key *key, bool *in_sight,
                        struct err *err);

/* token_keys_hint_two hints at the URIs of two keys between which the user has to choose;
 * token_keys_many fails with that. */
void token_keys_hint_two(const struct token_key *a, const struct token_key *b,
                         const struct token *token, const struct uri *uri, struct err *err);
FALLIBLE token_keys_many(const struct token_keys *keys, const struct token *token,
                         const struct uri *uri, struct err *err);

/* token_keys_uri makes the URI of a key; the caller frees it. NULL if memory is out. */
char *token_keys_uri(const struct token_key *key, const struct token *token, const struct uri *uri);

#endif
