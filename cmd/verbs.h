/* verbs: what bulla can be told to do; each is in the file of its name. */
#ifndef BULLA_CMD_VERBS_H
#define BULLA_CMD_VERBS_H

#include "cmd/options.h"

extern const struct verb verb_encrypt, verb_decrypt, verb_verify, verb_inspect, verb_rewrap,
    verb_reencrypt, verb_status, verb_key_new, verb_key_list, verb_key_rotate, verb_key_retire,
    verb_key_disable, verb_key_enable, verb_key_destroy, verb_key_passphrase,
    verb_key_export_public, verb_key_check, verb_envelope_export, verb_envelope_restore,
    verb_s3_purge, verb_s3_abort, verb_config_check, verb_completion;

/* verbs: all of them, as the help shows them; NULL after the last. */
extern const struct verb *const verbs[];

#endif
