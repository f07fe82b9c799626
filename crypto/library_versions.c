#include "crypto/library_versions.h"

#include <openssl/crypto.h>
#include <sodium.h>

#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

void library_versions_each(void (*visit)(void *arg, const char *name, const char *version),
                           void *arg)
{
    visit(arg, "libsodium", sodium_version_string());
    visit(arg, "OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING));
}

bool library_versions_fast_aes(void)
{
#ifdef __aarch64__
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
    return sodium_runtime_has_aesni() != 0;
#endif
}
