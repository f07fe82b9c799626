/* ckr: what the return values of PKCS#11 (v2.40, 5.1.6) mean to a person and for the exit status.
 */
#ifndef BULLA_KEYSTORE_PKCS11_CKR_H
#define BULLA_KEYSTORE_PKCS11_CKR_H

#include "base/err.h"

/* ckr_fail fails with what went wrong, the name of the value and a hint. */
__attribute__((format(printf, 3, 4))) struct result ckr_fail(struct err *err, unsigned long rv,
                                                             const char *fmt, ...);

/* ckr_damaged is true for what a module says of a wrap that the key did not make. */
bool ckr_damaged(unsigned long rv);

#endif
