#include "keystore/pkcs11/slots.h"

const struct slot_field pkcs11_check_value = {"check value", SLOT_BYTES, 0, SLOT_CHECK_VALUE_MAX,
                                              SLOT_NAMES_NOTHING};
const struct slot_field pkcs11_aes_id = {"CKA_ID", SLOT_BYTES, 1, SLOT_CKA_ID_MAX,
                                         SLOT_NAMES_VERSION};

#define FIELDS                                                                                     \
    {                                                                                              \
        &pkcs11_check_value, &key_pair_token_label, &key_pair_token_serial, &key_pair_key_label,   \
            &pkcs11_aes_id                                                                         \
    }

const struct slot_method pkcs11_methods[] = {
    {SLOT_PKCS11_AES_GCM, "pkcs11-aes-gcm", 60, 60, FIELDS},
    {SLOT_PKCS11_AES_KW, "pkcs11-aes-kw", 40, 40, FIELDS},
    {0},
};
