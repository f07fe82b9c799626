/* libraries: what the cryptography is done by. */
#ifndef BULLA_CRYPTO_LIBRARIES_H
#define BULLA_CRYPTO_LIBRARIES_H

#include <stdbool.h>

/* libraries_each calls visit for each library, with the version that runs. */
void libraries_each(void (*visit)(void *arg, const char *name, const char *version), void *arg);

/* libraries_fast_aes is true if the CPU has instructions for AES. */
bool libraries_fast_aes(void);

#endif
