/* pkcs11: master keys on a token (an HSM, a smart card, a TPM), which they cannot be copied from.
 */
#ifndef BULLA_KEYSTORE_PKCS11_PKCS11_H
#define BULLA_KEYSTORE_PKCS11_PKCS11_H

#include "keystore/keystore.h"

extern const struct keystore_ops pkcs11_ops;
extern const struct keystore_admin pkcs11_admin;

#endif
