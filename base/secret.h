/* secret: memory for key bytes, and randomness.
 *
 * A secret lies between guard pages, is locked against swapping where the system allows it, is left
 * out of core dumps, and is zeroed when freed (libsodium's sodium_malloc). Small ones share a page:
 * a run over thousands of files would spend its time on mapping pages. */
#ifndef BULLA_BASE_SECRET_H
#define BULLA_BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/wire.h"

/* struct secret: {0} is empty and safe to free. */
struct secret {
    uint8_t *bytes;
    size_t size; /* bytes */
};

/* The variable is freed when it goes out of scope. */
#define SECRET_CLEANUP __attribute__((cleanup(secret_free)))

/* secret_init readies the library; call it once before any other function of this header but the
 * next. */
FALLIBLE secret_init(struct err *err);

/* secret_last_resort sets a function that libsodium calls instead of abort when it has no random
 * bytes. It must not return. Call secret_last_resort before secret_init. */
void secret_last_resort(void (*last_resort)(void));

/* secret_new makes *s a secret of size zero bytes; what *s held before is not freed. */
FALLIBLE secret_new(struct secret *s, size_t size, struct err *err);

/* secret_copy makes *s a secret of these bytes. */
FALLIBLE secret_copy(struct secret *s, const void *bytes, size_t size, struct err *err);

/* secret_random is secret_new filled by random_bytes. */
FALLIBLE secret_random(struct secret *s, size_t size, struct err *err);

/* secret_free zeroes and frees; *s is empty then. */
void secret_free(struct secret *s);

/* secret_cell gives bytes of secret memory to a library that asks for its own, none if there are
 * more than SECRET_CELL_MAX or memory is out; they are not zeroed. secret_cell_size tells how many
 * there are behind such a pointer, 0 if it is no cell. secret_cell_free wipes a cell, and is false
 * if the pointer is none. */
#define SECRET_CELL_MAX 2048
void *secret_cell(size_t size);
size_t secret_cell_size(const void *bytes);
bool secret_cell_free(void *bytes);

/* secret_view is a view of the bytes. */
struct view secret_view(const struct secret *s);

/* secret_unlocked is true once a secret could not be locked into memory. */
bool secret_unlocked(void);

/* random_bytes fills from the kernel's generator (getrandom). */
FALLIBLE random_bytes(void *out, size_t size, struct err *err);

#endif
