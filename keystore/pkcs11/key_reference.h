/* key_reference: what one reference names on a token. */
#ifndef BULLA_KEYSTORE_PKCS11_KEY_REFERENCE_H
#define BULLA_KEYSTORE_PKCS11_KEY_REFERENCE_H

#include <stdatomic.h>

#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/token_keys.h"

/* struct key_reference: a reference, its token and its keys. */
struct key_reference {
    struct master_key key;   /* the first member */
    atomic_uint holders;     /* its host, and each job with it that is not freed */
    struct keystore_env env; /* the host's; the functions and strings are for its thread */
    struct crypto *crypto;   /* that of env, held until no job is left that uses it */
    struct token_options options;
    struct login login;
    struct uri uri;
    struct module *module;
    struct token *token; /* or NULL, for references to several */
    struct token_keys keys;
    bool complete;   /* the keys were looked for after a login too */
    bool secret;     /* it wrapped by an AES key */
    bool warned;     /* that its private key is not in sight */
    struct err away; /* why it could not be opened, in a run that can do without it */
};

/* key_reference_new reads a reference and gets its module; the keys are still to be found.
 * key_reference_away stands for a key that could not be opened because of *why. */
FALLIBLE key_reference_new(struct key_reference **out, const struct keystore_env *env,
                           const char *reference, struct err *err);
FALLIBLE key_reference_away(struct key_reference **out, const struct keystore_env *env,
                            const struct err *why, struct err *err);

/* key_reference_drop is for each of the holders; the last one closes it. NULL is fine. */
void key_reference_drop(struct key_reference *n);

/* The following are for the module's thread. */

/* key_reference_resolve finds token and keys; it logs in only where what is named is not to be seen
 * else. */
FALLIBLE key_reference_resolve(struct key_reference *n, struct err *err);

/* key_reference_login logs in and looks for the keys if there were none, or with again true anew,
 * since a login shows more; what was found before stays if that fails. */
FALLIBLE key_reference_login(struct key_reference *n, bool again, struct err *err);

/* key_reference_find looks for the keys on the token that was found. */
FALLIBLE key_reference_find(struct key_reference *n, struct err *err);

/* key_reference_one gives the one key to wrap by or to export. */
FALLIBLE key_reference_one(struct key_reference *n, const struct token_key **key, struct err *err);

#endif
