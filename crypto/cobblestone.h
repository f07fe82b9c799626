/* cobblestone: chunked encryption (c2sp.org/chunked-encryption, docs/FORMAT.md section 6).
 *
 * A message is salt || commitment || chunks; chunk k may be sealed or opened by itself. Sizes in
 * bytes throughout. */
#ifndef BULLA_CRYPTO_COBBLESTONE_H
#define BULLA_CRYPTO_COBBLESTONE_H

#include "crypto/primitives.h"

#define COBBLESTONE_SALT_SIZE 24
#define COBBLESTONE_PREFIX_SIZE 56 /* salt and commitment */
#define COBBLESTONE_CHUNK_SIZE 16384
#define COBBLESTONE_SEALED_CHUNK_SIZE (COBBLESTONE_CHUNK_SIZE + AEAD_TAG_SIZE)
#define COBBLESTONE_CHUNKS_MAX (UINT64_C(1) << 38)
#define COBBLESTONE_CONTEXT_MAX 64

/* struct cobblestone: the keys of one message; {0} is empty and safe to end. One thread each. */
struct cobblestone {
    struct aead *aead;
    uint8_t base_nonce[AEAD_NONCE_SIZE];
    uint8_t prefix[COBBLESTONE_PREFIX_SIZE];
};

#define COBBLESTONE_CLEANUP __attribute__((cleanup(cobblestone_end)))

/* cobblestone_derive makes the keys and the prefix for a message of this salt. The key must be
 * random and the (key, salt) pair new when sealing. context is at most COBBLESTONE_CONTEXT_MAX
 * bytes. */
FALLIBLE cobblestone_derive(struct cobblestone *c, const struct crypto *crypto,
                            enum aead_algorithm algorithm, struct view key,
                            const uint8_t salt[COBBLESTONE_SALT_SIZE], struct view context,
                            struct err *err);

/* cobblestone_check derives from the prefix a message begins with and fails with ERR_DAMAGED if its
 * commitment is not that of this key, salt and context. */
FALLIBLE cobblestone_check(struct cobblestone *c, const struct crypto *crypto,
                           enum aead_algorithm algorithm, struct view key,
                           const uint8_t prefix[COBBLESTONE_PREFIX_SIZE], struct view context,
                           struct err *err);

/* cobblestone_copy makes another of the same message, for another thread. */
FALLIBLE cobblestone_copy(struct cobblestone *out, const struct cobblestone *c, struct err *err);

void cobblestone_end(struct cobblestone *c);

/* cobblestone_seal writes size + AEAD_TAG_SIZE bytes. Only the last chunk, and always it, is
 * shorter than COBBLESTONE_CHUNK_SIZE. */
FALLIBLE cobblestone_seal(struct cobblestone *c, uint64_t chunk, const uint8_t *in, size_t size,
                          uint8_t *out, struct err *err);

/* cobblestone_open takes size bytes and writes size - AEAD_TAG_SIZE; ERR_DAMAGED, with no plaintext
 * in out, if the chunk is not authentic. */
FALLIBLE cobblestone_open(struct cobblestone *c, uint64_t chunk, const uint8_t *in, size_t size,
                          uint8_t *out, struct err *err);

/* cobblestone_plain_size tells the size of the plaintext of a message of this size; false if no
 * message has this size. */
bool cobblestone_plain_size(uint64_t message_size, uint64_t *plain_size);

/* cobblestone_message_size tells the size of the message, prefix and all, of a plaintext of this
 * size, which is at most that of COBBLESTONE_CHUNKS_MAX chunks. */
uint64_t cobblestone_message_size(uint64_t plain_size);

#endif
