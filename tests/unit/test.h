/* test: the least a unit test needs, printing TAP.
 *
 * A test is a function; CHECK counts a failure and goes on; RUN runs one and prints its line. */
#ifndef BULLA_TESTS_UNIT_TEST_H
#define BULLA_TESTS_UNIT_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"

static unsigned test_count, test_faults;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                       \
            test_faults++;                                                                         \
        }                                                                                          \
    } while (0)

/* For what a test cannot go on without. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, #condition);                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        test_faults = 0;                                                                           \
        test();                                                                                    \
        printf("%s %u - %s\n", test_faults == 0 ? "ok" : "not ok", ++test_count, #test);           \
        fflush(stdout);                                                                            \
    } while (0)

#define SKIP(test, why) printf("ok %u - %s # SKIP %s\n", ++test_count, #test, why)

#define DONE() (printf("1..%u\n", test_count), 0)

/* Makes a file or ends the test. */
static inline void test_write(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");

    MUST(f != NULL && fwrite(bytes, 1, size, f) == size && fclose(f) == 0);
}

/* A fresh directory, which the test runs in. */
static inline void test_enter_directory(void)
{
    char directory[] = "/tmp/bulla-test-XXXXXX";

    MUST(mkdtemp(directory) != NULL && chdir(directory) == 0);
}

#endif
