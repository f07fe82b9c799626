/* envelope_core: the part of an envelope that never changes (docs/FORMAT.md section 3.1). */
#ifndef BULLA_CRYPTO_ENVELOPE_CORE_H
#define BULLA_CRYPTO_ENVELOPE_CORE_H

#include "base/err.h"
#include "base/wire.h"
#include "crypto/primitives.h"

/* Caps, the same for writing and reading, in bytes. */
#define CORE_ID_SIZE 16
#define CORE_NAME_MAX 1024
#define GENERATION_MAX (uint64_t) INT64_MAX /* what JSON readers can hold */
#define CONTEXT_PAIRS_MAX 32
#define CONTEXT_KEY_MAX 128
#define CONTEXT_VALUE_MAX 512

enum suite {
    SUITE_AES = 1,   /* Cobblestone-256 */
    SUITE_CHACHA = 2 /* the same with ChaCha20-Poly1305 */
};

/* struct suite_info: one row for each body suite. */
struct suite_info {
    enum suite suite;
    enum aead_algorithm algorithm;
    const char *name; /* as inspect shows it */
};

/* suite_by_code gives a row, or NULL. */
const struct suite_info *suite_by_code(unsigned code);

struct context_pair {
    char key[CONTEXT_KEY_MAX + 1];
    char value[CONTEXT_VALUE_MAX + 1];
};

/* struct context: the user's pairs, sorted by key, each key once; {0} is empty and safe to free. */
struct context {
    size_t count;
    struct context_pair *pairs; /* owned */
};

#define CONTEXT_CLEANUP __attribute__((cleanup(context_free)))

/* context_add puts a pair in its place; ERR_USAGE if it is not allowed. key is key_size bytes,
 * value ends with a zero. */
FALLIBLE context_add(struct context *context, const char *key, size_t key_size, const char *value,
                     struct err *err);

/* context_add_text is context_add for "KEY=VALUE"; ERR_USAGE too if the text is not that. */
FALLIBLE context_add_text(struct context *context, const char *text, struct err *err);

/* context_copy makes *out a copy, which the caller frees. */
FALLIBLE context_copy(struct context *out, const struct context *context, struct err *err);
void context_free(struct context *context);

/* context_get gives the value of a key, or NULL. */
const char *context_get(const struct context *context, const char *key);

bool context_equal(const struct context *a, const struct context *b);

/* context_hash is SHA-256 of the context as it ends a core: section 3.1. */
void context_hash(const struct context *context, uint8_t out[SHA256_SIZE]);

struct core {
    enum suite suite;
    uint8_t file_id[CORE_ID_SIZE];
    uint64_t created;    /* seconds since 1970 */
    uint64_t generation; /* 0 = none */
    char name[CORE_NAME_MAX + 1];
    struct context context;
};

/* core_name_check is ERR_USAGE unless the name may stand in a core. */
FALLIBLE core_name_check(const char *name, struct err *err);

/* core_size gives the size of an encoded core in bytes; core_encode puts its one encoding. */
size_t core_size(const struct core *core);
void core_encode(struct wire_writer *w, const struct core *core);

/* core_decode reads an encoded core, whose context the caller frees, on failure too; ERR_DAMAGED or
 * ERR_UNSUPPORTED. */
FALLIBLE core_decode(struct core *core, struct view bytes, struct err *err);

#endif
