/* openssl_memory: what OpenSSL makes of keys lies in secret memory.
 *
 * An expanded AES key begins with the key. OpenSSL keeps it in memory that it gets from malloc,
 * which may be swapped; between openssl_memory_begin and openssl_memory_end this thread's part of
 * OpenSSL gets cells of secret memory instead, as far as they are large enough. It is for what
 * keeps a key: a derivation, which wipes its copy at once, fetches algorithms first, which would
 * all go there. */
#ifndef BULLA_CRYPTO_OPENSSL_MEMORY_H
#define BULLA_CRYPTO_OPENSSL_MEMORY_H

#include "base/err.h"

/* openssl_memory_init must come before anything else of OpenSSL; later it does nothing, nor for a
 * host whose process it is not: there keys are in the memory that OpenSSL takes, which it wipes. */
void openssl_memory_init(void);

void openssl_memory_begin(void);
void openssl_memory_end(void);

/* openssl_failed is fail with class ERR_FAILED and what, which says that OpenSSL failed to do
 * something; or "out of memory", if that is what this thread's part of OpenSSL met. */
FALLIBLE openssl_failed(struct err *err, const char *what);

#endif
