/* library_versions: which libraries do the cryptography. */
#ifndef BULLA_CRYPTO_LIBRARY_VERSIONS_H
#define BULLA_CRYPTO_LIBRARY_VERSIONS_H

#include <stdbool.h>

/* library_versions_each calls visit for each library, with the version that runs. */
void library_versions_each(void (*visit)(void *arg, const char *name, const char *version),
                           void *arg);

/* library_versions_fast_aes is true if the CPU has instructions for AES. */
bool library_versions_fast_aes(void);

#endif
