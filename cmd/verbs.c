#include "cmd/verbs.h"

const struct verb *const verbs[] = {
    &verb_encrypt,    &verb_decrypt,         &verb_verify,           &verb_inspect,
    &verb_rewrap,     &verb_reencrypt,       &verb_status,           &verb_key_new,
    &verb_key_list,   &verb_key_rotate,      &verb_key_retire,       &verb_key_disable,
    &verb_key_enable, &verb_key_destroy,     &verb_key_passphrase,   &verb_key_export_public,
    &verb_key_check,  &verb_envelope_export, &verb_envelope_restore, &verb_s3_purge,
    &verb_s3_abort,   &verb_config_check,    &verb_completion,       NULL,
};
