/* Contracts of base/text.h that the reader of the envelope relies on. */
#include "base/text.h"
#include "tests/proof/wire.h"

/*@ requires left > 0 && readable((uint8_t *)s, left);
    requires \valid(code) && \separated(code, (uint8_t *)s + (0 .. left - 1));
    assigns *code, \result \from s[0 .. left - 1], left;
    ensures \result <= 4 && \result <= left;
*/
static size_t sequence(const uint8_t *s, size_t left, uint32_t *code);

/*@ requires readable((uint8_t *)bytes, size);
    assigns \result \from ((uint8_t *)bytes)[0 .. size - 1], size;
*/
bool text_is_utf8(const void *bytes, size_t size);
