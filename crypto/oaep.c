/* OpenSSL 3 wants RSA to go through EVP_PKEY, which cannot take the padding off a number that
 * somebody else decrypted. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/oaep.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "crypto/openssl_memory.h"

struct result oaep_unpad(const struct crypto *crypto, bool sha1, const uint8_t *number, size_t used,
                         size_t modulus_size, struct secret *out, struct err *err)
{
    struct secret key SECRET_CLEANUP = {0};

    if (!secret_new(&key, KEY_SIZE, err).ok)
        return FAIL;
    EVP_MD *hash = EVP_MD_fetch(crypto_library(crypto), sha1 ? "SHA1" : "SHA256", NULL);
    if (hash == NULL)
        return openssl_failed(err, "OpenSSL does not have the hash of RSA-OAEP");
    int got = used > modulus_size
                  ? -1
                  : RSA_padding_check_PKCS1_OAEP_mgf1(key.bytes, KEY_SIZE, number, (int)used,
                                                      (int)modulus_size, NULL, 0, hash, hash);
    EVP_MD_free(hash);
    ERR_clear_error();
    if (got != KEY_SIZE)
        return fail(err, ERR_DAMAGED, "not authentic");
    *out = TAKE(key);
    return OK;
}
