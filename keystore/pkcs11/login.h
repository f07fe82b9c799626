/* login: logs in to a token, with a PIN that is tried once. For the module's thread. */
#ifndef BULLA_KEYSTORE_PKCS11_LOGIN_H
#define BULLA_KEYSTORE_PKCS11_LOGIN_H

#include "keystore/pkcs11/refused_tokens.h"

/* struct login: where the PIN comes from, and which tokens are not asked again. */
struct login {
    const struct uri *uri;
    const struct keystore_env *env; /* its functions are called on the host's thread */
    struct refused_tokens *refused;
};

/* token_login logs in, once; with a PIN that the URI or the user gives, or on the token's own pad.
 * A PIN that a token refused is not tried again for this host. */
FALLIBLE token_login(struct token *token, const struct login *login, struct err *err);

/* token_revive opens a new session after one was lost; if there was a login, it logs in again by
 * the PIN that the token accepted, or on its pad. */
FALLIBLE token_revive(struct token *token, const struct login *login, struct err *err);

/* token_again gives the PIN once more if a key wants it at each use, after C_DecryptInit or
 * C_EncryptInit; the value of the first refusal where the token refused it before.
 * CKR_USER_NOT_LOGGED_IN where no PIN is known that it took. */
CK_RV token_again(struct token *token, const struct login *login, CK_OBJECT_HANDLE key);

#endif
