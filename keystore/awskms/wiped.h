/* wiped: memory that is zeroed when it is freed, for libraries that handle secrets and wipe
 * nothing. */
#ifndef BULLA_KEYSTORE_AWSKMS_WIPED_H
#define BULLA_KEYSTORE_AWSKMS_WIPED_H

#include <stddef.h>

/* As malloc, free, realloc, strdup and calloc, with which they may be mixed. */
void *wiped_malloc(size_t size);
void wiped_free(void *bytes);
void *wiped_realloc(void *bytes, size_t size);
char *wiped_strdup(const char *text);
void *wiped_calloc(size_t count, size_t size);

/* wiped_text_free is wiped_free for the cleanup attribute. */
void wiped_text_free(char **text);
#define WIPED_CLEANUP __attribute__((cleanup(wiped_text_free)))

#endif
