/* secret_json: JSON whose every byte, parsed or printed, lies in protected memory.
 *
 * Between secret_json_begin and secret_json_end jansson allocates from one secret, which is zeroed
 * at the end; no json_t may outlive that. One thread at a time. */
#ifndef BULLA_KEYSTORE_KEYRING_SECRET_JSON_H
#define BULLA_KEYSTORE_KEYRING_SECRET_JSON_H

#include "base/secret.h"

/* secret_json_begin takes room bytes of protected memory for all that follows. */
FALLIBLE secret_json_begin(size_t room, struct err *err);
void secret_json_end(void);

#endif
