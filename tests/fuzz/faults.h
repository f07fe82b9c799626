/* faults: the n-th allocation or read of an input fails. */
#ifndef BULLA_TESTS_FUZZ_FAULTS_H
#define BULLA_TESTS_FUZZ_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

/* faults_init must come before anything of OpenSSL. */
void faults_init(void);

/* faults_set lets the n-th from now fail, and none for 0; faults_reached tells whether it did. */
void faults_set(size_t n);
bool faults_reached(void);

#endif
