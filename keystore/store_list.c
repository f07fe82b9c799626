#include "keystore/store_list.h"

#include "keystore/awskms/store.h"
#include "keystore/external/external.h"
#include "keystore/keyring/keyring.h"
#include "keystore/passphrase/passphrase.h"
#include "keystore/pkcs11/store.h"
#include "keystore/spki/spki.h"

const struct keystore *const keystores[] = {
    &spki_store,       /* public keys in PEM files, which keyrings would take too */
    &keyring_store,    /* keys in files */
    &passphrase_store, /* keys made of what somebody knows */
    &pkcs11_store,     /* keys on tokens */
    &awskms_store,     /* keys of AWS KMS */
    &external_store,   /* keys of the program around the library */
    NULL,
};
