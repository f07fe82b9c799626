#include "keystore/stores.h"

#include "keystore/awskms/store.h"
#include "keystore/external/external.h"
#include "keystore/keyring/keyring.h"
#include "keystore/passphrase/passphrase.h"
#include "keystore/pkcs11/store.h"
#include "keystore/spki/spki.h"

const struct keystore *const keystores[] = {
    &spki_store, /* before keyrings, for it takes of their files those that are its own */
    &keyring_store, &passphrase_store, &pkcs11_store, &awskms_store, &external_store, NULL,
};
