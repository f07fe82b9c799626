#include "keystore/pkcs11/store.h"

#include "keystore/pkcs11/slots.h"
#include "keystore/redact.h"

static const struct keystore_scheme schemes[] = {
    {PKCS11_SCHEME, false, "pkcs11:token=T;object=O", "a key on a token: an RFC 7512 URI"},
    {0},
};

#ifdef BULLA_PKCS11
#include "keystore/pkcs11/module.h"
#include "keystore/pkcs11/pkcs11.h"
#define OPS &pkcs11_ops
#define ADMIN &pkcs11_admin
#define LEFT_BEHIND modules_left_behind
#else
#define OPS NULL
#define ADMIN &keystore_no_admin
#define LEFT_BEHIND NULL
#endif

const struct keystore pkcs11_store = {
    .title = "PKCS#11",
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){key_pair_methods, pkcs11_methods, NULL},
    .reach = REACH_MODULES,
    .ops = OPS,
    .admin = ADMIN,
    .has_pin = true,
    .left_behind = LEFT_BEHIND,
};
