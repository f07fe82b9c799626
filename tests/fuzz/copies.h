/* copies: the two copies of an envelope at the beginning of an input, read and changed one at a
 * time, with the right length and checksum under the change. */
#ifndef BULLA_TESTS_FUZZ_COPIES_H
#define BULLA_TESTS_FUZZ_COPIES_H

#include "crypto/envelope.h"
#include "tests/fuzz/fuzz.h"

#define COPY_HEADER 24 /* bytes in front of the content */

/* copy_content is the content of a valid copy, with its tag. */
struct view copy_content(const uint8_t *copy);

/* copy_tag computes the tag of a content as docs/FORMAT.md has it, from nothing but its bytes. */
void copy_tag(struct view content, const struct branch_key *branch, uint8_t out[SHA256_SIZE]);

/* copy_read reads one copy; false if it is not valid. */
bool copy_read(struct envelope *e, const uint8_t *copy, size_t region);

/* copy_own makes a copy that e was read from one of a branch, by its id, and gives it the tag. */
void copy_own(uint8_t *copy, const struct envelope *e, const struct branch_key *branch);

/* copies_change is a mutator for libFuzzer: it changes anything, or header and content of one copy,
 * and may put that in the place of the other too. own, which may be NULL, changes a copy that is
 * valid again. */
size_t copies_change(uint8_t *data, size_t size, size_t room, unsigned seed,
                     void (*own)(uint8_t *copy, const struct envelope *e));

#endif
