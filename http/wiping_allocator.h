/* wiping_allocator: memory that is zeroed when it is freed, for libraries that handle secrets and
 * wipe nothing. */
#ifndef BULLA_HTTP_WIPING_ALLOCATOR_H
#define BULLA_HTTP_WIPING_ALLOCATOR_H

#include <stddef.h>

/* As free and realloc, of what malloc gave. */
void wiping_free(void *bytes);
void *wiping_realloc(void *bytes, size_t size);

/* wiping_text_free is wiping_free for the cleanup attribute. */
void wiping_text_free(char **text);
#define WIPING_CLEANUP __attribute__((cleanup(wiping_text_free)))

#endif
