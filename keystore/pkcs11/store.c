#include "keystore/pkcs11/store.h"

#include "keystore/pkcs11/options.h"
#include "keystore/pkcs11/redact_uri.h"
#include "keystore/pkcs11/slots.h"

static const struct keystore_scheme schemes[] = {
    {PKCS11_SCHEME, false, "pkcs11:token=T;object=O", "a key on a token: an RFC 7512 URI"},
    {0},
};

static const struct store_variable variables[] = {
    {"SOFTHSM2_CONF", "where SoftHSM has its tokens; other modules have others"},
    {0},
};

#ifdef BULLA_PKCS11
#include "keystore/pkcs11/module.h"
#include "keystore/pkcs11/pkcs11.h"
#include "keystore/pkcs11/uri.h"
#define OPS &pkcs11_ops
#define ADMIN &pkcs11_admin
#define LEFT_BEHIND modules_left_behind
#define READS uri_pin_file
#else
#define OPS NULL
#define ADMIN &keystore_no_admin
#define LEFT_BEHIND NULL
#define READS NULL
#endif

const struct keystore pkcs11_store = {
    .title = "PKCS#11",
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){key_pair_methods, pkcs11_methods, NULL},
    .options = (const struct store_option *const[]){pkcs11_options, key_pair_options, NULL},
    .variables = variables,
    .reach = REACH_MODULES,
    .ops = OPS,
    .admin = ADMIN,
    .redact = redact_uri,
    .reads = READS,
    .left_behind = LEFT_BEHIND,
};
