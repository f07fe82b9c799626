/* guard: a PKCS#11 module that stands between libp11 and the module, with one slot, one private key
 * and its public key.
 *
 * libp11 0.4.12 believes all it is told: it hangs for ever if C_OpenSession fails, finds no key at
 * all if one on the token is of a kind it does not know, asks on standard input for the PIN of a
 * key that wants it each time, and hands lengths that the module made up to OpenSSL, which reads as
 * far. So it does not get to see the module: the two functions by which it loads and ends one are
 * ours, and give it this. That takes libp11's archive; its shared library would look this up by
 * name in the program, and what the program exports for that, every module finds in place of its
 * own. */
#ifndef BULLA_KEYSTORE_PKCS11_GUARD_H
#define BULLA_KEYSTORE_PKCS11_GUARD_H

#include "keystore/pkcs11/keys.h"

/* guard_set says which key there is, for the calling thread, until guard_clear; one at a time. */
FALLIBLE guard_set(struct token *token, const struct token_key *key, const struct crypto *crypto,
                   CK_OBJECT_HANDLE private_key, struct err *err);
void guard_clear(void);

/* guard_failed gives the value that the module itself failed with; CKR_OK if it did not. */
CK_RV guard_failed(void);

/* guard_used is true once the private key did what it was asked. */
bool guard_used(void);

#endif
