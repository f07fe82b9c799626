/* verbs: one function for each verb; each returns the exit status. */
#ifndef BULLA_CMD_VERBS_H
#define BULLA_CMD_VERBS_H

#include "cmd/options.h"

int verb_encrypt(const struct options *o);
int verb_decrypt(const struct options *o);
int verb_verify(const struct options *o);
int verb_inspect(const struct options *o);
int verb_reencrypt(const struct options *o);
int verb_rewrap(const struct options *o);
int verb_status(const struct options *o);
int verb_key_check(const struct options *o);
int verb_key_new(const struct options *o);
int verb_key_list(const struct options *o);
int verb_key_rotate(const struct options *o);
int verb_key_retire(const struct options *o);
int verb_key_disable(const struct options *o);
int verb_key_enable(const struct options *o);
int verb_key_destroy(const struct options *o);
int verb_key_passphrase(const struct options *o);
int verb_key_export_public(const struct options *o);
int verb_envelope_export(const struct options *o);
int verb_envelope_restore(const struct options *o);

#endif
