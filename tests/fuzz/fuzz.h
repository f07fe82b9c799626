/* fuzz: what the harnesses share.
 *
 * A harness is a file with LLVMFuzzerTestOneInput for one reader of foreign bytes. libFuzzer calls
 * it with what it makes up (tests/fuzz/run), replay.c with the files of the corpus. It does not
 * only see that nothing crashes: HOLDS states what must be so of every input. */
#ifndef BULLA_TESTS_FUZZ_FUZZ_H
#define BULLA_TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/place.h"
#include "base/secret.h"
#include "base/wire.h"
#include "crypto/primitives.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of libFuzzer: changes data in place, to at most room bytes; returns the new size. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

/* A harness may have one of its own. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_broken(__FILE__, __LINE__, #condition);                                           \
    } while (0)

/* fuzz_fault is true once an allocation or a read was made to fail: then nothing has to hold but
 * that the process does not crash. */
extern bool fuzz_fault;

__attribute__((noreturn)) void fuzz_broken(const char *file, int line, const char *what);

/* fuzz_crypto is one library context for all runs; it readies the library of secrets too. */
const struct crypto *fuzz_crypto(void);

/* fuzz_environment is that of this process. */
extern const struct environment fuzz_environment;

/* fuzz_spoil fills an output with a pattern, and fuzz_untouched tells whether it is still there: a
 * reader that refuses leaves its output alone. */
void fuzz_spoil(void *out, size_t size);
bool fuzz_untouched(const void *out, size_t size);

/* fuzz_refused sees that an error says something, and nothing that is not so. */
void fuzz_refused(const struct err *err);

/* fuzz_refusals counts the calls of it. */
extern size_t fuzz_refusals;

/* The next byte, the rest, and the rest as text, which the caller frees. */
uint8_t fuzz_byte(struct wire_reader *r);
struct view fuzz_rest(struct wire_reader *r);
char *fuzz_text(struct view v);

/* fuzz_file makes a file of memory, which stands at its beginning; the caller closes it.
 * fuzz_path writes the path by which this process can open it again. */
int fuzz_file(const void *bytes, size_t size);
#define FUZZ_PATH_SIZE 32
const char *fuzz_path(char out[FUZZ_PATH_SIZE], int fd);

/* fuzz_directory makes a directory that goes with the process, and enters it; once. */
void fuzz_directory(void);

/* fuzz_write makes a private file there, fuzz_read gives what is in one, which the caller frees. */
void fuzz_write(const char *name, const void *bytes, size_t size);
char *fuzz_read(const char *name, size_t *size);

/* fuzz_account sets an environment with credentials, a region and no files of AWS (network.c).
 * FUZZ_SECRET_KEY is the secret of these, which no message may have. */
#define FUZZ_SECRET_KEY "kNownSecretAccessKeyOfTheFuzzer1"
void fuzz_account(void);

/* fuzz_network_answers makes what follows in *r the answers of the network (network.c). */
void fuzz_network_answers(struct wire_reader *r);

#endif
