#include "keystore/external/external.h"

#include "keystore/external/slots.h"

static const struct keystore_scheme none[] = {{0}};

const struct keystore external_store = {
    .schemes = none,
    .methods = (const struct slot_method *const[]){external_methods, NULL},
    .options = (const struct store_option *const[]){NULL},
    .admin = &keystore_no_admin,
};
