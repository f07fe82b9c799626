/* secret_json: JSON whose every byte, parsed or printed, lies in protected memory.
 *
 * Between secret_json_begin and secret_json_end jansson gives the calling thread memory of one
 * secret, which is zeroed at the end; no json_t may outlive that, nor go to another thread. That
 * takes allocators of the process's own, which are the program's: for other hosts all texts are
 * wiped when they are dropped. */
#ifndef BULLA_KEYSTORE_KEYRING_SECRET_JSON_H
#define BULLA_KEYSTORE_KEYRING_SECRET_JSON_H

#include <jansson.h>

#include "base/secret.h"

/* secret_json_begin takes protected memory for all that follows: for a text of size bytes in which
 * there are so many values. */
FALLIBLE secret_json_begin(size_t size, size_t values, struct err *err);

/* secret_json_end does nothing where nothing was begun. */
void secret_json_end(void);

/* secret_json_read begins, and reads a text of size bytes as json_text_read does. It is ended by
 * the caller, whether it fails or not. */
FALLIBLE secret_json_read(json_t **json, const void *text, size_t size, struct err *err);

/* secret_json_drop drops a json_t, or NULL, and ends; for the cleanup attribute. */
void secret_json_drop(json_t **json);
#define SECRET_JSON_CLEANUP __attribute__((cleanup(secret_json_drop)))

#endif
